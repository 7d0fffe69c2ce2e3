//! What someone passes, told apart by content: a path, a pipe, a link into a store.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use snowguard_store::{DrvPath, Quoted, StorePath};

use crate::content::{self, Content, beginning_of, shown};
use crate::detect::{Format, detect};
use crate::drv_closure::Place;
use crate::drv_files::file_name;
use crate::error::SourceError;
use crate::inside::Mode;
use crate::live::{Named, Store, follow};
use crate::options::Options;

/// One input, found but not yet read into a subject.
///
/// Documents are in memory by then, so that what they are could be told; directories, archives and
/// stores are not.
pub struct Input {
    pub(crate) name: Quoted,
    pub(crate) title: String,
    pub(crate) found: Found,
}

pub(crate) enum Found {
    /// An object of a live store.
    Object(Box<Store>, StorePath),
    /// A `.drv` file.
    Derivation(Place),
    Directory(PathBuf),
    /// A directory or a file of which only what its files declare is wanted.
    Files(PathBuf),
    Archive(Box<dyn Read + Send>),
    Document(Format, Vec<u8>),
}

/// The kinds of input that are told apart for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A path in a live store: its run-time closure.
    LiveStore,
    /// A `.drv` file with its inputs beside it.
    Derivation,
    /// A directory or an archive of `.drv` files.
    DerivationTree,
    /// The JSON of `nix derivation show`.
    Derivations,
    /// The JSON of `nix path-info`.
    PathInfo,
    /// A list of store paths.
    PathList,
    /// A CycloneDX document.
    CycloneDx,
    /// An SPDX document.
    Spdx,
    /// An evaluated package set.
    PackageSet,
    /// Files that declare what is inside them.
    Files,
}

