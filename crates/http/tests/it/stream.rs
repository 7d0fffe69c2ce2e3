//! Documents piece by piece.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};

use snowguard_http::{Question, Stream};
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
        question: None,
        redirects: 3,
        cookies,
        statuses: &[],
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

#[test]
fn which_statuses_are_the_document_is_for_who_asks() {
    let (web, client) = (Web::start().unwrap(), client(quick()));
    let answer = |status, location: Option<&str>| {
        let location = location.map(|to| ("Location".to_owned(), to.to_owned()));
        Some(Answer {
            status,
            headers: location.into_iter().collect(),
            body: b"body".to_vec(),
        })
    };
    web.answer_with(move |request| match request.path.as_str() {
        "/none" => answer(302, None),
        "/empty" => answer(302, Some("")),
        "/choices" => answer(300, None),
        "/other" => answer(203, None),
        "/odd" => answer(999, None),
        "/ftp" => answer(302, Some("ftp://x.org/x")),
        "/away" => answer(305, Some("/other")),
        _ => None,
    });
    let of = |path: &str, statuses: &[u16]| {
        let address = address(&web.url(path));
        let wanted = Stream {
            address: &address,
            limit: 100,
            headers: &[],
            question: None,
            redirects: 3,
            cookies: false,
            statuses,
        };
        let mut body = Vec::new();
        let outcome = client.stream(&wanted, &mut Vec::new(), &mut |told, piece| {
            // The head comes before anything else does.
            if piece.is_empty() {
                body.extend_from_slice(format!("{} ", told.status).as_bytes());
            }
            body.extend_from_slice(piece);
            ControlFlow::Continue(())
        });
        match outcome {
            Ok(_) => String::from_utf8(body).unwrap(),
            Err(error) => error.to_string().replace(&address.host(), "HOST"),
        }
    };
    let all = [
        "/none", "/empty", "/choices", "/other", "/odd", "/ftp", "/away",
    ];
    let told = |statuses: &[u16]| all.map(|path| of(path, statuses)).join("\n");
    insta::assert_snapshot!(told(&[]), @r"
    302 body
    302 body
    300 body
    203 body
    HOST answered 999 <unknown status code> to http://HOST/odd
    HOST leads from http://HOST/ftp to ftp://x.org/x, which is not spoken here
    203 body
    ");
    insta::assert_snapshot!(told(&[200, 203]), @r"
    HOST answered 302 Found to http://HOST/none
    HOST answered 302 Found to http://HOST/empty
    HOST answered 300 Multiple Choices to http://HOST/choices
    203 body
    HOST answered 999 <unknown status code> to http://HOST/odd
    HOST leads from http://HOST/ftp to ftp://x.org/x, which is not spoken here
    203 body
    ");
    // A program that knows nothing of encodings says nothing of them.
    assert!(
        web.seen()
            .iter()
            .all(|seen| seen.header("accept-encoding").is_none())
    );
}

/// A server that keeps connections, and leaves something behind the first answer of each; how many connections and how
/// many requests there were.
fn littering(first: &'static [u8]) -> (String, Arc<(AtomicUsize, AtomicUsize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x", listener.local_addr().unwrap());
    let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = Arc::clone(&counts);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            counted.0.fetch_add(1, Ordering::SeqCst);
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut out = stream.try_clone().unwrap();
                let mut lines = BufReader::new(stream).lines();
                let mut answered = 0;
                while let Some(Ok(line)) = lines.next() {
                    if !line.is_empty() {
                        continue;
                    }
                    counted.1.fetch_add(1, Ordering::SeqCst);
                    let right = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright";
                    // What it leaves behind comes with the next answer, as it may.
                    let bytes = match answered {
                        0 => first.to_vec(),
                        _ => [b"litter", &right[..]].concat(),
                    };
                    out.write_all(&bytes).unwrap();
                    answered += 1;
                }
            });
        }
    });
    (url, counts)
}

#[test]
fn what_an_answer_left_on_a_connection_is_not_the_next_ones() {
    let (url, counts) = littering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nright");
    let client = client(quick());
    for _ in 0..3 {
        let (outcome, body, _) = stream(&client, &url, 100);
        assert_eq!(outcome.unwrap(), Some(5));
        assert_eq!(body, b"right");
    }
    // The second request met what the first answer left, and was made once more on a connection of its own.
    assert!(counts.0.load(Ordering::SeqCst) >= 2);
    assert!(counts.1.load(Ordering::SeqCst) >= 4);
}

#[test]
fn what_makes_no_sense_on_a_new_connection_is_not_asked_for_again() {
    let (url, counts) = littering(b"litter");
    let client = client(quick());
    let (outcome, ..) = stream(&client, &url, 100);
    assert!(matches!(outcome, Err(HttpError::Garbled { .. })));
    assert_eq!(counts.1.load(Ordering::SeqCst), 1);
}

#[test]
fn a_question_is_asked_again_where_it_is_led() {
    let (web, client) = (Web::start().unwrap(), client(quick()));
    web.fail_always("/a", Fault::Redirect("/b".into()));
    web.answer_with(|request| {
        let is_asked = request.method == "POST" && request.path == "/b";
        is_asked.then(|| Answer {
            status: 200,
            headers: Vec::new(),
            body: request.body.clone(),
        })
    });
    let address = address(&web.url("/a"));
    let wanted = Stream {
        address: &address,
        limit: 100,
        headers: &[],
        question: Some(Question {
            body: b"what?",
            kind: "text/x-question",
        }),
        redirects: 1,
        cookies: false,
        statuses: &[200],
    };
    let mut body = Vec::new();
    let outcome = client.stream(&wanted, &mut Vec::new(), &mut |_, piece| {
        body.extend_from_slice(piece);
        ControlFlow::Continue(())
    });
    assert_eq!((outcome.unwrap(), &*body), (Some(5), &b"what?"[..]));
    for request in web.seen() {
        assert_eq!(request.method, "POST");
        for name in ["content-type", "accept"] {
            assert_eq!(request.header(name), Some("text/x-question"));
        }
    }
}
