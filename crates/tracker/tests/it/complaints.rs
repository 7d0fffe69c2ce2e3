//! What people complain about in trackers and scanners of Nixpkgs, each by what they met in public:
//! from a package set and records in their own formats to the rows of the queue.

use serde_json::{Value, json};
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::cve5;
use snowguard_db::Database;
use snowguard_sources::Options;
use snowguard_sources::packages::Derivations;
use snowguard_testkit::database::Scratch;
use snowguard_tracker::decide::{follow_channel, remember};
use snowguard_tracker::ingest::{Revision, Shrinking, followed, read_pipe, take};
use snowguard_tracker::rematch::Scope;
use snowguard_triage::{MemoryRule, Verdict};

use crate::world::{TEAM, World};

/// An attribute of `nix-env -qaP --json --meta`.
fn attribute(pname: &str, version: &str, meta: &Value) -> Value {
    json!({
        "name": format!("{pname}-{version}"), "pname": pname, "version": version,
        "system": "x86_64-linux", "outputName": "out", "outputs": {"out": null}, "meta": meta,
    })
}

/// A published CVE record, as its author writes it.
fn record(id: &str, affected: &Value) -> Value {
    json!({
        "dataType": "CVE_RECORD", "dataVersion": "5.1",
        "cveMetadata": {"cveId": id, "state": "PUBLISHED"},
        "containers": {"cna": {"affected": affected}},
    })
}

/// All of a product below a version.
fn before(vendor: &str, product: &str, end: &str) -> Value {
    json!([{
        "vendor": vendor, "product": product, "defaultStatus": "unaffected",
        "versions": [{"version": "0", "lessThan": end, "status": "affected", "versionType": "custom"}],
    }])
}

/// The queue and what was found, of one channel.
fn told(attributes: &Value, records: &[Value]) -> (String, String) {
    with_world(|world| {
        evaluate(world, "unstable", attributes);
        published(world, records);
        world.settle();
        (world.queue(), world.told())
    })
}

