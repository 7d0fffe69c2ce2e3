//! Derivations: what is built, from what, into what.
//!
//! [`Derivation`] is the value; its two forms on disk and on pipes are in [`aterm`] and [`json`], its
//! attributes as packages mean them in [`attrs`], and the addresses that follow from it in [`modulo`].
//! Deliberately absent: building, and reading files.

pub mod aterm;
pub mod attrs;
mod builder;
pub mod json;
mod kind;
pub mod modulo;
mod parts;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

pub use self::builder::DerivationBuilder;
pub use self::kind::{DerivationKind, KindError};
use self::parts::sort_last_wins;

use crate::content_address::{ContentAddress, ContentAddressMethod};
use crate::hash::HashAlgo;
use crate::path::{DrvPath, NameError, OutputName, StoreDir, StoreName, StorePath};

/// A derivation, without the store directory that it belongs to and without its own path.
///
/// It is a value: made by [`aterm`], [`json`] or [`DerivationBuilder`], and changed through the latter.
/// All free text lies in one allocation, so that tens of thousands of derivations can be held;
/// [`Derivation::retain_env`] drops what a reader does not need.
/// Free text is bytes, since Nix does not ask for UTF-8.
#[derive(Clone)]
pub struct Derivation {
    name: StoreName,
    /// Sorted by name.
    outputs: Box<[(OutputName, Output)]>,
    /// Sorted by path.
    input_drvs: Box<[InputDrv]>,
    /// Sorted.
    input_srcs: Box<[StorePath]>,
    /// What the spans below point into.
    text: Box<[u8]>,
    system: Span,
    builder: Span,
    args: Box<[Span]>,
    /// Sorted by key.
    env: Box<[(Span, Span)]>,
}

impl Derivation {
    /// The name, without `.drv`; the ATerm form does not hold it, the path does.
    pub fn name(&self) -> &StoreName {
        &self.name
    }

    /// The outputs, sorted by name.
    pub fn outputs(&self) -> &[(OutputName, Output)] {
        &self.outputs
    }

    /// One output.
    pub fn output(&self, name: &str) -> Option<&Output> {
        let index = self
            .outputs
            .binary_search_by(|(output, _)| output.as_str().cmp(name))
            .ok()?;
        self.outputs.get(index).map(|(_, output)| output)
    }

    /// The derivations whose outputs this one needs, sorted by path.
    pub fn input_drvs(&self) -> &[InputDrv] {
        &self.input_drvs
    }

    /// The sources and other finished store objects that this one needs, sorted.
    pub fn input_srcs(&self) -> &[StorePath] {
        &self.input_srcs
    }

    /// The kind of machine that can build it: `x86_64-linux`, `builtin`.
    pub fn system(&self) -> &str {
        std::str::from_utf8(self.bytes(self.system)).unwrap_or_default()
    }

    /// The program that builds it: a path, or `builtin:NAME`.
    pub fn builder(&self) -> &[u8] {
        self.bytes(self.builder)
    }

    /// The arguments of the builder.
    pub fn args(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.args.iter().map(|span| self.bytes(*span))
    }

    /// The environment, sorted by name.
    pub fn env(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.env
            .iter()
            .map(|(key, value)| (self.bytes(*key), self.bytes(*value)))
    }

    /// The value of one environment variable.
    pub fn env_bytes(&self, name: &str) -> Option<&[u8]> {
        let index = self
            .env
            .binary_search_by(|(key, _)| self.bytes(*key).cmp(name.as_bytes()))
            .ok()?;
        self.env.get(index).map(|(_, value)| self.bytes(*value))
    }

