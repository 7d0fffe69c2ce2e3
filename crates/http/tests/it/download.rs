//! Files: resumed, checked, bounded.

use sha2::{Digest as _, Sha256};
use snowguard_testkit::web::Fault;

use super::*;

fn digest(bytes: &[u8]) -> Expected {
    Expected {
        sha256: Some(Sha256::digest(bytes).into()),
        ..ANY
    }
}

#[test]
fn what_broke_off_goes_on_where_it_stopped() {
    let web = Web::start().unwrap();
    let body = bytes(10_000);
    web.put("/a", body.clone());
    web.fail("/a", [Fault::Cut(4_000), Fault::Cut(3_000)]);
    let place = Place::new();
    let client = client(quick());
    let whole = place
        .download(&client, &web.url("/a"), digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!((whole.length, whole.kept), (10_000, 0));
    assert_eq!(client.received(), 10_000, "nothing is fetched twice");
    assert_eq!(place.content(), body);
    assert_eq!(place.names(), ["file"]);
    let ranges: Vec<_> = web
        .seen()
        .iter()
        .map(|r| r.header("range").map(str::to_owned))
        .collect();
    assert_eq!(
        ranges,
        [None, Some("bytes=4000-".into()), Some("bytes=7000-".into())]
    );
}

/// As after `kill -9`: only the files are left.
#[test]
fn another_run_goes_on_too() {
    let web = Web::start().unwrap();
    let body = bytes(10_000);
    web.put("/a", body.clone());
    web.fail_always("/a", Fault::Cut(2_000));
    let place = Place::new();
    let once = Settings {
        attempts: 1,
        ..quick()
    };
    let error = place
        .download(&client(once), &web.url("/a"), ANY)
        .unwrap_err();
    insta::assert_snapshot!(told(&error, &web), @r"
    HOST broke off http://HOST/a after 2000 bytes
    hint: run it again: what has arrived is kept, and the download goes on from there
    ");
    assert_eq!(place.names(), ["file.part", "file.part.of"]);
    web.heal();
    let whole = place
        .download(&client(quick()), &web.url("/a"), digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!((whole.length, whole.kept), (10_000, 2_000));
    assert_eq!(place.content(), body);
}

#[test]
fn a_part_of_another_edition_is_thrown_away() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(10_000));
    web.fail("/a", [Fault::Cut(2_000)]);
    let place = Place::new();
    let once = Settings {
        attempts: 1,
        ..quick()
    };
    place
        .download(&client(once.clone()), &web.url("/a"), ANY)
        .unwrap_err();
    let new = bytes(9_000).split_off(1_000);
    web.put("/a", new.clone());
    let whole = place
        .download(&client(once), &web.url("/a"), digest(&new))
        .unwrap()
        .unwrap();
    assert_eq!((whole.length, whole.kept), (8_000, 0));
    assert_eq!(place.content(), new);
}

#[test]
fn a_server_without_ranges_is_asked_for_all() {
    let web = Web::start().unwrap();
    let body = bytes(10_000);
    web.put("/a", body.clone());
    web.fail("/a", [Fault::Cut(2_000), Fault::NoRange]);
    let place = Place::new();
    place
        .download(&client(quick()), &web.url("/a"), digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!(place.content(), body);
}

#[test]
fn the_end_of_a_shorter_edition_begins_anew() {
    let web = Web::start().unwrap();
    web.put_with(
        "/a",
        bytes(10_000),
        &[],
        Some("Fri, 20 Nov 2026 12:00:00 GMT"),
    );
    web.fail("/a", [Fault::Cut(9_000)]);
    let place = Place::new();
    let once = Settings {
        attempts: 1,
        ..quick()
    };
    place
        .download(&client(once), &web.url("/a"), ANY)
        .unwrap_err();
    // 416, as from a server that does not understand If-Range.
    web.fail("/a", [Fault::Status(416, vec![])]);
    let whole = place
        .download(&client(quick()), &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    assert_eq!((whole.length, whole.kept), (10_000, 0));
}

/// The rest of today's file is not put behind the beginning of yesterday's.
#[test]
fn a_server_that_joins_two_editions_is_not_believed() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(10_000));
    web.fail("/a", [Fault::Cut(2_000), Fault::NoIfRange]);
    let place = Place::new();
    let once = Settings {
        attempts: 1,
        ..quick()
    };
    place
        .download(&client(once), &web.url("/a"), ANY)
        .unwrap_err();
    let new = bytes(9_000).split_off(1_000);
    web.put("/a", new.clone());
    let whole = place
        .download(&client(quick()), &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    assert_eq!((whole.length, whole.kept), (8_000, 0));
    assert_eq!(place.content(), new);
}

/// As after `kill -9` between the last byte and the name, or while the file was read.
#[test]
fn what_is_whole_is_not_fetched_again() {
    let web = Web::start().unwrap();
    let body = bytes(10_000);
    web.put("/a", body.clone());
    let place = Place::new();
    let first = place
        .download(&client(quick()), &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    first.put_back(&place.path("file"), &address(&web.url("/a")));
    assert_eq!(place.names(), ["file.part", "file.part.of"]);
    let again = client(quick());
    let whole = place
        .download(&again, &web.url("/a"), digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!((again.received(), whole.kept), (0, 10_000));
    assert_eq!(whole.conditions, first.conditions);
    assert_eq!(place.content(), body);
    web.seen();
    // With its name, it is known by what is published of it.
    let whole = place
        .download(&again, &web.url("/a"), digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!((whole.kept, web.seen().len()), (10_000, 0));
    place
        .download(&again, &web.url("/a"), digest(b"else"))
        .unwrap_err();

    // And it is not taken for another edition of the same length.
    let again = place
        .download(&client(quick()), &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    again.put_back(&place.path("file"), &address(&web.url("/a")));
    let mut other = body;
    other[5_000] ^= 1;
    web.put("/a", other.clone());
    place
        .download(&client(quick()), &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    assert_eq!(place.content(), other);
}

/// A length that is published bounds what comes, whatever else may be allowed.
#[test]
fn no_more_comes_than_is_published() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(1_000));
    web.fail_always("/a", Fault::Endless);
    let place = Place::new();
    let client = client(quick());
    let expected = Expected {
        length: Some(20_000),
        sha256: None,
        limit: 1 << 40,
    };
    let error = place
        .download(&client, &web.url("/a"), expected)
        .unwrap_err();
    assert!(
        matches!(error, HttpError::TooLarge { limit: 20_000, .. }),
        "{error:?}"
    );
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn wrong_bytes_are_not_kept() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(1_000));
    let place = Place::new();
    let client = client(quick());
    let ask = |expected: Expected| {
        let error = place
            .download(&client, &web.url("/a"), expected)
            .unwrap_err();
        assert_eq!(place.names(), [""; 0]);
        told(&error, &web)
    };
    insta::assert_snapshot!(ask(digest(b"else")), @"
    http://HOST/a has the SHA-256 59425e4412e296fc74736673ce067027f384203f59c0d2c3e6be7b13347b3ffc; 7dd530c4d36da47cd33396718ef1fa1e8c0f7d91ee551d7fdc1c73aa65edb454 is published
    hint: the file was damaged or replaced on the way; try again, and if it stays so, use another mirror
    ");
    insta::assert_snapshot!(ask(Expected { length: Some(999), ..ANY }), @r"
    http://HOST/a has 1000 bytes; 999 are published
    hint: the file was damaged or replaced on the way; try again, and if it stays so, use another mirror
    ");
    insta::assert_snapshot!(ask(Expected { limit: 999, ..ANY }), @r"
    http://HOST/a is larger than 999 bytes
    hint: this is not what that address should serve; check it
    ");
    web.fail_always("/a", Fault::Endless);
    insta::assert_snapshot!(ask(ANY), @r"
    http://HOST/a is larger than 1048576 bytes
    hint: this is not what that address should serve; check it
    ");
}

#[test]
fn a_length_that_is_not_kept_is_a_cut() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(1_000));
    web.fail_always("/a", Fault::Length(2_000));
    let place = Place::new();
    let once = Settings {
        attempts: 1,
        ..quick()
    };
    let error = place
        .download(&client(once), &web.url("/a"), ANY)
        .unwrap_err();
    assert!(
        matches!(
            error,
            HttpError::Cut {
                received: 1_000,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_body_that_drips_is_told() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(1_000));
    web.fail_always("/a", Fault::Drip(1, Duration::from_millis(20)));
    let settings = Settings {
        stall: Duration::from_millis(300),
        attempts: 1,
        ..quick()
    };
    let place = Place::new();
    let error = place
        .download(&client(settings), &web.url("/a"), ANY)
        .unwrap_err();
    assert!(matches!(error, HttpError::Stalled { .. }), "{error:?}");
    assert_eq!(
        place.names(),
        ["file.part", "file.part.of"],
        "what arrived is kept"
    );
}

#[test]
fn only_a_new_edition_is_fetched() {
    let web = Web::start().unwrap();
    web.put("/a", "one");
    let place = Place::new();
    let client = client(quick());
    let whole = place
        .download(&client, &web.url("/a"), ANY)
        .unwrap()
        .unwrap();
    let again = |conditions: &Conditions| {
        client.download(
            &Download {
                address: &address(&web.url("/a")),
                to: &place.path("other"),
                conditions: Some(conditions),
                headers: &[],
                expected: ANY,
            },
            &mut |_| (),
        )
    };
    assert_eq!(again(&whole.conditions).unwrap(), None);
    assert_eq!(place.names(), ["file"]);
    web.put("/a", "two");
    assert!(again(&whole.conditions).unwrap().is_some());
}

#[test]
fn a_mirror_may_be_a_folder() {
    let place = Place::new();
    let body = bytes(600_000);
    std::fs::write(place.path("a"), &body).unwrap();
    let url = format!("file://{}", place.path("a"));
    let client = client(quick());
    place
        .download(&client, &url, digest(&body))
        .unwrap()
        .unwrap();
    assert_eq!(place.content(), body);
    let error = place.download(&client, &url, digest(b"else")).unwrap_err();
    assert!(matches!(error, HttpError::Digest { .. }));
    let small = Expected { limit: 10, ..ANY };
    assert!(matches!(
        place.download(&client, &url, small),
        Err(HttpError::TooLarge { .. })
    ));
    assert_eq!(place.names(), ["a", "file"]);
}
