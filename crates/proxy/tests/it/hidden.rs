//! What a build or a server could hide from the verdict.

use snowguard_proxy::Mode;
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Client, Place, Running, authorization, get, host_of, loopback, requests};

#[test]
fn what_a_build_tries_without_its_token_is_counted_on_it() {
    let web = Web::start().unwrap();
    web.put("/x", "x");
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"x");
    let today = jiff::Zoned::now().date();
    let session = running.proxy.begin_in_network(&[&drv], today).unwrap();
    let host = host_of(&web);
    let evil = |name: &str, more: &str| {
        let host = format!("{name}.example.org");
        format!("GET http://{host}/probe HTTP/1.1\r\nHost: {host}\r\n{more}\r\n")
    };
    let own = authorization(&session.token);
    let tried = [
        // What it may is only asked for its token, as tools want it that send one when they are asked.
        (get(&host, ""), "407"),
        (get(&host, &authorization("0123")), "407"),
        (get(&host, &own), "200"),
        (evil("bare", ""), "407"),
        (evil("wrong", &authorization("0123")), "407"),
        (
            "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n".to_owned(),
            "407",
        ),
        (
            "GET /probe HTTP/1.1\r\nHost: origin.example.org\r\n\r\n".to_owned(),
            "407",
        ),
        (evil("two", "Host: malformed.example.org\r\n"), "400"),
        (
            evil("long", &format!("X: {}\r\n", "x".repeat(70_000))),
            "431",
        ),
        (evil("denied", &own), "403"),
    ];
    for (bytes, status) in &tried {
        let mut client = running.client();
        client.send(bytes);
        let answer = client.answer();
        assert_eq!(answer.get(9..12), Some(*status), "{bytes:.100}: {answer}");
    }
    let verdict = running.end(&session);
    assert_eq!(verdict["verdict"], "ok");
    assert_eq!(
        (&verdict["denied"], &verdict["requests"]),
        (&7.into(), &8.into())
    );
    // One that only tried is no build that fetched nothing.
    let session = running.proxy.begin_in_network(&[&drv], today).unwrap();
    let mut client = running.client();
    client.send(evil("alone", ""));
    client.answer();
    assert_eq!(running.end(&session)["verdict"], "policy-denied");
    // Where there are others, nobody knows whose it is.
    let session = running.proxy.begin_in_network(&[&drv], today).unwrap();
    let other = running.begin(&[&drv]);
    let mut client = running.client();
    client.send(evil("shared", ""));
    client.answer();
    // But in the network of builds there is only one.
    let mut client = Client::new(&running.listen_in_network());
    client.send(evil("inside", ""));
    client.answer();
    assert_eq!(running.end(&session)["denied"], 1);
    assert_eq!(running.end(&other)["denied"], 0);
    let evidence = running.stop();
    let mut told: Vec<String> = requests(&evidence)
        .iter()
        .filter(|line| line["verdict"] != "allowed" && line["host"] != "alone.example.org")
        .map(|line| {
            let words = ["attributed", "verdict", "reason", "url"];
            words.map(|word| line[word].as_str().unwrap()).join(" ")
        })
        .collect();
    // They are written when they are answered, each on its connection.
    told.sort();
    insta::assert_snapshot!(told.join("\n").replace(&host, "HOST"), @"
    network denied address-literal https://169.254.169.254:80
    network denied other-host http://bare.example.org/probe
    network denied other-host http://inside.example.org/probe
    network denied other-host http://wrong.example.org/probe
    network refused malformed-request http://long.example.org/probe
    network refused malformed-request http://origin.example.org/probe
    network refused malformed-request http://two.example.org/probe
    nobody denied unattributed http://HOST
    nobody denied unattributed http://shared.example.org
    nobody denied unknown-token http://HOST
    token denied other-host http://denied.example.org/probe
    ");
}

#[test]
fn no_answer_of_a_server_hides_another_body() {
    let web = Web::start().unwrap();
    let place = Place::new();
    let running = Running::start(place.settings(Mode::Tunnel, loopback(&[&web.base()])));
    let drv = place.drv("source", &web.url("/x"), b"what it should be");
    // A status, or a word about its form, that nobody asked for.
    for answer in [
        "206 Partial Content\r\nContent-Range: bytes 0-4/5",
        "203 Non-Authoritative Information",
        "200 OK\r\nContent-Encoding: identity",
        "200 OK\r\nContent-Encoding: Identity, ",
    ] {
        let bytes = format!("HTTP/1.1 {answer}\r\nContent-Length: 5\r\n\r\nstale");
        web.fail_always("/x", Fault::Garbage(bytes.into_bytes()));
        let session = running.begin(&[&drv]);
        assert!(
            running
                .curl(&session, &[&web.url("/x")])
                .answer
                .ends_with("stale")
        );
        assert_eq!(running.end(&session)["verdict"], "mismatch", "{answer}");
    }
    web.heal();
    web.put("/x", "what it should be");
    let session = running.begin(&[&drv]);
    assert!(running.curl(&session, &["--head", &web.url("/x")]).good);
    running.curl(&session, &["http://evil.example.org/x"]);
    assert_eq!(running.end(&session)["verdict"], "policy-denied");
}