impl Kind {
    /// In words, with an article.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LiveStore => "a path of a live store",
            Self::Derivation => "a derivation",
            Self::DerivationTree => "a collection of derivations",
            Self::Derivations => "JSON of derivations",
            Self::PathInfo => "JSON of store paths",
            Self::PathList => "a list of store paths",
            Self::CycloneDx => "a CycloneDX document",
            Self::Spdx => "an SPDX document",
            Self::PackageSet => "an evaluated package set",
            Self::Files => "a directory of files",
        }
    }

    /// Whether inputs of both kinds make one subject: they say the same sort of thing.
    pub fn goes_with(self, other: Self) -> bool {
        self.family() == other.family()
    }

    /// Whether it holds derivations, which can be given beside a package set.
    pub fn is_derivations(self) -> bool {
        self.family() == Self::Derivation
    }

    fn family(self) -> Self {
        match self {
            Self::Derivation | Self::DerivationTree | Self::Derivations => Self::Derivation,
            Self::CycloneDx | Self::Spdx => Self::CycloneDx,
            other => other,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Input {
    /// Finds out what a path leads to: a store path, a link to one or a path inside of one, a file
    /// of any kind that is read here, or a directory.
    ///
    /// A document that lies in a store is taken as that document, any other object of a store as
    /// the root of its closure. File names are not looked at, but for `.drv` in a store.
    pub fn detect(path: impl AsRef<Path>, options: &Options) -> Result<Self, SourceError> {
        let path = path.as_ref();
        match follow(path, options.store.as_ref())? {
            Named::InStore {
                store,
                object,
                file,
            } => Self::in_store(path, store, object, &file, options),
            Named::OtherStore { file } => Self::in_other_store(path, &file, options),
            Named::Elsewhere => Self::file(path, options),
        }
    }

    /// Finds out what comes through a pipe. `name` is for messages: `standard input`.
    pub fn from_reader(
        name: &str,
        reader: impl Read + Send + 'static,
        options: &Options,
    ) -> Result<Self, SourceError> {
        let quoted = Quoted::new(name);
        let content = content::of_reader(&quoted, Box::new(reader), None, &options.limits)?;
        let found = Self::of_content(&quoted, content, None)?;
        Ok(Self {
            name: quoted,
            title: name.to_owned(),
            found,
        })
    }

    /// What kind of thing it is.
    pub fn kind(&self) -> Kind {
        match &self.found {
            Found::Object(..) => Kind::LiveStore,
            Found::Derivation(_) => Kind::Derivation,
            Found::Directory(_) | Found::Archive(_) => Kind::DerivationTree,
            Found::Files(_) => Kind::Files,
            Found::Document(format, _) => match format {
                Format::Derivation => Kind::Derivation,
                Format::Derivations => Kind::Derivations,
                Format::PathInfo => Kind::PathInfo,
                Format::PathList => Kind::PathList,
                Format::CycloneDx => Kind::CycloneDx,
                Format::Spdx => Kind::Spdx,
                Format::Packages | Format::Jobs => Kind::PackageSet,
            },
        }
    }

    /// How it was named, escaped for messages.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// An object of a live store.
    pub(crate) fn object(name: Quoted, store: Store, object: StorePath) -> Self {
        Self {
            name,
            title: object.name().to_string(),
            found: Found::Object(Box::new(store), object),
        }
    }

    fn in_store(
        path: &Path,
        store: Store,
        object: StorePath,
        file: &Path,
        options: &Options,
    ) -> Result<Self, SourceError> {
        let name = shown(path);
        let is_file = file
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_file());
        if let Ok(drv) = DrvPath::new(object.clone()) {
            if !is_file {
                return Err(SourceError::NotFound { name });
            }
            return Ok(Self {
                name,
                title: drv.drv_name().to_owned(),
                found: Found::Derivation(Place::Store(Box::new(store), drv)),
            });
        }
        if is_file && let Some(found) = document_in_store(file, options) {
            return Ok(Self {
                name,
                title: title_of_file(file),
                found,
            });
        }
        Ok(Self::object(name, store, object))
    }

    /// An object of a store that cannot be asked about it. What it is does not follow from its
    /// content here either: a list of store paths that lies in a store is no closure of its own.
    fn in_other_store(path: &Path, file: &Path, options: &Options) -> Result<Self, SourceError> {
        let name = shown(path);
        let metadata = file.metadata();
        let found = metadata
            .as_ref()
            .is_ok_and(std::fs::Metadata::is_file)
            .then(|| document_in_store(file, options))
            .flatten();
        if let Some(found) = found {
            return Ok(Self {
                name,
                title: title_of_file(file),
                found,
            });
        }
        if let Some(store) = &options.store {
            return Err(SourceError::NotInStore {
                name,
                store: shown(store.real()),
            });
        }
        match metadata {
            // Without its database, its files still declare what is in them.
            Ok(metadata) if is_deep(options) && !is_drv(&metadata, file) => Ok(Self {
                name,
                title: title_of_file(file),
                found: Found::Files(file.to_owned()),
            }),
            // The other derivations lie beside it.
            Ok(metadata) if is_drv(&metadata, file) => Ok(Self {
                name,
                title: title_of_file(file),
                found: Found::Derivation(Place::File(file.to_owned())),
            }),
            Ok(_) => Err(SourceError::NoDatabase { name }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(SourceError::NotFound { name })
            }
            Err(source) => Err(SourceError::Io { name, source }),
        }
    }

    fn file(path: &Path, options: &Options) -> Result<Self, SourceError> {
        let name = shown(path);
        let metadata = match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(not_found(path, name));
            }
            Err(source) => return Err(SourceError::Io { name, source }),
        };
        let found = if metadata.is_dir() {
            if is_deep(options) && !has_derivations(path) {
                Found::Files(path.to_owned())
            } else {
                Found::Directory(path.to_owned())
            }
        } else if metadata.is_file() && is_deep(options) && may_be_program(&beginning_of(path, 4)) {
            Found::Files(path.to_owned())
        } else {
            let found = content::of_file(path, &options.limits).and_then(|content| {
                Self::of_content(&name, content, metadata.is_file().then_some(path))
            });
            match found {
                // A lock file, say.
                Err(SourceError::Unknown { .. }) if metadata.is_file() && is_deep(options) => {
                    Found::Files(path.to_owned())
                }
                found => found?,
            }
        };
        Ok(Self {
            name,
            title: title_of_file(path),
            found,
        })
    }

    /// `file` is where the content lies, if it lies somewhere that has neighbours.
    fn of_content(
        name: &Quoted,
        content: Content,
        file: Option<&Path>,
    ) -> Result<Found, SourceError> {
        let bytes = match content {
            Content::Tar(archive) => return Ok(Found::Archive(archive)),
            Content::Bytes(bytes) => bytes,
        };
        let format = detect(&bytes).map_err(|looks| SourceError::Unknown {
            name: name.clone(),
            looks: Box::new(looks),
        })?;
        Ok(match (format, file) {
            (Format::Derivation, Some(file)) => Found::Derivation(Place::File(file.to_owned())),
            (Format::Derivation, None) => Found::Derivation(Place::Pipe(bytes)),
            _ => Found::Document(format, bytes),
        })
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .field("kind", &self.kind())
            .finish_non_exhaustive()
    }
}

