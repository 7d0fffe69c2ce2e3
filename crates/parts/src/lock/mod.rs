//! Lock files: what would be fetched for a build. Whether it was, and what of it is in the product,
//! they do not say.

pub(crate) mod bundler;
pub(crate) mod cargo;
pub(crate) mod composer;
pub(crate) mod go;
mod graph;
pub(crate) mod npm;
pub(crate) mod pipfile;
pub(crate) mod pnpm;
pub(crate) mod poetry;
pub(crate) mod requirements;
pub(crate) mod uv;
mod yaml;
pub(crate) mod yarn;
