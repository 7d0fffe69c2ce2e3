//! OSV's list, archive and single records, which may be of different times.

use super::*;

/// A record's id, and when it was modified.
type Stamp = (&'static str, &'static str);

const FIRST: Stamp = ("PYSEC-2024-1", "2019-11-19T00:00:00.123456Z");

fn records(of: &[Stamp]) -> Vec<Value> {
    let records = of
        .iter()
        .map(|(id, modified)| advisory(id, modified, "3.0.3"));
    records.collect()
}

fn found(place: &Place) -> Vec<String> {
    let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
    let mut found: Vec<String> = scan
        .stdout
        .split('"')
        .filter(|text| text.starts_with("PYSEC-"))
        .map(str::to_owned)
        .collect();
    found.sort();
    found.dedup();
    found
}

fn asked(web: &Web) -> Vec<String> {
    let seen = web.seen().into_iter();
    let paths = seen.map(|request| request.path.replace("/osv/PyPI/", ""));
    // Single records are asked for at the same time.
    let mut paths: Vec<String> = paths.collect();
    paths.sort();
    paths
}

/// New is what is not here, whenever it was modified, and gone what is not listed.
#[test]
fn lists_are_compared_id_by_id() {
    let (mut mirror, web, place) = served();
    let editions: [(&[Stamp], &str, &[&str]); 4] = [
        (
            &[
                FIRST,
                ("PYSEC-2026-2", "2019-11-20T00:00:00Z"),
                ("PYSEC-2026-3", FIRST.1),
            ],
            "2 new",
            &["PYSEC-2026-2.json", "PYSEC-2026-3.json"],
        ),
        // Added long after it was modified, in the place of another.
        (
            &[
                FIRST,
                ("PYSEC-2026-2", "2019-11-20T00:00:00Z"),
                ("PYSEC-2026-4", "2019-01-01T00:00:00Z"),
            ],
            "1 new, 1 gone",
            &["PYSEC-2026-4.json"],
        ),
        (
            &[FIRST, ("PYSEC-2026-2", "2019-11-20T00:00:00Z")],
            "1 gone",
            &[],
        ),
        (
            &[FIRST, ("PYSEC-2026-2", "2019-11-20T00:00:00Z")],
            "nothing new",
            &[],
        ),
    ];
    update(&place, &[]).exits(0);
    for (edition, said, files) in editions {
        mirror.osv("PyPI", &records(edition)).unwrap();
        mirror.serve(&web);
        web.seen();
        let run = update(&place, &["--only", "osv"]);
        run.exits(0);
        assert!(run.stdout.contains(&format!("Z      {said}\n")), "{run}");
        let expected = files.iter().chain(&["modified_id.csv"]);
        assert_eq!(asked(&web), expected.copied().collect::<Vec<_>>());
        let ids: Vec<&str> = edition.iter().map(|(id, _)| *id).collect();
        assert_eq!(found(&place), ids);
    }
}

/// What is not made any more is no edition that is up to date, however often it is asked for.
#[test]
fn an_archive_that_its_list_has_left_behind_is_told() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let old = mirror.file("osv/PyPI/all.zip").unwrap().to_vec();
    let many = |day: &str| -> Vec<Value> {
        let ids = (0..250).map(|n| advisory(&format!("PYSEC-2026-{n:04}"), day, "9.0"));
        records(&[FIRST]).into_iter().chain(ids).collect()
    };
    mirror.osv("PyPI", &many("2019-11-19T12:00:00Z")).unwrap();
    mirror.put("osv/PyPI/all.zip", old.clone());
    mirror.serve(&web);
    // It may be that it is made within the hour.
    let run = update(&place, &["--only", "osv"]);
    run.exits(0);
    assert!(
        run.stdout.contains("2019-11-19T00:00:00Z      nothing new"),
        "{run}"
    );

    mirror.osv("PyPI", &many("2019-11-22T00:00:00Z")).unwrap();
    let new = mirror.file("osv/PyPI/all.zip").unwrap().to_vec();
    mirror.put("osv/PyPI/all.zip", old);
    mirror.serve(&web);
    for _ in 0..2 {
        let run = update(&place, &["--only", "osv"]);
        run.exits(2);
        still_answers(&place);
        assert!(
            run.stderr.contains(
                "/osv/PyPI/all.zip is of 2019-11-19T00:00:00Z; the list beside it is of 2019-11-22T00:00:00Z"
            ),
            "{run}"
        );
    }
    mirror.put("osv/PyPI/all.zip", new);
    mirror.serve(&web);
    let run = update(&place, &["--only", "osv"]);
    run.exits(0);
    assert!(run.stdout.contains("250 new"), "{run}");
}

