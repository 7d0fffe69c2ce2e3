//! `snowguard fod build`, with the real Nix, the real proxy and servers on loopback. Needs the right to make
//! network namespaces (root, or user namespaces), `nft`, `curl`, `git` and `tar`.
//!
//! The derivations are what `fetchurl`, `fetchzip` and `fetchgit` of Nixpkgs do, in a few lines each, with the
//! programs of this machine. Most are built without the sandbox; the test of the sandbox lets these programs in, and
//! does so in each mode.

mod built;
mod ends;
mod found;
mod place;
mod refused;
