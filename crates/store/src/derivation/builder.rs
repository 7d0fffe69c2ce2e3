//! Derivations put together from parts.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{Arena, Parts};
use super::{Derivation, InputDrv, Needs, Output, TooLargeError};
use crate::path::{DrvPath, OutputName, StoreName, StorePath};

/// The parts of a derivation, in plain collections that can be changed.
///
/// What is said twice counts as it was said last. Nothing is checked against anything else; see
/// [`Derivation::kind`] and [`super::modulo`] for that.
#[derive(Debug, Clone)]
pub struct DerivationBuilder {
    name: StoreName,
    outputs: BTreeMap<OutputName, Output>,
    input_drvs: BTreeMap<DrvPath, Needs>,
    input_srcs: BTreeSet<StorePath>,
    system: String,
    builder: Vec<u8>,
    args: Vec<Vec<u8>>,
    env: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl DerivationBuilder {
    /// Starts with nothing but the name, without `.drv`.
    pub fn new(name: StoreName) -> Self {
        Self {
            name,
            outputs: BTreeMap::new(),
            input_drvs: BTreeMap::new(),
            input_srcs: BTreeSet::new(),
            system: String::new(),
            builder: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
        }
    }

    /// Sets an output.
    pub fn output(&mut self, name: OutputName, output: Output) -> &mut Self {
        self.outputs.insert(name, output);
        self
    }

    /// Adds to what is needed of a derivation.
    pub fn input_drv(&mut self, input: InputDrv) -> &mut Self {
        let InputDrv {
            path,
            outputs,
            dynamic,
        } = input;
        self.input_drvs
            .entry(path)
            .or_default()
            .add(outputs, dynamic);
        self
    }

    /// Removes a derivation from what is needed.
    pub fn remove_input_drv(&mut self, path: &DrvPath) -> &mut Self {
        self.input_drvs.remove(path);
        self
    }

    /// Adds a finished store object to what is needed.
    pub fn input_src(&mut self, path: StorePath) -> &mut Self {
        self.input_srcs.insert(path);
        self
    }

    /// Sets the kind of machine.
    pub fn system(&mut self, system: impl Into<String>) -> &mut Self {
        self.system = system.into();
        self
    }

    /// Sets the program that builds.
    pub fn builder(&mut self, builder: impl Into<Vec<u8>>) -> &mut Self {
        self.builder = builder.into();
        self
    }

    /// Adds an argument of the builder.
    pub fn arg(&mut self, arg: impl Into<Vec<u8>>) -> &mut Self {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    pub fn env(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) -> &mut Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Removes an environment variable.
    pub fn remove_env(&mut self, name: &[u8]) -> &mut Self {
        self.env.remove(name);
        self
    }

    /// Packs the parts; an error if the texts are more than 4 GiB.
    pub fn build(&self) -> Result<Derivation, TooLargeError> {
        let mut arena = Arena::with_capacity(
            self.system.len()
                + self.builder.len()
                + self.args.iter().map(Vec::len).sum::<usize>()
                + self
                    .env
                    .iter()
                    .map(|(name, value)| name.len() + value.len())
                    .sum::<usize>(),
        );
        let system = arena.push(self.system.as_bytes())?;
        let builder = arena.push(&self.builder)?;
        let args = self
            .args
            .iter()
            .map(|arg| arena.push(arg))
            .collect::<Result<_, _>>()?;
        let env = self
            .env
            .iter()
            .map(|(name, value)| Ok((arena.push(name)?, arena.push(value)?)))
            .collect::<Result<_, _>>()?;
        let parts = Parts {
            name: self.name.clone(),
            outputs: self
                .outputs
                .iter()
                .map(|(name, output)| (name.clone(), output.clone()))
                .collect(),
            input_drvs: self
                .input_drvs
                .iter()
                .map(|(path, needs)| needs.clone().into_input(path.clone()))
                .collect(),
            input_srcs: self.input_srcs.iter().cloned().collect(),
            arena,
            system,
            builder,
            args,
            env,
        };
        Ok(parts.finish())
    }

    pub(super) fn from_derivation(drv: &Derivation) -> Self {
        let mut input_drvs: BTreeMap<DrvPath, Needs> = BTreeMap::new();
        for InputDrv {
            path,
            outputs,
            dynamic,
        } in drv.input_drvs.iter().cloned()
        {
            input_drvs.entry(path).or_default().add(outputs, dynamic);
        }
        Self {
            name: drv.name.clone(),
            outputs: drv.outputs.iter().cloned().collect(),
            input_drvs,
            input_srcs: drv.input_srcs.iter().cloned().collect(),
            system: drv.system().to_owned(),
            builder: drv.builder().to_owned(),
            args: drv.args().map(<[u8]>::to_owned).collect(),
            env: drv
                .env()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }
}
