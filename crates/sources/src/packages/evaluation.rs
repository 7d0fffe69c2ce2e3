//! An evaluation as a whole: all that it says of each package, with how that is built where its
//! derivation can be read.
//!
//! For who keeps evaluations; a scan reads a package set into a subject (`crate::read`), and keeps less.

use rayon::prelude::*;
use snowguard_inventory::fact::About;
use snowguard_inventory::{Builds, Built, Gap, Meta, Nature, Role, SubjectBuilder};

use super::{Detail, Failure, Output, PackageSet, Uses};
use crate::detect::Format;
use crate::drv_files::Skipped;
use crate::error::SourceError;
use crate::input::{Found, Input, Kind};
use crate::options::Options;
use crate::read::add_derivations;

/// All that an evaluation says.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// The packages. Those of an object are in order of their attribute paths.
    pub packages: Vec<Evaluated>,
    /// What could not be evaluated, or not be read.
    pub failed: Vec<Failure>,
    /// What of the derivations could not be known.
    pub gaps: Vec<Gap>,
    /// How the packages are built out of each other; none if no derivation was read.
    pub uses: Option<Uses>,
}

/// A package as it was evaluated.
#[derive(Debug)]
pub struct Evaluated {
    /// The derivation's name, as the evaluation has it.
    pub name: Box<str>,
    /// What it says.
    pub meta: Meta,
    /// What it says beyond what matching needs.
    pub about: About,
    /// Its outputs.
    pub outputs: Vec<Output>,
    /// How it is built, if its derivation was read.
    pub built: Option<Built>,
}

/// Where derivations of a package set are looked for.
#[derive(Debug, Default)]
pub struct Derivations {
    /// Directories, archives and documents.
    pub inputs: Vec<Input>,
    /// Also in the store of the options, or in that of this machine.
    pub live: bool,
}

/// Reads a package set as a whole. What is no package set is an error, and so is one without any
/// package.
pub fn evaluation(
    set: Input,
    derivations: Derivations,
    options: &Options,
) -> Result<Evaluation, SourceError> {
    let (kind, name) = (set.kind(), set.name.clone());
    let (Kind::PackageSet, Found::Document(format, json)) = (kind, set.found) else {
        return Err(SourceError::NotPackages { name, kind });
    };
    let read = match format {
        Format::Jobs => super::read_jobs(&json, Detail::Whole),
        _ => super::read_set(&json, Detail::Whole),
    };
    drop(json);
    let PackageSet { packages, failed } = read.map_err(|source| SourceError::Packages {
        name: name.clone(),
        source: Box::new(source),
    })?;
    if packages.is_empty() {
        return Err(SourceError::Nothing {
            name,
            what: "package",
        });
    }
    if packages.len() > options.limits.objects {
        return Err(SourceError::TooMany {
            name,
            what: "packages",
            limit: options.limits.objects,
        });
    }
    let mut evaluation = Evaluation {
        packages: packages
            .into_iter()
            .map(|package| Evaluated {
                name: package.name,
                meta: package.meta,
                about: package.about,
                outputs: package.outputs,
                built: None,
            })
            .collect(),
        failed,
        gaps: Vec::new(),
        uses: None,
    };
    if derivations.live || !derivations.inputs.is_empty() {
        evaluation.look_up(derivations, options)?;
    }
    Ok(evaluation)
}

impl Evaluation {
    /// Looks up how the packages are built.
    fn look_up(&mut self, derivations: Derivations, options: &Options) -> Result<(), SourceError> {
        let mut builder = SubjectBuilder::new();
        let mut skipped = Skipped::default();
        // Of those in a store only what packages are made of is kept; what they are built with is only counted.
        let are_connected = !derivations.inputs.is_empty();
        let are_live = derivations.live;
        for input in derivations.inputs {
            let kind = input.kind();
            if !kind.is_derivations() {
                return Err(SourceError::NotBeside {
                    name: input.name.clone(),
                    kind,
                    input: Kind::PackageSet,
                });
            }
            add_derivations(&mut builder, input, Role::Auxiliary, options, &mut skipped)?;
        }
        super::add(
            &mut builder,
            self.packages.iter().map(Evaluated::to_package).collect(),
        );
        if derivations.live {
            super::add_live_derivations(&mut builder, options, &mut skipped);
        }
        super::tell_missing_derivations(&mut builder);
        skipped.tell(&mut builder);
        let ids: Vec<_> = self
            .packages
            .iter()
            .map(|package| builder.find(&format!("attr:{}", package.meta.attr)))
            .collect();
        let subject = builder.build("packages", Nature::PackageSet);
        let builds = Builds::of(&subject);
        let found: Vec<(Option<Built>, Option<Box<str>>)> = ids
            .par_iter()
            .map(|id| {
                let object = id.and_then(|id| subject.object(id));
                let drv = object.and_then(|object| object.meta.as_ref()?.drv_path.clone());
                (object.and_then(|object| builds.get(object)), drv)
            })
            .collect();
        let derivations = ids
            .iter()
            .map(|id| subject.graph.references((*id)?).first().copied())
            .collect();
        for (package, (built, drv)) in self.packages.iter_mut().zip(found) {
            package.built = built;
            package.meta.drv_path = package.meta.drv_path.take().or(drv);
        }
        self.gaps = subject.gaps;
        self.uses = are_connected
            .then(|| Uses::new(subject.graph, derivations))
            .flatten();
        if self.uses.is_none() && are_live {
            self.uses = self.uses_of_store(options);
        }
        Ok(())
    }

    /// What the packages are built with, as far as it lies in a store.
    fn uses_of_store(&self, options: &Options) -> Option<Uses> {
        let files = super::live_files(options)?;
        let paths = self.packages.iter().map(|package| {
            let path = package.meta.drv_path.as_deref()?;
            files.dir().parse_drv(path).ok()
        });
        Uses::of_files(&files, paths.collect(), options.limits.objects)
    }
}

impl Evaluated {
    fn to_package(&self) -> super::Package {
        super::Package {
            name: self.name.clone(),
            meta: Meta {
                attr: self.meta.attr.clone(),
                drv_path: self.meta.drv_path.clone(),
                ..Meta::default()
            },
            about: About::default(),
            outputs: self.outputs.clone(),
        }
    }
}
