//! The worlds that the tests look at.

use serde_json::json;
use snowguard_inventory::{Gap, Meta, Nature, Need};
use snowguard_matching::suppress::{Judged, Justification};

use super::{Scanned, World, affects, decision, out};

/// Nothing but a root, and an index without a record.
pub(crate) fn empty() -> Scanned {
    let mut world = World::new("empty", Nature::BuildTime);
    world.package("empty", |_| {}).root("empty");
    world.finish()
}

/// Each world once.
pub(crate) fn all() -> [Scanned; 5] {
    [empty(), typical(), nasty(), large(), inside()]
}

/// Programs with libraries inside: the same in three of them, one for building only, one in a lock
/// file, one that a patch around it speaks of, and one whose own package is patched.
pub(crate) fn inside() -> Scanned {
    let mut world = World::new("nixos-system-inside-26.05", Nature::RunTime);
    let root = "nixos-system-inside-26.05";
    world.package(root, |_| {}).root(root);
    for name in ["ripgrep-13.0.0", "fd-8.0.0", "bat-0.18.0"] {
        let _ = world.package(name, |_| {}).edges(root, &[name]);
        world.declares(name, "bin/x", "pkg:cargo/regex@1.5.4", Need::Runtime);
    }
    let _ = world
        .package("mended-1.0", |recipe| {
            recipe.patches = vec![out("CVE-2021-45707.patch").into()];
        })
        .package("python3.11-requests-2.20.0", |recipe| {
            recipe.pname = Some("requests".into());
            recipe.patches = vec![out("CVE-2023-32681.patch").into()];
        })
        .edges(root, &["mended-1.0", "python3.11-requests-2.20.0"]);
    world
        .declares("ripgrep-13.0.0", "bin/x", "pkg:cargo/cc@1.0.1", Need::Build)
        .declares("mended-1.0", "bin/x", "pkg:cargo/nix@0.20.0", Need::Runtime)
        .declares(
            "mended-1.0",
            "share/app.jar",
            "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.0",
            Need::Runtime,
        )
        .declares(
            "bat-0.18.0",
            "src/Cargo.lock",
            "pkg:cargo/time@0.1.43",
            Need::Unknown,
        )
        .declares(
            "bat-0.18.0",
            "lib/pip/_vendor/x",
            "pkg:pypi/requests@2.20.0",
            Need::Runtime,
        );
    for (id, purl, rule, score) in [
        ("CVE-2022-24713", "pkg:cargo/regex", "<1.5.5", "A:H"),
        ("CVE-2023-0001", "pkg:cargo/cc", "<1.0.2", "A:L"),
        ("CVE-2021-45707", "pkg:cargo/nix", "<0.20.2", "A:H"),
        ("CVE-2020-26235", "pkg:cargo/time", "<0.2.23", "A:H"),
        ("CVE-2023-32681", "pkg:pypi/requests", "<2.31.0", "A:L"),
        (
            "CVE-2021-44228",
            "pkg:maven/org.apache.logging.log4j/log4j-core",
            "<2.15.0",
            "A:H",
        ),
    ] {
        world.record(
            "facts",
            json!({
                "id": id, "published": "2022-03-08",
                "severities": [{"vector": format!("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/{score}")}],
                "affects": [affects(purl, None, false, rule)],
            }),
        );
    }
    world.finish()
}

/// A small system with something of every kind.
pub(crate) fn typical() -> Scanned {
    system(60, 9)
}

/// The same with little of each kind: for snapshots of whole documents.
pub(crate) fn small() -> Scanned {
    system(2, 2)
}

