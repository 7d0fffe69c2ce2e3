//! Views as a tracker would give them, made up: no record says any of this.

use jiff::{Timestamp, ToSpan as _};
use snowguard_tracker::view::*;
use snowguard_web::frame::{Follow, Frame, Notice, Section, Viewer};
use snowguard_web::page::Form;

pub(crate) fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn before(hours: i64) -> Timestamp {
    now() - hours.hours()
}

pub(crate) fn frame(section: Section, path: &str, viewer: bool) -> Frame {
    Frame {
        site: "Snowguard".into(),
        path: path.into(),
        section,
        viewer: viewer.then(|| Viewer {
            login: "alice".into(),
            csrf: "c0ffee".into(),
        }),
        now: now(),
        notice: viewer.then(|| Notice {
            text: "Confirmed 1 finding.".into(),
            undo: Some(7),
        }),
        follow: (section == Section::Other).then(|| Follow {
            kind: "package",
            name: "openssl".into(),
            letters: true,
        }),
        feed: Some("/atom/activity".into()),
        api: Some(format!("/api/v1{path}")),
        assets: snowguard_web::assets(),
    }
}

pub(crate) fn form(many: bool) -> Form {
    Form {
        csrf: "c0ffee".into(),
        login: "alice".into(),
        choices: vec![
            State::Confirmed,
            State::NotAffected,
            State::NeedsReview,
            State::Duplicate,
            State::WontFix,
        ],
        selected: None,
        many,
        assigned: false,
        publish: false,
    }
}

pub(crate) fn package_ref(name: &str) -> PackageRef {
    match name.split_once(':') {
        Some((language, bare)) => PackageRef {
            key: name.into(),
            name: bare.into(),
            language: Some(language.into()),
        },
        None => PackageRef {
            key: name.into(),
            name: name.into(),
            language: None,
        },
    }
}

pub(crate) fn advisory_ref(
    name: &str,
    score: Option<f64>,
    exploited: bool,
    title: &str,
) -> AdvisoryRef {
    AdvisoryRef {
        name: name.into(),
        title: Some(title.into()),
        rating: match score {
            None => Rating::Unrated,
            Some(score) if score >= 9.0 => Rating::Critical,
            Some(score) if score >= 7.0 => Rating::High,
            Some(score) if score >= 4.0 => Rating::Medium,
            Some(_) => Rating::Low,
        },
        score,
        exploited: exploited.then(|| "2026-11-03".parse().unwrap()),
    }
}

fn channels(statuses: [Option<Status>; 4], version: &str) -> Vec<ChannelStatus> {
    let names = ["master", "nixos-unstable", "nixos-26.05", "nixos-25.11"];
    names
        .into_iter()
        .zip(statuses)
        .map(|(channel, status)| ChannelStatus {
            channel: channel.into(),
            status,
            versions: status
                .map(|status| match status {
                    Status::Fixed => "2.0.1".to_owned(),
                    _ => version.to_owned(),
                })
                .into_iter()
                .collect(),
            fixed_since: (status == Some(Status::Fixed)).then(|| before(50)),
        })
        .collect()
}

pub(crate) fn row(
    id: i64,
    package: &str,
    advisory: AdvisoryRef,
    status: Status,
    state: State,
) -> FindingRow {
    FindingRow {
        id,
        revision: 3,
        package: package_ref(package),
        advisory,
        status,
        state,
        assignee: (id % 3 == 0).then(|| "bob".into()),
        fixed_in: Some("2.0.1".into()),
        channels: match status {
            Status::Affected => channels(
                [
                    Some(Status::Fixed),
                    Some(Status::Affected),
                    Some(Status::Affected),
                    None,
                ],
                "1.9.3",
            ),
            status => channels([Some(status), Some(status), None, Some(status)], "1.9.3"),
        },
        why: "1.9.3 is inside [0, 2.0.1), by the project’s own word".into(),
        against: (status == Status::NeedsReview)
            .then(|| "the record names only a version in free text: “up to 1.x”".into()),
    }
}

fn exploited() -> AdvisoryRef {
    advisory_ref(
        "CVE-2026-3156",
        Some(7.8),
        true,
        "A heap overflow in the parser of the command line lets any local user become root",
    )
}

