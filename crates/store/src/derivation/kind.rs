//! What kind of derivation one is, which its outputs decide together.

use super::{Derivation, Output};
use crate::path::OutputName;

/// What kind of derivation one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DerivationKind {
    /// The output paths follow from the derivation.
    InputAddressed,
    /// They would, but some input's own path is not known yet.
    Deferred,
    /// One output, `out`, whose content is promised; may use the network.
    Fixed,
    /// The output paths will follow from the content.
    Floating,
    /// As floating, may use the network, never cached.
    Impure,
}

impl Derivation {
    /// The kind; an error if the outputs do not go together.
    pub fn kind(&self) -> Result<DerivationKind, KindError> {
        let mut kind = None;
        let mut algo = None;
        for (name, output) in self.outputs() {
            let this = match output {
                Output::InputAddressed { .. } => DerivationKind::InputAddressed,
                Output::Deferred => DerivationKind::Deferred,
                Output::Impure { .. } => DerivationKind::Impure,
                Output::Fixed { .. } if name.as_str() == "out" => DerivationKind::Fixed,
                Output::Fixed { .. } => {
                    return Err(KindError::FixedName {
                        output: name.clone(),
                    });
                }
                Output::Floating { algo: this, .. } => {
                    if *algo.get_or_insert(*this) != *this {
                        return Err(KindError::FloatingAlgos);
                    }
                    DerivationKind::Floating
                }
            };
            if *kind.get_or_insert(this) != this {
                return Err(KindError::Mixed {
                    output: name.clone(),
                });
            }
        }
        kind.ok_or(KindError::NoOutputs)
    }
}

/// Why the outputs of a derivation do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KindError {
    /// There are none.
    #[error("tell kind of derivation: it has no outputs")]
    NoOutputs,
    /// Two kinds of output.
    #[error("tell kind of derivation: output `{output}` is of another kind than those before it")]
    Mixed {
        /// The first that differs.
        output: OutputName,
    },
    /// A fixed output must be alone and be called `out`.
    #[error("tell kind of derivation: a fixed output must be called `out`, not `{output}`")]
    FixedName {
        /// The output.
        output: OutputName,
    },
    /// Floating outputs must share their hash algorithm.
    #[error("tell kind of derivation: its floating outputs have different hash algorithms")]
    FloatingAlgos,
}
