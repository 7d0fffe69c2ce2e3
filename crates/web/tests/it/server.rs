//! What the server does with clients that mean ill, are slow, or are too many; and what every answer has.

use std::io::Write as _;
use std::time::Duration;

use snowguard_web::{Limits, Rate, Settings};

use crate::support::{Server, read};

fn with(limits: impl FnOnce(&mut Limits)) -> Server {
    Server::start(|_| {
        let mut settings = Settings::local();
        limits(&mut settings.limits);
        settings
    })
}

#[test]
fn every_answer_forbids_what_pages_do_not_need() {
    let server = Server::local();
    for path in [
        "/",
        "/nothing/here",
        "/api/v1/nothing",
        "/healthz",
        "/login",
    ] {
        let answer = server.get(path, &[]);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self'"),
            "{path}"
        );
        for forbidden in ["unsafe", "http:", "*"] {
            assert!(!policy.contains(forbidden), "{path}: {policy}");
        }
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert!(answer.header("x-request-id").is_some());
        assert_eq!(
            answer.header("strict-transport-security"),
            None,
            "it is not encrypted here"
        );
        assert_eq!(answer.header("server"), None);
    }
}

#[test]
fn errors_are_pages_for_people_and_problems_for_programs() {
    let server = Server::local();
    let page = server.get("/packages/nosuch", &[]);
    assert_eq!(page.status, 404);
    assert!(
        page.body.contains("There is no package &#34;nosuch&#34;"),
        "{}",
        page.body
    );
    let problem = server.get("/api/v1/packages/nosuch", &[]);
    assert_eq!(problem.status, 404);
    assert_eq!(
        problem.header("content-type"),
        Some("application/problem+json")
    );
    let problem: serde_json::Value = serde_json::from_str(&problem.body).unwrap();
    assert_eq!(problem["type"], "/api#not-found");
    assert_eq!(problem["status"], 404);
    assert_eq!(server.send("PUT", "/", &[], "").status, 405);
    assert_eq!(server.get("/logout", &[]).status, 405);
    assert_eq!(server.get("/queue?bucket=nosuch", &[]).status, 400);
    assert_eq!(server.get("/queue?cursor=nosuch", &[]).status, 400);
    assert_eq!(server.get("/packages/%ff", &[]).status, 400);
}

#[test]
fn a_server_answers_to_its_own_name_only() {
    let server = Server::local();
    assert_eq!(server.get("/", &[("Host", "evil.example")]).status, 421);
    assert_eq!(server.get("/", &[("Host", "localhost")]).status, 200);
    assert_eq!(
        server.get("/healthz", &[("Host", "whatever")]).status,
        200,
        "who checks need not know it"
    );
}

#[test]
fn files_are_kept_and_compressed_and_pages_are_asked_for_again() {
    let server = Server::local();
    let page = server.get("/", &[]);
    let style = page
        .body
        .split("href=\"/static/")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let style = format!("/static/{style}");
    let plain = server.get(&style, &[]);
    assert_eq!(
        plain.header("cache-control"),
        Some("public, max-age=31536000, immutable")
    );
    let packed = server.get(&style, &[("Accept-Encoding", "br, gzip")]);
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < plain.body.len() / 2);
    assert_eq!(
        server.get("/static/style.0000000000000000.css", &[]).status,
        404
    );

    let tag = page.header("etag").unwrap();
    assert_eq!(page.header("cache-control"), Some("private, no-cache"));
    assert_eq!(server.get("/", &[("If-None-Match", tag)]).status, 304);
    let head = server.send("HEAD", "/", &[], "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(
        head.header("content-length"),
        Some(page.body.len().to_string().as_str())
    );
    let data = server.get("/api/v1/home", &[]);
    assert_eq!(data.status, 200, "{}", data.body);
    assert_eq!(
        server
            .get(
                "/api/v1/home",
                &[("If-None-Match", data.header("etag").unwrap())]
            )
            .status,
        304
    );
}

#[test]
fn heads_and_bodies_have_limits() {
    let server = with(|limits| limits.body_bytes = 1_000);
    let long = "x".repeat(20_000);
    assert!(matches!(
        server.get("/", &[("X-Long", &long)]).status,
        0 | 400 | 431
    ));
    let many: Vec<(String, String)> = (0..200).map(|at| (format!("X-{at}"), "1".into())).collect();
    let many: Vec<(&str, &str)> = many
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(server.get("/", &many).status, 431);
    assert_eq!(
        server
            .get(&format!("/search?q={}", "x".repeat(5_000)), &[])
            .status,
        413
    );
    assert_eq!(
        server.post("/login/local", &[], &"x".repeat(2_000)).status,
        413
    );
    // Without its length told.
    let chunked = "POST /login/local HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = format!("800\r\n{}\r\n0\r\n\r\n", "x".repeat(0x800));
    assert_eq!(
        server.raw(format!("{chunked}{body}").as_bytes()).status,
        413
    );
    assert_eq!(
        server
            .raw(b"\x16\x03\x01 this is no request\r\n\r\n")
            .status,
        400
    );
    let json = [("Content-Type", "application/json")];
    assert_eq!(server.send("POST", "/login/local", &json, "{}").status, 400);
}

#[test]
fn who_is_slow_is_not_waited_for() {
    let server = with(|limits| {
        limits.head = Duration::from_millis(300);
        limits.body = Duration::from_millis(300);
    });
    let mut stream = server.connect();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    assert!(
        matches!(read(stream).status, 0 | 408),
        "the head never ends"
    );
    let mut stream = server.connect();
    let head = "POST /login/local HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\ntok";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read(stream).status, 408, "the body never ends");
    // Others are served meanwhile.
    let idle: Vec<_> = (0..20).map(|_| server.connect()).collect();
    assert_eq!(server.get("/", &[]).status, 200);
    drop(idle);
}

#[test]
fn who_asks_too_often_is_told_when_to_come_again() {
    let server = with(|limits| {
        limits.reading = Rate {
            burst: 3,
            per_second: 0.01,
        };
        limits.login = Rate {
            burst: 1,
            per_second: 0.01,
        };
    });
    for _ in 0..3 {
        assert_eq!(server.get("/channels", &[]).status, 200);
    }
    let refused = server.get("/channels", &[]);
    assert_eq!(refused.status, 429);
    assert!(
        refused
            .header("retry-after")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > 1
    );
    assert_eq!(server.get("/login/local?token=a", &[]).status, 403);
    assert_eq!(
        server.get("/login/local?token=b", &[]).status,
        429,
        "tokens are not guessed"
    );
}

#[test]
fn too_much_work_is_sent_away() {
    let server = with(|limits| {
        limits.workers = 0;
        limits.patience = Duration::from_millis(50);
    });
    let answer = server.get("/", &[]);
    assert_eq!(answer.status, 503);
    assert_eq!(answer.header("retry-after"), Some("2"));
    assert_eq!(
        server.get("/healthz", &[]).status,
        200,
        "it is alive all the same"
    );
    assert_eq!(server.get("/readyz", &[]).status, 503);
}

#[test]
fn what_was_begun_is_finished_before_the_end() {
    let mut server = Server::local();
    assert_eq!(server.get("/readyz", &[]).body, "ready\n");
    let mut stream = server.connect();
    let head = "POST /login/local HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // An answer to another shows that the server has seen it.
    assert_eq!(server.get("/", &[]).status, 200);
    server.tell();
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(b"token=x").unwrap();
    assert_eq!(read(stream).status, 403, "answered, and then closed");
    server.stop();
}