fn with_world<T>(work: impl FnOnce(&mut World<'_>) -> T) -> T {
    let scratch = Scratch::sqlite().unwrap();
    let db = Database::open(scratch.name()).unwrap();
    work(&mut World::new(&db))
}

fn evaluate(world: &mut World<'_>, channel: &str, attributes: &Value) {
    use snowguard_db::evaluations::Evaluations as _;
    world.day += 1;
    world
        .db
        .write(|session| session.add_channel(channel, None))
        .unwrap();
    let pipe = std::io::Cursor::new(attributes.to_string());
    let (none, options) = (Derivations::default(), Options::default());
    let evaluation = read_pipe("a test", pipe, none, &options, &mut |_| {}).unwrap();
    take(
        world.db,
        &followed(world.db, channel).unwrap(),
        &Revision::new(&format!("{:07}", world.day), world.now(), "a test").unwrap(),
        world.now(),
        Shrinking::Taken,
        evaluation,
        &mut |_| {},
    )
    .unwrap();
}

fn published(world: &mut World<'_>, records: &[Value]) {
    let mut change = world.store.change().unwrap();
    change.replace("cve", SourceKind::Cve5).unwrap();
    for record in records {
        let record = cve5::read(record.to_string().as_bytes()).unwrap();
        change.put("cve", SourceKind::Cve5, &record).unwrap();
    }
    change.commit().unwrap();
}

/// NixOS/nix-security-tracker #391: records about devices filled the list.
#[test]
fn a_device_is_no_package() {
    let set =
        json!({"fritz": attribute("fritz", "1.0", &json!({"homepage": "https://fritz.example/"}))});
    let affected = json!([{
        "vendor": "avm", "product": "fritz", "cpes": ["cpe:2.3:h:avm:fritz:*:*:*:*:*:*:*:*"],
        "defaultStatus": "unaffected",
        "versions": [{"version": "0", "lessThan": "7.5", "status": "affected", "versionType": "custom"}],
    }]);
    let (queue, _) = told(&set, &[record("CVE-2031-1000", &affected)]);
    assert_eq!(queue, "");
}

/// A service that only its provider runs is nothing that anybody installs: the record's own tag.
#[test]
fn what_only_its_provider_runs_is_no_package() {
    let set = json!({"vscode": attribute("vscode", "1.90", &json!({"homepage": "https://code.visualstudio.com/"}))});
    let affected = before("Microsoft", "Visual Studio Code", "2.0");
    let mut hosted = record("CVE-2031-1001", &affected);
    let installed = record("CVE-2031-1002", &affected);
    hosted["containers"]["cna"]["tags"] = json!(["exclusively-hosted-service"]);
    let (queue, _) = told(&set, &[hosted, installed]);
    assert_eq!(queue, "queue CVE-2031-1002: 1");
}

/// The worst of substrings: products called `i` and `r`.
#[test]
fn a_product_of_one_letter_is_not_in_every_name() {
    let set = json!({
        "bird": attribute("bird", "2.0", &json!({"homepage": "https://bird.network.cz/"})),
        "ripgrep": attribute("ripgrep", "13.0", &json!({})),
        "R": attribute("R", "4.3.0", &json!({"homepage": "https://www.r-project.org/"})),
    });
    let records = [
        record("CVE-2031-1003", &before("IBM", "i", "99")),
        record("CVE-2024-27322", &before("R Project", "R", "4.4.0")),
    ];
    let (_, found) = told(&set, &records);
    insta::assert_snapshot!(found, @"
    r CVE-2024-27322: affected, untriaged
      1 4.3.0 affected since 1
    ");
}

/// #391: each wrapper and each variant was a candidate of its own.
#[test]
fn a_wrapper_and_what_it_wraps_are_one_package() {
    let meta = json!({"homepage": "https://neovim.io/"});
    let set = json!({
        "neovim": attribute("neovim", "0.9.0", &meta),
        "neovim-unwrapped": attribute("neovim-unwrapped", "0.9.0", &meta),
    });
    let (queue, found) = told(
        &set,
        &[record(
            "CVE-2031-1004",
            &before("neovim", "neovim", "0.9.5"),
        )],
    );
    insta::assert_snapshot!(queue, @"queue CVE-2031-1004: 1");
    insta::assert_snapshot!(found, @"
    neovim CVE-2031-1004: affected, untriaged
      1 0.9.0 affected since 1
    ");
}

/// #391: every module of every kernel was a candidate of the kernel's thousands of records.
#[test]
fn a_module_is_not_its_kernel() {
    let kernel = json!({"homepage": "https://www.kernel.org/"});
    let module = json!({"homepage": "https://openzfs.org/"});
    let set = json!({
        "linux": attribute("linux", "6.1.20", &kernel),
        "linux_6_6": attribute("linux", "6.6.1", &kernel),
        "linuxPackages.zfs": attribute("zfs-kernel", "2.2.0-6.1.20", &module),
        "linuxPackages_6_6.zfs": attribute("zfs-kernel", "2.2.0-6.6.1", &module),
        "linuxPackages_6_9.zfs": attribute("zfs-kernel", "2.2.2-6.9", &module),
    });
    let records = [
        record("CVE-2031-1005", &before("Linux", "Linux", "6.1.30")),
        record("CVE-2031-1006", &before("openzfs", "openzfs", "2.2.2")),
    ];
    let (queue, found) = told(&set, &records);
    insta::assert_snapshot!(queue, @"
    queue CVE-2031-1006: 1
    kernel CVE-2031-1005: 1
    ");
    insta::assert_snapshot!(found, @"
    linux CVE-2031-1005: affected, untriaged
      1 6.1.20 affected since 1
    zfs-kernel CVE-2031-1006: affected, untriaged
      1 2.2.0-6.1.20, 2.2.0-6.6.1 affected since 1
    ");
}

/// #391: packages that exist in several versions are one row, which says which of them.
#[test]
fn several_versions_of_a_package_are_one_row() {
    let meta = json!({"homepage": "https://www.openssl.org/"});
    let set = json!({
        "openssl": attribute("openssl", "3.0.13", &meta),
        "openssl_1_1": attribute("openssl", "1.1.1w", &meta),
        "openssl_legacy": attribute("openssl", "3.0.13", &meta),
    });
    let (queue, found) = told(
        &set,
        &[record(
            "CVE-2031-1007",
            &before("OpenSSL", "OpenSSL", "3.0.0"),
        )],
    );
    assert_eq!(queue, "queue CVE-2031-1007: 1");
    insta::assert_snapshot!(found, @"
    openssl CVE-2031-1007: affected, untriaged
      1 1.1.1w affected since 1
    ");
}

/// The manual's own form, an id and a text, was not seen: only the bare id was.
#[test]
fn what_nixpkgs_itself_marks_is_no_news() {
    let meta = |known: Value| json!({"homepage": "https://tukaani.org/xz/", "knownVulnerabilities": known});
    let records = [record("CVE-2024-3094", &before("tukaani", "xz", "5.6.2"))];
    for known in [
        json!(["CVE-2024-3094: a backdoor"]),
        json!(["CVE-2024-3094"]),
    ] {
        let set = json!({"xz": attribute("xz", "5.6.1", &meta(known))});
        assert_eq!(told(&set, &records).0, "marked CVE-2024-3094: 1");
    }
    let set = json!({"xz": attribute("xz", "5.6.1", &meta(json!(["CVE-2024-30941"])))});
    assert_eq!(told(&set, &records).0, "queue CVE-2024-3094: 1");
}

/// #391 (a list of what is never meant) and #419 (channels that nobody looks after any more).
#[test]
fn what_was_said_once_holds_for_what_comes() {
    with_world(|world| {
        let set = json!({"bolt": attribute("bolt", "0.8", &json!({"homepage": "https://bolt.example/"}))});
        evaluate(world, "unstable", &set);
        evaluate(world, "stable", &set);
        published(
            world,
            &[record("CVE-2031-1008", &before("bolt", "bolt", "3.0"))],
        );
        world.settle();
        assert_eq!(world.queue(), "queue CVE-2031-1008: 1");
        let product = "bolt:bolt";
        let today = jiff::civil::date(2026, 11, 21);
        let rule = MemoryRule::new("bolt", product, Verdict::Deny, None, None, "another", today);
        remember(world.db, TEAM, &rule.unwrap(), world.now()).unwrap();
        published(
            world,
            &[
                record("CVE-2031-1008", &before("bolt", "bolt", "3.0")),
                record("CVE-2031-1009", &before("bolt", "bolt", "3.1")),
            ],
        );
        world.take();
        world.rematch(Scope::All { state: "denied" });
        assert_eq!(world.queue(), "");
    });
    with_world(|world| {
        let set = |version| json!({"bolt": attribute("bolt", version, &json!({"homepage": "https://bolt.example/"}))});
        evaluate(world, "stable", &set("0.8"));
        evaluate(world, "unstable", &set("3.2"));
        published(
            world,
            &[record("CVE-2031-1008", &before("bolt", "bolt", "3.0"))],
        );
        world.settle();
        assert_eq!(world.queue(), "queue CVE-2031-1008: 1");
        follow_channel(world.db, TEAM, "stable", false, "end of life", world.now()).unwrap();
        world.rematch(Scope::All { state: "dropped" });
        assert_eq!(world.queue(), "");
    });
}

/// NixOS/nix-security-tracker PR 1300: versions were compared as texts until 2026.
#[test]
fn versions_are_not_texts() {
    let set =
        json!({"curl": attribute("curl", "8.10.0", &json!({"homepage": "https://curl.se/"}))});
    let (queue, _) = told(
        &set,
        &[record("CVE-2031-1010", &before("haxx", "curl", "8.9.1"))],
    );
    assert_eq!(queue, "");
}
