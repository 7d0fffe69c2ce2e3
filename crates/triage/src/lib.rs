#![doc = include_str!("../README.md")]

pub mod act;
pub mod basis;
pub mod code;
pub mod evidence;
pub mod group;
pub mod memory;
pub mod public_id;
pub mod rank;
pub mod rematch;
pub mod role;
pub mod state;

pub use act::{Act, Decided, EventKind, Refused, Step, decide, undo};
pub use basis::{Against, Basis, Follow, follow};
pub use code::{Code, UnknownCode};
pub use evidence::{Build, Evidence, Said, Says};
pub use group::{Bucket, SuggestionKind};
pub use memory::{MemoryRule, Verdict};
pub use public_id::PublicId;
pub use rank::{Rank, Weights};
pub use role::{Right, Role, Standing};
pub use state::{State, StateKind};
