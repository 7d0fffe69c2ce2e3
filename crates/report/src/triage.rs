//! What a tracker decided, beside what a scan found.

use std::fmt::Write as _;

use jiff::Timestamp;
use snowguard_inventory::component::Component;
use snowguard_matching::triage::{Decided, Document, Standing};

use crate::model::{ChannelStanding, Finding, TriageInfo, Triaged};
use crate::words;

/// What a tracker decided, and how it is taken into account.
#[derive(Clone, Copy)]
pub struct Triage<'t> {
    /// What it decided.
    pub document: &'t Document,
    /// The channel that the subject follows; none if that is not known.
    pub channel: Option<&'t str>,
    /// Whether findings that the tracker has cleared are suppressed.
    pub suppresses: bool,
}

/// After how many days decisions suppress nothing any more: what a tracker took back since then would not
/// be known.
pub const EXPIRES_AFTER_DAYS: i64 = 30;

impl Triage<'_> {
    /// How many days ago a document was written; none if that is in the future.
    pub fn age_days(document: &Document, now: Timestamp) -> Option<i64> {
        let hours = now.duration_since(document.generated()).as_hours();
        // Clocks that differ by an hour are no lie.
        (hours >= -1).then(|| hours.max(0) / 24)
    }

    pub(crate) fn info(&self, now: Timestamp) -> TriageInfo {
        TriageInfo {
            tracker: self.document.tracker().name.to_string(),
            url: self.document.tracker().url.to_string(),
            generated: self.document.generated().to_string(),
            age_days: Self::age_days(self.document, now),
            decisions: self.document.decisions().len(),
            channel: self.channel.map(str::to_owned),
            suppresses: self.suppresses,
        }
    }

    /// What is decided about a finding of a component.
    pub(crate) fn told(&self, component: &Component, finding: &Finding) -> Option<Triaged> {
        let mut names: Vec<&str> = finding.aliases.iter().map(String::as_str).collect();
        names.push(&finding.id);
        let decided = self.document.of(component, &names)?;
        Some(Triaged {
            tracker: self.document.tracker().name.to_string(),
            state: decided.verdict.as_str(),
            clears: decided.clears(component),
            justification: decided
                .verdict
                .justification()
                .map(snowguard_matching::suppress::Justification::as_str),
            reason: decided.reason.as_deref().map(str::to_owned),
            by: decided.by.as_deref().map(str::to_owned),
            decided: decided.decided.to_string(),
            issue: decided.issue.as_deref().map(str::to_owned),
            url: decided.url.to_string(),
            channels: self.channels(decided),
        })
    }

    fn channels(&self, decided: &Decided) -> Vec<ChannelStanding> {
        let standing = |standing: &Standing| ChannelStanding {
            name: standing.name.to_string(),
            yours: self.channel == Some(&standing.name),
            status: standing.status.as_str(),
            versions: standing.versions.iter().map(ToString::to_string).collect(),
            fixed_since: standing
                .fixed
                .as_ref()
                .filter(|_| standing.is_safe())
                .map(|fixed| fixed.at.to_string()),
            fixed_in_revision: standing
                .fixed
                .as_ref()
                .filter(|_| standing.is_safe())
                .map(|fixed| fixed.revision.to_string()),
        };
        decided.channels.iter().map(standing).collect()
    }
}

/// What a tracker says of a finding, as a clause: `confirmed by Nixpkgs, fixed in your channel nixos-25.11
/// since 2026-11-20`.
pub(crate) fn clause(told: &Triaged) -> String {
    let tracker = &told.tracker;
    let said = match told.state {
        "not_affected" if told.clears => return format!("not affected, says {tracker}"),
        "not_affected" => {
            return format!(
                "not affected in other versions, says {tracker}; nothing is said of this one"
            );
        }
        "wont_fix" => format!("{tracker} will not fix it"),
        _ => format!("confirmed by {tracker}"),
    };
    match fix(told) {
        Some(fix) => format!("{said}, {fix}"),
        None => said,
    }
}

/// Whether channels have the fix, as a clause; none if no channel has the package.
pub(crate) fn fix(told: &Triaged) -> Option<String> {
    let since = |standing: &ChannelStanding| match (&standing.fixed_since, standing.status) {
        (Some(since), _) => format!("fixed in {} since {}", named(standing), day(since)),
        (None, "patched") => format!("patched in {}", named(standing)),
        (None, "affected" | "needs_review") => format!("not fixed in {} yet", named(standing)),
        (None, _) => format!("{} is not affected", named(standing)),
    };
    let yours = told.channels.iter().find(|standing| standing.yours);
    if let Some(yours) = yours {
        return Some(since(yours));
    }
    let all: Vec<String> = told.channels.iter().map(since).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// All that is to be said, in sentences: who decided what, when and why.
pub(crate) fn sentences(told: &Triaged) -> String {
    let who = match &told.by {
        Some(by) => format!("{by}, {}", told.tracker),
        None => told.tracker.clone(),
    };
    let mut text = format!("{} ({who}, {})", clause(told), day(&told.decided));
    if let Some(word) = told.justification {
        let _ = write!(text, ": {word}");
    }
    if let Some(reason) = &told.reason {
        let _ = write!(text, ": {reason}");
    }
    if let Some(issue) = &told.issue {
        let _ = write!(text, ". Published as {issue}");
    }
    text.push('.');
    words::sentence(&text)
}

/// Whose decisions are shown, as a line: `decisions of Nixpkgs, of today, your channel is nixos-25.11`.
pub(crate) fn head(info: &TriageInfo) -> String {
    let age = info.age_days.map_or("of the future".to_owned(), |days| {
        words::days_old(i32::try_from(days).unwrap_or(i32::MAX))
    });
    let tracker = &info.tracker;
    let mut text = format!("decisions of {tracker}, {age}");
    if let Some(channel) = &info.channel {
        let _ = write!(text, ", your channel is {channel}");
    }
    if !info.suppresses {
        text.push_str(", suppressing nothing");
    }
    text
}

fn named(standing: &ChannelStanding) -> String {
    if standing.yours {
        format!("your channel {}", standing.name)
    } else {
        standing.name.clone()
    }
}

/// The day of a time.
fn day(time: &str) -> &str {
    time.get(..10).unwrap_or(time)
}
