//! Whether a product of some vendor is this component: the rules, and the reasons they give.
//!
//! Names alone join strangers: Puppet's Bolt and the Thunderbolt daemon, Synology's Drive and a
//! Google Drive client. A vendor must be supported by something that is known about the component,
//! or by the reviewed table. Where a record names no vendor, the name decides, unless it is known
//! to be shared with products that are strangers.

use snowguard_advisory::authority::organisation;
use snowguard_advisory::identity::squeeze;
use snowguard_inventory::component::{Component, Identity, Reason};
use snowguard_inventory::naming::Language;
use snowguard_inventory::origin::MarkKind;
use snowguard_inventory::table::{IdentityTable, Relation};

/// Why a product is, or is not, a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// Package or repository are equal.
    Identity(Reason),
    /// The reviewed table, or the user's own, says so.
    Reviewed {
        /// The reason given there.
        reason: Box<str>,
        /// Whether it is the user's statement.
        by_user: bool,
    },
    /// The package states this very product.
    Stated(Reason),
    /// The vendor is called as the product is: CPE's habit for projects without a company.
    OwnName,
    /// The vendor's name stands in a URL of the component.
    Mark {
        /// Where in the URL.
        place: &'static str,
        /// The URL.
        url: Box<str>,
    },
    /// The record names no vendor and the name is not known to be shared.
    OnlyName,
    /// The record names a distribution, which ships this software under its name.
    Distribution,
    /// The record names no vendor and the name is shared with products of these vendors.
    SharedName(Vec<Box<str>>),
    /// The component is known by its name only.
    NothingKnown,
    /// Nothing that is known about the component speaks for this vendor.
    Stranger,
    /// It is made for another program or language.
    OtherTarget(Box<str>),
    /// A module of a language needs more than a name.
    ModuleName(Language),
    /// The vendor offers it, from a repository that is not called as the product is: a client.
    OtherRepository(Box<str>),
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Identity(reason) | Self::Stated(reason) => reason.fmt(f),
            Self::Reviewed {
                reason,
                by_user: false,
            } => write!(f, "reviewed: {reason}"),
            Self::Reviewed {
                reason,
                by_user: true,
            } => write!(f, "you say so: {reason}"),
            Self::OwnName => f.write_str("the vendor is called as the package is"),
            Self::Mark { place, url } => write!(f, "the vendor's name is {place} in {url}"),
            Self::OnlyName => f.write_str(
                "the record names no vendor, and no other product of that name is known",
            ),
            Self::Distribution => f.write_str(
                "the record names a distribution, which ships the package under its name",
            ),
            Self::SharedName(vendors) => {
                write!(
                    f,
                    "the record names no vendor, and the name is shared with products of {}",
                    vendors.join(", ")
                )
            }
            Self::NothingKnown => f.write_str("nothing but the package's name is known"),
            Self::Stranger => {
                f.write_str("nothing that is known about the package speaks for this vendor")
            }
            Self::OtherTarget(target) => write!(f, "that product is made for {target}"),
            Self::ModuleName(language) => {
                write!(
                    f,
                    "a {} module of that name need not be that product",
                    language.as_str()
                )
            }
            Self::OtherRepository(repository) => write!(
                f,
                "the vendor has the package in {repository}, which is not called as that product is"
            ),
        }
    }
}

/// What the rules say of a product and a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the component.
    Same(Why),
    /// The record names nobody: other records about the name decide.
    Neutral(Why),
    /// It may be.
    Unsure(Why),
    /// It is another thing.
    Other(Why),
}

