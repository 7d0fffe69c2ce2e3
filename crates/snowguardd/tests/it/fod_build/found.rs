//! What is found while it builds: who goes past the proxy, what is denied, what came instead.

use snowguard_testkit::web::Web;

use super::place::{BODY, Place, Run, STALE, flat};

#[test]
fn what_goes_past_the_proxy_is_stopped_and_told() {
    let Some(place) = Place::new() else { return };
    // A service of this machine, which a fixed-output derivation reaches with plain Nix.
    let service = Web::start().unwrap();
    service.put("/x", BODY);
    let direct = "curl --silent --noproxy '*' --max-time 20 -o $out $urls";
    let cases = [
        ("loopback", service.url("/x"), "127.0.0.1:"),
        (
            "other-loopback",
            service.url("/x").replace("127.0.0.1", "127.8.9.1"),
            "127.8.9.1:",
        ),
        ("private", "http://10.0.0.1/x".to_owned(), "10.0.0.1:80"),
        (
            "public",
            "https://198.51.100.7/x".to_owned(),
            "198.51.100.7:443",
        ),
        (
            "git",
            "http://198.51.100.7:9418/x".to_owned(),
            "198.51.100.7:9418",
        ),
        (
            "name",
            "http://fetched-by-hand.example/x".to_owned(),
            "fetched-by-hand.example",
        ),
    ];
    for (name, url, told) in cases {
        let run = place.build(&[], &[place.shell(name, &url, direct, &flat(BODY))]);
        run.ends(1);
        let stray = &run.report["strays"][0];
        let drv = stray["derivation"].as_str().unwrap();
        assert!(
            drv.ends_with(&format!("-source-{name}.drv")),
            "{}",
            run.report
        );
        assert!(
            stray["to"].to_string().contains(told),
            "{name}: {}",
            run.report
        );
        assert!(
            run.stderr.contains(&format!("source-{name}.drv")),
            "{}",
            run.stderr
        );
        assert!(run.stderr.contains("hint: "), "{}", run.stderr);
        assert_eq!(run.stdout, "");
    }
    assert!(service.seen().is_empty());
}

#[test]
fn datagrams_past_the_proxy_are_stopped_and_told() {
    let Some(place) = Place::new() else { return };
    // A service of this machine.
    let service = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let here = service.local_addr().unwrap().to_string();
    let question = r"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03org\0\0\x01\0\x01";
    let cases = [
        ("here", here.as_str(), "x", here.as_str()),
        ("quic", "198.51.100.7:443", "x", "198.51.100.7:443"),
        ("over-tls", "198.51.100.7:853", "x", "198.51.100.7:853"),
        ("no-question", "198.51.100.7:53", "x", "198.51.100.7:53"),
        ("six", "[2001:db8::1]:443", "x", "[2001:db8::1]:443"),
        ("question", "198.51.100.7:53", question, "example.org"),
        ("question-six", "[2001:db8::1]:53", question, "example.org"),
    ];
    for (name, to, bytes, told) in cases {
        let (ip, port) = to.rsplit_once(':').unwrap();
        let ip = ip.trim_matches(['[', ']']);
        let script = format!("printf '{bytes}' > /dev/udp/{ip}/{port}; false");
        let run = place.build(&[], &[place.shell(name, "/", &script, &flat(BODY))]);
        run.ends(1);
        let strays = run.report["strays"].as_array().unwrap();
        assert_eq!(strays.len(), 1, "{name}: {}", run.report);
        let kind = if told == to { "datagram" } else { "name" };
        assert_eq!(strays[0]["to"][kind], told, "{name}: {}", run.report);
        assert!(run.stderr.contains(told), "{}", run.stderr);
    }
    assert!(service.recv(&mut [0; 9]).is_err());
}

