//! What is told of a change: all that a message about it can say, as it was when it happened.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::About;
use crate::change::{Cause, Change, Kind, Known, Severity, Step};
use crate::key::Key;
use crate::observation::{Counts, Observation};

/// One change, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its number: later changes have higher ones.
    pub seq: i64,
    /// Its key.
    pub key: Key,
    /// When it was seen.
    pub at: Timestamp,
    /// What is told.
    pub told: Told,
}

/// What is told of one change. Fields that do not fit its kind are empty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// What happened.
    pub kind: Kind,
    /// Why; none for a first scan and for scans that fail.
    pub cause: Option<Cause>,
    /// The target of the scan.
    pub target: String,
    /// The name of what was scanned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The id of the advisory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub advisory: Option<String>,
    /// Its other names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// Its title, in an author's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Where to read about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The name of the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The language whose module it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Its versions; of what is gone, those that it had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
    /// How bad.
    #[serde(default)]
    pub severity: Severity,
    /// The CVSS score.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Known to be exploited.
    #[serde(default)]
    pub exploited: bool,
    /// Of what is no longer open: it was only ever to review, and never affected, while it was.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub only_review: bool,
    /// The first version without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// The version to which to update.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_to: Option<String>,
    /// Why, in a few words; the error of a scan that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a first scan counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

impl Told {
    /// A change of a finding.
    pub(super) fn change(
        about: &About,
        step: &Step<'_>,
        was: Option<&Known>,
        change: Change,
    ) -> Self {
        let mut told = Self::empty(change.kind, &about.target);
        told.cause = Some(change.cause);
        told.advisory = Some(step.subject.advisory.clone());
        told.package = Some(step.subject.package.name.clone());
        let language = &step.subject.package.language;
        told.language = (!language.is_empty()).then(|| language.clone());
        if let Some(was) = was {
            told.versions = was.versions.iter().cloned().collect();
            told.severity = was.severity;
            told.exploited = was.exploited;
            told.only_review = change.kind.is_end() && !was.affected_since_closed;
        }
        if let Some(found) = step.found {
            told.aliases.clone_from(&found.aliases);
            told.summary.clone_from(&found.title);
            told.url = (!found.url.is_empty()).then(|| found.url.clone());
            told.versions = found.versions.iter().cloned().collect();
            told.severity = found.severity;
            told.score = found.score;
            told.exploited = found.exploited;
            told.fixed_in.clone_from(&found.fixed_in);
            told.update_to.clone_from(&found.update_to);
            told.reason = (!found.reason.is_empty()).then(|| found.reason.clone());
        }
        told
    }

    /// The first scan of a target.
    pub(super) fn baseline(about: &About, seen: &Observation, counts: &Counts) -> Self {
        Self::summary(&about.target, &seen.title, counts)
    }

    /// What is open in a target, in numbers.
    pub fn summary(target: &str, title: &str, counts: &Counts) -> Self {
        let mut told = Self::empty(Kind::Baseline, target);
        told.title = Some(title.to_owned());
        told.counts = Some(*counts);
        told.exploited = counts.exploited > 0;
        told.severity = match counts {
            Counts { critical: 1.., .. } => Severity::Critical,
            Counts { high: 1.., .. } => Severity::High,
            Counts { medium: 1.., .. } => Severity::Medium,
            Counts { low: 1.., .. } => Severity::Low,
            _ => Severity::Unrated,
        };
        told
    }

    /// Scans fail.
    pub(super) fn scan_failing(about: &About, error: &str) -> Self {
        let mut told = Self::empty(Kind::ScanFailing, &about.target);
        told.reason = Some(error.to_owned());
        told
    }

    /// Scans work again.
    pub(super) fn scan_working(about: &About) -> Self {
        Self::empty(Kind::ScanWorking, &about.target)
    }

    fn empty(kind: Kind, target: &str) -> Self {
        Self {
            kind,
            cause: None,
            target: target.to_owned(),
            title: None,
            advisory: None,
            aliases: Vec::new(),
            summary: None,
            url: None,
            package: None,
            language: None,
            versions: Vec::new(),
            severity: Severity::Unrated,
            score: None,
            exploited: false,
            only_review: false,
            fixed_in: None,
            update_to: None,
            reason: None,
            counts: None,
        }
    }
}
