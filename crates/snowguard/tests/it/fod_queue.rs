//! `snowguard fod verify` and `fod gate` with a queue: what is believed of it, several at one, and ends in between.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::Value;
use snowguard_db::refetch::RefetchQueue;
use snowguard_testkit::nix::{Nix, NixStore};
use snowguard_testkit::postgres::Cluster;
use snowguard_testkit::web::Web;

use crate::fod_verify::{fill, store};
use crate::support::{Place, Run};

/// What became of a derivation of a gate's document, and whether it was found earlier.
fn judged(run: &Run, name: &str) -> (String, bool) {
    let document: Value = serde_json::from_str(&run.exits(0).stdout).unwrap();
    let changes = document["changes"].as_array().unwrap();
    let change = changes.iter().find(|one| one["name"] == name).unwrap();
    (
        change["verdict"].as_str().unwrap().to_owned(),
        change["earlier"] == true,
    )
}

#[test]
fn what_allowed_it_belongs_to_what_was_found() {
    let (web, tls) = (Web::start().unwrap(), Web::start_tls().unwrap());
    web.put("/right", "right");
    let name = "right.tar.gz";
    let fod = (name.to_owned(), web.url("/right"), "right".to_owned());
    let (place, base, head) = (Place::new(), store(&[]), store(&[fod]));
    std::fs::write(place.path("tls.pem"), tls.authority().unwrap()).unwrap();
    let gate = |more: &[&str]| {
        let stores = [&base, &head].map(|store| store.dir().to_str().unwrap());
        let way = [
            "--verify",
            "--direct",
            "--queue",
            "fods.db",
            "--fail-on",
            "never",
        ];
        place.run(&[&["fod", "gate"], &stores[..], &way, more].concat())
    };
    let private = ["--allow-private", "--format", "json"];
    assert_eq!(judged(&gate(&private), name), ("ok".to_owned(), false));
    web.seen();
    // Found earlier, and told so.
    assert_eq!(judged(&gate(&private), name), ("ok".to_owned(), true));
    let text = gate(&["--allow-private"]);
    let told = "1 of these found by an earlier run or another worker of the queue";
    assert!(text.exits(0).stdout.contains(told), "{text}");
    let summary = gate(&["--allow-private", "--format", "markdown"]);
    let told = "Not found now, but by an earlier run or another worker of the queue: 1.";
    assert!(summary.exits(0).stdout.contains(told), "{summary}");
    assert!(web.seen().is_empty());
    // What was well when it was allowed to ask says nothing of now.
    let public = ["--format", "json"];
    assert_eq!(judged(&gate(&public), name), ("denied".to_owned(), false));
    assert!(web.seen().is_empty());
    // So it is with what was trusted.
    let trusted = [&private[..], &["--ca-file", "tls.pem"]].concat();
    assert_eq!(judged(&gate(&trusted), name), ("ok".to_owned(), false));
    assert_eq!(web.seen().len(), 1);
}

#[test]
fn several_work_together_on_a_database() {
    let web = Web::start().unwrap();
    let fods: Vec<(String, String, String)> = (0..40)
        .map(|n| {
            let path = format!("/{n}");
            web.put(&path, "right");
            (format!("fod-{n}"), web.url(&path), "right".to_owned())
        })
        .collect();
    // Nobody is answered before more have asked than one of them alone may.
    let door = (Mutex::new(0), Condvar::new());
    web.answer_with(move |_| {
        let mut asked = door.0.lock().unwrap();
        *asked += 1;
        door.1.notify_all();
        let longest = Duration::from_mins(2);
        let waited = door
            .1
            .wait_timeout_while(asked, longest, |asked| *asked < 3);
        drop(waited.unwrap());
        None
    });
    let (place, store) = (Place::new(), store(&fods));
    let database = Cluster::shared().unwrap().database().unwrap();
    let directory = store.dir().to_str().unwrap();
    let args = [
        "fod",
        "verify",
        "--allow-private",
        directory,
        "--where",
        "class=builtin",
        "--queue",
        &database,
        "--jobs",
        "2",
        "--format",
        "json",
    ];
    let workers = [(), ()].map(|()| place.command(&args).stdout(Stdio::piped()).spawn().unwrap());
    let mut found_by_themselves = 0;
    for worker in workers {
        let output = worker.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["verdicts"], serde_json::json!({"ok": fods.len()}));
        let all = told["fods"].as_array().unwrap();
        let earlier = all.iter().filter(|fod| fod["earlier"] == true).count();
        // Neither had all of it for itself.
        assert!((1..all.len()).contains(&earlier), "{earlier}");
        found_by_themselves += all.len() - earlier;
    }
    // Each was done once, by one of the two.
    assert_eq!(found_by_themselves, fods.len());
    assert_eq!(web.seen().len(), fods.len());
}

