//! Dominators: what stands on every path from the roots to a node.
//!
//! A node that dominates another is the one dependency whose removal removes the other. Source:
//! Cooper, Harvey, Kennedy, "A Simple, Fast Dominance Algorithm" (2001).

use crate::{Graph, NodeId};

/// The dominator tree under a virtual root above all roots.
#[derive(Clone, Debug)]
pub struct Dominators {
    /// By node: the immediate dominator; none for roots and for what no root reaches.
    immediate: Vec<Option<NodeId>>,
}

impl Dominators {
    /// The nearest node through which every path from every root to this node goes.
    pub fn immediate(&self, node: NodeId) -> Option<NodeId> {
        self.immediate.get(node.index()).copied().flatten()
    }

    /// All of them, from the nearest to the farthest.
    pub fn of(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(self.immediate(node), |&node| self.immediate(node))
    }
}

impl Graph {
    /// The dominators of all nodes.
    pub fn dominators(&self) -> Dominators {
        let order = self.post_order();
        // The virtual root has the highest number in post-order; every real root is its child.
        let top = order.len();
        let mut rank = vec![usize::MAX; self.len()];
        for (at, node) in order.iter().enumerate() {
            rank[node.index()] = at;
        }
        let mut is_root = vec![false; self.len()];
        for root in self.roots() {
            is_root[root.index()] = true;
        }
        let mut immediate = vec![usize::MAX; top + 1];
        immediate[top] = top;
        let mut changed = true;
        while changed {
            changed = false;
            for (at, node) in order.iter().enumerate().rev() {
                let mut best = if is_root[node.index()] {
                    Some(top)
                } else {
                    None
                };
                for referrer in self.referrers(*node) {
                    let other = rank[referrer.index()];
                    if other == usize::MAX || immediate[other] == usize::MAX {
                        continue;
                    }
                    best = Some(best.map_or(other, |best| meet(&immediate, best, other)));
                }
                if let Some(best) = best.filter(|&best| immediate[at] != best) {
                    immediate[at] = best;
                    changed = true;
                }
            }
        }
        let mut answer = vec![None; self.len()];
        for (at, node) in order.iter().enumerate() {
            answer[node.index()] = order.get(immediate[at]).copied();
        }
        Dominators { immediate: answer }
    }

    /// What the roots reach, each node after all that it refers to (circles cut somewhere).
    fn post_order(&self) -> Vec<NodeId> {
        let mut seen = crate::NodeSet::empty(self.len());
        let mut order = Vec::new();
        let mut stack: Vec<(NodeId, usize)> = Vec::new();
        for &root in self.roots() {
            if seen.insert(root) {
                stack.push((root, 0));
            }
            while let Some((node, next)) = stack.last_mut() {
                if let Some(&child) = self.references(*node).get(*next) {
                    *next += 1;
                    if seen.insert(child) {
                        stack.push((child, 0));
                    }
                } else {
                    order.push(*node);
                    stack.pop();
                }
            }
        }
        order
    }
}

/// The nearest common ancestor: walk up from the lower number until both meet.
fn meet(immediate: &[usize], mut a: usize, mut b: usize) -> usize {
    while a != b {
        if a < b {
            a = immediate[a];
        } else {
            b = immediate[b];
        }
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::graph::tests::graph;

    #[test]
    fn a_bottleneck_dominates() {
        let graph = graph(
            7,
            &[
                (0, 1),
                (0, 2),
                (1, 3),
                (2, 3),
                (3, 4),
                (3, 5),
                (4, 6),
                (5, 6),
            ],
        );
        let dominators = graph.dominators();
        let of = |n| {
            dominators
                .of(NodeId::new(n))
                .map(NodeId::index)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(6), [3, 0]);
        assert_eq!(of(3), [0]);
        assert_eq!(of(0), [0_usize; 0]);
    }

    proptest! {
        /// The definition itself, on small graphs: without the dominator the node is not reached.
        #[test]
        fn removal_of_a_dominator_cuts_off(edges in proptest::collection::vec((0..12_usize, 0..12_usize), 0..40)) {
            let whole = graph(12, &edges);
            let dominators = whole.dominators();
            let reached = whole.reachable(whole.roots());
            for node in whole.nodes().filter(|&n| reached.contains(n) && n.index() != 0) {
                let claimed: Vec<usize> = dominators.of(node).map(NodeId::index).collect();
                for other in (0..12).filter(|&other| other != node.index()) {
                    let rest: Vec<_> = edges.iter().copied().filter(|&(a, b)| a != other && b != other).collect();
                    let without = graph(12, &rest);
                    let cut = other == 0 || !without.reachable(without.roots()).contains(node);
                    prop_assert_eq!(cut, claimed.contains(&other), "{} for {}", other, node.index());
                }
            }
        }
    }
}
