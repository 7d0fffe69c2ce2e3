//! Requests that could be read in two ways, over real sockets: each is refused, and no server sees anything of it.

use snowguard_proxy::Mode;
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Place, Running, authorization, loopback, requests};

#[test]
fn smuggling_is_refused_and_nothing_gets_through() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = authorization(&session.token);
    let post = |lines: &str, body: &str| {
        format!("POST http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}{lines}\r\n\r\n{body}")
    };
    let hidden = format!("GET http://{host}/hidden HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let cases = [
        (
            "both lengths",
            post(
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                &format!("0\r\n\r\n{hidden}"),
            ),
        ),
        (
            "two lengths",
            post("Content-Length: 5\r\nContent-Length: 0", &hidden),
        ),
        ("a list of lengths", post("Content-Length: 5, 5", &hidden)),
        ("a signed length", post("Content-Length: +5", &hidden)),
        (
            "a folded line",
            post("X: y\r\n Transfer-Encoding: chunked", &hidden),
        ),
        (
            "a space before the colon",
            post("Transfer-Encoding : chunked", &hidden),
        ),
        (
            "an odd encoding",
            post("Transfer-Encoding: xchunked", &hidden),
        ),
        (
            "a bare line feed",
            post("X: y\nTransfer-Encoding: chunked", &hidden),
        ),
        ("a control byte", post("X: \x0b", &hidden)),
        ("two hosts", post("Host: other.example.org", &hidden)),
        (
            "another host",
            format!("GET http://{host}/x HTTP/1.1\r\nHost: other.example.org\r\n{own}\r\n"),
        ),
        (
            "no host",
            format!("GET http://{host}/x HTTP/1.1\r\n{own}\r\n"),
        ),
        (
            "a user",
            format!("GET http://other.example.org@{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"),
        ),
        (
            "https in absolute form",
            format!("GET https://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"),
        ),
        (
            "no proxy request",
            format!("GET /x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"),
        ),
        (
            "another version",
            format!("GET http://{host}/x HTTP/2.0\r\nHost: {host}\r\n{own}\r\n"),
        ),
        (
            "the preface of HTTP/2",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        ),
        (
            "a method of nobody",
            format!("DELETE http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"),
        ),
        (
            "a long line",
            format!(
                "GET http://{host}/{} HTTP/1.1\r\nHost: {host}\r\n\r\n",
                "x".repeat(70_000)
            ),
        ),
        ("many lines", post(&"X: y\r\n".repeat(200), "")),
    ];
    for (what, bytes) in &cases {
        let mut client = running.client();
        client.send(bytes);
        let answer = client.rest();
        let status = answer.get(9..12).unwrap_or_default();
        assert!(
            ["400", "405", "431", "501", "505"].contains(&status),
            "{what}: {answer}"
        );
        assert!(answer.contains("Connection: close"), "{what}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    }
    assert!(web.seen().is_empty(), "a server saw something");
    let evidence = running.stop();
    let refused = requests(&evidence)
        .iter()
        .filter(|line| line["verdict"] == "refused")
        .count();
    assert_eq!(refused, cases.len());
}

#[test]
fn malformed_chunks_end_the_connection() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = authorization(&session.token);
    for body in [
        "5\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
    ] {
        let mut client = running.client();
        client.send(format!(
            "POST http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}Transfer-Encoding: chunked\r\n\r\n{body}"
        ));
        client.send(format!(
            "GET http://{host}/hidden HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"
        ));
        let answer = client.rest();
        // The server may have answered before the rest came; what is behind is no request in any case.
        assert!(
            answer.matches("HTTP/1.1 ").count() <= 1,
            "{body:?}: {answer}"
        );
    }
    assert!(web.seen().iter().all(|seen| seen.path != "/hidden"));
}

#[test]
fn a_server_that_answers_malformed_is_told() {
    let web = Web::start().unwrap();
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    for garbage in [
        "HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\nx",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "SSH-2.0-x\r\n\r\n",
    ] {
        web.fail("/x", [Fault::Garbage(garbage.into())]);
        let got = running.curl(&session, &[&web.url("/x")]);
        assert!(
            got.answer.contains(" 502 "),
            "{garbage:?}: {} {}",
            got.answer,
            got.stderr
        );
        assert!(
            got.answer.contains("Snowguard-Reason: malformed-answer"),
            "{}",
            got.answer
        );
    }
}

#[test]
fn requests_behind_another_are_judged_like_the_first() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = authorization(&session.token);
    let mut client = running.client();
    let get = |host: &str, more: &str| {
        format!("GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    };
    client.send(format!(
        "{}{}{}",
        get(&host, &own),
        get("evil.example.org", &own),
        get(&host, "")
    ));
    assert!(client.answer().starts_with("HTTP/1.1 200 "));
    assert!(client.answer().starts_with("HTTP/1.1 403 "));
    assert!(client.answer().starts_with("HTTP/1.1 407 "));
    // What was sent behind CONNECT without waiting for its answer is never taken for a request.
    client.send(format!(
        "CONNECT evil.example.org:443 HTTP/1.1\r\n{own}\r\n{}",
        get(&host, &own)
    ));
    let answer = client.rest();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1);
    assert_eq!(web.seen().len(), 1);
}