fn system(kernel_records: u32, commits: u32) -> Scanned {
    let mut world = World::new("nixos-system-lantern-26.05", Nature::BuildTime);
    world.index_path("/var/lib/snowguard/index");
    packages(&mut world);
    records(&mut world, commits);
    kernel(&mut world, kernel_records);
    world
        .suppress(decision(
            "zlib",
            "CVE-2022-37434",
            Judged::NotAffected(Some(Justification::VulnerableCodeNotInExecutePath)),
        ))
        .suppress(snowguard_matching::suppress::Suppression {
            expires: Some(jiff::civil::date(2026, 10, 1)),
            origin: "snowguard.toml, entry 2".into(),
            ..decision("curl", "CVE-2023-38545", Judged::NotAffected(None))
        })
        .suppress(snowguard_matching::suppress::Suppression {
            origin: "team.vex.json, statement 7".into(),
            ..decision("pkg:pypi/urllib3", "CVE-2023-45803", Judged::Fixed)
        })
        .gap(Gap::MissingInputs {
            count: 3,
            example: out("bootstrap-tools.drv"),
        });
    world.finish()
}

fn packages(world: &mut World) {
    world
        .package("nixos-system-lantern-26.05", |_| {})
        .package("system-path", |recipe| recipe.version = None)
        .package("linux-5.4.53", |_| {})
        .source(
            "openssl-1.1.1g.tar.gz",
            "https://www.openssl.org/source/openssl-1.1.1g.tar.gz",
        )
        .source(
            "CVE-2020-1971.patch",
            "https://github.com/openssl/openssl/commit/43913f2f4fbd7dcff930b8a809e709591e4dd79e.patch",
        )
        .patch_file("nix-ssl-cert-file.patch", "--- a/x\n+++ b/x\n")
        .package("openssl-1.1.1g", |recipe| {
            recipe.outputs.push(("bin".into(), Some(out("openssl-1.1.1g-bin").into())));
            recipe.sources = vec![out("openssl-1.1.1g.tar.gz").into()];
            recipe.patches = vec![
                out("nix-ssl-cert-file.patch").into(),
                out("CVE-2020-1971.patch").into(),
            ];
        })
        .package("sudo-1.8.31p1", |recipe| {
            recipe.sources = vec![out("sudo-1.8.31p1.tar.gz").into()];
        })
        .source(
            "sudo-1.8.31p1.tar.gz",
            "https://www.sudo.ws/dist/sudo-1.8.31p1.tar.gz",
        )
        .source("curl-7.71.1.tar.bz2", "https://curl.haxx.se/download/curl-7.71.1.tar.bz2")
        .package("curl-7.71.1", |recipe| {
            recipe.sources = vec![out("curl-7.71.1.tar.bz2").into()];
        })
        .package("zlib-1.2.11", |_| {})
        .patch_file(
            "backport.patch",
            "From 9f9b3ab0c4f1f5e8a64fc1a1ba62a72f1ae1a1c5 Mon Sep 17 00:00:00 2001\nSubject: CVE-2021-28831\n",
        )
        .package("busybox-1.31.1", |recipe| {
            recipe.patches = vec![out("backport.patch").into()];
            recipe.phase_cves = vec!["CVE-2022-28391".parse().unwrap()];
        })
        .package("python3.8-Werkzeug-1.0.1", |recipe| {
            recipe.pname = Some("Werkzeug".into());
            recipe.version = Some("1.0.1".into());
            recipe.sources = vec![out("Werkzeug-1.0.1.tar.gz").into()];
        })
        .source("Werkzeug-1.0.1.tar.gz", "mirror://pypi/W/Werkzeug/Werkzeug-1.0.1.tar.gz")
        .package("jose-10", |_| {})
        .package("harfbuzz-2.6.7", |recipe| {
            recipe.sources = vec![out("harfbuzz-2.6.7.tar.gz").into()];
        })
        .source(
            "harfbuzz-2.6.7.tar.gz",
            "https://github.com/harfbuzz/harfbuzz/releases/download/2.6.7/harfbuzz-2.6.7.tar.gz",
        )
        .package("lantern-config-3.1", |_| {})
        .package("hello-2.10", |_| {})
        .object("openssl-1.1.1g", |object| object.run_time = true)
        .object("hello-2.10", |object| {
            object.meta = Some(Box::new(Meta {
                attr: "hello".into(),
                homepages: vec!["https://www.gnu.org/software/hello/".into()],
                cpes: vec!["cpe:2.3:a:gnu:hello:2.10:*:*:*:*:*:*:*".parse().unwrap()],
                known_vulnerabilities: vec!["greets strangers".into()],
                ..Meta::default()
            }));
        })
        .edges(
            "nixos-system-lantern-26.05",
            &["system-path", "linux-5.4.53", "lantern-config-3.1"],
        )
        .edges(
            "system-path",
            &["sudo-1.8.31p1", "curl-7.71.1", "python3.8-Werkzeug-1.0.1", "jose-10", "hello-2.10"],
        )
        .edges("linux-5.4.53", &["openssl-1.1.1g", "busybox-1.31.1"])
        .edges("curl-7.71.1", &["curl-7.71.1.tar.bz2", "openssl-1.1.1g", "zlib-1.2.11"])
        .edges(
            "openssl-1.1.1g",
            &["openssl-1.1.1g.tar.gz", "CVE-2020-1971.patch", "nix-ssl-cert-file.patch"],
        )
        .edges("CVE-2020-1971.patch", &["curl-7.71.1"])
        .edges("sudo-1.8.31p1", &["sudo-1.8.31p1.tar.gz"])
        .edges("jose-10", &["openssl-1.1.1g", "zlib-1.2.11", "harfbuzz-2.6.7"])
        .root("nixos-system-lantern-26.05");
}

