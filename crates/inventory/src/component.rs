//! Components: what the objects of a subject are, as packages that advisories could be about.

use std::borrow::Cow;
use std::sync::Arc;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_advisory::id::CveId;
use snowguard_advisory::identity::{Name, PackageKey, RepoKey};
use snowguard_closure::NodeId;

use crate::built::Built;
use crate::inside::{self, Concern, Declaration, Host, Hosts, Origin, OtherVersion, Place, Proof};
use crate::naming::{self, Language};
use crate::origin::Mark;
use crate::patch::Patch;
use crate::recipe::Recipe;
use crate::subject::{Nature, Object, Role, Subject};
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

/// What an object turned out to be.
enum Finding<'s> {
    Source,
    Unversioned,
    Component(Draft<'s>),
}

struct Draft<'s> {
    node: NodeId,
    object: &'s Object,
    recipe: Option<&'s Recipe>,
    language: Option<Language>,
    pname: &'s str,
    version: &'s str,
}

/// By what packages are told apart: language, name in lower case, version.
type Key<'s> = (Option<Language>, String, &'s str);

/// What is one package.
#[derive(Default)]
struct Group<'s> {
    /// Objects that are it.
    drafts: Vec<&'s Draft<'s>>,
    /// What bytes say of it.
    declared: Vec<&'s Declaration>,
    /// What its own bytes say otherwise.
    otherwise: Vec<&'s Declaration>,
}

impl<'s> Draft<'s> {
    /// Whether how it is built is known.
    fn is_known(&self) -> bool {
        self.recipe.is_some() || self.object.built.is_some()
    }

    fn key(&self) -> Key<'s> {
        let name = match self.language {
            // As the registry spells it, so that what the bytes declare is the same package.
            Some(Language::Python) => PackageKey::new("pypi", self.pname)
                .map_or_else(|_| self.pname.to_lowercase(), |key| key.name().to_owned()),
            _ => self.pname.to_lowercase(),
        };
        (self.language, name, self.version)
    }
}

/// Puts what bytes declare to the packages that it is about; gives the objects in which something
/// is declared.
fn add_declarations<'s>(
    subject: &'s Subject,
    paths: &OutputPaths<'_>,
    drafts: &'s [Finding<'s>],
    groups: &mut FxHashMap<Key<'s>, Group<'s>>,
) -> Hosts {
    let mut hosts = Hosts::default();
    if subject.inside.is_empty() {
        return hosts;
    }
    let drafts: FxHashMap<NodeId, &'s Draft<'s>> = drafts
        .iter()
        .filter_map(|finding| match finding {
            Finding::Component(draft) => Some((draft.node, draft)),
            Finding::Source | Finding::Unversioned => None,
        })
        .collect();
    for declaration in &subject.inside {
        let node = declaration.place.node;
        let host = drafts.get(&node);
        hosts
            .entry(node)
            .or_insert_with(|| Arc::new(make_host(subject, paths, node, host.copied())));
        let concern = host.map(|host| {
            let concern = inside::concern(declaration, host.pname, host.version, host.language);
            (concern, host.key())
        });
        match concern {
            Some((Concern::Itself, key)) => {
                groups.entry(key).or_default().declared.push(declaration);
            }
            Some((Concern::ItselfOtherwise, key)) => {
                groups.entry(key).or_default().otherwise.push(declaration);
            }
            // What has no version can be held against nothing.
            Some((Concern::Inside, _)) | None if declaration.version.is_empty() => {}
            Some((Concern::Inside, _)) | None => {
                let key = (
                    Language::of_package(&declaration.package),
                    declaration.package.name().to_lowercase(),
                    &*declaration.version,
                );
                groups.entry(key).or_default().declared.push(declaration);
            }
        }
    }
    hosts
}

fn make_host(
    subject: &Subject,
    paths: &OutputPaths<'_>,
    node: NodeId,
    draft: Option<&Draft<'_>>,
) -> Host {
    let object = subject.object(node);
    let recipe = draft
        .and_then(|draft| draft.recipe)
        .or_else(|| object?.recipe.as_deref());
    let label = match draft {
        Some(draft) => format!("{} {}", draft.pname, draft.version),
        None => object.map_or(String::new(), |object| {
            object
                .name
                .strip_suffix(".drv")
                .unwrap_or(&object.name)
                .to_owned()
        }),
    };
    Host {
        node,
        label: label.into(),
        patches: recipe
            .into_iter()
            .flat_map(|recipe| &recipe.patches)
            .map(|path| patch(path, paths))
            .collect(),
        phase_cves: recipe.map_or_else(Vec::new, |recipe| recipe.phase_cves.clone()),
    }
}

