//! The first process in the namespaces: it makes a root in memory and becomes systemd.

use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};

use super::{OURS, PROGRAMS, SHARED};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository.
    repository: Utf8PathBuf,
    /// Where the programs were built.
    built: Utf8PathBuf,
    /// The directory that is seen from outside, too.
    shared: Utf8PathBuf,
}

/// Units that are tried beside those of the repository.
const SUITE: &str = "[Unit]\nDefaultDependencies=no\n[Service]\nType=simple\n\
    ExecStart=/opt/snowguard/bin/xtask inside-units suite\n\
    StandardOutput=append:/shared/log\nStandardError=append:/shared/log\n";
const TARGET: &str = "[Unit]\nDefaultDependencies=no\nWants=suite.service\n";

pub(crate) fn run(args: &Args) -> Result<()> {
    let root = &args.shared.join("root");
    std::fs::create_dir(root)?;
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", root.as_str()])?;
    for directory in [
        "usr",
        "etc",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "var/lib",
        "root",
        "home/alice",
        "mnt",
        "nix",
        "srv",
        "shared",
        "opt/snowguard/bin",
        "etc/systemd/system",
        "etc/sysusers.d",
        "etc/snowguard",
    ] {
        std::fs::create_dir_all(root.join(directory))?;
    }
    bind("/usr".into(), &root.join("usr"), "ro,bind")?;
    for name in ["bin", "sbin", "lib", "lib64"] {
        let there = Utf8Path::new("/").join(name);
        if let Ok(to) = std::fs::read_link(&there) {
            symlink(to, root.join(name))?;
        } else if there.exists() {
            std::fs::create_dir(root.join(name))?;
            bind(&there, &root.join(name), "ro,bind")?;
        }
    }
    for (program, from) in [
        ("snowguard", args.built.join("snowguard")),
        ("snowguardd", args.built.join("snowguardd")),
        ("xtask", Utf8PathBuf::try_from(std::env::current_exe()?)?),
    ] {
        let to = root.join(OURS.trim_start_matches('/')).join(program);
        std::fs::write(&to, "")?;
        bind(&from, &to, "ro,bind")?;
    }
    // The certificates that the system trusts.
    for name in ["etc/ssl", "etc/pki"] {
        let there = Utf8Path::new("/").join(name);
        if there.exists() {
            std::fs::create_dir(root.join(name))?;
            bind(&there, &root.join(name), "ro,bind")?;
        }
    }
    bind(
        &args.shared,
        &root.join(SHARED.trim_start_matches('/')),
        "bind",
    )?;
    files(root, &args.repository)?;
    mount(&["-t", "proc", "proc", root.join("proc").as_str()])?;
    // systemd raises limits there that are those of the whole machine. One setting that is of a namespace
    // stays open, to try whether units can write it.
    let settings = root.join("proc/sys");
    bind(&settings, &settings, "ro,bind")?;
    let own = "sys/kernel/domainname";
    bind(
        &Utf8Path::new("/proc").join(own),
        &root.join("proc").join(own),
        "bind",
    )?;
    mount(&[
        "-t",
        "sysfs",
        "-o",
        "ro",
        "sysfs",
        root.join("sys").as_str(),
    ])?;
    let cgroup = root.join("sys/fs/cgroup");
    mount(&["-t", "cgroup2", "cgroup2", cgroup.as_str()])?;
    mount(&[
        "-t",
        "tmpfs",
        "-o",
        "mode=755",
        "tmpfs",
        root.join("run").as_str(),
    ])?;
    devices(&root.join("dev"))?;
    std::env::set_current_dir(root)?;
    status(Command::new("pivot_root").args([".", "mnt"]))?;
    std::env::set_current_dir("/")?;
    status(Command::new("umount").args(["-l", "/mnt"]))?;
    // As on a machine: credentials are mounted beside systemd, and have to arrive.
    mount(&["--make-rshared", "/"])?;
    // What no namespace holds in: modules of the kernel, clocks, ports.
    let failed = Command::new("setpriv")
        .args(["--bounding-set=-sys_module,-sys_time,-sys_rawio", "--"])
        .arg("/usr/lib/systemd/systemd")
        .args(["--system", "--unit=default.target", "--log-target=journal"])
        .env_clear()
        .envs([
            ("container", "snowguard-units"),
            ("PATH", "/usr/sbin:/usr/bin"),
        ])
        .exec();
    Err(failed).context("cannot start systemd")
}

