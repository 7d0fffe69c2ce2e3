//! Small documents: conditions, tries, redirects, limits.

use std::sync::atomic::Ordering;

use snowguard_testkit::web::Fault;

use super::*;

#[test]
fn a_document_and_the_same_again() {
    let web = Web::start().unwrap();
    web.put_with(
        "/a",
        "hello",
        &[("Link", "<http://x/2>; rel=\"next\"")],
        None,
    );
    let client = client(quick());
    let page = get(&client, &web.url("/a")).unwrap().unwrap();
    assert_eq!(page.body, b"hello");
    assert_eq!(page.links, ["<http://x/2>; rel=\"next\""]);
    assert_eq!(client.received(), 5);
    let again = client.get(&Get {
        address: &address(&web.url("/a")),
        limit: 1_000,
        conditions: Some(&page.conditions),
        headers: &[("Accept", "text/plain")],
    });
    assert!(again.unwrap().is_none());
    let seen = web.seen();
    assert_eq!(seen[0].header("user-agent"), Some("test"));
    assert_eq!(seen[0].header("accept-encoding"), Some("identity"));
    assert_eq!(seen[1].header("accept"), Some("text/plain"));
}

#[test]
fn faults_that_pass_are_tried_again() {
    let web = Web::start().unwrap();
    web.put("/a", "hello");
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    for faults in [
        vec![Fault::Status(503, vec![]), Fault::Status(500, vec![])],
        vec![Fault::Status(429, vec![("Retry-After", "0".into())])],
        vec![Fault::Status(429, vec![("Retry-After", date.to_string())])],
        vec![Fault::Status(408, vec![]), Fault::Status(425, vec![])],
        vec![Fault::Cut(2), Fault::Garbage(vec![])],
        vec![Fault::Status(
            403,
            vec![
                ("x-ratelimit-remaining", "0".into()),
                (
                    "x-ratelimit-reset",
                    jiff::Timestamp::now().as_second().to_string(),
                ),
            ],
        )],
    ] {
        let count = faults.len();
        web.fail("/a", faults.clone());
        let page = get(&client(quick()), &web.url("/a")).unwrap().unwrap();
        assert_eq!(page.body, b"hello", "{faults:?}");
        assert_eq!(web.seen().len(), count + 1, "{faults:?}");
    }
}

#[test]
fn the_pause_is_as_long_as_the_server_asks() {
    let web = Web::start().unwrap();
    web.put("/a", "hello");
    web.fail(
        "/a",
        [Fault::Status(429, vec![("Retry-After", "1".into())])],
    );
    let mut pauses = Vec::new();
    let place = Place::new();
    let whole = client(quick()).download(
        &Download {
            address: &address(&web.url("/a")),
            to: &place.path("file"),
            conditions: None,
            headers: &[],
            expected: ANY,
        },
        &mut |event| {
            if let Event::Again { after, .. } = event {
                pauses.push(after);
            }
        },
    );
    assert_eq!(whole.unwrap().unwrap().length, 5);
    assert_eq!(pauses, [Duration::from_secs(1)]);
}

