//! `snowguardd push` against a receiver that verifies and counts.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};
use std::time::Duration;

use snowguard_formats::Limits;
use snowguard_formats::dsse::Envelope;
use snowguard_formats::intoto::Statement;
use snowguard_store::{PublicKey, Signature};
use snowguard_testkit::web::{Fault, Request, Web};

use crate::support::{Place, until};

/// Of RFC 8032, section 7.1, test 1, in Nix's form.
const SECRET: &str = "web-1:nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2DXWpgBgrEKt9VL/tPJZAc6DuFy89qmIyWvAhpo9wdRGg==";
const PUBLIC: &str = "web-1:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

struct World {
    place: Place,
    web: Web,
}

impl World {
    fn new() -> Self {
        let world = Self {
            place: Place::new(),
            web: Web::start().unwrap(),
        };
        world.web.put("/results", "taken");
        world.place.write("key", SECRET);
        world.mode("key", 0o600);
        world.result(1);
        world
    }

    fn mode(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.place.path(name), permissions).unwrap();
    }

    /// Another result than before.
    fn result(&self, number: u32) {
        let statement = Statement::new(
            vec![snowguard_formats::intoto::Resource {
                name: Some("/nix/store/x".into()),
                digest: BTreeMap::from([("narSha256".into(), "00".into())]),
            }],
            snowguard_report::result::PREDICATE_TYPE,
            serde_json::json!({ "host": "web-1", "gaps": number }),
        );
        let json = statement
            .to_json(snowguard_formats::Layout::Pretty)
            .unwrap();
        self.place
            .write("result.json", &String::from_utf8(json).unwrap());
    }

    fn push(&self, more: &[&str]) -> Output {
        self.push_what("result.json", more)
    }

    fn push_what(&self, what: &str, more: &[&str]) -> Output {
        let url = self.web.url("/results");
        let mut args = vec!["push", what, "--to", &url, "--key-file", "key"];
        args.extend(more);
        self.place.command(&args).output().unwrap()
    }

    /// What the next scan of the watcher leaves for a target.
    fn latest(&self, target: &str, number: u32) {
        self.result(number);
        std::fs::create_dir_all(self.place.path("results")).unwrap();
        let to = self.place.path(&format!("results/{target}.json"));
        std::fs::rename(self.place.path("result.json"), to).unwrap();
    }

    fn spooled(&self) -> usize {
        std::fs::read_dir(self.place.path("state/spool")).map_or(0, Iterator::count)
    }
}

/// What a receiver makes of requests: each key once, and only what is signed.
fn received(requests: &[Request]) -> Vec<u64> {
    let key: PublicKey = PUBLIC.parse().unwrap();
    let mut seen = Vec::new();
    let mut numbers = Vec::new();
    for request in requests {
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.header("content-type"),
            Some("application/vnd.dsse.envelope.v1+json")
        );
        let envelope = Envelope::read(&request.body, &Limits::default()).unwrap();
        let signature = Signature::new(key.name(), &envelope.signatures[0].bytes).unwrap();
        assert!(key.verifies(&envelope.pae(), &signature));
        let id = request.header("idempotency-key").unwrap().to_owned();
        if !seen.contains(&id) {
            seen.push(id);
            let statement = Statement::read(&envelope.payload, &Limits::default()).unwrap();
            numbers.push(statement.predicate["gaps"].as_u64().unwrap());
        }
    }
    numbers
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", told(output));
}

#[test]
fn a_result_is_sent_once() {
    let world = World::new();
    let run = world.push(&[]);
    exits(&run, 0);
    assert_eq!(told(&run), "sent 1\n");
    let again = world.push(&[]);
    exits(&again, 0);
    assert_eq!(told(&again), "this result was sent before\nsent 0\n");
    assert_eq!(received(&world.web.seen()), [1]);
    assert_eq!(world.spooled(), 0);
}

