#![doc = include_str!("../README.md")]

mod build;
mod compare;
mod file;
mod gate;
mod git;
mod guard;
mod job;
mod place;
mod space;
mod tree;
mod tried;
mod verify;
mod work;

pub use build::{
    Begun, Builder, Built, End, Fresh, Nix, Openly, Origin, Realise, Said, Stop, Store, Turns,
    Watch,
};
pub use gate::{Gate, HostLimits};
pub use git::Git;
pub use guard::{Denied, Guard};
pub use job::{Job, Way};
pub use place::{Alone, Scratch};
pub use space::Space;
pub use verify::{Halt, Limits, Verifier};
pub use work::{Notice, Work, WorkError, Worked};