impl<'s> Finding<'s> {
    fn of(node: NodeId, object: &'s Object, paths: &OutputPaths<'s>) -> Self {
        let recipe = paths.recipe_of(object);
        if recipe.is_some_and(|recipe| recipe.fixed) && object.meta.is_none() {
            return Self::Source;
        }
        let mut draft = Draft {
            node,
            object,
            recipe,
            language: None,
            pname: "",
            version: "",
        };
        if let Some(meta) = object.meta.as_deref() {
            let parsed = naming::parse_evaluated(
                &meta.attr,
                &object.name,
                meta.pname.as_deref(),
                meta.version.as_deref(),
            );
            (draft.language, draft.pname, draft.version) =
                (parsed.language, parsed.pname, parsed.version);
        } else if let Some(stated) = object.stated.as_deref() {
            let parsed = naming::parse(&object.name, None, stated.version.as_deref());
            let by_purl = || {
                stated
                    .purls
                    .iter()
                    .find_map(|purl| Language::of_registry(purl.kind()))
            };
            draft.language = parsed.language.or_else(by_purl);
            draft.version = parsed.version;
            draft.pname = if stated.version.is_some() {
                naming::parse(&object.name, Some(&object.name), None).pname
            } else {
                parsed.pname
            };
            // Some documents give Go's standard library the name of the toolchain's release.
            if draft.language == Some(Language::Go) && draft.pname == "stdlib" {
                let version = draft.version;
                draft.version = version.strip_prefix("go").unwrap_or(version);
            }
        } else if let Some(recipe) = recipe {
            let name = object.name.strip_suffix(".drv").unwrap_or(&object.name);
            if recipe.pname.is_none() && !naming::is_of_package(name) {
                return Self::Unversioned;
            }
            let parsed = naming::parse(name, recipe.pname.as_deref(), recipe.version.as_deref());
            draft.language = parsed.language;
            (draft.pname, draft.version) = (parsed.pname, parsed.version);
        } else {
            let name = object.name.strip_suffix(".drv").unwrap_or(&object.name);
            match naming::parse_path_name(name) {
                Some((parsed, _)) => {
                    draft.language = parsed.language;
                    (draft.pname, draft.version) = (parsed.pname, parsed.version);
                }
                None => return Self::Unversioned,
            }
        }
        if draft.version.is_empty() || draft.pname.is_empty() {
            Self::Unversioned
        } else {
            Self::Component(draft)
        }
    }
}

/// Which derivation makes which path, and which object a path is.
pub(crate) struct OutputPaths<'s> {
    makers: FxHashMap<&'s str, &'s Object>,
    objects: FxHashMap<&'s str, &'s Object>,
}

impl<'s> OutputPaths<'s> {
    pub(crate) fn of(subject: &'s Subject) -> Self {
        let mut makers = FxHashMap::default();
        let mut objects = FxHashMap::default();
        for object in &subject.objects {
            objects.insert(&*object.id, object);
            if let Some(recipe) = &object.recipe {
                for path in recipe
                    .outputs
                    .iter()
                    .filter_map(|(_, path)| path.as_deref())
                {
                    makers.insert(path, object);
                }
            }
        }
        Self { makers, objects }
    }

