//! Clients and servers that are slow, many, or too much.

use std::net::TcpListener;
use std::time::Duration;

use snowguard_proxy::{Mode, Session, Times};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{
    Client, Place, Running, authorization, get, host_of, inside, loopback, requests,
};

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
    let host = host_of(&web);
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
    let host = host_of(&web);
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
fn who_has_no_token_takes_no_place_of_a_build() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.most_connections = 8;
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = host_of(&web);
    // Silent, half a head, asked for a token: four times as many as there are places.
    let strangers: Vec<_> = (0..32)
        .map(|number| {
            let mut client = running.client();
            match number % 3 {
                0 => {}
                1 => client.send("GET http://x.org/ HTTP/1.1\r\n"),
                _ => {
                    client.send(get(&host, ""));
                    assert!(client.answer().starts_with("HTTP/1.1 407 "));
                }
            }
            client
        })
        .collect();
    for _ in 0..2 {
        // As tools do that send a token when they are asked for one.
        let mut client = running.client();
        client.send(get(&host, ""));
        assert!(client.answer().starts_with("HTTP/1.1 407 "));
        client.send(get(&host, &authorization(&session.token)));
        let answer = client.answer();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    drop(strangers);
}

#[test]
fn who_finds_no_room_is_told() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.most_connections = 4;
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let host = host_of(&web);
    // One each for three builds, and one for who is not known yet.
    let held: Vec<_> = [200, 200, 200, 503]
        .into_iter()
        .map(|status| {
            let own = authorization(&running.begin(&[&drv]).token);
            let mut client = running.client();
            client.send(get(&host, &own));
            let answer = client.answer();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {status} ")),
                "{answer}"
            );
            client
        })
        .collect();
    let text = running.proxy.metrics();
    assert!(
        text.contains("snowguard_fod_proxy_turned_away_total 1\n"),
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
    settings.evidence = place.full();
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
    let host = host_of(&web);
    let own = authorization(&session.token);
    let mut clients: Vec<_> = (0..300).map(|_| running.client()).collect();
    for client in &mut clients {
        client.send(get(&host, &own));
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

/// A server that says back what it hears; its address.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                let mut copy = stream.try_clone().unwrap();
                let _ = std::io::copy(&mut stream, &mut copy);
            });
        }
    });
    address
}

/// The first message of TLS, which names no server.
fn hello() -> Vec<u8> {
    let mut bytes = vec![22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3];
    bytes.extend([7; 32]);
    bytes.extend([0, 0, 2, 0x13, 1, 1, 0]);
    bytes
}

/// A tunnel in which something was said.
fn tunnel(running: &Running, session: &Session, address: &str) -> Client {
    let mut client = running.client();
    let own = authorization(&session.token);
    client.send(format!(
        "CONNECT {address} HTTP/1.1\r\nHost: {address}\r\n{own}\r\n"
    ));
    assert!(client.answer().starts_with("HTTP/1.1 200 "));
    client.send(hello());
    client.bytes(hello().len());
    client
}

#[test]
fn the_end_of_a_token_ends_what_it_opened() {
    let address = echo();
    let place = Place::new();
    let running =
        Running::start(place.settings(Mode::Tunnel, loopback(&[&format!("https://{address}")])));
    let drv = place.drv("source", &format!("https://{address}/x"), b"x");
    let session = running.begin(&[&drv]);
    let mut client = tunnel(&running, &session, &address);
    let verdict = running.end(&session);
    assert_eq!(client.rest(), "");
    assert_eq!(verdict["received"], hello().len());
    let evidence = running.stop();
    assert_eq!(requests(&evidence)[0]["reason"], "ended");
    let kinds: Vec<_> = evidence.iter().map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, [Some("tunnel"), Some("request"), Some("build")]);
}

#[test]
fn what_a_tunnel_carries_is_known_though_the_proxy_is_killed() {
    let address = echo();
    let place = Place::new();
    let running =
        Running::start(place.settings(Mode::Tunnel, loopback(&[&format!("https://{address}")])));
    let drv = place.drv("source", &format!("https://{address}/x"), b"x");
    let session = running.begin(&[&drv]);
    let _client = tunnel(&running, &session, &address);
    // Something was carried, and nothing has ended: what is written by now is all that could be lost.
    let mut lines = Vec::new();
    let file = place.root().join("evidence.jsonl");
    snowguard_proxy::evidence::read(&file, |line| lines.push(line)).unwrap();
    let [line] = &*lines else { panic!("{lines:?}") };
    let host = address.split(':').next();
    assert_eq!(
        (line["kind"].as_str(), line["host"].as_str()),
        (Some("tunnel"), host)
    );
    assert!(line["output"].as_str().unwrap().ends_with("-source"));
    running.stop();
}

