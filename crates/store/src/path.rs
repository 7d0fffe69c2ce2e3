//! Store paths, apart from the directory that they are in, and the names that they end in.
//!
//! A store path is `DIRECTORY/DIGEST-NAME`. [`StorePath`] is the part after the directory, since that is
//! what stays the same in JSON, databases and other machines; [`StoreDir`] puts both together.
//! Source: `protocols/store-path.md` in the Nix manual.
//! Deliberately absent: how a path is computed from content (`compute`).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::nix32;
use crate::quote::Quoted;
use crate::serde_text::through_text;

/// The directory that store objects are in, mostly `/nix/store`: absolute, without a trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreDir(Box<str>);

impl StoreDir {
    /// Takes an absolute path without empty, `.` or `..` components, control characters, `"` and `\`
    /// (derivations hold paths unescaped).
    pub fn new(path: &str) -> Result<Self, PathError> {
        let clean = path
            .strip_prefix('/')
            .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")));
        if clean && !path.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
            Ok(Self(path.into()))
        } else {
            Err(PathError::StoreDir {
                path: Quoted::new(path),
            })
        }
    }

    /// Splits `DIRECTORY/DIGEST-NAME` without knowing the directory beforehand.
    pub fn split(path: &str) -> Result<(Self, StorePath), PathError> {
        let (dir, base) = path.rsplit_once('/').ok_or_else(|| PathError::Relative {
            path: Quoted::new(path),
        })?;
        Ok((Self::new(dir)?, base.parse()?))
    }

    /// The path of the directory.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads `DIRECTORY/DIGEST-NAME`, with no other spelling of the directory and nothing after the name.
    pub fn parse(&self, path: impl AsRef<[u8]>) -> Result<StorePath, PathError> {
        let path = path.as_ref();
        StorePath::from_base_name(self.base_name(path)?)
    }

    /// Reads the path of a derivation.
    pub fn parse_drv(&self, path: impl AsRef<[u8]>) -> Result<DrvPath, PathError> {
        DrvPath::new(self.parse(path)?)
    }

    /// Reads the store path that a file name is in or is: `/nix/store/DIGEST-NAME/bin/sh` and the like.
    pub fn parse_within(&self, path: impl AsRef<[u8]>) -> Result<StorePath, PathError> {
        let base = self.base_name(path.as_ref())?;
        let end = memchr::memchr(b'/', base).unwrap_or(base.len());
        StorePath::from_base_name(&base[..end])
    }

    /// The whole path of a store object, for printing.
    pub fn show<'a>(&'a self, path: &'a impl AsRef<StorePath>) -> impl fmt::Display + 'a {
        let path = path.as_ref();
        fmt::from_fn(move |f| write!(f, "{}/{path}", self.0))
    }

    fn base_name<'a>(&self, path: &'a [u8]) -> Result<&'a [u8], PathError> {
        path.strip_prefix(self.0.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"/"))
            .ok_or_else(|| PathError::Outside {
                path: Quoted::new(path),
                dir: Quoted::new(&*self.0),
            })
    }
}

