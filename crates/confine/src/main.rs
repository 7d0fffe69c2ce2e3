//! The helper of `snowguard-confine`: see the crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    snowguard_confine::helper::main()
}
