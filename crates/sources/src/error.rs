//! Why an input cannot be read, and what to do about it.
//!
//! A message says what happened to which thing; the remedy is apart, in [`SourceError::hint`].
//! Names and excerpts of inputs are escaped: they can be printed as they are.

use std::io;

use snowguard_formats::ReadError;
use snowguard_store::Quoted;
use snowguard_store::derivation::aterm::AtermError;
use snowguard_store::derivation::json::JsonError;
use snowguard_store::path::PathError;
use snowguard_store::path_info::PathInfoError;

use crate::detect::Looks;
use crate::input::Kind;
use crate::live::StoreError;
use crate::packages::PackagesError;

/// Why there is no subject.
///
/// `Display` does not repeat the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing was given, and what is read then is not there.
    #[error("nothing to read: there is neither {}", .looked_for.join(" nor "))]
    NothingGiven {
        /// What was looked for.
        looked_for: Vec<String>,
    },
    /// The list of inputs is empty.
    #[error("nothing to read: no input was given")]
    NoInput,
    /// There is no such file or store path.
    #[error("{name} does not exist")]
    NotFound {
        /// As it was given.
        name: Quoted,
    },
    /// A reference to a flake, which would have to be evaluated.
    #[error(
        "{name} is not a file; it looks like a reference to a flake, which is not evaluated here"
    )]
    FlakeReference {
        /// As it was given.
        name: Quoted,
    },
    /// A chain of symbolic links does not end.
    #[error("{name} leads through more than {limit} symbolic links")]
    LinkLoop {
        /// As it was given.
        name: Quoted,
        /// How many are followed.
        limit: usize,
    },
    /// The system says no.
    #[error("cannot read {name}")]
    Io {
        /// Which file.
        name: Quoted,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Compressed data is damaged.
    #[error("cannot decompress {name}: the {method} data is damaged or cut off")]
    Decompress {
        /// Which file.
        name: Quoted,
        /// How it is compressed.
        method: &'static str,
        /// What the decompressor says.
        #[source]
        source: io::Error,
    },
    /// Compressed more often than is reasonable.
    #[error("{name} is compressed more than {limit} times over")]
    TooNested {
        /// Which file.
        name: Quoted,
        /// How often is undone.
        limit: usize,
    },
    /// More bytes than a limit allows.
    #[error("{name} is refused: {what} has more than {limit} bytes")]
    TooLarge {
        /// Which file.
        name: Quoted,
        /// What of it.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// More things than a limit allows.
    #[error("{name} is refused: it has more than {limit} {what}")]
    TooMany {
        /// Which input.
        name: Quoted,
        /// Things of which kind.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The content is nothing that is read here.
    #[error("cannot tell how to read {name}: {looks}")]
    Unknown {
        /// Which file.
        name: Quoted,
        /// What it looks like.
        looks: Box<Looks>,
    },
    /// A directory or archive without a single derivation.
    #[error("there is no .drv file in {name}")]
    NoDerivations {
        /// Which directory or archive.
        name: Quoted,
        /// Where there are some, if they were seen nearby.
        elsewhere: Option<Quoted>,
    },
    /// Every file that should have been read failed.
    #[error("none of the {count} .drv files in {name} can be read; the first: {example}")]
    AllUnreadable {
        /// Which directory or archive.
        name: Quoted,
        /// How many.
        count: usize,
        /// The first, with the reason.
        example: String,
    },
    /// A `.drv` file is not a derivation.
    #[error("cannot read the derivation {name}")]
    Derivation {
        /// Which file.
        name: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<AtermError>,
    },
    /// A derivation whose own path can neither be told from its file name nor computed.
    #[error("cannot tell the store path of the derivation {name}")]
    DerivationPath {
        /// Which file.
        name: Quoted,
        /// Why.
        #[source]
        source: Box<PathError>,
    },
    /// JSON of derivations that cannot be read.
    #[error("cannot read the derivations in {name}")]
    Derivations {
        /// Which file.
        name: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<JsonError>,
    },
    /// JSON of store objects that cannot be read.
    #[error("cannot read the store objects in {name}")]
    PathInfo {
        /// Which file.
        name: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<PathInfoError>,
    },
    /// An evaluated package set that cannot be read.
    #[error("cannot read the package set in {name}")]
    Packages {
        /// Which file.
        name: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<PackagesError>,
    },
    /// A line of a list of store paths is none.
    #[error("line {line} of {name} is not a store path")]
    PathList {
        /// Which file.
        name: Quoted,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: Box<PathError>,
    },
    /// A bill of materials that cannot be read.
    #[error("cannot read the document {name}")]
    Document {
        /// Which file.
        name: Quoted,
        /// What is wrong with it.
        #[source]
        source: Box<ReadError>,
    },
    /// It was read, and holds nothing.
    #[error("{name} holds no {what}")]
    Nothing {
        /// Which input.
        name: Quoted,
        /// What there should have been.
        what: &'static str,
    },
    /// A live store cannot be used.
    #[error("cannot read {name} from the store")]
    Store {
        /// As it was given.
        name: Quoted,
        /// Why.
        #[source]
        source: Box<StoreError>,
    },
    /// What looks like an object of a store lies outside of the one that was named.
    #[error("{name} is not in the store {store}")]
    NotInStore {
        /// As it was given.
        name: Quoted,
        /// The store, as it really lies.
        store: Quoted,
    },
    /// An object of a store, whose database is not there.
    #[error("cannot tell what {name} refers to")]
    NoDatabase {
        /// As it was given.
        name: Quoted,
    },
    /// Inputs that make no one subject.
    #[error("{first} is {first_kind}, but {second} is {second_kind}: they cannot be read as one")]
    MixedKinds {
        /// One input.
        first: Quoted,
        /// What it is.
        first_kind: Kind,
        /// Another.
        second: Quoted,
        /// What that is.
        second_kind: Kind,
    },
    /// Paths of different stores.
    #[error("{first} and {second} are in different stores: they cannot be read as one")]
    OtherStore {
        /// One input.
        first: Quoted,
        /// Another.
        second: Quoted,
    },
    /// Something was given beside the input that does not belong there.
    #[error("{name} is {kind}: beside {input} it cannot be used")]
    NotBeside {
        /// Which input.
        name: Quoted,
        /// What it is.
        kind: Kind,
        /// What the main input is.
        input: Kind,
    },
    /// A package set is wanted, and this is something else.
    #[error("{name} is {kind}, and no package set")]
    NotPackages {
        /// Which input.
        name: Quoted,
        /// What it is.
        kind: Kind,
    },
}

impl SourceError {
    /// What to do about it, when there is something to do: one sentence without a full stop.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NothingGiven { .. } => {
                "pass what to read: a store path or a link to one such as `./result`, a `.drv` file, a saved closure, an SBOM or a package set"
            }
            Self::NoInput => ACCEPTED,
            Self::NotFound { name } if is_store_path(name) => {
                "the store does not have it: build or fetch it first, or pass `--store` if it lies in another store"
            }
            Self::NotFound { .. } => "check the path; `-` reads standard input",
            Self::FlakeReference { .. } => {
                "pass `./result` after `nix build`, or the output of `nix derivation show -r`"
            }
            Self::LinkLoop { .. } => "pass the store path itself",
            Self::Io { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => "run as a user who may read it",
                _ => return None,
            },
            Self::Decompress { .. } => "fetch or make the file again",
            Self::TooNested { .. } => "decompress it first",
            Self::TooLarge { .. } | Self::TooMany { .. } => "pass a smaller part of it",
            Self::Unknown { looks, .. } => return Some(looks.hint().into_owned()),
            Self::NoDerivations {
                elsewhere: Some(elsewhere),
                ..
            } => return Some(format!("{elsewhere} has some: pass that")),
            Self::NoDatabase { .. } => NO_DATABASE,
            Self::NoDerivations { name, .. } if is_store_path(name) => NO_DATABASE,
            Self::NotInStore { .. } => {
                "leave out `--store`, or name the store that it lies in; what is in a file there can be read from standard input"
            }
            Self::NoDerivations { .. } => {
                "pass a directory that has `.drv` files in it, not below it, or one of the files in it; `--deep` looks for what any other files declare"
            }
            Self::AllUnreadable { .. } | Self::Derivation { .. } => {
                "pass `.drv` files as Nix writes them, or the JSON of `nix derivation show -r`"
            }
            Self::DerivationPath { .. } => {
                "keep the name that the file has in the store: `HASH-NAME.drv`"
            }
            Self::Derivations { .. } => {
                "make it again with `nix derivation show -r`, or `nix show-derivation -r` of an older Nix"
            }
            Self::PathInfo { .. } => "make it again with `nix path-info --json -r`",
            Self::Packages { source, .. } => source.hint(),
            Self::PathList { .. } => {
                "pass one store path a line, as `nix-store -qR` and `nix path-info -r` print them"
            }
            Self::Document { source, .. } => return source.hint().map(str::to_owned),
            Self::Nothing { .. } => "check the command that wrote it",
            Self::Store { source, .. } => return source.hint(),
            Self::MixedKinds { .. } | Self::OtherStore { .. } => "read them one after the other",
            Self::NotBeside {
                input: Kind::PackageSet,
                ..
            } => {
                "pass a `.drv` file, a directory or tar of them, or the JSON of `nix derivation show -r`"
            }
            Self::NotPackages { .. } => {
                "pass the output of `nix-env -qaP --json --meta --drv-path --out-path` or of `nix-eval-jobs --meta`, or a channel's `packages.json`"
            }
            Self::NotBeside { .. } => "derivations are given beside an evaluated package set only",
        };
        Some(hint.to_owned())
    }
}

const NO_DATABASE: &str = "Nix's database is not beside this store: pass the output of `nix path-info --json -r` from where there is one, or a list of the store's paths; `--deep` looks for what its files declare";

/// What can be read, in one line.
pub(crate) const ACCEPTED: &str = "accepted are: a store path or a link to one; a `.drv` file, a directory or tar of them; the JSON of `nix derivation show -r`, `nix path-info --json -r`, `nix-env -qaP --json` or nix-eval-jobs; CycloneDX or SPDX documents; a list of store paths";

fn is_store_path(name: &Quoted) -> bool {
    let name = name.as_str().trim_matches('`').trim_end_matches('/');
    name.contains("/store/") || name.ends_with("/store")
}
