//! Package sets from files, from the real Nix, and from a server that fails on order.
#![expect(
    clippy::disallowed_methods,
    reason = "tests read and write files, and fail where they cannot go on"
)]

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use snowguard_db::Database;
use snowguard_db::evaluations::{Channel, Evaluations as _};
use snowguard_http::{Client, Settings};
use snowguard_sources::packages::Derivations;
use snowguard_sources::{Input, Limits, Options, Store};
use snowguard_testkit::nix::Nix;
use snowguard_testkit::web::{Fault, Web};
use snowguard_tracker::ingest::{
    Evaluator, EvaluatorLimits, IngestError, Outcome, Polled, Poller, Program, Revision, Shrinking,
    followed, heads_of_prometheus, of_checkout, read_file, read_pipe, take,
};

fn now() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// A database, a spool, and a channel.
struct World {
    scratch: tempfile::TempDir,
    db: Database,
}

impl World {
    fn new(source: Option<&str>) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("spool")).unwrap();
        let path = scratch.path().join("tracker.db");
        let db = Database::open(path.to_str().unwrap()).unwrap();
        db.write(|session| session.add_channel("nixos-unstable", source))
            .unwrap();
        Self { scratch, db }
    }

    fn channel(&self) -> Channel {
        followed(&self.db, "nixos-unstable").unwrap()
    }

    fn path(&self, name: &str) -> Utf8PathBuf {
        Utf8Path::from_path(self.scratch.path()).unwrap().join(name)
    }

    fn script(&self, text: &str) -> Utf8PathBuf {
        let path = self.path("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// The versions in the head, by attribute path.
    fn head(&self) -> String {
        let channel = self.channel().id;
        let mut rows = self.db.read(|session| session.head(channel, None)).unwrap();
        rows.sort_by(|a, b| a.path.cmp(&b.path));
        let rows = rows
            .iter()
            .map(|row| format!("{} {}", row.path, row.version));
        rows.collect::<Vec<_>>().join(", ")
    }

    fn take(&self, revision: &str, evaluation: snowguard_sources::packages::Evaluation) -> Outcome {
        let revision = Revision::new(revision, now(), "a test").unwrap();
        let shrinking = Shrinking::Refused;
        take(
            &self.db,
            &self.channel(),
            &revision,
            now(),
            shrinking,
            evaluation,
            &mut |_| (),
        )
        .unwrap()
    }

    fn left_over(&self) -> usize {
        self.path("spool").read_dir_utf8().unwrap().count()
    }
}

fn set(version: &str) -> String {
    let package = |name: &str, version: &str| {
        format!(
            r#""{name}":{{"name":"{name}-{version}","pname":"{name}","version":"{version}","system":"x86_64-linux","outputName":"out","outputs":{{"out":null}},"meta":{{"maintainers":[{{"github":"one"}}]}}}}"#
        )
    };
    let all = [
        package("app", version),
        package("bash", "5.3"),
        package("curl", "8.1"),
    ];
    format!(r#"{{"version":2,"packages":{{{}}}}}"#, all.join(","))
}

fn brotli(text: &str) -> Vec<u8> {
    let mut packed = brotli::CompressorWriter::new(Vec::new(), 4096, 9, 24);
    std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
    packed.into_inner()
}

#[test]
fn files_and_pipes_of_every_form() {
    let jobs = r#"{"attr":"app","name":"app-2","pname":"app","version":"2","outputs":{"out":null},"meta":{}}
{"attr":"bash","name":"bash-5.3","meta":{}}
{"attr":"gone","error":"error: it is gone"}
"#;
    let world = World::new(None);
    let file = world.path("packages.json.br");
    std::fs::write(&file, brotli(&set("1"))).unwrap();
    let options = Options::default();
    let read = read_file(&file, Derivations::default(), &options, &mut |_| ()).unwrap();
    let Outcome::Taken(first) = world.take("0000001", read) else {
        panic!()
    };
    assert_eq!((first.attributes, first.added), (3, 3));
    assert_eq!(world.head(), "app 1, bash 5.3, curl 8.1");
    let pipe = std::io::Cursor::new(set("2"));
    let read = read_pipe(
        "standard input",
        pipe,
        Derivations::default(),
        &options,
        &mut |_| (),
    );
    let Outcome::Taken(second) = world.take("0000002", read.unwrap()) else {
        panic!()
    };
    assert_eq!((second.changed, second.rebuilt), (1, 0));
    let lines = std::io::Cursor::new(jobs);
    let read = read_pipe(
        "standard input",
        lines,
        Derivations::default(),
        &options,
        &mut |_| (),
    )
    .unwrap();
    // A third is missing: somebody must look at that.
    let refused = world.take("0000003", read);
    assert_eq!(
        refused,
        Outcome::Shrunk {
            head: 3,
            missing: 1
        }
    );
    assert_eq!(world.head(), "app 2, bash 5.3, curl 8.1");
}

#[test]
fn channels_that_are_not_there_or_have_ended() {
    let world = World::new(None);
    let told = |name: &str| {
        let error = followed(&world.db, name).unwrap_err();
        format!("{error}\nhint: {}", error.hint().unwrap())
    };
    insta::assert_snapshot!(told("nixos-26.05"), @r#"
    there is no channel "nixos-26.05"
    hint: list the channels, and make it first if it is new
    "#);
    let channel = world.channel().id;
    world
        .db
        .write(|session| session.follow_channel(channel, false))
        .unwrap();
    insta::assert_snapshot!(told("nixos-unstable"), @r#"
    channel nixos-unstable has ended: it is not followed
    hint: follow it again to take new package sets
    "#);
}

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";
const NEXT: &str = "1123456789abcdef0123456789abcdef01234567";

/// A channel that a server publishes.
struct Published {
    world: World,
    web: Web,
    client: Client,
    options: Options,
}

impl Published {
    fn new() -> Self {
        let web = Web::start().unwrap();
        let settings = Settings {
            connect_timeout: Duration::from_secs(5),
            stall: Duration::from_secs(5),
            attempts: 2,
            pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(10),
            ..Settings::default()
        };
        let published = Self {
            world: World::new(Some(&web.url("/nixos-unstable"))),
            web,
            client: Client::new(settings, Arc::new(AtomicBool::new(false))).unwrap(),
            options: Options {
                limits: Limits {
                    document: 10_000,
                    ..Limits::default()
                },
                ..Options::default()
            },
        };
        published.put(HASH, "1");
        published
    }

    fn put(&self, revision: &str, version: &str) {
        let modified = Some("Thu, 19 Nov 2026 08:00:00 GMT");
        let path = "/nixos-unstable/git-revision";
        self.web.put_with(path, revision, &[], modified);
        self.web.put(PACKAGES, brotli(&set(version)));
    }

    fn poll(&self) -> Result<Polled, IngestError> {
        self.poll_with(Shrinking::Refused)
    }

    fn poll_with(&self, shrinking: Shrinking) -> Result<Polled, IngestError> {
        let poller = Poller {
            db: &self.world.db,
            client: &self.client,
            options: &self.options,
            spool: &self.world.path("spool"),
            shrinking,
            evaluator: None,
        };
        poller.poll(&self.world.channel(), now(), &mut |_| ())
    }

    fn trouble(&self) -> Option<String> {
        let trouble = self.world.channel().poll.unwrap().trouble;
        let host = self.web.base().split_once("://").unwrap().1.to_owned();
        trouble.map(|text| text.replace(&host, "HOST"))
    }
}

const PACKAGES: &str = "/nixos-unstable/packages.json.br";

#[test]
fn what_a_channel_publishes_is_fetched_once() {
    let published = Published::new();
    let Ok(Polled::Fetched(Outcome::Taken(taken))) = published.poll() else {
        panic!()
    };
    assert_eq!(published.world.head(), "app 1, bash 5.3, curl 8.1");
    let db = &published.world.db;
    let evaluation = db
        .read(|session| session.evaluation(taken.evaluation))
        .unwrap()
        .unwrap();
    assert_eq!(evaluation.revision, HASH);
    assert_eq!(evaluation.evaluated_at.to_string(), "2026-11-19T08:00:00Z");
    published.web.seen();
    assert_eq!(published.poll().unwrap(), Polled::Unchanged);
    let seen: Vec<String> = published
        .web
        .seen()
        .into_iter()
        .map(|seen| seen.path)
        .collect();
    assert_eq!(seen, ["/nixos-unstable/git-revision"]);
    published.put(NEXT, "2");
    assert!(matches!(
        published.poll(),
        Ok(Polled::Fetched(Outcome::Taken(_)))
    ));
    assert_eq!(published.world.head(), "app 2, bash 5.3, curl 8.1");
    assert_eq!(published.world.left_over(), 0);
    // The same revision under another date is not fetched again.
    published.web.put("/nixos-unstable/git-revision", NEXT);
    published.web.seen();
    assert_eq!(published.poll().unwrap(), Polled::Unchanged);
    assert_eq!(published.web.seen().len(), 1);
}

#[test]
fn what_is_broken_is_noted_and_takes_nothing_away() {
    let published = Published::new();
    published.poll().unwrap();
    published.put(NEXT, "2");
    let good = brotli(&set("2"));
    let large = format!(r#"{{"packages":{{{}}}}}"#, " ".repeat(20_000));
    let faults: [(&str, Fault); 9] = [
        ("cut", Fault::Cut(0)),
        ("gone", Fault::Status(404, Vec::new())),
        ("refused", Fault::Status(500, Vec::new())),
        ("another length", Fault::Length(good.len() as u64 - 7)),
        ("no JSON", Fault::Body(b"<html>portal</html>".to_vec())),
        ("broken JSON", Fault::Body(brotli(&set("2")[..200]))),
        (
            "cut in itself",
            Fault::Body(good[..good.len() - 40].to_vec()),
        ),
        ("too large", Fault::Body(brotli(&large))),
        (
            "nothing in it",
            Fault::Body(brotli(r#"{"version":2,"packages":{}}"#)),
        ),
    ];
    let mut told = Vec::new();
    for (name, fault) in faults {
        published.web.fail_always(PACKAGES, fault);
        assert!(published.poll().is_err(), "{name}");
        told.push(format!("{name}: {}", published.trouble().unwrap()));
        assert_eq!(
            published.world.head(),
            "app 1, bash 5.3, curl 8.1",
            "{name}"
        );
        published.web.heal();
        // What broke off is there to go on from; another attempt begins anew in this test.
        for entry in published.world.path("spool").read_dir_utf8().unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    let path = published.world.path("spool");
    insta::assert_snapshot!(told.join("\n").replace(path.as_str(), "SPOOL"), @r#"
    cut: cannot fetch the package set: HOST broke off http://HOST/nixos-unstable/packages.json.br after 0 bytes
    gone: cannot fetch the package set: HOST answered 404 Not Found to http://HOST/nixos-unstable/packages.json.br
    refused: cannot fetch the package set: HOST answered 500 Internal Server Error to http://HOST/nixos-unstable/packages.json.br
    another length: cannot take the package set: cannot decompress `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages`: the brotli data is damaged or cut off: Invalid Data
    no JSON: cannot take the package set: cannot tell how to read `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages`: it is a web page (HTML)
    broken JSON: cannot take the package set: cannot read the package set in `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages`: it is not a JSON object of packages by attribute path: EOF while parsing a string at line 1 column 200
    cut in itself: cannot take the package set: cannot decompress `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages`: the brotli data is damaged or cut off: Invalid Data
    too large: cannot take the package set: `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages` is refused: the document has more than 10000 bytes
    nothing in it: cannot take the package set: cannot tell how to read `SPOOL/channel-1-1123456789abcdef0123456789abcdef01234567.packages`: it is JSON of an unknown kind: its keys are `version`, `packages`
    "#);
    published.web.fail_always(
        "/nixos-unstable/git-revision",
        Fault::Body(b"<html>".to_vec()),
    );
    assert!(published.poll().is_err());
    insta::assert_snapshot!(published.trouble().unwrap(), @"http://HOST/nixos-unstable/git-revision names no revision");
    published.web.heal();
    assert!(matches!(
        published.poll(),
        Ok(Polled::Fetched(Outcome::Taken(_)))
    ));
    assert_eq!(published.trouble(), None);
}

#[test]
fn what_broke_off_goes_on() {
    let published = Published::new();
    let mut noise = String::new();
    for number in 0..3_000_u32 {
        write!(noise, "{:x}", number.wrapping_mul(2_654_435_761)).unwrap();
    }
    let large = set("1").replace(
        "\"version\":2,",
        &format!("\"version\":2,\"noise\":\"{noise}\","),
    );
    let options = Options::default();
    let published = Published {
        options,
        ..published
    };
    let packed = brotli(&large);
    published.web.put(PACKAGES, packed.clone());
    published.web.fail(PACKAGES, [Fault::Cut(packed.len() / 2)]);
    published.web.sent();
    assert!(matches!(
        published.poll(),
        Ok(Polled::Fetched(Outcome::Taken(_)))
    ));
    assert!(published.web.sent() < packed.len() as u64 + 2_000);
}

#[test]
fn a_set_that_shrank_is_refused_until_somebody_wants_it() {
    let published = Published::new();
    published.poll().unwrap();
    published.put(NEXT, "2");
    let small = r#"{"app":{"name":"app-3","meta":{}}}"#;
    published.web.put(PACKAGES, brotli(small));
    let refused = published.poll().unwrap();
    assert_eq!(
        refused,
        Polled::Fetched(Outcome::Shrunk {
            head: 3,
            missing: 2
        })
    );
    insta::assert_snapshot!(published.trouble().unwrap(), @"the package set lacks 2 of 3 attributes, and was not taken");
    // It is not fetched again and again, and what was wrong stays known.
    assert_eq!(published.poll().unwrap(), Polled::Unchanged);
    assert!(published.trouble().is_some());
    let taken = published.poll_with(Shrinking::Taken).unwrap();
    assert!(matches!(taken, Polled::Fetched(Outcome::Taken(_))));
    assert_eq!(
        (published.world.head(), published.trouble()),
        ("app 3".to_owned(), None)
    );
}

#[test]
fn a_head_that_moves_meanwhile_is_fetched_anew() {
    let published = Published::new();
    let path = "/nixos-unstable/git-revision";
    // The first answer is of before, all others are of after.
    published.web.put(path, NEXT);
    published
        .web
        .fail(path, [Fault::Body(HASH.as_bytes().to_vec())]);
    let Ok(Polled::Fetched(Outcome::Taken(taken))) = published.poll() else {
        panic!()
    };
    let db = &published.world.db;
    let evaluation = db
        .read(|session| session.evaluation(taken.evaluation))
        .unwrap()
        .unwrap();
    assert_eq!(evaluation.revision, NEXT);
}

#[test]
fn a_list_of_heads_is_read() {
    let published = Published::new();
    let json = r#"{"data":{"result":[{"metric":{"channel":"nixos-26.05","revision":"0123abc"}}]}}"#;
    published.web.put("/api/v1/query", json);
    let address = published.web.url("/api/v1/query").parse().unwrap();
    let heads = heads_of_prometheus(&published.client, &address).unwrap();
    assert_eq!(heads[0].channel, "nixos-26.05");
}

/// An evaluator that is a script.
fn evaluator(world: &World, script: &str) -> Evaluator {
    Evaluator {
        program: Program::NixEnv(world.script(script)),
        limits: EvaluatorLimits {
            time: Duration::from_mins(1),
            output: 1 << 20,
            ..EvaluatorLimits::default()
        },
        system: None,
        workers: 1,
        spool: world.path("spool"),
    }
}

#[test]
fn an_evaluator_that_fails_leaves_nothing() {
    let world = World::new(None);
    let checkout = world.path("nixpkgs");
    let told = |evaluator: &Evaluator, stop: bool| {
        let options = Options::default();
        let stop = AtomicBool::new(stop);
        let error = evaluator
            .evaluate(
                &checkout,
                Derivations::default(),
                &options,
                &stop,
                &mut |_| (),
            )
            .unwrap_err();
        assert_eq!(world.left_over(), 0);
        error.in_one_line().replace(world.path("").as_str(), "")
    };
    let fails = evaluator(&world, "echo '{\"a\":'; echo error: no memory >&2; exit 1");
    insta::assert_snapshot!(told(&fails, false), @"cannot evaluate the package set: nixpkgs has no default.nix");
    std::fs::create_dir(&checkout).unwrap();
    std::fs::write(checkout.join("default.nix"), "{ }").unwrap();
    insta::assert_snapshot!(told(&fails, false), @"cannot evaluate the package set: script failed (exit status: 1): error: no memory");
    let slow = evaluator(&world, "sleep 100 & wait");
    insta::assert_snapshot!(told(&slow, true), @"cannot evaluate the package set: the evaluation was stopped");
    let slow = Evaluator {
        limits: EvaluatorLimits {
            time: Duration::ZERO,
            ..slow.limits
        },
        ..slow
    };
    insta::assert_snapshot!(told(&slow, false), @"cannot evaluate the package set: script took longer than 0 s, and was ended");
    insta::assert_snapshot!(told(&evaluator(&world, "yes"), false), @"cannot evaluate the package set: script printed more than 1048576 bytes, and was ended");
    insta::assert_snapshot!(told(&evaluator(&world, "yes >&2"), false), @"cannot evaluate the package set: script printed more than 1048576 bytes, and was ended");
    let hungry = Evaluator {
        limits: EvaluatorLimits {
            memory: 200 << 20,
            ..slow.limits
        },
        ..evaluator(
            &world,
            "x=$(yes | head -c 600000000); echo \"$x\" | head -c 1",
        )
    };
    let hungry = Evaluator {
        limits: EvaluatorLimits {
            time: Duration::from_mins(1),
            output: 1 << 20,
            ..hungry.limits
        },
        ..hungry
    };
    assert!(
        told(&hungry, false).contains("failed"),
        "{}",
        told(&hungry, false)
    );
    let garbage = evaluator(&world, "echo nothing of use");
    let said = told(&garbage, false);
    assert!(said.starts_with("cannot take the package set: "), "{said}");
}

#[test]
fn a_checkout_is_evaluated_when_it_is_elsewhere() {
    let client = Client::new(Settings::default(), Arc::new(AtomicBool::new(false))).unwrap();
    let world = World::new(None);
    let checkout = world.path("nixpkgs");
    let channel = world.channel().id;
    let source = Some(checkout.as_str());
    world
        .db
        .write(|session| session.set_channel_source(channel, source))
        .unwrap();
    let options = Options::default();
    let spool = world.path("spool");
    let poll = |evaluator: Option<&Evaluator>| {
        let poller = Poller {
            db: &world.db,
            client: &client,
            options: &options,
            spool: &spool,
            shrinking: Shrinking::Refused,
            evaluator,
        };
        poller.poll(&world.channel(), now(), &mut |_| ())
    };
    let trouble = || world.channel().poll.unwrap().trouble;
    std::fs::create_dir(&checkout).unwrap();
    std::fs::write(checkout.join("default.nix"), "{ }").unwrap();
    std::fs::write(checkout.join(".git-revision"), HASH).unwrap();
    std::fs::write(world.path("set.json"), set("1")).unwrap();
    let print = format!("cat {}", world.path("set.json"));
    let good = evaluator(&world, &print);
    assert!(matches!(
        poll(Some(&good)),
        Ok(Polled::Fetched(Outcome::Taken(_)))
    ));
    assert_eq!(world.head(), "app 1, bash 5.3, curl 8.1");
    assert_eq!(trouble(), None);
    // It is where it was: nothing is evaluated.
    let bad = evaluator(&world, "exit 1");
    assert_eq!(poll(Some(&bad)).unwrap(), Polled::Unchanged);
    std::fs::write(checkout.join(".git-revision"), NEXT).unwrap();
    assert!(poll(Some(&bad)).is_err());
    assert!(trouble().unwrap().contains("failed (exit status: 1)"));
    // One that moves while it is evaluated is not taken.
    let moves = evaluator(
        &world,
        &format!("echo {HASH}0 > {checkout}/.git-revision; {print}"),
    );
    assert!(matches!(poll(Some(&moves)), Err(IngestError::Moved { .. })));
    assert!(matches!(poll(None), Err(IngestError::NoSource { .. })));
    assert_eq!(world.head(), "app 1, bash 5.3, curl 8.1");
}

/// A small package set: one package is broken, one is insecure, one is an alias.
const EXPRESSION: &str = r#"
{ config ? { }, overlays ? [ ], system ? "x86_64-linux" }:
let
  make = args: derivation ({ inherit system; builder = "/bin/sh"; } // removeAttrs args [ "meta" ]) // {
    meta = { inherit (args) available; } // (args.meta or { });
  };
  source = derivation {
    inherit system; builder = "/bin/sh"; name = "lib-1.0.tar.gz";
    urls = [ "https://example.org/lib-1.0.tar.gz" ];
    outputHashMode = "flat"; outputHashAlgo = "sha256";
    outputHash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  };
in
{
  lib = make {
    name = "lib-1.0"; pname = "lib"; version = "1.0"; outputs = [ "out" "dev" ]; available = true;
    src = source; patches = [ ./CVE-2020-0001.patch ];
    meta = { maintainers = [ { github = "one"; } ]; description = "A library"; };
  };
  python3Packages = { recurseForDerivations = true; falcon = make { name = "python3.12-falcon-2.0"; available = true; }; };
}
// (if config.allowBroken or false then { broken = make { name = "broken-1"; available = true; meta.broken = true; }; } else { })
// (if config.allowAliases or true then { oldlib = make { name = "oldlib-1"; available = true; }; } else { })
"#;

#[test]
fn the_real_nix_evaluates_a_checkout() {
    let nix = Nix::find().unwrap().store_at("nix/store").unwrap();
    let world = World::new(None);
    let checkout = world.path("nixpkgs");
    std::fs::create_dir(&checkout).unwrap();
    std::fs::write(checkout.join("default.nix"), EXPRESSION).unwrap();
    std::fs::write(checkout.join("CVE-2020-0001.patch"), "mends it\n--- a/x\n").unwrap();
    std::fs::write(checkout.join(".git-revision"), HASH).unwrap();
    // Nix, with the environment that keeps it in its own store.
    let command = nix.command("nix-env", &[]);
    let mut script = String::new();
    for (name, value) in command.get_envs() {
        let (name, value) = (
            name.to_str().unwrap(),
            value.map(|value| value.to_str().unwrap()),
        );
        match value {
            Some(value) => writeln!(script, "export {name}='{value}'").unwrap(),
            None => writeln!(script, "unset {name}").unwrap(),
        }
    }
    let program = command.get_program().to_str().unwrap();
    write!(script, "exec {program} \"$@\"").unwrap();
    let evaluator = evaluator(&world, &script);
    // What nix-env prints leaves no derivations; what they say is known where somebody makes them.
    let lib = format!("(import {checkout} {{ }}).lib");
    nix.instantiate(&lib, &[]).unwrap();
    let options = Options::default();
    let derivations = Derivations {
        inputs: vec![Input::detect(nix.dir(), &options).unwrap()],
        live: false,
    };
    let revision = of_checkout(&checkout, now()).unwrap();
    let stop = AtomicBool::new(false);
    let evaluation = evaluator.evaluate(&checkout, derivations, &options, &stop, &mut |_| ());
    let evaluation = evaluation.unwrap();
    let channel = world.channel();
    let outcome = take(
        &world.db,
        &channel,
        &revision,
        now(),
        Shrinking::Refused,
        evaluation,
        &mut |_| (),
    );
    assert!(matches!(outcome, Ok(Outcome::Taken(_))), "{outcome:?}");
    assert_eq!(
        world.head(),
        "broken 1, lib 1.0, python3Packages.falcon 2.0"
    );
    world
        .db
        .read(|session| {
            let head = session.head(channel.id, None)?;
            let keys: Vec<&str> = head.iter().map(|row| &*row.key).collect();
            assert_eq!(keys, ["broken", "lib", "python:falcon"]);
            let lib = &head[1];
            assert!(
                lib.drv_path()
                    .unwrap()
                    .starts_with(nix.dir().to_str().unwrap())
            );
            assert_eq!(lib.output_paths().len(), 2);
            let fact = &session.facts(&[lib.fact])?[&lib.fact];
            let build = fact.build.as_ref().unwrap();
            assert_eq!(
                build.sources[0].urls,
                [Box::from("https://example.org/lib-1.0.tar.gz")]
            );
            assert_eq!(&*build.patches[0].name, "CVE-2020-0001.patch");
            assert!(build.patches[0].text.is_some());
            assert_eq!(fact.maintainers, [Box::from("one")]);
            Ok(())
        })
        .unwrap();
}

#[test]
fn derivations_say_how_many_packages_are_built_with_one() {
    let path =
        |digit: char, name: &str| format!("/nix/store/{}-{name}", digit.to_string().repeat(32));
    let derivation = |digit: char, name: &str, inputs: &[String]| {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|drv| format!(r#""{drv}":["out"]"#))
            .collect();
        format!(
            r#""{}":{{"outputs":{{"out":{{"path":"{}"}}}},"inputSrcs":[],"inputDrvs":{{{}}},"system":"x86_64-linux","builder":"/bin/sh","args":[],"env":{{}}}}"#,
            path(digit, &format!("{name}.drv")),
            path(digit, &format!("{name}-built")),
            inputs.join(",")
        )
    };
    let names = [
        ('1', "libc", "2.40"),
        ('2', "openssl", "1.1"),
        ('3', "openssl", "3.0"),
        ('4', "curl", "8.1"),
        ('5', "git", "2.5"),
    ];
    let drv = |at: usize| path(names[at].0, &format!("{}-{}.drv", names[at].1, names[at].2));
    let inputs = [
        vec![],
        vec![drv(0)],
        vec![drv(0)],
        vec![drv(0), drv(2)],
        vec![drv(3)],
    ];
    let derivations: Vec<String> = names
        .iter()
        .zip(&inputs)
        .map(|((digit, name, version), inputs)| {
            derivation(*digit, &format!("{name}-{version}"), inputs)
        })
        .collect();
    let packages: Vec<String> = names
        .iter()
        .enumerate()
        .map(|(at, (_, name, version))| {
            format!(
                r#""{name}_{at}":{{"name":"{name}-{version}","pname":"{name}","version":"{version}","system":"x86_64-linux","drvPath":"{}","outputs":{{"out":null}},"meta":{{}}}}"#,
                drv(at)
            )
        })
        .collect();
    let world = World::new(None);
    let (file, beside) = (world.path("set.json"), world.path("derivations.json"));
    std::fs::write(&file, format!("{{{}}}", packages.join(","))).unwrap();
    std::fs::write(&beside, format!("{{{}}}", derivations.join(","))).unwrap();
    let options = Options::default();
    let derivations = Derivations {
        inputs: vec![Input::detect(&beside, &options).unwrap()],
        live: false,
    };
    let read = read_file(&file, derivations, &options, &mut |_| ()).unwrap();
    assert!(matches!(world.take("0000001", read), Outcome::Taken(_)));
    let known = |world: &World| -> Vec<(String, i64)> {
        let sql = "SELECT key, dependents FROM package ORDER BY key";
        let rows = world.db.read(|session| {
            session
                .query(sql, &[])?
                .map(|row| Ok((row.get(0)?, row.get(1)?)))
        });
        rows.unwrap()
    };
    let counts = [("curl", 1), ("git", 0), ("libc", 3), ("openssl", 2)]
        .map(|(key, count)| (key.to_owned(), count));
    assert_eq!(known(&world), counts);
    // Where nobody says, it stays.
    let read = read_file(&file, Derivations::default(), &options, &mut |_| ()).unwrap();
    assert!(matches!(world.take("0000002", read), Outcome::Taken(_)));
    assert_eq!(known(&world), counts);
    // An evaluator has left them in a store, all but one: what lies there says the same of the others, and git is
    // as it was.
    let store = world.path("root/nix/store");
    std::fs::create_dir_all(&store).unwrap();
    for (at, inputs) in inputs.iter().enumerate().take(4) {
        let inputs: Vec<String> = inputs
            .iter()
            .map(|drv| format!(r#"("{drv}",["out"])"#))
            .collect();
        let file = drv(at).replace("/nix/store/", "");
        let (digit, name, _) = names[at];
        let aterm = format!(
            r#"Derive([("out","{}","","")],[{}],[],"x86_64-linux","/bin/sh",[],[])"#,
            path(digit, &format!("{name}-built")),
            inputs.join(",")
        );
        std::fs::write(store.join(file), aterm).unwrap();
    }
    let options = Options {
        store: Some(Store::at_root(world.path("root").as_std_path())),
        ..Options::default()
    };
    let live = || Derivations {
        inputs: Vec::new(),
        live: true,
    };
    let read = read_file(&file, live(), &options, &mut |_| ()).unwrap();
    assert!(matches!(world.take("0000003", read), Outcome::Taken(_)));
    let fewer = [("curl", 0), ("git", 0), ("libc", 2), ("openssl", 1)]
        .map(|(key, count)| (key.to_owned(), count));
    assert_eq!(known(&world), fewer);
    // Nix has none of them: nothing is known of how they are built.
    std::fs::remove_dir_all(&store).unwrap();
    std::fs::create_dir(&store).unwrap();
    let read = read_file(&file, live(), &options, &mut |_| ()).unwrap();
    assert!(read.uses.is_none());
}
