//! Issues as OSV: one document for each, with one entry for each package in each channel.
//!
//! The package set is no ecosystem that the format lists. It is named as `Nixpkgs:CHANNEL` all the same,
//! where the format allows it ([`snowguard_formats::osv::Naming`]); a package is named by its key, and its
//! attributes stand beside it.

use serde_json::json;
use snowguard_formats::osv::{
    Affected, Document, Event, Package, Range, Reference, ReferenceKind, Severity, SeverityKind,
    Specific, private_id,
};
use snowguard_store::compare_versions;

use super::issue::{DecidedPackage, Decision, Issue, Site, Standing};
use super::text;
use crate::view::Status;

/// An issue as a document.
pub fn document(issue: &Issue, site: &Site) -> Document {
    let affected = issue
        .verdicts
        .packages
        .iter()
        .filter(|package| !matches!(package.decision, Decision::NotAffected { .. }))
        .flat_map(|package| {
            package
                .channels
                .iter()
                .filter(|channel| channel.status != Status::NotAffected)
                .map(|channel| affected(package, channel, site))
        })
        .collect();
    let mut database_specific = Specific::from([
        ("advisory".to_owned(), json!(issue.verdicts.advisory)),
        ("severity".to_owned(), json!(issue.verdicts.rating.word())),
    ]);
    if let Some(since) = issue.verdicts.exploited {
        database_specific.insert("exploited_since".to_owned(), json!(since));
    }
    Document {
        published: Some(issue.published.into()),
        withdrawn: issue.withdrawn.map(Into::into),
        upstream: issue.verdicts.names().map(str::to_owned).collect(),
        summary: Some(issue.title.clone()),
        details: Some(text::details(issue)),
        severity: issue
            .verdicts
            .vector
            .iter()
            .filter_map(|vector| severity(vector))
            .collect(),
        affected,
        references: vec![Reference {
            kind: ReferenceKind::Advisory,
            url: site.issue(&issue.id),
        }],
        database_specific,
        ..Document::new(private_id(&issue.id.to_string()), issue.modified.into())
    }
}

/// The name of a channel as an ecosystem: `Nixpkgs:nixos-25.11`.
pub fn specific_ecosystem(site: &Site, channel: &str) -> String {
    format!("{}:{channel}", site.ecosystem)
}

fn affected(package: &DecidedPackage, channel: &Standing, site: &Site) -> Affected {
    let mut events = vec![Event::Introduced("0".to_owned())];
    events.extend(first_fixed(package, channel).map(|version| Event::Fixed(version.to_owned())));
    let is_open = matches!(channel.status, Status::Affected | Status::NeedsReview);
    let mut specific = Specific::from([
        ("attributes".to_owned(), json!(package.attributes)),
        ("status".to_owned(), json!(word(channel.status))),
        ("current_versions".to_owned(), json!(channel.versions)),
    ]);
    if let Some(fixed) = &channel.fixed {
        specific.insert("fixed_since".to_owned(), json!(fixed.at));
        specific.insert("fixed_in_revision".to_owned(), json!(fixed.revision));
    }
    if let Decision::WontFix { reason } = &package.decision {
        specific.insert("wont_fix".to_owned(), json!(reason));
    }
    Affected {
        package: Some(Package {
            purl: Some(package.purl.to_purl(None)),
            ..Package::new(specific_ecosystem(site, &channel.channel), &package.key)
        }),
        // What is patched has the number of an affected version, and is not affected: no range says so.
        ranges: if channel.status == Status::Patched {
            Vec::new()
        } else {
            vec![Range::ecosystem(events)]
        },
        versions: if is_open {
            channel.versions.clone()
        } else {
            Vec::new()
        },
        ecosystem_specific: specific,
        database_specific: Specific::new(),
    }
}

/// The first version without it in a channel, as far as it is known.
///
/// What mends a release line of its own has a lower number than the fix of the newest line: where all that
/// a channel has is fixed, the fix is there at the least of it.
fn first_fixed<'p>(package: &'p DecidedPackage, channel: &'p Standing) -> Option<&'p str> {
    let of_package = package.fixed_in.as_deref();
    let of_channel = channel
        .versions
        .iter()
        .map(String::as_str)
        .filter(|_| channel.status == Status::Fixed);
    of_package
        .into_iter()
        .chain(of_channel)
        .min_by(|one, other| compare_versions(one, other))
}

/// The word of interfaces.
pub(super) fn word(status: Status) -> &'static str {
    match status {
        Status::Affected => "affected",
        Status::NeedsReview => "needs_review",
        Status::Patched => "patched",
        Status::Fixed => "fixed",
        Status::NotAffected => "not_affected",
    }
}

/// The scale of a vector; none of one that the format has no scale for.
fn severity(vector: &str) -> Option<Severity> {
    let kind = match vector {
        v if v.starts_with("CVSS:4.0/") => SeverityKind::CvssV4,
        v if v.starts_with("CVSS:3.") => SeverityKind::CvssV3,
        v if v.starts_with("AV:") => SeverityKind::CvssV2,
        _ => return None,
    };
    Some(Severity {
        kind,
        score: vector.to_owned(),
    })
}