fn critical() -> AdvisoryRef {
    advisory_ref(
        "CVE-2026-3711",
        Some(9.8),
        false,
        "Decryption writes past the end of a buffer that the caller sized",
    )
}

fn medium() -> AdvisoryRef {
    advisory_ref(
        "GHSA-xxxx-yyyy-zzzz",
        Some(5.3),
        false,
        "Headers are copied to another host on a redirect",
    )
}

fn unrated() -> AdvisoryRef {
    advisory_ref(
        "CVE-2026-50967",
        None,
        false,
        "An iteration count that an attacker chooses takes all processor time",
    )
}

pub(crate) fn suggestions() -> Vec<Suggestion> {
    let of = |advisory: AdvisoryRef, rows: Vec<FindingRow>, dependents| Suggestion {
        grouping: Grouping::Advisory,
        package: rows[0].package.clone(),
        bucket: Bucket::Untriaged,
        findings: u32::try_from(rows.len()).unwrap(),
        exploited: u32::from(advisory.exploited.is_some()),
        dependents,
        channels: vec!["nixos-unstable".into(), "nixos-26.05".into()],
        assignee: None,
        update: None,
        advisory,
        rows,
    };
    vec![
        of(
            exploited(),
            vec![row(
                1,
                "sudo",
                exploited(),
                Status::Affected,
                State::Untriaged,
            )],
            1,
        ),
        of(
            critical(),
            vec![
                row(2, "openssl", critical(), Status::Affected, State::Untriaged),
                row(
                    3,
                    "quictls",
                    critical(),
                    Status::NeedsReview,
                    State::Untriaged,
                ),
                row(
                    4,
                    "libressl",
                    critical(),
                    Status::NotAffected,
                    State::NeedsReview,
                ),
            ],
            4_120,
        ),
        of(
            medium(),
            vec![row(
                5,
                "python:requests",
                medium(),
                Status::Patched,
                State::Untriaged,
            )],
            812,
        ),
        of(
            unrated(),
            vec![row(
                6,
                "jose",
                unrated(),
                Status::NeedsReview,
                State::Untriaged,
            )],
            0,
        ),
    ]
}

pub(crate) fn by_package() -> Vec<Suggestion> {
    vec![Suggestion {
        grouping: Grouping::Package,
        advisory: critical(),
        package: package_ref("openssl"),
        bucket: Bucket::Untriaged,
        findings: 14,
        exploited: 0,
        dependents: 4_120,
        channels: vec!["nixos-26.05".into()],
        assignee: Some("bob".into()),
        update: Some(Update { to: "3.5.4".into() }),
        rows: vec![
            row(2, "openssl", critical(), Status::Affected, State::Untriaged),
            row(7, "openssl", medium(), Status::Affected, State::Confirmed),
        ],
    }]
}

pub(crate) fn events() -> Vec<Event> {
    let event = |id, kind, actor: Option<&str>, after, reason: Option<&str>| Event {
        id,
        at: before(id * 7),
        actor: actor.map(Into::into),
        kind,
        batch: None,
        package: Some(package_ref("openssl")),
        advisory: Some(critical()),
        before: Some(State::Untriaged),
        after,
        reason: reason.map(Into::into),
        can_undo: id == 1,
    };
    vec![
        event(
            1,
            EventKind::Decided,
            Some("alice"),
            Some(State::Confirmed),
            None,
        ),
        event(
            2,
            EventKind::Decided,
            Some("bob"),
            Some(State::NotAffected),
            Some("we build without the engine that this is about"),
        ),
        event(
            5,
            EventKind::Reopened,
            None,
            Some(State::NeedsReview),
            Some("the range now ends at 3.5.4 instead of 3.5.2"),
        ),
        event(9, EventKind::Closed, None, Some(State::Closed), None),
    ]
}

pub(crate) fn summaries() -> Vec<ChannelSummary> {
    ["master", "nixos-unstable", "nixos-26.05", "nixos-25.11"]
        .into_iter()
        .zip(1_i64..)
        .map(|(name, at)| ChannelSummary {
            name: name.into(),
            followed: at < 4,
            revision: Some("7df7ff7d8e00218376575f0acdcc5d66741351ee".into()),
            evaluated_at: Some(before(at * 9)),
            attributes: 118_204,
            affected: 212 + at.unsigned_abs(),
            exploited: at.unsigned_abs() - 1,
            review: 88,
        })
        .collect()
}

