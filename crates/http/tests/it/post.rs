//! Sending: once, or again with a key that says so.

use snowguard_http::Post;
use snowguard_testkit::web::Fault;

use super::*;

fn send(web: &Web, key: Option<&str>) -> Result<Page, HttpError> {
    client(quick()).post(&Post {
        address: &address(&web.url("/in")),
        body: b"{}",
        content_type: "application/json",
        headers: &[("Authorization", "Bearer x")],
        idempotency_key: key,
        limit: 1_000,
    })
}

#[test]
fn a_document_is_sent() {
    let web = Web::start().unwrap();
    web.put("/in", "taken");
    assert_eq!(send(&web, Some("k1")).unwrap().body, b"taken");
    let seen = web.seen();
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].body, b"{}");
    for (name, value) in [
        ("content-type", "application/json"),
        ("authorization", "Bearer x"),
        ("idempotency-key", "k1"),
    ] {
        assert_eq!(seen[0].header(name), Some(value));
    }
}

/// What may have been taken is sent again only if the receiver can tell that it is the same.
#[test]
fn doubtful_faults_are_repeated_with_a_key_only() {
    let web = Web::start().unwrap();
    for fault in [
        Fault::Status(500, vec![]),
        Fault::Garbage(vec![]),
        Fault::Cut(0),
    ] {
        web.put("/in", "taken");
        web.fail("/in", [fault.clone()]);
        send(&web, Some("k1")).unwrap();
        assert_eq!(web.seen().len(), 2, "{fault:?}");
        web.fail("/in", [fault.clone()]);
        send(&web, None).unwrap_err();
        assert_eq!(web.seen().len(), 1, "{fault:?}");
    }
    web.fail("/in", [Fault::Status(429, vec![])]);
    send(&web, None).unwrap();
    assert_eq!(web.seen().len(), 2);
}

#[test]
fn a_post_is_not_led_elsewhere() {
    let web = Web::start().unwrap();
    web.put("/else", "");
    web.fail_always("/in", Fault::Redirect(web.url("/else")));
    let error = send(&web, Some("k1")).unwrap_err();
    assert!(matches!(error, HttpError::Status { .. }), "{error:?}");
    assert_eq!(web.seen().len(), 1);
}

/// It says how a thing shall be: to say it twice does no harm.
#[test]
fn a_change_is_sent_again_whatever_became_of_it() {
    let web = Web::start().unwrap();
    web.put("/in", "taken");
    web.fail("/in", [Fault::Garbage(vec![]), Fault::Status(500, vec![])]);
    let page = client(quick()).patch(&Post {
        address: &address(&web.url("/in")),
        body: b"{}",
        content_type: "application/json",
        headers: &[],
        idempotency_key: None,
        limit: 1_000,
    });
    assert_eq!(page.unwrap().body, b"taken");
    let methods: Vec<_> = web.seen().into_iter().map(|seen| seen.method).collect();
    assert_eq!(methods, ["PATCH", "PATCH", "PATCH"]);
}
