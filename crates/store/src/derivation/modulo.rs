//! Addresses that follow from derivations: hash modulo, output paths, and checks of what is stated.
//!
//! An input-addressed output path is a hash over the derivation in which every input derivation is replaced
//! by its own such hash ("modulo" because fixed-output derivations count by what they promise, not by how
//! they fetch it). The graph of inputs is walked without recursion, and each derivation is hashed once.
//! Source: `protocols/store-path.md` and the section on input-addressing in the Nix manual.
//! Deliberately absent: where derivations come from; a [`Resolver`] hands them in.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::error::Error;
use std::hash::BuildHasher;
use std::ops::Deref;

use super::aterm::{Inputs, write};
use super::{Derivation, DerivationKind, KindError, Output};
use crate::compute::{ComputeError, References};
use crate::hash::{Notation, sha256};
use crate::path::{DrvPath, NameError, OutputName, StoreDir, StorePath};

/// Finds derivations by path.
pub trait Resolver {
    /// How a derivation is handed out: by reference, boxed, shared.
    type Drv: Deref<Target = Derivation>;
    /// Why one cannot be had.
    type Error: Error + 'static;

    /// The derivation at a path; asked once for each.
    fn derivation(&mut self, path: &DrvPath) -> Result<Self::Drv, Self::Error>;
}

impl<'a, S: BuildHasher> Resolver for &'a HashMap<DrvPath, Derivation, S> {
    type Drv = &'a Derivation;
    type Error = UnknownDerivation;

    fn derivation(&mut self, path: &DrvPath) -> Result<&'a Derivation, UnknownDerivation> {
        self.get(path)
            .ok_or_else(|| UnknownDerivation { path: path.clone() })
    }
}

impl<'a> Resolver for &'a BTreeMap<DrvPath, Derivation> {
    type Drv = &'a Derivation;
    type Error = UnknownDerivation;

    fn derivation(&mut self, path: &DrvPath) -> Result<&'a Derivation, UnknownDerivation> {
        self.get(path)
            .ok_or_else(|| UnknownDerivation { path: path.clone() })
    }
}

/// A map holds no derivation of this path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("find derivation `{path}`: it is not here")]
pub struct UnknownDerivation {
    /// The path.
    pub path: DrvPath,
}

/// What stands for a derivation where it is an input of others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashModulo {
    /// An input-addressed derivation: SHA-256 of its ATerm form with inputs replaced.
    Regular([u8; 32]),
    /// A fixed-output derivation: SHA-256 of what its output `out` promises.
    Fixed([u8; 32]),
    /// Something whose outputs, or whose inputs' outputs, have no known path yet.
    Deferred,
}

/// Outputs with their paths; `None` where there is none before the build.
pub type OutputPaths = Vec<(OutputName, Option<StorePath>)>;

/// Computes hashes modulo and remembers them.
#[derive(Debug, Clone)]
pub struct ModuloHasher {
    dir: StoreDir,
    known: HashMap<DrvPath, HashModulo>,
}

impl ModuloHasher {
    /// Starts with nothing known.
    pub fn new(dir: StoreDir) -> Self {
        Self {
            dir,
            known: HashMap::new(),
        }
    }

    /// The hash modulo of the derivation at a path, as an input of others.
    pub fn hash_modulo<R: Resolver>(
        &mut self,
        path: &DrvPath,
        resolver: &mut R,
    ) -> Result<HashModulo, ModuloError<R::Error>> {
        if let Some(known) = self.known.get(path) {
            return Ok(*known);
        }
        // Derivations that wait for their inputs; each is an input of the one below it.
        let mut waiting: Vec<Waiting<R::Drv>> = Vec::new();
        let mut active: HashSet<DrvPath> = HashSet::new();
        let mut next = Some(path.clone());
        loop {
            if let Some(path) = next.take() {
                let drv = resolver
                    .derivation(&path)
                    .map_err(|source| ModuloError::Resolve {
                        path: path.clone(),
                        source,
                    })?;
                let kind = drv.kind().map_err(|source| ModuloError::Kind {
                    path: path.clone(),
                    source,
                })?;
                active.insert(path.clone());
                waiting.push(Waiting {
                    path,
                    drv,
                    kind,
                    next_input: 0,
                });
            }
            let Some(top) = waiting.last_mut() else { break };
            let missing = match top.kind {
                DerivationKind::InputAddressed => top.missing_input(&self.known),
                // What stands for these does not depend on their inputs.
                _ => None,
            };
            if let Some(input) = missing {
                if active.contains(&input) {
                    return Err(ModuloError::Cycle { path: input });
                }
                next = Some(input);
                continue;
            }
            let Some(Waiting {
                path, drv, kind, ..
            }) = waiting.pop()
            else {
                break;
            };
            let hash = match kind {
                DerivationKind::Fixed => HashModulo::Fixed(self.fixed(&path, &drv)?),
                DerivationKind::InputAddressed => match self.hashed(&path, &drv, false)? {
                    Some(hash) => HashModulo::Regular(hash),
                    None => HashModulo::Deferred,
                },
                DerivationKind::Deferred | DerivationKind::Floating | DerivationKind::Impure => {
                    HashModulo::Deferred
                }
            };
            active.remove(&path);
            self.known.insert(path, hash);
        }
        Ok(self
            .known
            .get(path)
            .copied()
            .unwrap_or(HashModulo::Deferred))
    }

