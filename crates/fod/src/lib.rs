#![doc = include_str!("../README.md")]

mod asked;
pub mod class;
pub mod fod;
pub mod lfs;
pub mod mirrors;
mod nearest;
pub mod outcome;
pub mod place;
pub mod plan;
pub mod policy;
pub mod reference;
pub mod rule;
pub mod shown;
pub mod stale;
pub mod waiver;

pub use self::class::{Class, Tool};
pub use self::fod::{After, Fod, Proxy, Tls};
pub use self::mirrors::Mirrors;
pub use self::nearest::did_you_mean;
pub use self::outcome::{Outcome, Verdict};
pub use self::place::{Host, Place, Scheme};
pub use self::plan::Plan;
pub use self::policy::Policy;
pub use self::reference::Reference;
pub use self::rule::Rule;
pub use self::waiver::{Waiver, Waivers};
