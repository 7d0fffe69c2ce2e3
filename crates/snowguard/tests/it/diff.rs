//! `snowguard diff`: what an upgrade fixes, brings and leaves.

use serde_json::json;

use crate::support::{Advisories, Package, Place, System, assert_shown};

fn openssl(version: &str) -> Package {
    Package::new(&format!("openssl-{version}")).source(&format!(
        "https://www.openssl.org/source/openssl-{version}.tar.gz"
    ))
}

fn libtiff() -> Package {
    Package::new("libtiff-4.1.0").source("https://download.osgeo.org/libtiff/tiff-4.1.0.tar.gz")
}

fn curl() -> Package {
    Package::new("curl-7.71.1").source("https://curl.se/download/curl-7.71.1.tar.xz")
}

fn sudo() -> Package {
    Package::new("sudo-1.8.31p1").source("https://www.sudo.ws/dist/sudo-1.8.31p1.tar.gz")
}

fn place() -> Place {
    let place = Place::with_index();
    let old = System::new(
        "nixos-system-old",
        [
            openssl("1.1.1g"),
            libtiff(),
            curl(),
            Package::new("house-tool-1.0"),
        ],
    );
    let new = System::new(
        "nixos-system-new",
        [
            openssl("3.0.15"),
            libtiff().patch("CVE-2020-35521.patch", None),
            curl(),
            sudo(),
            Package::new("house-tool-2.0"),
        ],
    );
    place.system("old.json.zst", &old);
    place.system("new.json.zst", &new);
    place
}

#[test]
fn an_upgrade_that_fixes_brings_and_leaves() {
    let run = place().run(&["diff", "old.json.zst", "new.json.zst"]);
    run.exits(1).fits();
    assert_shown!(run);
}

#[test]
fn an_upgrade_that_only_fixes() {
    let place = place();
    let old = System::new("nixos-system-old", [openssl("1.1.1g")]);
    let new = System::new("nixos-system-new", [openssl("3.0.15")]);
    place.system("a.json.zst", &old).system("b.json.zst", &new);
    let run = place.run(&["diff", "a.json.zst", "b.json.zst"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn nothing_changed() {
    let run = place().run(&["diff", "old.json.zst", "old.json.zst"]);
    run.exits(0).fits();
    assert_shown!(run);
}

#[test]
fn what_fails_is_narrowed() {
    let place = place();
    for (what, code) in [
        ("affected", 1),
        ("exploited", 1),
        ("critical", 0),
        ("high", 1),
        ("medium", 1),
        ("review", 0),
        ("never", 0),
    ] {
        let run = place.run(&["diff", "old.json.zst", "new.json.zst", "--fail-on", what]);
        assert_eq!(run.code, code, "--fail-on {what}\n{run}");
    }
}

/// What comes to need review is brought as well, and can be a gate.
#[test]
fn what_needs_review_is_brought() {
    let place = place();
    let jose =
        Package::new("jose-10").source("https://github.com/latchset/jose/archive/v10.tar.gz");
    let new = System::new(
        "nixos-system-new",
        [openssl("1.1.1g"), libtiff(), curl(), jose],
    );
    place.system("new.json.zst", &new);
    let run = place.run(&[
        "diff",
        "old.json.zst",
        "new.json.zst",
        "--fail-on",
        "review",
    ]);
    run.exits(1).fits();
    assert_shown!(run);
}

#[test]
fn as_data() {
    let run = place().run(&["diff", "old.json.zst", "new.json.zst", "--format", "json"]);
    run.exits(1);
    assert_shown!(run);
}

#[test]
fn one_side_cannot_be_read() {
    let place = place();
    place
        .run(&["diff", "old.json.zst", "nosuch"])
        .fails_with("nosuch");
    place
        .run(&["diff", "nosuch", "new.json.zst"])
        .fails_with("nosuch");
}

/// What was affected and is no longer sure to be has not been fixed.
#[test]
fn doubt_is_no_fix() {
    let place = Place::new();
    let mut advisories = Advisories::aged(1);
    advisories.add(json!({
        "id": "CVE-2025-1000", "published": "2025-01-01",
        "affects": [{"products": ["repo:github.com/alice/widget"], "rules": ["<2.0", "\"3.x on some machines\""]}],
    }));
    place.import(&advisories);
    let widget = |version: &str| {
        let url = format!("https://github.com/alice/widget/archive/v{version}.tar.gz");
        let package = Package::new(&format!("widget-{version}")).source(&url);
        System::new(&format!("system-{version}"), [package])
    };
    place
        .system("old.json.zst", &widget("1.0"))
        .system("new.json.zst", &widget("3.1"));
    let run = place.run(&["diff", "old.json.zst", "new.json.zst"]);
    run.exits(0).fits();
    assert!(run.stdout.contains("fixes 0"), "{run}");
    assert_shown!(run);
    place
        .run(&[
            "diff",
            "old.json.zst",
            "new.json.zst",
            "--fail-on",
            "review",
        ])
        .exits(1);
}
