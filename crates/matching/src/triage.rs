//! What a tracker of a package set decided about advisories and packages, as it hands that on: the
//! document `snowguard-triage/1`.
//!
//! A scan holds it beside its findings: whether somebody confirmed one, why it is none, and since when it
//! is fixed in a channel. The format is specified in the book (`docs/src/reference/triage.md`); reading and
//! writing it is in `wire`. Who brought a document here, and whether to believe it, is not known here.

mod wire;

use jiff::Timestamp;
use snowguard_advisory::id::AdvisoryId;
use snowguard_inventory::Inventory;
use snowguard_inventory::component::Component;

pub use self::wire::{MAX_BYTES, ReadError, SCHEMA};
use crate::finding::{Finding, Status};
use crate::suppress::{Applied, Judged, Justification, Subject, Suppression};

/// All that a tracker has decided, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    tracker: Tracker,
    generated: Timestamp,
    channels: Vec<Channel>,
    /// By package, then by advisory.
    decisions: Vec<Decided>,
}

/// Who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracker {
    /// What it is called.
    pub name: Box<str>,
    /// Where its pages are, without a slash at the end.
    pub url: Box<str>,
}

/// A channel as the tracker last saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Its name: `nixos-25.11`.
    pub name: Box<str>,
    /// The commit of its newest evaluation.
    pub revision: Box<str>,
    /// When that was made.
    pub evaluated: Timestamp,
}

/// What was decided about a package and an advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The advisory, by the name that the tracker gives it.
    pub advisory: AdvisoryId,
    /// Its other names.
    pub aliases: Vec<AdvisoryId>,
    /// The package, by its key in reviewed tables: `openssl`, `python:falcon`.
    pub package: Box<str>,
    /// What was decided.
    pub verdict: Verdict,
    /// When.
    pub decided: Timestamp,
    /// Who did, by the name that the tracker's pages show; none where the tracker did.
    pub by: Option<Box<str>>,
    /// Why, in the words of who decided.
    pub reason: Option<Box<str>>,
    /// The public id of the issue under which it is published.
    pub issue: Option<Box<str>>,
    /// The tracker's page about it.
    pub url: Box<str>,
    /// The first version without it.
    pub fixed_in: Option<Box<str>>,
    /// How the package stands in each channel, in the order of the channels.
    pub channels: Vec<Standing>,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The package is affected.
    Confirmed,
    /// It was affected, and no channel is any more.
    Fixed,
    /// It is affected, and will not be mended.
    WontFix,
    /// It is not affected.
    NotAffected {
        /// For which of VEX's reasons.
        justification: Justification,
        /// The versions of which that was said: those that were in a channel since.
        versions: Vec<Box<str>>,
    },
}

/// How a package stands in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The channel.
    pub name: Box<str>,
    /// The worst of what is in it.
    pub status: Status,
    /// The versions that are in it.
    pub versions: Vec<Box<str>>,
    /// With which evaluation it was fixed there, if it once was affected there.
    pub fixed: Option<FixedSince>,
}

/// The evaluation with which something was fixed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedSince {
    /// Its commit.
    pub revision: Box<str>,
    /// When it was made.
    pub at: Timestamp,
}

impl Document {
    /// A document. Decisions are put in order; of two about the same package and advisory the one that
    /// says less good news stays. What the format has no room for is cut off where that is a reason or the
    /// end of a list, and else left out.
    pub fn new(
        tracker: Tracker,
        generated: Timestamp,
        mut channels: Vec<Channel>,
        mut decisions: Vec<Decided>,
    ) -> Self {
        let tracker = wire::bounded(tracker, &mut channels, &mut decisions);
        for decided in &mut decisions {
            decided.aliases.sort();
            decided.aliases.dedup();
            if let Verdict::NotAffected { versions, .. } = &mut decided.verdict {
                versions.sort();
                versions.dedup();
            }
        }
        decisions.sort_by(|a, b| (a.key(), a.verdict.rank()).cmp(&(b.key(), b.verdict.rank())));
        decisions.dedup_by(|later, kept| later.key() == kept.key());
        Self {
            tracker,
            generated,
            channels,
            decisions,
        }
    }

    /// Who decided.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// When the tracker wrote it.
    pub fn generated(&self) -> Timestamp {
        self.generated
    }

    /// The channels that the tracker follows, in its order.
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// All decisions, by package, then by advisory.
    pub fn decisions(&self) -> &[Decided] {
        &self.decisions
    }

