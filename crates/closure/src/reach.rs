//! How many depend on each of many: for tens of thousands of nodes at once.
//!
//! A walk for each of them would go over the same edges again and again. Here a batch of nodes shares
//! one pass: each node of the graph gets a row of bits, one for each of the batch that it reaches, which
//! is the union of the rows of what it refers to.

use crate::{Graph, NodeId, NodeSet};

/// How many nodes share a pass.
pub const BATCH: usize = 64 * WORDS;
const WORDS: usize = 8;
type Row = [u64; WORDS];

/// Counts dependents, a batch of nodes at a time; batches can be counted side by side.
#[derive(Debug)]
pub struct Reach<'g> {
    graph: &'g Graph,
    /// Each node after what it refers to, as far as there are no circles.
    order: Vec<NodeId>,
    is_circular: bool,
}

impl Graph {
    /// Gets ready to count.
    pub fn reach(&self) -> Reach<'_> {
        let (order, is_circular) = postorder(self);
        Reach {
            graph: self,
            order,
            is_circular,
        }
    }
}

impl Reach<'_> {
    /// How many nodes depend on each, directly or not, itself not counted. No more than [`BATCH`] are
    /// looked at.
    pub fn count(&self, of: &[NodeId]) -> Vec<u32> {
        self.count_those(of, |_| true)
    }

    /// How many of some nodes depend on each, as [`Self::count`].
    pub fn count_among(&self, of: &[NodeId], among: &NodeSet) -> Vec<u32> {
        self.count_those(of, |node| among.contains(node))
    }

    fn count_those(&self, of: &[NodeId], is_counted: impl Fn(NodeId) -> bool) -> Vec<u32> {
        let of = of.get(..BATCH).unwrap_or(of);
        let mut column: Vec<Option<usize>> = vec![None; self.graph.len()];
        for (at, node) in of.iter().enumerate() {
            if let Some(slot) = column.get_mut(node.index()) {
                slot.get_or_insert(at);
            }
        }
        // Each reaches itself, and is not counted for it below.
        let mut rows: Vec<Row> = vec![[0; WORDS]; self.graph.len()];
        for (row, at) in rows.iter_mut().zip(&column) {
            if let Some(at) = at {
                row[at / 64] |= 1 << (at % 64);
            }
        }
        // Rows of a circle grow until they are equal.
        while self.pass(&mut rows) && self.is_circular {}
        let mut counts = vec![0_u32; of.len()];
        for (node, row) in rows.iter().enumerate() {
            if !is_counted(NodeId::new(node)) {
                continue;
            }
            let own = column.get(node).copied().flatten();
            for (word, mut bits) in row.iter().copied().enumerate() {
                while bits != 0 {
                    let at = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    if own != Some(at)
                        && let Some(count) = counts.get_mut(at)
                    {
                        *count += 1;
                    }
                }
            }
        }
        // A node that is named twice has the count of its first.
        let first = |node: &NodeId| column.get(node.index()).copied().flatten();
        of.iter()
            .map(|node| {
                first(node)
                    .and_then(|at| counts.get(at))
                    .copied()
                    .unwrap_or(0)
            })
            .collect()
    }

    /// One pass over all edges; whether a row has grown.
    fn pass(&self, rows: &mut [Row]) -> bool {
        let mut has_grown = false;
        for &node in &self.order {
            let mut row: Row = rows.get(node.index()).copied().unwrap_or_default();
            let before = row;
            for &next in self.graph.references(node) {
                if let Some(other) = rows.get(next.index()) {
                    for (word, more) in row.iter_mut().zip(other) {
                        *word |= more;
                    }
                }
            }
            if row != before {
                has_grown = true;
                if let Some(slot) = rows.get_mut(node.index()) {
                    *slot = row;
                }
            }
        }
        has_grown
    }
}

/// Each node after what it refers to, and whether there is a circle.
fn postorder(graph: &Graph) -> (Vec<NodeId>, bool) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; graph.len()];
    let mut order = Vec::with_capacity(graph.len());
    let mut is_circular = false;
    for start in graph.nodes() {
        if marks[start.index()] != Mark::New {
            continue;
        }
        marks[start.index()] = Mark::Open;
        let mut stack = vec![(start, 0_usize)];
        while let Some((node, at)) = stack.last_mut() {
            let node = *node;
            let Some(&next) = graph.references(node).get(*at) else {
                marks[node.index()] = Mark::Done;
                order.push(node);
                stack.pop();
                continue;
            };
            *at += 1;
            match marks[next.index()] {
                Mark::New => {
                    marks[next.index()] = Mark::Open;
                    stack.push((next, 0));
                }
                Mark::Open => is_circular = true,
                Mark::Done => {}
            }
        }
    }
    (order, is_circular)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::GraphBuilder;

    fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let mut builder = GraphBuilder::new();
        let nodes: Vec<NodeId> = (0..nodes).map(|_| builder.node()).collect();
        for &(from, to) in edges {
            builder.edge(nodes[from % nodes.len()], nodes[to % nodes.len()]);
        }
        builder.build()
    }

    proptest! {
        #[test]
        fn it_counts_as_walks_do(
            nodes in 1_usize..40,
            edges in proptest::collection::vec((0_usize..40, 0_usize..40), 0..120),
        ) {
            let graph = graph(nodes, &edges);
            let all: Vec<NodeId> = graph.nodes().collect();
            let walked: Vec<u32> = all
                .iter()
                .map(|node| u32::try_from(graph.dependents(&[*node]).len() - 1).unwrap())
                .collect();
            prop_assert_eq!(graph.reach().count(&all), walked);
            let mut even = NodeSet::empty(graph.len());
            for node in all.iter().filter(|node| node.index() % 2 == 0) {
                even.insert(*node);
            }
            let walked: Vec<u32> = all
                .iter()
                .map(|of| {
                    let dependents = graph.dependents(&[*of]);
                    let counted = |node: &&NodeId| *node != of && even.contains(**node) && dependents.contains(**node);
                    u32::try_from(all.iter().filter(counted).count()).unwrap()
                })
                .collect();
            prop_assert_eq!(graph.reach().count_among(&all, &even), walked);
        }
    }

    #[test]
    fn a_node_that_is_named_twice_counts_the_same() {
        let graph = graph(3, &[(0, 1), (1, 2)]);
        let last = NodeId::new(2);
        assert_eq!(
            graph.reach().count(&[last, last, NodeId::new(0)]),
            [2, 2, 0]
        );
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<(usize, usize)> = (0..200_000).map(|at| (at, at + 1)).collect();
        let graph = graph(200_001, &edges);
        assert_eq!(graph.reach().count(&[NodeId::new(200_000)]), [200_000]);
    }
}
