//! Requests that could be read in two ways, over real sockets: each is refused, and no server sees anything of it.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// A server that gives the first request of each connection `first`, and every other one `then`; how often it was
/// connected to is told.
fn raw(first: &'static str, then: &'static str) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let at = counting.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || {
                let mut answer = if at == 0 { first } else { then };
                let mut head = Vec::new();
                let mut one = [0];
                while let Ok(1) = stream.read(&mut one) {
                    head.push(one[0]);
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        let _ = stream.write_all(answer.as_bytes());
                        answer = then;
                    }
                }
            });
        }
    });
    (base, count)
}

#[test]
fn what_a_server_says_too_much_answers_nothing() {
    const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";
    let place = Place::new();
    for (method, first) in [
        ("HEAD", EVIL),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
        (
            "GET",
            "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
        ),
    ] {
        let (base, count) = raw(first, GOOD);
        let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&base])));
        let drv = place.drv("source", &format!("{base}/x"), b"x");
        let session = running.begin(&[&drv]);
        let host = base.strip_prefix("http://").unwrap().to_owned();
        let own = authorization(&session.token);
        let mut client = running.client();
        let ask = |method: &str| {
            format!("{method} http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n")
        };
        client.send(ask(method));
        client.head();
        if first.contains("Length: 1\r\n") {
            assert_eq!(client.bytes(1), "x");
        } else if method == "GET" && first.contains("chunked") {
            assert_eq!(client.bytes(11), "1\r\nx\r\n0\r\n\r\n");
        }
        client.send(ask("GET"));
        let answer = client.answer();
        assert!(
            answer.ends_with("\r\n\r\ngood"),
            "{method} {first}: {answer}"
        );
        assert_eq!(count.load(Ordering::SeqCst), 2, "{method} {first}");
        running.stop();
    }
    // What says no more than it should is used again, as long as it is quiet.
    let (base, count) = raw(GOOD, GOOD);
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&base])));
    let drv = place.drv("source", &format!("{base}/x"), b"x");
    let session = running.begin(&[&drv]);
    let own = authorization(&session.token);
    let host = base.strip_prefix("http://").unwrap();
    let mut client = running.client();
    for _ in 0..3 {
        client.send(format!(
            "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{own}\r\n"
        ));
        assert!(client.answer().ends_with("\r\n\r\ngood"));
    }
    assert_eq!(count.load(Ordering::SeqCst), 1);
    running.stop();
}

#[test]
fn a_connection_that_is_kept_is_judged_for_each_who_uses_it() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let host = web.base().strip_prefix("http://").unwrap().to_owned();
    let own = |session: &snowguard_proxy::Session| authorization(&session.token);
    for (mode, status, verdict) in [
        (Mode::Tunnel, 403, "denied"),
        (Mode::Audit, 200, "would-deny"),
    ] {
        let running = Running::start(place.settings(mode, loopback(&[&web.base()])));
        // The first has an exception for this network; the second names the same host, and has none.
        let (may, may_not) = (
            place.drv("source", &web.url("/x"), b"x"),
            place.drv("other", &web.url("/x"), b"x"),
        );
        let (first, second) = (running.begin(&[&may]), running.begin(&[&may_not]));
        let mut client = running.client();
        for (session, expected) in [(&first, 200), (&second, status), (&first, 200)] {
            client.send(format!(
                "GET http://{host}/x HTTP/1.1\r\nHost: {host}\r\n{}\r\n",
                own(session)
            ));
            let answer = client.answer();
            assert!(
                answer.starts_with(&format!("HTTP/1.1 {expected} ")),
                "{answer}"
            );
        }
        let evidence = running.stop();
        let all = requests(&evidence);
        let second = all.len() - 2;
        assert_eq!(
            (&all[second]["verdict"], &all[second]["reason"]),
            (&verdict.into(), &"private-address".into())
        );
    }
}
