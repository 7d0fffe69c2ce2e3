//! From bytes to parts: limits, errors, and what the readers share.

use std::sync::Arc;

use object::ReadRef;
use serde::{Deserialize, Serialize};
use snowguard_advisory::identity::PackageKey;

use crate::kind::Kind;
use crate::metered::{Meter, Metered};
use crate::part::{Declared, Origin, Part, Place, Scope, Span};
use crate::text::Text;
use crate::{archive, binary, lock, text};

/// What a reader may spend on one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one text, section or member that is read as a whole.
    pub text: u64,
    /// Members of one archive, with those of the archives inside it.
    pub members: u64,
    /// Bytes that are unpacked from one file, in all.
    pub unpacked: u64,
    /// Bytes of one program or archive that are asked for, in all. Of a small one it is less: twice
    /// what it has.
    pub asked: u64,
    /// How deep archives may lie in archives.
    pub nesting: u32,
    /// Parts of one file.
    pub parts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: 32 << 20,
            members: 500_000,
            unpacked: 1 << 30,
            asked: 256 << 20,
            nesting: 4,
            parts: 200_000,
        }
    }
}

/// What a file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// The parts, in the order in which the file has them.
    pub parts: Vec<Part>,
    /// What could not be understood, beside the parts that could.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// Something in a file that could not be understood: what it declares may be incomplete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, without a full stop. May quote the file: escape it.
    pub what: Box<str>,
}

/// Why a file cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum PartsError {
    /// The bytes could not be had: the source of bytes failed, or the file ends early.
    #[error("the file ends early, or could not be read")]
    Unreadable,
    /// A limit.
    #[error("{what} is larger than the limit of {limit}")]
    TooLarge {
        /// What has the size.
        what: &'static str,
        /// The limit, in bytes or pieces.
        limit: u64,
    },
    /// The bytes are not what the format asks for.
    #[error("not {format}: {what}")]
    Malformed {
        /// The format, with its article.
        format: &'static str,
        /// What is wrong.
        what: String,
    },
}

/// What a file of this kind declares.
///
/// `data` gives the bytes as they are asked for: a slice (of a memory map), or
/// [`object::ReadCache`] over a file. Of programs and archives only headers and what is needed are
/// asked for. `path` is that of [`kind_of`](crate::kind_of).
pub fn read<'data, R: ReadRef<'data>>(
    kind: Kind,
    path: &str,
    data: R,
    limits: &Limits,
) -> Result<Parts, PartsError> {
    let mut sink = Sink::new(*limits);
    if !matches!(kind, Kind::Executable | Kind::Archive) {
        read_text(kind, whole(data, limits)?, &mut sink)?;
        return Ok(sink.into_parts());
    }
    let length = data.len().map_err(|()| PartsError::Unreadable)?;
    let meter = &Meter::new(length, limits.asked);
    let data = Metered { data, meter };
    let read = if kind == Kind::Archive {
        archive::read(path, data, &mut sink)
    } else {
        binary::read(path, data, &mut sink)
    };
    // Whatever came of it, this is why.
    if meter.is_exceeded() {
        sink.problem_first(
            "its headers name the same bytes too often, or too many: it was not read to its end",
        );
    } else {
        read?;
    }
    Ok(sink.into_parts())
}

/// All bytes of a file.
fn whole<'data, R: ReadRef<'data>>(data: R, limits: &Limits) -> Result<&'data [u8], PartsError> {
    let length = data.len().map_err(|()| PartsError::Unreadable)?;
    if length > limits.text {
        return Err(PartsError::TooLarge {
            what: "the file",
            limit: limits.text,
        });
    }
    data.read_bytes_at(0, length)
        .map_err(|()| PartsError::Unreadable)
}

/// What a text declares.
pub(crate) fn read_text(kind: Kind, bytes: &[u8], sink: &mut Sink) -> Result<(), PartsError> {
    let text = &Text::new(bytes);
    match kind {
        // These are not texts.
        Kind::Executable | Kind::Archive => {}
        Kind::PythonMetadata => text::python::read(text, sink),
        Kind::NpmPackage => text::npm::read(text, sink)?,
        Kind::Gemspec => text::gemspec::read(text, sink),
        Kind::DotnetDeps => text::dotnet::read(text, sink)?,
        Kind::Sbom => text::sbom::read(Declared::Sbom, text, sink)?,
        Kind::LooseSbom => text::sbom::read(Declared::LooseSbom, text, sink)?,
        Kind::CargoLock => lock::cargo::read(text, sink)?,
        Kind::GoMod => lock::go::read_mod(text, sink),
        Kind::GoSum => lock::go::read_sum(text, sink),
        Kind::GoVendor => lock::go::read_vendor(text, sink),
        Kind::NpmLock => lock::npm::read(Declared::NpmLock, text, sink)?,
        Kind::NpmInstalled => lock::npm::read(Declared::NpmInstalled, text, sink)?,
        Kind::YarnLock => lock::yarn::read(text, sink),
        Kind::PnpmLock => lock::pnpm::read(text, sink)?,
        Kind::ComposerLock => lock::composer::read_lock(text, sink)?,
        Kind::ComposerInstalled => lock::composer::read_installed(text, sink)?,
        Kind::GemfileLock => lock::bundler::read(text, sink),
        Kind::PoetryLock => lock::poetry::read(text, sink)?,
        Kind::UvLock => lock::uv::read(text, sink)?,
        Kind::PipfileLock => lock::pipfile::read(text, sink)?,
        Kind::Requirements => lock::requirements::read(text, sink),
    }
    Ok(())
}

