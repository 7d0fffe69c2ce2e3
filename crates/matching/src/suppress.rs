//! Suppressions: what a person decided before, and for how long.
//!
//! An entry names a component, an advisory and a reason. It comes from `snowguard.toml` or from a
//! VEX document; both are brought into [`Suppression`] by who reads them. An entry that is expired
//! suppresses nothing, and one that met nothing is told, so that the list does not rot.

use jiff::civil::Date;
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::identity::{Name, PackageKey, RepoKey};
use snowguard_advisory::index::ProductView;
use snowguard_inventory::component::{Component, Identity};
use snowguard_inventory::naming::Language;
use snowguard_inventory::{Inventory, Subject as Objects, naming};

use crate::finding::{Finding, Status};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppression {
    /// Which component.
    pub component: Subject,
    /// In which version; none for all.
    pub version: Option<Box<str>>,
    /// Which advisory, by any of its names.
    pub advisory: AdvisoryId,
    /// What was decided.
    pub verdict: Judged,
    /// Why, in the words of who decided.
    pub reason: Box<str>,
    /// Until which day, that day included; none for ever.
    pub expires: Option<Date>,
    /// Where it stands: file and place.
    pub origin: Box<str>,
    /// A page about it that others can read, if there is one.
    pub url: Option<Box<str>>,
}

/// What a decision says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// It is not affected, for one of VEX's reasons if one was given.
    NotAffected(Option<Justification>),
    /// It is fixed, whatever the version says.
    Fixed,
}

/// The justifications of OpenVEX and CISA's minimum requirements for VEX.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Justification {
    /// `component_not_present`
    ComponentNotPresent,
    /// `vulnerable_code_not_present`
    VulnerableCodeNotPresent,
    /// `vulnerable_code_not_in_execute_path`
    VulnerableCodeNotInExecutePath,
    /// `vulnerable_code_cannot_be_controlled_by_adversary`
    VulnerableCodeCannotBeControlledByAdversary,
    /// `inline_mitigations_already_exist`
    InlineMitigationsAlreadyExist,
}

impl Justification {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ComponentNotPresent,
        Self::VulnerableCodeNotPresent,
        Self::VulnerableCodeNotInExecutePath,
        Self::VulnerableCodeCannotBeControlledByAdversary,
        Self::InlineMitigationsAlreadyExist,
    ];

    /// The word of the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ComponentNotPresent => "component_not_present",
            Self::VulnerableCodeNotPresent => "vulnerable_code_not_present",
            Self::VulnerableCodeNotInExecutePath => "vulnerable_code_not_in_execute_path",
            Self::VulnerableCodeCannotBeControlledByAdversary => {
                "vulnerable_code_cannot_be_controlled_by_adversary"
            }
            Self::InlineMitigationsAlreadyExist => "inline_mitigations_already_exist",
        }
    }

    /// From the word of the specification.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|justification| justification.as_str() == word)
    }
}

/// How a decision names its component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// By the package's name: `openssl`, `python:werkzeug`, with or without the language.
    Name(Box<str>),
    /// By a package of a registry.
    Package(PackageKey),
    /// By a repository.
    Repository(RepoKey),
    /// By vendor and product.
    Product(Name, Name),
    /// By a store path of one of its outputs or its derivation.
    StorePath(Box<str>),
}

