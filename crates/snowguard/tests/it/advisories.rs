//! `snowguard advisories`: import and info.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Advisories, Place, Run, System, assert_shown, inode};

const OSV: &str = r#"{"id":"PYSEC-2024-1","aliases":["CVE-2024-34069"],"modified":"2024-05-06T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"werkzeug"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.3"}]}]}]}"#;
const KEV: &str = r#"{"catalogVersion":"2024.05.06","vulnerabilities":[{"cveID":"CVE-2024-34069","dateAdded":"2024-05-07","dueDate":"2024-05-28"}]}"#;
const CVE: &str = r#"{"dataType":"CVE_RECORD","dataVersion":"5.1","cveMetadata":{"cveId":"CVE-2021-3711","state":"PUBLISHED","datePublished":"2021-08-24T00:00:00"},"containers":{"cna":{"providerMetadata":{"shortName":"openssl"},"affected":[{"vendor":"OpenSSL","product":"OpenSSL","versions":[{"version":"1.1.1","lessThan":"1.1.1l","status":"affected","versionType":"custom"}]}]}}}"#;

/// The size of an index is not what these tests are about.
macro_rules! assert_shown_without_size {
    ($run:expr) => {
        insta::with_settings!({filters => vec![(r"\d+\.\d [kM]B", "[SIZE]"), (r"\d+ (days|months|years) old", "[AGE]")]}, {
            assert_shown!($run);
        })
    };
}

#[test]
fn files_directories_and_archives() {
    let place = Place::new();
    place.write("kev.json", KEV);
    place.write("osv/pypi/PYSEC-2024-1.json", OSV);
    place.write("osv/README.md", "not a record");
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let mut header = tar::Header::new_ustar();
    header.set_size(CVE.len() as u64);
    header.set_cksum();
    tar.append_data(&mut header, "cves/2021/CVE-2021-3711.json", CVE.as_bytes())
        .unwrap();
    place.write("cves.tar.gz", tar.into_inner().unwrap().finish().unwrap());
    let run = place.run(&["advisories", "import", "kev.json", "osv", "cves.tar.gz"]);
    run.exits(0).fits();
    assert_shown_without_size!(run);
    let info = place.run(&["advisories", "info"]);
    info.exits(0).fits();
    assert_shown_without_size!(info);
    place.system("system.json.zst", &System::usual());
    let scan = place.run(&["scan", "system.json.zst"]);
    assert!(scan.stdout.contains("exploited since 2024-05-07"), "{scan}");
    assert!(scan.stdout.contains("CVE-2021-3711"), "{scan}");
}

