//! `fod-policy`, and what NixOS makes of its options: a policy that it takes, and arguments that `fod-proxy` takes.

use std::path::Path;

use jiff::ToSpan as _;
use serde_json::Value;
use snowguard_fod::policy::Exceptions;
use snowguard_testkit::nix::Nix;

use crate::support::Place;

fn exception(reason: &str, expires: &str) -> String {
    format!(
        "[[exception]]\nderivation = \"hello-*\"\nhosts = [\"x.org\"]\nreason = \"{reason}\"\nexpires = {expires}\n"
    )
}

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn check(place: &Place, files: &[&str]) -> Run {
    let args = [&["fod-policy"], files].concat();
    let output = place.command(&args).output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn a_policy_is_counted_and_what_ends_is_told() {
    let place = Place::new();
    let soon = jiff::Zoned::now().date().saturating_add(20.days());
    let late = jiff::Zoned::now().date().saturating_add(50.days());
    let all = [
        exception("gone by", "2001-01-01"),
        exception("nearly gone", &soon.to_string()),
        exception("there", &late.to_string()),
    ];
    place.write("policy.toml", &all.concat());
    place.write("fresh.toml", &exception("there", "2999-01-01"));
    place.write("empty.toml", "");
    let run = check(&place, &["policy.toml", "fresh.toml", "empty.toml"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (
            Some(0),
            "policy.toml: 3 exceptions; 1 has ended, 1 ends within 30 days\n\
             fresh.toml: 1 exception\nempty.toml: 0 exceptions\n"
        )
    );
    assert_eq!(
        run.stderr.replace(&soon.to_string(), "DAY"),
        "note: an exception ended on 2001-01-01: gone by\nnote: an exception ends on DAY: nearly gone\n"
    );
}

#[test]
fn a_policy_that_holds_for_every_source_is_told() {
    let place = Place::new();
    let broad = exception("all of them", "2999-01-01").replace("hello-*", "source");
    place.write("policy.toml", &broad);
    let run = check(&place, &["policy.toml"]);
    assert_eq!(run.code, Some(0));
    assert_eq!(
        run.stderr,
        "warning: an exception holds for whatever is called `source`, as most sources are: all of them\n\
         hint: name its `output`\n"
    );
}

#[test]
fn each_policy_that_is_wrong_is_told_with_its_place() {
    let place = Place::new();
    let good = exception("there", "2999-01-01");
    place.write("good.toml", &good);
    place.write("word.toml", &good.replace("reason", "because"));
    let wrong = good.replace("x.org", "*");
    place.write("host.toml", &format!("{good}\n{wrong}"));
    let run = check(
        &place,
        &["word.toml", "none.toml", "good.toml", "host.toml"],
    );
    assert_eq!(run.code, Some(2));
    assert_eq!(run.stdout, "good.toml: 1 exception\n");
    insta::assert_snapshot!(run.stderr, @r#"
    error: cannot use word.toml: cannot read the policy file: TOML parse error at line 4, column 1
      |
    4 | because = "there"
      | ^^^^^^^
    unknown field `because`, expected one of `derivation`, `output`, `class`, `tool`, `hosts`, `protocols`, `private`, `reason`, `expires`
    hint: the book's page on the proxy says what it may hold
    error: cannot read none.toml: No such file or directory (os error 2)
    error: cannot use host.toml: exception 2 of the policy file, at line 7: a host is a name, `*.` before one, or an address, and perhaps `:PORT`
    hint: the book's page on the proxy says what it may hold
    "#);
}

/// The value of an expression that names files of `nix/`.
fn evaluated(expression: &str) -> Value {
    let nix = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nix");
    let expression = expression.replace("NIX", nix.canonicalize().unwrap().to_str().unwrap());
    let store = Nix::find().unwrap().store().unwrap();
    store.evaluate(&expression).unwrap()
}

#[test]
fn what_nixos_writes_is_what_the_proxy_reads() {
    let text = evaluated(
        r#"
        let
          none = { derivation = null; output = null; class = null; tool = null; private = false; protocols = [ "https" ]; };
          named = {
            derivation = "a\"b\\*"; hosts = [ "x.org" "*.y.org:8443" ]; protocols = [ "https" "http" ];
            reason = "one\nexpires = \"2000-01-01\"\n[[exception]] é"; expires = "2999-01-31";
          };
          output = {
            output = "/nix/store/00000000000000000000000000000000-source"; private = true; hosts = [ "::1" ];
            reason = "two"; expires = "2999-01-31";
          };
          policy = {
            limits = { bytes = null; requests = 7; redirects = null; seconds = 60; };
            exception = [ (none // named) (none // output) ];
          };
        in
        (import NIX/fod-policy.nix { lib = throw "not needed"; }).text policy
        "#,
    );
    let text = text.as_str().unwrap();
    let read = Exceptions::parse(text).unwrap();
    assert_eq!((read.limits().requests, read.limits().seconds), (7, 60));
    assert_eq!(read.limits().bytes, Exceptions::default().limits().bytes);
    let [one, two] = read.all() else {
        panic!("{text}")
    };
    assert_eq!(one.derivation.as_deref(), Some("a\"b\\*"));
    assert_eq!(
        &*one.reason,
        "one\nexpires = \"2000-01-01\"\n[[exception]] é"
    );
    assert_eq!((one.hosts.len(), one.protocols.len()), (2, 2));
    assert_eq!(one.expires.to_string(), "2999-01-31");
    assert!(two.private && two.derivation.is_none() && two.output.is_some());
    let place = Place::new();
    place.write("policy.toml", text);
    let run = check(&place, &["policy.toml"]);
    assert_eq!(
        (run.code, run.stdout.as_str()),
        (Some(0), "policy.toml: 2 exceptions\n")
    );
}

#[test]
fn what_nixos_starts_is_what_the_proxy_takes() {
    let place = Place::new();
    for (mode, expected) in [
        ("audit", &[][..]),
        ("tunnel", &[]),
        ("inspect", &["--ca-out", "--record"]),
        ("replay", &["--ca-out", "--record"]),
    ] {
        let expression = r#"
            import NIX/fod-proxy-arguments.nix {
              mode = "MODE"; listen = [ "127.0.0.1:3128" "[::]:3129" ]; evidence = { size = 1; files = 0; };
              connections = 9; caFiles = [ "/etc/a b.pem" ]; record = true; arguments = [ "--resolve=x.org=192.0.2.1" ];
              metrics = "unix:/run/snowguard-fod-proxy/metrics.sock";
            }"#;
        let all = evaluated(&expression.replace("MODE", mode));
        let all = all.as_array().unwrap().iter();
        let mut args: Vec<&str> = all.map(|arg| arg.as_str().unwrap()).collect();
        for option in ["--ca-out", "--record"] {
            let is_there = args
                .iter()
                .any(|arg| arg.starts_with(&format!("{option}=")));
            assert_eq!(is_there, expected.contains(&option), "{mode}: {args:?}");
        }
        args.push("--help");
        let run = place.command(&args).output().unwrap();
        assert!(run.status.success(), "{args:?}: {run:?}");
    }
}
