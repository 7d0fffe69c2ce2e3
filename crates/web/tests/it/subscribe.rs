//! Subscriptions: made where something is read, ended by whose they are or by who has the link; and feeds.

use snowguard_db::subscriptions::Subscriptions as _;
use snowguard_testkit::database::Scratch;
use snowguard_tracker::subscribe::token;
use snowguard_web::Settings;

use crate::support::Server;
use crate::whole::{fill, server, somebody};

const HOOK: &str = "way=webhook&target=https%3A%2F%2Fhooks.example.org%2Fx&pace=daily";
const MAIL: &str = "way=mail&target=a%40example.org&pace=at_once";

fn with_letters() -> Server {
    let settings = |_| Settings {
        letters: true,
        ..Settings::local()
    };
    Server::over(Scratch::sqlite().unwrap(), settings, fill)
}

/// The link of the letter to the only subscriber there is.
fn link(server: &Server) -> String {
    let rows = server.database.read(|s| s.to_be_asked(0, 9)).unwrap();
    assert_eq!(rows.len(), 1);
    token(&rows[0])
}

fn is_confirmed(server: &Server) -> (bool, bool) {
    let row = server
        .database
        .read(|s| s.subscription(1))
        .unwrap()
        .unwrap();
    (row.confirmed.is_some(), row.ended.is_some())
}

#[test]
fn pages_can_be_subscribed_to_and_are_listed() {
    let server = server();
    let visitor = server.log_in();
    for (page, kind, name) in [
        ("/packages/one", "package", "one"),
        ("/maintainers/someone", "maintainer", "someone"),
        ("/advisories/CVE-2026-0001", "advisory", "CVE-2026-0001"),
        ("/channels/nixos-26.05", "channel", "nixos-26.05"),
        ("/search?q=heap+overflow", "search", "heap overflow"),
        ("/activity", "everything", ""),
    ] {
        let read = visitor.get(&server, page).body;
        let fields = format!(
            "name=\"kind\" value=\"{kind}\"><input type=\"hidden\" name=\"name\" value=\"{name}\""
        );
        assert!(read.contains(&fields), "{page}: {read}");
        assert!(!read.contains("by letter"), "none are sent here");
        let form = format!("kind={kind}&name={}&{HOOK}", name.replace(' ', "+"));
        let done = visitor.post(&server, "/subscribe", &form);
        assert_eq!(
            done.header("location"),
            Some("/subscriptions?done=subscribed"),
            "{}",
            done.body
        );
    }
    let list = visitor.get(&server, "/subscriptions");
    assert_eq!(
        list.header("cache-control"),
        Some("no-store"),
        "it has secrets"
    );
    for text in [
        "package one",
        "maintainer someone",
        "channel nixos-26.05",
        "what “heap overflow” finds",
        "everything",
    ] {
        assert!(list.body.contains(text), "{text}");
    }
    assert_eq!(
        visitor
            .post(&server, "/unsubscribe", "subscription=1")
            .status,
        303
    );
    assert!(
        !visitor
            .get(&server, "/subscriptions")
            .body
            .contains("package one")
    );
    assert_eq!(server.get("/subscriptions", &[]).status, 401);
}

#[test]
fn what_cannot_be_told_is_refused() {
    let server = server();
    let visitor = server.log_in();
    for (form, status) in [
        (
            "kind=package&name=nosuch&way=webhook&target=https%3A%2F%2Fx.org&pace=daily",
            404,
        ),
        (
            "kind=nosuch&name=one&way=webhook&target=https%3A%2F%2Fx.org&pace=daily",
            422,
        ),
        (
            "kind=package&name=one&way=webhook&target=http%3A%2F%2F127.0.0.1%2F&pace=daily",
            422,
        ),
        (
            "kind=package&name=one&way=webhook&target=file%3A%2F%2F%2Fetc%2Fpasswd&pace=daily",
            422,
        ),
        (
            "kind=package&name=one&way=webhook&target=https%3A%2F%2Fx.org&pace=often",
            422,
        ),
        ("kind=package&name=one&way=webhook&pace=daily", 422),
        (
            "kind=search&name=&way=webhook&target=https%3A%2F%2Fx.org&pace=daily",
            422,
        ),
        (
            "kind=package&name=one&way=mail&target=a%40example.org&pace=daily",
            422,
        ),
    ] {
        let answer = visitor.post(&server, "/subscribe", form);
        assert_eq!(answer.status, status, "{form}: {}", answer.body);
    }
    let mail = with_letters();
    let visitor = mail.log_in();
    let form = "kind=package&name=one&way=mail&target=a%40b%0ABcc%3A+c%40d&pace=daily";
    assert_eq!(visitor.post(&mail, "/subscribe", form).status, 422);
}

