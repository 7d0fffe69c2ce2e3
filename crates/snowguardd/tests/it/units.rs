//! The units: systemd reads them without a complaint, and what they start is there.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Place;

/// Where the programs of a distribution lie; packagers put their own place there.
const PROGRAMS: &str = "/usr/bin/";

fn units() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../units");
    let mut units: Vec<PathBuf> = [root.clone(), root.join("user")]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|e| e == "service" || e == "timer")
        })
        .collect();
    units.sort();
    assert!(units.len() >= 10, "{units:?}");
    units
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn systemd_takes_them() {
    let place = Place::new();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_snowguardd"), place.path("snowguardd")).unwrap();
    // Another package's program: here it only has to be a program.
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_snowguardd"), place.path("snowguard")).unwrap();
    for unit in units() {
        let text = std::fs::read_to_string(&unit).unwrap();
        place.write(
            &name(&unit),
            &text.replace(PROGRAMS, &format!("{}/", place.root())),
        );
        let run = Command::new("systemd-analyze")
            .args(["verify", "--man=no", "--recursive-errors=one"])
            .args(unit.parent().unwrap().ends_with("user").then_some("--user"))
            .arg(place.path(&name(&unit)))
            .env("XDG_RUNTIME_DIR", place.root())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        let file = name(&unit);
        assert!(
            run.status.success() && !said.contains(&file),
            "{file}: {said}"
        );
    }
}

#[test]
fn they_are_shut_off_as_far_as_they_work() {
    for unit in units() {
        let file = name(&unit);
        // Offline, systemd judges units of the system only.
        if file.ends_with(".timer") || unit.parent().unwrap().ends_with("user") {
            continue;
        }
        let run = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--threshold=15", "--no-pager"])
            .arg(&unit)
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{file}: {}",
            String::from_utf8_lossy(&run.stdout)
        );
    }
}

#[test]
fn what_they_start_is_there() {
    let place = Place::new();
    let mut started = Vec::new();
    for unit in units() {
        let text = std::fs::read_to_string(&unit).unwrap();
        let Some(line) = text
            .lines()
            .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/snowguardd "))
        else {
            continue;
        };
        let mut args: Vec<&str> = line.split(' ').collect();
        started.push(args[..args.len().min(2)].join(" "));
        args.push("--help");
        let run = place.command(&args).output().unwrap();
        assert!(run.status.success(), "{line}: {run:?}");
    }
    started.sort();
    for kind in ["desktop", "file", "journal", "mail", "webhook"] {
        assert!(
            started.contains(&format!("notify {kind}")),
            "no unit starts {kind}"
        );
    }
    assert!(started.contains(&"watch --scanner".to_owned()));
    assert!(started.contains(&"push --key-file".to_owned()));
    assert!(started.contains(&"serve --log".to_owned()));
    assert!(started.contains(&"work --log".to_owned()));
    assert!(started.contains(&"fod-proxy --mode".to_owned()));
}
