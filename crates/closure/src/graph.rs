//! The graph itself: nodes are numbers, edges go from what refers to what is referred to.

/// A node of a [`Graph`]: its number, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(u32);

impl NodeId {
    /// The number, as an index into arrays beside the graph.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn new(index: usize) -> Self {
        // A graph of more than four billion objects does not fit into memory.
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }
}

/// An immutable directed graph with edges in both directions.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    forward: Adjacency,
    backward: Adjacency,
    roots: Vec<NodeId>,
}

impl Graph {
    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.forward.starts.len().saturating_sub(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All nodes.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.len()).map(NodeId::new)
    }

    /// What the graph is about; the first is the main one.
    pub fn roots(&self) -> &[NodeId] {
        &self.roots
    }

    /// What a node refers to, sorted, without repetition.
    pub fn references(&self, node: NodeId) -> &[NodeId] {
        self.forward.of(node)
    }

    /// What refers to a node, sorted, without repetition.
    pub fn referrers(&self, node: NodeId) -> &[NodeId] {
        self.backward.of(node)
    }
}

/// Collects nodes and edges.
#[derive(Clone, Debug, Default)]
pub struct GraphBuilder {
    nodes: usize,
    edges: Vec<(NodeId, NodeId)>,
    roots: Vec<NodeId>,
}

impl GraphBuilder {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a node; nodes are numbered in the order of the calls.
    pub fn node(&mut self) -> NodeId {
        let node = NodeId::new(self.nodes);
        self.nodes += 1;
        node
    }

    /// All nodes so far.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = NodeId> + use<> {
        (0..self.nodes).map(NodeId::new)
    }

    /// Adds an edge. An edge of a node to itself, which store paths have, is no edge here.
    pub fn edge(&mut self, from: NodeId, to: NodeId) {
        if from != to {
            self.edges.push((from, to));
        }
    }

    /// Marks a root.
    pub fn root(&mut self, node: NodeId) {
        self.roots.push(node);
    }

    /// The finished graph. Without a marked root, the nodes that nothing refers to are roots.
    pub fn build(mut self) -> Graph {
        self.edges
            .retain(|(from, to)| from.index() < self.nodes && to.index() < self.nodes);
        let forward = Adjacency::new(self.nodes, &mut self.edges);
        let mut reversed: Vec<_> = self.edges.iter().map(|&(from, to)| (to, from)).collect();
        let backward = Adjacency::new(self.nodes, &mut reversed);
        let mut roots = self.roots;
        let mut marked = vec![false; self.nodes];
        roots.retain(|root| {
            marked
                .get_mut(root.index())
                .is_some_and(|marked| !std::mem::replace(marked, true))
        });
        if roots.is_empty() {
            roots = (0..self.nodes)
                .map(NodeId::new)
                .filter(|n| backward.of(*n).is_empty())
                .collect();
        }
        Graph {
            forward,
            backward,
            roots,
        }
    }
}

/// Compressed rows: the neighbours of node `n` are `targets[starts[n]..starts[n + 1]]`.
#[derive(Clone, Debug, Default)]
struct Adjacency {
    starts: Vec<u32>,
    targets: Vec<NodeId>,
}

impl Adjacency {
    fn new(nodes: usize, edges: &mut Vec<(NodeId, NodeId)>) -> Self {
        edges.sort_unstable();
        edges.dedup();
        let mut starts = vec![0_u32; nodes + 1];
        for (from, _) in edges.iter() {
            starts[from.index() + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self {
            starts,
            targets: edges.iter().map(|&(_, to)| to).collect(),
        }
    }

    fn of(&self, node: NodeId) -> &[NodeId] {
        let range = self
            .starts
            .get(node.index())
            .zip(self.starts.get(node.index() + 1));
        range
            .and_then(|(&start, &end)| self.targets.get(start as usize..end as usize))
            .unwrap_or_default()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A graph from edges; node 0 is the root.
    pub(crate) fn graph(nodes: usize, edges: &[(usize, usize)]) -> Graph {
        let mut builder = GraphBuilder::new();
        for _ in 0..nodes {
            builder.node();
        }
        for &(from, to) in edges {
            builder.edge(NodeId::new(from), NodeId::new(to));
        }
        if nodes > 0 {
            builder.root(NodeId::new(0));
        }
        builder.build()
    }

    fn numbers(nodes: &[NodeId]) -> Vec<usize> {
        nodes.iter().map(|n| n.index()).collect()
    }

    #[test]
    fn edges_go_both_ways() {
        let graph = graph(4, &[(0, 2), (0, 1), (1, 2), (0, 2), (2, 2)]);
        assert_eq!(numbers(graph.references(NodeId::new(0))), [1, 2]);
        assert_eq!(numbers(graph.references(NodeId::new(2))), [0_usize; 0]);
        assert_eq!(numbers(graph.referrers(NodeId::new(2))), [0, 1]);
        assert_eq!(graph.len(), 4);
    }

    #[test]
    fn without_a_marked_root_the_sources_are_roots() {
        let mut builder = GraphBuilder::new();
        let (a, b, c) = (builder.node(), builder.node(), builder.node());
        builder.edge(a, b);
        builder.edge(c, b);
        assert_eq!(builder.build().roots(), [a, c]);
    }
}