#[test]
fn one_build_does_not_fill_the_evidence() {
    let web = Web::start().unwrap();
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    (settings.evidence.most_bytes, settings.evidence.keep) = (8000, 0);
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let (one, two) = (running.begin(&[&drv]), running.begin(&[&drv]));
    let get = |session: &Session, count: u32| {
        let mut client = running.client();
        let own = authorization(&session.token);
        for _ in 0..count {
            client.send(format!(
                "GET http://denied.example.org/x HTTP/1.1\r\nHost: denied.example.org\r\n{own}\r\n"
            ));
            assert!(client.answer().starts_with("HTTP/1.1 403 "));
        }
    };
    get(&one, 1);
    get(&two, 100);
    let verdict = running.end(&two);
    let left_out = verdict["not_written"].as_u64().unwrap();
    assert!((90..100).contains(&left_out), "{left_out}");
    assert_eq!(verdict["denied"], 100);
    running.end(&one);
    let evidence = running.stop();
    let of_one = requests(&evidence)
        .into_iter()
        .filter(|line| line["session"] == 1);
    assert_eq!(of_one.count(), 1, "it was not washed away");
}

#[test]
fn what_is_open_when_the_proxy_ends_is_written_down() {
    let address = echo();
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&format!("https://{address}")]));
    settings.times.stop = Duration::from_millis(200);
    let running = Running::start(settings);
    let drv = place.drv("source", &format!("https://{address}/x"), b"x");
    let session = running.begin(&[&drv]);
    let _clients: Vec<_> = (0..20)
        .map(|_| tunnel(&running, &session, &address))
        .collect();
    let evidence = running.stop();
    let all = requests(&evidence);
    assert_eq!(all.len(), 20);
    assert!(
        all.iter().all(|line| line["reason"] == "aborted"),
        "{all:?}"
    );
    let verdict = evidence.last().unwrap();
    assert_eq!(
        (&verdict["kind"], &verdict["requests"]),
        (&"build".into(), &20.into())
    );
}

#[test]
fn after_a_limit_requests_are_only_counted() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let host = host_of(&web);
    let exceptions = inside(&format!(
        "[limits]\nrequests = 3\n[[exception]]\nderivation = \"source\"\nhosts = [\"{host}\"]\n\
         protocols = [\"http\"]\nreason = \"test\"\nexpires = 2999-01-01\n"
    ));
    let running = Running::start(place.settings(Mode::Tunnel, exceptions));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let own = authorization(&session.token);
    let mut client = running.client();
    for number in 0..20 {
        client.send(get(&host, &own));
        let answer = client.answer();
        let expected = if number < 3 {
            "HTTP/1.1 200 "
        } else {
            "HTTP/1.1 403 "
        };
        assert!(answer.starts_with(expected), "{number}: {answer}");
        if number > 3 {
            assert_eq!(client.rest(), "", "that connection has ended");
            client = running.client();
        }
    }
    let verdict = running.end(&session);
    assert_eq!(
        (
            &verdict["requests"],
            &verdict["denied"],
            &verdict["not_written"]
        ),
        (&20.into(), &17.into(), &16.into())
    );
    assert_eq!(requests(&running.stop()).len(), 4);
}

#[test]
fn one_build_does_not_take_all_connections() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.most_connections = 8;
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let host = host_of(&web);
    let ask = |client: &mut Client, session: &Session| {
        let own = authorization(&session.token);
        client.send(get(&host, &own));
        client.answer()
    };
    let (one, two) = (running.begin(&[&drv]), running.begin(&[&drv]));
    let mut clients = Vec::new();
    for status in ["200", "200", "503", "503"] {
        let mut client = running.client();
        assert_eq!(ask(&mut client, &one).get(9..12), Some(status));
        clients.push(client);
    }
    assert!(ask(&mut running.client(), &two).starts_with("HTTP/1.1 200 "));
    // Who leaves makes room.
    assert!(ask(&mut clients[0], &one).starts_with("HTTP/1.1 200 "));
    clients.clear();
    let again = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        ask(&mut running.client(), &one).starts_with("HTTP/1.1 200 ")
    });
    assert!(again);
}
