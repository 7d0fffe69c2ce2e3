//! Where documents go: pipes that close, files that are replaced as a whole.

use std::fs;
use std::io::Read as _;
use std::process::Stdio;

use crate::support::{Package, Place, System, assert_shown, example, inode};

/// `snowguard scan … | head -1`: no word about it, and the exit status still says what was found.
#[test]
fn who_closes_the_pipe_has_seen_enough() {
    let place = Place::new();
    let example = example();
    for command in [
        vec!["scan", &example, "--format", "json", "--quiet"],
        vec!["scan", &example, "--all", "--quiet"],
    ] {
        let mut child = place
            .command(&command)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "", "{command:?}");
        assert_eq!(output.status.code(), Some(1), "{command:?}");
    }
}

#[test]
fn a_pipe_that_was_never_read() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    for (command, code) in [
        (vec!["scan", "system.json.zst", "--quiet"], 1),
        (vec!["sbom", "system.json.zst"], 0),
        (
            vec!["explain", "CVE-2021-3711", "--in", "system.json.zst"],
            1,
        ),
        (vec!["advisories", "info"], 0),
        (vec!["completions", "bash"], 0),
        (vec!["man"], 0),
        (vec!["--help"], 0),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = place
            .command(&command)
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stderr).unwrap(), "", "{command:?}");
        assert_eq!(output.status.code(), Some(code), "{command:?}");
    }
}

/// A disk that is full is a failure, not a shorter report.
#[test]
fn a_stdout_that_is_full() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    for command in [
        vec!["scan", "system.json.zst"],
        vec!["completions", "bash"],
        vec!["man"],
    ] {
        let full = fs::File::options().write(true).open("/dev/full").unwrap();
        let output = place.command(&command).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains("error: cannot write to stdout"), "{stderr}");
        assert_eq!(output.status.code(), Some(2), "{command:?}");
    }
}

#[test]
fn a_file_is_replaced_as_a_whole() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place.write("reports/scan.txt", "the old one");
    let before = inode(&place.path("reports/scan.txt"));
    let command = ["scan", "system.json.zst", "--output", "reports/scan.txt"];
    let run = place.run_with(&command, &[("CLICOLOR_FORCE", "1")]);
    run.exits(1);
    assert_eq!(run.stdout, "", "{run}");
    let text = fs::read_to_string(place.path("reports/scan.txt")).unwrap();
    assert!(text.starts_with("nixos-system-lab-26.05\n"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colour in a file");
    assert_ne!(
        before,
        inode(&place.path("reports/scan.txt")),
        "written in place"
    );
    assert_eq!(place.files("reports"), ["scan.txt"]);
}

/// What is no file is written to: `--output /dev/stderr`, a named pipe.
#[test]
fn every_report_can_go_to_a_file() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    for command in [
        vec!["scan", "system.json.zst"],
        vec!["explain", "CVE-2021-3711", "--in", "system.json.zst"],
        vec!["diff", "system.json.zst", "system.json.zst"],
    ] {
        let printed = place.run(&command);
        let mut args = command.clone();
        args.extend(["--color", "always", "--output", "report.txt"]);
        let run = place.run(&args);
        run.exits(printed.code);
        assert_eq!(run.stdout, "", "{run}");
        let written = fs::read_to_string(place.path("report.txt")).unwrap();
        assert_eq!(written, printed.stdout, "{run}");
    }
}

#[test]
fn a_device_is_written_to() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&[
        "scan",
        "system.json.zst",
        "--quiet",
        "--output",
        "/dev/stderr",
    ]);
    run.exits(1);
    assert!(run.stderr.contains("EXPLOITED"), "{run}");
    let run = place.run(&["scan", "system.json.zst", "--quiet", "--output", "-"]);
    assert!(run.stdout.contains("EXPLOITED"), "{run}");
}

/// A link keeps pointing where it points: what it points at is replaced.
#[test]
fn a_link_is_followed() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    place.write("store/report.txt", "the old one");
    std::os::unix::fs::symlink("store/report.txt", place.path("report.txt")).unwrap();
    place
        .run(&["scan", "system.json.zst", "--output", "report.txt"])
        .exits(1);
    let link = fs::symlink_metadata(place.path("report.txt")).unwrap();
    assert!(link.is_symlink(), "the link was replaced");
    let text = fs::read_to_string(place.path("store/report.txt")).unwrap();
    assert!(text.contains("EXPLOITED"), "{text}");
}

#[test]
fn a_file_that_cannot_be_written() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--output", "nosuch/scan.txt"]);
    run.fails_with("nosuch/scan.txt");
    assert_shown!(run);
    let run = place.run(&["scan", "system.json.zst", "--output", "."]);
    run.fails_with("cannot write .");
}

/// A scan that fails leaves the report of the scan before.
#[test]
fn a_failed_scan_leaves_the_old_file() {
    let place = Place::with_index();
    place
        .write("scan.json", "the old one")
        .write("garbage", "no system");
    place
        .run(&[
            "scan",
            "garbage",
            "--format",
            "json",
            "--output",
            "scan.json",
        ])
        .exits(2);
    assert_eq!(
        fs::read_to_string(place.path("scan.json")).unwrap(),
        "the old one"
    );
}

/// Where there is nothing to state, statements of before must not stay and look like today's.
#[test]
fn nothing_to_state() {
    let place = Place::with_index();
    place.write("vex.json", "the old one");
    place.system(
        "clean.json.zst",
        &System::new("clean", [Package::new("house-tool-1.0")]),
    );
    let command = [
        "scan",
        "clean.json.zst",
        "--format",
        "openvex",
        "--output",
        "vex.json",
    ];
    let run = place.run(&command);
    run.exits(0);
    assert!(
        run.stderr.contains("vex.json"),
        "the file that stays is not named\n{run}"
    );
    assert_shown!(run);
}
