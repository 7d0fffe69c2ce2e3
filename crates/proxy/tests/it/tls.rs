//! CONNECT: tunnels, and TLS that is taken off.

use snowguard_proxy::{Mode, Settings};
use snowguard_testkit::web::Web;

use crate::support::{Place, Running, authorization, loopback, requests};

/// A server with TLS that is called `localhost`, and a proxy that may reach it.
fn with(
    mode: Mode,
    change: impl FnOnce(&mut Settings, &Place, &Web),
) -> (Web, String, Place, Running) {
    let web = Web::start_tls().unwrap();
    web.put("/x", "what it should be");
    let base = web.base().replace("127.0.0.1", "localhost");
    let place = Place::new();
    std::fs::write(place.root().join("ca.pem"), web.authority().unwrap()).unwrap();
    let mut settings = place.settings(mode, loopback(&[&base, &web.base()]));
    settings
        .resolve
        .insert("localhost".to_owned(), "127.0.0.1".parse().unwrap());
    change(&mut settings, &place, &web);
    let running = Running::start(settings);
    (web, base, place, running)
}

#[test]
fn a_tunnel_carries_tls_as_it_is() {
    let (web, base, place, running) = with(Mode::Tunnel, |_, _, _| {});
    let drv = place.drv("source", &format!("{base}/x"), b"what it should be");
    let session = running.begin(&[&drv]);
    let ca = place.root().join("ca.pem");
    let got = running.curl(&session, &["--cacert", ca.as_str(), &format!("{base}/x")]);
    assert!(
        got.good && got.answer.ends_with("what it should be"),
        "{} {}",
        got.answer,
        got.stderr
    );
    // An address has no name in TLS.
    let got = running.curl(&session, &["--cacert", ca.as_str(), &web.url("/x")]);
    assert!(got.good, "{}", got.stderr);
    assert_eq!(running.end(&session)["verdict"], "fetched");
    let evidence = running.stop();
    let all = requests(&evidence);
    assert_eq!(all[0]["tls"]["server"], "localhost");
    assert!(all[0]["received"].as_u64().unwrap() > 500);
    assert_eq!(all[0].get("body"), None);
}

#[test]
fn a_tunnel_to_another_name_or_without_tls_is_ended() {
    let (web, base, place, running) = with(Mode::Tunnel, |_, _, _| {});
    let drv = place.drv("source", &format!("{base}/x"), b"x");
    let session = running.begin(&[&drv]);
    let port = base.rsplit(':').next().unwrap();
    // curl connects to one host and speaks TLS with another.
    let to = format!("evil.example.org:{port}:localhost:{port}");
    let url = format!("https://evil.example.org:{port}/x");
    let got = running.curl(&session, &["--insecure", "--connect-to", &to, &url]);
    assert!(!got.good, "{}", got.answer);
    let own = authorization(&session.token);
    for bytes in [
        "GET /x HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "SSH-2.0-x\r\n",
        "\x16\x03\x01\x00\x01\x02",
    ] {
        let mut client = running.client();
        client.send(format!("CONNECT localhost:{port} HTTP/1.1\r\n{own}\r\n"));
        assert!(client.answer().starts_with("HTTP/1.1 200 "));
        client.send(bytes);
        assert_eq!(client.rest(), "", "{bytes:?}");
    }
    assert!(web.seen().is_empty());
    let reasons: Vec<String> = requests(&running.stop())
        .iter()
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(reasons, ["other-name", "not-tls", "not-tls", "not-tls"]);
}

#[test]
fn connect_is_judged_like_any_request() {
    let (_web, base, place, running) = with(Mode::Tunnel, |_, _, _| {});
    let drv = place.drv("source", &format!("{base}/x"), b"x");
    let session = running.begin(&[&drv]);
    let own = authorization(&session.token);
    let mut client = running.client();
    for (target, reason) in [
        ("evil.example.org:443", "other-host"),
        ("169.254.169.254:80", "address-literal"),
        ("[::ffff:127.0.0.1]:443", "address-literal"),
        ("localhost:22", "other-port"),
        ("git.example.org:9418", "git-protocol"),
    ] {
        client.send(format!(
            "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n{own}\r\n"
        ));
        let answer = client.answer();
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
        assert!(
            answer.contains(&format!("Snowguard-Reason: {reason}\r\n")),
            "{target}: {answer}"
        );
    }
}

