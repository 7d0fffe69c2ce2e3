//! How it ends: nothing that was started outlives it, nor its own build.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use snowguard_testkit::machine;

use super::place::{BODY, Place, flat};

#[test]
fn what_one_build_leaves_behind_is_gone_when_the_next_begins() {
    let Some(place) = Place::new() else { return };
    if !machine::keeps_apart() {
        return;
    }
    let scratch = place.store.scratch();
    let url = place.http.url("/file");
    let fetch = "curl --silent --show-error --fail -o $out $urls";
    // In a session of its own, so that Nix does not end it either.
    let first = format!(
        "(setsid bash -c '{}' </dev/null >/dev/null 2>&1 &); while ! [ -e {}/there ]; do sleep 0.01; done; {fetch}",
        lives(scratch),
        scratch.display()
    );
    let first = place.shell("first", &url, &first, &flat(BODY));
    let second = format!(
        "test -e ${{{first}}} && flock -n {}/lock true && {fetch}",
        scratch.display()
    );
    let second = place.shell("second", &url, &second, &flat(BODY));
    let run = place.build(&[], &[second]);
    run.ends(0);
    let expected = ["first", "second"].map(|name| (name.to_owned(), "ok".to_owned()));
    assert_eq!(run.verdicts(), expected);
}

#[test]
fn whoever_kills_it_ends_the_builds_and_the_proxy() {
    let Some(mut slow) = Slow::start() else {
        return;
    };
    let proxy = children(slow.child.id())
        .into_iter()
        .find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|word| word == b"fod-proxy")
        })
        .expect("there is a proxy");
    let is_alive = || {
        let stat = std::fs::read_to_string(format!("/proc/{proxy}/stat"));
        stat.is_ok_and(|stat| stat.contains("(snowguardd) ") && !stat.contains(") Z "))
    };
    assert!(is_alive());
    slow.child.kill().unwrap();
    slow.child.wait().unwrap();
    assert!(slow.is_gone(), "a builder goes on");
    assert!(
        comes_true(Duration::from_mins(1), || !is_alive()),
        "the proxy goes on"
    );
}

#[test]
fn who_interrupts_leaves_nothing_behind() {
    let Some(mut slow) = Slow::start() else {
        return;
    };
    let own = rustix::process::Pid::from_raw(i32::try_from(slow.child.id()).unwrap()).unwrap();
    rustix::process::kill_process(own, rustix::process::Signal::INT).unwrap();
    assert_eq!(slow.child.wait().unwrap().code(), Some(2));
    assert!(slow.is_gone(), "a builder goes on");
}

/// A build that does not end by itself.
struct Slow {
    place: Place,
    child: Child,
}

impl Slow {
    /// When it is there, its builder lives.
    fn start() -> Option<Self> {
        let place = Place::new()?;
        let scratch = place.store.scratch();
        let source = place.shell("slow", "/", &lives(scratch), &flat(BODY));
        let file = place.system(&[source]);
        let child = place
            .command(&[], &["nix-build", file.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        assert!(
            comes_true(Duration::from_mins(2), || scratch.join("there").exists()),
            "it does not build"
        );
        Some(Self { place, child })
    }

    /// Whether its builder is gone; it may take a while.
    fn is_gone(&self) -> bool {
        let lock = self.place.store.scratch().join("lock");
        comes_true(Duration::from_mins(1), || {
            let mut flock = Command::new("flock");
            flock.arg("-n").arg(&lock).arg("true");
            flock.status().unwrap().success()
        })
    }
}

/// Says, in a script, that it is there, and has a file locked while it lives.
fn lives(place: &Path) -> String {
    let place = place.display();
    format!("exec 9>{place}/lock; flock 9; : > {place}/there; sleep 600; sleep 600")
}

fn comes_true(within: Duration, is_true: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if is_true() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn children(parent: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit(") ").next().unwrap_or_default();
        after.split(' ').nth(1) == Some(&parent.to_string())
    })
    .collect()
}
