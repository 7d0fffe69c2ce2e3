//! Walks over a graph: what is reached, by which shortest path, and what depends on what.

use std::collections::VecDeque;

use crate::{Graph, NodeId};

/// A set of nodes of one graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeSet {
    bits: Vec<u64>,
    count: usize,
}

impl NodeSet {
    /// The empty set for a graph of so many nodes.
    pub fn empty(nodes: usize) -> Self {
        Self {
            bits: vec![0; nodes.div_ceil(64)],
            count: 0,
        }
    }

    /// Adds a node; whether it was not in the set before.
    pub fn insert(&mut self, node: NodeId) -> bool {
        let (word, bit) = (node.index() / 64, 1 << (node.index() % 64));
        match self.bits.get_mut(word) {
            Some(bits) if *bits & bit == 0 => {
                *bits |= bit;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether a node is in the set.
    pub fn contains(&self, node: NodeId) -> bool {
        self.bits
            .get(node.index() / 64)
            .is_some_and(|bits| bits >> (node.index() % 64) & 1 == 1)
    }

    /// How many nodes are in the set.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

impl Graph {
    /// All that some nodes refer to, directly or not, with these nodes.
    pub fn reachable(&self, from: &[NodeId]) -> NodeSet {
        self.flood(from, |graph, node| graph.references(node))
    }

    /// All that refers to some nodes, directly or not, with these nodes.
    pub fn dependents(&self, of: &[NodeId]) -> NodeSet {
        self.flood(of, |graph, node| graph.referrers(node))
    }

    fn flood<'g>(&'g self, from: &[NodeId], next: fn(&'g Self, NodeId) -> &'g [NodeId]) -> NodeSet {
        let mut seen = NodeSet::empty(self.len());
        let mut todo: Vec<NodeId> = from
            .iter()
            .copied()
            .filter(|&node| seen.insert(node))
            .collect();
        while let Some(node) = todo.pop() {
            todo.extend(
                next(self, node)
                    .iter()
                    .copied()
                    .filter(|&next| seen.insert(next)),
            );
        }
        seen
    }

    /// A shortest path to each node from the nearest root. Among equals the lowest numbers win, so
    /// that the answer is the same every time.
    pub fn shortest_paths(&self) -> ShortestPaths {
        let mut parents: Vec<Option<NodeId>> = vec![None; self.len()];
        let mut todo = VecDeque::new();
        for &root in self.roots() {
            if let Some(slot @ None) = parents.get_mut(root.index()) {
                *slot = Some(root);
                todo.push_back(root);
            }
        }
        while let Some(node) = todo.pop_front() {
            for &next in self.references(node) {
                if let Some(slot @ None) = parents.get_mut(next.index()) {
                    *slot = Some(node);
                    todo.push_back(next);
                }
            }
        }
        ShortestPaths { parents }
    }
}

/// The answer of [`Graph::shortest_paths`].
#[derive(Clone, Debug)]
pub struct ShortestPaths {
    /// Roots are their own parents; what no root reaches has none.
    parents: Vec<Option<NodeId>>,
}

impl ShortestPaths {
    /// The nodes from a root to this node, both included; none if no root reaches it.
    pub fn to(&self, node: NodeId) -> Option<Vec<NodeId>> {
        let parent = |node: NodeId| self.parents.get(node.index()).copied().flatten();
        let mut path = vec![node];
        let mut at = node;
        loop {
            let above = parent(at)?;
            if above == at {
                path.reverse();
                return Some(path);
            }
            path.push(above);
            at = above;
        }
    }

    /// Whether a root reaches the node.
    pub fn reaches(&self, node: NodeId) -> bool {
        self.parents.get(node.index()).is_some_and(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::tests::graph;

    fn path(graph: &Graph, to: usize) -> Option<Vec<usize>> {
        graph
            .shortest_paths()
            .to(NodeId::new(to))
            .map(|p| p.iter().map(|n| n.index()).collect())
    }

    #[test]
    fn the_shortest_path_wins() {
        let graph = graph(6, &[(0, 1), (1, 2), (2, 3), (0, 4), (4, 3)]);
        assert_eq!(path(&graph, 3), Some(vec![0, 4, 3]));
        assert_eq!(path(&graph, 0), Some(vec![0]));
        assert_eq!(path(&graph, 5), None);
    }

    #[test]
    fn dependents_are_counted_with_themselves() {
        let graph = graph(5, &[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4)]);
        assert_eq!(graph.dependents(&[NodeId::new(3)]).len(), 4);
        assert_eq!(graph.reachable(&[NodeId::new(1)]).len(), 3);
        assert!(!graph.reachable(&[NodeId::new(1)]).contains(NodeId::new(2)));
    }

    #[test]
    fn a_long_chain_and_a_circle_are_walked_without_recursion() {
        let count = 200_000;
        let mut edges: Vec<_> = (1..count).map(|n| (n - 1, n)).collect();
        edges.push((count - 1, 0));
        let graph = graph(count, &edges);
        assert_eq!(path(&graph, count - 1).map(|p| p.len()), Some(count));
        assert_eq!(graph.reachable(&[NodeId::new(7)]).len(), count);
    }
}
