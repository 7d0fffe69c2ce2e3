//! Users as whom Nix builds: as root its sandbox wants some, and Debian's package for that starts a daemon.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};
use camino::Utf8Path;

/// The group, and how many are in it.
const GROUP: &str = "nixbld";
const COUNT: u32 = 8;
/// The first number, of the group; its members follow.
const FIRST: u32 = 30_000;
/// Puts two files in the place of others, for what it starts and nobody else.
const BIND: &str =
    "mount --bind \"$1\" /etc/group && mount --bind \"$2\" /etc/passwd && shift 2 && exec \"$@\"";

/// A command that sees such users. Where this machine has them, or nobody needs them, it is the same; and where no
/// mount namespace can be had, since then there is no sandbox either.
pub(crate) fn seen_by(command: Command, target: &Utf8Path) -> Result<Command> {
    let read =
        |path: &str| std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"));
    let group = read("/etc/group")?;
    let start = format!("{GROUP}:");
    let is_needed =
        rustix::process::getuid().is_root() && !group.lines().any(|line| line.starts_with(&start));
    if !is_needed || !may_mount() {
        return Ok(command);
    }
    let place = target.join("xtask/etc");
    std::fs::create_dir_all(&place).with_context(|| format!("cannot make {place}"))?;
    let [group, passwd] = with_users(&group, &read("/etc/passwd")?);
    let mut wrapped = Command::new("unshare");
    wrapped.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-c",
        BIND,
        "sh",
    ]);
    for (name, text) in [("group", group), ("passwd", passwd)] {
        let path = place.join(name);
        std::fs::write(&path, text).with_context(|| format!("cannot write {path}"))?;
        wrapped.arg(path);
    }
    wrapped.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => wrapped.env(name, value),
            None => wrapped.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        wrapped.current_dir(directory);
    }
    Ok(wrapped)
}

fn may_mount() -> bool {
    let mut tried = Command::new("unshare");
    let args = [
        "--mount",
        "--propagation",
        "private",
        "mount",
        "--bind",
        "/etc/group",
        "/etc/group",
    ];
    tried.args(args.map(OsStr::new)).stderr(Stdio::null());
    tried.status().is_ok_and(|status| status.success())
}

/// The two files with the group and its members in them (group(5), passwd(5)).
fn with_users(group: &str, passwd: &str) -> [String; 2] {
    let names: Vec<String> = (1..=COUNT)
        .map(|number| format!("{GROUP}{number}"))
        .collect();
    let members = names.join(",");
    let group = format!("{}\n{GROUP}:x:{FIRST}:{members}\n", group.trim_end());
    let mut users = passwd.trim_end().to_owned();
    for (name, number) in names.iter().zip(FIRST + 1..) {
        let _ = write!(
            users,
            "\n{name}:x:{number}:{FIRST}::/var/empty:/usr/sbin/nologin"
        );
    }
    [group, users + "\n"]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_come_after_those_that_there_are() {
        let [group, passwd] = with_users("root:x:0:\n", "root:x:0:0::/root:/bin/sh");
        assert!(group.starts_with("root:x:0:\nnixbld:x:30000:nixbld1,"));
        assert!(group.ends_with(",nixbld8\n"));
        assert!(passwd.contains("\nnixbld1:x:30001:30000::/var/empty:/usr/sbin/nologin\n"));
        assert_eq!(passwd.lines().count(), 9);
    }
}
