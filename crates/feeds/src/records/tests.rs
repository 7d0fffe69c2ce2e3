#![expect(clippy::disallowed_methods, reason = "tests look at their own files")]

use snowguard_advisory::index::{Builder, Index, Touched};
use snowguard_advisory::read::With;
use snowguard_advisory::record::Record;
use snowguard_advisory::texts::Texts;

use super::*;

const OSV: SourceKind = SourceKind::Osv;

fn scratch() -> (tempfile::TempDir, Utf8PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = Utf8Path::from_path(directory.path())
        .unwrap()
        .join("sub/advisories.records");
    (directory, path)
}

fn record(json: &str) -> Record {
    serde_json::from_str(json).unwrap()
}

fn about(id: &str, rule: &str) -> Record {
    record(&format!(
        r#"{{"id":"{id}","modified":"2024-01-02","summary":"a title","affects":[{{"products":["pkg:pypi/x"],"rules":["{rule}"]}}]}}"#
    ))
}

fn put(store: &mut RecordStore, source: &str, records: &[Record]) -> Changed {
    let mut change = store.change().unwrap();
    for record in records {
        change.put(source, OSV, record).unwrap();
    }
    change.commit().unwrap()
}

fn counts(changed: &Changed) -> (u64, u64, u64) {
    (changed.added, changed.changed, changed.removed)
}

fn bytes(store: &RecordStore) -> Vec<u8> {
    let mut builder = Builder::new();
    store.fill(&mut builder).unwrap();
    builder.finish().bytes
}

fn built(records: &[(&str, Record)]) -> Vec<u8> {
    let mut builder = Builder::new();
    for (source, record) in records {
        builder.add(source, OSV, record.clone());
    }
    builder.finish().bytes
}

#[test]
fn what_is_put_again_is_no_change_and_no_write() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let records = [about("CVE-2024-0001", "<1"), about("CVE-2024-0002", "<2")];
    let first = put(&mut store, "a", &records);
    assert_eq!(counts(&first), (2, 0, 0));
    let before = std::fs::read(&path).unwrap();
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    assert_eq!(put(&mut store, "a", &records), Changed::default());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(
        std::fs::metadata(&path).unwrap().modified().unwrap(),
        modified
    );
    let second = put(
        &mut store,
        "a",
        &[about("CVE-2024-0002", "<3"), about("CVE-2024-0003", "<1")],
    );
    assert_eq!(counts(&second), (1, 1, 0));
    assert_eq!(
        second
            .ids
            .iter()
            .map(AdvisoryId::as_str)
            .collect::<Vec<_>>(),
        ["CVE-2024-0002", "CVE-2024-0003"]
    );
}

#[test]
fn a_new_edition_removes_what_it_does_not_have() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    put(
        &mut store,
        "a",
        &[about("CVE-2024-0001", "<1"), about("CVE-2024-0002", "<2")],
    );
    put(&mut store, "b", &[about("CVE-2024-0001", "<9")]);
    let mut change = store.change().unwrap();
    change.skip("a", OSV, "x.json").unwrap();
    change.commit().unwrap();
    let mut change = store.change().unwrap();
    change.replace("a", OSV).unwrap();
    change.put("a", OSV, &about("CVE-2024-0002", "<2")).unwrap();
    change.skip("a", OSV, "y.json").unwrap();
    let changed = change.commit().unwrap();
    assert_eq!(counts(&changed), (0, 0, 1));
    let sources = store.sources().unwrap();
    assert_eq!(
        sources
            .iter()
            .map(|s| (s.name.as_str(), s.records, s.skipped))
            .collect::<Vec<_>>(),
        [("a", 1, 1), ("b", 1, 0)]
    );
    assert_eq!(sources[0].newest, Some(jiff::civil::date(2024, 1, 2)));
    let mut change = store.change().unwrap();
    change.unskip("a", "y.json").unwrap();
    change.replace("b", OSV).unwrap();
    assert_eq!(counts(&change.commit().unwrap()), (0, 0, 1));
    assert_eq!(bytes(&store), built(&[("a", about("CVE-2024-0002", "<2"))]));
}

