//! Why a finding has its match status: what is stored beside it and shown.

use serde::{Deserialize, Serialize};
use snowguard_matching::Status;
use snowguard_report::action::compare;
use snowguard_report::model;

use crate::code::codes;

/// What was found for one package and one advisory, over all channels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// One for each version, with the channels that have it, the worst first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub builds: Vec<Build>,
    /// Nixpkgs itself marks the package insecure because of this: its texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marked: Vec<String>,
}

/// One version of a package in one or several channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// The version.
    pub version: String,
    /// Attributes that have it; at most [`MAX_ATTRIBUTES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<String>,
    /// The channels, by number.
    pub channels: Vec<i64>,
    /// What holds.
    #[serde(with = "status")]
    pub status: Status,
    /// Why, in a few words.
    pub reason: String,
    /// The first version without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_in: Option<String>,
    /// The last with it, where the first without it is not named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_affected: Option<String>,
    /// What records say, the weightiest first; at most [`MAX_SAID`]. Left out where the version is
    /// not affected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<Said>,
    /// Patches that speak against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
}

/// How many attributes of a version are kept.
pub const MAX_ATTRIBUTES: usize = 8;
/// How many records' words are kept for a version.
pub const MAX_SAID: usize = 32;

/// One record's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The record.
    pub record: String,
    /// The source from which it was read.
    pub source: String,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether they make the thing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upstream: bool,
    /// The product that joined, as people read it.
    pub product: String,
    /// The product as a rule about it names it: `vendor:product`.
    pub target: String,
    /// Why the package is that product.
    pub identity: String,
    /// Whether that is sure.
    pub identity_sure: bool,
    /// The range that decided, or what else did.
    pub range: String,
    /// The order of versions that decided.
    pub order: String,
    /// What follows.
    pub says: Says,
}

/// What a record says of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It is affected.
    Affected,
    /// It is not.
    NotAffected,
    /// It cannot be told.
    Unknown,
}

codes!(Says, "word of a record", {
    Says::Affected = 0,
    Says::NotAffected = 1,
    Says::Unknown = 2,
});

/// A patch, and what connects it with the advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Patch {
    /// Its name; none for a build phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `upstream commit`, `name`, `header` or `build phase`.
    pub proof: String,
    /// The commit or the id.
    pub detail: String,
    /// How many builds have it.
    pub builds: usize,
    /// How many builds there are.
    pub of: usize,
}

impl Said {
    /// From a report's words.
    pub fn new(evidence: model::Evidence, target: String) -> Self {
        Self {
            record: evidence.record,
            source: evidence.source,
            by: evidence.by,
            upstream: evidence.upstream,
            product: evidence.product,
            target,
            identity: evidence.identity,
            identity_sure: evidence.identity_sure,
            range: evidence.range,
            order: evidence.order.to_owned(),
            says: match evidence.says {
                "affected" => Says::Affected,
                "not_affected" => Says::NotAffected,
                _ => Says::Unknown,
            },
        }
    }
}

impl From<model::Patch> for Patch {
    fn from(patch: model::Patch) -> Self {
        Self {
            name: patch.name,
            proof: patch.proof.to_owned(),
            detail: patch.detail,
            builds: patch.builds,
            of: patch.of,
        }
    }
}

impl Evidence {
    /// The worst of all versions; not affected if there is none.
    pub fn status(&self) -> Status {
        self.builds
            .iter()
            .map(|build| build.status)
            .min()
            .unwrap_or(Status::NotAffected)
    }

    /// The first version without it: of several lines the newest, so that whoever has it, or a later one, is
    /// past it wherever they were. None if a version that is no older is affected without a known end.
    pub fn fixed_in(&self) -> Option<&str> {
        let affected = || {
            let builds = self.builds.iter();
            builds.filter(|build| build.status == Status::Affected)
        };
        let newest = affected()
            .filter_map(|build| build.fixed_in.as_deref())
            .max_by(|a, b| compare(a, b))?;
        let is_past = |version: &str| compare(version, newest).is_lt();
        affected()
            .filter(|build| build.fixed_in.is_none())
            .all(|build| {
                is_past(&build.version) && build.last_affected.as_deref().is_none_or(is_past)
            })
            .then_some(newest)
    }

    /// All that records say, of whatever version.
    pub fn said(&self) -> impl Iterator<Item = &Said> {
        self.builds.iter().flat_map(|build| &build.said)
    }

    /// Why, in a few words.
    pub fn why(&self) -> String {
        match (self.builds.first(), self.marked.first()) {
            (Some(build), _) => build.reason.clone(),
            (None, Some(_)) => "marked insecure in Nixpkgs".into(),
            (None, None) => "no record speaks of it any more".into(),
        }
    }

    /// What speaks against it, in a few words.
    pub fn against(&self) -> Option<String> {
        let build = self.builds.first()?;
        if let Some(patch) = build.patches.first() {
            let name = patch.name.as_deref().unwrap_or("a build phase");
            return Some(format!("{name} is applied"));
        }
        if !self.is_sure() && !build.said.is_empty() {
            return Some("it is not sure that this package is meant".into());
        }
        let other = build
            .said
            .iter()
            .find(|said| said.says == Says::NotAffected)?;
        Some(format!(
            "{} says otherwise: {}",
            other.by.as_deref().unwrap_or(&other.record),
            other.range
        ))
    }

    /// Whether some identity behind it is sure.
    pub fn is_sure(&self) -> bool {
        self.said().any(|said| said.identity_sure)
    }
}

mod status {
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};
    use snowguard_matching::Status;

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes what it serialises by reference"
    )]
    pub(super) fn serialize<S: Serializer>(
        value: &Status,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Status, D::Error> {
        let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        super::status_of(&word).ok_or_else(|| D::Error::custom("no match status"))
    }
}

/// A match status by its word.
pub fn status_of(word: &str) -> Option<Status> {
    [
        Status::Affected,
        Status::NeedsReview,
        Status::Patched,
        Status::Fixed,
        Status::NotAffected,
    ]
    .into_iter()
    .find(|status| status.as_str() == word)
}
