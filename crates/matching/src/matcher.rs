//! The join: components against the index.

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_advisory::id::CveId;
use snowguard_advisory::index::{
    Corrupt, EntryId, EntryView, Index, Key, ProductView, VulnerabilityId,
};
use snowguard_advisory::order::{Doubt, Version};
use snowguard_advisory::range::{Judgement, judge};
use snowguard_advisory::record::Platform;
use snowguard_inventory::component::{Component, Identity, Reason};
use snowguard_inventory::{ComponentId, IdentityTable, Inventory};

use crate::claim::{Certainty, Claim, Outcome};
use crate::finding::{Decision, Finding, PatchProof, ProofKind, Status};
use crate::resolve::{fixed_in, resolve};
use crate::vendor::{self, Verdict, Why};

/// Joins components with an index.
#[derive(Clone, Copy)]
pub struct Matcher<'a> {
    index: Index<'a>,
    table: &'a IdentityTable,
    options: Options,
}

/// Settings of a [`Matcher`].
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The system on which the components run.
    pub platform: Platform,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            platform: Platform::Linux,
        }
    }
}

/// All findings of an inventory.
#[derive(Debug, Default)]
pub struct Matches<'a> {
    /// Findings by component, then by id.
    pub findings: Vec<Finding<'a>>,
    /// Components about whose identities the index says nothing.
    pub unheard_of: Vec<ComponentId>,
}

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
    pub fn run(&self, inventory: &Inventory) -> Result<Matches<'a>, Corrupt> {
        let components: Vec<(ComponentId, &Component)> = inventory.iter().collect();
        let found: Vec<(ComponentId, Option<Vec<Finding<'a>>>)> = components
            .par_iter()
            .map(|&(id, component)| Ok((id, self.component(id, component)?)))
            .collect::<Result<_, Corrupt>>()?;
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
        let mut heard_of = false;
        let mut by_vulnerability: FxHashMap<VulnerabilityId, Vec<Claim<'a>>> = FxHashMap::default();
        let claims = self.claims(component, &mut heard_of, &mut |_, _, _| {})?;
        for (vulnerabilities, claim) in claims {
            for vulnerability in vulnerabilities {
                by_vulnerability
                    .entry(vulnerability)
                    .or_default()
                    .push(claim.clone());
            }
        }
        if !heard_of {
            return Ok(None);
        }
        let mut findings = Vec::with_capacity(by_vulnerability.len());
        for (vulnerability, claims) in by_vulnerability {
            findings.extend(self.finding(id, component, vulnerability, claims)?);
        }
        findings.sort_by(|a, b| a.id.cmp(b.id));
        Ok(Some(findings))
    }

    /// What is said about products of the component's names that it is taken not to be: for
    /// `explain`, which must be able to say why nothing is reported.
    pub fn strangers(
        &self,
        component: &Component,
    ) -> Result<Vec<(EntryId, ProductView<'a>, Why)>, Corrupt> {
        let mut strangers = Vec::new();
        let mut heard_of = false;
        self.claims(component, &mut heard_of, &mut |entry, product, why| {
            strangers.push((entry, product, why));
        })?;
        Ok(strangers)
    }

    /// All claims about a component, each with the vulnerabilities of which its record speaks.
    fn claims(
        &self,
        component: &Component,
        heard_of: &mut bool,
        stranger: &mut dyn FnMut(EntryId, ProductView<'a>, Why),
    ) -> Result<Vec<(Vec<VulnerabilityId>, Claim<'a>)>, Corrupt> {
        let mut claims: Vec<(Vec<VulnerabilityId>, Claim<'a>)> = Vec::new();
        let mut taken: FxHashMap<EntryId, usize> = FxHashMap::default();
        let version = Version::new(&component.version);
        let mut take = |entry: EntryId, view: EntryView<'a>, product, certainty, why: Why| {
            if let Some(&at) = taken.get(&entry) {
                let known: &mut Claim<'a> = &mut claims[at].1;
                if certainty > known.certainty {
                    (known.certainty, known.why, known.product) = (certainty, why, product);
                }
                return;
            }
            taken.insert(entry, claims.len());
            let outcome = self.outcome(version, &view);
            let EntryView {
                record,
                source,
                by,
                upstream,
                scheme,
                vulnerabilities,
                ..
            } = view;
            let claim = Claim {
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
            };
            claims.push((vulnerabilities, claim));
        };
        let key = component.table_key();
        for (identity, reason) in &component.identities {
            match identity {
                Identity::Package(package) => {
                    for entry in self.index.lookup(Key::Package(package))? {
                        *heard_of = true;
                        let view = self.index.entry(entry)?;
                        let product = joined(
                            &view,
                            |p| matches!(p, ProductView::Package(k) if *k == package.as_str()),
                        );
                        take(
                            entry,
                            view,
                            product,
                            Certainty::Sure,
                            Why::Identity(reason.clone()),
                        );
                    }
                }
                Identity::Repository(repository) => {
                    // A home page in a repository is often that of the project around the package.
                    let own = vendor_free(repository.name()) == vendor_free(&component.pname);
                    if matches!(reason, Reason::Homepage(_)) && !own {
                        continue;
                    }
                    for entry in self.index.lookup(Key::Repository(repository))? {
                        *heard_of = true;
                        let view = self.index.entry(entry)?;
                        let product = joined(
                            &view,
                            |p| matches!(p, ProductView::Repository(k) if *k == repository.as_str()),
                        );
                        take(
                            entry,
                            view,
                            product,
                            Certainty::Sure,
                            Why::Identity(reason.clone()),
                        );
                    }
                }
                Identity::Name(name) | Identity::Product(_, name) => {
                    let entries = self.index.lookup(Key::Name(name))?;
                    *heard_of |= entries.len() > 0;
                    let views = entries
                        .map(|entry| Ok((entry, self.index.entry(entry)?)))
                        .collect::<Result<Vec<_>, Corrupt>>()?;
                    self.by_name(component, &key, name.as_str(), views, &mut take, stranger);
                }
            }
        }
        Ok(claims)
    }

    /// Joins entries that share a name with the component.
    fn by_name(
        &self,
        component: &Component,
        key: &str,
        name: &str,
        views: Vec<(EntryId, EntryView<'a>)>,
        take: &mut dyn FnMut(EntryId, EntryView<'a>, ProductView<'a>, Certainty, Why),
        stranger: &mut dyn FnMut(EntryId, ProductView<'a>, Why),
    ) {
        let mut verdicts: FxHashMap<(Option<&'a str>, Option<&'a str>), Verdict> =
            FxHashMap::default();
        for (_, view) in &views {
            for product in &view.products {
                if let ProductView::Named {
                    name: named,
                    vendor,
                    target_software,
                    ..
                } = *product
                    && named == name
                {
                    verdicts
                        .entry((vendor, target_software))
                        .or_insert_with(|| {
                            vendor::judge(component, self.table, key, vendor, name, target_software)
                        });
                }
            }
        }
        let confirmed = verdicts
            .values()
            .any(|verdict| matches!(verdict, Verdict::Same(_)));
        let mut rivals: Vec<Box<str>> = verdicts
            .iter()
            .filter(|(_, verdict)| {
                matches!(
                    verdict,
                    Verdict::Other(Why::Stranger | Why::Reviewed { .. })
                )
            })
            .filter_map(|((vendor, _), _)| vendor.map(Into::into))
            .collect();
        rivals.sort();
        rivals.truncate(4);
        for (entry, view) in views {
            let mut best: Option<(Certainty, ProductView<'a>, Why)> = None;
            let mut against: Option<(ProductView<'a>, Why)> = None;
            for product in &view.products {
                let ProductView::Named {
                    name: named,
                    vendor,
                    target_software,
                    ..
                } = *product
                else {
                    continue;
                };
                if named != name {
                    continue;
                }
                let offer = match verdicts.get(&(vendor, target_software)) {
                    Some(Verdict::Same(why)) => Some((Certainty::Sure, why.clone())),
                    Some(Verdict::Neutral(why)) if confirmed || rivals.is_empty() => {
                        Some((Certainty::Sure, why.clone()))
                    }
                    Some(Verdict::Neutral(_)) => {
                        Some((Certainty::Unsure, Why::SharedName(rivals.clone())))
                    }
                    Some(Verdict::Unsure(why)) => Some((Certainty::Unsure, why.clone())),
                    Some(Verdict::Other(why)) => {
                        against = Some((*product, why.clone()));
                        None
                    }
                    None => None,
                };
                if let Some((certainty, why)) = offer
                    && best.as_ref().is_none_or(|(known, ..)| certainty > *known)
                {
                    best = Some((certainty, *product, why));
                }
            }
            // An entry that names a stranger for certain is about the stranger, whatever a vendor-less
            // spelling in it says.
            match (best, against) {
                (Some((Certainty::Unsure, ..)) | None, Some((product, why))) => {
                    stranger(entry, product, why);
                }
                (Some((certainty, product, why)), _) => take(entry, view, product, certainty, why),
                (None, None) => {}
            }
        }
    }

    fn outcome(&self, version: Version<'_>, view: &EntryView<'a>) -> Outcome<'a> {
        if self.is_elsewhere(&view.platforms) {
            return Outcome::OtherSystem(view.platforms.clone());
        }
        match judge(version, view.scheme, view.default, view.rules.clone()) {
            Judgement::Inside { .. } if !view.only_with.is_empty() => {
                Outcome::Together(view.only_with.clone())
            }
            Judgement::Inside { .. } if self.is_elsewhere(&view.prose_platforms) => {
                let systems: Vec<&str> = view.prose_platforms.iter().map(|p| p.as_str()).collect();
                Outcome::Unknown(Doubt::OtherSystem {
                    systems: systems.join(" and "),
                })
            }
            Judgement::Inside { rule, fix } => Outcome::Inside { rule, fix },
            Judgement::Outside(why) => Outcome::Outside(why),
            Judgement::Unknown(doubt) => Outcome::Unknown(doubt),
        }
    }

    fn is_elsewhere(&self, systems: &[Platform]) -> bool {
        !systems.is_empty() && !systems.contains(&self.options.platform)
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
            let record = self.index.vulnerability(vulnerability)?;
            if record.withdrawn {
                (status, decision) = (Status::NotAffected, Decision::Withdrawn);
            } else {
                proofs = proofs_of(component, id, &record.fixes);
                let certain = claims
                    .iter()
                    .any(|claim| claim.certainty == Certainty::Sure);
                if certain && proofs.iter().any(|proof| proof.builds >= proof.of) {
                    status = Status::Patched;
                }
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

/// The product of an entry that joined.
fn joined<'a>(view: &EntryView<'a>, is: impl Fn(&&ProductView<'a>) -> bool) -> ProductView<'a> {
    let first = view
        .products
        .first()
        .copied()
        .unwrap_or(ProductView::Package(""));
    view.products.iter().find(is).copied().unwrap_or(first)
}

fn vendor_free(name: &str) -> String {
    snowguard_advisory::identity::squeeze(name)
}

/// The patches of a component that have to do with a vulnerability.
fn proofs_of(
    component: &Component,
    id: &str,
    fixes: &[snowguard_advisory::record::Commit],
) -> Vec<PatchProof> {
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
