//! Views as a tracker would give them, made up: no record says any of this.

mod whole;

use jiff::{Timestamp, ToSpan as _};
use snowguard_tracker::view::*;
use snowguard_web::frame::{Follow, Frame, Notice, Section, Viewer};
use snowguard_web::page::Form;

pub(crate) use self::whole::*;

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
        gives: many,
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