    /// The value of one environment variable as text; bytes that are not UTF-8 become U+FFFD.
    pub fn env_text(&self, name: &str) -> Option<Cow<'_, str>> {
        self.env_bytes(name).map(String::from_utf8_lossy)
    }

    /// Drops the environment variables that are not asked for, and their memory with them.
    ///
    /// What is left can no longer be printed as the derivation that it was.
    pub fn retain_env(&mut self, mut keep: impl FnMut(&[u8]) -> bool) {
        let mut text = Vec::new();
        let mut moved = |span: Span| {
            // What is left is no longer than it was, and that was within 32 bits.
            let start = u32::try_from(text.len()).unwrap_or(u32::MAX);
            text.extend_from_slice(self.text.get(span.range()).unwrap_or_default());
            Span {
                start,
                end: start.saturating_add(span.end - span.start),
            }
        };
        let (system, builder) = (moved(self.system), moved(self.builder));
        let args = self.args.iter().map(|arg| moved(*arg)).collect();
        let env = self
            .env
            .iter()
            .filter(|(name, _)| keep(self.bytes(*name)))
            .map(|(name, value)| (moved(*name), moved(*value)))
            .collect();
        (self.system, self.builder, self.args, self.env) = (system, builder, args, env);
        self.text = text.into();
    }

    /// Only what it needs: the derivations sorted by path, and the sources, sorted.
    pub fn into_inputs(self) -> (Box<[InputDrv]>, Box<[StorePath]>) {
        (self.input_drvs, self.input_srcs)
    }

    /// All parts, to be changed.
    pub fn to_builder(&self) -> DerivationBuilder {
        DerivationBuilder::from_derivation(self)
    }

    /// The path of the derivation itself: a text with the inputs as references.
    pub fn drv_path(&self, dir: &StoreDir) -> Result<DrvPath, NameError> {
        let name = StoreName::new(format!("{}.drv", self.name))?;
        let references: Vec<StorePath> = self
            .input_drvs
            .iter()
            .map(|input| input.path.as_path())
            .chain(&self.input_srcs)
            .cloned()
            .collect();
        let path = dir.text_path(&name, &self.to_aterm(dir), &references);
        // The name ends in `.drv` after a name that is not empty.
        DrvPath::new(path).map_err(|_| NameError::Empty)
    }

    fn bytes(&self, span: Span) -> &[u8] {
        self.text
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }
}

impl PartialEq for Derivation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.outputs == other.outputs
            && self.input_drvs == other.input_drvs
            && self.input_srcs == other.input_srcs
            && self.system() == other.system()
            && self.builder() == other.builder()
            && self.args().eq(other.args())
            && self.env().eq(other.env())
    }
}

impl Eq for Derivation {}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        f.debug_struct("Derivation")
            .field("name", &self.name)
            .field("outputs", &self.outputs)
            .field("input_drvs", &self.input_drvs)
            .field("input_srcs", &self.input_srcs)
            .field("system", &self.system())
            .field("builder", &text(self.builder()))
            .field("args", &self.args().map(text).collect::<Vec<_>>())
            .field(
                "env",
                &self
                    .env()
                    .map(|(key, value)| (text(key), text(value)))
                    .collect::<Vec<_>>(),
            )
            .finish_non_exhaustive()
    }
}

/// An output of a derivation, by how its path comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// The path follows from the derivation (see [`modulo`]).
    InputAddressed {
        /// The path that the derivation states.
        path: StorePath,
    },
    /// The content is promised beforehand: a download, mostly.
    Fixed {
        /// The path that the derivation states; it follows from the address.
        path: StorePath,
        /// The promise.
        address: ContentAddress,
    },
    /// The path will follow from the content once that is built; experimental feature `ca-derivations`.
    Floating {
        /// What will be hashed.
        method: ContentAddressMethod,
        /// With what.
        algo: HashAlgo,
    },
    /// Input-addressed, but over inputs whose own paths are not known before they are built.
    Deferred,
    /// As floating, but never taken for the same twice; experimental feature `impure-derivations`.
    Impure {
        /// What will be hashed.
        method: ContentAddressMethod,
        /// With what.
        algo: HashAlgo,
    },
}

impl Output {
    /// The path, where it is known before the build.
    pub fn path(&self) -> Option<&StorePath> {
        match self {
            Self::InputAddressed { path } | Self::Fixed { path, .. } => Some(path),
            Self::Floating { .. } | Self::Deferred | Self::Impure { .. } => None,
        }
    }
}