pub(crate) fn tallies() -> Vec<Tally> {
    Rating::ALL
        .into_iter()
        .zip([(41, 2), (118, 1), (240, 0), (32, 0), (19, 0)])
        .map(|(rating, (open, exploited))| Tally {
            rating,
            open,
            exploited,
        })
        .collect()
}

pub(crate) fn home() -> Home {
    let start: jiff::civil::Date = "2026-06-01".parse().unwrap();
    Home {
        counts: Counts {
            exploited: 3,
            untriaged: 1_431,
            review: 96,
            confirmed: 212,
            settled: 18_233,
            packages: 118_204,
            advisories: 301_992,
        },
        now: suggestions(),
        severity: tallies(),
        trend: (0..25_u64)
            .map(|week| Week {
                start: start + (i64::try_from(week).unwrap() * 7).days(),
                open: 640 - week * 11 + (week * week) % 37,
                grave: 210 - week * 5 + (week * 7) % 13,
            })
            .collect(),
        channels: summaries(),
        recent: events(),
        newest_advisory: Some("2026-11-21".parse().unwrap()),
        matched_at: Some(before(1)),
    }
}

pub(crate) fn queue(grouping: Grouping) -> Queue {
    Queue {
        filter: QueueFilter {
            grouping,
            ..QueueFilter::default()
        },
        buckets: Bucket::ALL
            .into_iter()
            .zip([1_431, 96, 212, 40, 900])
            .map(|(bucket, count)| BucketCount { bucket, count })
            .collect(),
        channels: summaries()
            .into_iter()
            .map(|channel| channel.name)
            .collect(),
        suggestions: match grouping {
            Grouping::Advisory => suggestions(),
            Grouping::Package => by_package(),
        },
        next: Some("7.8-12".into()),
    }
}

pub(crate) fn advisory() -> Advisory {
    let rows = suggestions().remove(1).rows;
    Advisory {
        name: "CVE-2026-3711".into(),
        aliases: vec!["GHSA-aaaa-bbbb-cccc".into(), "RUSTSEC-2026-0098".into()],
        title: critical().title,
        description: Some("To decrypt SM2 encrypted data an application is expected to call a function twice. The first call asks how large the buffer must be.\n\nA bug in the calculation means that the size returned by the first call can be smaller than what the second call needs. This can lead to a buffer overflow.".into()),
        rating: Rating::Critical,
        score: Some(9.8),
        vector: Some("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H".into()),
        exploited: None,
        ransomware: false,
        epss: Some(0.0312),
        percentile: Some(0.91),
        ssvc: Some("exploitation: poc; can be automated; total impact".into()),
        published: Some("2026-08-24".parse().unwrap()),
        modified: Some("2026-11-19".parse().unwrap()),
        withdrawn: false,
        records: vec![
            Record {
                source: "cve5".into(),
                name: "CVE-2026-3711".into(),
                url: Some("https://www.cve.org/CVERecord?id=CVE-2026-3711".into()),
                seen: before(30),
                history: vec![History { until: before(30), digest: "0f3a".into() }],
            },
            Record {
                source: "osv".into(),
                name: "GHSA-aaaa-bbbb-cccc".into(),
                url: None,
                seen: before(300),
                history: Vec::new(),
            },
        ],
        references: vec![
            Reference { url: "https://git.example.org/openssl/commit/?id=59f5e75f3bced8fc0e130d72a3f582cf7b480b46".into(), tags: vec!["patch".into()] },
            Reference { url: "javascript:alert(1)".into(), tags: Vec::new() },
            Reference { url: "https://www.example.org/security/advisories/2026/secadv-20260824-with-a-very-long-name-that-goes-on.txt".into(), tags: vec!["vendor-advisory".into()] },
        ],
        candidates: 3,
        findings_count: 3,
        issue: None,
        findings: rows,
        next: None,
        events: events(),
    }
}