/// What lies on the disk of a small machine with Snowguard on it.
fn files(root: &Utf8Path, repository: &Utf8Path) -> Result<()> {
    let etc = root.join("etc");
    std::fs::write(
        etc.join("passwd"),
        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
    )?;
    std::fs::write(etc.join("group"), "root:x:0:\nnogroup:x:65534:\n")?;
    std::fs::write(
        etc.join("nsswitch.conf"),
        "passwd: files systemd\ngroup: files systemd\nhosts: files\n",
    )?;
    std::fs::write(etc.join("hosts"), "127.0.0.1 localhost\n")?;
    std::fs::write(etc.join("machine-id"), "0123456789abcdef0123456789abcdef\n")?;
    std::fs::write(etc.join("os-release"), "ID=test\n")?;
    for home in ["home/alice", "root"] {
        std::fs::write(root.join(home).join("secret"), "secret\n")?;
        std::fs::set_permissions(root.join(home), std::fs::Permissions::from_mode(0o755))?;
    }
    std::fs::write(root.join("tmp/outside"), "")?;
    std::fs::set_permissions(root.join("tmp"), std::fs::Permissions::from_mode(0o1777))?;
    let example = repository.join("examples/nixos-20.09.json.zst");
    std::fs::copy(example, root.join("srv/system.json.zst")).context("cannot copy the example")?;
    copy_all(
        &repository.join("data/advisories"),
        &root.join("srv/advisories"),
    )?;
    let units = etc.join("systemd/system");
    for entry in repository.join("units").read_dir_utf8()? {
        let entry = entry?;
        let name = entry.file_name();
        if name.ends_with(".service") || name.ends_with(".timer") {
            let text = std::fs::read_to_string(entry.path())?;
            std::fs::write(units.join(name), text.replace(PROGRAMS, OURS))?;
        } else if name.ends_with(".sysusers.conf") {
            std::fs::copy(entry.path(), etc.join("sysusers.d/snowguard.conf"))?;
        }
    }
    status(Command::new("systemd-sysusers").arg(format!("--root={root}")))?;
    std::fs::write(units.join("suite.service"), SUITE)?;
    std::fs::write(units.join("default.target"), TARGET)?;
    // What the units wait for; the rest of a machine is not here.
    std::fs::write(
        units.join("local-fs.target"),
        "[Unit]\nDefaultDependencies=no\n",
    )?;
    Ok(())
}

fn copy_all(from: &Utf8Path, to: &Utf8Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in from.read_dir_utf8()? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn devices(dev: &Utf8Path) -> Result<()> {
    mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", dev.as_str()])?;
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        std::fs::write(dev.join(name), "")?;
        bind(&Utf8Path::new("/dev").join(name), &dev.join(name), "bind")?;
    }
    // Stands for what a machine has and a service must not see.
    std::fs::write(dev.join("disk"), "")?;
    std::fs::create_dir(dev.join("shm"))?;
    std::fs::create_dir(dev.join("pts"))?;
    let pts = dev.join("pts");
    mount(&[
        "-t",
        "devpts",
        "-o",
        "newinstance,ptmxmode=666",
        "devpts",
        pts.as_str(),
    ])?;
    symlink("pts/ptmx", dev.join("ptmx"))?;
    symlink("/proc/self/fd", dev.join("fd"))?;
    Ok(())
}

fn bind(from: &Utf8Path, to: &Utf8Path, how: &str) -> Result<()> {
    mount(&["--bind", from.as_str(), to.as_str()])?;
    if how.starts_with("ro") {
        mount(&["-o", "remount,ro,bind", to.as_str()])?;
    }
    Ok(())
}

fn mount(arguments: &[&str]) -> Result<()> {
    status(Command::new("mount").args(arguments))
}

fn status(command: &mut Command) -> Result<()> {
    let told = |error: io::Error| error.to_string();
    let output = command
        .output()
        .map_err(|error| anyhow::anyhow!(told(error)))?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        crate::process::shown(command),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