fn records(world: &mut World, commits: u32) {
    let critical = json!([{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]);
    let high = json!([{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}]);
    let medium = json!([{"vector": "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:L/I:L/A:N"}]);
    let local = json!([{"vector": "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H"}]);
    world
        .record(
            "openssl",
            json!({
                "id": "CVE-2021-3711", "published": "2021-08-24", "modified": "2026-11-19",
                "summary": "SM2 decryption buffer overflow", "severities": critical,
                "ssvc": {"exploitation": "poc", "automatable": true, "total_impact": true},
                "epss": {"probability": 0.0312, "percentile": 0.912},
                "affects": [affects("a/openssl:openssl", Some("openssl"), true, ">=1.1.1 <1.1.1l")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2021-3711", "modified": "2022-01-06",
                "affects": [affects("a/openssl:openssl", None, false, ">=1.1.1 <1.1.1l")],
            }),
        )
        .record(
            "openssl",
            json!({
                "id": "CVE-2022-0778", "aliases": ["GHSA-x3mh-jvjw-3xwx"], "published": "2022-03-15",
                "summary": "Infinite loop in BN_mod_sqrt()", "severities": high,
                "affects": [affects("a/openssl:openssl", Some("openssl"), true, ">=1.1.1 <1.1.1n")],
            }),
        )
        .record(
            "openssl",
            json!({
                "id": "CVE-2024-0727", "published": "2024-01-26", "severities": [{"word": "low"}],
                "affects": [affects("a/openssl:openssl", Some("openssl"), true, "<3.0.13")],
            }),
        )
        .record(
            "openssl",
            json!({
                "id": "CVE-2020-1971", "published": "2020-12-08", "severities": medium,
                "fixes": ["43913f2f4fbd7dcff930b8a809e709591e4dd79e"],
                "affects": [affects("a/openssl:openssl", Some("openssl"), true, ">=1.1.1 <1.1.1i")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2021-3156", "published": "2021-01-26", "severities": local,
                "summary": "Baron Samedit: heap overflow in sudoedit -s",
                "epss": {"probability": 0.9233, "percentile": 0.997},
                "affects": [affects("a/sudo_project:sudo", None, false, "<1.9.5")],
            }),
        )
        .record(
            "kev",
            json!({
                "id": "CVE-2021-3156",
                "exploited": {"since": "2022-04-06", "due": "2022-04-27", "ransomware": true},
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2023-38545", "published": "2023-10-11", "severities": critical,
                "summary": "SOCKS5 heap buffer overflow",
                "affects": [
                    affects("a/haxx:curl", Some("curl"), true, ">=7.69.0 <8.4.0"),
                ],
            }),
        )
        .record(
            "bitnami",
            json!({
                "id": "BIT-curl-2020-8169", "aliases": ["CVE-2020-8169"], "published": "2020-12-14",
                "severities": high,
                "affects": [affects("pkg:bitnami/curl", Some("BIT"), false, ">=7.62.0 <7.71.0"),
                            affects("a/haxx:curl", None, false, "<=7.71.1")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2022-37434", "published": "2022-08-05", "severities": critical,
                "affects": [affects("a/zlib:zlib", None, false, "<=1.2.12")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2021-28831", "published": "2021-03-19", "severities": high,
                "affects": [affects("a/busybox:busybox", None, false, "<=1.32.1")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2022-28391", "published": "2022-04-03", "severities": high,
                "affects": [affects("a/busybox:busybox", None, false, "<=1.35.0")],
            }),
        )
        .record(
            "pypa",
            json!({
                "id": "PYSEC-2023-58", "aliases": ["CVE-2023-25577", "GHSA-xg9f-g7g7-2323"],
                "published": "2023-02-14", "severities": high,
                "summary": "Unlimited number of form parts",
                "affects": [{"products": ["pkg:pypi/werkzeug"], "by": "PYSEC", "scheme": "pep440",
                             "rules": ["<2.2.3"]}],
            }),
        )
        .record(
            "pypa",
            json!({
                "id": "CVE-2026-1001", "published": "2026-11-01",
                "affects": [{"products": ["pkg:pypi/werkzeug"], "by": "PYSEC", "scheme": "pep440",
                             "rules": ["*"]}],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2023-50967", "published": "2024-03-20", "severities": high,
                "affects": [affects(":jose", None, false, "\"11 and some before\"")],
            }),
        )
        .record(
            "nvd",
            json!({
                "id": "CVE-2012-0001", "published": "2012-01-01",
                "affects": [affects("a/gnu:hello", None, false, "<2.0")],
            }),
        );
    for number in 1..=commits {
        world.record(
            "oss-fuzz",
            json!({
                "id": format!("OSV-2020-{number}"), "published": "2020-07-01",
                "summary": "Heap-buffer-overflow in a parser",
                "affects": [{"products": ["repo:github.com/harfbuzz/harfbuzz"], "by": "OSV", "scheme": "git"}],
            }),
        );
    }
}

/// Advisories on the kernel as its own CNA writes them: many.
fn kernel(world: &mut World, count: u32) {
    for number in 0..count {
        let mut record = json!({
            "id": format!("CVE-2024-{}", 30_000 + number), "published": "2024-05-01",
            "summary": format!("net: fix use-after-free number {number}"),
            "affects": [affects("a/linux:linux", Some("Linux"), true, &format!(">=4.19 <5.4.{}", 200 + number % 90))],
        });
        let vector = match number % 6 {
            0 => "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H",
            1 => "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:H",
            2 => "CVSS:3.1/AV:L/AC:H/PR:H/UI:N/S:U/C:L/I:N/A:N",
            _ => "",
        };
        if !vector.is_empty() {
            record["severities"] = json!([{"vector": vector}]);
        }
        if number % 47 == 0 {
            record["exploited"] = json!({"since": "2024-06-10"});
        }
        world.record("linux", record);
    }
}

/// Everything that strangers could write, in every place where they write.
pub(crate) fn nasty() -> Scanned {
    let evil = "</script><script>alert(1)</script>\"'<b>&amp;\u{1b}[31m\u{202e}\u{0}\r\n🧊é";
    // Without white space: a rule of a record is words.
    let word: String = evil.split_whitespace().collect();
    let long = "very-long-name".repeat(120);
    let mut world = World::new(&format!("{evil}{long}"), Nature::BuildTime);
    world
        .index_path(&format!("/{evil}"))
        .package("root-1", |_| {})
        .package("evil-1.0", |recipe| {
            recipe.version = Some(format!("1.0{evil}").into());
            recipe.outputs = vec![(evil.into(), Some(format!("/nix/store/{evil}").into()))];
            recipe.patches = vec![format!("/nix/store/{evil}-CVE-2026-0003.patch").into()];
            recipe.sources = vec![format!("https://{evil}").into(), out("evil.tar").into()];
        })
        .source("evil.tar", &format!("javascript:alert('{evil}')"))
        .package("long-1.0", |recipe| {
            recipe.pname = Some(long[..190].into());
        })
        .package("longer-1.0", |recipe| {
            recipe.pname = Some(long.as_str().into());
        })
        .package("bare-1", |_| {})
        .object("evil-1.0", |object| {
            object.meta = Some(Box::new(Meta {
                attr: evil.into(),
                pname: Some("evil".into()),
                version: Some(format!("1.0{evil}").into()),
                homepages: vec![evil.into()],
                known_vulnerabilities: vec![evil.into()],
                ..Meta::default()
            }));
        })
        .edges("root-1", &["evil-1.0", "long-1.0", "longer-1.0", "bare-1"])
        .edges("evil-1.0", &["evil.tar"])
        .root("root-1")
        .gap(Gap::Unreadable {
            count: 1,
            example: evil.into(),
        });
    for (at, product) in ["evil", &long[..190], "bare"].into_iter().enumerate() {
        world
            .record(
                evil,
                json!({
                    "id": format!("CVE-2026-{:04}", at + 1), "published": "2026-11-01",
                    "aliases": ["X:/+@._-"],
                    "summary": format!("{evil}{long}"),
                    "exploited": {"since": "2026-11-02"},
                    "affects": [affects(&format!(":{product}"), Some(evil), true, &format!("<2.0{word}"))],
                }),
            )
            .record(
                evil,
                json!({
                    "id": format!("X-{at}:/+@"),
                    "affects": [affects(&format!(":{product}"), Some(evil), false, &format!("\"{evil}{long}\""))],
                }),
            );
    }
    world
        // Nothing but an id and a product.
        .record("bare", json!({"id": "BARE-1", "affects": [affects(":bare", None, false, "*")]}))
        .record(
            "bare",
            json!({"id": "CVE-2026-0003", "affects": [affects(":evil", None, false, "*")]}),
        )
        .suppress(snowguard_matching::suppress::Suppression {
            reason: evil.into(),
            origin: evil.into(),
            ..decision("bare", "BARE-1", Judged::Fixed)
        })
        .suppress(snowguard_matching::suppress::Suppression {
            component: snowguard_matching::suppress::Subject::Name(evil.into()),
            origin: evil.into(),
            ..decision("bare", "CVE-1999-0001", Judged::NotAffected(None))
        });
    world.finish()
}

/// As many findings as an old system has: 2,000 in the kernel, 3,000 elsewhere.
pub(crate) fn large() -> Scanned {
    let mut world = World::new("nixos-system-large", Nature::BuildTime);
    world.package("nixos-system-large", |recipe| recipe.version = None);
    world.package("linux-5.4.53", |_| {});
    world.edges("nixos-system-large", &["linux-5.4.53"]);
    kernel(&mut world, 2_000);
    for package in 0..150 {
        let name = format!("package{package}-1.{package}");
        world.package(&name, |_| {});
        world.edges("nixos-system-large", &[&name]);
        for number in 0..20 {
            let id = format!("CVE-2025-{}", 10_000 + package * 20 + number);
            let product = format!("package{package}:package{package}");
            world
                .record(
                    "nvd",
                    json!({
                        "id": id, "published": "2025-03-01",
                        "summary": "A buffer overflow in the parser of headers",
                        "severities": [{"vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
                        "affects": [affects(&product, None, false, "<2.0")],
                    }),
                )
                .record(
                    "cve5",
                    json!({"id": id, "affects": [affects(&product, Some("CISA-ADP"), false, "<2.0")]}),
                );
        }
    }
    world.root("nixos-system-large");
    world.finish()
}