#[test]
fn inspect_sees_bodies_and_verifies_for_who_does_not() {
    let (web, base, place, running) = with(Mode::Inspect, |settings, place, _| {
        settings.ca_files.push(place.root().join("ca.pem"));
    });
    let ours = place.root().join("ours.pem");
    std::fs::write(&ours, running.proxy.authority().unwrap()).unwrap();
    let url = format!("{base}/x?token=secret");
    let drv = place.drv("source", &format!("{base}/x"), b"what it should be");
    let session = running.begin(&[&drv]);
    // Twice in one connection.
    let got = running.curl(&session, &["--cacert", ours.as_str(), &url, &url]);
    assert!(got.good, "{}", got.stderr);
    assert_eq!(got.answer.matches("what it should be").count(), 2);
    assert_eq!(web.seen().len(), 2);
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "ok");
    let evidence = running.stop();
    let all = requests(&evidence);
    let gets: Vec<_> = all.iter().filter(|line| line["method"] == "GET").collect();
    assert_eq!(gets.len(), 2);
    assert_eq!(gets[0]["body"]["matches"], true);
    assert_eq!(gets[0]["tls"]["verified"], true);
    assert_eq!(
        gets[0]["tls"]["chain"][0]["issuer"],
        "CN=the authority of a test"
    );
    assert_eq!(
        gets[0]["tls"]["chain"][0]["sha256"].as_str().unwrap().len(),
        64
    );
    assert!(
        !evidence
            .iter()
            .any(|line| line.to_string().contains("secret"))
    );
}

#[test]
fn a_server_that_cannot_prove_who_it_is_is_not_fetched_from() {
    // The fetcher does not look (--insecure), and nobody trusts that authority.
    let (web, base, place, running) = with(Mode::Inspect, |_, _, _| {});
    let drv = place.drv("source", &format!("{base}/x"), b"what it should be");
    let session = running.begin(&[&drv]);
    let got = running.curl(&session, &["--insecure", &format!("{base}/x")]);
    assert!(
        !got.good && got.stderr.contains("502"),
        "{} {}",
        got.answer,
        got.stderr
    );
    assert!(web.seen().is_empty());
    assert_eq!(running.end(&session)["verdict"], "tls-failure");
    let evidence = running.stop();
    let connect = requests(&evidence)[0];
    assert_eq!(connect["reason"], "untrusted-certificate");
    assert_eq!(connect["tls"]["verified"], false);
    assert_eq!(
        connect["tls"]["chain"][0]["issuer"],
        "CN=the authority of a test"
    );
}

#[test]
fn within_taken_off_tls_no_other_host_is_reached() {
    let (web, base, place, running) = with(Mode::Inspect, |settings, place, _| {
        settings.ca_files.push(place.root().join("ca.pem"));
    });
    let drv = place.drv("source", &format!("{base}/x"), b"x");
    for header in ["Host: evil.example.org", "Host: localhost"] {
        let session = running.begin(&[&drv]);
        let got = running.curl(
            &session,
            &["--insecure", "-H", header, &format!("{base}/x")],
        );
        // The second names another port.
        assert!(
            got.answer.starts_with("HTTP/1.1 400 "),
            "{header}: {}",
            got.answer
        );
        assert_eq!(running.end(&session)["denied"], 1, "{header}");
    }
    assert!(web.seen().is_empty());
    // The name in TLS is not the one of CONNECT.
    let session = running.begin(&[&drv]);
    let port = base.rsplit(':').next().unwrap();
    let to = format!("evil.example.org:{port}:localhost:{port}");
    let got = running.curl(
        &session,
        &[
            "--insecure",
            "--connect-to",
            &to,
            &format!("https://evil.example.org:{port}/x"),
        ],
    );
    assert!(!got.good);
    assert!(web.seen().is_empty());
}

#[test]
fn without_evidence_nothing_is_carried_within_tls_either() {
    let (web, base, place, running) = with(Mode::Inspect, |settings, place, _| {
        settings.ca_files.push(place.root().join("ca.pem"));
        settings.evidence = place.full();
    });
    let drv = place.drv("source", &format!("{base}/x"), b"x");
    let session = running.begin(&[&drv]);
    let url = format!("{base}/x");
    let many: Vec<&str> = std::iter::once("--insecure")
        .chain(std::iter::repeat_n(url.as_str(), 200))
        .collect();
    let got = running.curl(&session, &many);
    assert!(
        got.answer.contains("Snowguard-Reason: no-evidence"),
        "{} {}",
        got.answer,
        got.stderr
    );
    assert!(web.seen().len() < 200);
}
