//! Tells what some bytes are by their content, and what they look like when they are nothing that
//! is read here.
//!
//! It looks at the beginning only, however large the rest is: the first keys of a JSON document
//! that decide, the first line of a text. File names are never looked at. What says that it is one
//! thing and breaks later is that thing, and its reader says where it breaks.

mod outline;

use std::borrow::Cow;
use std::fmt;

use snowguard_formats::DetectError;
use snowguard_store::{Quoted, StoreDir};

use self::outline::Outline;
use crate::error::ACCEPTED;

/// A content that is read here, once decompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One derivation in ATerm form: a `.drv` file.
    Derivation,
    /// The JSON of `nix derivation show`.
    Derivations,
    /// The JSON of `nix path-info`.
    PathInfo,
    /// Store paths, one a line.
    PathList,
    /// CycloneDX JSON.
    CycloneDx,
    /// SPDX 2, JSON or tag-value.
    Spdx,
    /// The JSON of `nix-env -qaP`, or a channel's `packages.json`.
    Packages,
    /// The lines of nix-eval-jobs.
    Jobs,
}

/// What bytes look like that are not read here.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Looks {
    /// Nothing, or only white space.
    Empty,
    /// A `flake.lock`.
    FlakeLock,
    /// A Nix expression.
    NixExpression,
    /// A program or library.
    Elf,
    /// A script with an interpreter line.
    Script,
    /// A web page, mostly one that says that something went wrong.
    Html,
    /// A binary cache's description of a store object.
    NarInfo,
    /// An archive of a store object.
    Nar,
    /// A SQLite database, such as Nix's own.
    Sqlite,
    /// Compressed or packed in a way that is not undone here.
    Packed(&'static str),
    /// A file that lists dependencies for another package manager.
    LockFile(&'static str),
    /// Statements about vulnerabilities rather than a list of components.
    Statements(&'static str),
    /// An advisory, or a feed of them.
    Advisory,
    /// What `nix build --json` prints.
    BuildResult,
    /// What `nix-store --query --graph` prints.
    Graph,
    /// A document of a format that is known and not read.
    NotRead {
        /// What it is.
        what: String,
        /// What to do about it.
        hint: &'static str,
    },
    /// JSON of another kind.
    OtherJson {
        /// Its first keys, escaped, or what it is instead of an object.
        shape: String,
    },
    /// It begins like JSON and breaks.
    BrokenJson {
        /// What is wrong, with line and column.
        problem: String,
    },
    /// Text of another kind.
    OtherText {
        /// Its beginning.
        beginning: Quoted,
    },
    /// No text at all.
    Binary,
}

impl fmt::Display for Looks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::FlakeLock => f.write_str("it is a flake.lock"),
            Self::NixExpression => f.write_str("it looks like a Nix expression"),
            Self::Elf => f.write_str("it is a program or library (ELF)"),
            Self::Script => f.write_str("it is a script"),
            Self::Html => f.write_str("it is a web page (HTML)"),
            Self::NarInfo => f.write_str("it is a binary cache's narinfo"),
            Self::Nar => f.write_str("it is a NAR, the archive of a store object"),
            Self::Sqlite => f.write_str("it is a SQLite database"),
            Self::Packed(method) => write!(f, "it is packed with {method}"),
            Self::LockFile(whose) => write!(f, "it looks like a lock file of {whose}"),
            Self::Statements(format) => {
                write!(
                    f,
                    "it is {format}: statements about vulnerabilities, not components"
                )
            }
            Self::Advisory => f.write_str("it looks like a security advisory"),
            Self::BuildResult => f.write_str("it looks like the output of `nix build --json`"),
            Self::Graph => f.write_str("it is a graph for Graphviz"),
            Self::NotRead { what, .. } => write!(f, "it is {what}"),
            Self::OtherJson { shape } => write!(f, "it is JSON of an unknown kind: {shape}"),
            Self::BrokenJson { problem } => {
                write!(f, "it begins like JSON but is broken: {problem}")
            }
            Self::OtherText { beginning } => write!(f, "it is text that begins with {beginning}"),
            Self::Binary => f.write_str("it is binary data of an unknown kind"),
        }
    }
}

