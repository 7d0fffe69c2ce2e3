//! Records in each format, in the shapes that feeds really have, as the model has them.
//!
//! The records are our own; ids and versions are made up but for the rules that they show.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on must fail")]

use snowguard_advisory::read::{Format, ReadError, With, facts};
use snowguard_advisory::record::Record;

/// What a document holds, as facts, one line each; errors in words.
fn read(document: &str) -> String {
    let format = match Format::detect(document.as_bytes()) {
        Ok(format) => format,
        Err(error) => return told(&error),
    };
    let mut lines = vec![format.as_str().to_owned()];
    format.read(document.as_bytes(), &mut |result| match result {
        Ok(record) => lines.push(pretty(&record)),
        Err(error) => lines.push(told(&error)),
    });
    lines.join("\n")
}

fn told(error: &ReadError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// One fact a line, so that a change is seen where it is.
fn pretty(record: &Record) -> String {
    let value: serde_json::Value = serde_json::from_str(&facts::write(record).unwrap()).unwrap();
    let mut lines = Vec::new();
    for (key, value) in value.as_object().unwrap() {
        if key == "affects" {
            for entry in value.as_array().unwrap() {
                lines.push(format!("  affects {entry}"));
            }
        } else {
            lines.push(format!("  {key} {value}"));
        }
    }
    lines.join("\n")
}

#[test]
fn cve_records_with_every_kind_of_range() {
    insta::assert_snapshot!(read(
        r#"{
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": "CVE-2031-0001", "state": "PUBLISHED", "datePublished": "2031-01-02T03:04:05.678Z", "dateUpdated": "2031-02-03T00:00:00Z"},
        "containers": {
            "cna": {
                "providerMetadata": {"shortName": "acme", "orgId": "x"},
                "title": "Something",
                "affected": [{
                    "vendor": "Acme", "product": "Thing", "defaultStatus": "unaffected", "repo": "https://github.com/acme/thing.git",
                    "cpes": ["cpe:2.3:a:acme:thing:*:*:*:*:*:*:*:*"],
                    "versions": [
                        {"version": "0", "lessThan": "1.2", "status": "affected", "versionType": "semver"},
                        {"version": "2.0", "lessThanOrEqual": "2.5", "status": "affected"},
                        {"version": "3.0", "lessThan": "3.*", "status": "affected"},
                        {"version": "4.0", "lessThan": "*", "status": "affected", "changes": [{"at": "4.9", "status": "affected"}, {"at": "4.5", "status": "unaffected"}]},
                        {"version": ">= 5.0, < 5.3", "status": "affected"},
                        {"version": "6.1", "status": "affected"},
                        {"version": "7.x", "status": "affected"},
                        {"version": "8.0 and earlier", "status": "affected"},
                        {"version": "n/a", "status": "affected"},
                        {"version": "unspecified", "lessThan": "0.9", "status": "affected"},
                        {"version": "9.1", "lessThan": "9.1", "status": "affected"},
                        {"version": "1da177e4c3f41524e886b7f1b8a0c1fc7321cac2", "lessThan": "43913f2f4fbd7dcff930b8a809e709591e4dd79e", "status": "affected", "versionType": "git"}
                    ]
                }],
                "metrics": [{"cvssV3_1": {"vectorString": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "baseScore": 9.8}, "format": "CVSS"}, {"other": {"type": "policy", "content": {"text": "Moderate"}}}],
                "references": [{"url": "https://github.com/acme/thing/commit/00000f2f4fbd7dcff930b8a809e709591e4dd79e", "tags": ["patch"]}],
                "x_unknown": {"deep": [1, 2, {"three": null}]}
            },
            "adp": [
                {"providerMetadata": {"shortName": "CVE"}, "references": [{"url": "https://example.org"}]},
                {"providerMetadata": {"shortName": "CISA-ADP"},
                 "affected": [{"vendor": "acme", "product": "thing", "cpes": ["cpe:2.3:a:acme:thing:-:*:*:*:*:*:*:*"], "defaultStatus": "unknown", "versions": [{"version": "0", "lessThanOrEqual": "1.1", "status": "affected", "versionType": "custom"}]}],
                 "metrics": [{"other": {"type": "ssvc", "content": {"options": [{"Exploitation": "PoC"}, {"Automatable": "Yes"}, {"Technical Impact": "total"}]}}}, {"other": {"type": "kev", "content": {"dateAdded": "2031-02-01"}}}]}
            ]
        }
    }"#
    ));
}