#[test]
fn of_the_latest_results_what_is_new_is_sent() {
    let world = World::new();
    let push = |code| {
        let run = world.push_what("results", &[]);
        exits(&run, code);
        told(&run)
    };
    std::fs::create_dir(world.place.path("results")).unwrap();
    insta::assert_snapshot!(push(0), @r"
    there is no result in results: `snowguardd watch` puts one there after each scan
    sent 0
    ");
    world.latest("alice", 1);
    world.latest("system", 2);
    // One that is being written.
    std::fs::write(world.place.path("results/.system.json.new"), "{").unwrap();
    assert_eq!(push(0), "sent 2\n");
    assert_eq!(push(0), "sent 0\n");
    world.latest("system", 3);
    assert_eq!(push(0), "sent 1\n");
    assert_eq!(push(0), "sent 0\n");
    assert_eq!(received(&world.web.seen()), [1, 2, 3]);
    // What is refused is not sent again and again.
    world.latest("alice", 4);
    world.web.fail("/results", [Fault::Status(422, Vec::new())]);
    push(2);
    assert_eq!(received(&world.web.seen()), [4]);
    let said = push(2).replace(&world.web.url("/results"), "[URL]");
    insta::assert_snapshot!(said, @r"
    sent 0
    error: [URL] refused 1 of the latest results before
    hint: the next scan makes new ones; `snowguardd push FILE` sends one of these again
    ");
    assert!(world.web.seen().is_empty());
    // Unless it is named.
    exits(&world.push_what("results/alice.json", &[]), 0);
    assert_eq!(received(&world.web.seen()), [4]);
    assert_eq!(push(0), "sent 0\n");
}

#[test]
fn where_to_may_stand_in_the_environment() {
    let world = World::new();
    let run = world
        .place
        .command(&["push", "result.json", "--key-file", "key"])
        .env("SNOWGUARD_PUSH_TO", world.web.url("/results"))
        .output()
        .unwrap();
    exits(&run, 0);
    assert_eq!(received(&world.web.seen()), [1]);
}

/// From a scan to the receiver, as the units have it.
#[test]
fn what_the_watcher_keeps_is_sent() {
    let place = Place::with_scanner();
    let web = Web::start().unwrap();
    web.put("/results", "taken");
    place.write("key", SECRET);
    std::fs::set_permissions(place.path("key"), std::fs::Permissions::from_mode(0o600)).unwrap();
    place.finds("1.1.1g", &["CVE-2026-1"]);
    // What `snowguard scan --result` does: the file, and the report on stdout.
    let script = "#!/bin/sh\ncd \"${0%/*}\"\nwhile test $# -gt 0; do\n\
        case $1 in --result) cp statement.json \"$2\";; esac\nshift\ndone\nexec cat scan.json\n";
    std::fs::write(place.path("scanner"), script).unwrap();
    let world = World { place, web };
    world.result(7);
    std::fs::rename(
        world.place.path("result.json"),
        world.place.path("statement.json"),
    )
    .unwrap();
    std::fs::create_dir(world.place.path("run")).unwrap();
    let watch = |args: &[&str]| {
        let mut all = vec!["watch", "--config", "watch.toml", "--once"];
        all.extend(["--history", "run/history.sqlite"]);
        all.extend(args);
        let run = world.place.command(&all).output().unwrap();
        exits(&run, 0);
    };
    watch(&[]);
    exits(
        &world.push_what("run/results", &["--state", "push-state"]),
        0,
    );
    assert_eq!(received(&world.web.seen()), [7]);
    // The directory of the copy goes with the unit, and comes back without a scan.
    std::fs::remove_dir_all(world.place.path("run")).unwrap();
    std::fs::create_dir(world.place.path("run")).unwrap();
    std::fs::remove_file(world.place.path("statement.json")).unwrap();
    watch(&[]);
    let run = world.push_what("run/results", &["--state", "push-state"]);
    exits(&run, 0);
    assert_eq!(told(&run), "sent 0\n");
    assert!(
        world
            .place
            .path("run/results/system.json")
            .metadata()
            .is_ok()
    );
}

#[test]
fn what_cannot_be_sent_is_kept_and_sent_in_order() {
    let world = World::new();
    world
        .web
        .fail_always("/results", Fault::Status(403, Vec::new()));
    for number in [1, 2, 3] {
        world.result(number);
        let run = world.push(&[]);
        exits(&run, 2);
        let count = format!("error: {number} of {number} results are not sent");
        assert!(told(&run).starts_with(&count), "{}", told(&run));
    }
    assert_eq!(world.spooled(), 3);
    world.web.seen();
    world.web.heal();
    exits(&world.push(&[]), 0);
    assert_eq!(received(&world.web.seen()), [1, 2, 3]);
    assert_eq!(world.spooled(), 0);
}

#[test]
fn a_fault_that_passes_is_waited_for() {
    let world = World::new();
    world
        .web
        .fail("/results", [Fault::Status(503, Vec::new()), Fault::Cut(0)]);
    exits(&world.push(&[]), 0);
    let seen = world.web.seen();
    assert!(seen.len() > 1);
    assert_eq!(received(&seen), [1]);
}

#[test]
fn a_refused_result_does_not_stop_the_others() {
    let world = World::new();
    world.web.fail("/results", [Fault::Status(403, Vec::new())]);
    exits(&world.push(&[]), 2);
    world.web.seen();
    world.web.fail("/results", [Fault::Status(422, Vec::new())]);
    world.result(2);
    let run = world.push(&[]);
    exits(&run, 2);
    assert!(told(&run).contains("refused 1 results"), "{}", told(&run));
    assert_eq!(received(&world.web.seen()), [1, 2]);
    assert_eq!(world.spooled(), 0);
    let aside = std::fs::read_dir(world.place.path("state/refused")).unwrap();
    assert_eq!(aside.count(), 1);
}

/// Killed at any point, nothing is lost, and what comes twice has one key.
#[test]
fn kill_loses_nothing() {
    let world = World::new();
    let url = world.web.url("/results");
    let args = ["push", "result.json", "--to", &url, "--key-file", "key"];
    let start = || {
        world
            .place
            .command(&args)
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };
    // The receiver has it, and the sender does not know.
    world.web.fail_always("/results", Fault::Silence);
    let mut child = start();
    let mut seen = Vec::new();
    until("a request", || {
        seen.extend(world.web.seen());
        !seen.is_empty()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(world.spooled(), 1);
    world.web.heal();
    for number in 2..20 {
        world.result(number);
        let mut child = start();
        std::thread::sleep(Duration::from_millis(u64::from(number) * 3));
        child.kill().unwrap();
        child.wait().unwrap();
        // What was not even read is told anew by the next run: the file stays what it is.
        exits(&world.push(&[]), 0);
    }
    seen.extend(world.web.seen());
    let expected: Vec<u64> = (1..20).collect();
    assert_eq!(received(&seen), expected);
}

#[test]
fn the_spool_has_bounds() {
    let world = World::new();
    world
        .web
        .fail_always("/results", Fault::Status(403, Vec::new()));
    for number in 1..=66 {
        world.result(number);
        exits(&world.push(&[]), 2);
    }
    assert_eq!(world.spooled(), 64);
    world.web.heal();
    world.web.seen();
    exits(&world.push(&[]), 0);
    let expected: Vec<u64> = (3..=66).collect();
    assert_eq!(received(&world.web.seen()), expected);
}

#[test]
fn a_dry_run_sends_and_keeps_nothing() {
    let world = World::new();
    let run = world.push(&["--dry-run"]);
    exits(&run, 0);
    assert!(
        told(&run).starts_with("would send ") && told(&run).contains("signed by web-1"),
        "{}",
        told(&run)
    );
    assert!(world.web.seen().is_empty());
    assert_eq!(world.spooled(), 0);
}

#[test]
fn what_is_wrong_is_told_before_anything_is_sent() {
    let world = World::new();
    let mut all = String::new();
    let mut check = |args: &[&str]| {
        let output = world.place.command(args).output().unwrap();
        exits(&output, 2);
        assert!(!told(&output).contains("nWGxne"), "a key is not repeated");
        all.push_str(&told(&output));
    };
    let to = "http://127.0.0.1:1/";
    check(&["push", "none.json", "--to", to, "--key-file", "key"]);
    check(&["push", "key", "--to", to, "--key-file", "key"]);
    check(&[
        "push",
        "result.json",
        "--to",
        "http://fleet.example.org/",
        "--key-file",
        "key",
    ]);
    check(&[
        "push",
        "result.json",
        "--to",
        "file:///tmp/x",
        "--key-file",
        "key",
    ]);
    check(&[
        "push",
        "result.json",
        "--to",
        to,
        "--key-file",
        "result.json",
    ]);
    world.mode("result.json", 0o600);
    check(&[
        "push",
        "result.json",
        "--to",
        to,
        "--key-file",
        "result.json",
    ]);
    // What systemd hands over lies in its directory, and nowhere else: here there is none, and the key
    // beside the working directory is not meant.
    for name in ["credential:key", "credential:../key"] {
        check(&["push", "result.json", "--to", to, "--key-file", name]);
    }
    world.mode("key", 0o644);
    check(&["push", "result.json", "--to", to, "--key-file", "key"]);
    world.mode("key", 0o600);
    world.place.write("bearer", "a\nb\n");
    let mut args = vec!["push", "result.json", "--to", to, "--key-file", "key"];
    args.extend(["--authorization-file", "bearer"]);
    check(&args);
    assert!(world.web.seen().is_empty());
    insta::assert_snapshot!(all);
}

#[test]
fn a_key_and_an_authorization_are_handed_over() {
    let world = World::new();
    world.mode("key", 0o440);
    world.place.write("bearer", "Bearer x\n");
    let url = world.web.url("/results");
    let mut args = vec!["push", "result.json", "--to", &url];
    args.extend(["--key-file", "credential:key"]);
    args.extend(["--authorization-file", "credential:bearer"]);
    let run = world
        .place
        .command(&args)
        .env("CREDENTIALS_DIRECTORY", world.place.root())
        .output()
        .unwrap();
    exits(&run, 0);
    let seen = world.web.seen();
    assert_eq!(seen[0].header("authorization"), Some("Bearer x"));
    assert_eq!(received(&seen), [1]);
}
