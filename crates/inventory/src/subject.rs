//! What was read, before anything is concluded from it: objects, what they refer to, and what could
//! not be known.

use rustc_hash::FxHashMap;
use snowguard_advisory::cpe::Cpe;
use snowguard_advisory::identity::PackageKey;
use snowguard_closure::{Graph, GraphBuilder, NodeId};
use snowguard_store::NarHash;

use crate::built::Built;
use crate::inside::Declaration;
use crate::patch::{Patch, PatchText};
use crate::recipe::Recipe;

/// What a scan is about.
#[derive(Debug)]
pub struct Subject {
    /// A name for people: that of the root, or the file's.
    pub title: String,
    /// What the references mean.
    pub nature: Nature,
    /// Which object refers to which.
    pub graph: Graph,
    /// The objects, by node.
    pub objects: Vec<Object>,
    /// What the bytes of objects declare; empty where nothing was looked into.
    pub inside: Vec<Declaration>,
    /// How many objects were looked into.
    pub looked_into: usize,
    /// What could not be known, each thing told once.
    pub gaps: Vec<Gap>,
}

impl Subject {
    /// The object of a node.
    pub fn object(&self, node: NodeId) -> Option<&Object> {
        self.objects.get(node.index())
    }
}

/// What references between objects mean, and so what the subject is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Derivations and their inputs: whether a thing is there at run time is unknown.
    BuildTime,
    /// Store paths and their references: all is there at run time.
    RunTime,
    /// An evaluated package set: every package is a root.
    PackageSet,
    /// Someone's document.
    Document,
    /// Files of a directory, of which only what they declare is known.
    Files,
}

impl Nature {
    /// As a reader sees it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuildTime => "build-time closure",
            Self::RunTime => "run-time closure",
            Self::PackageSet => "package set",
            Self::Document => "document",
            Self::Files => "files",
        }
    }
}

/// One object: a derivation, a store path, a package or a document's component.
#[derive(Debug, Default)]
pub struct Object {
    /// Its full name: store path, attribute or reference in the document.
    pub id: Box<str>,
    /// Its name without hash: `openssl-1.1.1g`.
    pub name: Box<str>,
    /// Whether it is part of the subject.
    pub role: Role,
    /// How it is built, if that could be read.
    pub recipe: Option<Box<Recipe>>,
    /// How it is built, where its derivation was read at another time.
    pub built: Option<Box<Built>>,
    /// What its evaluation says, in a package set.
    pub meta: Option<Box<Meta>>,
    /// What a document says.
    pub stated: Option<Box<Stated>>,
    /// What a patch file says, for objects that are patches and could be read.
    pub patch: Option<Box<PatchText>>,
    /// Whether references prove that it is there at run time.
    pub run_time: bool,
    /// The hash of its content as a NAR, where the store or a document tells it.
    pub nar_hash: Option<NarHash>,
}

/// Whether an object is part of the subject, or only helps to understand it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// A part of it.
    #[default]
    Part,
    /// Read for what it says about parts: the recipe of a source of a part.
    Auxiliary,
}

/// What an evaluation says about a package.
#[derive(Debug, Default, Clone)]
pub struct Meta {
    /// The attribute path: `python38Packages.werkzeug`.
    pub attr: Box<str>,
    /// `pname`, if the evaluation tells it.
    pub pname: Option<Box<str>>,
    /// `version`, if the evaluation tells it.
    pub version: Option<Box<str>>,
    /// The derivation that builds it.
    pub drv_path: Option<Box<str>>,
    /// Home pages.
    pub homepages: Vec<Box<str>>,
    /// Vendor and product of `meta.identifiers.cpeParts`, and of each full CPE there.
    pub cpes: Vec<Cpe>,
    /// `meta.identifiers.purl` and `purls`.
    pub purls: Vec<PackageKey>,
    /// Marked insecure by Nixpkgs itself: the texts.
    pub known_vulnerabilities: Vec<Box<str>>,
    /// Where it is defined: `pkgs/…/default.nix:89`.
    pub position: Option<Box<str>>,
    /// GitHub names of its maintainers.
    pub maintainers: Vec<Box<str>>,
}