/// The publisher names the last version that was looked at and says that the rest is unknown; who
/// enriches a record says that of every range, and means nothing by it.
#[test]
fn cve_records_that_do_not_know_what_comes_after() {
    insta::assert_snapshot!(read(
        r#"{
        "cveMetadata": {"cveId": "CVE-2031-0003", "state": "PUBLISHED"},
        "containers": {
            "cna": {"affected": [{"vendor": "acme", "product": "thing", "defaultStatus": "unknown",
                "versions": [{"version": "0", "lessThanOrEqual": "1.1", "status": "affected", "versionType": "custom"},
                             {"version": "2.0", "lessThan": "2.2", "status": "affected", "versionType": "custom"}]}]},
            "adp": [{"title": "Container", "providerMetadata": {"shortName": "CISA-ADP"},
                "affected": [{"vendor": "acme", "product": "thing", "defaultStatus": "unknown",
                "versions": [{"version": "0", "lessThanOrEqual": "1.1", "status": "affected", "versionType": "custom"}]}]}]
        }
    }"#
    ));
}

#[test]
fn cve_records_of_the_kernel_list_what_is_unaffected() {
    insta::assert_snapshot!(read(
        r#"{
        "cveMetadata": {"cveId": "CVE-2031-0002", "state": "PUBLISHED"},
        "containers": {"cna": {"providerMetadata": {"shortName": "Linux"}, "affected": [
            {"vendor": "Linux", "product": "Linux", "defaultStatus": "unaffected", "repo": "https://git.kernel.org/pub/scm/linux/kernel/git/stable/linux.git",
             "versions": [{"version": "1da177e4c3f4", "lessThan": "0478ccdc8ea016b2ee65a5f8d1f0c1e1a1b1c1d1", "status": "affected", "versionType": "git"}]},
            {"vendor": "Linux", "product": "Linux", "defaultStatus": "affected",
             "versions": [
                {"version": "2.6.13", "status": "affected"},
                {"version": "0", "lessThan": "2.6.13", "status": "unaffected", "versionType": "semver"},
                {"version": "5.4.56", "lessThanOrEqual": "5.4.*", "status": "unaffected", "versionType": "semver"},
                {"version": "5.8", "lessThanOrEqual": "*", "status": "unaffected", "versionType": "original_commit_for_fix"}
             ]}
        ]}}
    }"#
    ));
}

#[test]
fn cve_records_of_registries_distributions_and_plugins() {
    insta::assert_snapshot!(read(
        r#"{
        "cveMetadata": {"cveId": "CVE-2031-0003"},
        "containers": {"cna": {"affected": [
            {"vendor": "x", "product": "lib", "collectionURL": "https://pypi.python.org", "packageName": "The_Lib", "versions": [{"version": "0", "lessThan": "2", "status": "affected"}]},
            {"vendor": "Go standard library", "product": "net/http", "collectionURL": "https://pkg.go.dev", "packageName": "net/http", "versions": [{"version": "0", "lessThan": "1.23.10", "status": "affected", "versionType": "semver"}]},
            {"vendor": "Red Hat", "product": "Red Hat Enterprise Linux 9", "collectionURL": "https://access.redhat.com/downloads/content/package-browser/", "packageName": "thing", "cpes": ["cpe:/o:redhat:enterprise_linux:9"], "defaultStatus": "affected", "versions": [{"version": "0:6.5.2-6.el9_2", "lessThan": "*", "status": "unaffected", "versionType": "rpm"}]},
            {"vendor": "y", "product": "Forms", "collectionURL": "https://wordpress.org/plugins", "packageName": "forms", "versions": [{"version": "n/a", "lessThanOrEqual": "1.4", "status": "affected"}]},
            {"vendor": "z", "product": "tool", "packageURL": "pkg:npm/%40z/tool", "platforms": ["Windows", "x64-based Systems"], "versions": [{"version": "1.0", "status": "affected"}]},
            {"vendor": "n/a", "product": "n/a", "versions": [{"version": "n/a", "status": "affected"}]}
        ], "descriptions": [{"lang": "en", "value": "A flaw in tool on Windows."}]}}
    }"#
    ));
}

