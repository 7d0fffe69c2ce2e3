//! What a change does to fixed-output derivations, and whether it may pass: `snowguard fod gate`.
//!
//! The change is whoever's: names, URLs and revisions are its author's text. Only the words of this module
//! stand outside of quotes in what is written.

mod found;
mod markdown;
mod sarif;
mod text;
mod verified;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::{Serialize, Serializer};
use snowguard_fod::rule::Level;
use snowguard_fod::{Verdict, Waiver};

use super::difference::Difference;
use super::egress::Egress;
use super::listing::{Row, with_revision};

use crate::words::number;

use self::found::Known;
pub use self::found::{Found, GateRule, Waived};
pub use self::markdown::summary;
pub use self::sarif::log;
pub use self::text::gated;
pub use self::verified::{Verified, VerifiedError};
pub use snowguard_fod::waiver::{Waivers, WaiversError};

/// What is decided.
#[derive(Clone, Debug, Serialize)]
pub struct Gate {
    /// `snowguard-fod-gate/1`.
    pub schema: &'static str,
    /// Whether nothing blocks it.
    pub passed: bool,
    /// What was looked at before.
    pub base: String,
    /// What was looked at after.
    pub head: String,
    /// How many are the same.
    pub same: usize,
    /// How many are gone.
    pub removed: usize,
    /// Those that were added or altered.
    pub changes: Vec<Changed>,
    /// What was found about these, what blocks first.
    pub findings: Vec<Found>,
    /// Waivers whose day has passed.
    pub expired_waivers: Vec<ToldWaiver>,
    /// Waivers that met nothing.
    pub unused_waivers: Vec<ToldWaiver>,
    /// How often each verdict was given; none if nothing was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdicts: Option<BTreeMap<Verdict, usize>>,
    /// How it was fetched again; none if nothing was fetched here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress: Option<Egress>,
    /// What could not be known.
    pub gaps: Vec<String>,
}

/// One that was added or altered.
#[derive(Clone, Debug, Serialize)]
pub struct Changed {
    /// How.
    #[serde(serialize_with = "as_how")]
    pub how: How,
    /// What became of verifying it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Whether an earlier run found that, or another worker of the same queue.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub earlier: bool,
    /// The derivation as it is now.
    #[serde(flatten)]
    pub row: Row,
    /// Whether its output is that of before, where the hash is: then Nix does not fetch it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub same_output: bool,
    /// Where it was fetched from before, where something was altered.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub was_urls: Vec<String>,
    /// The same as they are, to be compared and not to be shown.
    #[serde(skip)]
    was_addresses: Vec<String>,
    /// The hash before, where it is another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was_hash: Option<String>,
}

/// How one was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is new.
    Added,
    /// Another source, the same hash.
    Stale,
    /// Something else to fetch for, the same hash.
    Vendored,
    /// The same file from another place.
    Moved,
    /// The same numbers at the same host, another path.
    Relocated,
    /// The same source, asked for in another way, the same hash.
    Altered,
    /// The same source, fetched by another script, the same hash.
    Script,
    /// The same source, another hash.
    Rehashed,
}

