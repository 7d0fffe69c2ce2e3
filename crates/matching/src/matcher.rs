//! Components against the index: joined, judged, weighed, and held against patches.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use snowguard_advisory::id::CveId;
use snowguard_advisory::index::{Corrupt, EntryId, EntryView, Index, ProductView, VulnerabilityId};
use snowguard_advisory::order::{Doubt, Version};
use snowguard_advisory::range::{Judgement, judge};
use snowguard_advisory::record::{Commit, Platform, PlatformSet};
use snowguard_inventory::component::{Component, Identity};
use snowguard_inventory::{ComponentId, IdentityTable, Inventory};

use crate::claim::{Certainty, Claim, Outcome};
use crate::finding::{Decision, Finding, PatchProof, ProofKind, Status};
use crate::join::{Join, join};
use crate::parts;
use crate::resolve::{fixed_in, resolve};
use crate::vendor::{self, Verdict, Why};

/// Joins components with an index.
#[derive(Clone, Copy)]
pub struct Matcher<'a> {
    pub(crate) index: Index<'a>,
    table: &'a IdentityTable,
    options: Options,
}

/// Settings of a [`Matcher`].
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The system on which the components run.
    pub platform: Platform,
    /// How many claims are kept before it is given up: they are most of the memory, and a small
    /// input can ask for many.
    pub claims: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            platform: Platform::Linux,
            claims: 1_000_000,
        }
    }
}

/// Why an inventory cannot be joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MatchError {
    /// The index is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// More claims than a limit allows.
    #[error("more than {} statements of advisories are about these packages", grouped(*limit))]
    TooMany {
        /// The limit.
        limit: usize,
    },
}

impl MatchError {
    /// What to do about it: one sentence without a full stop.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Corrupt(_) => "`snowguard advisories import` builds the index anew",
            Self::TooMany { .. } => {
                "pass a smaller part of it: a whole package set has less than a tenth of that"
            }
        }
    }
}

/// A number as people write it.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// All findings of an inventory.
#[derive(Debug, Default)]
pub struct Matches<'a> {
    /// Findings by component, then by id.
    pub findings: Vec<Finding<'a>>,
    /// Components about whose identities the index says nothing.
    pub unheard_of: Vec<ComponentId>,
}

/// What is found for one component.
#[derive(Debug)]
pub struct OfComponent<'a> {
    /// The findings by id; none if the index knows none of its identities.
    pub findings: Option<Vec<Finding<'a>>>,
    /// What its findings have to do with each other, in a digest: while it stays the same, a change of some
    /// vulnerabilities changes the findings of these alone. It is the same for the same only in one version of
    /// this program.
    pub context: u64,
}

/// From how many items on the cores share the work on one component: the kernel has thousands.
pub(crate) const MANY: usize = 256;

impl<'a> Matcher<'a> {
    /// A matcher over an index, with a table of reviewed identities.
    pub fn new(index: Index<'a>, table: &'a IdentityTable, options: Options) -> Self {
        Self {
            index,
            table,
            options,
        }
    }

    /// Joins a whole inventory.
    pub fn run(&self, inventory: &Inventory) -> Result<Matches<'a>, MatchError> {
        let components: Vec<(ComponentId, &Component)> = inventory.iter().collect();
        let kept = AtomicUsize::new(0);
        let found: Vec<(ComponentId, Option<Vec<Finding<'a>>>)> = components
            .par_iter()
            .map(|&(id, component)| {
                let found = self.component(id, component)?;
                let claims = found
                    .iter()
                    .flatten()
                    .map(|finding| finding.claims.len())
                    .sum();
                let limit = self.options.claims;
                if kept.fetch_add(claims, Ordering::Relaxed) + claims > limit {
                    return Err(MatchError::TooMany { limit });
                }
                Ok((id, found))
            })
            .collect::<Result<_, MatchError>>()?;
        let mut matches = Matches::default();
        for (id, findings) in found {
            match findings {
                Some(findings) => matches.findings.extend(findings),
                None => matches.unheard_of.push(id),
            }
        }
        Ok(matches)
    }