impl Default for StoreDir {
    /// `/nix/store`.
    fn default() -> Self {
        Self("/nix/store".into())
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl FromStr for StoreDir {
    type Err = PathError;

    fn from_str(path: &str) -> Result<Self, PathError> {
        Self::new(path)
    }
}

through_text!(StoreDir);

/// The name of a store object, the part after the digest: `openssl-1.1.1g-dev`.
///
/// 1 to 211 characters of `0-9a-zA-Z+-._?=`; not `.` or `..`, nor with these before the first dash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StoreName(Box<str>);

impl StoreName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 211;

    /// Checks and takes a name.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        check_name(name.as_ref()).map(|name| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without `.drv`, if it ends so.
    pub fn strip_drv(&self) -> Option<&str> {
        self.0.strip_suffix(".drv")
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl AsRef<str> for StoreName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for StoreName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

through_text!(StoreName);

/// A store object: `DIGEST-NAME`, without the directory.
///
/// The order is that of the text. Hashing uses the digest only, which is cheap and as good.
#[derive(Clone, PartialEq, Eq)]
pub struct StorePath {
    // Most significant byte first, so that the order of bytes is the order of the text.
    digest: [u8; Self::DIGEST_LEN],
    name: StoreName,
}

impl StorePath {
    /// The length of the digest in bytes.
    pub const DIGEST_LEN: usize = 20;
    const DIGEST_DIGITS: usize = nix32::encoded_len(Self::DIGEST_LEN);

    /// Puts a digest (as hashing gives it) and a name together.
    pub fn new(digest: [u8; Self::DIGEST_LEN], name: StoreName) -> Self {
        let mut digest = digest;
        digest.reverse();
        Self { digest, name }
    }

    /// Reads `DIGEST-NAME`.
    pub fn from_base_name(base: impl AsRef<[u8]>) -> Result<Self, PathError> {
        let base = base.as_ref();
        let Some((digits, [b'-', name @ ..])) = base.split_at_checked(Self::DIGEST_DIGITS) else {
            return Err(PathError::Form {
                path: Quoted::new(base),
            });
        };
        let mut digest = [0; Self::DIGEST_LEN];
        nix32::decode_into(digits, &mut digest).map_err(|source| PathError::Digest {
            path: Quoted::new(base),
            source,
        })?;
        let name = StoreName::new(name).map_err(|source| PathError::Name {
            path: Quoted::new(base),
            source,
        })?;
        Ok(Self::new(digest, name))
    }

    /// The name after the digest.
    pub fn name(&self) -> &StoreName {
        &self.name
    }

    /// The digest, as hashing gives it.
    pub fn digest(&self) -> [u8; Self::DIGEST_LEN] {
        let mut digest = self.digest;
        digest.reverse();
        digest
    }

    /// The digest as text, 32 characters of nix32; narinfo files are named by it.
    pub fn digest_text(&self) -> String {
        let mut out = String::with_capacity(Self::DIGEST_DIGITS);
        self.encode_digest(|digit| out.push(char::from(digit)));
        out
    }

    /// Whether the name ends in `.drv`.
    pub fn is_drv(&self) -> bool {
        self.name.strip_drv().is_some()
    }

    /// Appends `DIGEST-NAME`.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        self.encode_digest(|digit| out.push(digit));
        out.push(b'-');
        out.extend_from_slice(self.name.0.as_bytes());
    }

    fn encode_digest(&self, put: impl FnMut(u8)) {
        nix32::encode_to(self.digest.iter().copied(), Self::DIGEST_LEN, put);
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.digest_text(), self.name)
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl FromStr for StorePath {
    type Err = PathError;

    fn from_str(base: &str) -> Result<Self, PathError> {
        Self::from_base_name(base)
    }
}

impl AsRef<Self> for StorePath {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl Ord for StorePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.digest
            .cmp(&other.digest)
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for StorePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for StorePath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

through_text!(StorePath);

/// The store path of a derivation: its name ends in `.drv`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DrvPath(StorePath);

impl DrvPath {
    /// Takes a store path whose name ends in `.drv` with something before it.
    pub fn new(path: StorePath) -> Result<Self, PathError> {
        match path.name().strip_drv() {
            Some(name) if !name.is_empty() => Ok(Self(path)),
            _ => Err(PathError::NotDrv {
                path: Quoted::new(path.to_string()),
            }),
        }
    }

    /// As a store path.
    pub fn as_path(&self) -> &StorePath {
        &self.0
    }

    /// As a store path, without a copy.
    pub fn into_path(self) -> StorePath {
        self.0
    }

    /// The name of the derivation: that of the path without `.drv`.
    pub fn drv_name(&self) -> &str {
        self.0.name().strip_drv().unwrap_or_default()
    }
}

impl fmt::Display for DrvPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for DrvPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for DrvPath {
    type Err = PathError;

    fn from_str(base: &str) -> Result<Self, PathError> {
        Self::new(base.parse()?)
    }
}

impl TryFrom<StorePath> for DrvPath {
    type Error = PathError;

    fn try_from(path: StorePath) -> Result<Self, PathError> {
        Self::new(path)
    }
}

impl From<DrvPath> for StorePath {
    fn from(path: DrvPath) -> Self {
        path.0
    }
}

impl AsRef<StorePath> for DrvPath {
    fn as_ref(&self) -> &StorePath {
        &self.0
    }
}

impl Borrow<StorePath> for DrvPath {
    fn borrow(&self) -> &StorePath {
        &self.0
    }
}

through_text!(DrvPath);

/// The name of an output of a derivation: `out`, `dev`, `bin`.
///
/// It becomes the end of a store path's name, so it is made of the same characters.
#[derive(Clone)]
pub struct OutputName(Repr);

/// The usual names need no memory of their own: a package set holds a million of them.
#[derive(Clone)]
enum Repr {
    Usual(u8),
    Other(Box<str>),
}

const USUAL: [&str; 12] = [
    "out", "dev", "bin", "lib", "man", "doc", "info", "devdoc", "debug", "static", "data", "dist",
];

impl OutputName {
    /// Checks and takes a name.
    pub fn new(name: impl AsRef<[u8]>) -> Result<Self, NameError> {
        let name = name.as_ref();
        for (index, usual) in (0u8..).zip(USUAL) {
            if usual.as_bytes() == name {
                return Ok(Self(Repr::Usual(index)));
            }
        }
        check_name(name).map(|name| Self(Repr::Other(name.into())))
    }

    /// `out`, the output that a derivation has if it does not say otherwise.
    pub const fn out() -> Self {
        Self(Repr::Usual(0))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Usual(index) => USUAL.get(usize::from(*index)).copied().unwrap_or_default(),
            Repr::Other(name) => name,
        }
    }

    /// The name of the output's store object: that of the derivation, and the output's unless it is `out`.
    pub fn path_name(&self, drv_name: &str) -> Result<StoreName, NameError> {
        match self.as_str() {
            "out" => StoreName::new(drv_name),
            output => StoreName::new(format!("{drv_name}-{output}")),
        }
    }
}

impl fmt::Display for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OutputName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl FromStr for OutputName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl AsRef<str> for OutputName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for OutputName {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq for OutputName {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for OutputName {}

impl Ord for OutputName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for OutputName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::hash::Hash for OutputName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

through_text!(OutputName);

/// Why a text is not the name of a store object or an output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// There is none.
    #[error("read store name: it is empty")]
    Empty,
    /// More than [`StoreName::MAX_LEN`] bytes.
    #[error(
        "read store name {name}: {length} characters, more than {}",
        StoreName::MAX_LEN
    )]
    TooLong {
        /// The name, cut.
        name: Quoted,
        /// Its length in bytes.
        length: usize,
    },
    /// A character that file systems or shells might take for something else.
    #[error("read store name {name}: it contains {character}")]
    Character {
        /// The name.
        name: Quoted,
        /// The first such byte.
        character: Quoted,
    },
    /// `.`, `..`, or one of these before the first dash.
    #[error("read store name {name}: its first part must not be `.` or `..`")]
    Dots {
        /// The name.
        name: Quoted,
    },
}

/// Why a text is not a store path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A store directory that is not absolute and plain.
    #[error("read store directory {path}: it is not a plain absolute path")]
    StoreDir {
        /// The text.
        path: Quoted,
    },
    /// The path is not in the directory, or not written as directory and base name.
    #[error("read store path {path}: it is not in {dir}")]
    Outside {
        /// The text.
        path: Quoted,
        /// The store directory.
        dir: Quoted,
    },
    /// A base name where a whole path was asked for.
    #[error("read store path {path}: it does not say its directory")]
    Relative {
        /// The text.
        path: Quoted,
    },
    /// Not 32 characters and a dash.
    #[error("read store path {path}: it is not of the form `DIGEST-NAME`")]
    Form {
        /// The text.
        path: Quoted,
    },
    /// The 32 characters are no digest.
    #[error("read store path {path}: invalid digest")]
    Digest {
        /// The text.
        path: Quoted,
        /// What is wrong with it.
        #[source]
        source: nix32::Nix32Error,
    },
    /// What follows the dash is no name.
    #[error("read store path {path}: invalid name")]
    Name {
        /// The text.
        path: Quoted,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// A derivation was asked for.
    #[error("read derivation path {path}: its name does not end in `.drv`")]
    NotDrv {
        /// The store path.
        path: Quoted,
    },
}

fn check_name(name: &[u8]) -> Result<&str, NameError> {
    let first_bad = name.iter().find(|byte| {
        !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_' | b'?' | b'='))
    });
    match (first_bad, std::str::from_utf8(name)) {
        (None, Ok("")) => Err(NameError::Empty),
        (None, Ok(name)) if name.len() > StoreName::MAX_LEN => Err(NameError::TooLong {
            name: Quoted::new(name),
            length: name.len(),
        }),
        (None, Ok(name)) if matches!(name.split('-').next(), Some("." | "..")) => {
            Err(NameError::Dots {
                name: Quoted::new(name),
            })
        }
        (None, Ok(name)) => Ok(name),
        (bad, _) => Err(NameError::Character {
            name: Quoted::new(name),
            character: Quoted::new([bad.copied().unwrap_or_default()]),
        }),
    }
}