#[test]
fn several_records_of_one_id_stay_until_the_id_is_put_again() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let (one, other, third) = (
        about("CVE-2024-0001", "<1"),
        about("CVE-2024-0001", "<2"),
        about("CVE-2024-0001", "<3"),
    );
    assert_eq!(
        counts(&put(
            &mut store,
            "a",
            &[other.clone(), one.clone(), one.clone()]
        )),
        (1, 0, 0)
    );
    let all = |store: &RecordStore| store.sources().unwrap()[0].records;
    assert_eq!(all(&store), 3);
    assert_eq!(
        bytes(&store),
        built(&[("a", one.clone()), ("a", one.clone()), ("a", other.clone())])
    );
    assert_eq!(
        counts(&put(
            &mut store,
            "a",
            &[one.clone(), other.clone(), one.clone()]
        )),
        (0, 0, 0)
    );
    assert_eq!(
        counts(&put(&mut store, "a", &[other.clone(), third.clone()])),
        (0, 1, 0)
    );
    assert_eq!(bytes(&store), built(&[("a", third), ("a", other)]));
    let mut change = store.change().unwrap();
    change.remove("a", &one.id).unwrap();
    change.remove("elsewhere", &one.id).unwrap();
    assert_eq!(counts(&change.commit().unwrap()), (0, 0, 1));
    assert_eq!(store.sources().unwrap(), []);
}

#[test]
fn removing_takes_back_what_the_same_change_put() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let record = about("CVE-2024-0001", "<1");
    let mut change = store.change().unwrap();
    change.put("a", OSV, &record).unwrap();
    change.remove("a", &record.id).unwrap();
    assert_eq!(counts(&change.commit().unwrap()), (0, 0, 0));
    assert_eq!(store.sources().unwrap(), []);
    put(&mut store, "a", std::slice::from_ref(&record));
    let mut change = store.change().unwrap();
    change.remove("a", &record.id).unwrap();
    change.put("a", OSV, &record).unwrap();
    assert_eq!(counts(&change.commit().unwrap()), (0, 0, 0));
    assert_eq!(store.sources().unwrap()[0].records, 1);
}

#[test]
fn what_is_not_committed_did_not_happen() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let mut change = store.change().unwrap();
    change.put("a", OSV, &about("CVE-2024-0001", "<1")).unwrap();
    change.set_cursor("feed", "etag 1").unwrap();
    assert_eq!(change.cursor("feed").unwrap().as_deref(), Some("etag 1"));
    drop(change);
    assert_eq!(store.cursor("feed").unwrap(), None);
    assert_eq!(store.sources().unwrap(), []);
    let mut change = store.change().unwrap();
    change.set_cursor("feed", "etag 2").unwrap();
    change.commit().unwrap();
    drop(store);
    let store = RecordStore::open(&path).unwrap();
    assert_eq!(store.cursor("feed").unwrap().as_deref(), Some("etag 2"));
}