/// Lets a server answer so many requests in each round, and no more.
#[derive(Default)]
struct Toll {
    round: Mutex<Round>,
    changed: Condvar,
}

#[derive(Default)]
struct Round {
    number: usize,
    /// How many may still be answered.
    left: usize,
    /// Whether somebody wanted more.
    is_used_up: bool,
}

impl Toll {
    /// Waits until this one may be answered, or nobody wants that any more.
    fn pay(&self) {
        let mut round = self.round.lock().unwrap();
        let number = round.number;
        while round.number == number && round.left == 0 {
            round.is_used_up = true;
            self.changed.notify_all();
            round = self.changed.wait(round).unwrap();
        }
        if round.number == number {
            round.left -= 1;
        }
    }

    /// Begins a round.
    fn grant(&self, count: usize) {
        let mut round = self.round.lock().unwrap();
        *round = Round {
            number: round.number + 1,
            left: count,
            is_used_up: false,
        };
        self.changed.notify_all();
    }

    /// Waits until all that was granted is used up and somebody wants more; whether that came.
    fn is_used_up(&self) -> bool {
        let round = self.round.lock().unwrap();
        let longest = Duration::from_mins(2);
        let waited = self
            .changed
            .wait_timeout_while(round, longest, |round| !round.is_used_up);
        !waited.unwrap().1.timed_out()
    }
}

