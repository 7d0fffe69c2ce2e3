//! What is found about a change.

use std::fmt::Write as _;

use jiff::civil::Date;
use serde::{Serialize, Serializer};
use snowguard_fod::outcome::{Attempt, FoundBy, Try};
use snowguard_fod::rule::{Level, Rule};
use snowguard_fod::shown::named;
use snowguard_fod::stale::is_same_file;
use snowguard_fod::{Outcome, Place, Verdict, Waiver};

use super::{Changed, Difference, How, ToldWaiver, with_revision};
use crate::fod::NewScript;
use crate::words::{counted, number};

/// The page for whoever made the change, with a paragraph for each rule under its word.
pub(super) const GUIDE: &str = concat!(
    env!("CARGO_PKG_REPOSITORY"),
    "/blob/main/docs/src/fod-red.md"
);

/// By which rule something was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GateRule {
    /// The source changed, and its hash did not.
    StaleHash,
    /// The path changed at the same host, all numbers in it and the hash did not.
    RelocatedSource,
    /// What it is fetched for changed, and its hash did not.
    VendoredHash,
    /// What is asked of the source changed, and its hash did not.
    AlteredFetch,
    /// A script fetches by which nothing was fetched before.
    NewScript,
    /// The hash changed, and its source did not.
    ChangedHash,
    /// What became of verifying it.
    Verified(Verdict),
    /// It is not among what was verified.
    NotVerified,
    /// What speaks against it by itself.
    Policy(Rule),
    /// A waiver whose day has passed.
    ExpiredWaiver,
    /// Derivations could not be read.
    Incomplete,
}

impl GateRule {
    /// All that can be found.
    pub fn all() -> impl Iterator<Item = Self> {
        let verdicts = Verdict::ALL.into_iter().map(Self::Verified);
        let changed = [
            Self::StaleHash,
            Self::RelocatedSource,
            Self::VendoredHash,
            Self::AlteredFetch,
            Self::NewScript,
            Self::ChangedHash,
        ];
        changed
            .into_iter()
            .chain(verdicts.filter(|rule| rule.level().is_some()))
            .chain([Self::NotVerified])
            .chain(Rule::ALL.into_iter().map(Self::Policy))
            .chain([Self::ExpiredWaiver, Self::Incomplete])
    }

    /// Those that a waiver can name.
    pub fn waivable() -> impl Iterator<Item = Self> {
        Self::all().filter(|rule| !matches!(rule, Self::ExpiredWaiver | Self::Incomplete))
    }

