//! Components: what the objects of a subject are, as packages that advisories could be about.

mod assemble;
mod draft;
mod paths;

use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_advisory::id::CveId;
use snowguard_advisory::identity::{Name, PackageKey, RepoKey};
use snowguard_closure::NodeId;

use self::assemble::assemble;
use self::draft::{Finding, Group, Key, add_declarations};
pub(crate) use self::paths::{OutputPaths, patch, sources_of};
use crate::inside::{Host, OtherVersion, Place};
use crate::naming::Language;
use crate::origin::Mark;
use crate::patch::Patch;
use crate::subject::{Nature, Role, Subject};
use crate::table::IdentityTable;

/// All components of a subject.
#[derive(Debug)]
pub struct Inventory {
    /// The components, by name and version.
    pub components: Vec<Component>,
    /// How many objects are sources, patches and downloads.
    pub sources: usize,
    /// How many objects have no version: scripts, hooks, configuration.
    pub unversioned: usize,
}

/// The number of a component in its inventory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentId(pub u32);

/// A package in one version, however many times it is built.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name, without language prefix: `werkzeug`, `openssl`.
    pub pname: Box<str>,
    /// Its version, as Nixpkgs has it.
    pub version: Box<str>,
    /// The language whose module it is.
    pub language: Option<Language>,
    /// The objects that are it; none of what is only found inside of others.
    pub nodes: Vec<NodeId>,
    /// Attribute paths, in a package set.
    pub attrs: Vec<Box<str>>,
    /// Output names and paths.
    pub outputs: Vec<(Box<str>, Box<str>)>,
    /// What it is called elsewhere, with a reason each.
    pub identities: Vec<(Identity, Reason)>,
    /// Words that may be its vendor's name, with the URL in which they stand.
    pub marks: Vec<(Mark, Box<str>)>,
    /// Its sources: store path and URLs.
    pub sources: Vec<Source>,
    /// Patches of any of its builds.
    pub patches: Vec<Applied<Patch>>,
    /// CVEs that the build phases of any of its builds speak of.
    pub phase_cves: Vec<Applied<CveId>>,
    /// Whether it is there at run time.
    pub scope: Scope,
    /// How many of its builds could be looked into: the rest have no readable `.drv`.
    pub known_builds: usize,
    /// Marked insecure by Nixpkgs itself.
    pub known_vulnerabilities: Vec<Box<str>>,
    /// Where bytes declare it: in its own objects, and in others.
    pub places: Vec<Place>,
    /// The others: objects that contain it.
    pub hosts: Vec<Arc<Host>>,
    /// Other versions that its own bytes declare of it.
    pub other_versions: Vec<OtherVersion>,
    /// It is of the project's own tree, as its bytes say: no registry has it.
    pub is_local: bool,
}

impl Component {
    /// Whether it is found inside of other objects only.
    pub fn is_part(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The objects that are it, else those that contain it.
    pub fn whereabouts(&self) -> Vec<NodeId> {
        if self.is_part() {
            self.hosts.iter().map(|host| host.node).collect()
        } else {
            self.nodes.clone()
        }
    }

    /// The name under which the reviewed table has it: `falcon`, `python:falcon`.
    pub fn table_key(&self) -> String {
        table_key(self.language, &self.pname)
    }

    /// Whether anything but its own name is known about it.
    pub fn is_identified(&self) -> bool {
        !self.marks.is_empty()
            || self
                .identities
                .iter()
                .any(|(_, reason)| !matches!(reason, Reason::Pname | Reason::Attribute(_)))
    }
}

/// A source of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its store path.
    pub path: Box<str>,
    /// Where it is fetched from.
    pub urls: Vec<Box<str>>,
}

/// Something that builds of a component have, and how many of them have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied<T> {
    /// The thing.
    pub what: T,
    /// How many of the component's known builds have it.
    pub builds: usize,
}

/// What a component is called elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Identity {
    /// A product name, whose vendor must fit.
    Name(Name),
    /// A product of exactly this vendor.
    Product(Name, Name),
    /// A package of a registry.
    Package(PackageKey),
    /// A source repository.
    Repository(RepoKey),
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Product(vendor, product) => write!(f, "{vendor}:{product}"),
            Self::Package(key) => key.fmt(f),
            Self::Repository(key) => key.fmt(f),
        }
    }
}

