//! The form of derivations on disk: `Derive([..],[..],[..],"system","builder",[..],[..])`.
//!
//! Reading what Nix wrote and writing it again gives the same bytes. The reader takes what Nix takes where
//! order and repetition are concerned (then the canonical form is written), and is stricter elsewhere:
//! separators must be there, nothing may follow, paths and hashes carry no needless escapes.
//! `DrvWithVersion("xp-dyn-drv",..)`, the form with outputs of outputs as inputs, is read and written too.
//! Source: `protocols/derivation-aterm.md` in the Nix manual.
//! Deliberately absent: checking stated paths ([`modulo`](super::modulo)).

mod read;
mod write;

pub use self::read::{AtermError, AtermLimits};
pub(super) use self::write::{Inputs, write};
