//! Plain HTTP in absolute form, and who may.

use snowguard_fod::policy::Exceptions;
use snowguard_proxy::{Mode, Session};
use snowguard_testkit::web::{Fault, Web};

use crate::support::{
    Client, Place, Running, authorization, get, host_of, inside, loopback, requests,
};

#[test]
fn a_body_passes_and_its_hash_is_the_verdict() {
    let web = Web::start().unwrap();
    web.put("/x.tar.gz", "what it should be");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x.tar.gz"), b"what it should be");
    let session = running.begin(&[&drv]);
    let got = running.curl(&session, &[&web.url("/x.tar.gz"), &web.url("/x.tar.gz")]);
    assert!(got.good, "{}", got.stderr);
    assert_eq!(got.answer.matches("what it should be").count(), 2);
    // What is between curl and the proxy does not get to the server.
    for seen in web.seen() {
        assert_eq!(seen.header("proxy-authorization"), None);
        assert_eq!(seen.header("proxy-connection"), None);
        assert_eq!(seen.header("host"), web.base().strip_prefix("http://"));
    }
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "ok");
    assert_eq!(verdict["received"], 34);
    let evidence = running.stop();
    let all = requests(&evidence);
    assert_eq!(all.len(), 2);
    assert_eq!(all[0]["body"]["matches"], true);
    assert_eq!(all[0]["verdict"], "allowed");
    assert_eq!(all[0]["attributed"], "token");
    assert_eq!(all[0]["derivations"][0], drv.as_str());
    assert_eq!(all[0]["because"], "exception: the servers of this test");
    assert!(
        !evidence
            .iter()
            .any(|line| line.to_string().contains(&session.token))
    );
}

#[test]
fn a_stale_hash_is_a_mismatch() {
    let web = Web::start().unwrap();
    web.put("/x-2.tar.gz", "the new version");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x-2.tar.gz"), b"the old version");
    let session = running.begin(&[&drv]);
    assert!(running.curl(&session, &[&web.url("/x-2.tar.gz")]).good);
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "mismatch");
    assert_eq!(verdict["got"].as_array().unwrap().len(), 1);
    assert_ne!(verdict["got"][0], verdict["declared"]);
}

#[test]
fn head_range_and_redirects_are_passed_through() {
    let web = Web::start().unwrap();
    web.put("/x", "0123456789");
    web.fail_always("/old", Fault::Redirect(web.url("/x?Signature=secret")));
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/old"), b"0123456789");
    let session = running.begin(&[&drv]);
    let head = running.curl(&session, &["--head", &web.url("/x")]);
    assert!(
        head.good && head.answer.to_lowercase().contains("content-length: 10"),
        "{}",
        head.answer
    );
    let part = running.curl(&session, &["--range", "7-", &web.url("/x")]);
    assert!(
        part.answer.ends_with("789") && part.answer.contains(" 206 "),
        "{}",
        part.answer
    );
    let led = running.curl(&session, &["--location", &web.url("/old")]);
    assert!(led.answer.ends_with("0123456789"), "{}", led.answer);
    assert_eq!(running.end(&session)["verdict"], "ok");
    let evidence = running.stop();
    let all = requests(&evidence);
    assert_eq!(all[1]["body"]["part"], true);
    assert_eq!(all[1]["body"].get("matches"), None);
    assert_eq!(all[2]["redirect"], format!("{}?Signature=…", web.url("/x")));
    assert_eq!(all[3]["url"], format!("{}?Signature=…", web.url("/x")));
    assert!(
        !evidence
            .iter()
            .any(|line| line.to_string().contains("secret"))
    );
}