    /// Joins one component; none if the index knows none of its identities.
    pub fn component(
        &self,
        id: ComponentId,
        component: &Component,
    ) -> Result<Option<Vec<Finding<'a>>>, Corrupt> {
        Ok(self.in_context(id, component)?.findings)
    }

    /// The same with what it rests on beside each finding's own records.
    pub fn in_context(
        &self,
        id: ComponentId,
        component: &Component,
    ) -> Result<OfComponent<'a>, Corrupt> {
        let joined = join(self.index, self.table, component)?;
        let context = joined.context;
        if !joined.heard_of {
            return Ok(OfComponent {
                findings: None,
                context,
            });
        }
        let version = Version::new(&component.version);
        let claims: Vec<_> = joined
            .entries
            .into_par_iter()
            .with_min_len(MANY)
            .map(|join| (join.view.vulnerabilities.clone(), self.claim(version, join)))
            .collect();
        // Records with several ids speak of each; most have one.
        let mut by_vulnerability: Vec<(VulnerabilityId, usize)> = Vec::with_capacity(claims.len());
        for (at, (vulnerabilities, _)) in claims.iter().enumerate() {
            by_vulnerability.extend(
                vulnerabilities
                    .clone()
                    .map(|vulnerability| (vulnerability, at)),
            );
        }
        by_vulnerability.sort_unstable();
        let groups: Vec<&[(VulnerabilityId, usize)]> =
            by_vulnerability.chunk_by(|a, b| a.0 == b.0).collect();
        let mut findings: Vec<Finding<'a>> = groups
            .par_iter()
            .with_min_len(MANY)
            .filter_map(|group| {
                let &(vulnerability, _) = group.first()?;
                // Most findings have one claim, and there may be very many: not a byte in reserve.
                let mut own = Vec::with_capacity(group.len());
                own.extend(
                    group
                        .iter()
                        .filter_map(|&(_, at)| claims.get(at))
                        .map(|(_, claim)| claim.clone()),
                );
                self.finding(id, component, vulnerability, own).transpose()
            })
            .collect::<Result<_, Corrupt>>()?;
        findings.sort_by(|a, b| a.id.cmp(b.id));
        Ok(OfComponent {
            findings: Some(findings),
            context,
        })
    }

    /// What is said about products of the component's names that it is taken not to be: for
    /// `explain`, which must be able to say why nothing is reported.
    pub fn strangers(
        &self,
        component: &Component,
    ) -> Result<Vec<(EntryId, ProductView<'a>, Arc<Why>)>, Corrupt> {
        let joined = join(self.index, self.table, component)?;
        Ok(joined
            .strangers
            .into_iter()
            .map(|join| (join.entry, join.product, join.why))
            .collect())
    }

    /// Whether a name that a component has from one place is taken back by a row of the table.
    pub fn is_denied(&self, component: &Component, identity: &Identity) -> bool {
        let (vendor, product) = match identity {
            Identity::Name(name) => (None, name),
            Identity::Product(vendor, product) => (Some(vendor.as_str()), product),
            Identity::Package(_) | Identity::Repository(_) => return false,
        };
        let key = component.table_key();
        matches!(
            vendor::judge(component, self.table, &key, vendor, product.as_str(), None),
            Verdict::Other(Why::Reviewed { .. })
        )
    }

    fn claim(&self, version: Version<'_>, join: Join<'a>) -> Claim<'a> {
        let outcome = self.outcome(version, &join.view);
        let Join {
            entry,
            view,
            product,
            certainty,
            why,
        } = join;
        let EntryView {
            record,
            source,
            by,
            upstream,
            scheme,
            ..
        } = view;
        Claim {
            entry,
            record,
            source,
            by,
            upstream,
            product,
            certainty,
            why,
            scheme,
            outcome,
        }
    }

    /// What an entry says of a version.
    pub(crate) fn outcome(&self, version: Version<'_>, view: &EntryView<'a>) -> Outcome<'a> {
        if self.is_elsewhere(view.platforms) {
            return Outcome::OtherSystem(view.platforms);
        }
        match judge(version, view.scheme, view.default, view.rules.clone()) {
            Judgement::Inside { .. } if !view.only_with.is_empty() => {
                Outcome::Together(view.only_with.clone().collect())
            }
            Judgement::Inside { .. } if self.is_elsewhere(view.prose_platforms) => {
                Outcome::Unknown(Doubt::OtherSystem {
                    systems: view.prose_platforms.to_string(),
                })
            }
            Judgement::Inside { rule, fix } => Outcome::Inside { rule, fix },
            Judgement::Outside(why) => Outcome::Outside(why),
            Judgement::Unknown(doubt) => Outcome::Unknown(doubt),
        }
    }

    fn is_elsewhere(&self, systems: PlatformSet) -> bool {
        !systems.is_empty() && !systems.contains(self.options.platform)
    }

    fn finding(
        &self,
        component_id: ComponentId,
        component: &Component,
        vulnerability: VulnerabilityId,
        mut claims: Vec<Claim<'a>>,
    ) -> Result<Option<Finding<'a>>, Corrupt> {
        let Some((mut status, mut decision)) = resolve(&claims) else {
            return Ok(None);
        };
        // What is not affected needs neither patches nor the rest of the record.
        let id = self.index.id_of(vulnerability)?;
        let mut proofs = Vec::new();
        if matches!(status, Status::Affected | Status::NeedsReview) {
            let (withdrawn, fixes) = self.index.fixes_of(vulnerability)?;
            if withdrawn {
                (status, decision) = (Status::NotAffected, Decision::Withdrawn);
            } else {
                proofs = proofs_of(component, id, &fixes);
                let certain = claims
                    .iter()
                    .any(|claim| claim.certainty == Certainty::Sure);
                if certain && proofs.iter().any(|proof| proof.builds >= proof.of) {
                    status = Status::Patched;
                }
                (status, decision) = parts::weigh(component, id, &fixes, (status, decision));
            }
        }
        claims.sort_by_key(|claim| {
            (
                claim.certainty != Certainty::Sure,
                !claim.upstream,
                !claim.outcome.is_inside(),
                !claim.outcome.is_outside(),
            )
        });
        let fixed_in = fixed_in(&claims);
        Ok(Some(Finding {
            component: component_id,
            vulnerability,
            id,
            status,
            decision,
            claims,
            proofs,
            fixed_in,
        }))
    }
}