#[test]
fn nobody_ends_what_is_anothers() {
    let server = server();
    let (alice, bob) = (somebody(&server, 1, "alice"), somebody(&server, 2, "bob"));
    let form = format!("kind=package&name=one&{HOOK}");
    assert_eq!(alice.post(&server, "/subscribe", &form).status, 303);
    assert_eq!(
        bob.post(&server, "/unsubscribe", "subscription=1").status,
        404
    );
    assert!(
        !bob.get(&server, "/subscriptions")
            .body
            .contains("hooks.example.org")
    );
    assert!(
        alice
            .get(&server, "/subscriptions")
            .body
            .contains("hooks.example.org")
    );
    let origin = format!("http://{}", server.address);
    let headers = [("Cookie", alice.cookie.as_str()), ("Origin", &origin)];
    assert_eq!(
        server
            .post("/unsubscribe", &headers, "subscription=1")
            .status,
        403,
        "a form without its word"
    );
    assert_eq!(is_confirmed(&server), (true, false));
}

#[test]
fn letters_are_agreed_to_and_ended_by_link_without_a_login() {
    let server = with_letters();
    let visitor = server.log_in();
    let form = format!("kind=package&name=one&{MAIL}");
    let done = visitor.post(&server, "/subscribe", &form);
    assert_eq!(
        done.header("location"),
        Some("/subscriptions?done=asked"),
        "{}",
        done.body
    );
    let token = link(&server);
    let confirm = format!("/subscriptions/confirm?token={token}");
    let end = format!("/subscriptions/end?token={token}");
    // Programs that look at mail follow its links: that alone does nothing.
    for page in [&confirm, &end] {
        let read = server.get(page, &[]);
        assert_eq!(read.status, 200);
        assert_eq!(read.header("cache-control"), Some("no-store"));
        assert!(read.body.contains("package one") && read.body.contains("a@example.org"));
        assert_eq!(server.send("HEAD", page, &[], "").status, 200);
    }
    assert_eq!(is_confirmed(&server), (false, false));
    for wrong in ["", "1", "1.00", &token.replace('.', ".0"), "2.0"] {
        for page in ["confirm", "end"] {
            let path = format!("/subscriptions/{page}?token={wrong}");
            assert_eq!(server.get(&path, &[]).status, 404, "{path}");
            assert_eq!(server.post(&path, &[], "").status, 404, "{path}");
        }
    }
    assert_eq!(is_confirmed(&server), (false, false));
    let agreed = server.post("/subscriptions/confirm", &[], &format!("token={token}"));
    assert!(
        agreed.body.contains("You get these letters"),
        "{}",
        agreed.body
    );
    assert_eq!(is_confirmed(&server), (true, false));
    // As mail programs do it: one request, without a cookie, in this form.
    let body = "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n";
    let kind = [("Content-Type", "multipart/form-data; boundary=x")];
    assert_eq!(server.send("POST", &end, &kind, body).status, 200);
    assert_eq!(is_confirmed(&server), (true, true));
    let again = server.post(&end, &[], "List-Unsubscribe=One-Click");
    assert!(
        again.status == 200 && again.body.contains("You get no more"),
        "{}",
        again.body
    );
    assert_eq!(
        server.send("POST", &confirm, &kind, body).status,
        400,
        "that form is for ending only"
    );
    let late = server.post(&confirm, &[], "");
    assert_eq!(late.status, 200);
    assert_eq!(
        is_confirmed(&server),
        (true, true),
        "what is ended stays so"
    );
    assert!(server.get(&confirm, &[]).body.contains("You get no more"));
}

