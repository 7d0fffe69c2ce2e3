//! `snowguard advisories update` against a mirror on the loopback interface that fails on order.

use std::fmt::Write as _;
use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use snowguard_testkit::feeds::Mirror;
use snowguard_testkit::web::{Fault, Web};

use crate::support::{Place, Run, System};

/// What differs from run to run: ports, sizes, times.
macro_rules! assert_update {
    ($run:expr, $web:expr, @$text:literal) => {
        let host = $web.base().split_once("://").unwrap().1.to_owned();
        insta::with_settings!({filters => vec![
            (r"\d+\.\d [kM]B", "[SIZE]"),
            (r" in \d+(\.\d)? (s|min)\b", " in [TIME]"),
            (r" [0-9a-f]{64}", " [DIGEST]"),
            (r"until 20[-0-9T:]+Z", "until [TIME]"),
        ]}, {
            insta::assert_snapshot!($run.shown().replace(&host, "MIRROR"), @$text);
        })
    };
}

mod editions;
mod osv;

fn cve(id: &str, vendor: &str, product: &str, fixed: &str) -> (String, Vec<u8>) {
    let record = json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": id, "state": "PUBLISHED", "datePublished": "2019-11-01T00:00:00"},
        "containers": {"cna": {
            "providerMetadata": {"shortName": vendor},
            "affected": [{"vendor": vendor, "product": product, "versions": [
                {"version": "0", "lessThan": fixed, "status": "affected", "versionType": "custom"}
            ]}],
        }},
    });
    (id.to_owned(), record.to_string().into_bytes())
}

fn advisory(id: &str, modified: &str, fixed: &str) -> Value {
    json!({
        "id": id, "modified": modified, "published": "2024-05-06T00:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "werkzeug"}, "ranges": [
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}
        ]}],
    })
}

fn nvd(id: &str, end: &str) -> Value {
    json!({"cve": {
        "id": id, "published": "2021-03-09T00:00:00.000", "lastModified": "2019-11-01T00:00:00.000",
        "descriptions": [], "references": [],
        "configurations": [{"nodes": [{"operator": "OR", "negate": false, "cpeMatch": [{
            "vulnerable": true, "criteria": "cpe:2.3:a:haxx:curl:*:*:*:*:*:*:*:*",
            "versionEndExcluding": end,
        }]}]}],
    }})
}

fn kev(id: &str) -> Value {
    json!({"cveID": id, "dateAdded": "2019-11-10", "dueDate": "2019-12-01", "knownRansomwareCampaignUse": "Unknown"})
}

/// Small editions of all feeds.
fn mirror() -> Mirror {
    let mut mirror = Mirror::default();
    mirror.kev("2019-11-20T12:00:00Z", &[kev("CVE-2026-0001")]);
    mirror
        .epss(
            "2019-11-20",
            &[("CVE-2026-0001", 0.91, 0.99), ("CVE-2026-0002", 0.01, 0.2)],
        )
        .unwrap();
    let whole = [
        cve("CVE-2026-0001", "openssl", "openssl", "1.1.1l"),
        cve("CVE-2026-0002", "nobody", "nothing", "1.0"),
    ];
    mirror.cve_whole("2019-11-20", &whole).unwrap();
    let later = [cve("CVE-2026-0002", "nobody", "nothing", "1.1")];
    mirror
        .cve_delta("2019-11-20", Some("0900Z"), &later)
        .unwrap();
    for year in 2002..=2019 {
        let modified = "2019-11-19T03:00:00-05:00";
        let items = if year == 2018 {
            vec![nvd("CVE-2020-8284", "7.74.0")]
        } else {
            vec![]
        };
        mirror.nvd(&year.to_string(), modified, &items).unwrap();
    }
    mirror
        .nvd("modified", "2019-11-20T03:00:00-05:00", &[])
        .unwrap();
    mirror
        .osv(
            "PyPI",
            &[advisory(
                "PYSEC-2024-1",
                "2019-11-19T00:00:00.123456Z",
                "3.0.3",
            )],
        )
        .unwrap();
    mirror
}