#[test]
fn cve_records_with_cpe_applicability() {
    insta::assert_snapshot!(read(
        r#"{
        "cveMetadata": {"cveId": "CVE-2031-0004", "state": "REJECTED"},
        "containers": {"cna": {"providerMetadata": {"shortName": "acme"}, "cpeApplicability": [{"operator": "OR", "nodes": [{"operator": "OR", "negate": false, "cpeMatch": [
            {"vulnerable": true, "criteria": "cpe:2.3:a:acme:thing:*:*:*:*:*:*:*:*", "versionStartIncluding": "1.0", "versionEndExcluding": "1.5"}]}]}]}}
    }"#
    ));
}

#[test]
fn osv_records_of_every_kind() {
    insta::assert_snapshot!(read(
        r#"{
        "schema_version": "1.7.0", "id": "PYSEC-2031-1", "aliases": ["CVE-2031-0005", "GHSA-aaaa-bbbb-cccc"], "modified": "2031-01-01T00:00:00Z", "published": "0001-01-01T00:00:00Z",
        "summary": "A title", "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}, {"type": "Ubuntu", "score": "medium"}],
        "affected": [
            {"package": {"ecosystem": "PyPI", "name": "The.Lib", "purl": "pkg:pypi/the-lib"},
             "ranges": [{"type": "GIT", "repo": "https://github.com/x/lib", "events": [{"introduced": "0"}, {"fixed": "43913f2f4fbd7dcff930b8a809e709591e4dd79e"}]},
                        {"type": "ECOSYSTEM", "events": [{"fixed": "2.0"}, {"introduced": "1.10"}, {"introduced": "0"}, {"fixed": "1.9"}]}],
             "versions": ["1.0", "1.8", "1.10", "0.5rc1", "2.1"]},
            {"package": {"ecosystem": "Go", "name": "github.com/acme/thing/v2"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "2.0.0"}, {"last_affected": "2.3.4"}, {"introduced": "2.5.0"}]}],
             "ecosystem_specific": {"imports": [{"path": "x", "goos": ["windows"]}]}},
            {"package": {"ecosystem": "", "name": "curl", "purl": "pkg:generic/curl"}, "ranges": [{"type": "SEMVER", "events": [{"introduced": "7.29.0"}, {"last_affected": "7.71.1"}]}]},
            {"package": {"ecosystem": "AlmaLinux:10", "name": "python3"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.12.13-2.el10_2"}]}]},
            {"package": {"ecosystem": "Brand New", "name": "Some Package"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"limit": "3"}]}]},
            {"package": {"ecosystem": "OSS-Fuzz", "name": "libfoo", "purl": "pkg:generic/libfoo"}, "ranges": [{"type": "GIT", "repo": "https://github.com/foo/libfoo", "events": [{"introduced": "a"}, {"fixed": "b"}]}], "versions": ["v1.2.3", "R_2_2_8"]},
            {"package": {"ecosystem": "OSS-Fuzz", "name": "libbar"}, "ranges": [{"type": "GIT", "repo": "https://github.com/bar/libbar", "events": [{"introduced": "a"}]}], "versions": []},
            {"ranges": [{"type": "GIT", "repo": "https://github.com/python/cpython", "events": [{"introduced": "0"}, {"fixed": "110dd153662a13b8ae1bb06348e5b1f118ab26d7"}]}]},
            {"package": {"ecosystem": "crates.io", "name": "some_crate"}, "database_specific": {"patched": [">= 0.10.60", "^0.9.1"], "unaffected": ["< 0.5"], "informational": null}},
            {"package": {"ecosystem": "crates.io", "name": "old_crate"}, "database_specific": {"patched": [], "unaffected": [], "informational": "unmaintained"}}
        ],
        "references": [{"type": "FIX", "url": "https://github.com/x/lib/commit/1111111f4fbd7dcff930b8a809e709591e4dd79e"}, {"type": "WEB", "url": "https://github.com/x/lib/commit/2222222f4fbd7dcff930b8a809e709591e4dd79e"}],
        "database_specific": {"severity": "High", "cpes": ["cpe:2.3:a:x:lib:*:*:*:*:*:*:*:*"]}
    }"#
    ));
}

