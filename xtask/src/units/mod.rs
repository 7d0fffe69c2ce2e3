//! The units under the real systemd: `cargo xtask units`, and a step of the tests.
//!
//! A systemd of its own is started in namespaces of its own (mounts, processes, network, host name, IPC,
//! cgroups) over a root in memory. It starts the units of `units/` as they are, but for where the programs
//! lie. In there [`inside`] looks whether they do their work, and [`probe`], started with the very same
//! restrictions, whether what they must not do fails; without restrictions it must work, or the probe would
//! show nothing. What this machine cannot show is named, never passed over.

mod boot;
mod inside;
mod probe;

use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use crate::process::Log;
use crate::workspace::Workspace;

/// Where a distribution has the programs that units start; packagers put their own place there.
const PROGRAMS: &str = "/usr/bin/";
/// Where they are in the namespaces.
const OURS: &str = "/opt/snowguard/bin/";
/// The directory that both sides see.
const SHARED: &str = "/shared";
/// What systemd needs to be allowed, tried in the namespaces beforehand.
const MOUNTS: &str = "mount -t tmpfs tmpfs /mnt && cd /mnt && mkdir p s c && mount -t proc proc p && \
    mount -t sysfs -o ro sysfs s && mount -t cgroup2 cgroup2 c && mount --bind p/sys p/sys && \
    mount -o remount,ro,bind p/sys";
/// How long all of it may take.
const AT_MOST: &str = "300";

/// What the program does when it is started in the namespaces.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Role {
    /// Makes the root, and becomes systemd.
    Boot(boot::Args),
    /// Starts the units, and looks at what they do.
    Suite,
    /// Tries what must not work.
    Probe,
}

pub(crate) fn act(role: &Role) -> Result<()> {
    match role {
        Role::Boot(args) => boot::run(args),
        Role::Suite => inside::run(),
        Role::Probe => {
            probe::run();
            Ok(())
        }
    }
}

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut log = Log::create(workspace.target().join("xtask/units.log"))?;
    let build = ["build", "--locked", "-p", "snowguard", "-p", "snowguardd"];
    match check(workspace, &mut log, &build) {
        Ok(note) => {
            println!("{note}");
            Ok(())
        }
        Err(error) => Err(error.context(format!("see {}", log.path()))),
    }
}

/// Tries the units, and says what was shown and what was not. `build` is what builds the programs.
pub(crate) fn check(workspace: &Workspace, log: &mut Log, build: &[&str]) -> Result<String> {
    if !rustix::process::geteuid().is_root() {
        return Ok("NOT TRIED: only root can give systemd a cgroup of its own".into());
    }
    log.run(workspace.cargo().args(build))?;
    let directory = workspace.target().join("xtask/units");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let cgroup = match Cgroup::new() {
        Ok(cgroup) => cgroup,
        Err(error) => return Ok(format!("NOT TRIED: {error:#}")),
    };
    if !log
        .status(&mut cgroup.enter("sh", &["-c", MOUNTS]))?
        .success()
    {
        return Ok("NOT TRIED: no namespaces, or no mounts in them, as in most containers".into());
    }
    let program = std::env::current_exe()?;
    let program = Utf8Path::from_path(&program).context("the path of this program is no text")?;
    let root = workspace.root().as_str();
    let target = workspace.target().join("debug");
    let arguments = [
        "inside-units",
        "boot",
        root,
        target.as_str(),
        directory.as_str(),
    ];
    // Ended from outside or from inside: systemd ends only when its work does.
    log.status(&mut cgroup.enter(program.as_str(), &arguments))?;
    drop(cgroup);
    let told = std::fs::read_to_string(directory.join("report"))
        .context("systemd did not come up in its namespaces")?;
    summary(&told)
}

/// Of lines `KIND WHAT`: `held`, `left` for what could not be shown, `failed`, and `end`.
fn summary(told: &str) -> Result<String> {
    let of = |kind: &str| -> Vec<&str> {
        told.lines()
            .filter_map(|line| line.strip_prefix(kind)?.strip_prefix(' '))
            .collect()
    };
    let failed = of("failed");
    ensure!(
        failed.is_empty(),
        "the units do not hold:\n  {}",
        failed.join("\n  ")
    );
    if !told.ends_with("end\n") {
        bail!("the units were not tried to the end:\n{told}");
    }
    let held = of("held").len();
    ensure!(held > 0, "nothing was tried");
    let left = of("left");
    Ok(if left.is_empty() {
        format!("{held} things hold")
    } else {
        format!("{held} things hold; not shown here: {}", left.join("; "))
    })
}

/// A cgroup for systemd to keep its own in. It goes with this value.
struct Cgroup(Utf8PathBuf);

impl Cgroup {
    fn new() -> Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts")?;
        let place = mounts
            .lines()
            .find_map(|line| {
                let mut words = line.split(' ');
                let (_, place, kind) = (words.next()?, words.next()?, words.next()?);
                (kind == "cgroup2").then_some(place)
            })
            .context("there are no cgroups of version 2")?;
        let path = Utf8Path::new(place).join(format!("snowguard-units-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make the cgroup {path}"))?;
        Ok(Self(path))
    }

    /// A program in this cgroup and in namespaces of its own, that ends after a while.
    fn enter(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""])
            .arg(&self.0)
            .args(["timeout", "--signal=KILL", AT_MOST])
            .args(["unshare", "--mount", "--pid", "--uts", "--ipc", "--net"])
            .args(["--cgroup", "--fork", "--kill-child"])
            .arg(program)
            .args(arguments);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Nothing is left in it but what systemd made for its units.
        let _ = std::fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..50 {
            remove(&self.0);
            if !self.0.exists() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn remove(cgroup: &Utf8Path) {
    for entry in cgroup.read_dir_utf8().into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(entry.path());
        }
    }
    let _ = std::fs::remove_dir(cgroup);
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn what_does_not_hold_or_was_not_tried_is_an_error() {
        assert_eq!(summary("held a\nheld b\nend\n").unwrap(), "2 things hold");
        assert_eq!(
            summary("held a\nleft b: no cgroup\nend\n").unwrap(),
            "1 things hold; not shown here: b: no cgroup"
        );
        for told in ["", "end\n", "held a\n", "held a\nfailed b\nend\n"] {
            assert!(summary(told).is_err(), "{told}");
        }
    }
}
