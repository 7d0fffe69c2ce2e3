//! Which index is used, how old it may be, and what is said of one that cannot be used.

use std::fs;

use crate::support::{Advisories, Place, System, assert_shown, days_from_now};

/// A place whose own index is so many days old.
fn aged(days: i32) -> Place {
    let place = Place::new();
    let mut advisories = Advisories::aged(days);
    advisories.add(serde_json::json!({
        "id": "CVE-2021-3711", "published": "2021-08-24",
        "affects": [{"products": ["openssl:openssl"], "by": "openssl", "upstream": true, "default": "unaffected", "rules": [">=1.1.1 <1.1.1l"]}],
    }));
    place.import(&advisories);
    place.system("system.json.zst", &System::usual());
    place
}

#[test]
fn a_fresh_index_is_no_word_worth() {
    let place = aged(3);
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30d"]);
    run.exits(1);
    assert!(!run.stderr.contains("warning"), "{run}");
}

#[test]
fn a_stale_index_warns() {
    let place = aged(40);
    let run = place.run(&["scan", "system.json.zst"]);
    run.exits(1).fits();
    insta::with_settings!({filters => vec![(r"\b4[01] days", "[AGE]")]}, { assert_shown!(run) });
    // The warning is for people: the report says it to programs.
    let run = place.run(&["scan", "system.json.zst", "--format", "json", "--quiet"]);
    assert_eq!(run.stderr, "", "{run}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["index"]["stale"], true);
}

#[test]
fn a_limit_makes_it_an_error() {
    let place = aged(40);
    for command in [
        vec!["scan", "system.json.zst", "--max-age", "30d"],
        vec!["scan", "system.json.zst", "--max-age", "4w", "--quiet"],
        vec![
            "scan",
            "system.json.zst",
            "--max-age",
            "240h",
            "--format",
            "json",
        ],
        vec![
            "diff",
            "system.json.zst",
            "system.json.zst",
            "--max-age",
            "30d",
        ],
        vec![
            "explain",
            "CVE-2021-3711",
            "--in",
            "system.json.zst",
            "--max-age",
            "30d",
        ],
    ] {
        place.run(&command).fails_with("allow");
    }
    place
        .run(&["scan", "system.json.zst", "--max-age", "60d"])
        .exits(1);
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30d"]);
    insta::with_settings!({filters => vec![(r"\b4[01] days", "[AGE]")]}, { assert_shown!(run) });
    place.write("snowguard.toml", "max-age = \"30d\"\n");
    let run = place.run(&["scan", "system.json.zst"]);
    run.fails_with("30d");
}

#[test]
fn a_limit_that_is_none() {
    let place = aged(3);
    for wrong in ["30", "soon", "d", "", "1.2.3d", "3 fortnights", "∞d"] {
        let run = place.run(&["scan", "system.json.zst", "--max-age", wrong]);
        run.fails_with("is not an age");
    }
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30"]);
    assert_shown!(run);
}

/// One record with a day that is still to come must not make an index look fresh for ever.
#[test]
fn a_day_in_the_future_does_not_hide_the_age() {
    let place = Place::new();
    let mut advisories = Advisories::aged(400);
    advisories.add(serde_json::json!({
        "id": "CVE-2025-0002", "published": days_from_now(4_000),
        "affects": [{"products": ["nobody:else"], "default": "unaffected", "rules": ["<1.0"]}],
    }));
    place.import(&advisories);
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30d"]);
    run.fails_with("future");
    let run = place.run(&["scan", "system.json.zst"]);
    assert!(run.stderr.contains("warning"), "{run}");
}

/// What is exploited, and how likely, is published anew every day: that says nothing about ranges.
#[test]
fn fresh_flags_and_scores_do_not_make_old_ranges_young() {
    let place = Place::new();
    let mut advisories = Advisories::aged(400);
    advisories.add(serde_json::json!({
        "id": "CVE-2025-0002", "published": days_from_now(-1), "exploited": {"since": days_from_now(-1)},
    }));
    place.write("facts.jsonl", advisories.lines());
    let yesterday = days_from_now(-1);
    place.write(
        "kev.json",
        serde_json::json!({"catalogVersion": "x", "vulnerabilities": [{"cveID": "CVE-2025-0001", "dateAdded": yesterday}]})
            .to_string(),
    );
    place.write(
        "epss.csv",
        format!("#model_version:v1,score_date:{yesterday}T00:00:00+0000\ncve,epss,percentile\nCVE-2025-0001,0.1,0.2\n"),
    );
    place
        .run(&[
            "advisories",
            "import",
            "facts.jsonl",
            "kev.json",
            "epss.csv",
        ])
        .exits(0);
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30d"]);
    run.fails_with("400 days old");
    let run = place.run(&["scan", "system.json.zst", "--format", "json", "--quiet"]);
    let report: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["index"]["age_days"], 400);
    // What each source has is still told.
    let run = place.run(&["advisories", "info", "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let ages: Vec<_> = info["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| source["age_days"].as_i64())
        .collect();
    assert_eq!(ages, [Some(1); 3], "{info}");
}

#[test]
fn an_index_without_dates_has_no_age() {
    let place = Place::new();
    place.write(
        "facts.jsonl",
        "{\"id\":\"CVE-2025-0001\",\"affects\":[{\"products\":[\"a:b\"],\"rules\":[\"<1\"]}]}\n",
    );
    place.run(&["advisories", "import", "facts.jsonl"]).exits(0);
    place.system("system.json.zst", &System::usual());
    let run = place.run(&["scan", "system.json.zst", "--max-age", "30d"]);
    run.fails_with("no dates");
    let run = place.run(&["scan", "system.json.zst"]);
    assert_shown!(run);
}

#[test]
fn the_index_asked_for_goes_before_the_imported_one() {
    let place = aged(3);
    place.write("other.jsonl", Advisories::aged(2).lines());
    place
        .run(&[
            "advisories",
            "import",
            "other.jsonl",
            "--output",
            "other.idx",
        ])
        .exits(0);
    let none = |run: &crate::support::Run| {
        run.exits(0);
        assert!(!run.stdout.contains("CVE-2021-3711"), "{run}");
    };
    none(&place.run(&["scan", "system.json.zst", "--index", "other.idx"]));
    none(&place.run_with(
        &["scan", "system.json.zst"],
        &[("SNOWGUARD_INDEX", "other.idx")],
    ));
    place.write("snowguard.toml", "index = \"other.idx\"\n");
    none(&place.run(&["scan", "system.json.zst"]));
    place
        .run(&[
            "scan",
            "system.json.zst",
            "--index",
            place.default_index().to_str().unwrap(),
        ])
        .exits(1);
}

/// The variable for data homes is followed, unless it is not absolute.
#[test]
fn the_data_home_is_followed() {
    let place = Place::new();
    place.write("facts.jsonl", Advisories::usual().lines());
    let data = place.path("data");
    let import = ["advisories", "import", "facts.jsonl"];
    place
        .run_with(&import, &[("XDG_DATA_HOME", data.to_str().unwrap())])
        .exits(0);
    assert!(data.join("snowguard/advisories.idx").exists());
    assert!(!place.default_index().exists());
    place
        .run_with(&import, &[("XDG_DATA_HOME", "relative")])
        .exits(0);
    assert!(place.default_index().exists());
}

#[test]
fn what_cannot_be_used_is_named_with_its_remedy() {
    let place = aged(3);
    let whole = fs::read(place.default_index()).unwrap();
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 0x40;
    let mut newer = whole.clone();
    newer[8] = 99;
    let mut beheaded = whole.clone();
    beheaded[0] = b'X';
    let cases: [(&str, &[u8]); 6] = [
        ("damaged.idx", &damaged),
        ("truncated.idx", &whole[..whole.len() - 100]),
        ("header.idx", &whole[..20]),
        ("newer.idx", &newer),
        ("other.idx", &beheaded),
        ("empty.idx", b""),
    ];
    for (name, bytes) in cases {
        place.write(name, bytes);
        for command in [
            vec!["scan", "system.json.zst", "--index", name],
            vec!["explain", "CVE-2021-3711", "--index", name],
            vec!["advisories", "info", "--index", name],
        ] {
            let run = place.run(&command);
            run.fails_with(name);
            assert!(run.stderr.contains("hint: "), "{run}");
        }
    }
    let mut told = String::new();
    for (name, _) in cases {
        told += &place
            .run(&["scan", "system.json.zst", "--index", name])
            .stderr;
    }
    told += &place
        .run(&["scan", "system.json.zst", "--index", "nosuch.idx"])
        .stderr;
    insta::with_settings!({filters => vec![(r"byte \d+, the file has \d+", "byte [N], the file has [N]")]}, {
        insta::assert_snapshot!(told);
    });
}

/// Every single byte of an index is under a checksum, or is one that is never looked at.
#[test]
fn a_flipped_bit_is_never_believed() {
    let place = aged(3);
    let whole = fs::read(place.default_index()).unwrap();
    let good = place.run(&[
        "scan",
        "system.json.zst",
        "--format",
        "json",
        "--quiet",
        "--index",
        "x.idx",
    ]);
    good.fails_with("x.idx");
    place.write("x.idx", &whole);
    let command = [
        "scan",
        "system.json.zst",
        "--component",
        "openssl",
        "--quiet",
        "--index",
        "x.idx",
    ];
    let good = place.run(&command);
    good.exits(1);
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        place.write("x.idx", &bytes);
        let run = place.run(&command);
        assert!(
            run.code == 2 || run.stdout == good.stdout,
            "byte {at} is flipped and believed\n{run}"
        );
    }
}

/// The index beside it is whole, and which file to remove is said.
#[test]
fn a_damaged_delta_is_named() {
    let place = Place::with_index();
    place.system("system.json.zst", &System::usual());
    let delta = place.default_index().with_extension("idx.delta");
    fs::write(delta, "SNOWDLT\n and no more").unwrap();
    assert_shown!(place.run(&["scan", "system.json.zst"]));
}