impl How {
    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Stale => "stale",
            Self::Vendored => "vendored",
            Self::Moved => "moved",
            Self::Relocated => "relocated",
            Self::Altered => "altered",
            Self::Script => "script",
            Self::Rehashed => "rehashed",
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_how<S: Serializer>(how: &How, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(how.as_str())
}

/// A waiver, to be told.
#[derive(Clone, Debug, Serialize)]
pub struct ToldWaiver {
    /// Which rule.
    pub rule: String,
    /// Which output.
    pub output: String,
    /// Why it was given.
    pub reason: String,
    /// Until when.
    pub expires: Date,
    /// Where in the file.
    pub line: usize,
}

impl ToldWaiver {
    fn of(waiver: &Waiver) -> Self {
        Self {
            rule: waiver.rule.to_string(),
            output: waiver.output.to_string(),
            reason: waiver.reason.to_string(),
            expires: waiver.expires,
            line: waiver.line,
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// From which level on a finding blocks; none if nothing does.
    pub fail_on: Option<Level>,
    /// Which day it is.
    pub today: Date,
    /// What was accepted.
    pub waivers: &'a Waivers,
    /// What became of verifying; none if nothing was verified.
    pub verified: Option<&'a Verified>,
    /// How that was fetched; none if it was not fetched here.
    pub egress: Option<&'a Egress>,
    /// Whether derivations that could not be read are no more than a note.
    pub allow_incomplete: bool,
}

/// Judges a change.
pub fn gate(difference: &Difference, terms: &Terms<'_>) -> Gate {
    let mut changes = changes(difference);
    let mut findings = Vec::new();
    let mut verdicts = BTreeMap::new();
    let by_new = difference
        .new_scripts
        .iter()
        .flat_map(|script| &script.drvs);
    let by_new: BTreeSet<&str> = by_new.map(String::as_str).collect();
    for change in &mut changes {
        let known = match terms.verified {
            None => Known::Nothing,
            Some(verified) => verified.of(&change.row).map_or(Known::Missing, Known::Is),
        };
        if let Known::Is(outcome) = known {
            *verdicts.entry(outcome.verdict).or_default() += 1;
            change.verdict = Some(outcome.verdict);
            change.earlier = terms
                .verified
                .is_some_and(|verified| verified.is_earlier(&change.row));
        }
        findings.extend(found::of(change, known, by_new.contains(&*change.row.drv)));
    }
    findings.extend(difference.new_scripts.iter().map(found::new_script));
    let waivers = terms.waivers.all();
    let mut used = vec![false; waivers.len()];
    for finding in &mut findings {
        let covers = |waiver: &Waiver| {
            let urls = finding.addresses.iter().map(String::as_str);
            let rev = finding.rev.as_deref();
            waiver.covers(finding.rule.as_str(), &finding.output, urls, rev)
        };
        for (at, waiver) in waivers.iter().enumerate().filter(|(_, one)| covers(one)) {
            used[at] = true;
            if !waiver.is_expired(terms.today) {
                finding.waived.get_or_insert_with(|| Waived::of(waiver));
            }
        }
    }
    let told = |takes: &dyn Fn(usize, &Waiver) -> bool| {
        let some = waivers.iter().enumerate();
        some.filter(|(at, waiver)| takes(*at, waiver))
            .map(|(_, waiver)| ToldWaiver::of(waiver))
            .collect::<Vec<_>>()
    };
    let expired_waivers = told(&|_, waiver| waiver.is_expired(terms.today));
    let unused_waivers = told(&|at, waiver| !used[at] && !waiver.is_expired(terms.today));
    findings.extend(expired_waivers.iter().map(found::expired));
    // Nobody can accept what is not known: no waiver is asked.
    findings.extend(found::incomplete(difference, terms.allow_incomplete));
    for finding in &mut findings {
        finding.blocks =
            finding.waived.is_none() && terms.fail_on.is_some_and(|least| finding.level >= least);
    }
    findings.sort_by_cached_key(|finding| {
        (
            Reverse(finding.blocks),
            finding.waived.is_some(),
            Reverse(finding.level),
            finding.rule,
            finding.name.clone(),
            finding.drv.clone(),
        )
    });
    Gate {
        schema: "snowguard-fod-gate/1",
        passed: findings.iter().all(|finding| !finding.blocks),
        base: difference.base.clone(),
        head: difference.head.clone(),
        same: difference.same,
        removed: difference.removed.len(),
        changes,
        findings,
        expired_waivers,
        unused_waivers,
        verdicts: terms.verified.map(|_| verdicts),
        egress: terms.egress.cloned(),
        gaps: difference.gaps.clone(),
    }
}

/// So many findings are seen at a glance; of more it is told first how often each rule found something.
const FEW: usize = 5;

impl Gate {
    /// How often each rule found something, the most severe first: `12 gone, 3 weak-hash; 2 accepted`. None where there
    /// are few. Only words of ours are in it.
    pub(super) fn by_rule(&self) -> Option<String> {
        let mut rules: BTreeMap<GateRule, (Level, usize)> = BTreeMap::new();
        let mut accepted = 0;
        for found in &self.findings {
            if found.waived.is_some() {
                accepted += 1;
                continue;
            }
            let (level, count) = rules.entry(found.rule).or_insert((found.level, 0));
            *level = found.level.max(*level);
            *count += 1;
        }
        if self.findings.len() <= FEW {
            return None;
        }
        let mut rules: Vec<_> = rules.into_iter().collect();
        rules.sort_by_key(|(rule, (level, count))| (Reverse(*level), Reverse(*count), *rule));
        let told = rules
            .iter()
            .map(|(rule, (_, count))| format!("{} {}", number(*count), rule.as_str()));
        let mut told = told.collect::<Vec<_>>().join(", ");
        if accepted > 0 {
            let joint = if told.is_empty() { "" } else { "; " };
            told = format!("{told}{joint}{} accepted", number(accepted));
        }
        Some(told)
    }

    /// How many findings block.
    pub fn blocking(&self) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.blocks)
            .count()
    }