pub(crate) fn subscriptions() -> Subscriptions {
    let of = |id, kind: &str, name: &str, way: &str, target: &str| Subscription {
        id,
        kind: kind.into(),
        name: name.into(),
        way: way.into(),
        target: target.into(),
        pace: if id == 2 { "daily" } else { "at_once" }.into(),
        created: before(id * 40),
        confirmed: id != 1,
        error: (id == 2).then(|| "https://hooks.example.org answered 502".into()),
    };
    Subscriptions {
        subscriptions: vec![
            of(1, "package", "openssl", "mail", "alice@example.org"),
            of(
                2,
                "search",
                "heap overflow in a parser of images",
                "webhook",
                "https://hooks.example.org/a-path-that-is-long/and-goes-on/0123456789abcdef",
            ),
            of(3, "everything", "", "mail", "alice@example.org"),
        ],
    }
}

pub(crate) fn rules(preview: bool) -> Rules {
    let change = |advisory: &str, was, is| RuleChange {
        advisory: advisory.into(),
        was,
        is,
    };
    let stranger = |product: &str, records, why: &str| Stranger {
        product: product.into(),
        why: why.into(),
        records,
        example: "CVE-2021-3711".into(),
    };
    Rules {
        package: package_ref("openssl"),
        rules: package().memory,
        channels: vec!["nixos-unstable".into(), "nixos-26.05".into()],
        strangers: Some(vec![
            stranger(
                "redhat:openssl",
                14,
                "nothing that is known about the package speaks for this vendor",
            ),
            stranger("pkg:npm/openssl", 2, "it is made for another language"),
        ]),
        preview: preview.then(|| RulePreview {
            changes: vec![
                change("CVE-2026-0001", Some(Status::Affected), None),
                change(
                    "CVE-2026-0002",
                    Some(Status::NeedsReview),
                    Some(Status::Fixed),
                ),
            ],
            same: 14,
        }),
    }
}

pub(crate) fn issue_packages() -> Vec<IssuePackage> {
    let package = |name: &str, state, statuses, reason: &str| IssuePackage {
        package: package_ref(name),
        attributes: vec![name.into()],
        state,
        reason: Some(reason.into()),
        justification: (state == State::NotAffected).then(|| "vulnerable_code_not_present".into()),
        fixed_in: (state == State::Confirmed).then(|| "2.0.1".into()),
        channels: channels(statuses, "1.1.1w"),
    };
    let (bad, good) = (Some(Status::Affected), Some(Status::Fixed));
    vec![
        package(
            "openssl",
            State::Confirmed,
            [good, good, bad, Some(Status::Patched)],
            "the range is right",
        ),
        package(
            "python:a-package-with-a-very-long-name-that-goes-on-and-on",
            State::NotAffected,
            [bad; 4],
            "only the command line tool has the code, and the tool is not built here",
        ),
    ]
}

pub(crate) fn issue() -> Issue {
    Issue {
        id: "NIXPKGS-2026-0042".into(),
        title: "openssl: CVE-2026-3711".into(),
        text: Some("Update `openssl` to `2.0.1` or later; it is open in nixos-26.05.\n\nThose who terminate TLS with it should do so today.".into()),
        advisory: critical(),
        aliases: vec!["GHSA-aaaa-bbbb-cccc".into()],
        published: before(90),
        modified: before(3),
        withdrawn: None,
        withdrawn_reason: None,
        revision: 1,
        packages: issue_packages(),
        forge: Some("https://github.com/NixOS/nixpkgs/issues/400000".into()),
        events: activity().events.into_iter().take(2).collect(),
    }
}

pub(crate) fn issues() -> Issues {
    let entry = |number: u32, withdrawn, open| IssueEntry {
        id: format!("NIXPKGS-2026-{number:04}"),
        title: format!("openssl, libressl and {number} others: CVE-2026-3711"),
        advisory: critical(),
        published: before(90),
        modified: before(i64::from(number)),
        withdrawn,
        open,
        of: 4,
    };
    Issues {
        issues: vec![entry(42, false, 1), entry(41, true, 2), entry(40, false, 0)],
        next: Some("1~2".into()),
    }
}