#[test]
fn a_group_is_loaded_whole_and_alone() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let loose = |id: &str, alias: &str| {
        record(&format!(
            r#"{{"id":"{id}","aliases":["{alias}"],"affects":[{{"products":[":x"]}}]}}"#
        ))
    };
    let records = [
        about("CVE-2024-0001", "<1"),
        about("CVE-2024-0002", "<1"),
        loose("GHSA-aaaa-aaaa-aaaa", "CVE-2024-0001"),
        loose("PYSEC-2024-1", "B-1"),
        loose("C-1", "B-1"),
        loose("C-1", "D-1"),
        loose("E-1", "F-1"),
        // Has a CVE, so that it is not of the family in which the name stands.
        record(r#"{"id":"X-1","aliases":["D-1","CVE-2024-0002"]}"#),
    ];
    put(&mut store, "a", &records);
    let vulnerabilities = |names: &[&str]| {
        let touched: Touched = names.iter().map(|name| name.parse().unwrap()).collect();
        let mut builder = Builder::new();
        store.fill_touched(&touched, &mut builder).unwrap();
        let built = builder.finish();
        let index = Index::open(&built.bytes).unwrap();
        index
            .vulnerabilities()
            .map(|id| {
                let view = index.vulnerability(id).unwrap();
                let records: Vec<&str> = view.records.iter().map(|(id, ..)| *id).collect();
                format!("{}: {}", view.id, records.join(" "))
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        vulnerabilities(&["CVE-2024-0001"]),
        ["CVE-2024-0001: CVE-2024-0001 GHSA-aaaa-aaaa-aaaa"]
    );
    assert_eq!(vulnerabilities(&["D-1"]), ["C-1: C-1 C-1 PYSEC-2024-1"]);
    assert_eq!(
        vulnerabilities(&["GHSA-aaaa-aaaa-aaaa"]),
        Vec::<String>::new()
    );
}

#[test]
fn other_files_and_newer_schemas_are_refused() {
    let (_keep, path) = scratch();
    drop(RecordStore::open(&path).unwrap());
    let other = |sql: &str| {
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    };
    let refused = || {
        let error = RecordStore::open(&path).unwrap_err();
        (
            error.to_string().replace(path.as_str(), "PATH"),
            error.hint(),
        )
    };
    other("PRAGMA user_version = 7");
    insta::assert_debug_snapshot!(refused(), @r#"
    (
        "the record store PATH has schema 7; this program knows 1",
        "a newer snowguard made it: update this one",
    )
    "#);
    std::fs::remove_file(&path).unwrap();
    other("CREATE TABLE theirs (x)");
    insta::assert_debug_snapshot!(refused(), @r#"
    (
        "PATH is not a record store",
        "move the file away, or name another place",
    )
    "#);
    std::fs::write(&path, [b'x'; 5000]).unwrap();
    insta::assert_debug_snapshot!(refused(), @r#"
    (
        "PATH is not a record store",
        "move the file away, or name another place",
    )
    "#);
}

#[test]
fn a_damaged_row_is_an_error() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    put(&mut store, "a", &[about("CVE-2024-0001", "<1")]);
    store
        .connection
        .execute("UPDATE record SET body = x'28b52ffd00'", [])
        .unwrap();
    let error = store.fill(&mut Builder::new()).unwrap_err();
    assert!(matches!(error, RecordsError::Row { row: 1, .. }), "{error}");
}

#[test]
fn what_changed_is_found_by_names_and_digests() {
    let (_keep, path) = scratch();
    let mut store = RecordStore::open(&path).unwrap();
    let ids = ["CVE-2024-0001", "CVE-2024-0002", "CVE-2024-0003"];
    put(&mut store, "a", &ids.map(|id| about(id, "<1")));
    // A source may say several things under one name.
    put(&mut store, "b", &[about(ids[0], "<1"), about(ids[0], "<2")]);
    let before = store.changes().unwrap();
    let all = store.names("a", None, 10).unwrap();
    assert_eq!(all.len(), 3);
    let first = store.names("a", None, 2).unwrap();
    let rest = store.names("a", Some(first[1].name.as_str()), 2).unwrap();
    assert_eq!([first, rest].concat(), all);
    assert!(store.names("a", Some(ids[2]), 2).unwrap().is_empty());
    assert!(store.names("absent", None, 2).unwrap().is_empty());
    assert_eq!(store.names("b", None, 10).unwrap().len(), 1);
    assert_eq!(store.under_name("b", ids[0]).unwrap().len(), 2);
    put(&mut store, "a", &[about(ids[1], "<9")]);
    assert!(store.changes().unwrap() > before);
    let changed = store.names("a", None, 10).unwrap();
    let differ: Vec<bool> = all.iter().zip(&changed).map(|(a, b)| a != b).collect();
    assert_eq!(differ, [false, true, false]);
}

#[test]
fn texts_are_kept_beside_records_and_stay_out_of_an_index() {
    let (_keep, path) = scratch();
    let mut told = about("CVE-2024-0001", "<1");
    told.texts = Some(Box::new(Texts {
        description: Some("two\nlines".into()),
        references: Vec::new(),
    }));
    let mut store = RecordStore::open(&path).unwrap().with(With::Texts);
    put(&mut store, "a", std::slice::from_ref(&told));
    assert_eq!(
        store.under_name("a", "CVE-2024-0001").unwrap(),
        [told.clone()]
    );
    let mut touched = Touched::new();
    touched.note(&told);
    let groups = store.groups(&touched).unwrap();
    assert_eq!(groups, [("a".to_owned(), told.clone())]);
    let plain = Record {
        texts: None,
        ..told
    };
    assert_eq!(bytes(&store), built(&[("a", plain.clone())]));
    // Another text is another record.
    assert_eq!(counts(&put(&mut store, "a", &[plain])), (0, 1, 0));
}