    /// The word of interfaces.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StaleHash => "stale-hash",
            Self::RelocatedSource => "relocated-source",
            Self::VendoredHash => "vendored-hash",
            Self::AlteredFetch => "altered-fetch",
            Self::NewScript => "new-script",
            Self::ChangedHash => "changed-hash",
            Self::Verified(verdict) => verdict.as_str(),
            Self::NotVerified => "not-verified",
            Self::Policy(rule) => rule.as_str(),
            Self::ExpiredWaiver => "expired-waiver",
            Self::Incomplete => "incomplete",
        }
    }

    /// Where it is explained to whoever made the change.
    pub fn guide(self) -> String {
        format!("{GUIDE}#{}", self.as_str())
    }

    /// How much it says; none if it says nothing, or if that depends on the derivation.
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::StaleHash
            | Self::Incomplete
            | Self::Verified(Verdict::Mismatch | Verdict::Gone | Verdict::Redirect) => {
                Some(Level::Error)
            }
            Self::RelocatedSource
            | Self::VendoredHash
            | Self::AlteredFetch
            | Self::NewScript
            | Self::ChangedHash
            | Self::NotVerified
            | Self::ExpiredWaiver
            // What has a shell has sockets: that nothing in it fetches is an opinion, and its hash is not known to be right.
            | Self::Verified(
                Verdict::Tls
                | Verdict::Denied
                | Verdict::Failed
                | Verdict::Transient
                | Verdict::NeedsBuilder
                | Verdict::NotFetchable,
            ) => Some(Level::Warning),
            Self::Verified(Verdict::Ok) | Self::Policy(_) => None,
        }
    }

    /// What it means, in one sentence.
    pub const fn what(self) -> &'static str {
        match self {
            Self::StaleHash => "the source changed and its hash did not",
            Self::RelocatedSource => {
                "another path at the same host, all numbers in it are the same, and so is the hash"
            }
            Self::VendoredHash => {
                "what its dependencies are fetched for changed, and their hash did not"
            }
            Self::AlteredFetch => {
                "the source is asked for in another way, and its hash is the same"
            }
            Self::NewScript => {
                "a script fetches that fetched nothing before; what it does was not looked at"
            }
            Self::ChangedHash => "the hash changed, and nothing says that the source did",
            Self::Verified(verdict) => verdict.what(),
            Self::NotVerified => "it is not among those that were fetched again",
            Self::Policy(rule) => rule.what(),
            Self::ExpiredWaiver => "a waiver has expired",
            Self::Incomplete => {
                "derivations could not be read or told apart, and what they fetch is not known"
            }
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::StaleHash => {
                "set the hash to an empty string, build it, put in the hash that Nix tells, and look at what came"
            }
            Self::RelocatedSource => {
                "if this is another branch or release, set the hash to an empty string, build it, and put in the hash that \
                 Nix tells; if the file was moved, say so"
            }
            Self::VendoredHash => {
                "set the hash to an empty string and build it; if Nix tells the same hash, the lock file did not change"
            }
            Self::AlteredFetch => {
                "set the hash to an empty string and build it; if Nix tells the same hash, nothing else comes that way"
            }
            Self::NewScript => {
                "use a fetcher that is there already; or somebody reads the script, and accepts its path with a waiver"
            }
            Self::ChangedHash => {
                "say in the change why the bytes are others: a moved tag or a replaced file needs its author's word"
            }
            Self::Verified(Verdict::Mismatch) => {
                "build it with an empty hash and see what Nix tells; if the file was replaced, its author should say why"
            }
            Self::Verified(Verdict::Transient) => {
                "run the check again; it says nothing about the change"
            }
            Self::Verified(Verdict::Denied) => {
                "use an address on the public network that leads to no host which its URLs do not name; or whoever runs \
                 the check makes an exception in the policy"
            }
            Self::Verified(Verdict::NeedsBuilder) => {
                "run the check with --build, or build it once without a cache and accept it with a waiver"
            }
            Self::Verified(Verdict::NotFetchable) => {
                "run the check with --build, which builds what only unpacks or writes; of a file that a person has to put in, \
                 look where its hash is from, and accept it with a waiver"
            }
            Self::Verified(Verdict::Tls) => "use a server whose certificate is trusted",
            Self::Verified(verdict) => verdict.remedy(),
            Self::NotVerified => "whoever runs the check should verify all that it changes",
            Self::Policy(rule) => rule.remedy(),
            Self::ExpiredWaiver => {
                "whoever keeps the waivers should renew it with a reason, or delete it"
            }
            Self::Incomplete => {
                "give each side all of its own derivations, with what they need (nix derivation show -r), each of a size that can be read"
            }
        }
    }
}

/// Something that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// By which rule.
    #[serde(serialize_with = "as_rule")]
    pub rule: GateRule,
    /// How much it says.
    #[serde(serialize_with = "as_level")]
    pub level: Level,
    /// What it means.
    pub what: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// Whether it stops the change.
    pub blocks: bool,
    /// The name of the output.
    pub name: String,
    /// The derivation.
    pub drv: String,
    /// The store path of its output.
    pub output: String,
    /// The attribute that needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Where that is defined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
    /// From where it is fetched.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// The same as they are, to be compared and not to be shown.
    #[serde(skip)]
    pub(super) addresses: Vec<String>,
    /// What names the first of them in a waiver, where that is not the address as it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiver_url: Option<String>,
    /// At which revision, where that does not stand in the first of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    /// What was, where something was altered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<String>,
    /// What is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is: Option<String>,
    /// What was met while it was verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Why it is accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waived: Option<Waived>,
}

/// Why something is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waived {
    /// The reason.
    pub reason: String,
    /// Until when.
    pub expires: Date,
    /// In which line of the file.
    pub line: usize,
}