    /// The output paths of a derivation, computed; `None` for outputs that have none before they are built.
    ///
    /// What the derivation states as paths of its own outputs is not looked at. `path` is for errors.
    pub fn output_paths<R: Resolver>(
        &mut self,
        path: &DrvPath,
        drv: &Derivation,
        resolver: &mut R,
    ) -> Result<OutputPaths, ModuloError<R::Error>> {
        let kind = drv.kind().map_err(|source| ModuloError::Kind {
            path: path.clone(),
            source,
        })?;
        let hash = match kind {
            DerivationKind::InputAddressed | DerivationKind::Deferred => {
                for input in drv.input_drvs() {
                    self.hash_modulo(input.path(), resolver)?;
                }
                self.hashed(path, drv, true)?
            }
            DerivationKind::Fixed | DerivationKind::Floating | DerivationKind::Impure => None,
        };
        drv.outputs()
            .iter()
            .map(|(name, output)| {
                let computed = match (output, hash) {
                    (Output::Fixed { address, .. }, _) => {
                        let object = name.path_name(drv.name().as_str()).map_err(|source| {
                            let source = ComputeError::Name {
                                output: name.clone(),
                                source,
                            };
                            ModuloError::Output {
                                path: path.clone(),
                                source,
                            }
                        })?;
                        let computed = self.dir.content_path(&object, address, References::NONE);
                        Some(computed.map_err(|source| ModuloError::Output {
                            path: path.clone(),
                            source,
                        })?)
                    }
                    (Output::InputAddressed { .. } | Output::Deferred, Some(hash)) => {
                        let computed = self
                            .dir
                            .output_path(drv.name().as_str(), name, hash)
                            .map_err(|source| {
                                let source = ComputeError::Name {
                                    output: name.clone(),
                                    source,
                                };
                                ModuloError::Output {
                                    path: path.clone(),
                                    source,
                                }
                            })?;
                        Some(computed)
                    }
                    _ => None,
                };
                Ok((name.clone(), computed))
            })
            .collect()
    }

    /// Recomputes the path of a derivation and of its outputs, and tells where they differ from what is stated.
    pub fn check<R: Resolver>(
        &mut self,
        path: &DrvPath,
        drv: &Derivation,
        resolver: &mut R,
    ) -> Result<Vec<Mismatch>, ModuloError<R::Error>> {
        let mut mismatches = Vec::new();
        let computed = drv
            .drv_path(&self.dir)
            .map_err(|source| ModuloError::Name {
                path: path.clone(),
                source,
            })?;
        if computed != *path {
            mismatches.push(Mismatch::DrvPath { computed });
        }
        for (name, computed) in self.output_paths(path, drv, resolver)? {
            let Some(computed) = computed else {
                if drv.output(name.as_str()).and_then(Output::path).is_some() {
                    mismatches.push(Mismatch::Unknowable { name });
                }
                continue;
            };
            let stated = drv.output(name.as_str()).and_then(Output::path);
            let variable = drv.env_bytes(name.as_str());
            let in_env = variable
                .is_none_or(|variable| self.dir.parse(variable).is_ok_and(|path| path == computed));
            if stated != Some(&computed) {
                mismatches.push(Mismatch::Output { name, computed });
            } else if !in_env {
                mismatches.push(Mismatch::OutputVariable { name, computed });
            }
        }
        Ok(mismatches)
    }

