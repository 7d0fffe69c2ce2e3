#![doc = include_str!("../README.md")]

pub mod built;
pub mod component;
pub mod fact;
mod identify;
pub mod inside;
pub mod naming;
mod number;
pub mod origin;
pub mod patch;
pub mod recipe;
pub mod subject;
pub mod table;

pub use built::{Builds, Built};
pub use component::{Component, ComponentId, Identity, Inventory, Reason, Scope};
pub use fact::Fact;
pub use inside::{Declaration, Host, Need, Origin, Place, Proof};
pub use number::number;
pub use patch::{Patch, PatchText};
pub use recipe::Recipe;
pub use subject::{Gap, Meta, Nature, Object, Role, Stated, Subject, SubjectBuilder};
pub use table::{IdentityTable, Relation, Target, Verdict};