#[test]
fn what_nothing_names_is_denied_and_told() {
    let (web, other) = (Web::start().unwrap(), Web::start().unwrap());
    other.put("/x", "secret of this network");
    let place = Place::new();
    // The derivation names both by their address; the policy says nothing of this network.
    let mut settings = place.settings(Mode::Tunnel, Exceptions::default());
    settings.resolve.insert(
        "rebound.example.org".to_owned(),
        "127.0.0.1".parse().unwrap(),
    );
    let running = Running::start(settings);
    let port = other.base().rsplit(':').next().unwrap().to_owned();
    let named = format!("http://rebound.example.org:{port}/x");
    let drv = place.drv("x", &format!("{} {named}", web.url("/x")), b"x");
    let session = running.begin(&[&drv]);
    let cases = [
        // Its own URL, at an address of this machine; a name that resolves to one; another host; an address.
        (web.url("/x"), "private-address"),
        (named, "private-address"),
        ("http://evil.example.org/x".to_owned(), "other-host"),
        (other.url("/x"), "other-port"),
        (
            "http://169.254.169.254/latest/meta-data".to_owned(),
            "address-literal",
        ),
        ("http://[::1]/x".to_owned(), "address-literal"),
        // curl makes 127.0.0.1 of it.
        ("http://2130706433/x".to_owned(), "other-port"),
        ("http://127.0.0.1.:1/x".to_owned(), "other-port"),
    ];
    for (url, reason) in &cases {
        let got = running.curl(&session, &[url]);
        assert!(
            got.answer.contains(" 403 "),
            "{url}: {} {}",
            got.answer,
            got.stderr
        );
        assert!(
            got.answer.contains(&format!("Snowguard-Reason: {reason}")),
            "{url}: {}",
            got.answer
        );
    }
    assert!(web.seen().is_empty() && other.seen().is_empty());
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "policy-denied");
    assert_eq!(verdict["denied"], cases.len());
    let evidence = running.stop();
    let all = requests(&evidence);
    assert!(all.iter().all(|line| line["verdict"] == "denied"));
    insta::assert_snapshot!(all[2]["detail"].as_str().unwrap(), @"
    nothing that it says names that host
    hint: if it belongs to this source, name it in an exception, or in the derivation's urls
    ");
}

#[test]
fn an_audit_denies_nothing_and_proposes() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Audit, Exceptions::default());
    settings.resolve.insert(
        "mirror.example.org".to_owned(),
        "127.0.0.1".parse().unwrap(),
    );
    let running = Running::start(settings);
    let port = web.base().rsplit(':').next().unwrap().to_owned();
    let drv = place.drv("source-1", "https://x.org/x", b"x");
    let session = running.begin(&[&drv]);
    let url = format!("http://mirror.example.org:{port}/x");
    let got = running.curl(&session, &[&url]);
    assert!(
        got.good && got.answer.ends_with('x'),
        "{} {}",
        got.answer,
        got.stderr
    );
    // Also without a token.
    let mut client = running.client();
    client.send(format!(
        "GET {url} HTTP/1.1\r\nHost: mirror.example.org:{port}\r\n\r\n"
    ));
    assert!(client.answer().ends_with("\r\n\r\nx"));
    drop(client);
    let evidence = running.stop();
    let all = requests(&evidence);
    assert_eq!(
        (&all[0]["verdict"], &all[0]["reason"]),
        (&"would-deny".into(), &"other-host".into())
    );
    assert_eq!(
        (&all[1]["verdict"], &all[1]["reason"]),
        (&"would-deny".into(), &"unattributed".into())
    );
    let seen: Vec<_> = evidence
        .iter()
        .filter_map(snowguard_proxy::evidence::proposal)
        .collect();
    let proposed = snowguard_fod::policy::propose(&seen, "2027-01-01".parse().unwrap());
    let hash = &proposed[proposed.find("/nix/store/").unwrap() + 11..][..32];
    let told = proposed.replace(&port, "PORT").replace(hash, "OUTPUT");
    insta::assert_snapshot!(told, @r#"
    [[exception]]
    output = "/nix/store/OUTPUT-source-1"
    hosts = ["mirror.example.org:PORT"]
    protocols = ["http"]
    reason = "proposed by an audit: say why"
    expires = 2027-01-01
    "#);
    Exceptions::parse(&proposed).unwrap();
}

#[test]
fn who_has_no_token_is_asked_for_one_and_gets_nothing() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let session = running.begin(&[&drv]);
    let host = host_of(&web);
    let mut client = running.client();

    // The connection stays, as libcurl wants it, which sends a token only when it is asked.
    client.send(get(&host, ""));
    let answer = client.answer();
    assert!(answer.starts_with("HTTP/1.1 407 "), "{answer}");
    assert!(answer.contains("Proxy-Authenticate: Basic"), "{answer}");
    for wrong in [
        authorization("0123"),
        "Proxy-Authorization: Bearer x\r\n".to_owned(),
        format!("{0}{0}", authorization(&session.token)),
    ] {
        client.send(get(&host, &wrong));
        assert!(client.answer().starts_with("HTTP/1.1 407 "));
    }
    assert!(web.seen().is_empty());
    client.send(get(&host, &authorization(&session.token)));
    assert!(client.answer().starts_with("HTTP/1.1 200 "));
    running.end(&session);
    // What is ended is no token any more, on any connection.
    client.send(get(&host, &authorization(&session.token)));
    assert!(client.answer().starts_with("HTTP/1.1 407 "));
    assert_eq!(web.seen().len(), 1);
}

