//! What this machine lets tests do. A test that it does not let shows nothing, and that is said.

#![expect(
    clippy::disallowed_methods,
    reason = "tests start programs and read the environment"
)]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

/// Whether networks can be made here.
///
/// # Panics
///
/// Where all is tested (`CI` is set), they must be.
#[track_caller]
pub fn may_confine() -> bool {
    let may = unshare(&["--net"]) || unshare(&["--user", "--net"]);
    if !may {
        let told = skipped("root or user namespaces, to make a network namespace");
        assert!(std::env::var_os("CI").is_none(), "{told}");
    }
    may
}

/// Whether programs can be kept apart from each other here.
pub fn keeps_apart() -> bool {
    let may = may_unshare_processes();
    if !may {
        skipped("process and mount namespaces");
    }
    may
}

/// The users as whom Nix builds in its sandbox. Nix ends all that runs as one of them before it builds; who has them
/// taken out here keeps others waiting, whose stores do not know of each other.
#[derive(Debug)]
pub struct BuildUsers {
    group: &'static str,
    _turn: Option<File>,
}

impl BuildUsers {
    /// Their group, which is empty where Nix needs none.
    pub fn group(&self) -> &'static str {
        self.group
    }
}

/// Takes the users as whom Nix builds here; nothing where it has no sandbox.
///
/// # Panics
///
/// Where all is tested (`CI` is set), there must be one.
#[track_caller]
pub fn sandbox_users() -> Option<BuildUsers> {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let has_users = groups.lines().any(|line| line.starts_with("nixbld:"));
    if may_unshare_processes() && !is_root() {
        let group = "";
        return Some(BuildUsers { group, _turn: None });
    }
    if may_unshare_processes() && has_users {
        let group = "nixbld";
        let turn = File::create(std::env::temp_dir().join("snowguard-build-users.lock"));
        let turn = turn.and_then(|file| file.lock().map(|()| file)).ok();
        return Some(BuildUsers { group, _turn: turn });
    }
    let told = skipped("a mount namespace, and as root the group nixbld");
    assert!(std::env::var_os("CI").is_none(), "{told}");
    None
}

/// Whether who tests is root.
pub fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn may_unshare_processes() -> bool {
    let own = ["--mount", "--pid", "--fork", "--mount-proc"];
    if is_root() {
        return unshare(&own);
    }
    unshare(&[&["--user", "--map-root-user"], &own[..]].concat())
}

fn unshare(options: &[&str]) -> bool {
    let mut command = Command::new("unshare");
    let end = command.args(options).arg("true").status();
    end.is_ok_and(|end| end.success())
}

/// Says of a test what it would need.
fn skipped(needs: &str) -> String {
    let told = format!("SKIPPED: this test needs {needs}");
    let _ = writeln!(std::io::stderr(), "{told}");
    told
}