/// What a document says about a component.
#[derive(Debug, Default, Clone)]
pub struct Stated {
    /// Its version.
    pub version: Option<Box<str>>,
    /// Its purls, without version.
    pub purls: Vec<PackageKey>,
    /// Its CPEs.
    pub cpes: Vec<Cpe>,
    /// Home pages.
    pub urls: Vec<Box<str>>,
    /// Where its sources are had from.
    pub sources: Vec<Box<str>>,
    /// Its patches.
    pub patches: Vec<Patch>,
    /// The store path, if it is told.
    pub store_path: Option<Box<str>>,
}

/// Something that could not be known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Gap {
    /// So many objects of so many have no `.drv` that could be read: patches, sources and source
    /// URLs of these are unknown.
    NoDerivations {
        /// How many have none.
        missing: usize,
        /// How many there are.
        of: usize,
    },
    /// Packages whose outputs several of the derivations have that were given, and of which nothing tells whose they are:
    /// none of these was taken for theirs.
    SeveralDerivations {
        /// How many packages.
        count: usize,
        /// The attribute of the first.
        example: String,
    },
    /// Inputs of derivations, or references of store objects, that were not among what was given.
    MissingInputs {
        /// How many.
        count: usize,
        /// One of them.
        example: String,
    },
    /// Patches are known by name, but so many of their files could not be read, as is so wherever
    /// derivations were read without the store that they came from.
    UnreadPatches {
        /// How many could not be read.
        unread: usize,
        /// How many there are.
        of: usize,
    },
    /// The document, or the list, does not say how its parts depend on each other.
    NoDependencies,
    /// Files, or entries of one, that could not be read and were skipped.
    Unreadable {
        /// How many.
        count: usize,
        /// The first, with the reason.
        example: String,
    },
    /// Objects of a store whose files were not looked at.
    NotLookedInto {
        /// How many.
        count: usize,
        /// How many could have been.
        of: usize,
    },
    /// Files whose declarations could not be read, or not to their end.
    UnreadFiles {
        /// How many.
        count: usize,
        /// The first, with the reason.
        example: String,
    },
    /// A limit ended the look into an object.
    CutShort {
        /// How many objects.
        count: usize,
        /// The first, with the limit.
        example: String,
    },
}

/// Collects objects.
#[derive(Default)]
pub struct SubjectBuilder {
    graph: GraphBuilder,
    objects: Vec<Object>,
    by_id: FxHashMap<Box<str>, NodeId>,
    gaps: Vec<Gap>,
}

impl SubjectBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The object of that id, made if there is none yet. What `fill` sets stays.
    pub fn object(&mut self, id: &str, name: &str, fill: impl FnOnce(&mut Object)) -> NodeId {
        let node = match self.by_id.get(id) {
            Some(&node) => node,
            None => {
                let node = self.graph.node();
                self.by_id.insert(id.into(), node);
                self.objects.push(Object {
                    id: id.into(),
                    name: name.into(),
                    ..Object::default()
                });
                node
            }
        };
        if let Some(object) = self.objects.get_mut(node.index()) {
            fill(object);
        }
        node
    }

    /// The node of an id.
    pub fn find(&self, id: &str) -> Option<NodeId> {
        self.by_id.get(id).copied()
    }

    /// The object of a node.
    pub fn get(&self, node: NodeId) -> Option<&Object> {
        self.objects.get(node.index())
    }

    /// The object of a node, to be filled further.
    pub fn get_mut(&mut self, node: NodeId) -> Option<&mut Object> {
        self.objects.get_mut(node.index())
    }

    /// `from` refers to `to`.
    pub fn edge(&mut self, from: NodeId, to: NodeId) {
        self.graph.edge(from, to);
    }

    /// All nodes, in the order in which they were made.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.graph.nodes()
    }

    /// Marks a root.
    pub fn root(&mut self, node: NodeId) {
        self.graph.root(node);
    }

    /// Something could not be known.
    pub fn gap(&mut self, gap: Gap) {
        if !self.gaps.contains(&gap) {
            self.gaps.push(gap);
        }
    }

    /// What is known to be missing so far.
    pub fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The finished subject.
    pub fn build(self, title: impl Into<String>, nature: Nature) -> Subject {
        Subject {
            title: title.into(),
            nature,
            graph: self.graph.build(),
            objects: self.objects,
            inside: Vec::new(),
            looked_into: 0,
            gaps: self.gaps,
        }
    }
}