    /// The recipe of an object, or that of the derivation that its evaluation names.
    pub(crate) fn recipe_of(&self, object: &'s Object) -> Option<&'s Recipe> {
        object.recipe.as_deref().or_else(|| {
            let drv = object.meta.as_ref()?.drv_path.as_deref()?;
            self.objects.get(drv)?.recipe.as_deref()
        })
    }

    /// The object that is, or makes, a store path; a path inside a store object counts as it.
    pub(crate) fn maker(&self, path: &str) -> Option<&'s Object> {
        let whole = |path: &str| {
            self.makers
                .get(path)
                .or_else(|| self.objects.get(path))
                .copied()
        };
        whole(path).or_else(|| {
            let base = path.rfind("/store/").map_or(0, |at| at + 7);
            let end = path[base..].find('/')? + base;
            whole(&path[..end])
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

fn assemble(
    subject: &Subject,
    paths: &OutputPaths<'_>,
    table: &IdentityTable,
    hosts: &Hosts,
    (language, key_name, version): &Key<'_>,
    group: &Group<'_>,
) -> Component {
    let (language, version, drafts) = (*language, *version, &*group.drafts);
    // The first by node is the nearest to the root in every reader; it gives the spelling.
    let declared_name = || group.declared.first().map(|first| &*first.name);
    let pname = drafts
        .first()
        .map(|draft| draft.pname)
        .or_else(declared_name)
        .unwrap_or(key_name);
    let mut component = Component {
        pname: pname.into(),
        version: version.into(),
        language,
        nodes: Vec::new(),
        attrs: Vec::new(),
        outputs: Vec::new(),
        identities: Vec::new(),
        marks: Vec::new(),
        sources: Vec::new(),
        patches: Vec::new(),
        phase_cves: Vec::new(),
        scope: Scope::Unknown,
        known_builds: drafts.iter().filter(|draft| draft.is_known()).count(),
        known_vulnerabilities: Vec::new(),
        places: Vec::new(),
        hosts: Vec::new(),
        other_versions: Vec::new(),
        is_local: false,
    };
    for draft in drafts {
        component.nodes.push(draft.node);
        let object = draft.object;
        if let Some(meta) = object.meta.as_deref() {
            push(&mut component.attrs, meta.attr.clone());
            for text in &meta.known_vulnerabilities {
                push(&mut component.known_vulnerabilities, text.clone());
            }
            for cpe in &meta.cpes {
                component.state_cpe(cpe, &Reason::Stated);
            }
            for purl in &meta.purls {
                component.state_purl(purl, &Reason::Stated);
            }
            for homepage in &meta.homepages {
                component.learn(homepage, Reason::Homepage, true);
            }
        }
        if let Some(stated) = object.stated.as_deref() {
            for cpe in &stated.cpes {
                component.state_cpe(cpe, &Reason::Document);
            }
            for purl in &stated.purls {
                component.state_purl(purl, &Reason::Document);
            }
            for url in &stated.urls {
                component.learn(url, Reason::Homepage, true);
            }
            for url in &stated.sources {
                component.learn(url, Reason::SourceUrl, false);
            }
            for patch in &stated.patches {
                applied(&mut component.patches, patch.clone());
            }
        }
        for (name, path) in draft.recipe.iter().flat_map(|recipe| &recipe.outputs) {
            if let Some(path) = path {
                push(&mut component.outputs, (name.clone(), path.clone()));
            }
        }
        let built = match (&object.built, draft.recipe) {
            (Some(built), _) => Cow::Borrowed(&**built),
            (None, Some(recipe)) => Cow::Owned(Built::of(recipe, paths)),
            (None, None) => continue,
        };
        for source in &built.sources {
            for url in &source.urls {
                component.learn(url, Reason::SourceUrl, false);
            }
            push(&mut component.sources, source.clone());
        }
        for patch in &built.patches {
            applied(&mut component.patches, patch.clone());
        }
        for cve in &built.phase_cves {
            applied(&mut component.phase_cves, *cve);
        }
        if let (Some(toolchain), None) = (built.toolchain, language) {
            component.built_with(toolchain);
        }
    }
    component.declared(group, hosts);
    // The copies in others are as much there as the objects that are it.
    let elsewhere = component
        .places
        .iter()
        .filter(|place| !component.nodes.contains(&place.node));
    let copies = inside::scope(elsewhere, |node| {
        let object = subject.object(node);
        // That a source has a lock does not prove what of it went into anything.
        if object.is_some_and(is_source) {
            return Scope::Unknown;
        }
        scope(subject, object.is_some_and(|object| object.run_time))
    });
    let is_own = !drafts.is_empty();
    let own = is_own.then(|| scope(subject, drafts.iter().any(|draft| draft.object.run_time)));
    component.scope = inside::strongest(own.into_iter().chain(copies)).unwrap_or(Scope::Unknown);
    let is_part = component.is_part();
    component.name_it(
        table,
        !is_part || group.declared.iter().any(|it| is_published(it)),
    );
    component
}

/// Whether a declaration is of what everyone knows by that name. A crate of the program's own tree,
/// a fork in a repository or a package of a house's registry may be called as a product is, and is
/// none; nor is a name in a manifest's free text.
fn is_published(declaration: &Declaration) -> bool {
    declaration.origin == Origin::Registry
        && (declaration.package.kind() != "generic" || declaration.place.proof == Proof::Contained)
}

fn is_source(object: &Object) -> bool {
    object.recipe.as_ref().is_some_and(|recipe| recipe.fixed)
}

impl Component {
    /// Takes what bytes declare of it.
    fn declared(&mut self, group: &Group<'_>, hosts: &Hosts) {
        for declaration in &group.declared {
            let place = &declaration.place;
            let reason = Reason::Declared {
                by: Arc::clone(&place.by),
                file: Arc::clone(&place.file),
            };
            match &declaration.origin {
                Origin::Registry => self.state_purl(&declaration.package, &reason),
                Origin::Repository(url) => {
                    if let Some(repository) = RepoKey::from_url(url) {
                        self.identify(Identity::Repository(repository), reason);
                    }
                }
                Origin::Local => self.is_local = true,
                // A mirror has what the registry has, or a house's registry what only it has. Which of
                // both it is nobody says; to pass over a mirror would hide everything.
                Origin::Elsewhere => {
                    if declaration.package.kind() != "generic" {
                        self.state_purl(&declaration.package, &reason);
                    }
                }
            }
            let is_elsewhere = !self.nodes.contains(&place.node)
                && !self.hosts.iter().any(|host| host.node == place.node);
            if let Some(host) = hosts.get(&place.node).filter(|_| is_elsewhere) {
                self.hosts.push(Arc::clone(host));
            }
            self.places.push(place.clone());
        }
        for declaration in &group.otherwise {
            self.other_versions.push(OtherVersion {
                version: declaration.version.clone(),
                place: declaration.place.clone(),
            });
        }
    }
}

fn scope(subject: &Subject, proven: bool) -> Scope {
    match subject.nature {
        Nature::RunTime => Scope::RunTime,
        _ if proven => Scope::RunTime,
        // Where run time is known for some, what is not among them is build time.
        Nature::BuildTime if subject.objects.iter().take(1).any(|root| root.run_time) => {
            Scope::BuildTime
        }
        _ => Scope::Unknown,
    }
}

/// The sources of a recipe; one that is unpacked or put together by another recipe is followed.
pub(crate) fn sources_of(recipe: &Recipe, paths: &OutputPaths<'_>) -> Vec<Box<str>> {
    let mut found = Vec::new();
    let mut todo: Vec<(Box<str>, usize)> = recipe
        .sources
        .iter()
        .map(|path| (path.clone(), 0))
        .collect();
    while let Some((path, depth)) = todo.pop() {
        if let Some(maker) = paths
            .maker(&path)
            .and_then(|object| object.recipe.as_deref())
            .filter(|r| !r.fixed && depth < 3)
        {
            todo.extend(maker.sources.iter().map(|path| (path.clone(), depth + 1)));
        }
        push(&mut found, path);
        if found.len() > 200 {
            break;
        }
    }
    found
}

pub(crate) fn patch(path: &str, paths: &OutputPaths<'_>) -> Patch {
    let base = path.rsplit('/').next().unwrap_or(path);
    let name = match base.split_once('-') {
        // A store path's digest has 32 characters.
        Some((digest, name)) if digest.len() == 32 => name,
        _ => base,
    };
    let maker = paths.maker(path);
    let urls = maker
        .and_then(|m| m.recipe.as_deref())
        .map(|r| r.urls.clone())
        .unwrap_or_default();
    let mut patch = Patch::new(name, path, urls);
    let text = paths
        .objects
        .get(path)
        .and_then(|object| object.patch.as_deref())
        .or_else(|| maker?.patch.as_deref());
    patch.text = text.cloned();
    patch
}

fn push<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

fn applied<T: PartialEq>(list: &mut Vec<Applied<T>>, what: T) {
    match list.iter_mut().find(|applied| applied.what == what) {
        Some(applied) => applied.builds += 1,
        None => list.push(Applied { what, builds: 1 }),
    }
}