    /// How it may pass, where nothing blocks it: what is not known of it is said in the same breath.
    pub(super) fn passes(&self) -> &'static str {
        let ok = |verdicts: &BTreeMap<Verdict, usize>| verdicts.contains_key(&Verdict::Ok);
        match &self.verdicts {
            _ if !self.gaps.is_empty() => "passed, as far as is known",
            _ if self.changes.is_empty() => "passed",
            None => "passed; nothing was fetched",
            Some(verdicts) if !ok(verdicts) => "passed; nothing was verified",
            Some(_) => "passed",
        }
    }

    /// How many verdicts were found earlier, and not by this run.
    pub(crate) fn found_earlier(&self) -> usize {
        self.changes.iter().filter(|change| change.earlier).count()
    }

    /// The changed ones of which nobody knows whether they can be fetched.
    pub(crate) fn unverified(&self) -> usize {
        let known = |change: &&Changed| match change.verdict {
            Some(verdict) => matches!(
                verdict,
                Verdict::Transient | Verdict::NeedsBuilder | Verdict::NotFetchable
            ),
            None => true,
        };
        self.changes.iter().filter(known).count()
    }
}

fn changes(difference: &Difference) -> Vec<Changed> {
    let mut changes: Vec<Changed> = Vec::new();
    for unchanged in &difference.unchanged_hash {
        let how = match unchanged.kind {
            "moved" => How::Moved,
            "relocated" => How::Relocated,
            "altered" => How::Altered,
            "script" => How::Script,
            "vendored" => How::Vendored,
            _ => How::Stale,
        };
        let was = &unchanged.base;
        let sources = if was.urls.is_empty() {
            &was.sources
        } else {
            &was.urls
        };
        changes.push(Changed {
            how,
            verdict: None,
            earlier: false,
            row: unchanged.head.clone(),
            same_output: was.name == unchanged.head.name,
            was_urls: with_revision(sources, was.rev.as_deref()),
            was_addresses: was.addresses.clone(),
            was_hash: None,
        });
    }
    for rehashed in &difference.changed_hash {
        changes.push(Changed {
            how: How::Rehashed,
            verdict: None,
            earlier: false,
            row: rehashed.head.clone(),
            same_output: false,
            was_urls: Vec::new(),
            was_addresses: Vec::new(),
            was_hash: Some(rehashed.base.hash.clone()),
        });
    }
    changes.extend(difference.added.iter().map(|row| Changed {
        how: How::Added,
        verdict: None,
        earlier: false,
        row: row.clone(),
        same_output: false,
        was_urls: Vec::new(),
        was_addresses: Vec::new(),
        was_hash: None,
    }));
    changes
}