/// A tree that takes a while to unpack and to check out; its hash as Nix computes it. It is served as `/x.tar`'s bytes
/// and as a repository below `/git`.
fn tree(store: &NixStore, web: &Web, tags: usize) -> (Vec<u8>, String) {
    let made = store.scratch().join("made");
    let root = made.join("pkg");
    std::fs::create_dir_all(&root).unwrap();
    for n in 0..200 {
        std::fs::write(root.join(format!("{n}")), vec![b'x'; n * 20]).unwrap();
    }
    let args = ["--type", "sha256", "--base32", root.to_str().unwrap()];
    let hash = store.run("nix-hash", &[], args).unwrap();
    let sh = |command: &str| {
        let output = Command::new("sh")
            .args(["-ec", command])
            .current_dir(&made)
            .envs([
                ("GIT_CONFIG_GLOBAL", "/dev/null"),
                ("GIT_CONFIG_SYSTEM", "/dev/null"),
            ])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    sh("tar cf x.tar pkg");
    let tar = std::fs::read(made.join("x.tar")).unwrap();
    sh("cd pkg; git init --quiet -b main; git add .
        git -c user.name=t -c user.email=t@example.org commit --quiet -m one");
    for n in 0..tags {
        sh(&format!("git -C pkg tag v{n}"));
    }
    sh("git clone --quiet --bare pkg served; git -C served update-server-info");
    web.put_tree("/git", &made.join("served")).unwrap();
    (tar, String::from_utf8(hash).unwrap().trim().to_owned())
}

/// Killed a hundred times, each time with work under way, it loses nothing and repeats no more than that: while it waits
/// for a server, unpacks, checks out, or writes down what it found.
#[test]
fn killed_it_loses_nothing() {
    const JOBS: usize = 4;
    const KILLS: usize = 100;
    const COMMITS: usize = 20;
    // Each is answered some, at most three, and killed while it waits for the next.
    let count = 60 + 3 * KILLS;
    let web = Web::start().unwrap();
    let toll = Arc::new(Toll::default());
    let at_door = Arc::clone(&toll);
    web.answer_with(move |request| {
        // A repository is many requests, and others wait meanwhile.
        if !request.path.starts_with("/git/") {
            at_door.pay();
        }
        None
    });
    let store = Nix::find().unwrap().store_at("nix/store").unwrap();
    let (tar, hash) = tree(&store, &web, COMMITS);
    let mut more = String::new();
    for n in 0..COMMITS {
        let url = web.url("/git");
        let _ = writeln!(
            more,
            "(commit \"commit-{n}\" \"{url}\" \"v{n}\" \"{hash}\")"
        );
    }
    let is_archive = |n: &usize| n.is_multiple_of(5);
    for n in (0..count).filter(is_archive) {
        let path = format!("/{n}/x.tar");
        web.put(&path, tar.clone());
        let url = web.url(&path);
        let _ = writeln!(more, "(archive \"archive-{n}\" \"{url}\" \"{hash}\")");
    }
    let fods: Vec<(String, String, String)> = (0..count)
        .filter(|n| !is_archive(n))
        .map(|n| {
            let path = format!("/{n}");
            web.put(&path, format!("body {n}"));
            let promised = if n % 10 == 3 {
                "other".to_owned()
            } else {
                format!("body {n}")
            };
            (format!("fod-{n}"), web.url(&path), promised)
        })
        .collect();
    fill(&store, &fods, &more);
    let place = Place::new();
    let jobs = JOBS.to_string();
    let directory = store.dir().to_str().unwrap();
    let args = [
        "fod",
        "verify",
        "--allow-private",
        directory,
        "--queue",
        "fods.db",
        "--jobs",
        &jobs,
        "--per-host",
        &jobs,
        "--pace",
        "3",
        "--format",
        "json",
    ];
    let mut state: u64 = 42;
    for kill in 0..KILLS {
        // Knuth's numbers: the same in every run, wherever they lead.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        toll.grant(usize::try_from((state >> 33) % 4).unwrap());
        let mut running = place
            .command(&args)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(toll.is_used_up(), "kill {kill} of {KILLS} met no work");
        running.kill().unwrap();
        let ended = running.wait().unwrap();
        assert_eq!(ended.code(), None, "it was done before kill {kill}");
    }
    // Of those that nobody waits for any more, and of all that is left.
    toll.grant(usize::MAX);
    let run = place.run(&args);
    let told: Value = serde_json::from_str(&run.exits(1).stdout).unwrap();
    assert_eq!(told["fods"].as_array().unwrap().len(), count + COMMITS + 2);
    let wrong = (0..count).filter(|n| n % 10 == 3).count();
    assert_eq!(told["verdicts"]["mismatch"], wrong);
    assert_eq!(told["verdicts"]["ok"], count + COMMITS - wrong);
    let mut asked: BTreeMap<String, usize> = BTreeMap::new();
    let mut seen = web.seen();
    seen.retain(|request| !request.path.starts_with("/git/"));
    for request in seen {
        *asked.entry(request.path).or_default() += 1;
    }
    assert_eq!(asked.len(), count);
    let repeated: usize = asked.values().map(|times| times - 1).sum();
    assert!(repeated <= JOBS * KILLS, "{repeated} of {KILLS} kills");
    assert!(repeated > 0);
    // Nobody holds anything any more.
    let queue = RefetchQueue::open(place.path("fods.db").to_str().unwrap()).unwrap();
    assert_eq!(queue.results().unwrap().len(), count + COMMITS);
}
