//! Which packages of an evaluation are built with which: counts over the graph of their derivations.

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use snowguard_closure::{BATCH, Graph, GraphBuilder, NodeId, NodeSet};
use snowguard_store::DrvPath;

use crate::drv_files::DrvFiles;

/// How the packages of an evaluation are built out of each other, as far as derivations were read.
#[derive(Debug)]
pub struct Uses {
    graph: Graph,
    /// The derivation of each package, in the order of the evaluation.
    derivations: Vec<Option<NodeId>>,
}

impl Uses {
    /// None if of no derivation it was read what it is built with: some documents leave that out.
    pub(super) fn new(graph: Graph, derivations: Vec<Option<NodeId>>) -> Option<Self> {
        let is_read = derivations
            .iter()
            .flatten()
            .any(|node| !graph.references(*node).is_empty());
        is_read.then_some(Self { graph, derivations })
    }

    /// Reads what the packages are built with where it lies, from their own derivations on, and keeps only what leads
    /// to what. None as well if there is more than `most`: what were counted would be too few.
    pub(super) fn of_files(
        files: &DrvFiles,
        packages: Vec<Option<DrvPath>>,
        most: usize,
    ) -> Option<Self> {
        let mut builder = GraphBuilder::new();
        let mut known: FxHashMap<DrvPath, NodeId> = FxHashMap::default();
        let mut next: Vec<(NodeId, DrvPath)> = Vec::new();
        let mut node = |path: &DrvPath, builder: &mut GraphBuilder, next: &mut Vec<_>| {
            *known.entry(path.clone()).or_insert_with(|| {
                let node = builder.node();
                next.push((node, path.clone()));
                node
            })
        };
        let derivations: Vec<Option<NodeId>> = packages
            .into_iter()
            .map(|path| Some(node(&path?, &mut builder, &mut next)))
            .collect();
        let mut missing: FxHashSet<NodeId> = FxHashSet::default();
        let mut seen = 0;
        while !next.is_empty() {
            let level = std::mem::take(&mut next);
            seen += level.len();
            if seen > most {
                return None;
            }
            for batch in level.chunks(AT_ONCE) {
                let read: Vec<_> = batch
                    .par_iter()
                    .map(|(_, path)| {
                        let drv = files.read(path)?.ok()?;
                        Some(drv.input_drvs().cloned().collect::<Vec<_>>())
                    })
                    .collect();
                for ((from, _), inputs) in batch.iter().zip(read) {
                    let Some(inputs) = inputs else {
                        missing.insert(*from);
                        continue;
                    };
                    for input in &inputs {
                        let to = node(input, &mut builder, &mut next);
                        builder.edge(*from, to);
                    }
                }
            }
        }
        let is_read = |node: &NodeId| !missing.contains(node);
        let derivations = derivations.into_iter();
        Self::new(
            builder.build(),
            derivations.map(|node| node.filter(is_read)).collect(),
        )
    }

    /// How many groups of packages are built with one of each group, directly or not, itself not counted.
    ///
    /// `groups` says of each package, in the order of the evaluation, to which of `count` groups it belongs: what is
    /// one package has several attributes and versions. None for a group of which no derivation was read.
    pub fn dependents(&self, groups: &[Option<usize>], count: usize) -> Vec<Option<u32>> {
        let mut builder = GraphBuilder::new();
        let nodes: Vec<NodeId> = self.graph.nodes().map(|_| builder.node()).collect();
        for node in self.graph.nodes() {
            for next in self.graph.references(node) {
                if let (Some(from), Some(to)) = (nodes.get(node.index()), nodes.get(next.index())) {
                    builder.edge(*from, *to);
                }
            }
        }
        // A group is two nodes: one that refers to all of its derivations, and one to which they refer. So whoever
        // uses one version is not taken to use what another is built with.
        let users: Vec<NodeId> = (0..count).map(|_| builder.node()).collect();
        let used: Vec<NodeId> = (0..count).map(|_| builder.node()).collect();
        let mut is_read = vec![false; count];
        for (group, derivation) in groups.iter().zip(&self.derivations) {
            let (Some(group), Some(derivation)) = (*group, derivation) else {
                continue;
            };
            let node = nodes.get(derivation.index());
            if let (Some(user), Some(used), Some(node)) = (users.get(group), used.get(group), node)
            {
                builder.edge(*user, *node);
                builder.edge(*node, *used);
                is_read[group] = true;
            }
        }
        let graph = builder.build();
        let mut among = NodeSet::empty(graph.len());
        for user in &users {
            among.insert(*user);
        }
        let reach = graph.reach();
        let counts: Vec<u32> = used
            .par_chunks(BATCH)
            .flat_map_iter(|of| reach.count_among(of, &among))
            .collect();
        counts
            .into_iter()
            .zip(is_read)
            // Each uses itself.
            .map(|(count, is_read)| is_read.then(|| count.saturating_sub(1)))
            .collect()
    }
}

/// How many derivations are read before what they need is noted.
const AT_ONCE: usize = 2_048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_counted_once_and_versions_apart() {
        let mut builder = GraphBuilder::new();
        let [libc, old, new, tool, app, alone] = std::array::from_fn(|_| builder.node());
        for (from, to) in [
            (old, libc),
            (new, libc),
            (tool, old),
            (app, tool),
            (app, new),
        ] {
            builder.edge(from, to);
        }
        let derivations = [libc, old, new, tool, app, alone].map(Some);
        let uses = Uses::new(builder.build(), [&derivations[..], &[None]].concat()).unwrap();
        // Both versions are one package, and the last has no derivation.
        let groups = [0, 1, 1, 2, 3, 4, 5].map(Some);
        assert_eq!(
            uses.dependents(&groups, 6),
            [Some(3), Some(2), Some(1), Some(0), Some(0), None]
        );
    }

    #[test]
    fn without_derivations_nothing_is_known() {
        assert!(Uses::new(Graph::default(), vec![None, None]).is_none());
        let mut builder = GraphBuilder::new();
        let lone = builder.node();
        assert!(Uses::new(builder.build(), vec![Some(lone), None]).is_none());
    }
}
