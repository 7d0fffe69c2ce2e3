//! Which editions of a feed, and which updates, do not take the place of what is there.

use super::*;

/// What the transport cannot see: whole files with the wrong things in them.
#[test]
fn editions_that_are_not_taken() {
    let (mut good, web, place) = served();
    let many: Vec<Value> = (0..40)
        .map(|n| kev(&format!("CVE-2026-{:04}", n + 1)))
        .collect();
    good.kev("2019-11-20T12:00:00Z", &many);
    good.serve(&web);
    update(&place, &[]).exits(0);
    let bomb = snowguard_testkit::feeds::zip(
        &[("deltaCves/CVE-2026-0009.json".into(), vec![b' '; 80 << 20])],
        zip::CompressionMethod::Deflated,
    );
    let mut told = String::new();
    let mut attempt = |what: &str, only: &str, change: &dyn Fn(&mut Mirror)| {
        let mut bad = mirror();
        bad.kev("2019-11-20T12:00:00Z", &many);
        change(&mut bad);
        bad.serve(&web);
        let run = update(&place, &["--only", only]);
        run.exits(2);
        still_answers(&place);
        let host = web.base().split_once("://").unwrap().1.to_owned();
        write!(told, "# {what}\n{}\n", run.stderr.replace(&host, "MIRROR")).unwrap();
    };
    attempt("an older KEV", "kev", &|bad| {
        bad.kev("2019-11-19T12:00:00Z", &many);
    });
    attempt("a KEV that lost entries", "kev", &|bad| {
        bad.kev("2019-11-22T12:00:00Z", &many[..3]);
    });
    attempt("an older list of releases", "cve", &|bad| {
        bad.cve_forget("0900Z");
    });
    attempt("a zip bomb", "cve", &|bad| {
        bad.cve_delta("2019-11-20", Some("1100Z"), &[]).unwrap();
        let path = "cve/2019-11-20_delta_CVEs_at_1100Z.zip";
        let list = bad.file("cve/releases.json").unwrap();
        let mut list: Value = serde_json::from_slice(list).unwrap();
        let asset = &mut list[0]["assets"][0];
        asset.as_object_mut().unwrap().remove("digest");
        asset["size"] = bomb.as_ref().unwrap().len().into();
        bad.put("cve/releases.json", list.to_string().into_bytes());
        bad.put(path, bomb.as_ref().unwrap().clone());
    });
    attempt("a portal in the place of a day", "cve", &|bad| {
        bad.cve_delta("2019-11-20", Some("1100Z"), &[]).unwrap();
        let list = bad.file("cve/releases.json").unwrap();
        let mut list: Value = serde_json::from_slice(list).unwrap();
        let asset = list[0]["assets"][0].as_object_mut().unwrap();
        asset.remove("digest");
        asset.remove("size");
        bad.put("cve/releases.json", list.to_string().into_bytes());
        let portal = b"<html>Please log in".to_vec();
        bad.put("cve/2019-11-20_delta_CVEs_at_1100Z.zip", portal);
    });
    attempt("a wrong digest", "cve", &|bad| {
        bad.cve_delta(
            "2019-11-20",
            Some("1100Z"),
            &[cve("CVE-2026-0003", "a", "b", "1")],
        )
        .unwrap();
        let path = "cve/2019-11-20_delta_CVEs_at_1100Z.zip";
        let mut bytes = bad.file(path).unwrap().to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        bad.put(path, bytes);
    });
    attempt("an older NVD", "nvd", &|bad| {
        bad.nvd("modified", "2019-11-18T03:00:00-05:00", &[])
            .unwrap();
    });
    attempt("an older OSV", "osv", &|bad| {
        bad.osv(
            "PyPI",
            &[advisory("PYSEC-2024-1", "2019-11-01T00:00:00Z", "3.0.3")],
        )
        .unwrap();
    });
    attempt("a truncated archive", "osv", &|bad| {
        bad.osv(
            "PyPI",
            &[advisory("PYSEC-2026-2", "2019-11-21T00:00:00Z", "9.0")],
        )
        .unwrap();
        let archive = bad.file("osv/PyPI/all.zip").unwrap().to_vec();
        bad.put("osv/PyPI/all.zip", archive[..archive.len() / 2].to_vec());
        bad.remove("osv/PyPI/modified_id.csv");
    });
    insta::with_settings!({filters => vec![(r" [0-9a-f]{64}", " [DIGEST]")]}, {
        insta::assert_snapshot!(told, @"
        # an older KEV
        error: kev: http://MIRROR/kev/known_exploited_vulnerabilities.json is of 2019-11-19T12:00:00Z, which is older than 2019-11-20T12:00:00Z, the edition in force
        hint: the mirror lags behind; run it again later, or use another one
        error: 1 of 1 feeds failed: kev; their last good editions stay in force

        # a KEV that lost entries
        error: kev: http://MIRROR/kev/known_exploited_vulnerabilities.json has 3 records; the edition in force has 40
        hint: if that is right, say so with --accept-smaller; else use another mirror
        error: 1 of 1 feeds failed: kev; their last good editions stay in force

        # an older list of releases
        error: cve: http://MIRROR/cve/releases.json is of 2019-11-20 0000Z, which is older than 2019-11-20 0900Z, the edition in force
        hint: the mirror lags behind; run it again later, or use another one
        error: 1 of 1 feeds failed: cve; their last good editions stay in force

        # a zip bomb
        error: cve: http://MIRROR/cve/2019-11-20_delta_CVEs_at_1100Z.zip/deltaCves/CVE-2026-0009.json is a record of over 64 MiB
        hint: this is not what that feed should hold; check the address
        error: 1 of 1 feeds failed: cve; their last good editions stay in force

        # a portal in the place of a day
        error: cve: http://MIRROR/cve/2019-11-20_delta_CVEs_at_1100Z.zip is not a zip archive: it begins otherwise
        hint: check the address; a portal or a wrong mirror may have answered
        error: 1 of 1 feeds failed: cve; their last good editions stay in force

        # a wrong digest
        error: cve: http://MIRROR/cve/2019-11-20_delta_CVEs_at_1100Z.zip has the SHA-256 [DIGEST]; [DIGEST] is published
        hint: the file was damaged or replaced on the way; try again, and if it stays so, use another mirror
        error: 1 of 1 feeds failed: cve; their last good editions stay in force

        # an older NVD
        error: nvd: http://MIRROR/nvd/nvdcve-2.0-modified.meta is of 2019-11-18T08:00:00Z, which is older than 2019-11-20T08:00:00Z, the edition in force
        hint: the mirror lags behind; run it again later, or use another one
        error: 1 of 1 feeds failed: nvd; their last good editions stay in force

        # an older OSV
        error: osv/PyPI: http://MIRROR/osv/PyPI/modified_id.csv is of 2019-11-01T00:00:00Z, which is older than 2019-11-19T00:00:00Z, the edition in force
        hint: the mirror lags behind; run it again later, or use another one
        error: 1 of 1 feeds failed: osv/PyPI; their last good editions stay in force

        # a truncated archive
        error: osv/PyPI: cannot read the zip archive http://MIRROR/osv/PyPI/all.zip: invalid Zip archive: Could not find EOCD
        hint: the archive is not whole; run it again, or use another mirror
        error: 1 of 1 feeds failed: osv/PyPI; their last good editions stay in force
        ");
    });
}

/// An index that was made elsewhere stays until the feeds know as much as it may know.
#[test]
fn half_an_update_does_not_replace_an_index_that_was_made_elsewhere() {
    let (mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let index = place.default_index();
    for ending in ["idx.records", "idx.feeds"] {
        let path = index.with_extension(ending);
        let removed = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir_all(&path));
        removed.unwrap();
    }
    let whole = std::fs::read(&index).unwrap();

    let run = update(&place, &["--only", "kev"]);
    run.exits(2);
    still_answers(&place);
    assert_update!(run, web, @"
    exit status 2
    ----- stdout -----
    kev  2019.11.20                1 new
    [PLACE]/home/.local/share/snowguard/advisories.idx
    [SIZE] received in [TIME]

    ----- stderr -----
    error: the index stays as it was: it was not made from these feeds, and without epss, cve, nvd, osv/PyPI the new one would know less
    hint: an update of all feeds replaces it; a feed that you do without is switched off in the settings
    ");

    web.fail_always("/cve/releases.json", Fault::Status(403, vec![]));
    // Years are here then, and not all: that is no edition.
    web.fail_always("/nvd/nvdcve-2.0-2017.meta", Fault::Status(403, vec![]));
    let run = update(&place, &[]);
    run.exits(2);
    still_answers(&place);
    assert_eq!(std::fs::read(&index).unwrap(), whole);
    assert_update!(run, web, @"
    exit status 2
    ----- stdout -----
    kev       2019.11.20                nothing new
    epss      2019-11-20                2 new
    cve       none yet                  failed
    nvd       none yet                  failed
    osv/PyPI  2019-11-19T00:00:00Z      1 new
    [PLACE]/home/.local/share/snowguard/advisories.idx
    [SIZE] received in [TIME]

    ----- stderr -----
    error: cve: MIRROR answered 403 Forbidden to http://MIRROR/cve/releases.json
    hint: it refuses this client; a mirror may serve it, and some hosts want a token
    error: nvd: MIRROR answered 403 Forbidden to http://MIRROR/nvd/nvdcve-2.0-2017.meta
    hint: it refuses this client; a mirror may serve it, and some hosts want a token
    error: 2 of 5 feeds failed: cve, nvd; the index stays as it was: it was not made from these feeds, and without cve, nvd the new one would know less
    hint: an update of all feeds replaces it; a feed that you do without is switched off in the settings
    ");

    web.heal();
    mirror.serve(&web);
    update(&place, &[]).exits(0);
    still_answers(&place);
    web.fail_always("/cve/releases.json", Fault::Status(403, vec![]));
    let run = update(&place, &[]);
    run.exits(2);
    assert!(run.stderr.contains("last good editions"), "{run}");
}

/// An archive is made later than the list: what came one by one is not lost with it.
#[test]
fn an_older_archive_does_not_take_records_away() {
    let (mut mirror, web, place) = served();
    let first = advisory("PYSEC-2024-1", "2019-11-19T00:00:00Z", "3.0.3");
    let second = advisory("PYSEC-2026-2", "2019-11-21T00:00:00Z", "9.0");
    let old = advisory("PYSEC-2026-4", "2019-11-20T12:00:00Z", "9.0");
    let knows_both = || {
        let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
        assert!(scan.stdout.contains("PYSEC-2026-2"), "{scan}");
        assert!(scan.stdout.contains("PYSEC-2024-1"), "{scan}");
    };
    update(&place, &[]).exits(0);
    mirror
        .osv("PyPI", &[first.clone(), second.clone()])
        .unwrap();
    mirror.serve(&web);
    update(&place, &["--only", "osv"]).exits(0);
    knows_both();

    // The archive has some hours less than the list, and comes since a single record is not there.
    let before = advisory("PYSEC-2026-2", "2019-11-20T11:00:00Z", "8.0");
    mirror
        .osv("PyPI", &[first.clone(), before, old.clone()])
        .unwrap();
    let hours_old = mirror.file("osv/PyPI/all.zip").unwrap().to_vec();
    mirror
        .osv("PyPI", &[first.clone(), second.clone(), old.clone()])
        .unwrap();
    mirror.remove("osv/PyPI/PYSEC-2026-4.json");
    mirror.put("osv/PyPI/all.zip", hours_old);
    mirror.serve(&web);
    let run = update(&place, &["--only", "osv"]);
    run.exits(0);
    assert!(run.stdout.contains("  1 new\n"), "{run}");
    knows_both();
    update(&place, &["--only", "osv"]).exits(0);
    knows_both();

    // Without a list, and by days.
    for (records, list) in [(vec![old], false), (vec![first], true)] {
        mirror.osv("PyPI", &records).unwrap();
        let archive = mirror.file("osv/PyPI/all.zip").unwrap().to_vec();
        let third = advisory("PYSEC-2026-3", "2019-11-22T00:00:00Z", "9.0");
        mirror.osv("PyPI", &[third]).unwrap();
        mirror.remove("osv/PyPI/PYSEC-2026-3.json");
        mirror.put("osv/PyPI/all.zip", archive);
        if !list {
            mirror.remove("osv/PyPI/modified_id.csv");
        }
        mirror.serve(&web);
        let run = update(&place, &["--only", "osv"]);
        run.exits(2);
        assert!(run.stderr.contains("all.zip is of 2019-11-"), "{run}");
        assert!(run.stderr.contains("older than 2019-11-21"), "{run}");
        knows_both();
    }
}

/// In force, an edition of a day to come would bar all true ones.
#[test]
fn an_edition_of_the_future_is_not_taken() {
    let (_, web, place) = served();
    update(&place, &[]).exits(0);
    let mut bad = mirror();
    bad.kev("2999-01-01T12:00:00Z", &[kev("CVE-2026-0001")]);
    bad.epss("2999-01-01", &[("CVE-2026-0001", 0.9, 0.9)])
        .unwrap();
    bad.cve_delta(
        "2999-01-01",
        Some("0900Z"),
        &[cve("CVE-2026-0002", "a", "b", "1")],
    )
    .unwrap();
    bad.nvd("modified", "2999-01-01T03:00:00Z", &[]).unwrap();
    let odd = advisory("PYSEC-2026-2", "2999-01-01T00:00:00Z", "9.0");
    bad.osv("PyPI", std::slice::from_ref(&odd)).unwrap();
    bad.serve(&web);
    for only in ["kev", "epss", "cve", "nvd", "osv"] {
        let run = update(&place, &["--only", only]);
        run.exits(2);
        assert!(run.stderr.contains(" is of 2999-01-01"), "{run}");
        assert!(run.stderr.contains("check the clock"), "{run}");
        still_answers(&place);
    }
    // One odd record does not keep those that come after it away.
    let mut good = mirror();
    let first = advisory("PYSEC-2024-1", "2019-11-19T00:00:00.123456Z", "3.0.3");
    for new in [
        None,
        Some(advisory("PYSEC-2026-3", "2019-11-22T00:00:00Z", "9.0")),
    ] {
        let mut records = vec![first.clone(), odd.clone()];
        records.extend(new);
        good.osv("PyPI", &records).unwrap();
        good.serve(&web);
        update(&place, &[]).exits(0);
        still_answers(&place);
    }
    let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
    assert!(scan.stdout.contains("PYSEC-2026-3"), "{scan}");
}

/// After a gap the years come again, and one that lags behind takes nothing back.
#[test]
fn an_older_year_of_nvd_is_not_taken() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let newer = "2019-12-10T03:00:00-05:00";
    mirror.nvd("modified", newer, &[]).unwrap();
    let older = [nvd("CVE-2020-8284", "0.1")];
    mirror
        .nvd("2018", "2019-11-01T03:00:00-05:00", &older)
        .unwrap();
    mirror.serve(&web);
    let run = update(&place, &["--only", "nvd"]);
    run.exits(2);
    assert!(
        run.stderr.contains("nvdcve-2.0-2018.meta is of 2019-11-01"),
        "{run}"
    );
    still_answers(&place);
}

/// What cannot be read any more stays what it was when it could be.
#[test]
fn a_record_that_cannot_be_read_any_more_stays() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let odd = json!({ "id": "PYSEC-2024-1", "modified": "2019-11-21T00:00:00Z", "affected": 5 });
    let more = advisory("PYSEC-2026-2", "2019-11-21T00:00:00Z", "9.0");
    mirror.osv("PyPI", &[odd, more.clone()]).unwrap();
    // Without the list, the whole archive comes.
    mirror.remove("osv/PyPI/modified_id.csv");
    let scores = [("CVE-2026-0001", 9.1, 0.99), ("CVE-2026-0002", 0.01, 0.2)];
    mirror.epss("2019-11-21", &scores).unwrap();
    mirror.serve(&web);
    let run = update(&place, &[]);
    run.exits(0);
    assert_update!(run, web, @"
    exit status 0
    ----- stdout -----
    kev       2019.11.20                nothing new
    epss      2019-11-21                1 skipped
    cve       2019-11-20 0900Z          nothing new
    nvd       2019-11-20T08:00:00Z      nothing new
    osv/PyPI  2019-11-21T00:00:00Z      1 new, 1 skipped
    [PLACE]/home/.local/share/snowguard/advisories.idx
    a delta of 1 vulnerability, [SIZE]
    [SIZE] received in [TIME]

    ----- stderr -----
    warning: epss: skipped epss_scores-current.csv.gz, CVE-2026-0001: line 3: expected `cve,epss,percentile`
    warning: osv/PyPI: skipped PYSEC-2024-1.json: line 1, column 13: the record does not fit its format: invalid type: integer `5`, expected a sequence
    ");
    still_answers(&place);
    let scan = || place.run(&["scan", "system.json.zst", "--format", "json"]);
    assert!(scan().stdout.contains("0.91"), "{}", scan());

    // It is counted until it can be read again, in whichever edition that is.
    mirror
        .epss("2019-11-22", &[("CVE-2026-0001", 0.5, 0.9)])
        .unwrap();
    let first = advisory("PYSEC-2024-1", "2019-11-22T00:00:00Z", "3.0.3");
    mirror.osv("PyPI", &[first, more]).unwrap();
    mirror.serve(&web);
    update(&place, &[]).exits(0);
    assert!(!scan().stdout.contains("0.91"), "{}", scan());
    let info = place.run(&["advisories", "info", "--format", "json"]);
    let info: Value = serde_json::from_str(&info.stdout).unwrap();
    for source in info["sources"].as_array().unwrap() {
        assert_eq!(source["skipped"], 0, "{source}");
    }
}

/// One record in twenty may be unreadable; more, and the edition is wrong or this program is.
#[test]
fn an_edition_of_which_much_cannot_be_read_is_not_taken() {
    let (mut mirror, web, place) = served();
    let good = |n: usize| advisory(&format!("PYSEC-2025-{n}"), "2019-11-19T00:00:00Z", "9.0");
    let odd = |n: usize| json!({ "id": format!("PYSEC-2025-{n}"), "modified": "2019-11-21T00:00:00Z", "affected": 5 });
    let first = advisory("PYSEC-2024-1", "2019-11-19T00:00:00Z", "3.0.3");
    let mut records: Vec<Value> = (0..39).map(good).collect();
    records.push(first);
    mirror.osv("PyPI", &records).unwrap();
    mirror.serve(&web);
    update(&place, &[]).exits(0);
    for (count, status) in [(3, 2), (2, 0)] {
        let mut records = records.clone();
        for (n, record) in records.iter_mut().enumerate().take(count) {
            *record = odd(n);
        }
        mirror.osv("PyPI", &records).unwrap();
        mirror.remove("osv/PyPI/modified_id.csv");
        mirror.serve(&web);
        let run = update(&place, &["--only", "osv"]);
        run.exits(status);
        if status == 2 {
            assert_update!(run, web, @"
            exit status 2
            ----- stdout -----
            osv/PyPI  2019-11-19T00:00:00Z      failed; this edition stays
            [PLACE]/home/.local/share/snowguard/advisories.idx
            as it was
            [SIZE] received in [TIME]

            ----- stderr -----
            error: osv/PyPI: 3 of 40 records of http://MIRROR/osv/PyPI/all.zip cannot be read
            hint: a newer snowguard may read them; --accept-smaller takes the others, and leaves these as they were
            error: 1 of 1 feeds failed: osv/PyPI; their last good editions stay in force
            ");
        }
        still_answers(&place);
    }
}