    /// SHA-256 of the derivation with its inputs replaced; `None` if one of them is deferred.
    fn hashed<E: Error>(
        &self,
        path: &DrvPath,
        drv: &Derivation,
        mask_outputs: bool,
    ) -> Result<Option<[u8; 32]>, ModuloError<E>> {
        let mut inputs: BTreeMap<[u8; 32], BTreeSet<OutputName>> = BTreeMap::new();
        for input in drv.input_drvs() {
            if !input.dynamic().is_empty() {
                return Ok(None);
            }
            match self.known.get(input.path()) {
                Some(HashModulo::Regular(hash)) => {
                    inputs
                        .entry(*hash)
                        .or_default()
                        .extend(input.outputs().iter().cloned());
                }
                Some(HashModulo::Fixed(hash)) => {
                    if let Some(output) = input
                        .outputs()
                        .iter()
                        .find(|output| output.as_str() != "out")
                    {
                        return Err(ModuloError::NoSuchOutput {
                            path: path.clone(),
                            input: input.path().clone(),
                            output: output.clone(),
                        });
                    }
                    if !input.outputs().is_empty() {
                        inputs.entry(*hash).or_default().insert(OutputName::out());
                    }
                }
                Some(HashModulo::Deferred) | None => return Ok(None),
            }
        }
        Ok(Some(sha256(&write(
            drv,
            &self.dir,
            mask_outputs,
            &Inputs::Hashed(inputs),
        ))))
    }

    fn fixed<E: Error>(
        &self,
        path: &DrvPath,
        drv: &Derivation,
    ) -> Result<[u8; 32], ModuloError<E>> {
        let Some((name, Output::Fixed { address, .. })) = drv.outputs().first() else {
            return Err(ModuloError::Kind {
                path: path.clone(),
                source: KindError::NoOutputs,
            });
        };
        let bad = |source| ModuloError::Output {
            path: path.clone(),
            source,
        };
        let object = name.path_name(drv.name().as_str()).map_err(|source| {
            bad(ComputeError::Name {
                output: name.clone(),
                source,
            })
        })?;
        let output = self
            .dir
            .content_path(&object, address, References::NONE)
            .map_err(bad)?;
        Ok(sha256(
            format!(
                "fixed:out:{}:{}:{}",
                address.method.with_algo(address.hash.algo()),
                address.hash.to_notation(Notation::Hex),
                self.dir.show(&output),
            )
            .as_bytes(),
        ))
    }
}

/// Something that a derivation states and that is not what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The path of the derivation itself.
    DrvPath {
        /// What it should be.
        computed: DrvPath,
    },
    /// The path of an output.
    Output {
        /// The output.
        name: OutputName,
        /// What it should be.
        computed: StorePath,
    },
    /// The path of an output is stated, and cannot be known before some input is built.
    Unknowable {
        /// The output.
        name: OutputName,
    },
    /// The environment variable that holds the path of an output.
    OutputVariable {
        /// The output.
        name: OutputName,
        /// What it should be.
        computed: StorePath,
    },
}

/// Why an address cannot be computed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuloError<E: Error + 'static> {
    /// The resolver does not have a derivation.
    #[error("hash derivation `{path}`: it cannot be read")]
    Resolve {
        /// Its path.
        path: DrvPath,
        /// What the resolver says.
        #[source]
        source: E,
    },
    /// The outputs do not go together.
    #[error("hash derivation `{path}`: its outputs do not go together")]
    Kind {
        /// Its path.
        path: DrvPath,
        /// What is wrong with them.
        #[source]
        source: KindError,
    },
    /// A derivation needs itself.
    #[error("hash derivation `{path}`: it needs itself")]
    Cycle {
        /// Its path.
        path: DrvPath,
    },
    /// An input has no such output.
    #[error("hash derivation `{path}`: its input `{input}` has no output `{output}`")]
    NoSuchOutput {
        /// Its path.
        path: DrvPath,
        /// The input.
        input: DrvPath,
        /// The output.
        output: OutputName,
    },
    /// The path of an output cannot be computed.
    #[error("compute output paths of derivation `{path}`")]
    Output {
        /// Its path.
        path: DrvPath,
        /// Why.
        #[source]
        source: ComputeError,
    },
    /// The name of the derivation is too long for a path.
    #[error("compute path of derivation `{path}`")]
    Name {
        /// Its path.
        path: DrvPath,
        /// Why.
        #[source]
        source: NameError,
    },
}

struct Waiting<D> {
    path: DrvPath,
    drv: D,
    kind: DerivationKind,
    next_input: usize,
}

impl<D: Deref<Target = Derivation>> Waiting<D> {
    /// The next input whose hash is not known.
    fn missing_input(&mut self, known: &HashMap<DrvPath, HashModulo>) -> Option<DrvPath> {
        while let Some(input) = self.drv.input_drvs().get(self.next_input) {
            if !known.contains_key(input.path()) {
                return Some(input.path().clone());
            }
            self.next_input += 1;
        }
        None
    }
}