#[test]
fn what_does_not_pass_is_told_at_once() {
    let web = Web::start().unwrap();
    let ask = |fault: Fault| {
        web.fail_always("/a", fault);
        let error = get(&client(quick()), &web.url("/a")).unwrap_err();
        let tries = web.seen().len();
        format!("{}\n({tries} tries)", told(&error, &web))
    };
    insta::assert_snapshot!(ask(Fault::Status(404, vec![])), @r"
    HOST answered 404 Not Found to http://HOST/a
    hint: check the address of the mirror; feeds move at times
    (1 tries)
    ");
    insta::assert_snapshot!(ask(Fault::Status(503, vec![])), @r"
    HOST answered 503 Service Unavailable to http://HOST/a
    hint: try again later, or use a mirror
    (3 tries)
    ");
    insta::assert_snapshot!(ask(Fault::Garbage(b"SSH-2.0-nothing\r\n".to_vec())), @r"
    HOST gave an answer that makes no sense: error sending request: client error (SendRequest): invalid HTTP version parsed
    hint: a proxy or a portal may have answered in its place; check HTTPS_PROXY
    (1 tries)
    ");
    insta::assert_snapshot!(ask(Fault::Redirect(web.url("/a?token=hunter2"))), @r"
    HOST leads from http://HOST/a to http://HOST/a, one redirect too many
    hint: check the address; if it has moved for good, set the new one
    (11 tries)
    ");
    insta::assert_snapshot!(ask(Fault::Endless), @r"
    http://HOST/a is larger than 1000 bytes
    hint: this is not what that address should serve; check it
    (1 tries)
    ");
    let later = ask(Fault::Status(429, vec![("Retry-After", "86400".into())]));
    assert!(later.starts_with("HOST asks to wait until 2"), "{later}");
    assert!(later.ends_with("(1 tries)"), "{later}");
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let web = Web::start().unwrap();
    web.put("/a", "hello");
    let url = web
        .url("/a?token=hunter2")
        .replace("://", "://user:hunter2@");
    let page = get(&client(quick()), &url).unwrap().unwrap();
    assert_eq!(page.body, b"hello");
    let seen = web.seen();
    assert!(
        seen[0]
            .header("authorization")
            .unwrap()
            .starts_with("Basic ")
    );
    web.fail_always("/a", Fault::Silence);
    let settings = Settings {
        stall: Duration::from_millis(50),
        connect_timeout: Duration::from_millis(50),
        attempts: 1,
        ..quick()
    };
    let mut errors = vec![get(&client(settings), &url).unwrap_err()];
    for fault in [
        Fault::Status(500, vec![]),
        Fault::Garbage(b"x\r\n\r\n".to_vec()),
        Fault::Endless,
    ] {
        web.fail_always("/a", fault);
        errors.push(get(&client(quick()), &url).unwrap_err());
    }
    errors.push(get(&client(quick()), "http://user:hunter2@127.0.0.1:1/?hunter2").unwrap_err());
    for error in errors {
        let text = format!("{} {error:?}", told(&error, &web));
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn who_stops_need_not_wait() {
    let web = Web::start().unwrap();
    web.fail_always("/a", Fault::Silence);
    let stop = Arc::new(AtomicBool::new(false));
    let client = Client::new(quick(), Arc::clone(&stop)).unwrap();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| get(&client, &web.url("/a")));
        while web.seen().is_empty() {
            std::thread::sleep(Duration::from_millis(5));
        }
        stop.store(true, Ordering::Relaxed);
        assert!(matches!(
            asking.join().unwrap(),
            Err(HttpError::Interrupted)
        ));
    });
}

/// As slow as no mirror is, but never silent: small documents are no exception.
#[test]
fn a_body_that_drips_is_told() {
    let web = Web::start().unwrap();
    web.put("/a", bytes(900));
    web.fail_always("/a", Fault::Drip(1, Duration::from_millis(20)));
    let settings = Settings {
        stall: Duration::from_millis(300),
        attempts: 1,
        ..quick()
    };
    let error = get(&client(settings), &web.url("/a")).unwrap_err();
    assert!(matches!(error, HttpError::Stalled { .. }), "{error:?}");
}

#[test]
fn a_mirror_may_be_a_folder() {
    let place = Place::new();
    std::fs::write(place.path("a"), "hello").unwrap();
    let client = client(quick());
    let url = format!("file://{}", place.path("a"));
    let page = get(&client, &url).unwrap().unwrap();
    assert_eq!(page.body, b"hello");
    let known = Get {
        address: &address(&url),
        limit: 1_000,
        conditions: Some(&page.conditions),
        headers: &[],
    };
    assert!(client.get(&known).unwrap().is_none());
    std::fs::write(place.path("a"), "hello again").unwrap();
    assert!(client.get(&known).unwrap().is_some());
    let short = Get { limit: 3, ..known };
    assert!(matches!(
        client.get(&short),
        Err(HttpError::TooLarge { .. })
    ));
    let error = get(&client, &format!("file://{}", place.path("none"))).unwrap_err();
    assert_eq!(error.hint(), Some("check the path of the mirror"));
}