impl Subject {
    /// From a text as people write it: a purl, a CPE, a store path, or a package's name.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with("pkg:") {
            let key = PackageKey::from_purl(text).ok()?;
            return Some(match key.kind() {
                // Nix has no registered purl type: `generic` and `nix` carry the package's name.
                "generic" | "nix" => {
                    Self::Name(key.name().rsplit('/').next().unwrap_or(key.name()).into())
                }
                "github" => Self::Repository(RepoKey::from_url(&format!(
                    "https://github.com/{}",
                    key.name()
                ))?),
                _ => Self::Package(key),
            });
        }
        if text.starts_with("cpe:") {
            let cpe: snowguard_advisory::cpe::Cpe = text.parse().ok()?;
            return Some(Self::Product(
                Name::new(cpe.vendor.text()?)?,
                Name::new(cpe.product.text()?)?,
            ));
        }
        if text.starts_with('/') {
            return Some(Self::StorePath(text.into()));
        }
        (!text.is_empty() && text.len() <= 200).then(|| Self::Name(text.to_lowercase().into()))
    }

    fn is(&self, component: &Component, finding: &Finding<'_>, objects: &Objects) -> bool {
        match self {
            Self::Name(name) => {
                let own = naming::parse(name, Some(name), None).pname.to_lowercase();
                own == component.pname.to_lowercase() || **name == component.table_key()
            }
            Self::Package(key) => has(component, |i| matches!(i, Identity::Package(k) if k == key)),
            Self::Repository(key) => has(
                component,
                |i| matches!(i, Identity::Repository(k) if k == key),
            ),
            Self::Product(vendor, product) => {
                has(
                    component,
                    |i| matches!(i, Identity::Product(v, p) if v == vendor && p == product),
                ) || finding.claims.iter().any(|claim| {
                    // The advisory itself calls it so, and was found to mean this component.
                    matches!(claim.product, ProductView::Named { vendor: v, name: n, .. }
                        if v == Some(vendor.as_str()) && n == product.as_str())
                })
            }
            Self::StorePath(path) => {
                component.outputs.iter().any(|(_, output)| output == path)
                    || component
                        .nodes
                        .iter()
                        .filter_map(|node| objects.object(*node))
                        .any(|object| object.id == *path)
            }
        }
    }
}

/// Whether a decision is about a component's version. Go's modules are known by tags, which begin
/// with `v`; advisories and components leave that out.
fn is_version(version: &str, component: &Component) -> bool {
    let tag = || {
        version
            .strip_prefix('v')
            .filter(|_| component.language == Some(Language::Go))
    };
    *version == *component.version || tag() == Some(&*component.version)
}

fn has(component: &Component, is: impl Fn(&Identity) -> bool) -> bool {
    component
        .identities
        .iter()
        .any(|(identity, _)| is(identity))
}

/// What became of a list of decisions.
#[derive(Debug, Default)]
pub struct Applied {
    /// By finding: which decision suppresses it.
    pub by_finding: Vec<Option<usize>>,
    /// Decisions whose day has passed.
    pub expired: Vec<usize>,
    /// Decisions that met nothing that is affected or needs review.
    pub unused: Vec<usize>,
}

/// Applies decisions to findings. `aliases` gives the other names of a finding's advisory.
pub fn apply<'a>(
    suppressions: &[Suppression],
    objects: &Objects,
    inventory: &Inventory,
    findings: &[Finding<'a>],
    today: Date,
    aliases: impl Fn(&Finding<'a>) -> Vec<&'a str>,
) -> Applied {
    let is_expired = |s: &Suppression| s.expires.is_some_and(|day| day < today);
    let mut used = vec![false; suppressions.len()];
    let by_finding = findings
        .iter()
        .map(|finding| {
            if suppressions.is_empty()
                || !matches!(finding.status, Status::Affected | Status::NeedsReview)
            {
                return None;
            }
            let component = inventory.get(finding.component)?;
            let names = aliases(finding);
            let meets = |s: &Suppression| {
                let id = s.advisory.as_str();
                (id == finding.id || names.contains(&id))
                    && s.version
                        .as_ref()
                        .is_none_or(|version| is_version(version, component))
                    && s.component.is(component, finding, objects)
            };
            let mut chosen = None;
            for (at, suppression) in suppressions.iter().enumerate().filter(|(_, s)| meets(s)) {
                used[at] = true;
                if !is_expired(suppression) {
                    chosen.get_or_insert(at);
                }
            }
            chosen
        })
        .collect();
    let all = || suppressions.iter().enumerate();
    Applied {
        by_finding,
        expired: all()
            .filter(|(_, s)| is_expired(s))
            .map(|(at, _)| at)
            .collect(),
        unused: all()
            .filter(|(at, s)| !used[*at] && !is_expired(s))
            .map(|(at, _)| at)
            .collect(),
    }
}
