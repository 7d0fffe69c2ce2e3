#![doc = include_str!("../README.md")]

mod dominators;
mod graph;
mod reach;
mod walk;

pub use dominators::Dominators;
pub use graph::{Graph, GraphBuilder, NodeId};

pub use reach::{BATCH, Reach};
pub use walk::{NodeSet, ShortestPaths};