/// Judges a product by name. `vendor` and `target` are in normal form.
pub(crate) fn judge(
    component: &Component,
    table: &IdentityTable,
    key: &str,
    vendor: Option<&str>,
    product: &str,
    target: Option<&str>,
) -> Verdict {
    let reviewed = table.product(key, &component.marks, vendor, product);
    let by_table = reviewed.map(|verdict| {
        let why = Why::Reviewed {
            reason: verdict.reason.into(),
            by_user: verdict.by_user,
        };
        match verdict.relation {
            Relation::Is => Verdict::Same(why),
            Relation::Not => Verdict::Other(why),
        }
    });
    // A row of the built-in table does not mean the product's namesakes in other languages. Users are
    // taken at their word.
    if reviewed.is_some_and(|verdict| verdict.by_user || verdict.relation == Relation::Not)
        && let Some(verdict) = by_table
    {
        return verdict;
    }
    let known_target = target.and_then(language_of_target);
    if let (Some(own), Some(of), Some(target)) = (component.language, &known_target, target)
        && !of.may_be(own)
    {
        return Verdict::Other(Why::OtherTarget(target.into()));
    }
    if let Some(verdict) = by_table {
        return verdict;
    }
    let stated = component.identities.iter().find(|(identity, _)| {
        matches!(identity, Identity::Product(v, p) if Some(v.as_str()) == vendor && p.as_str() == product)
    });
    if let Some((_, reason)) = stated {
        return Verdict::Same(Why::Stated(reason.clone()));
    }
    if let (Some(target), None) = (target, &known_target) {
        return Verdict::Other(Why::OtherTarget(target.into()));
    }
    let fits_language =
        component.language.is_some() && matches!(known_target, Some(Target::Language(_)));
    let Some(vendor) = vendor else {
        return match component.language {
            Some(_) if fits_language => Verdict::Same(Why::OwnName),
            Some(language) => Verdict::Other(Why::ModuleName(language)),
            None => Verdict::Neutral(Why::OnlyName),
        };
    };
    match mark(component, vendor, product, fits_language) {
        Some(Ok(why)) => return Verdict::Same(why),
        Some(Err(repository)) => return Verdict::Other(Why::OtherRepository(repository)),
        None => {}
    }
    let squeezed = squeeze(vendor);
    let own = squeeze(product);
    let is_own =
        squeezed == own || squeeze(&component.pname) == squeezed || organisation(&squeezed) == own;
    if is_own {
        return match (component.language, target) {
            (Some(language), _) if !fits_language => Verdict::Other(Why::ModuleName(language)),
            // A program may be written in that language, but then it is called as the product is:
            // GNU tar is not the `tar` of Node.js.
            (None, Some(target))
                if matches!(known_target, Some(Target::Language(_)))
                    && squeeze(&component.pname) != own =>
            {
                Verdict::Other(Why::OtherTarget(target.into()))
            }
            _ => Verdict::Same(Why::OwnName),
        };
    }
    if component.language.is_none() && is_distribution(&squeezed) {
        return Verdict::Neutral(Why::Distribution);
    }
    if fits_language && component.marks.is_empty() {
        return Verdict::Same(Why::OwnName);
    }
    if component.marks.is_empty() {
        Verdict::Unsure(Why::NothingKnown)
    } else {
        Verdict::Other(Why::Stranger)
    }
}

/// Finds the vendor's name among what is known of the component's URLs; the repository, if it is
/// there only as the owner of one with another of its products.
fn mark(
    component: &Component,
    vendor: &str,
    product: &str,
    fits_language: bool,
) -> Option<Result<Why, Box<str>>> {
    let squeezed = squeeze(vendor);
    let core = core(&squeezed);
    let own = squeeze(product);
    // `org.apache.kafka` is Apache's: Maven groups stand in the vendor field at times.
    let parts: Vec<&str> = if vendor.matches('.').count() > 1 {
        vendor
            .split('.')
            .filter(|part| part.len() > 2 && !matches!(*part, "org" | "com" | "net"))
            .collect()
    } else {
        Vec::new()
    };
    let pname = squeeze(&component.pname);
    let mut elsewhere = None;
    for (mark, url) in &component.marks {
        // That the product's own name stands in its URL says nothing about a vendor.
        let word = mark.word.as_str();
        let says = word == squeezed
            || (core.len() > 2 && core != own && (word == core || self::core(word) == core))
            || (parts.iter().any(|part| *part == word && *part != own));
        // `/release/NAME` in a registry, `/NAME/` on a page: that is the package, and not who made it.
        let is_own_page = mark.kind == MarkKind::Directory && (word == own || word == pname);
        if !says || is_own_page {
            continue;
        }
        if component.language.is_some()
            && !fits_language
            && mark.kind == MarkKind::Owner
            && let Some(repository) = client(component, word, &squeezed, product)
        {
            elsewhere.get_or_insert(Err(repository));
            continue;
        }
        return Some(Ok(Why::Mark {
            place: mark.kind.as_str(),
            url: url.clone(),
        }));
    }
    elsewhere
}

