//! The form of derivations on pipes: what `nix derivation show` prints.
//!
//! It has changed with Nix; every form is read, told apart by what is there:
//!
//! | Nix | form |
//! |---|---|
//! | 2.0 | whole paths; `platform`; `hashAlgo` is `r:sha256`; digests in hex |
//! | 2.4 | `system` instead of `platform` |
//! | 2.15 | `name` |
//! | 2.18 | inputs are `{"outputs": [..], "dynamicOutputs": {..}}` |
//! | 2.23 | `method` beside `hashAlgo` |
//! | 2.30 | `structuredAttrs` as JSON instead of `env.__json` as text |
//! | 2.32 | `"version": 3`; paths without the store directory, fixed outputs without a path |
//! | 2.33 | `"version": 4`; `inputs: {srcs, drvs}`; fixed outputs as `{method, hash}`, hashes in SRI; the whole document is `{"version": 4, "derivations": {..}}` |
//!
//! Source: the JSON schemas and release notes of Nix, and what its versions print.

mod canonical;
mod read;
mod seeds;
mod write;

pub use self::read::{DerivationSet, JsonDerivationError, JsonError, JsonLimits};
pub use self::write::{JsonForm, JsonLayout, JsonWriteError};