#[test]
fn info_of_the_index_in_the_program() {
    let place = Place::new();
    let run = place.run(&["advisories", "info"]);
    run.exits(0).fits();
    assert!(run.stdout.starts_with("the index in the program"), "{run}");
    let run = place.run(&["advisories", "info", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(info["schema"], "snowguard-index/1");
    assert!(info["path"].is_null());
    for source in info["sources"].as_array().unwrap() {
        assert!(source["records"].as_u64() > Some(0), "{source}");
        assert!(
            source["newest"].is_string() && source["age_days"].is_i64(),
            "{source}"
        );
    }
}

#[test]
fn malformed_records_are_told_skipped_and_counted() {
    let place = Place::new();
    place.write(
        "feed.jsonl",
        format!("{OSV}\n{{\"id\":5}}\n{{\"what\":1}}\nnot JSON at all\n{{\"id\": \n{KEV}\n"),
    );
    let run = place.run(&["advisories", "import", "feed.jsonl"]);
    run.exits(0);
    assert_shown_without_size!(run);
    let run = place.run(&["advisories", "info", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let skipped = info["sources"].as_array().unwrap().iter();
    let skipped: u64 = skipped
        .map(|source| source["skipped"].as_u64().unwrap())
        .sum();
    assert_eq!(skipped, 4, "{run}");
}

#[test]
fn many_malformed_records_are_told_in_short() {
    let place = Place::new();
    let mut feed = format!("{OSV}\n");
    for _ in 0..50 {
        feed += "{\"id\":5}\n";
    }
    place.write("feed.jsonl", feed);
    let run = place.run(&["advisories", "import", "feed.jsonl"]);
    run.exits(0);
    assert_eq!(run.stderr.lines().count(), 21, "{run}");
    assert!(run.stderr.contains("50"), "{run}");
}

/// Whatever an import fails at, the index is the one before.
#[test]
fn a_failed_import_leaves_the_old_index() {
    let place = Place::with_index();
    let before = (
        fs::read(place.default_index()).unwrap(),
        inode(&place.default_index()),
    );
    place.write("garbage.json", b"\x00\x01\x02 no JSON");
    place.write("good.jsonl", OSV);
    place.write(
        "broken.zst",
        &zstd::encode_all(OSV.as_bytes(), 1).unwrap()[..40],
    );
    place.write("packed.xz", b"\xfd7zXZ\0rest");
    fs::create_dir(place.path("empty")).unwrap();
    let mut told = String::new();
    for paths in [
        &["nosuch.json"][..],
        &["garbage.json"],
        &["empty"],
        &["good.jsonl", "broken.zst"],
        &["good.jsonl", "packed.xz"],
        &["good.jsonl", "nosuch.json"],
    ] {
        let mut command = vec!["advisories", "import"];
        command.extend(paths);
        let run = place.run(&command);
        run.fails_with("error: ");
        assert!(run.stderr.contains("hint: "), "{run}");
        write!(told, "$ snowguard {}\n{}\n", command.join(" "), run.stderr).unwrap();
        let now = (
            fs::read(place.default_index()).unwrap(),
            inode(&place.default_index()),
        );
        assert!(before == now, "the index was touched by {run}");
    }
    insta::assert_snapshot!(told);
    nothing_is_left_beside(&place);
}

/// Fails if there is more than the index and the lock that its writers hold.
#[track_caller]
fn nothing_is_left_beside(place: &Place) {
    let index = place.default_index();
    let entries = fs::read_dir(index.parent().unwrap()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["advisories.idx", "advisories.idx.lock"]);
}

/// Who has the old index open keeps it; a new one is another file.
#[test]
fn an_import_replaces_the_index_as_a_whole() {
    let place = Place::with_index();
    let before = inode(&place.default_index());
    let old = fs::File::open(place.default_index()).unwrap();
    place.import(&Advisories::aged(1));
    assert_ne!(before, inode(&place.default_index()));
    assert!(old.metadata().unwrap().len() > fs::metadata(place.default_index()).unwrap().len());
    nothing_is_left_beside(&place);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let place = Place::new();
    place.write("a.jsonl", Advisories::usual().lines());
    for output in ["one.idx", "two.idx"] {
        place
            .run(&["advisories", "import", "a.jsonl", "--output", output])
            .exits(0);
    }
    let read = |name| fs::read(place.path(name)).unwrap();
    assert!(read("one.idx") == read("two.idx"));
}

#[test]
fn an_index_that_cannot_be_written() {
    let place = Place::new();
    place.write("feed.jsonl", OSV).write("file", "");
    let run = place.run(&[
        "advisories",
        "import",
        "feed.jsonl",
        "--output",
        "file/index",
    ]);
    run.fails_with("file/index");
    assert_shown!(run);
}

#[test]
fn an_import_of_nothing_is_misuse() {
    let run = Place::new().run(&["advisories", "import"]);
    run.fails_with("<PATH>...");
}

/// Feeds come from pipes as well: `curl … | snowguard advisories import -`.
#[test]
fn an_import_from_a_pipe() {
    let packed = zstd::encode_all(OSV.as_bytes(), 1).unwrap();
    for name in ["-", "/dev/stdin"] {
        let place = Place::new();
        let args = ["advisories", "import", name];
        let mut child = place
            .command(&args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&packed).unwrap();
        let run = Run::new(&args, child.wait_with_output().unwrap(), &place.work());
        run.exits(0);
        assert!(run.stdout.contains("1 record"), "{run}");
    }
}

/// The feed never ends: only the interruption ends the import, however slow the machine is.
#[test]
fn an_interrupted_import_leaves_the_old_index() {
    let place = Place::with_index();
    let before = inode(&place.default_index());
    assert!(
        Command::new("mkfifo")
            .arg(place.path("feed"))
            .status()
            .unwrap()
            .success()
    );
    let child = place
        .command(&["advisories", "import", "feed"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // This waits until the import has opened its end, and so is under way.
    let mut feed = fs::File::options()
        .write(true)
        .open(place.path("feed"))
        .unwrap();
    feed.write_all(format!("{OSV}\n").as_bytes()).unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let lines = format!("{OSV}\n").repeat(1_000);
    let mut written = 0_u64;
    while feed.write_all(lines.as_bytes()).is_ok() {
        written += lines.len() as u64;
        assert!(written < 4 << 30, "it reads on and on");
    }
    let output = child.wait_with_output().unwrap();
    let run = Run::new(&["advisories", "import", "feed"], output, &place.work());
    run.fails_with("interrupted");
    assert_shown!(run);
    assert_eq!(before, inode(&place.default_index()));
    nothing_is_left_beside(&place);
}

/// Titles of feeds are strangers' text.
#[test]
fn a_feeds_name_and_records_are_escaped() {
    let place = Place::new();
    let name = "feed\u{1b}[31m\u{202e}.jsonl";
    let mut advisories = Advisories::aged(1);
    advisories.add(json!({"id": "CVE-2025-0003\u{1b}[2J", "affects": []}));
    place.write(name, advisories.lines());
    for command in [
        vec!["advisories", "import", name],
        vec!["advisories", "info"],
    ] {
        let run = place.run(&command);
        run.exits(0);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(
            !all.contains('\u{1b}') && !all.contains('\u{202e}'),
            "{run}"
        );
        assert!(all.contains("feed\\u{1b}[31m"), "{run}");
    }
}