pub(crate) fn package() -> Package {
    let open = vec![
        row(2, "openssl", critical(), Status::Affected, State::Untriaged),
        row(7, "openssl", medium(), Status::Affected, State::Confirmed),
        row(
            9,
            "openssl",
            unrated(),
            Status::NeedsReview,
            State::NeedsReview,
        ),
    ];
    Package {
        package: package_ref("openssl"),
        description: Some("Cryptographic library that implements the SSL and TLS protocols".into()),
        homepages: vec!["https://www.openssl.org/".into()],
        maintainers: vec!["alice".into(), "team-security".into()],
        known_vulnerabilities: vec!["OpenSSL 1.1 is end of life since 2023-09-11".into()],
        dependents: 4_120,
        verdicts: [
            ("master", 0, 0),
            ("nixos-unstable", 2, 0),
            ("nixos-26.05", 3, 1),
            ("nixos-25.11", 0, 0),
        ]
        .into_iter()
        .map(|(channel, affected, exploited)| Verdict {
            channel: channel.into(),
            versions: if channel == "nixos-25.11" {
                Vec::new()
            } else {
                vec!["1.1.1g".into(), "3.0.7".into(), "3.5.2".into()]
            },
            affected,
            exploited,
            review: 1,
        })
        .collect(),
        update: Some(Update { to: "3.5.4".into() }),
        versions: ["openssl", "openssl_1_1", "openssl_3"]
            .into_iter()
            .flat_map(|attribute| {
                ["nixos-unstable", "nixos-26.05"].map(|channel| PackageVersion {
                    channel: channel.into(),
                    attribute: attribute.into(),
                    version: "3.5.2".into(),
                    since: before(700),
                    position: None,
                })
            })
            .collect(),
        patches: vec!["CVE-2026-1.patch".into(), "nix-ssl-cert-file.patch".into()],
        open,
        open_count: 57,
        next: None,
        settled: vec![row(11, "openssl", critical(), Status::Fixed, State::Closed)],
        settled_count: 131,
        history: vec![Version {
            channel: "nixos-unstable".into(),
            attribute: "openssl".into(),
            version: "3.5.1".into(),
            first: before(3_000),
            last: Some(before(700)),
        }],
        memory: memories(),
        events: events(),
    }
}

fn memories() -> Vec<Memory> {
    vec![Memory {
        id: 4,
        product: "cpe:2.3:a:vendor:openssl_plugin".into(),
        verdict: MemoryVerdict::Denied,
        channel: None,
        expires: Some("2027-11-21".parse().unwrap()),
        reason: "a plugin of another program".into(),
        by: Some("bob".into()),
        at: before(90),
    }]
}

pub(crate) fn finding() -> Finding {
    Finding {
        row: row(
            2,
            "openssl",
            critical(),
            Status::Affected,
            State::NeedsReview,
        ),
        first_seen: before(800),
        decision: Some(Decision {
            state: State::NotAffected,
            by: Some("bob".into()),
            at: before(90),
            reason: Some("we build without the engine that this is about".into()),
            justification: Some("vulnerable_code_not_present".into()),
            duplicate_of: None,
            changed: Some("the range now ends at 3.5.4 instead of 3.5.2".into()),
        }),
        evidence: vec![
            Evidence {
                record: "CVE-2026-3711".into(),
                source: "cve5".into(),
                by: Some("openssl".into()),
                upstream: true,
                product: "cpe:2.3:a:openssl:openssl".into(),
                target: "openssl:openssl".into(),
                version: "3.5.2".into(),
                identity: "Nixpkgs says so (meta.identifiers)".into(),
                identity_sure: true,
                range: "3.5.2 is inside [3.5.0, 3.5.4)".into(),
                order: "OpenSSL’s own".into(),
                says: "affected".into(),
            },
            Evidence {
                record: "GHSA-aaaa-bbbb-cccc".into(),
                source: "osv".into(),
                by: None,
                upstream: false,
                product: "pkg:generic/openssl".into(),
                target: ":openssl".into(),
                version: "3.5.2".into(),
                identity: "the name is the same".into(),
                identity_sure: false,
                range: "“before the August release”".into(),
                order: String::new(),
                says: "unknown".into(),
            },
        ],
        marked: Vec::new(),
        patches: vec![PatchNote {
            name: Some("CVE-2026-3711.patch".into()),
            proof: "name".into(),
            detail: "CVE-2026-3711".into(),
        }],
        dependents: 4_120,
        transitions: Vec::new(),
        memory: memories(),
        issue: Some("NIXPKGS-2026-0042".into()),
        events: events(),
    }
}

