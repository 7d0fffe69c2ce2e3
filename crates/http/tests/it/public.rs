//! Addresses that strangers choose lead to the public network only.

use super::*;
use snowguard_http::Post;

fn strict() -> Client {
    client(Settings {
        public_only: true,
        ..quick()
    })
}

/// Every spelling of this machine, and what a name of it resolves to.
#[test]
fn this_machine_is_not_reached_under_any_name() {
    let web = Web::start().unwrap();
    web.put("/secret", "secret");
    let port = web.base().rsplit(':').next().unwrap().to_owned();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0.0.0.0",
        "0",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
    ] {
        let url = format!("http://{host}:{port}/secret");
        let error = get(&strict(), &url).unwrap_err();
        assert!(
            matches!(error, HttpError::NotPublic { .. }),
            "{host}: {error:?}"
        );
        assert!(error.hint().is_some());
        let error = strict()
            .post(&Post {
                address: &address(&url),
                body: b"",
                content_type: "text/plain",
                headers: &[],
                idempotency_key: None,
                limit: 1,
            })
            .unwrap_err();
        assert!(
            matches!(error, HttpError::NotPublic { .. }),
            "{host}: {error:?}"
        );
    }
    assert!(web.seen().is_empty());
    // The same client without that setting reaches it.
    assert!(get(&client(quick()), &web.url("/secret")).is_ok());
}

#[test]
fn files_are_not_read() {
    let place = Place::new();
    std::fs::write(place.path("secret"), "secret").unwrap();
    let error = get(&strict(), &format!("file://{}", place.path("secret"))).unwrap_err();
    assert!(matches!(error, HttpError::NotPublic { .. }), "{error:?}");
}