/// A derivation whose outputs another one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputDrv {
    path: DrvPath,
    /// Sorted.
    outputs: Box<[OutputName]>,
    /// Sorted by chain, each chain once.
    dynamic: Box<[DynamicOutputs]>,
}

impl InputDrv {
    /// Takes outputs in any order.
    pub fn new(path: DrvPath, outputs: impl IntoIterator<Item = OutputName>) -> Self {
        let mut outputs: Vec<OutputName> = outputs.into_iter().collect();
        sort_last_wins(&mut outputs, Ord::cmp);
        Self {
            path,
            outputs: outputs.into(),
            dynamic: Box::default(),
        }
    }

    /// Takes outputs of its own and outputs of derivations that it will build, in any order.
    pub fn with_dynamic(
        path: DrvPath,
        outputs: impl IntoIterator<Item = OutputName>,
        dynamic: impl IntoIterator<Item = DynamicOutputs>,
    ) -> Self {
        let mut needs = Needs::default();
        needs.add(outputs, dynamic);
        needs.into_input(path)
    }

    /// The derivation.
    pub fn path(&self) -> &DrvPath {
        &self.path
    }

    /// Which of its outputs are needed, sorted.
    pub fn outputs(&self) -> &[OutputName] {
        &self.outputs
    }

    /// Which outputs of derivations that it builds are needed, sorted by chain; experimental feature
    /// `dynamic-derivations`.
    pub fn dynamic(&self) -> &[DynamicOutputs] {
        &self.dynamic
    }
}

/// Outputs of a derivation that is itself the output of a derivation, and so on.
///
/// Chain `[out]` with outputs `[dev]` at the input `foo.drv.drv` means: output `out` of it is a derivation,
/// whose output `dev` is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DynamicOutputs {
    chain: Box<[OutputName]>,
    outputs: Box<[OutputName]>,
}

impl DynamicOutputs {
    /// Takes the chain, outermost first, and the outputs; `None` if either is empty.
    pub fn new(
        chain: impl IntoIterator<Item = OutputName>,
        outputs: impl IntoIterator<Item = OutputName>,
    ) -> Option<Self> {
        let chain: Box<[_]> = chain.into_iter().collect();
        let outputs: BTreeSet<_> = outputs.into_iter().collect();
        let usable = !chain.is_empty() && !outputs.is_empty();
        usable.then(|| Self {
            chain,
            outputs: outputs.into_iter().collect(),
        })
    }

    /// The outputs that lead to the derivation, outermost first; at least one.
    pub fn chain(&self) -> &[OutputName] {
        &self.chain
    }

    /// Which of its outputs are needed, sorted; at least one.
    pub fn outputs(&self) -> &[OutputName] {
        &self.outputs
    }
}

/// What is needed of an input, in collections that can grow.
#[derive(Debug, Clone, Default)]
struct Needs {
    outputs: BTreeSet<OutputName>,
    dynamic: BTreeMap<Box<[OutputName]>, BTreeSet<OutputName>>,
}

impl Needs {
    fn add(
        &mut self,
        outputs: impl IntoIterator<Item = OutputName>,
        dynamic: impl IntoIterator<Item = DynamicOutputs>,
    ) {
        self.outputs.extend(outputs);
        for DynamicOutputs { chain, outputs } in dynamic {
            self.dynamic.entry(chain).or_default().extend(outputs);
        }
    }

    fn into_input(self, path: DrvPath) -> InputDrv {
        let dynamic = self
            .dynamic
            .into_iter()
            .map(|(chain, outputs)| DynamicOutputs {
                chain,
                outputs: outputs.into_iter().collect(),
            })
            .collect();
        InputDrv {
            path,
            outputs: self.outputs.into_iter().collect(),
            dynamic,
        }
    }
}

/// The texts of a derivation are more than 4 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("make derivation: its texts are more than 4 GiB")]
pub struct TooLargeError;

/// A piece of [`Derivation::text`]. 32 bits are enough: [`DerivationBuilder`] and the limits see to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
