//! Decisions as OpenVEX: for each package in each version of each channel, what holds.
//!
//! A product is a purl with the channel as `distro`, since one version can be patched in one channel and
//! not in another.

use snowguard_formats::openvex::{
    Document, Justification, Product, Statement, Status as Verdict, Vulnerability,
};
use snowguard_formats::{Layout, Timestamp};
use snowguard_matching::suppress::Justification as Reason;
use snowguard_store::{Hash, HashAlgo, Notation};
use snowguard_triage::PublicId;

use super::issue::{DecidedPackage, Decision, Site, Standing, Verdicts};
use crate::view::Status;

/// What was decided about advisories as one document, each with the public id of its issue if it is
/// published; none without a statement, which no document may be.
pub fn document<'v>(
    decided: impl IntoIterator<Item = (&'v Verdicts, Option<&'v PublicId>)>,
    site: &Site,
    now: jiff::Timestamp,
) -> Option<Document> {
    let mut statements = Vec::new();
    for (verdicts, issue) in decided {
        let vulnerability = Vulnerability {
            id: issue.map(|issue| site.issue(issue)),
            aliases: verdicts
                .aliases
                .iter()
                .cloned()
                .chain(issue.map(ToString::to_string))
                .collect(),
            ..Vulnerability::new(&verdicts.advisory)
        };
        for package in &verdicts.packages {
            for channel in &package.channels {
                let made = statement(package, channel);
                statements.extend(made.map(|statement| Statement {
                    vulnerability: vulnerability.clone(),
                    timestamp: Some(Timestamp::from(verdicts.decided)),
                    ..statement
                }));
            }
        }
    }
    if statements.is_empty() {
        return None;
    }
    let mut document = Document {
        statements,
        ..Document::new("", &site.author, now.into())
    };
    document.id = id(&document, site);
    Some(document)
}

/// What holds for a package in a channel; nothing if it is not in it.
fn statement(package: &DecidedPackage, channel: &Standing) -> Option<Statement> {
    let products: Vec<Product> = channel
        .versions
        .iter()
        .map(|version| Product::purl(purl(package, version, &channel.channel)))
        .collect();
    let (first, rest) = products.split_first()?;
    let mut statement = Statement::new("", first.clone(), Verdict::Fixed);
    statement.products.extend(rest.iter().cloned());
    match (&package.decision, channel.status) {
        (
            Decision::NotAffected {
                justification,
                reason,
            },
            _,
        ) => {
            statement.status = Verdict::NotAffected;
            statement.justification = Some(word(*justification));
            statement.impact_statement = Some(reason.clone());
        }
        (_, Status::NotAffected) => {
            statement.status = Verdict::NotAffected;
            statement.impact_statement =
                Some("no record has this version inside an affected range".to_owned());
        }
        (_, Status::Fixed) => {}
        (_, Status::Patched) => {
            statement.status_notes = Some("every build applies a patch against it".to_owned());
        }
        (Decision::WontFix { reason }, _) => {
            statement.status = Verdict::Affected;
            statement.action_statement = Some(format!("it will not be fixed here: {reason}"));
        }
        (Decision::Confirmed, Status::NeedsReview) => {
            statement.status = Verdict::UnderInvestigation;
        }
        (Decision::Confirmed, Status::Affected) => {
            statement.status = Verdict::Affected;
            statement.action_statement = Some(match &package.fixed_in {
                Some(version) => format!("update to {version} or later"),
                None => "no fixed version is known".to_owned(),
            });
        }
    }
    Some(statement)
}

/// A version of a package in a channel.
fn purl(package: &DecidedPackage, version: &str, channel: &str) -> String {
    format!(
        "{}?distro={}",
        package.purl.to_purl(Some(version)),
        encode(channel)
    )
}

/// The value of a qualifier, or a part of a path: what is neither a letter nor a digit nor `.-_~` is encoded.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

fn word(justification: Reason) -> Justification {
    Justification::from(justification.as_str())
}

/// An IRI that follows from what is stated, so that the same statements are the same document.
fn id(document: &Document, site: &Site) -> String {
    let stated = document.to_json(Layout::Compact).unwrap_or_default();
    let digest = Hash::of(HashAlgo::Sha256, &stated)
        .map(|hash| hash.to_notation(Notation::Hex))
        .unwrap_or_default();
    format!("{}/openvex#{digest}", site.url)
}