/// The repository of a module that its owner offers for another of its products: `minio/minio-py`
/// is not `minio:minio`, the server. An owner whose other product is called quite otherwise says
/// nothing: `mongodb/mongo-python-driver` is `mongodb:pymongo`.
fn client(component: &Component, owner: &str, vendor: &str, product: &str) -> Option<Box<str>> {
    let own = squeeze(product);
    let mut of_owner = component
        .identities
        .iter()
        .filter_map(|(identity, _)| match identity {
            Identity::Repository(repository) => Some(repository),
            _ => None,
        })
        .filter(|repository| {
            let mut parts = repository.as_str().split('/');
            parts.nth(1).is_some_and(|name| squeeze(name) == owner)
        })
        .peekable();
    let first = *of_owner.peek()?;
    let is_client = of_owner.all(|repository| {
        let name = dashed(repository.name());
        squeeze(&name) != own && (vendor == own || name.contains(&dashed(product)))
    });
    is_client.then(|| first.as_str().into())
}

/// A name between dashes, and with nothing else between its words.
fn dashed(name: &str) -> String {
    format!("-{}-", name.to_lowercase().replace(['_', '.', ' '], "-"))
}

/// A vendor's name without article and legal form: `thetcpdumpgroup` is `tcpdump`.
fn core(squeezed: &str) -> &str {
    let name = squeezed
        .strip_prefix("the")
        .filter(|rest| rest.len() > 3)
        .unwrap_or(squeezed);
    organisation(name)
}

/// Distributions and foundations that file records under their own name for others' software.
fn is_distribution(squeezed: &str) -> bool {
    matches!(
        squeezed,
        "redhat"
            | "debian"
            | "fedora"
            | "fedoraproject"
            | "suse"
            | "opensuse"
            | "canonical"
            | "ubuntu"
            | "gentoo"
            | "linuxfoundation"
            | "freedesktop"
            | "gnu"
            | "apachesoftwarefoundation"
            | "archlinux"
            | "centos"
            | "oraclelinux"
    )
}

enum Target {
    Language(Language),
    /// A language whose modules are not told apart from programs.
    Foreign,
    /// Says nothing about whose it is: an operating system is looked at elsewhere.
    Nothing,
}

impl Target {
    /// Whether a module of a language may be software for this.
    fn may_be(&self, own: Language) -> bool {
        match self {
            Self::Language(language) => *language == own,
            Self::Foreign => false,
            Self::Nothing => true,
        }
    }
}

/// The language of a CPE's target software; none for a program whose plugin the product is.
fn language_of_target(target: &str) -> Option<Target> {
    Some(match target {
        "python" | "pypi" => Target::Language(Language::Python),
        "node.js" | "nodejs" | "npm" => Target::Language(Language::Node),
        "ruby" | "rails" | "gem" => Target::Language(Language::Ruby),
        "perl" => Target::Language(Language::Perl),
        "php" => Target::Language(Language::Php),
        "r" => Target::Language(Language::R),
        "go" | "golang" | "rust" | "maven" | "java" => Target::Foreign,
        ".net" => Target::Language(Language::Dotnet),
        "linux" | "unix" | "-" | "x64" | "x86" | "windows" | "macos" | "mac-os-x"
        | "linux-kernel" | "docker" | "enterprise" | "electron" | "open-source" | "community" => {
            Target::Nothing
        }
        _ => return None,
    })
}
