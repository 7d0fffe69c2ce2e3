//! Editions of feeds, one after the other: what the index files say after each.
#![expect(
    clippy::disallowed_methods,
    reason = "tests look at files and start themselves"
)]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail as tests do")]

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_advisory::index::{Builder, SourceKind};
use snowguard_advisory::record::Record;
use snowguard_feeds::segments::{Compact, WrittenFile, records_path, write};
use snowguard_feeds::{IndexFile, RecordStore};

fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(directory.path())
        .unwrap()
        .join("advisories.idx");
    (directory, path)
}

fn record(id: u32, says: u32) -> Record {
    let alias = if id.is_multiple_of(5) {
        format!(
            r#""aliases":["GHSA-{:04}","CVE-2024-{:04}"],"#,
            id / 10,
            id + 1
        )
    } else {
        String::new()
    };
    let name = if id.is_multiple_of(7) {
        format!("PYSEC-2024-{id}")
    } else {
        format!("CVE-2024-{id:04}")
    };
    serde_json::from_str(&format!(
        r#"{{"id":"{name}",{alias}"modified":"2024-01-02","summary":"a title that says {says}","affects":[{{"products":["pkg:pypi/p{}"],"rules":["<{says}"]}}]}}"#,
        id % 50
    ))
    .unwrap()
}

/// An edition: of 2,000 records, those whose number the edition divides say something new; every
/// later one lacks some and has some that are new.
fn edition(number: u32) -> Vec<Record> {
    (1000 + number * 5..3000 + number * 5)
        .map(|id| record(id, if id % 97 == number { number + 1 } else { 1 }))
        .collect()
}

fn put(store: &mut RecordStore, records: &[Record]) {
    let mut change = store.change().unwrap();
    change.replace("feed", SourceKind::Osv).unwrap();
    for record in records {
        change.put("feed", SourceKind::Osv, record).unwrap();
    }
    change.commit().unwrap();
}

fn built(records: &[Record]) -> Vec<u8> {
    let mut builder = Builder::new();
    for record in records {
        builder.add("feed", SourceKind::Osv, record.clone());
    }
    builder.finish().bytes
}

/// What the index at a path says of each name, and how much it holds.
fn content(path: &Utf8Path) -> Vec<String> {
    let file = IndexFile::open(path).unwrap();
    let index = file.index().unwrap();
    let mut told = vec![format!(
        "{} {} {:?}",
        index.entry_count(),
        index.key_count(),
        index.sources().unwrap()
    )];
    for id in index.vulnerabilities() {
        let view = index.vulnerability(id).unwrap();
        told.push(format!(
            "{} {:?} {:?} {:?}",
            view.id, view.aliases, view.summary, view.records
        ));
        for entry in view.entries {
            let entry = index.entry(entry).unwrap();
            told.push(format!("{} {:?}", entry.record, entry.rules));
        }
    }
    told
}

#[test]
fn deltas_say_what_editions_say_and_compaction_is_a_full_build() {
    let (_keep, path) = scratch();
    let (_other, plain) = scratch();
    let mut store = RecordStore::open(&records_path(&path)).unwrap();
    put(&mut store, &edition(1));
    let first = write(&mut store, &path, Compact::WhenLarge).unwrap();
    assert_eq!(first.what, WrittenFile::Base);
    let base = std::fs::read(&path).unwrap();
    assert_eq!(base, built(&edition(1)));
    for number in [2, 3] {
        put(&mut store, &edition(number));
        let written = write(&mut store, &path, Compact::WhenLarge).unwrap();
        assert_eq!(written.what, WrittenFile::Delta);
        assert!(written.vulnerabilities < 200, "{written:?}");
        assert_eq!(std::fs::read(&path).unwrap(), base);
        IndexFile::replace(&plain, &built(&edition(number))).unwrap();
        assert_eq!(content(&path), content(&plain));
        let again = write(&mut store, &path, Compact::WhenLarge).unwrap();
        assert_eq!(again.what, WrittenFile::Nothing);
    }
    let compacted = write(&mut store, &path, Compact::Now).unwrap();
    assert_eq!(compacted.what, WrittenFile::Base);
    assert_eq!(std::fs::read(&path).unwrap(), built(&edition(3)));
    assert!(IndexFile::open(&path).unwrap().delta_bytes().is_none());
    let again = write(&mut store, &path, Compact::WhenLarge).unwrap();
    assert_eq!(again.what, WrittenFile::Nothing);
}

#[test]
fn a_large_change_makes_a_new_base() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&records_path(&path)).unwrap();
    let all = |says| (0..5_000).map(|id| record(id, says)).collect::<Vec<_>>();
    put(&mut store, &all(1));
    write(&mut store, &path, Compact::WhenLarge).unwrap();
    put(&mut store, &all(2));
    let written = write(&mut store, &path, Compact::WhenLarge).unwrap();
    assert_eq!(written.what, WrittenFile::Base);
    assert_eq!(std::fs::read(&path).unwrap(), built(&all(2)));
}

