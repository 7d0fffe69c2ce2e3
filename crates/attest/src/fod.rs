//! The claim that a fixed-output derivation was verified: what was fetched again, and what came of it.

use serde::{Deserialize, Serialize};
use snowguard_store::{DrvPath, OutputName};

use crate::statement::Content;

/// What the predicate means, and in which version.
pub const PREDICATE_TYPE: &str = "https://github.com/snowguard/snowguard/fod-verification/v1";

/// How many sources one claim tells of.
pub const MAX_SOURCES: usize = 256;
/// How long the address of a source may be, in bytes.
pub const MAX_URL: usize = 4096;
/// How long any other text may be, in bytes.
pub const MAX_TEXT: usize = 1024;
/// How many Software Heritage identifiers one claim has.
pub const MAX_SWHIDS: usize = 16;

/// One verification of one fixed-output derivation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FodVerification {
    /// The derivation.
    pub derivation: DrvPath,
    /// Its output.
    pub output: OutputName,
    /// What the derivation says that its output is.
    pub declared: Content,
    /// In which way it was verified.
    pub means: Means,
    /// What came of it.
    pub outcome: Outcome,
    /// What was tried, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Tried>,
    /// The identifiers of Software Heritage for what came, where it is a file or a tree.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swhids: Vec<String>,
}

/// In which way a derivation was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Means {
    /// Its source was fetched and hashed, without a builder.
    Refetch,
    /// Nix built it again.
    Build,
    /// A proxy recorded what its build fetched.
    Proxy,
}

/// What came of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Outcome {
    /// What came is what is declared.
    Ok,
    /// Something else came.
    Mismatch {
        /// What it is, hashed as what is declared is.
        observed: Content,
        /// How many bytes it has: those of the file, or of its NAR.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
    },
    /// No source has it any more.
    Gone,
    /// A source leads elsewhere than it may, or than it did, and other bytes come from there.
    ChangedRedirect,
    /// A source cannot prove who it is.
    TlsFailure,
    /// A rule forbids to ask.
    PolicyDenied,
    /// It could not be decided now; another time it may.
    Transient,
    /// It is not meant to be fetched.
    NotFetchable,
}

impl Outcome {
    /// The word by which it is written.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mismatch { .. } => "mismatch",
            Self::Gone => "gone",
            Self::ChangedRedirect => "changed-redirect",
            Self::TlsFailure => "tls-failure",
            Self::PolicyDenied => "policy-denied",
            Self::Transient => "transient",
            Self::NotFetchable => "not-fetchable",
        }
    }
}

/// A source that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Its address, without a name and password.
    pub url: String,
    /// What came of it.
    pub outcome: Outcome,
    /// More about it, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl FodVerification {
    /// What is wrong with it, if something is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.sources.len() > MAX_SOURCES || self.swhids.len() > MAX_SWHIDS {
            return Some("it has too many sources or identifiers");
        }
        if self.sources.iter().any(|source| source.url.len() > MAX_URL) {
            return Some("the address of a source is too long");
        }
        if self
            .sources
            .iter()
            .any(|source| has_credentials(&source.url))
        {
            return Some("the address of a source has a name or password in it");
        }
        let details = self
            .sources
            .iter()
            .filter_map(|source| source.detail.as_ref());
        if details
            .chain(&self.swhids)
            .any(|text| text.len() > MAX_TEXT)
        {
            return Some("a text is too long");
        }
        let outcomes = self.sources.iter().map(|source| &source.outcome);
        for outcome in std::iter::once(&self.outcome).chain(outcomes) {
            if let Outcome::Mismatch { observed, .. } = outcome
                && (observed.method, observed.hash.algo())
                    != (self.declared.method, self.declared.hash.algo())
            {
                return Some("what came is hashed in another way than what is declared");
            }
            if matches!(outcome, Outcome::Mismatch { observed, .. } if *observed == self.declared) {
                return Some("it calls the very same content a mismatch");
            }
        }
        None
    }
}

/// Whether something stands before an `@` in the authority of a URL. Statements are handed around.
fn has_credentials(url: &str) -> bool {
    url.split_once("://").is_some_and(|(_, rest)| {
        rest.split(['/', '?', '#', '\\'])
            .next()
            .is_some_and(|authority| authority.contains('@'))
    })
}
