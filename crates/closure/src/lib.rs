#![doc = include_str!("../README.md")]

mod dominators;
mod graph;
mod walk;

pub use dominators::Dominators;
pub use graph::{Graph, GraphBuilder, NodeId};
pub use walk::{NodeSet, ShortestPaths};
