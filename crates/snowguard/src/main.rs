//! Supply-chain security for Nix systems: the program that a person runs.

fn main() {}