/// A file of a store, if it is a document that says what it is about: neither a derivation nor a
/// list of paths, which many objects contain.
fn document_in_store(file: &Path, options: &Options) -> Option<Found> {
    if !may_be_document(&beginning_of(file, 64)) {
        return None;
    }
    let Content::Bytes(bytes) = content::of_file(file, &options.limits).ok()? else {
        return None;
    };
    match detect(&bytes).ok()? {
        Format::Derivation | Format::PathList => None,
        format => Some(Found::Document(format, bytes)),
    }
}

/// Whether the beginning of a file of a store allows that it is a document: most files there are
/// programs and scripts, and none of these is read to its end.
fn may_be_document(head: &[u8]) -> bool {
    let text = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    let packed = text.starts_with(&[0x1F, 0x8B]) || text.starts_with(&[0x28, 0xB5, 0x2F, 0xFD]);
    packed
        || text.trim_ascii_start().starts_with(b"{")
        || text.trim_ascii_start().starts_with(b"[")
        || text.starts_with(b"SPDXVersion:")
}

fn is_deep(options: &Options) -> bool {
    options.deep.mode == Mode::Always
}

fn is_drv(metadata: &std::fs::Metadata, file: &Path) -> bool {
    metadata.is_file() && file_name(file).ends_with(b".drv")
}

/// Whether a directory has a `.drv` file in it. One that cannot be listed may have some.
fn has_derivations(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|mut entries| {
        entries.any(|entry| {
            entry.is_ok_and(|entry| entry.file_name().as_encoded_bytes().ends_with(b".drv"))
        })
    })
}

/// Programs and zip archives, which are nothing else that is read here and may be large.
fn may_be_program(head: &[u8]) -> bool {
    [b"\x7fELF".as_slice(), b"MZ", b"PK\x03\x04", b"\0asm"]
        .iter()
        .any(|magic| head.starts_with(magic))
}

fn not_found(path: &Path, name: Quoted) -> SourceError {
    let text = path.to_string_lossy();
    let is_reference = text.contains('#')
        || ["github:", "gitlab:", "flake:", "git+", "nixpkgs/"]
            .iter()
            .any(|head| text.starts_with(head));
    if is_reference {
        SourceError::FlakeReference { name }
    } else {
        SourceError::NotFound { name }
    }
}

fn title_of_file(path: &Path) -> String {
    let name = path.file_name().or_else(|| {
        // `.` and `..` have none.
        let whole = path.as_os_str();
        (!whole.is_empty()).then_some(whole)
    });
    name.unwrap_or_default().to_string_lossy().into_owned()
}
