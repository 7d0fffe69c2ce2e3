//! Derivations into objects and edges, wherever they were read.
//!
//! A derivation is reduced to what a subject needs as soon as it is read, on whichever core read
//! it; putting the reduced ones together is sequential and looks paths up by their digests.

use std::collections::VecDeque;

use rayon::prelude::*;
use rustc_hash::FxHashMap;
use snowguard_closure::NodeId;
use snowguard_inventory::{Gap, Recipe, Role, SubjectBuilder};
use snowguard_store::derivation::json::DerivationSet;
use snowguard_store::{Derivation, DrvPath, InputDrv, StoreDir, StorePath};

/// A derivation, reduced to what a subject needs of it.
#[derive(Debug)]
pub struct Reduced {
    path: DrvPath,
    recipe: Recipe,
    input_drvs: Box<[InputDrv]>,
    input_srcs: Box<[StorePath]>,
}

impl Reduced {
    /// Reduces a derivation.
    pub fn of(path: DrvPath, drv: Derivation, dir: &StoreDir) -> Self {
        let recipe = Recipe::of(&drv, dir);
        let (input_drvs, input_srcs) = drv.into_inputs();
        Self {
            path,
            recipe,
            input_drvs,
            input_srcs,
        }
    }

    /// Its path.
    pub fn path(&self) -> &DrvPath {
        &self.path
    }

    /// The facts.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Only the facts.
    pub fn into_recipe(self) -> Recipe {
        self.recipe
    }

    /// The derivations that it needs.
    pub fn input_drvs(&self) -> impl ExactSizeIterator<Item = &DrvPath> {
        self.input_drvs.iter().map(InputDrv::path)
    }

    /// The files that it needs.
    pub fn input_srcs(&self) -> &[StorePath] {
        &self.input_srcs
    }
}

/// Reduced derivations of one store directory.
#[derive(Debug, Default)]
pub struct Reduction {
    /// The store directory.
    pub dir: StoreDir,
    /// The derivations.
    pub derivations: Vec<Reduced>,
}

/// Reduces all derivations of a document.
pub fn reduce(set: &DerivationSet) -> Reduction {
    Reduction {
        dir: set.dir.clone(),
        derivations: set
            .derivations
            .par_iter()
            .map(|(path, drv)| Reduced::of(path.clone(), drv.clone(), &set.dir))
            .collect(),
    }
}

/// Adds derivations with their edges; inputs that are not among them are a gap.
///
/// Beside a package set they are auxiliary: the packages are what it is about.
pub fn add(builder: &mut SubjectBuilder, reduction: Reduction, role: Role) {
    let mut assembly = Assembly::new(builder, reduction.dir, role);
    for drv in reduction.derivations {
        assembly.add(drv);
    }
    assembly.finish();
}

/// Puts derivations into a subject, in batches.
pub(crate) struct Assembly<'b> {
    builder: &'b mut SubjectBuilder,
    dir: StoreDir,
    role: Role,
    nodes: FxHashMap<[u8; StorePath::DIGEST_LEN], NodeId>,
    /// Derivations that were first seen as inputs.
    awaited: Vec<NodeId>,
}

impl<'b> Assembly<'b> {
    pub(crate) fn new(builder: &'b mut SubjectBuilder, dir: StoreDir, role: Role) -> Self {
        Self {
            builder,
            dir,
            role,
            nodes: FxHashMap::default(),
            awaited: Vec::new(),
        }
    }

    /// The object of a derivation, which may still be empty.
    pub(crate) fn place(&mut self, drv: &Reduced) -> NodeId {
        self.node(drv.path.as_path(), drv.path.drv_name()).0
    }

    /// Fills the object of a derivation, and connects it with its inputs.
    pub(crate) fn add(&mut self, drv: Reduced) -> NodeId {
        let node = self.place(&drv);
        for input in &drv.input_drvs {
            let (input, new) = self.node(input.path().as_path(), input.path().drv_name());
            if new {
                self.awaited.push(input);
            }
            self.builder.edge(node, input);
        }
        for source in &drv.input_srcs {
            let (source, _) = self.node(source, source.name().as_str());
            self.builder.edge(node, source);
        }
        if let Some(object) = self.builder.get_mut(node) {
            object.recipe = Some(Box::new(drv.recipe));
        }
        node
    }

    pub(crate) fn root(&mut self, node: NodeId) {
        self.builder.root(node);
    }

    /// Tells which inputs are missing.
    pub(crate) fn finish(self) -> &'b mut SubjectBuilder {
        let objects = |node| self.builder.get(node);
        let mut missing = self
            .awaited
            .iter()
            .filter_map(|node| objects(*node))
            .filter(|object| object.recipe.is_none());
        if let Some(example) = missing.next() {
            let example = example.id.to_string();
            let count = 1 + missing.count();
            self.builder.gap(Gap::MissingInputs { count, example });
        }
        self.builder
    }

    /// The node of a path, and whether it is new.
    fn node(&mut self, path: &StorePath, name: &str) -> (NodeId, bool) {
        let digest = path.digest();
        if let Some(&node) = self.nodes.get(&digest)
            // Two paths of one digest are a forgery, but not one that may hide an object.
            && self.builder.get(node).is_some_and(|object| *object.name == *name)
        {
            return (node, false);
        }
        let id = self.dir.show(path).to_string();
        let new = self.builder.find(&id).is_none();
        let role = self.role;
        let node = self.builder.object(&id, name, |object| object.role = role);
        self.nodes.insert(digest, node);
        (node, new)
    }
}

/// Orders derivations breadth-first from those that nothing refers to, in the order in which they
/// came, so that what is nearest to the root comes first.
///
/// Gives the number of roots. It is 0 where all of them are in circles, which only a forgery can be;
/// then the first one leads.
pub(crate) fn roots_first(derivations: Vec<Reduced>) -> (Vec<Reduced>, usize) {
    let index: FxHashMap<&StorePath, usize> = derivations
        .iter()
        .enumerate()
        .map(|(at, drv)| (drv.path.as_path(), at))
        .collect();
    let inputs: Vec<Vec<usize>> = derivations
        .iter()
        .enumerate()
        .map(|(at, drv)| {
            let inputs = drv
                .input_drvs()
                .filter_map(|path| index.get(path.as_path()));
            inputs.copied().filter(|input| *input != at).collect()
        })
        .collect();
    let mut seen = vec![false; derivations.len()];
    for input in inputs.iter().flatten() {
        seen[*input] = true;
    }
    let mut queue: VecDeque<usize> = (0..derivations.len()).filter(|at| !seen[*at]).collect();
    let roots = queue.len();
    if roots == 0 && !derivations.is_empty() {
        queue.push_back(0);
    }
    let mut rank = vec![usize::MAX; derivations.len()];
    for (place, at) in queue.iter().enumerate() {
        rank[*at] = place;
    }
    let mut next = queue.len();
    while let Some(at) = queue.pop_front() {
        for &input in &inputs[at] {
            if rank[input] == usize::MAX {
                rank[input] = next;
                next += 1;
                queue.push_back(input);
            }
        }
    }
    drop(index);
    let mut ranked: Vec<(usize, Reduced)> = rank.into_iter().zip(derivations).collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    (ranked.into_iter().map(|(_, drv)| drv).collect(), roots)
}