impl Looks {
    /// What to do about it.
    pub fn hint(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Empty => "check the command that wrote it: it printed nothing, or failed",
            Self::FlakeLock => {
                "a lock names inputs, not packages: pass `./result` after `nix build`, or the output of `nix derivation show -r`"
            }
            Self::NixExpression => {
                "expressions are not evaluated here: pass `./result` after `nix build`, or the output of `nix-instantiate`"
            }
            Self::Elf | Self::Script => "pass the store path that it belongs to",
            Self::Html => "open it in a browser: a download most likely failed",
            Self::NarInfo | Self::Nar => {
                "pass the output of `nix path-info --json -r --store URL PATH`"
            }
            Self::Sqlite => {
                "pass the store that it belongs to with `--store`, and a store path in it"
            }
            Self::Packed(_) => "unpack it first",
            Self::LockFile(_) => "pass what was built from it, or an SBOM",
            Self::Statements(_) => {
                "pass the SBOM, closure or store path that they are about, and these statements beside it"
            }
            Self::Advisory => "bring advisories in with `snowguard advisories import`",
            Self::BuildResult => "pass `./result`, or the store paths in it",
            Self::Graph => {
                "pass the output of `nix-store -qR`, or better of `nix path-info --json -r`"
            }
            Self::NotRead { hint, .. } => hint,
            Self::BrokenJson { .. } => "make the file again: it may have been cut off",
            Self::OtherJson { .. } | Self::OtherText { .. } | Self::Binary => ACCEPTED,
        })
    }
}

/// Says what the bytes are.
pub(crate) fn detect(bytes: &[u8]) -> Result<Format, Looks> {
    if let Some(looks) = by_magic(bytes) {
        return Err(looks);
    }
    let text = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let text = text.trim_ascii_start();
    if text.starts_with(b"Derive(") || text.starts_with(b"DrvWithVersion(") {
        return Ok(Format::Derivation);
    }
    match text.first() {
        None => Err(Looks::Empty),
        Some(b'{' | b'[') => detect_json(text),
        Some(b'<') => Err(detect_markup(text)),
        Some(_) => detect_text(text),
    }
}

/// How much of a text is looked at for words.
const HEAD: usize = 4 << 10;

fn head(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(HEAD)]
}

fn by_magic(bytes: &[u8]) -> Option<Looks> {
    const PACKED: [(&[u8], &str); 6] = [
        (b"\xFD7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"PK\x03\x04", "zip"),
        (b"\x04\x22\x4D\x18", "lz4"),
        (b"7z\xBC\xAF\x27\x1C", "7-Zip"),
        (b"\x5D\0\0", "lzma"),
    ];
    if let Some((_, method)) = PACKED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Some(Looks::Packed(method));
    }
    if bytes.starts_with(b"\x7FELF") {
        return Some(Looks::Elf);
    }
    if bytes.starts_with(b"SQLite format 3\0") {
        return Some(Looks::Sqlite);
    }
    if bytes.starts_with(b"\x0D\0\0\0\0\0\0\0nix-archive-1") {
        return Some(Looks::Nar);
    }
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Some(Looks::NotRead {
            what: "text in UTF-16".to_owned(),
            hint: "convert it to UTF-8",
        });
    }
    head(bytes).contains(&0).then_some(Looks::Binary)
}

fn detect_json(json: &[u8]) -> Result<Format, Looks> {
    let outline = Outline::of(json);
    if let Some(verdict) = outline.verdict() {
        return verdict;
    }
    if outline.broken.is_some() {
        if is_lock_file(head(json)) {
            return Err(Looks::LockFile("a language's packages"));
        }
        if begins_with_a_table(json) {
            return Err(Looks::OtherText {
                beginning: beginning(json),
            });
        }
        if looks_like_nix(head(json)) {
            return Err(Looks::NixExpression);
        }
    }
    match snowguard_formats::detect(json) {
        Ok(detected) => of_document(detected.format),
        Err(DetectError::NotRead { what, hint }) => Err(Looks::NotRead { what, hint }),
        Err(_) => Err(match outline.broken {
            Some(problem) => Looks::BrokenJson { problem },
            None => Looks::OtherJson {
                shape: outline.shape(),
            },
        }),
    }
}