/// A part as a reader finds it, before its name is checked.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    /// A purl type.
    pub(crate) ecosystem: &'a str,
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) scope: Scope,
    pub(crate) span: Span,
    pub(crate) root: bool,
    pub(crate) origin: Origin,
    pub(crate) replaces: Option<&'a str>,
    pub(crate) checksum: Option<&'a str>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(ecosystem: &'a str, name: &'a str, version: &'a str, span: Span) -> Self {
        Self {
            ecosystem,
            name,
            version,
            scope: Scope::Unknown,
            span,
            root: false,
            origin: Origin::Registry,
            replaces: None,
            checksum: None,
        }
    }

    pub(crate) fn scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    pub(crate) fn root(self, root: bool) -> Self {
        Self { root, ..self }
    }

    /// Where it came from. What is not from the registry is not the registry's package of that
    /// name, so that it becomes a generic one.
    pub(crate) fn origin(self, origin: Origin) -> Self {
        let ecosystem = if origin.is_registry() {
            self.ecosystem
        } else {
            "generic"
        };
        Self {
            ecosystem,
            origin,
            ..self
        }
    }

    /// Another registry that speaks the protocol of the ecosystem's: a mirror of it, or a house's
    /// own. The package stays of the ecosystem, so that a mirror hides nothing.
    pub(crate) fn mirror(self, url: &str) -> Self {
        Self {
            origin: Origin::Elsewhere(url.into()),
            ..self
        }
    }
}

/// The longest version, name of a replaced package, or checksum that is believed; of an address, what
/// is kept.
const LONGEST: usize = 512;
/// More problems of one file are not told one by one.
const MOST_PROBLEMS: usize = 64;

/// What readers write to.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) limits: Limits,
    member: Option<Arc<str>>,
    parts: Vec<Part>,
    problems: Vec<Problem>,
    full: bool,
}

impl Sink {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            member: None,
            parts: Vec::new(),
            problems: Vec::new(),
            full: false,
        }
    }

    /// Adds a part, or tells why it is none.
    pub(crate) fn add(&mut self, by: Declared, draft: Draft<'_>) {
        if self.parts.len() >= self.limits.parts {
            if !self.full {
                self.full = true;
                let limit = self.limits.parts;
                self.problem(draft.span, format!("more than {limit} parts"));
            }
            return;
        }
        // Before it is made alike: runs of signs fold, so that a very long name may be a short one's.
        if draft.name.trim().len() > LONGEST {
            return self.problem(draft.span, "a name that is too long");
        }
        if draft.ecosystem == "pypi" && !is_python_name(draft.name.trim()) {
            return self.problem(draft.span, "a name that no Python package can have");
        }
        let package = match PackageKey::new(draft.ecosystem, draft.name) {
            Ok(package) => package,
            Err(error) => return self.problem(draft.span, error.to_string()),
        };
        let version = draft.version.trim();
        if !is_plain(version) {
            let what = format!("the version of {package} is empty, too long or not text");
            return self.problem(draft.span, what);
        }
        let text = |text: Option<&str>| text.filter(|text| is_plain(text)).map(Into::into);
        self.parts.push(Part {
            package,
            name: draft.name.trim().into(),
            version: version.into(),
            scope: draft.scope,
            by,
            place: self.place(draft.span),
            root: draft.root,
            origin: draft.origin.shortened(LONGEST),
            replaces: text(draft.replaces),
            checksum: text(draft.checksum),
        });
    }

    /// Tells of something that could not be understood.
    pub(crate) fn problem(&mut self, span: Span, what: impl Into<Box<str>>) {
        if self.problems.len() < MOST_PROBLEMS {
            let place = self.place(span);
            let what = what.into();
            self.problems.push(Problem { place, what });
        }
    }

    /// Tells of something that makes all that was found incomplete, before anything else.
    fn problem_first(&mut self, what: &str) {
        let problem = Problem {
            place: Place::default(),
            what: what.into(),
        };
        self.problems.insert(0, problem);
        self.problems.truncate(MOST_PROBLEMS);
    }

    /// What follows stands in a member of an archive.
    pub(crate) fn enter(&mut self, member: &str) {
        self.member = (!member.is_empty()).then(|| member.into());
    }

    /// What follows stands in the file itself.
    pub(crate) fn leave(&mut self) {
        self.member = None;
    }

    fn place(&self, span: Span) -> Place {
        Place {
            member: self.member.clone(),
            span,
        }
    }

    pub(crate) fn into_parts(self) -> Parts {
        Parts {
            parts: self.parts,
            problems: self.problems,
        }
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.contains(char::is_control)
}

/// A name as PEP 508 has it. The index has no others, and what is left of others when they are made
/// alike may be another package's name.
fn is_python_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let ends = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    ends(bytes.first()) && ends(bytes.last()) && bytes.iter().copied().all(inner)
}