/// What the archive lacks comes one by one in the same run.
#[test]
fn an_archive_and_then_what_is_newer() {
    let (mut mirror, web, place) = served();
    let old = mirror.file("osv/PyPI/all.zip").unwrap().to_vec();
    let both = [FIRST, ("PYSEC-2026-2", "2019-11-21T00:00:00Z")];
    mirror.osv("PyPI", &records(&both)).unwrap();
    mirror.put("osv/PyPI/all.zip", old);
    mirror.serve(&web);
    update(&place, &[]).exits(0);
    assert_eq!(found(&place), ["PYSEC-2024-1", "PYSEC-2026-2"]);
    web.seen();
    let run = update(&place, &["--only", "osv"]);
    assert!(run.stdout.contains("nothing new"), "{run}");
    assert_eq!(asked(&web), ["modified_id.csv"]);
}

/// A single record that is older than the list says comes again, until it is the one.
#[test]
fn a_record_that_lags_behind_its_list_is_asked_for_again() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let new = [("PYSEC-2024-1", "2019-11-21T00:00:00Z")];
    mirror.osv("PyPI", &records(&new)).unwrap();
    let path = "osv/PyPI/PYSEC-2024-1.json";
    let record = mirror.file(path).unwrap().to_vec();
    mirror.put(path, records(&[FIRST])[0].to_string().into_bytes());
    mirror.serve(&web);
    update(&place, &["--only", "osv"]).exits(0);
    mirror.put(path, record);
    mirror.serve(&web);
    let run = update(&place, &["--only", "osv"]);
    assert!(run.stdout.contains("1 changed"), "{run}");
    let run = update(&place, &["--only", "osv"]);
    assert!(run.stdout.contains("nothing new"), "{run}");
}

/// For a day, a list without its newest records counts as an older one.
#[test]
fn a_list_without_its_newest_record_is_not_taken_at_once() {
    let (mut mirror, web, place) = served();
    let both = records(&[FIRST, ("PYSEC-2026-2", "2019-11-21T00:00:00Z")]);
    mirror.osv("PyPI", &both).unwrap();
    mirror.serve(&web);
    update(&place, &[]).exits(0);
    mirror.osv("PyPI", &both[..1]).unwrap();
    mirror.serve(&web);
    for _ in 0..2 {
        let run = update(&place, &["--only", "osv"]);
        run.exits(2);
        assert!(
            run.stderr.contains("modified_id.csv is of 2019-11-19"),
            "{run}"
        );
        assert_eq!(found(&place), ["PYSEC-2024-1", "PYSEC-2026-2"]);
    }
    // And it is the same if something else is newer by then.
    let more = [FIRST, ("PYSEC-2026-3", "2019-11-22T00:00:00Z")];
    mirror.osv("PyPI", &records(&more)).unwrap();
    mirror.serve(&web);
    let run = update(&place, &["--only", "osv"]);
    assert!(run.stdout.contains("1 new, 1 gone"), "{run}");
    assert_eq!(found(&place), ["PYSEC-2024-1", "PYSEC-2026-3"]);
}

/// Object stores answer 403 where they may not say that there is nothing.
#[test]
fn archives_alone_are_enough() {
    let (mirror, web, place) = served();
    drop(mirror);
    web.fail_always("/osv/PyPI/modified_id.csv", Fault::Status(403, vec![]));
    update(&place, &[]).exits(0);
    still_answers(&place);
    let run = update(&place, &[]);
    assert!(run.stdout.contains("Z      nothing new\n"), "{run}");
}

/// All of an ecosystem's records may be about one that goes before it.
#[test]
fn an_ecosystem_may_have_nothing_of_its_own() {
    let (mut mirror, web, place) = served();
    mirror.osv("npm", &records(&[FIRST])).unwrap();
    mirror.serve(&web);
    place.write(
        "snowguard.toml",
        format!(
            "[feeds]\nattempts = 1\nmirror = \"{}\"\n[feeds.osv]\necosystems = [\"PyPI\", \"npm\"]\n",
            web.base()
        ),
    );
    update(&place, &["--only", "osv"]).exits(0);
    assert_eq!(found(&place), ["PYSEC-2024-1"]);
}