#[test]
fn a_body_that_is_cut_is_not_made_whole() {
    let web = Web::start().unwrap();
    web.put("/x", vec![b'x'; 100_000]);
    web.fail("/x", [Fault::Cut(50_000)]);
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), &vec![b'x'; 100_000]);
    let session = running.begin(&[&drv]);
    let got = running.curl(&session, &[&web.url("/x")]);
    assert!(!got.good, "curl sees that it is cut");
    assert_eq!(running.end(&session)["verdict"], "transient");
    let evidence = running.stop();
    assert_eq!(requests(&evidence)[0]["body"]["whole"], false);
    assert_eq!(requests(&evidence)[0]["reason"], "cut");
}

#[test]
fn what_is_gone_and_what_fails_are_told_apart() {
    let web = Web::start().unwrap();
    web.fail_always("/busy", Fault::Status(503, Vec::new()));
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    for (path, verdict) in [("/gone", "gone"), ("/busy", "transient")] {
        let drv = place.drv("source", &web.url(path), b"x");
        let session = running.begin(&[&drv]);
        running.curl(&session, &[&web.url(path)]);
        assert_eq!(running.end(&session)["verdict"], verdict, "{path}");
    }
    let drv = place.drv("source", "http://nowhere.invalid/x", b"x");
    let session = running.begin(&[&drv]);
    let got = running.curl(&session, &["http://nowhere.invalid/x"]);
    assert!(
        got.answer.contains(" 502 ") && got.answer.contains("Snowguard-Reason: dns"),
        "{}",
        got.answer
    );
    assert_eq!(running.end(&session)["verdict"], "transient");
    let session = running.begin(&[&drv]);
    assert_eq!(running.end(&session)["verdict"], "nothing-fetched");
    let evidence = running.stop();
    let last = *requests(&evidence).last().unwrap();
    assert_eq!(
        (&last["host"], &last["reason"], last.get("address")),
        (&"nowhere.invalid".into(), &"dns".into(), None)
    );
}

/// Two that may reach a host of their own each, and a third one both.
fn two_that_share(mode: Mode, place: &Place, own: [&Web; 2], both: &Web) -> Running {
    let text = |name: &str, web: &Web| {
        format!(
            "[[exception]]\nderivation = \"{name}\"\nhosts = [\"{}\", \"{}\"]\nprotocols = [\"http\"]\n\
             reason = \"test\"\nexpires = 2999-01-01\n",
            host_of(web),
            host_of(both),
        )
    };
    let exceptions = format!("{}{}", text("one", own[0]), text("two", own[1]));
    Running::start(place.settings(mode, inside(&exceptions)))
}

#[test]
fn several_builds_that_share_a_token_may_what_all_of_them_may() {
    let webs = [(); 3].map(|()| Web::start().unwrap());
    for web in &webs {
        web.put("/x", "one");
    }
    let place = Place::new();
    let [one, two, both] = &webs;
    let running = two_that_share(Mode::Tunnel, &place, [one, two], both);
    let (first, second) = (
        place.drv("one", "https://x.org/1", b"one"),
        place.drv("two", "https://x.org/2", b"other"),
    );
    let session = running.begin(&[&first, &second]);
    for (web, status) in [(one, "403"), (two, "403"), (both, "200")] {
        let got = running.curl(&session, &[&web.url("/x")]);
        assert!(got.answer.contains(status), "{}", got.answer);
    }
    assert_eq!((one.seen().len(), two.seen().len()), (0, 0));
    let verdicts = running.stop();
    let verdicts = verdicts.iter().filter(|line| line["kind"] == "build");
    let verdicts: Vec<_> = verdicts
        .map(|line| line["verdict"].as_str().unwrap())
        .collect();
    // What is declared came; whose another would be is not known.
    assert_eq!(verdicts, ["ok", "fetched"]);
}