pub(crate) fn maintainer() -> Maintainer {
    Maintainer {
        name: "alice".into(),
        team: false,
        packages: 61,
        concerned: vec![package_ref("openssl"), package_ref("sudo")],
        concerned_count: 2,
        suggestions: by_package(),
        next: None,
    }
}

pub(crate) fn channel() -> Channel {
    Channel {
        summary: summaries().remove(2),
        severity: tallies(),
        findings: suggestions()
            .into_iter()
            .flat_map(|suggestion| suggestion.rows)
            .collect(),
        next: Some("9".into()),
        fixed: vec![row(
            12,
            "curl",
            medium(),
            Status::Affected,
            State::Confirmed,
        )],
        evaluations: (1..4)
            .map(|at| Evaluation {
                revision: "7df7ff7d8e00218376575f0acdcc5d66741351ee".into(),
                evaluated_at: before(at * 24),
                ingested_at: before(at * 24 - 1),
                attributes: 118_204,
                failed: 12,
                added: 31,
                removed: 4,
                changed: 204,
                rebuilt: 40_112,
            })
            .collect(),
    }
}

pub(crate) fn search() -> Search {
    Search {
        query: "openssl".into(),
        kind: None,
        hits: vec![
            Hit {
                kind: HitKind::Package,
                name: "openssl".into(),
                found_as: Some("openssl_1_1".into()),
                line: Some("1.1.1g, 3.0.7 and 3.5.2".into()),
                rating: Some(Rating::Critical),
                open: 14,
                exploited: true,
            },
            Hit {
                kind: HitKind::Advisory,
                name: "CVE-2026-3711".into(),
                found_as: None,
                line: critical().title,
                rating: Some(Rating::Critical),
                open: 3,
                exploited: false,
            },
            Hit {
                kind: HitKind::Maintainer,
                name: "openssl-team".into(),
                found_as: None,
                line: None,
                rating: None,
                open: 0,
                exploited: false,
            },
        ],
        next: None,
    }
}

pub(crate) fn activity() -> Activity {
    Activity {
        actor: None,
        events: events(),
        next: Some("4".into()),
    }
}

pub(crate) fn data() -> Data {
    Data {
        feeds: vec![
            Feed {
                name: "cve5".into(),
                records: 301_992,
                newest: Some("2026-11-21".parse().unwrap()),
                seen: Some(before(2)),
                error: None,
            },
            Feed {
                name: "osv".into(),
                records: 42_000,
                newest: None,
                seen: None,
                error: Some("the server did not answer".into()),
            },
        ],
        channels: summaries(),
        jobs: vec![Job {
            what: "match everything again".into(),
            state: "running".into(),
            since: before(0),
            error: None,
        }],
        storage: Storage {
            engine: "SQLite".into(),
            schema: 1,
            bytes: Some(1_234_000_000),
        },
        version: "0.1.0".into(),
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        login: "alice".into(),
        role: "admin".into(),
        sessions: vec![
            SessionEntry {
                id: "1".into(),
                created: before(40),
                used: before(0),
                agent: "Firefox on Linux".into(),
                current: true,
            },
            SessionEntry {
                id: "2".into(),
                created: before(400),
                used: before(90),
                agent: "Chromium on Android".into(),
                current: false,
            },
        ],
        tokens: vec![TokenEntry {
            id: 1,
            name: "nightly export".into(),
            scopes: vec!["read".into(), "triage".into()],
            created: before(100),
            expires: now() + 2_000.hours(),
            used: Some(before(3)),
        }],
    }
}

pub(crate) fn people() -> People {
    People {
        accounts: vec![
            AccountEntry {
                id: 1,
                login: "alice".into(),
                role: "admin".into(),
                fixed: true,
                last_login: Some(before(40)),
            },
            AccountEntry {
                id: 2,
                login: "bob".into(),
                role: "reader".into(),
                fixed: false,
                last_login: None,
            },
        ],
        audit: vec![AuditEntry {
            at: before(40),
            actor: Some("alice".into()),
            what: "login".into(),
            detail: "by GitHub".into(),
            address: "192.0.2.7".into(),
        }],
        next: None,
    }
}