fn of_document(format: snowguard_formats::Format) -> Result<Format, Looks> {
    use snowguard_formats::Format as Document;
    match format {
        Document::CycloneDx => Ok(Format::CycloneDx),
        Document::Spdx | Document::SpdxTagValue => Ok(Format::Spdx),
        Document::OpenVex
        | Document::Csaf
        | Document::Sarif
        | Document::Dsse
        | Document::InToto => Err(Looks::Statements(format.name())),
        Document::Osv | Document::Secdb => Err(Looks::Advisory),
    }
}

fn detect_markup(text: &[u8]) -> Looks {
    let head = String::from_utf8_lossy(head(text)).to_ascii_lowercase();
    if head.starts_with("<!doctype html") || head.starts_with("<html") || head.contains("<head>") {
        return Looks::Html;
    }
    match snowguard_formats::detect(text) {
        Err(DetectError::NotRead { what, hint }) => Looks::NotRead { what, hint },
        _ => Looks::OtherText {
            beginning: beginning(text),
        },
    }
}

fn detect_text(text: &[u8]) -> Result<Format, Looks> {
    let first_line = text
        .split(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let first_word = first_line
        .split(u8::is_ascii_whitespace)
        .next()
        .unwrap_or_default();
    let is_store_path =
        std::str::from_utf8(first_word).is_ok_and(|word| StoreDir::split(word).is_ok());
    if is_store_path {
        return Ok(Format::PathList);
    }
    if text.starts_with(b"#!") {
        return Err(Looks::Script);
    }
    if text.starts_with(b"StorePath: ") {
        return Err(Looks::NarInfo);
    }
    if text.starts_with(b"digraph ") {
        return Err(Looks::Graph);
    }
    match snowguard_formats::detect(text) {
        Ok(detected) => of_document(detected.format),
        Err(_) if looks_like_nix(head(text)) => Err(Looks::NixExpression),
        Err(DetectError::Binary) => Err(Looks::Binary),
        Err(_) if is_lock_file(head(text)) => Err(Looks::LockFile("a language's packages")),
        Err(_) => Err(Looks::OtherText {
            beginning: beginning(text),
        }),
    }
}

/// Words that stand in most Nix files, and in little else that someone would pass here.
fn looks_like_nix(head: &[u8]) -> bool {
    const MARKS: [&str; 11] = [
        "import <",
        "with import ",
        "mkDerivation",
        "callPackage",
        "{ pkgs",
        "{ lib",
        "{ config",
        "{ stdenv",
        "rec {",
        "inputs.nixpkgs",
        "outputs = ",
    ];
    let text = String::from_utf8_lossy(head);
    MARKS.iter().any(|mark| text.contains(mark))
        || (text.contains("\nin\n") || text.contains("\nin ")) && text.contains("let")
}

fn is_lock_file(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head);
    [
        "[[package]]",
        "\nGEM\n",
        "# yarn lockfile",
        "lockfileVersion:",
    ]
    .iter()
    .any(|mark| text.contains(mark))
}

/// Whether it is TOML or the like, whose `[name]` looks like JSON at first.
fn begins_with_a_table(text: &[u8]) -> bool {
    const LITERALS: [&[u8]; 3] = [b"true", b"false", b"null"];
    let name = text.strip_prefix(b"[").unwrap_or_default();
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && !LITERALS.iter().any(|literal| name.starts_with(literal))
}

fn beginning(text: &[u8]) -> Quoted {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.trim_ascii();
    // A screen's width is enough to recognise a file by.
    match std::str::from_utf8(line) {
        Ok(line) => Quoted::new(line.chars().take(60).collect::<String>()),
        Err(_) => Quoted::new(&line[..line.len().min(60)]),
    }
}