#[test]
fn programs_subscribe_with_a_token_that_may() {
    let server = server();
    let visitor = server.log_in();
    let token = |scopes: &str| visitor.token(&server, scopes);
    let (reads, subscribes) = (token("scope=read"), token("scope=subscribe"));
    let form = format!("kind=package&name=one&{HOOK}");
    let post =
        |token: &str, path: &str, form: &str| server.post(path, &[("Authorization", token)], form);
    assert_eq!(post(&reads, "/api/v1/subscribe", &form).status, 403);
    let made = post(&subscribes, "/api/v1/subscribe", &form);
    let made: serde_json::Value = serde_json::from_str(&made.body).unwrap();
    assert_eq!(
        (made["id"].as_i64(), made["confirmed"].as_bool()),
        (Some(1), Some(true))
    );
    assert_eq!(made["secret"].as_str().unwrap().len(), 50);
    let list = |token: &str| server.get("/api/v1/subscriptions", &[("Authorization", token)]);
    assert_eq!(list(&reads).status, 403);
    let listed = list(&subscribes).body;
    assert!(
        !listed.contains(made["secret"].as_str().unwrap()),
        "told once"
    );
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["subscriptions"][0]["pace"], "daily");
    assert_eq!(
        post(&subscribes, "/api/v1/unsubscribe", "subscription=1").status,
        200
    );
    assert_eq!(
        post(&subscribes, "/api/v1/unsubscribe", "subscription=2").status,
        404
    );
}

/// What the description of the API says of forms is so: each is there, and needs its scope.
#[test]
fn forms_of_the_api_need_their_scopes() {
    let mut settings = Settings::local();
    settings.limits.writing = snowguard_web::Rate {
        burst: 1_000,
        per_second: 1_000.0,
    };
    let server = Server::over(Scratch::sqlite().unwrap(), |_| settings, fill);
    let visitor = server.log_in();
    let mut tokens = std::collections::HashMap::new();
    for scope in ["read", "triage", "publish", "subscribe"] {
        tokens.insert(scope, visitor.token(&server, &format!("scope={scope}")));
    }
    let described: serde_json::Value =
        serde_json::from_str(&snowguard_web::openapi().unwrap()).unwrap();
    let mut forms = 0;
    for (path, item) in described["paths"].as_object().unwrap() {
        let Some(post) = item.get("post") else {
            continue;
        };
        forms += 1;
        assert_eq!(server.post(path, &[], "").status, 401, "{path}");
        let needed = post["security"][0]["token"][0].as_str().unwrap();
        for (scope, token) in &tokens {
            let status = server.post(path, &[("Authorization", token)], "").status;
            // With the right one, the form is read, and lacks everything.
            let is_let_in = matches!(status, 404 | 422);
            assert_eq!(is_let_in, *scope == needed, "{path} with {scope}: {status}");
            assert!(is_let_in || status == 403, "{path} with {scope}: {status}");
        }
    }
    assert_eq!(forms, 13);
}

#[test]
fn what_is_new_is_a_feed() {
    let server = server();
    for (page, feed) in [
        ("/packages/one", "/atom/packages/one"),
        ("/maintainers/someone", "/atom/maintainers/someone"),
        (
            "/advisories/CVE-2026-0001",
            "/atom/advisories/CVE-2026-0001",
        ),
        ("/channels/nixos-26.05", "/atom/channels/nixos-26.05"),
        ("/search?q=CVE-2026-0001", "/atom/search?q=CVE-2026-0001"),
        ("/activity", "/atom/activity"),
    ] {
        let read = server.get(page, &[]).body;
        assert!(read.contains(&format!("rel=\"alternate\" type=\"application/atom+xml\" title=\"What is new\" href=\"{feed}\"")), "{page}");
        let answer = server.get(feed, &[]);
        assert_eq!(answer.status, 200, "{feed}: {}", answer.body);
        assert_eq!(answer.header("content-type"), Some("application/atom+xml"));
        assert!(
            answer.body.contains("CVE-2026-0001: affected"),
            "{feed}: {}",
            answer.body
        );
        let tag = answer.header("etag").unwrap();
        assert_eq!(server.get(feed, &[("If-None-Match", tag)]).status, 304);
    }
    for (wrong, status) in [
        ("/atom/packages/nosuch", 404),
        ("/atom/search", 400),
        ("/atom/nosuch", 404),
        ("/atom", 404),
    ] {
        assert_eq!(server.get(wrong, &[]).status, status, "{wrong}");
    }
}
