//! Derivations into a subject.

use rayon::prelude::*;
use snowguard_inventory::{Gap, Recipe, Role, SubjectBuilder};
use snowguard_store::derivation::json::DerivationSet;
use snowguard_store::{Derivation, DrvPath, StoreDir};

/// A derivation, reduced to what a subject needs of it.
#[derive(Debug)]
pub struct Reduced {
    /// Its path.
    pub path: Box<str>,
    /// Its name, without `.drv`.
    pub name: Box<str>,
    /// The facts.
    pub recipe: Recipe,
    /// Paths of the derivations that it needs.
    pub input_drvs: Vec<Box<str>>,
    /// Paths of the files that it needs.
    pub input_srcs: Vec<Box<str>>,
}

impl Reduced {
    /// Reduces a derivation.
    pub fn of(path: &DrvPath, drv: &Derivation, dir: &StoreDir) -> Self {
        Self {
            path: dir.show(path).to_string().into(),
            name: path.drv_name().into(),
            recipe: Recipe::of(drv, dir),
            input_drvs: drv
                .input_drvs()
                .iter()
                .map(|input| dir.show(input.path()).to_string().into())
                .collect(),
            input_srcs: drv
                .input_srcs()
                .iter()
                .map(|path| dir.show(path).to_string().into())
                .collect(),
        }
    }
}

/// Reduces all derivations of a JSON document.
pub fn reduce(set: &DerivationSet) -> Vec<Reduced> {
    set.derivations
        .par_iter()
        .map(|(path, drv)| Reduced::of(path, drv, &set.dir))
        .collect()
}

/// Adds derivations with their edges; inputs that are not among them are a gap.
///
/// Beside a package set they are auxiliary: the packages are what it is about.
pub fn add(builder: &mut SubjectBuilder, derivations: Vec<Reduced>, role: Role) {
    let known: std::collections::HashSet<Box<str>> =
        derivations.iter().map(|drv| drv.path.clone()).collect();
    let mut missing = 0;
    let mut example = None;
    for drv in derivations {
        let node = builder.object(&drv.path, &drv.name, |object| {
            object.recipe = Some(Box::new(drv.recipe));
            object.role = role;
        });
        for input in &drv.input_drvs {
            if !known.contains(input) && builder.find(input).is_none() {
                missing += 1;
                example.get_or_insert_with(|| input.to_string());
            }
            let name = input
                .rsplit('/')
                .next()
                .and_then(|base| base.get(33..))
                .unwrap_or(input);
            let input =
                builder.object(input, name.strip_suffix(".drv").unwrap_or(name), |object| {
                    object.role = role;
                });
            builder.edge(node, input);
        }
        for source in &drv.input_srcs {
            let name = source
                .rsplit('/')
                .next()
                .and_then(|base| base.get(33..))
                .unwrap_or(source);
            let source = builder.object(source, name, |object| object.role = role);
            builder.edge(node, source);
        }
    }
    if let Some(example) = example {
        builder.gap(Gap::MissingInputs {
            count: missing,
            example,
        });
    }
}