/// The patches of a component that have to do with a vulnerability.
fn proofs_of(component: &Component, id: &str, fixes: &[Commit]) -> Vec<PatchProof> {
    if component.patches.is_empty() && component.phase_cves.is_empty() {
        return Vec::new();
    }
    let cve: Option<CveId> = id.parse().ok();
    let of = component.known_builds.max(1);
    let mut proofs = Vec::new();
    for applied in &component.patches {
        let patch = &applied.what;
        let text = patch.text.as_ref();
        let commit = patch
            .commits
            .iter()
            .chain(text.into_iter().flat_map(|t| &t.commits))
            .find(|commit| fixes.binary_search(commit).is_ok());
        let named = |list: &[CveId]| cve.filter(|cve| list.contains(cve));
        let kind = match (
            commit,
            named(&patch.named_cves),
            text.and_then(|t| named(&t.cves)),
        ) {
            (Some(commit), _, _) => ProofKind::Commit(*commit),
            (None, Some(cve), _) => ProofKind::Name(cve),
            (None, None, Some(cve)) => ProofKind::Header(cve),
            (None, None, None) => continue,
        };
        proofs.push(PatchProof {
            patch: Some(patch.name.clone()),
            kind,
            builds: applied.builds,
            of,
        });
    }
    for applied in &component.phase_cves {
        if Some(applied.what) == cve {
            proofs.push(PatchProof {
                patch: None,
                kind: ProofKind::Phase(applied.what),
                builds: applied.builds,
                of,
            });
        }
    }
    proofs.sort_by(|a, b| (a.kind, &a.patch).cmp(&(b.kind, &b.patch)));
    proofs
}
