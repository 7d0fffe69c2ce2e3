//! The outcome for one component and one vulnerability.

use snowguard_advisory::id::CveId;
use snowguard_advisory::index::VulnerabilityId;
use snowguard_advisory::order::Doubt;
use snowguard_advisory::record::Commit;
use snowguard_inventory::ComponentId;

use crate::claim::Claim;

/// One component and one vulnerability, decided.
#[derive(Clone, Debug)]
pub struct Finding<'a> {
    /// The component.
    pub component: ComponentId,
    /// The vulnerability.
    pub vulnerability: VulnerabilityId,
    /// Its id.
    pub id: &'a str,
    /// What holds.
    pub status: Status,
    /// Why, in one word; the claims have the rest.
    pub decision: Decision,
    /// All that was said, the weightiest first.
    pub claims: Vec<Claim<'a>>,
    /// Patches that speak against it.
    pub proofs: Vec<PatchProof>,
    /// Where it ends upstream.
    pub fixed_in: FixedIn<'a>,
}

/// What holds for a component and a vulnerability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// It is affected.
    Affected,
    /// Nobody can decide it without looking.
    NeedsReview,
    /// It would be affected, but each of its builds applies a patch.
    Patched,
    /// It was affected in an older version.
    Fixed,
    /// It is not affected.
    NotAffected,
}

impl Status {
    /// `affected`, `needs_review`, `patched`, `fixed` or `not_affected`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::NeedsReview => "needs_review",
            Self::Patched => "patched",
            Self::Fixed => "fixed",
            Self::NotAffected => "not_affected",
        }
    }
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The project's own record.
    Upstream,
    /// Records of others, which agree.
    Others,
    /// Records of others, some of which say otherwise: the word for "affected" counts.
    OthersDisagree,
    /// The version cannot be placed.
    Doubt(Doubt),
    /// The identity is not sure.
    Identity,
    /// Only together with something else.
    Together,
    /// The advisory was withdrawn.
    Withdrawn,
    /// It is found inside of others, and what declares it does not prove that it is in use there.
    Weak(Weakness),
    /// Its own builds are patched, but copies of it are inside of others: one of these.
    OtherCopies(Box<str>),
    /// It is found inside of others, and a patch of one of these speaks of the vulnerability.
    PatchedAround {
        /// What it is inside of.
        host: Box<str>,
        /// The patch; none for a build phase.
        patch: Option<Box<str>>,
    },
}

/// Why a declaration is no proof that a library is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weakness {
    /// It took part in building only.
    Build,
    /// Those who develop the thing use it.
    Development,
    /// A bill of materials lists it, of which nothing says what it is of.
    Listed,
    /// A lock file would have it fetched.
    Locked,
    /// A manifest names it, but not as its registry does.
    Named,
}

impl std::fmt::Display for Weakness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Build => "it was used for building; it is not in the result",
            Self::Development => "it is declared for development only",
            Self::Listed => "a bill of materials lists it, and does not say what it is of",
            Self::Locked => "a lock file names it; whether it is in the result is not proven",
            Self::Named => "a manifest names it, but not as its registry does",
        })
    }
}

/// Where an affected range ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FixedIn<'a> {
    /// This is the first version without it.
    Version(&'a str),
    /// This is the last with it; the next is not named.
    After(&'a str),
    /// No fix is known.
    Unknown,
}

/// A patch and what connects it with the vulnerability.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchProof {
    /// The patch's name; none for a build phase.
    pub patch: Option<Box<str>>,
    /// What connects them.
    pub kind: ProofKind,
    /// How many of the component's builds have it.
    pub builds: usize,
    /// How many builds there are.
    pub of: usize,
}

/// What connects a patch with a vulnerability, from strong to weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProofKind {
    /// It is the upstream commit that the advisory calls the fix.
    Commit(Commit),
    /// The patch's name or URL has the id.
    Name(CveId),
    /// The head of the patch file has the id.
    Header(CveId),
    /// A build phase has the id.
    Phase(CveId),
}
