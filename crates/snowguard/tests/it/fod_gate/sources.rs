//! What a change asks of which address, and what came from there.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

#[test]
fn what_is_changed_is_fetched_again_and_nothing_else() {
    let (one, two) = (served("one"), served("two"));
    let url = |server: &str, path: &str| format!("{server}/{path}");
    // Nobody serves this one: whoever asked for it would be told that it is not there.
    let same = "http://127.0.0.1:1/same";
    let old = url(&one, "x-1.tar.gz");
    let base = fetched(&[("same", same, "same"), ("x", &old, "one")]);
    let place = Place::new();
    let told = |head: &NixStore| {
        let more = [
            "--verify",
            "--direct",
            "--allow-private",
            "--format",
            "json",
        ];
        let run = gate(&place, &base, head, &more);
        (run.code, rules(&document(&run)))
    };
    // A forgotten hash: the new address serves something else.
    let new = url(&two, "x-2.tar.gz");
    let (code, found) = told(&fetched(&[("same", same, "same"), ("x", &new, "one")]));
    assert_eq!(code, 1);
    assert!(found.contains(&"stale-hash! x".to_owned()), "{found:?}");
    assert!(found.contains(&"mismatch! x".to_owned()), "{found:?}");
    // The right one.
    let (code, found) = told(&fetched(&[("same", same, "same"), ("x", &new, "two")]));
    assert!(
        !found.iter().any(|rule| rule.starts_with("mismatch")),
        "{found:?}"
    );
    // Addresses of this machine are what a rule speaks against, whoever serves there.
    assert_eq!((code, found[0].as_str()), (1, "private-host! x"));
    // The new address serves the same bytes: what looked forgotten is not.
    let twin = url(&served("one"), "x-2.tar.gz");
    let (_, found) = told(&fetched(&[("same", same, "same"), ("x", &twin, "one")]));
    assert!(found.contains(&"stale-hash x".to_owned()), "{found:?}");
    // What seems to fetch nothing is not known to have its hash, and a shell alone can open a socket.
    let (_, found) = told(&written());
    assert!(
        found.contains(&"not-fetchable! written".to_owned()),
        "{found:?}"
    );
    // Without being told so, no address of a private network is asked.
    let run = gate(
        &place,
        &base,
        &fetched(&[("x", &new, "two")]),
        &["--verify", "--direct", "--format", "json"],
    );
    let found = rules(&document(&run));
    assert!(found.contains(&"denied! x".to_owned()), "{found:?}");
}

#[test]
fn the_old_file_under_whatever_address_is_no_answer() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let server = served_at("/rel/x-1.tar.gz", "one");
    let at = |path: &str| format!("{server}/{path}");
    let (old, new) = (at("rel/x-1.tar.gz"), at("rel/x-2.tar.gz"));
    let base = fetched_by(&store, "", &[&old]);
    let told = |urls: &[&str]| {
        let head = fetched_by(&store, "", urls);
        let more = ["--verify", "--direct", "--allow-private"];
        let document = document(&gate_of(&place, &base, &head, &more));
        assert_eq!(document["changes"][0]["verdict"], "ok", "{document}");
        rules(&document)
    };
    // Another spelling, and another name of it: what comes is not known to be what the first address names.
    let elsewhere = format!("{}/y", served("one"));
    for second in [&old, &at("rel/./x-1.tar.gz"), &elsewhere] {
        let found = told(&[&new, second]);
        assert!(
            found.contains(&"stale-hash! x".to_owned()),
            "{second} {found:?}"
        );
    }
    // The new file, from its second place.
    let mirror = served_at("/rel/x-2.tar.gz", "one");
    let found = told(&[&new, &format!("{mirror}/rel/x-2.tar.gz")]);
    assert!(found.contains(&"stale-hash x".to_owned()), "{found:?}");
}

#[test]
fn another_script_with_the_same_name_is_a_finding() {
    let place = Place::new();
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let url = ["https://example.org/x-1.tar.gz"];
    let base = fetched_by(&store, "", &url);
    let head = fetched_by(&store, "echo something else > $out", &url);
    gate_of(&place, &base, &base, &[]).exits(0);
    let told = document(gate_of(&place, &base, &head, &[]).exits(1));
    assert_eq!(rules(&told), ["new-script! builder.sh"]);
    assert_eq!(told["changes"][0]["how"], "script");
    let script = &told["findings"][0]["output"];
    let waiver = format!(
        "[[waiver]]\nrule = \"new-script\"\noutput = {script}\nreason = \"read\"\nexpires = 2999-01-01\n"
    );
    place.write("w.toml", waiver);
    gate_of(&place, &base, &head, &["--waivers", "w.toml"]).exits(0);
    let run = place.run(&["fod", "diff", &base, &head, "--format", "json"]);
    let difference = document(run.exits(0));
    assert_eq!(difference["unchanged_hash"][0]["kind"], "script");
    assert_eq!(difference["new_scripts"][0]["names"], json!(["x"]));
}

/// A server that has one file at every address, until the test ends.
fn served(body: &'static str) -> String {
    serving(None, body)
}

/// One that has a file at one address, and at no other.
fn served_at(path: &'static str, body: &'static str) -> String {
    serving(Some(path), body)
}

fn serving(only: Option<&'static str>, body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut head = [0; 8192];
            let read = stream.read(&mut head).unwrap_or_default();
            let head = String::from_utf8_lossy(&head[..read]);
            let asked = head.split(' ').nth(1);
            let (status, body) = match only {
                Some(path) if asked != Some(path) => ("404 Not Found", ""),
                _ => ("200 OK", body),
            };
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            );
        }
    });
    format!("http://{address}")
}

/// Files that Nix itself fetches: name, URL, contents.
fn fetched(files: &[(&str, &str, &str)]) -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let files = files.iter().map(|(name, url, contents)| {
        format!(
            r#"(derivation {{
              name = "{name}"; system = "builtin"; builder = "builtin:fetchurl"; url = "{url}"; urls = "{url}";
              outputHash = builtins.hashString "sha256" "{contents}"; outputHashAlgo = "sha256";
              outputHashMode = "flat"; executable = false; unpack = false; preferLocalBuild = true;
            }})"#
        )
    });
    let files: Vec<String> = files.collect();
    nix.instantiate(&format!("[ {} ]", files.join(" ")), &[])
        .unwrap();
    nix
}

/// What a shell writes by itself.
fn written() -> NixStore {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let expression = r#"derivation {
      name = "written"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ];
      outputHash = builtins.hashString "sha256" "x"; outputHashAlgo = "sha256"; outputHashMode = "flat";
    }"#;
    nix.instantiate(expression, &[]).unwrap();
    nix
}
