//! `snowguard status`, over a history that real scans made.

use std::sync::atomic::AtomicBool;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{Timestamp, ToSpan as _};
use snowguard_watch::duration::Length;
use snowguard_watch::history::{About, History};
use snowguard_watch::scanner::Scanner;

use crate::support::{Place, example};

fn at(days: i64) -> Timestamp {
    let today = crate::support::today()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .unwrap();
    let time = today.checked_sub(days.days()).unwrap().timestamp();
    time.min(Timestamp::now())
}

fn path(place: &Place, name: &str) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(place.path(name)).unwrap()
}

fn history(place: &Place) -> History {
    History::open(&path(place, "watch.sqlite"), "test").unwrap()
}

fn about(root: &str, days: i64) -> About {
    About {
        target: "system".into(),
        reason: "system".into(),
        root: root.into(),
        fingerprint: String::new(),
        started: at(days),
        finished: at(days),
    }
}

fn scanner(place: &Place) -> Scanner {
    Scanner {
        program: env!("CARGO_BIN_EXE_snowguard").into(),
        index: None,
        config: place
            .path("snowguard.toml")
            .exists()
            .then(|| path(place, "snowguard.toml")),
        deep: false,
        time_limit: Length::seconds(300),
        result: None,
        host: None,
        cache: None,
    }
}

/// Scans the example with the program itself, as the watcher does.
fn scan(place: &Place, days: i64) {
    let seen = scanner(place)
        .scan(Utf8Path::new(&example()), &AtomicBool::new(false))
        .unwrap();
    history(place)
        .record(&about("/nix/store/example", days), &seen)
        .unwrap();
}

#[test]
fn what_real_scans_found_and_a_decision_took_back() {
    let place = Place::new();
    scan(&place, 30);
    place.write(
        "snowguard.toml",
        "[[suppress]]\ncomponent = \"sudo\"\nadvisory = \"CVE-2021-3156\"\nreason = \"it is not set-user-ID here\"\n",
    );
    scan(&place, 3);
    std::fs::remove_file(place.path("snowguard.toml")).unwrap();
    scan(&place, 2);
    let mut history = history(&place);
    let failed = about("/nix/store/example", 1);
    history
        .record_failure(
            &failed,
            "the scan took longer than 30m, and was ended",
            "warning: slow\n",
        )
        .unwrap();
    history.publish(&path(&place, "history.sqlite")).unwrap();

    let run = place.run(&["status", "--history", "history.sqlite"]);
    run.exits(1).fits();
    let shown = run.shown();
    let shown = shown
        .lines()
        .map(|line| match line.split_once(" UTC, ") {
            Some((before, after)) => {
                let (time, after) = (before.rsplit_once(' ').unwrap().0, after);
                let rest = after.split_once(" ago").map_or(after, |(_, rest)| rest);
                format!("{time} [TIME]{rest}")
            }
            // How old the shipped advisories are depends on the day.
            None => match line.split_once(" records   newest ") {
                Some((before, _)) => format!("{before} records   newest [DAY], [AGE] old"),
                None => line.to_owned(),
            },
        })
        .collect::<Vec<_>>()
        .join("\n");
    insta::assert_snapshot!(shown);

    let run = place.run(&[
        "status",
        "--history",
        "history.sqlite",
        "--advisory",
        "cve-2021-3156",
    ]);
    run.exits(1).fits();
    crate::support::assert_shown!(run);

    let run = place.run_with(
        &[
            "status",
            "--history",
            "history.sqlite",
            "--component",
            "nothing-of-that-name",
        ],
        &[("LANG", "C")],
    );
    run.exits(0);
    assert!(
        run.stdout.contains("open ") && run.stdout.is_ascii(),
        "{run}"
    );

    let run = place.run(&["status", "--history", "history.sqlite", "--format", "json"]);
    run.exits(1);
    let status: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(status["schema"], "snowguard-status/1");
    let target = &status["targets"][0];
    assert_eq!(target["failing"]["times"], 1);
    let open: usize = target["open"]
        .as_array()
        .unwrap()
        .iter()
        .map(|open| open["findings"].as_array().unwrap().len())
        .sum();
    let counts = &target["last_scan"]["counts"];
    let counted = counts["affected"].as_u64().unwrap() + counts["needs_review"].as_u64().unwrap();
    assert_eq!(open as u64, counted);
}

#[test]
fn without_a_history() {
    let place = Place::new();
    let run = place.run(&["status", "--history", "history.sqlite"]);
    run.fails_with("there is no history");
    crate::support::assert_shown!(run);
    place.write(
        "history.sqlite",
        "something else, long enough to look like a page of it",
    );
    place
        .run(&["status", "--history", "history.sqlite"])
        .fails_with("not a database");
}