#[test]
fn what_is_tried_without_the_token_is_told() {
    let Some(place) = Place::new() else { return };
    // The way is known, and who leaves the token out is nobody by it.
    let script = "way=http://''${http_proxy##*@}; \
                  curl --silent --max-time 20 -x $way http://evil.example/probe; \
                  curl --silent --max-time 20 -x $way http://10.0.0.1/a; \
                  curl --silent --fail -o $out $urls";
    let run = place.build(
        &[],
        &[place.shell("quiet", &place.http.url("/file"), script, &flat(BODY))],
    );
    run.ends(1);
    assert_eq!(run.verdicts(), [("quiet".to_owned(), "ok".to_owned())]);
    assert_eq!(run.report["derivations"][0]["proxy"]["denied"], 2);
    // A tool that sends its token only when it is asked for it hides nothing.
    let script = "curl --silent --fail --proxy-anyauth -o $out $urls";
    let run = place.build(
        &[],
        &[place.shell("asked", &place.http.url("/file"), script, &flat(BODY))],
    );
    run.ends(0);
    assert_eq!(run.report["derivations"][0]["proxy"]["denied"], 0);
}

#[test]
fn what_the_policy_does_not_have_is_denied() {
    let Some(place) = Place::new() else { return };
    let other = Web::start().unwrap();
    other.put("/x", BODY);
    let run = place.build(&[], &[place.fetchurl("denied", &other.url("/x"))]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("denied".to_owned(), "policy-denied".to_owned())]
    );
    assert!(other.seen().is_empty());
    // Who denied it says what, and what to do.
    let told = |run: &Run, what: &str| {
        let warning = format!("-source-denied.drv asked for 127.0.0.1: the proxy {what} it: ");
        for part in [&*warning, "private = true", "hint: each request is in "] {
            assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
        }
        let denial = &run.report["derivations"][0]["denials"][0];
        assert_eq!(denial["host"], "127.0.0.1", "{}", run.report);
    };
    told(&run, "denied");
    let audited = place.build(
        &["--mode", "audit"],
        &[place.fetchurl("denied", &other.url("/x"))],
    );
    audited.ends(1);
    assert_eq!(audited.verdicts(), [("denied".to_owned(), "ok".to_owned())]);
    told(&audited, "would deny");
}

#[test]
fn what_no_proxy_carries_is_told_before_it_is_built() {
    let Some(place) = Place::new() else { return };
    let git = place.shell("git", "git://git.example/x", "false", &flat(BODY));
    let run = place.build(&[], &[git]);
    run.ends(2);
    for part in [
        "-source-git.drv names git://git.example/x, which the proxy does not carry",
        "hint: use https:// in place of git://",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
}

#[test]
fn a_report_is_of_this_run_also_where_nothing_is_built() {
    let Some(place) = Place::new() else { return };
    let all = [place.fetchurl("http", &place.http.url("/file"))];
    let run = place.build(&[], &all);
    run.ends(0);
    assert_eq!(run.verdicts().len(), 1);
    let again = place.build(&[], &all);
    again.ends(0);
    assert!(again.verdicts().is_empty(), "{}", again.report);
}

#[test]
fn a_hash_that_was_forgotten_is_caught() {
    let Some(place) = Place::new() else { return };
    let script = "curl --silent --show-error --fail --insecure --location -o $out $urls";
    let stale = place.shell("stale", &place.https.url("/file"), script, &flat(STALE));
    let run = place.build(&["--mode", "inspect"], &[stale]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("stale".to_owned(), "mismatch".to_owned())]
    );
    assert!(run.stderr.contains("hash mismatch"), "{}", run.stderr);
    assert_eq!(run.report["derivations"][0]["built"], false);
}

#[test]
fn what_was_built_without_a_request_is_a_finding() {
    let Some(place) = Place::new() else { return };
    let script = "printf 'what it should be\\n' > $out";
    let unseen = place.shell("unseen", &place.http.url("/file"), script, &flat(BODY));
    let run = place.build(&[], &[unseen]);
    run.ends(1);
    assert_eq!(
        run.verdicts(),
        [("unseen".to_owned(), "nothing-fetched".to_owned())]
    );
    let told = "was built, and asked the proxy for nothing";
    assert!(run.stderr.contains(told), "{}", run.stderr);
    // Two of one name and hash are one path: for the second nothing is asked, and nothing is said.
    let both = [&place.http.url("/file"), &place.http.url("/old")];
    let both = both.map(|url| place.fetchurl("twice", url));
    let run = place.build(&[], &both);
    run.ends(0);
    assert_eq!(run.verdicts(), [("twice".to_owned(), "ok".to_owned())]);
}