/// Why a component has an identity.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is the package's own name.
    Pname,
    /// It is the package's attribute in the set.
    Attribute(Box<str>),
    /// The package states it in `meta.identifiers`.
    Stated,
    /// The document states it.
    Document,
    /// The reviewed table says so, for the reason given.
    Reviewed {
        /// The table's reason.
        reason: Box<str>,
        /// Whether it is the user's own statement.
        by_user: bool,
    },
    /// Its source is fetched from there.
    SourceUrl(Box<str>),
    /// Its home page is there.
    Homepage(Box<str>),
    /// It is a module of that language under that name.
    Module(Language),
    /// It is built by that tool, whose packages are called as the program is.
    Toolchain(&'static str),
    /// Bytes declare it.
    Declared {
        /// What declares it: `cargo-auditable`, `dist-info`.
        by: Arc<str>,
        /// In which file.
        file: Arc<str>,
    },
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pname => f.write_str("it is the package's name"),
            Self::Attribute(attr) => write!(f, "the package set calls it {attr}"),
            Self::Stated => f.write_str("the package states it in meta.identifiers"),
            Self::Document => f.write_str("the document states it"),
            Self::Reviewed {
                reason,
                by_user: false,
            } => write!(f, "reviewed: {reason}"),
            Self::Reviewed {
                reason,
                by_user: true,
            } => write!(f, "you say so: {reason}"),
            Self::SourceUrl(url) => write!(f, "its source is fetched from {url}"),
            Self::Homepage(url) => write!(f, "its home page is {url}"),
            Self::Module(language) => {
                write!(f, "it is a {} module of that name", language.as_str())
            }
            Self::Declared { by, file } if file.is_empty() => {
                write!(f, "its own bytes declare it ({by})")
            }
            Self::Declared { by, file } => write!(f, "{file} declares it ({by})"),
            Self::Toolchain(tool) => write!(
                f,
                "it is built with {tool}, whose packages are called as the program is"
            ),
        }
    }
}

/// Whether a component is there at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// References prove it.
    RunTime,
    /// References prove that it is needed for building only.
    BuildTime,
    /// Nothing proves either.
    Unknown,
}

impl Scope {
    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunTime => "run-time",
            Self::BuildTime => "build-time",
            Self::Unknown => "unknown",
        }
    }
}

impl Inventory {
    /// Finds the components of a subject.
    pub fn of(subject: &Subject, table: &IdentityTable) -> Self {
        let paths = OutputPaths::of(subject);
        let nodes: Vec<NodeId> = subject.graph.nodes().collect();
        let drafts: Vec<Finding<'_>> = nodes
            .par_iter()
            .zip(&subject.objects)
            .filter(|(_, object)| object.role == Role::Part)
            .map(|(&node, object)| match subject.nature {
                // A directory is called as someone pleases.
                Nature::Files => Finding::Unversioned,
                _ => Finding::of(node, object, &paths),
            })
            .collect();
        let mut groups: FxHashMap<Key<'_>, Group<'_>> = FxHashMap::default();
        let (mut sources, mut unversioned) = (0, 0);
        let mut recipes_of_packages = rustc_hash::FxHashSet::default();
        for finding in &drafts {
            if let Finding::Component(draft) = finding {
                recipes_of_packages.extend(
                    draft
                        .object
                        .meta
                        .as_ref()
                        .and_then(|meta| meta.drv_path.as_deref()),
                );
            }
        }
        for finding in &drafts {
            match finding {
                Finding::Source => sources += 1,
                Finding::Unversioned => unversioned += 1,
                // A package of a set and its derivation are one thing.
                Finding::Component(draft)
                    if draft.object.meta.is_none()
                        && recipes_of_packages.contains(&*draft.object.id) => {}
                Finding::Component(draft) => {
                    groups.entry(draft.key()).or_default().drafts.push(draft);
                }
            }
        }
        let hosts = add_declarations(subject, &paths, &drafts, &mut groups);
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by(|((la, pa, va), _), ((lb, pb, vb), _)| (pa, va, la).cmp(&(pb, vb, lb)));
        let components = groups
            .into_par_iter()
            .map(|(key, group)| assemble(subject, &paths, table, &hosts, &key, &group))
            .collect();
        Self {
            components,
            sources,
            unversioned,
        }
    }

    /// A component by number.
    pub fn get(&self, id: ComponentId) -> Option<&Component> {
        self.components.get(id.0 as usize)
    }

    /// All components with their numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (ComponentId, &Component)> {
        self.components.iter().enumerate().map(|(at, component)| {
            // As many components as objects, which are numbered in 32 bits.
            (
                ComponentId(u32::try_from(at).unwrap_or(u32::MAX)),
                component,
            )
        })
    }
}

/// The key of a package in the reviewed table: its name in lower case after its language.
pub fn table_key(language: Option<Language>, pname: &str) -> String {
    let pname = pname.to_lowercase();
    match language {
        Some(language) => format!("{}:{pname}", language.as_str().to_lowercase()),
        None => pname,
    }
}
