//! Everything that is tested from outside, in one program: against the real Nix (`oracle_*`), against what a
//! current Nix was recorded to say (`golden`), and against itself (`properties`, `malformed`).

#![expect(
    clippy::disallowed_methods,
    reason = "tests read their fixtures and start Nix"
)]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test fails the test"
)]

mod golden;
mod malformed;
mod malformed_infos;
mod oracle_derivations;
mod oracle_hashes;
mod oracle_nar;
mod oracle_narinfo;
mod oracle_versions;
mod properties;
mod support;
