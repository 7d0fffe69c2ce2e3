//! Clients and servers that are slow, many, or too much.

use std::time::Duration;

use snowguard_fod::policy::Exceptions;
use snowguard_proxy::{EvidenceSettings, Mode, Times};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Place, Running, authorization, inside, loopback, requests};

fn short() -> Times {
    Times {
        head: Duration::from_millis(400),
        next: Duration::from_millis(400),
        connect: Duration::from_secs(5),
        handshake: Duration::from_millis(400),
        idle: Duration::from_millis(600),
        answer: Duration::from_millis(600),
        stop: Duration::from_secs(5),
    }
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    web.put("/drip", vec![b'x'; 4000]);
    web.fail_always("/silent", Fault::Silence);
    web.fail_always("/drip", Fault::Drip(1000, Duration::from_secs(20)));
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.times = short();
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = authorization(&session.token);
    // Nothing; half a head; half a body; a tunnel that does not begin.
    let mut nothing = running.client();
    assert_eq!(nothing.rest(), "");
    let mut half = running.client();
    half.send(format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n"));
    assert!(half.rest().starts_with("HTTP/1.1 408 "));
    let mut body = running.client();
    body.send(format!(
        "POST http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}Content-Length: 10\r\n\r\nx"
    ));
    assert_eq!(body.rest(), "");
    let mut tunnel = running.client();
    tunnel.send(format!(
        "CONNECT {host} HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"
    ));
    assert!(tunnel.rest().starts_with("HTTP/1.1 200 "));
    // A server that says nothing, and one that stops in between.
    let got = running.curl(&session, &[&web.url("/silent")]);
    assert!(
        got.answer.contains(" 502 ") || got.answer.contains(" 504 "),
        "{}",
        got.answer
    );
    assert!(!running.curl(&session, &[&web.url("/drip")]).good);
    let reasons: Vec<String> = requests(&running.stop())
        .iter()
        .map(|line| format!("{} {}", line["method"], line["reason"]).replace('"', ""))
        .collect();
    assert!(
        reasons.contains(&"CONNECT not-tls".to_owned()),
        "{reasons:?}"
    );
    assert_eq!(reasons.last().unwrap(), "GET timeout", "{reasons:?}");
}

#[test]
fn a_build_takes_no_more_than_it_may() {
    let web = Web::start().unwrap();
    web.put("/large", vec![b'x'; 3_000_000]);
    web.put("/x", "x");
    web.fail_always("/endless", Fault::Endless);
    web.fail_always("/loop", Fault::Redirect(web.url("/loop")));
    let place = Place::new();
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let limits = |limits: &str| {
        inside(&format!(
            "[limits]\n{limits}\n[[exception]]\nderivation = \"source\"\nhosts = [\"{host}\"]\n\
             protocols = [\"http\"]\nreason = \"test\"\nexpires = 2999-01-01\n"
        ))
    };
    let running = Running::start(place.settings(
        Mode::Tunnel,
        limits("bytes = 2000000\nrequests = 50\nredirects = 5"),
    ));
    let drv = place.drv("source", &web.url("/x"), b"x");
    for path in ["/large", "/endless"] {
        let session = running.begin(&[&drv]);
        assert!(!running.curl(&session, &[&web.url(path)]).good, "{path}");
        let got = running.curl(&session, &[&web.url("/x")]);
        assert!(
            !got.answer.ends_with("\r\n\r\nx"),
            "{path}: nothing more comes"
        );
        assert!(running.end(&session)["received"].as_u64().unwrap() < 2_200_000);
    }
    let session = running.begin(&[&drv]);
    let got = running.curl(
        &session,
        &["--location", "--max-redirs", "30", &web.url("/loop")],
    );
    assert!(got.answer.contains("too-many-redirects"), "{}", got.answer);
    let session = running.begin(&[&drv]);
    let url = web.url("/x");
    let many: Vec<&str> = std::iter::repeat_n(url.as_str(), 51).collect();
    let got = running.curl(&session, &many);
    assert_eq!(got.answer.matches("HTTP/1.1 200").count(), 50);
    assert!(got.answer.contains("too-many-requests"), "{}", got.answer);
}

#[test]
fn who_finds_no_room_is_told() {
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, Exceptions::default());
    settings.most_connections = 2;
    let running = Running::start(settings);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut client = running.client();
            // It is there when it has its answer.
            client.send("GET http://x.org/ HTTP/1.1\r\nHost: x.org\r\n\r\n");
            assert!(client.answer().starts_with("HTTP/1.1 407 "));
            client
        })
        .collect();
    let mut late = running.client();
    assert!(late.answer().starts_with("HTTP/1.1 503 "));
    let text = running.proxy.metrics();
    assert!(
        text.contains("snowguard_fod_proxy_turned_away_total 1\n"),
        "{text}"
    );
    assert!(
        text.contains("snowguard_fod_proxy_open_connections 2\n"),
        "{text}"
    );
    drop(held);
}

#[test]
fn without_evidence_nothing_is_carried() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.evidence = EvidenceSettings::new("/dev/full".into());
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    running.curl(&session, &[&web.url("/x")]);
    let deadline = std::iter::repeat_with(|| running.curl(&session, &[&web.url("/x")]));
    let told = deadline
        .take(50)
        .any(|got| got.answer.contains("Snowguard-Reason: no-evidence"));
    assert!(told);
}

#[test]
fn many_at_a_time_are_served() {
    let web = Web::start().unwrap();
    web.put("/x", vec![b'x'; 20_000]);
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = authorization(&session.token);
    let mut clients: Vec<_> = (0..300).map(|_| running.client()).collect();
    for client in &mut clients {
        client.send(format!(
            "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"
        ));
    }
    for client in &mut clients {
        let answer = client.answer();
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("xxxx"),
            "{}",
            &answer[..40]
        );
    }
    assert_eq!(running.end(&session)["received"], 300 * 20_000);
}