/// A place whose settings name a mirror, and as many tries as a test has time for: one.
fn place(web: &Web) -> Place {
    let place = Place::new();
    place.write(
        "snowguard.toml",
        format!(
            "[feeds]\nattempts = 1\nmirror = \"{}\"\n[feeds.osv]\necosystems = [\"PyPI\"]\n",
            web.base()
        ),
    );
    place.system("system.json.zst", &System::usual());
    place
}

fn update(place: &Place, more: &[&str]) -> Run {
    let mut args = vec!["advisories", "update"];
    args.extend(more);
    place.run(&args)
}

/// Fails unless a scan finds what the first edition says.
#[track_caller]
fn still_answers(place: &Place) {
    let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
    for known in ["CVE-2026-0001", "PYSEC-2024-1", "CVE-2020-8284"] {
        assert!(scan.stdout.contains(known), "{known} is not found\n{scan}");
    }
}

fn served() -> (Mirror, Web, Place) {
    let mirror = mirror();
    let web = Web::start().unwrap();
    mirror.serve(&web);
    let place = place(&web);
    (mirror, web, place)
}

#[test]
fn all_feeds_and_then_what_changed() {
    let (mut mirror, web, place) = served();
    let run = update(&place, &[]);
    run.exits(0).fits();
    assert_update!(run, web, @"
    exit status 0
    ----- stdout -----
    kev       2019.11.20                1 new
    epss      2019-11-20                2 new
    cve       2019-11-20 0900Z          2 new, 1 changed
    nvd       2019-11-20T08:00:00Z      1 new
    osv/PyPI  2019-11-19T00:00:00Z      1 new
    [PLACE]/home/.local/share/snowguard/advisories.idx
    4 vulnerabilities, [SIZE]
    [SIZE] received in [TIME]
    ");
    still_answers(&place);
    web.seen();

    let run = update(&place, &[]);
    run.exits(0);
    assert_update!(run, web, @"
    exit status 0
    ----- stdout -----
    kev       2019.11.20                nothing new
    epss      2019-11-20                nothing new
    cve       2019-11-20 0900Z          nothing new
    nvd       2019-11-20T08:00:00Z      nothing new
    osv/PyPI  2019-11-19T00:00:00Z      nothing new
    [PLACE]/home/.local/share/snowguard/advisories.idx
    as it was
    [SIZE] received in [TIME]
    ");
    let paths: Vec<String> = web.seen().into_iter().map(|request| request.path).collect();
    assert_eq!(
        paths,
        [
            "/kev/known_exploited_vulnerabilities.json",
            "/epss/epss_scores-current.csv.gz",
            "/cve/releases.json",
            "/nvd/nvdcve-2.0-modified.meta",
            "/osv/PyPI/modified_id.csv",
        ],
        "only what tells whether something changed"
    );

    mirror.kev(
        "2019-11-21T12:00:00Z",
        &[kev("CVE-2026-0001"), kev("CVE-2020-8284")],
    );
    mirror
        .epss(
            "2019-11-21",
            &[
                ("CVE-2026-0001", 0.9101, 0.99),
                ("CVE-2026-0002", 0.31, 0.9),
            ],
        )
        .unwrap();
    mirror
        .cve_delta(
            "2019-11-20",
            None,
            &[cve("CVE-2026-0003", "openssl", "openssl", "3.0")],
        )
        .unwrap();
    mirror
        .nvd(
            "modified",
            "2019-11-21T03:00:00-05:00",
            &[nvd("CVE-2026-0004", "9.0")],
        )
        .unwrap();
    mirror
        .osv(
            "PyPI",
            &[
                advisory("PYSEC-2024-1", "2019-11-19T00:00:00.123456Z", "3.0.3"),
                advisory("PYSEC-2026-2", "2019-11-21T00:00:00Z", "9.0"),
            ],
        )
        .unwrap();
    mirror.serve(&web);
    let run = update(&place, &[]);
    run.exits(0);
    assert_update!(run, web, @"
    exit status 0
    ----- stdout -----
    kev       2019.11.21                1 new
    epss      2019-11-21                1 changed
    cve       2019-11-21 0000Z          1 new
    nvd       2019-11-21T08:00:00Z      1 new
    osv/PyPI  2019-11-21T00:00:00Z      1 new
    [PLACE]/home/.local/share/snowguard/advisories.idx
    a delta of 5 vulnerabilities, [SIZE]
    [SIZE] received in [TIME]
    ");
    let paths: Vec<String> = web.seen().into_iter().map(|request| request.path).collect();
    assert!(
        paths.contains(&"/osv/PyPI/PYSEC-2026-2.json".to_owned()),
        "{paths:?}"
    );
    assert!(!paths.iter().any(|path| path.contains("all")), "{paths:?}");
    still_answers(&place);
    let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
    for new in ["CVE-2026-0003", "CVE-2026-0004", "PYSEC-2026-2"] {
        assert!(scan.stdout.contains(new), "{new} is not found\n{scan}");
    }
    let info = place.run(&["advisories", "info"]);
    info.exits(0).fits();
    assert!(info.stdout.contains("just now"), "{info}");
}

/// What a person reads when one feed fails: that feed is told, the last edition stays, others go on.
#[test]
fn after_each_fault_the_last_good_edition_answers() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    // A new edition of each, so that there is something to fail at.
    mirror.kev(
        "2019-11-21T12:00:00Z",
        &[kev("CVE-2026-0001"), kev("CVE-2020-8284")],
    );
    mirror
        .cve_delta(
            "2019-11-20",
            Some("1000Z"),
            &[cve("CVE-2026-0003", "openssl", "openssl", "3.0")],
        )
        .unwrap();
    mirror
        .nvd(
            "modified",
            "2019-11-21T03:00:00-05:00",
            &[nvd("CVE-2026-0004", "9.0")],
        )
        .unwrap();
    mirror.serve(&web);
    let kev = "/kev/known_exploited_vulnerabilities.json";
    let delta = "/cve/2019-11-20_delta_CVEs_at_1000Z.zip";
    let truncated = mirror.file(&delta[1..]).unwrap()[..60].to_vec();
    let mut told = String::new();
    for (what, only, path, fault) in [
        ("cut", "kev", kev, Fault::Cut(0)),
        (
            "a length that ends too early",
            "kev",
            kev,
            Fault::Length(100),
        ),
        (
            "a length that is not kept",
            "kev",
            kev,
            Fault::Length(1 << 20),
        ),
        ("500", "kev", kev, Fault::Status(500, vec![])),
        ("503", "kev", kev, Fault::Status(503, vec![])),
        ("404", "kev", kev, Fault::Status(404, vec![])),
        (
            "429 for a day",
            "kev",
            kev,
            Fault::Status(429, vec![("Retry-After", "86400".into())]),
        ),
        ("endless", "kev", kev, Fault::Endless),
        (
            "a portal",
            "kev",
            kev,
            Fault::Body(b"<html>Please log in".to_vec()),
        ),
        (
            "redirected for ever",
            "kev",
            kev,
            Fault::Redirect(web.url(kev)),
        ),
        (
            "redirected to nowhere",
            "kev",
            kev,
            Fault::Redirect("ftp://elsewhere.example/".into()),
        ),
        (
            "an archive of another length",
            "cve",
            delta,
            Fault::Body(truncated),
        ),
        (
            "a damaged NVD file",
            "nvd",
            "/nvd/nvdcve-2.0-modified.json.gz",
            Fault::Body(vec![0; 10]),
        ),
    ] {
        web.fail_always(path, fault);
        let run = update(&place, &["--only", only]);
        run.exits(2);
        still_answers(&place);
        let host = web.base().split_once("://").unwrap().1.to_owned();
        let shown = run.stderr.replace(&host, "MIRROR");
        write!(told, "# {what}\n{shown}\n").unwrap();
        web.heal();
    }
    insta::with_settings!({filters => vec![
        (r"trying again in \d+\.\d s", "trying again in [TIME]"),
        (r"until 20[-0-9T:]+Z", "until [TIME]"),
    ]}, { insta::assert_snapshot!(told, @"
    # cut
    error: kev: MIRROR broke off http://MIRROR/kev/known_exploited_vulnerabilities.json after 0 bytes
    hint: run it again: what has arrived is kept, and the download goes on from there
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # a length that ends too early
    error: kev: http://MIRROR/kev/known_exploited_vulnerabilities.json is not the KEV catalogue: EOF while parsing a string at line 1 column 100
    hint: check the address; a portal or a wrong mirror may have answered
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # a length that is not kept
    error: kev: MIRROR broke off http://MIRROR/kev/known_exploited_vulnerabilities.json after 383 bytes
    hint: run it again: what has arrived is kept, and the download goes on from there
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # 500
    error: kev: MIRROR answered 500 Internal Server Error to http://MIRROR/kev/known_exploited_vulnerabilities.json
    hint: try again later, or use a mirror
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # 503
    error: kev: MIRROR answered 503 Service Unavailable to http://MIRROR/kev/known_exploited_vulnerabilities.json
    hint: try again later, or use a mirror
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # 404
    error: kev: MIRROR answered 404 Not Found to http://MIRROR/kev/known_exploited_vulnerabilities.json
    hint: check the address of the mirror; feeds move at times
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # 429 for a day
    error: kev: MIRROR asks to wait until [TIME]
    hint: run it again then, or use a mirror
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # endless
    error: kev: http://MIRROR/kev/known_exploited_vulnerabilities.json is larger than 67108864 bytes
    hint: this is not what that address should serve; check it
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # a portal
    error: kev: http://MIRROR/kev/known_exploited_vulnerabilities.json is not the KEV catalogue: expected value at line 1 column 1
    hint: check the address; a portal or a wrong mirror may have answered
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # redirected for ever
    error: kev: MIRROR leads from http://MIRROR/kev/known_exploited_vulnerabilities.json to http://MIRROR/kev/known_exploited_vulnerabilities.json, one redirect too many
    hint: check the address; if it has moved for good, set the new one
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # redirected to nowhere
    error: kev: MIRROR gave an answer that makes no sense: builder error: URL scheme is not allowed
    hint: a proxy or a portal may have answered in its place; check HTTPS_PROXY
    error: 1 of 1 feeds failed: kev; their last good editions stay in force

    # an archive of another length
    error: cve: http://MIRROR/cve/2019-11-20_delta_CVEs_at_1000Z.zip has 60 bytes; 380 are published
    hint: the file was damaged or replaced on the way; try again, and if it stays so, use another mirror
    error: 1 of 1 feeds failed: cve; their last good editions stay in force

    # a damaged NVD file
    error: nvd: http://MIRROR/nvd/nvdcve-2.0-modified.json.gz has 10 bytes; 319 are published
    hint: the file was damaged or replaced on the way; try again, and if it stays so, use another mirror
    error: 1 of 1 feeds failed: nvd; their last good editions stay in force
    "); });

    let check = update(&place, &["--offline-check"]);
    check.exits(2);
    assert!(check.stderr.contains("nvd"), "{check}");
    let run = update(&place, &[]);
    run.exits(0);
    update(&place, &["--offline-check"]).exits(0);
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_the_rest_is_taken() {
    let (mut mirror, web, place) = served();
    mirror
        .cve_delta(
            "2019-11-20",
            Some("1000Z"),
            &[
                ("CVE-2026-0007".into(), b"{\"containers\": 5}".to_vec()),
                cve("CVE-2026-0003", "openssl", "openssl", "3.0"),
            ],
        )
        .unwrap();
    mirror.serve(&web);
    let run = update(&place, &["--only", "cve"]);
    run.exits(0);
    assert_update!(run, web, @"
    exit status 0
    ----- stdout -----
    cve  2019-11-20 1000Z          3 new, 1 skipped
    [PLACE]/home/.local/share/snowguard/advisories.idx
    3 vulnerabilities, [SIZE]
    [SIZE] received in [TIME]

    ----- stderr -----
    warning: cve: skipped CVE-2026-0007.json: line 1, column 16: the record does not fit its format: invalid type: integer `5`, expected struct Containers
    ");
}

/// An air-gapped machine gets a folder.
#[test]
fn a_mirror_may_be_a_folder() {
    let place = Place::new();
    place.system("system.json.zst", &System::usual());
    place.write("snowguard.toml", "[feeds.osv]\necosystems = [\"PyPI\"]\n");
    mirror().write(&place.path("stick")).unwrap();
    let url = format!("file://{}", place.path("stick").display());
    update(&place, &["--mirror", &url]).exits(0);
    still_answers(&place);
    let again = update(&place, &["--mirror", &url]);
    again.exits(0);
    assert!(again.stdout.contains("nothing new"), "{again}");
}

/// With the list and without the single records, the archive is taken: what is listed is not gone.
#[test]
fn a_mirror_may_lack_the_single_records() {
    let (mut mirror, web, place) = served();
    update(&place, &[]).exits(0);
    let folder = place.path("stick");
    let first = advisory("PYSEC-2024-1", "2019-11-21T00:00:00Z", "3.0.4");
    for (more, address) in [
        ("PYSEC-2026-2", web.base()),
        ("PYSEC-2026-3", format!("file://{}", folder.display())),
    ] {
        let modified = format!("2019-11-2{}T00:00:00Z", &more[11..]);
        let records = [first.clone(), advisory(more, &modified, "9.0")];
        mirror.osv("PyPI", &records).unwrap();
        mirror.remove(&format!("osv/PyPI/{more}.json"));
        mirror.remove("osv/PyPI/PYSEC-2024-1.json");
        mirror.serve(&web);
        mirror.write(&folder).unwrap();
        update(&place, &["--only", "osv", "--mirror", &address]).exits(0);
        still_answers(&place);
        let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
        assert!(scan.stdout.contains(more), "{more} is not found\n{scan}");
    }
}

#[test]
fn a_proxy_is_asked() {
    let (_, web, _) = served();
    let place = Place::new();
    let args = [
        "advisories",
        "update",
        "--only",
        "kev",
        "--mirror",
        "http://feeds.example",
    ];
    // The server answers as a proxy does: it gets the whole address as the path.
    let kev = mirror()
        .file("kev/known_exploited_vulnerabilities.json")
        .unwrap()
        .to_vec();
    web.put(
        "http://feeds.example/kev/known_exploited_vulnerabilities.json",
        kev,
    );
    let run = place.run_with(&args, &[("http_proxy", &web.base())]);
    run.exits(0);
    let seen = web.seen();
    assert!(
        seen[0].path.starts_with("http://feeds.example/kev/"),
        "{seen:?}"
    );
    place.write("snowguard.toml", "[feeds]\nattempts = 1\n");
    let environment = [
        ("http_proxy", web.base()),
        ("no_proxy", "feeds.example".to_owned()),
    ];
    let environment = environment
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let run = place.run_with(&args, &environment);
    run.exits(2);
    assert!(web.seen().is_empty(), "{run}");
}

#[test]
fn certificates_of_ones_own() {
    let web = Web::start_tls().unwrap();
    mirror().serve(&web);
    let place = place(&web);
    let run = update(&place, &["--only", "kev"]);
    assert_update!(run, web, @"
    exit status 2
    ----- stdout -----
    kev  none yet                  failed
    [PLACE]/home/.local/share/snowguard/advisories.idx
    [SIZE] received in [TIME]

    ----- stderr -----
    error: kev: MIRROR has a certificate that is not trusted here: error sending request: client error (Connect): invalid peer certificate: UnknownIssuer
    hint: if that host or your proxy has a certificate authority of its own, name its file with --ca-file
    error: 1 of 1 feeds failed: kev; no edition of them is here yet
    ");
    place.write("ca.pem", web.authority().unwrap());
    update(&place, &["--only", "kev", "--ca-file", "ca.pem"]).exits(0);
    let ca = place.path("ca.pem");
    let environment = [("NIX_SSL_CERT_FILE", ca.to_str().unwrap())];
    place
        .run_with(&["advisories", "update", "--only", "kev"], &environment)
        .exits(0);
}

/// `kill -9` in the middle of a download: the next run goes on where it stopped.
#[test]
fn a_killed_update_goes_on() {
    let (_, web, place) = served();
    let whole = "/cve/2019-11-20_all_CVEs_at_midnight.zip.zip";
    web.fail(whole, [Fault::Drip(100, Duration::from_millis(20))]);
    let mut child: Child = place
        .command(&["advisories", "update", "--only", "cve"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let part = place
        .default_index()
        .with_extension("idx.feeds")
        .join("downloads/get-2019-11-20_all_CVEs_at_midnight.zip.zip.part");
    while std::fs::metadata(&part).map_or(0, |metadata| metadata.len()) < 200 {
        assert!(
            child.try_wait().unwrap().is_none(),
            "{}",
            errors(&mut child)
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.default_index().exists());
    web.seen();
    update(&place, &["--only", "cve"]).exits(0);
    let asked = web
        .seen()
        .into_iter()
        .find(|request| request.path == whole)
        .unwrap();
    let range = asked.header("range").unwrap().to_owned();
    let from: u64 = range
        .strip_prefix("bytes=")
        .unwrap()
        .trim_end_matches('-')
        .parse()
        .unwrap();
    assert!(from >= 200, "{range}");
    let scan = place.run(&["scan", "system.json.zst", "--format", "json"]);
    assert!(scan.stdout.contains("CVE-2026-0001"), "{scan}");
}

/// Two at once: the second waits, and says so.
#[test]
fn the_second_update_waits() {
    let (_, web, place) = served();
    let path = "/kev/known_exploited_vulnerabilities.json";
    web.fail(path, [Fault::Drip(20, Duration::from_millis(100))]);
    let mut first = place
        .command(&["advisories", "update", "--only", "kev"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while web.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = update(&place, &["--only", "kev"]);
    second.exits(0);
    assert!(
        second.stderr.contains("another update is at work"),
        "{second}"
    );
    assert!(first.wait().unwrap().success());
}

#[test]
fn settings_that_make_no_sense() {
    let place = Place::new();
    let mut told = String::new();
    for (settings, args) in [
        ("[feeds]\nmirror = \"mirror.example\"", &[][..]),
        (
            "[feeds.kev]\nurl = \"ftp://user:hunter2@mirror.example\"",
            &[],
        ),
        ("[feeds.osv]\necosystems = [\"../x\"]", &[]),
        ("[feeds.osv]\nmalicious = \"some\"", &[]),
        ("[feeds.vulncheck]\nenabled = true", &[]),
        ("", &["--only", "kev,ghsa"]),
        ("", &["--ca-file", "none.pem"]),
    ] {
        place.write("snowguard.toml", settings);
        let run = update(&place, args);
        run.exits(2);
        assert!(!run.stderr.contains("hunter2"), "{run}");
        write!(
            told,
            "# {} {}\n{}\n",
            settings.replace('\n', " "),
            args.join(" "),
            run.stderr
        )
        .unwrap();
    }
    insta::assert_snapshot!(told, @r#"
    # [feeds] mirror = "mirror.example" 
    error: snowguard.toml: feeds.mirror: it is not the address of a mirror: it is not an absolute address like https://host/path
    hint: write https://host/path, or file:///path for a folder of this machine

    # [feeds.kev] url = "ftp://user:hunter2@mirror.example" 
    error: snowguard.toml: feeds.kev.url: it is not the address of a mirror: its scheme is `ftp`; it may be https, http or file
    hint: write https://host/path, or file:///path for a folder of this machine

    # [feeds.osv] ecosystems = ["../x"] 
    error: snowguard.toml: feeds.osv.ecosystems: `../x` is not an ecosystem
    hint: names are OSV's: PyPI, crates.io, npm

    # [feeds.osv] malicious = "some" 
    error: snowguard.toml: feeds.osv.malicious: `some` is not a choice
    hint: it may be releases, all or none

    # [feeds.vulncheck] enabled = true 
    error: snowguard.toml, line 1: unknown field `vulncheck`, expected one of `mirror`, `ca-file`, `attempts`, `kev`, `epss`, `cve`, `nvd`, `osv`
    hint: the book's page on snowguard.toml lists what it may hold

    #  --only kev,ghsa
    error: `ghsa` is not a feed; there are kev, epss, cve, nvd and osv
    hint: --only takes names with commas between

    #  --ca-file none.pem
    error: cannot take certificates from none.pem: No such file or directory (os error 2)
    hint: it must be a file of certificates in PEM
    "#);
}

fn errors(child: &mut Child) -> String {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        let _ = stderr.read_to_string(&mut text);
    }
    text
}
