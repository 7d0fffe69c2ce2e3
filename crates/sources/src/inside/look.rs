//! What was found in one object or directory.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use snowguard_closure::NodeId;
use snowguard_inventory::{self as inventory, Declaration, Gap, Need, Proof};
use snowguard_parts::{Evidence, Origin, Part, Scope, Span};
use snowguard_store::Quoted;

use super::stamp::Stamp;

/// What was found in one object or directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
    /// Files, by path: those that declare something or could not be read; of a plain directory all
    /// that were considered, with their state.
    pub(crate) files: Vec<File>,
    /// Of a plain directory: the directories in it, with their state.
    pub(crate) directories: Vec<(Box<[u8]>, Stamp)>,
    /// The limit that ended it.
    pub(crate) cut_short: Option<Box<str>>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Its path from the object on; empty where the object is a file.
    pub(crate) path: Box<[u8]>,
    /// Its state, in a plain directory.
    pub(crate) stamp: Option<Stamp>,
    /// What it declares.
    pub(crate) parts: Vec<Part>,
    /// Why it, or some of it, could not be read.
    pub(crate) problem: Option<Box<str>>,
    /// The system did not let it be read: another time it may.
    pub(crate) failed: bool,
}

impl Look {
    /// Whether nothing that is there was left out for want of a right or of time. What a reader
    /// could not make sense of stays so.
    pub(crate) fn is_complete(&self) -> bool {
        self.cut_short.is_none() && self.files.iter().all(|file| !file.failed)
    }
}

impl File {
    /// Whether there is anything to say of it.
    pub(crate) fn says_something(&self) -> bool {
        !self.parts.is_empty() || self.problem.is_some()
    }
}

/// What became of several looks.
#[derive(Debug, Default)]
pub(crate) struct Told {
    unread: usize,
    first_unread: Option<String>,
    cut_short: usize,
    first_cut_short: Option<String>,
}

impl Told {
    /// Takes a look at the object of a node into declarations. `name` is the object's.
    pub(crate) fn take(
        &mut self,
        node: NodeId,
        name: &str,
        look: Look,
        declarations: &mut Vec<Declaration>,
        by: &mut Words,
    ) {
        for file in look.files {
            if let Some(problem) = &file.problem {
                self.unread += 1;
                self.first_unread.get_or_insert_with(|| {
                    format!("{} ({})", place(name, &file.path), Quoted::new(&**problem))
                });
            }
            if file.parts.is_empty() {
                continue;
            }
            let path: Arc<str> = String::from_utf8_lossy(&file.path).into();
            for part in file.parts {
                declarations.push(declaration(node, &path, part, by));
            }
        }
        if let Some(limit) = look.cut_short {
            self.cut_short += 1;
            self.first_cut_short
                .get_or_insert_with(|| format!("{name}: {limit}"));
        }
    }

    /// What could not be known.
    pub(crate) fn gaps(self) -> impl Iterator<Item = Gap> {
        let unread = self.first_unread.map(|example| Gap::UnreadFiles {
            count: self.unread,
            example,
        });
        let cut_short = self.first_cut_short.map(|example| Gap::CutShort {
            count: self.cut_short,
            example,
        });
        unread.into_iter().chain(cut_short)
    }
}

/// Words that many declarations share.
#[derive(Debug, Default)]
pub(crate) struct Words(Vec<(snowguard_parts::Declared, Arc<str>)>);

impl Words {
    fn of(&mut self, by: snowguard_parts::Declared) -> Arc<str> {
        if let Some((_, word)) = self.0.iter().find(|(known, _)| *known == by) {
            return Arc::clone(word);
        }
        let word: Arc<str> = by.as_str().into();
        self.0.push((by, Arc::clone(&word)));
        word
    }
}

fn place(name: &str, path: &[u8]) -> String {
    let path = OsStr::from_bytes(path);
    if path.is_empty() {
        return Quoted::new(name).to_string();
    }
    Quoted::new(format!("{name}/{}", path.to_string_lossy())).to_string()
}

fn declaration(node: NodeId, file: &Arc<str>, part: Part, words: &mut Words) -> Declaration {
    let (offset, length, line) = match part.place.span {
        Span::Bytes(offset, length) => (Some(offset), Some(length), None),
        Span::Line(line) => (None, None, Some(line)),
        Span::Whole => (None, None, None),
    };
    Declaration {
        version: part.advisory_version().unwrap_or_default().into(),
        name: part.name,
        root: part.root,
        origin: match part.origin {
            Origin::Registry => inventory::Origin::Registry,
            Origin::Repository(url) => inventory::Origin::Repository(url),
            Origin::Local => inventory::Origin::Local,
            Origin::Elsewhere(_) => inventory::Origin::Elsewhere,
        },
        place: inventory::Place {
            node,
            file: Arc::clone(file),
            member: part.place.member,
            offset,
            length,
            line,
            by: words.of(part.by),
            need: match part.scope {
                Scope::Runtime => Need::Runtime,
                Scope::Optional => Need::Optional,
                Scope::Unknown => Need::Unknown,
                Scope::Build => Need::Build,
                Scope::Development => Need::Development,
            },
            proof: match part.by.evidence() {
                Evidence::Contained => Proof::Contained,
                Evidence::NamedByManifest => Proof::Named,
                Evidence::Listed => Proof::Listed,
                Evidence::Locked => Proof::Locked,
            },
        },
        package: part.package,
    }
}