impl Waived {
    pub(super) fn of(waiver: &Waiver) -> Self {
        Self {
            reason: waiver.reason.to_string(),
            expires: waiver.expires,
            line: waiver.line,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_rule<S: Serializer>(rule: &GateRule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(rule.as_str())
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_level<S: Serializer>(level: &Level, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(level.as_str())
}

/// What is known from verifying one.
#[derive(Clone, Copy)]
pub(super) enum Known<'a> {
    /// Nothing was verified at all.
    Nothing,
    /// It is not among what was verified.
    Missing,
    /// This.
    Is(&'a Outcome),
}

/// All that is to be said of one.
pub(super) fn of(change: &Changed, known: Known<'_>, is_by_new_script: bool) -> Vec<Found> {
    let row = &change.row;
    let sources = if row.urls.is_empty() {
        &row.sources
    } else {
        &row.urls
    };
    let is_source = with_revision(sources, row.rev.as_deref())
        .into_iter()
        .next();
    let found = |rule: GateRule, level: Level| Found {
        rule,
        level,
        what: rule.what(),
        remedy: rule.remedy(),
        blocks: false,
        name: row.name.clone(),
        drv: row.drv.clone(),
        output: row.output.clone(),
        attribute: row.attributes.first().or(row.needed_by.first()).cloned(),
        position: row.position.clone(),
        urls: row.urls.clone(),
        addresses: row.addresses.clone(),
        waiver_url: row
            .addresses
            .first()
            .zip(row.urls.first())
            .and_then(|(url, shown)| {
                let name = named(url);
                (name != *shown).then_some(name)
            }),
        rev: row
            .rev
            .clone()
            .filter(|rev| row.urls.first().is_some_and(|url| !url.contains(rev))),
        was: None,
        is: is_source.clone(),
        detail: None,
        waived: None,
    };
    let mut all = Vec::new();
    let changed = match change.how {
        How::Added | How::Moved => None,
        // Said of the script, and once.
        How::Script if is_by_new_script => None,
        How::Stale => Some(GateRule::StaleHash),
        How::Relocated => Some(GateRule::RelocatedSource),
        How::Vendored => Some(GateRule::VendoredHash),
        How::Altered | How::Script => Some(GateRule::AlteredFetch),
        How::Rehashed => Some(GateRule::ChangedHash),
    };
    if let Some((rule, level)) = changed.and_then(|rule| Some((rule, rule.level()?))) {
        let (was, is) = match change.how {
            How::Rehashed => (change.was_hash.clone(), Some(row.hash.clone())),
            _ => (change.was_urls.first().cloned(), is_source.clone()),
        };
        let of_rule = found(rule, level);
        let told = match change.how {
            _ if is_answered(change, known) => Found {
                level: Level::Note,
                what: "the source changed and its hash did not; it was fetched again, and what comes has that hash",
                remedy: "nothing, if the same bytes are meant to come",
                ..of_rule
            },
            How::Stale => Found {
                what: if change.same_output {
                    "the source changed and its hash did not, so that the old source is built"
                } else {
                    "the source changed and its hash did not: Nix refuses what comes, unless it is the old file"
                },
                ..of_rule
            },
            _ => of_rule,
        };
        all.push(Found { was, is, ..told });
    }
    match known {
        Known::Nothing => {}
        Known::Missing => all.extend(
            GateRule::NotVerified
                .level()
                .map(|level| found(GateRule::NotVerified, level)),
        ),
        Known::Is(outcome) if wanted_more(outcome) => all.push(Found {
            what: "it came out as promised, and its build wanted more than it may have",
            remedy: "say in the change what asked for that, and why, or leave it out; or whoever runs the check makes an \
                     exception in the policy",
            detail: reason(outcome),
            ..found(GateRule::Verified(Verdict::Denied), Level::Note)
        }),
        Known::Is(outcome) => {
            let rule = GateRule::Verified(outcome.verdict);
            all.extend(rule.level().map(|level| Found {
                detail: reason(outcome),
                was: outcome.got.as_ref().map(|_| row.hash.clone()),
                is: match &outcome.got {
                    Some(got) => Some(got.hash.clone()),
                    None => is_source.clone(),
                },
                ..found(rule, level)
            }));
        }
    }
    all.extend(row.findings.iter().map(|finding| {
        let url = finding.at.and_then(|at| row.urls.get(at));
        let url = url.map(std::slice::from_ref).unwrap_or_default();
        let is = with_revision(url, row.rev.as_deref()).into_iter().next();
        let found = found(GateRule::Policy(finding.rule), finding.level);
        Found {
            is: is.or(found.is),
            ..found
        }
    }));
    all
}

/// Why its outcome is what it is.
fn reason(outcome: &Outcome) -> Option<String> {
    Some(outcome.reason.clone()).filter(|reason| !reason.is_empty())
}

/// Whether it has what was promised, and its build wanted more: that is for who reads the change.
fn wanted_more(outcome: &Outcome) -> bool {
    let is_denied = |tried: &Try| tried.result == Attempt::Denied;
    outcome.found_by == Some(FoundBy::Build)
        && outcome.verdict == Verdict::Ok
        && outcome.tries.iter().any(is_denied)
}

/// Whether an unchanged hash is known to be that of what comes now. Of another source it is only if that was served,
/// and not the old one under whatever address; where it was built, the old one may have come.
fn is_answered(change: &Changed, known: Known<'_>) -> bool {
    let Known::Is(outcome) = known else {
        return false;
    };
    let mut tries = outcome.tries.iter();
    outcome.verdict == Verdict::Ok
        && match change.how {
            How::Stale | How::Relocated => {
                tries.any(|tried| tried.result == Attempt::Ok && is_of_new_source(change, tried))
            }
            How::Vendored | How::Altered | How::Script => true,
            How::Added | How::Moved | How::Rehashed => false,
        }
}

/// Whether an address that was tried is one of the new source alone: of files the first, or one that names the same
/// file elsewhere, and none that the old one had. What is told of it has no query, so that all that it may be count.
fn is_of_new_source(change: &Changed, tried: &Try) -> bool {
    let row = &change.row;
    if matches!(row.class, "git" | "vcs") {
        let now = with_revision(&row.urls, row.rev.as_deref());
        return now.iter().all(|url| !change.was_urls.contains(url));
    }
    let places: Vec<Place<'_>> = row.addresses.iter().map(|url| Place::of(url)).collect();
    let was: Vec<Place<'_>> = change
        .was_addresses
        .iter()
        .map(|url| Place::of(url))
        .collect();
    let Some(first) = places.first() else {
        return false;
    };
    let told = Place::of(&tried.url);
    let mut meant = places
        .iter()
        .filter(|place| place.host == told.host && place.path == told.path)
        .peekable();
    meant.peek().is_some()
        && meant.all(|place| {
            is_same_file(place, first) && !was.iter().any(|old| is_same_file(place, old))
        })
}

/// That a script is new: once, whatever it fetches. A waiver names its path.
pub(super) fn new_script(script: &NewScript) -> Found {
    const NAMED: usize = 5;
    let mut detail = format!(
        "it fetches {}",
        counted(script.names.len(), "output", "outputs")
    );
    for (at, name) in script.names.iter().take(NAMED).enumerate() {
        let _ = write!(detail, "{} {name}", if at == 0 { ":" } else { "," });
    }
    let base = script.path.rsplit('/').next().unwrap_or_default();
    let rule = GateRule::NewScript;
    Found {
        name: base.split_once('-').map_or(base, |(_, name)| name).into(),
        output: script.path.clone(),
        detail: Some(detail),
        ..of_none(rule, rule.level().unwrap_or(Level::Warning))
    }
}

/// That a waiver has expired.
pub(super) fn expired(waiver: &ToldWaiver) -> Found {
    let name = waiver.output.rsplit('/').next().unwrap_or_default();
    Found {
        name: name.split_once('-').map_or(name, |(_, name)| name).into(),
        output: waiver.output.clone(),
        detail: Some(format!(
            "line {}: {} until {}: {}",
            waiver.line, waiver.rule, waiver.expires, waiver.reason
        )),
        ..of_none(GateRule::ExpiredWaiver, Level::Warning)
    }
}

/// That not all was read. What is missing after the change may be what it adds; what is missing before it
/// hides what was altered, and makes it look new.
pub(super) fn incomplete(difference: &Difference, is_allowed: bool) -> Vec<Found> {
    let of = |side: &str, gaps: &[String], level| -> Vec<Found> {
        let one = |gap: &String| Found {
            name: side.to_owned(),
            detail: Some(gap.clone()),
            ..of_none(
                GateRule::Incomplete,
                if is_allowed { Level::Note } else { level },
            )
        };
        gaps.iter().map(one).collect()
    };
    let mut all = of(
        "after the change",
        &difference.incomplete_head,
        Level::Error,
    );
    all.extend(of(
        "before the change",
        &difference.incomplete_base,
        Level::Warning,
    ));
    // What is the same on both sides stops nobody.
    all.extend(
        difference
            .changed()
            .filter(|row| row.more_urls > 0)
            .map(|row| Found {
                name: row.name.clone(),
                drv: row.drv.clone(),
                output: row.output.clone(),
                detail: Some(format!(
                    "it names {} URLs more than the {} that are looked at",
                    number(row.more_urls),
                    number(row.urls.len())
                )),
                ..of_none(
                    GateRule::Incomplete,
                    if is_allowed {
                        Level::Note
                    } else {
                        Level::Error
                    },
                )
            }),
    );
    all
}

/// What is of no derivation.
fn of_none(rule: GateRule, level: Level) -> Found {
    Found {
        rule,
        level,
        what: rule.what(),
        remedy: rule.remedy(),
        blocks: false,
        name: String::new(),
        drv: String::new(),
        output: String::new(),
        attribute: None,
        position: None,
        urls: Vec::new(),
        addresses: Vec::new(),
        waiver_url: None,
        rev: None,
        was: None,
        is: None,
        detail: None,
        waived: None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_rule_has_a_word_of_its_own() {
        let words: Vec<&str> = GateRule::all().map(GateRule::as_str).collect();
        let different: BTreeSet<&str> = words.iter().copied().collect();
        assert_eq!(words.len(), different.len());
        let waivable: Vec<&str> = GateRule::waivable().map(GateRule::as_str).collect();
        assert!(waivable.contains(&"weak-hash") && waivable.contains(&"mismatch"));
        assert!(!waivable.contains(&"expired-waiver") && !waivable.contains(&"ok"));
        let page = include_str!("../../../../../docs/src/fod-red.md");
        for rule in GateRule::all() {
            let heading = format!("\n### `{}`\n", rule.as_str());
            assert_eq!(page.matches(&heading).count(), 1, "{heading}");
            assert!(
                !rule.what().is_empty() && !rule.remedy().is_empty(),
                "{rule:?}"
            );
        }
    }
}