#[test]
fn osv_records_that_are_thin() {
    insta::assert_snapshot!(read(
        r#"{"id": "X-1", "aliases": null, "affected": null, "withdrawn": "2031-01-01T00:00:00Z", "database_specific": {"severity": 7}}"#
    ));
}

#[test]
fn nvd_items_with_and_without_conditions() {
    insta::assert_snapshot!(read(
        r#"{"resultsPerPage": 3, "vulnerabilities": [
        {"cve": {"id": "CVE-2031-0006", "published": "2031-01-01T00:00:00.000", "lastModified": "2031-01-02T00:00:00.000", "vulnStatus": "Analyzed",
            "descriptions": [{"lang": "en", "value": "Something in software."}],
            "metrics": {"cvssMetricV31": [{"cvssData": {"vectorString": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}}], "cvssMetricV2": [{"cvssData": {"vectorString": "AV:L/AC:L/Au:N/C:C/I:C/A:C"}}]},
            "configurations": [
                {"nodes": [{"operator": "OR", "negate": false, "cpeMatch": [
                    {"vulnerable": true, "criteria": "cpe:2.3:a:gnu:thing:*:*:*:*:*:*:*:*", "versionStartIncluding": "0", "versionEndExcluding": "1.2"},
                    {"vulnerable": true, "criteria": "cpe:2.3:a:gnu:thing:2.0:rc1:*:*:*:*:*:*"},
                    {"vulnerable": false, "criteria": "cpe:2.3:a:gnu:other:*:*:*:*:*:*:*:*"},
                    {"vulnerable": true, "criteria": "cpe:2.3:a:gnu:every:*:*:*:*:*:node.js:*:*"}]}]},
                {"operator": "AND", "nodes": [
                    {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:a:acme:client:*:*:*:*:*:*:*:*", "versionEndIncluding": "3.0"}]},
                    {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": false, "criteria": "cpe:2.3:o:microsoft:windows:-:*:*:*:*:*:*:*"}, {"vulnerable": false, "criteria": "cpe:2.3:o:apple:macos:-:*:*:*:*:*:*:*"}]}]},
                {"operator": "AND", "nodes": [
                    {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": true, "criteria": "cpe:2.3:a:acme:plugin:1.0:*:*:*:*:*:*:*"}]},
                    {"operator": "OR", "negate": false, "cpeMatch": [{"vulnerable": false, "criteria": "cpe:2.3:a:openssl:openssl:*:*:*:*:*:*:*:*"}]}]}]}},
        {"cve": {"id": 7}},
        {"cve": {"id": "CVE-2031-0007", "vulnStatus": "Rejected"}}
    ]}"#
    ));
    insta::assert_snapshot!(read(
        r#"{"_annotation": {"cve_id": "CVE-2031-0008", "published": "2031-01-01T00:00:00+00:00", "description": "Only on Windows."}, "cve": {"configurations": [{"nodes": [{"cpeMatch": [{"criteria": "cpe:2.3:a:null:null:*:*:*:*:*:*:*:*", "vulnerable": false}], "negate": false, "operator": "OR"}]}]}}"#
    ));
    insta::assert_snapshot!(read(r#"{"_annotation": {"reason": "nothing"}, "cve": {}}"#));
}

#[test]
fn kev_catalogues() {
    insta::assert_snapshot!(read(
        r#"{"title": "x", "catalogVersion": "2031.01.01", "vulnerabilities": [
        {"cveID": "CVE-2031-0009", "dateAdded": "2031-01-01", "dueDate": "2031-01-22", "knownRansomwareCampaignUse": "Known"},
        {"cveID": "nonsense", "dateAdded": "2031-01-01"}]}"#
    ));
}

#[test]
fn documents_that_are_none() {
    insta::assert_snapshot!(read("{\"what\": 1}"));
    insta::assert_snapshot!(read("{\"id\": \"X-1\", \"affected\": [{\"ranges\": 5}]}"));
    insta::assert_snapshot!(read("[1, 2]"));
    insta::assert_snapshot!(read(
        "{\"cveMetadata\": {\"cveId\": \"CVE-99-1\"}, \"containers\": {}}"
    ));
    insta::assert_snapshot!(read("{\"cveMetadata\": {}, \"containers\": {}}"));
    insta::assert_snapshot!(read("{\"id\": \"X-1\", \"affects\": [], \"typo\": 1}"));
    insta::assert_snapshot!(read(""));
    let deep = format!("{{\"id\": {}1{}}}", "[".repeat(10_000), "]".repeat(10_000));
    insta::assert_snapshot!(read(&deep));
}

/// Texts of a document, with their tags, one line each.
fn texts(document: &str) -> String {
    let format = Format::detect(document.as_bytes()).unwrap();
    let mut lines = Vec::new();
    format.read(document.as_bytes(), &mut |result| {
        assert!(result.unwrap().texts.is_none());
    });
    format.read_with(With::Texts, document.as_bytes(), &mut |result| {
        let record = result.unwrap();
        // Facts carry nobody's words.
        assert!(!facts::write(&record).unwrap().contains("words"));
        let texts = record.texts.unwrap();
        lines.extend(texts.description);
        for reference in texts.references {
            lines.push(format!("  {} {:?}", reference.url, reference.tags));
        }
    });
    lines.join("\n")
}

#[test]
fn the_words_of_authors_are_read_on_demand() {
    insta::assert_snapshot!(texts(r#"{"cveMetadata":{"cveId":"CVE-2031-0001"},"containers":{"cna":{"descriptions":[{"lang":"de","value":"Wort"},{"lang":"en-US","value":" In words. "}],"references":[{"url":"https://a.example/1","tags":["patch","x_other"]},{"url":"javascript:x"}]},"adp":[{"descriptions":[{"lang":"en","value":"other words"}],"references":[{"url":"https://a.example/1","tags":["patch"]},{"url":"https://b.example/","tags":null}]}]}}"#), @r#"
    In words.
      https://a.example/1 ["patch", "x_other"]
      https://b.example/ []
    "#);
    insta::assert_snapshot!(texts(r#"{"id":"PYSEC-2031-1","details":"In words\nmore","references":[{"type":"FIX","url":"https://a.example/1"}],"affected":[]}"#), @r#"
    In words
    more
      https://a.example/1 ["FIX"]
    "#);
    insta::assert_snapshot!(texts(r#"{"vulnerabilities":[{"cve":{"id":"CVE-2031-0001","descriptions":[{"lang":"en","value":"In words."}],"references":[{"url":"https://a.example/1","source":"x","tags":["Patch"]}]}}]}"#), @r#"
    In words.
      https://a.example/1 ["Patch"]
    "#);
    insta::assert_snapshot!(texts(r#"{"catalogVersion":"1","vulnerabilities":[{"cveID":"CVE-2031-0001","dateAdded":"2031-01-01","shortDescription":"In words."}]}"#), @"In words.");
}