    /// What was decided about a package and an advisory of which all names are given. Where names of
    /// several decisions are among them, the one that says less good news counts.
    pub fn about(&self, package: &str, names: &[&str]) -> Option<&Decided> {
        let start = self
            .decisions
            .partition_point(|decided| *decided.package < *package);
        self.decisions[start..]
            .iter()
            .take_while(|decided| *decided.package == *package)
            .filter(|decided| decided.names().any(|name| names.contains(&name)))
            .min_by_key(|decided| decided.verdict.rank())
    }

    /// What was decided about a component and an advisory of which all names are given.
    pub fn of(&self, component: &Component, names: &[&str]) -> Option<&Decided> {
        // Nobody looked at what is inside of others: it is another copy, and perhaps another version.
        if component.is_part() {
            return None;
        }
        self.about(&component.table_key(), names)
    }

    /// Suppresses the findings that the tracker has cleared, where no decision made here does. `aliases`
    /// gives the other names of a finding's advisory; what suppresses a finding is added to `suppressions`.
    pub fn suppress<'a>(
        &self,
        inventory: &Inventory,
        findings: &[Finding<'a>],
        aliases: impl Fn(&Finding<'a>) -> Vec<&'a str>,
        suppressions: &mut Vec<Suppression>,
        applied: &mut Applied,
    ) {
        for (finding, decision) in findings.iter().zip(&mut applied.by_finding) {
            let is_open = matches!(finding.status, Status::Affected | Status::NeedsReview);
            if decision.is_some() || !is_open {
                continue;
            }
            let Some(component) = inventory.get(finding.component) else {
                continue;
            };
            let mut names = aliases(finding);
            names.push(finding.id);
            let cleared = self
                .of(component, &names)
                .and_then(|decided| decided.suppression(&self.tracker, component));
            if let Some(suppression) = cleared {
                *decision = Some(suppressions.len());
                suppressions.push(suppression);
            }
        }
    }
}

impl Decided {
    /// All names of the advisory, its own first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.advisory)
            .chain(&self.aliases)
            .map(AdvisoryId::as_str)
    }

    /// Whether it says that a component is not affected. What was said of the versions in the tracker's
    /// channels says nothing of others, and what was said of a package nothing of copies inside of others.
    pub fn clears(&self, component: &Component) -> bool {
        match &self.verdict {
            Verdict::NotAffected { versions, .. } => {
                !component.is_part() && versions.contains(&component.version)
            }
            Verdict::Confirmed | Verdict::Fixed | Verdict::WontFix => false,
        }
    }

    /// The decision as a suppression of a component that it clears.
    pub fn suppression(&self, tracker: &Tracker, component: &Component) -> Option<Suppression> {
        let justification = self.verdict.justification();
        self.clears(component).then(|| Suppression {
            component: Subject::Name(self.package.clone()),
            version: Some(component.version.clone()),
            advisory: self.advisory.clone(),
            verdict: Judged::NotAffected(justification),
            reason: match (&self.reason, justification) {
                (Some(reason), _) => reason.clone(),
                (None, Some(justification)) => justification.as_str().into(),
                (None, None) => "stated without a reason".into(),
            },
            expires: None,
            origin: match &self.by {
                Some(by) => format!("{by}, {}", tracker.name).into(),
                None => tracker.name.clone(),
            },
            url: Some(self.url.clone()),
        })
    }

    fn key(&self) -> (&str, &AdvisoryId) {
        (&self.package, &self.advisory)
    }
}

impl Verdict {
    /// The word of the format.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Fixed => "fixed",
            Self::WontFix => "wont_fix",
            Self::NotAffected { .. } => "not_affected",
        }
    }

    /// For which of VEX's reasons it is not affected.
    pub fn justification(&self) -> Option<Justification> {
        match self {
            Self::NotAffected { justification, .. } => Some(*justification),
            Self::Confirmed | Self::Fixed | Self::WontFix => None,
        }
    }

    /// The less good the news, the less.
    fn rank(&self) -> u8 {
        match self {
            Self::Confirmed => 0,
            Self::WontFix => 1,
            Self::Fixed => 2,
            Self::NotAffected { .. } => 3,
        }
    }
}

impl Standing {
    /// Whether the channel has it behind itself.
    pub fn is_safe(&self) -> bool {
        !matches!(self.status, Status::Affected | Status::NeedsReview)
    }
}

#[cfg(test)]
mod tests;
