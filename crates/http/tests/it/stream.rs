//! Documents piece by piece.

use std::ops::ControlFlow;

use snowguard_http::Stream;
use snowguard_testkit::web::{Answer, Fault};

use super::*;

fn stream(
    client: &Client,
    url: &str,
    limit: u64,
) -> (Result<Option<u64>, HttpError>, Vec<u8>, Vec<String>) {
    stream_with(client, url, limit, false)
}

fn stream_with(
    client: &Client,
    url: &str,
    limit: u64,
    cookies: bool,
) -> (Result<Option<u64>, HttpError>, Vec<u8>, Vec<String>) {
    let (mut body, mut hops) = (Vec::new(), Vec::new());
    let address = address(url);
    let wanted = Stream {
        address: &address,
        limit,
        headers: &[],
        redirects: 3,
        cookies,
    };
    let outcome = client.stream(&wanted, &mut hops, &mut |_, piece| {
        body.extend_from_slice(piece);
        ControlFlow::Continue(())
    });
    let base = address.host();
    let hops = hops
        .iter()
        .map(|hop| hop.to_string().replace(&base, "HOST"));
    (outcome, body, hops.collect())
}

#[test]
fn redirects_are_told() {
    let (web, client) = (Web::start().unwrap(), client(quick()));
    web.put("/c", b"bytes");
    web.fail_always("/a", Fault::Redirect("/b".into()));
    web.fail_always("/b", Fault::Redirect(format!("{}/c", web.base())));
    let (outcome, body, hops) = stream(&client, &web.url("/a"), 100);
    assert_eq!(outcome.unwrap(), Some(5));
    assert_eq!(body, b"bytes");
    assert_eq!(hops, ["http://HOST/b", "http://HOST/c"]);
    web.fail_always("/loop", Fault::Redirect("/loop".into()));
    let (outcome, _, hops) = stream(&client, &web.url("/loop"), 100);
    let error = outcome.unwrap_err().to_string();
    assert!(error.ends_with("one redirect too many"), "{error}");
    assert_eq!(hops.len(), 3);
    web.fail_always("/file", Fault::Redirect("file:///etc/passwd".into()));
    let (outcome, ..) = stream(&client, &web.url("/file"), 100);
    let error = outcome.unwrap_err().to_string();
    assert!(
        error.ends_with("which is a file of this machine"),
        "{error}"
    );
}

#[test]
fn cookies_of_redirects_are_sent_where_they_are_wanted() {
    let (web, client) = (Web::start().unwrap(), client(quick()));
    web.answer_with(|request| {
        let is_known = request.header("cookie") == Some("session=1");
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Some(Answer {
            status: if is_known { 200 } else { 302 },
            headers: if is_known {
                Vec::new()
            } else {
                vec![
                    header("Location", "/x"),
                    header("Set-Cookie", "session=1; Path=/; HttpOnly"),
                ]
            },
            body: if is_known {
                b"right".to_vec()
            } else {
                Vec::new()
            },
        })
    });
    let (outcome, body, hops) = stream_with(&client, &web.url("/x"), 100, true);
    assert_eq!(outcome.unwrap(), Some(5));
    assert_eq!((&*body, hops.len()), (&b"right"[..], 1));
    // Another document knows nothing of it.
    let (outcome, ..) = stream(&client, &web.url("/x"), 100);
    assert!(outcome.is_err());
}

#[test]
fn nothing_is_tried_again_and_limits_hold() {
    let (web, client) = (Web::start().unwrap(), client(quick()));
    web.put("/x", vec![7; 50]);
    let (outcome, body, _) = stream(&client, &web.url("/x"), 49);
    assert!(matches!(outcome, Err(HttpError::TooLarge { .. })));
    assert!(body.is_empty());
    web.fail_always("/x", Fault::Endless);
    let (outcome, ..) = stream(&client, &web.url("/x"), 49);
    assert!(matches!(outcome, Err(HttpError::TooLarge { .. })));
    web.fail_always("/x", Fault::Cut(10));
    web.seen();
    let (outcome, body, _) = stream(&client, &web.url("/x"), 50);
    let error = outcome.unwrap_err();
    assert!(error.is_passing(), "{error}");
    assert_eq!((body.len(), web.seen().len()), (10, 1));
    let (outcome, ..) = stream(&client, &web.url("/none"), 50);
    let error = outcome.unwrap_err();
    assert!(error.is_missing() && !error.is_passing());
}