#[test]
fn files_that_were_lost_damaged_or_replaced_are_written_again() {
    let (_keep, path) = scratch();
    let delta = snowguard_feeds::file::delta_path(&path);
    let mut store = RecordStore::open(&records_path(&path)).unwrap();
    put(&mut store, &edition(1));
    write(&mut store, &path, Compact::WhenLarge).unwrap();
    put(&mut store, &edition(2));
    write(&mut store, &path, Compact::WhenLarge).unwrap();
    let (base, good) = (std::fs::read(&path).unwrap(), content(&path));
    let mut check = |what: WrittenFile| {
        let written = write(&mut store, &path, Compact::WhenLarge).unwrap();
        assert_eq!(written.what, what);
        assert_eq!(content(&path), good);
    };
    std::fs::remove_file(&delta).unwrap();
    check(WrittenFile::Delta);
    let mut bytes = std::fs::read(&delta).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&delta, bytes).unwrap();
    check(WrittenFile::Delta);
    std::fs::write(&delta, b"").unwrap();
    check(WrittenFile::Delta);
    // Someone imported something else, or lost the base.
    IndexFile::replace(&path, &built(&edition(9))).unwrap();
    check(WrittenFile::Base);
    std::fs::remove_file(&path).unwrap();
    check(WrittenFile::Base);
    let mut damaged = base.clone();
    *damaged.last_mut().unwrap() ^= 1;
    std::fs::write(&path, damaged).unwrap();
    check(WrittenFile::Base);
}

const UPDATES: &str = "SNOWGUARD_TEST_UPDATES";

/// Not a test of its own: what [`killed_at_any_point_the_old_or_the_new_is_there`] starts and kills.
#[test]
#[ignore = "it never ends"]
fn updates_for_ever() {
    let path = std::env::var_os(UPDATES).unwrap();
    let path = Utf8PathBuf::try_from(std::path::PathBuf::from(path)).unwrap();
    let mut store = RecordStore::open(&records_path(&path)).unwrap();
    let mut number: u32 = store
        .cursor("edition")
        .unwrap()
        .map_or(0, |text| text.parse().unwrap());
    loop {
        number += 1;
        let mut change = store.change().unwrap();
        for id in 1000..1300 {
            change
                .put(
                    "feed",
                    SourceKind::Osv,
                    &record(id, if id % 20 < 3 { number } else { 0 }),
                )
                .unwrap();
        }
        change.set_cursor("edition", &number.to_string()).unwrap();
        change.commit().unwrap();
        let compact = if number.is_multiple_of(3) {
            Compact::Now
        } else {
            Compact::WhenLarge
        };
        write(&mut store, &path, compact).unwrap();
        println!("\nwritten {number}");
    }
}

#[test]
fn killed_at_any_point_the_old_or_the_new_is_there() {
    let (_keep, path) = scratch();
    let mut seen = 0;
    for round in 0..25_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "updates_for_ever", "--ignored", "--nocapture"])
            .env(UPDATES, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It gets somewhere, however slow this machine is, and then to another point each time.
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut written = lines
            .map(Result::unwrap)
            .filter_map(|line| line.strip_prefix("written ")?.parse().ok());
        let least: u32 = written.by_ref().take(2).last().unwrap();
        std::thread::sleep(Duration::from_millis(round * 37 % 90));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(least > seen);
        let mut store = RecordStore::open(&records_path(&path)).unwrap();
        let stored: u32 = store
            .cursor("edition")
            .unwrap()
            .map_or(0, |text| text.parse().unwrap());
        assert!(stored >= least);
        let file = IndexFile::open(&path).unwrap();
        let index = file.index().unwrap();
        let says = |id: u32| {
            let id = index.find(&format!("CVE-2024-{id}")).unwrap().unwrap();
            let title = index.vulnerability(id).unwrap().summary.unwrap();
            title.rsplit(' ').next().unwrap().parse::<u32>().unwrap()
        };
        let number = says(1001);
        assert!(
            (1001..1300)
                .filter(|id| id % 20 < 3 && id % 7 != 0 && id % 5 != 0)
                .all(|id| says(id) == number)
        );
        assert!(
            (least..=stored).contains(&number),
            "{least} {number} {stored}"
        );
        seen = number;
        // Whatever was not written is written now.
        write(&mut store, &path, Compact::WhenLarge).unwrap();
        let records: Vec<Record> = (1000..1300)
            .map(|id| record(id, if id % 20 < 3 { stored } else { 0 }))
            .collect();
        let (_keep, plain) = scratch();
        IndexFile::replace(&plain, &built(&records)).unwrap();
        assert_eq!(content(&path), content(&plain));
    }
}