#[test]
fn several_builds_share_a_token_and_an_audit_tells_them_apart_by_what_they_ask_for() {
    let (one, two) = (Web::start().unwrap(), Web::start().unwrap());
    one.put("/x", "one");
    two.put("/x", "two");
    let place = Place::new();
    let running = two_that_share(Mode::Audit, &place, [&one, &two], &Web::start().unwrap());
    let (first, second) = (
        place.drv("one", "https://x.org/1", b"one"),
        place.drv("two", "https://x.org/2", b"other"),
    );
    let session = running.begin(&[&first, &second]);
    running.curl(&session, &[&one.url("/x"), &two.url("/x")]);
    let evidence = running.stop();
    let verdicts: Vec<_> = evidence
        .iter()
        .filter(|line| line["kind"] == "build")
        .map(|line| {
            (
                line["name"].as_str().unwrap(),
                line["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(verdicts, [("one", "ok"), ("two", "mismatch")]);
    assert_eq!(requests(&evidence)[0]["name"], "one");
}

#[test]
fn a_process_tells_nothing_of_builds_that_were_given_a_token() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let (one, two) = (
        place.drv("source-one", &web.url("/x"), b"x"),
        place.drv("source-two", &web.url("/x"), b"x"),
    );
    let output = |session: &Session| {
        let output = &session.description["derivations"][0]["output"];
        output.as_str().unwrap().to_owned()
    };
    // Who says to be of a build is believed only if that build has nothing better to show.
    let fetch = |of: &str, then: &str| {
        let script = format!(
            "out={then} curl --silent --write-out '%{{http_code}}' --output /dev/null --proxy http://{} {}; true",
            running.address,
            web.url("/x")
        );
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .env("out", of)
            .env_remove("no_proxy")
            .env_remove("NO_PROXY")
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let today = jiff::Zoned::now().date();
    let begin = |drv: &camino::Utf8Path| running.proxy.begin_by_process(&[drv], today).unwrap();
    let with_token = running.begin(&[&one]);
    let (one, other) = (output(&with_token), begin(&two));
    let two = output(&other);
    assert_eq!(fetch(&one, &one), "407", "it was given a token");
    assert_eq!(fetch(&two, &two), "407", "it could be the other");
    assert_eq!(running.end(&with_token)["requests"], 0);
    assert_eq!(fetch(&two, &two), "200");
    assert_eq!(fetch(&one, &two), "407", "what started it says otherwise");
    assert_eq!(running.end(&other)["requests"], 1);
    assert_eq!(fetch(&two, &two), "407", "it has ended");
    running.stop();
}

#[test]
fn what_is_no_build_is_watched_under_its_token() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Audit, loopback(&[&web.base()])));
    let session = running.proxy.watch("evaluation").unwrap();
    let address = running.listen_for(&session);
    let host = host_of(&web);
    for (token, status) in [(String::new(), 407), (authorization(&session.token), 200)] {
        let mut client = Client::new(&address);
        client.send(get(&host, &token));
        let answer = client.answer();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    assert_eq!(web.seen().len(), 1);
    let evidence = running.stop();
    let line = requests(&evidence)[1];
    assert_eq!(
        (&line["name"], &line["attributed"]),
        (&"evaluation".into(), &"token".into())
    );
    // Where requests are judged, there is nothing to judge these by.
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    assert!(running.proxy.watch("evaluation").is_err());
    running.stop();
}

#[test]
fn a_token_of_others_is_none_where_a_listener_is_for_some() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let mut settings = place.settings(Mode::Tunnel, loopback(&[&web.base()]));
    settings.times.next = std::time::Duration::from_secs(5);
    let running = Running::start(settings);
    let drv = place.drv("source", &web.url("/x"), b"x");
    let (own, other) = (running.begin(&[&drv]), running.begin(&[&drv]));
    let address = running.listen_for(&own);
    let host = host_of(&web);
    for (token, status) in [(Some(&own), 200), (None, 200), (Some(&other), 407)] {
        let token = token.map_or_else(String::new, |session| authorization(&session.token));
        let mut client = Client::new(&address);
        client.send(get(&host, &token));
        let answer = client.answer();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
    }
    running.stop();
}
