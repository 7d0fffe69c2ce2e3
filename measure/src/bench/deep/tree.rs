//! The tree that all of them look into: programs and packages as people install them.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::super::say;
use super::super::times::megabytes;
use super::fetch::{self, Pins};

const PINS: &str = include_str!("tree.toml");

pub(super) struct Tree {
    pub(super) dir: Utf8PathBuf,
    pub(super) told: Told,
}

/// What the tree is, for who reads the figures.
#[derive(Serialize)]
pub(super) struct Told {
    /// Of the pins: figures of one tree can be compared.
    pub(super) pins_sha256: String,
    /// As it says itself; it is the one part that is not pinned.
    pub(super) toolchain: String,
    pub(super) files: usize,
    pub(super) bytes: u64,
    /// What is pinned and could not be had.
    pub(super) left_out: Vec<String>,
}

impl Tree {
    /// The tree in this cache; what is missing is downloaded and unpacked.
    pub(super) fn get(cache: &Utf8Path) -> Result<Self> {
        let pins = Pins::parse(PINS)?;
        let toolchain = output(Command::new(rustc()).arg("--version"))?;
        let pins_sha256 = fetch::hex(&Sha256::digest(PINS));
        let name = fetch::hex(&Sha256::digest(format!("{PINS}{toolchain}")));
        let dir = cache.join(format!("tree-{}", &name[..12]));
        let told = dir.with_extension("left-out.json");
        if !(dir.exists() && told.exists()) {
            let left_out = build(&pins, cache, &dir)?;
            super::super::write(&told, &serde_json::to_vec(&left_out)?)?;
        }
        let (files, bytes) = measure(&dir)?;
        let text = std::fs::read(&told).with_context(|| format!("cannot read {told}"))?;
        Ok(Self {
            told: Told {
                pins_sha256,
                toolchain,
                files,
                bytes,
                left_out: serde_json::from_slice(&text)?,
            },
            dir,
        })
    }

    /// The parts that would be store objects of their own.
    pub(super) fn objects(&self) -> Result<Vec<Utf8PathBuf>> {
        let mut found = Vec::new();
        for top in list(&self.dir)? {
            // One language each, with one directory for each of its packages.
            let split = ["dotnet", "go", "java", "npm", "python", "rust"]
                .iter()
                .any(|name| top.file_name() == Some(name));
            if split {
                found.extend(list(&top)?);
            } else {
                found.push(top);
            }
        }
        Ok(found)
    }
}

fn build(pins: &Pins, cache: &Utf8Path, dir: &Utf8Path) -> Result<Vec<String>> {
    let downloads = cache.join("downloads");
    std::fs::create_dir_all(&downloads).with_context(|| format!("cannot make {downloads}"))?;
    eprintln!(
        "{} packages, {:.0} MB in all, are kept in {downloads}; what is not there is downloaded",
        pins.wheels.len() + pins.debian.len() + pins.crates.len() + pins.npm.packages.len(),
        megabytes(pins.bytes())
    );
    let part = dir.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part).with_context(|| format!("cannot empty {part}"))?;
    }
    let mut left_out = Vec::new();
    for wheel in &pins.wheels {
        let file = wheel.fetch(&downloads)?;
        unzip(&file, &part.join(&wheel.to))?;
        if wheel.packed {
            let wheels = part.join("python/wheels");
            std::fs::create_dir_all(&wheels)?;
            std::fs::copy(&file, wheels.join(&wheel.file))?;
        }
    }
    for package in &pins.crates {
        let file = package.fetch(&downloads)?;
        let to = part.join(&package.to);
        std::fs::create_dir_all(&to)?;
        fetch::run(
            Command::new("tar")
                .args(["-xzf", file.as_str(), "--strip-components=1", "-C"])
                .arg(&to),
        )?;
    }
    for package in &pins.debian {
        match package.fetch(&downloads)? {
            Some(file) => fetch::run(
                Command::new("dpkg-deb")
                    .args(["--extract", file.as_str()])
                    .arg(part.join("debian")),
            )?,
            None => left_out.push(format!("{} {}", package.package, package.version)),
        }
    }
    drop_links_outside(&part)?;
    pins.npm.install(&part.join(&pins.npm.to))?;
    toolchain(&part.join("rust/toolchain"))?;
    std::fs::rename(&part, dir).with_context(|| format!("cannot rename {part}"))?;
    Ok(left_out)
}

/// Programs and libraries of the installed one; its manual is tens of thousands of pages.
fn toolchain(to: &Utf8Path) -> Result<()> {
    let sysroot = output(Command::new(rustc()).args(["--print", "sysroot"]))?;
    say(&format!("copying the Rust toolchain of {sysroot}"));
    std::fs::create_dir_all(to)?;
    for part in ["bin", "lib", "libexec"] {
        let from = Utf8Path::new(&sysroot).join(part);
        if from.exists() {
            fetch::run(
                Command::new("cp")
                    .args(["--archive", "--reflink=auto", from.as_str()])
                    .arg(to),
            )?;
        }
    }
    Ok(())
}

/// Unpacks a wheel.
pub(super) fn unzip(file: &Utf8Path, to: &Utf8Path) -> Result<()> {
    let opened = std::fs::File::open(file).with_context(|| format!("cannot open {file}"))?;
    std::fs::create_dir_all(to)?;
    zip::ZipArchive::new(opened)
        .and_then(|mut archive| archive.extract(to))
        .with_context(|| format!("cannot unpack {file}"))?;
    // Wheels have their programs apart, without the mode that pip gives them.
    for data in list(to)?
        .iter()
        .filter(|path| path.extension() == Some("data"))
    {
        let scripts = data.join("scripts");
        if scripts.exists() {
            for program in list(&scripts)? {
                make_executable(&program)?;
            }
        }
    }
    Ok(())
}

pub(super) fn make_executable(program: &Utf8Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot change the mode of {program}"))
}

/// Debian's packages link by absolute paths, which are this machine's and not the tree's.
fn drop_links_outside(root: &Utf8Path) -> Result<()> {
    walk(root, &mut |path, kind| {
        if kind.is_symlink() && path.read_link_utf8().is_ok_and(|to| to.is_absolute()) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    })
}

fn measure(root: &Utf8Path) -> Result<(usize, u64)> {
    let (mut files, mut bytes) = (0, 0);
    walk(root, &mut |path, kind| {
        if kind.is_file() {
            files += 1;
            bytes += path.metadata()?.len();
        }
        Ok(())
    })?;
    ensure!(files > 0, "{root} is empty");
    Ok((files, bytes))
}

/// Visits all that is no directory; links are not followed.
pub(super) fn walk(
    root: &Utf8Path,
    visit: &mut dyn FnMut(&Utf8Path, std::fs::FileType) -> Result<()>,
) -> Result<()> {
    let mut open = vec![root.to_owned()];
    while let Some(dir) = open.pop() {
        let entries = dir
            .read_dir_utf8()
            .with_context(|| format!("cannot list {dir}"))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                open.push(entry.into_path());
            } else {
                visit(entry.path(), kind)?;
            }
        }
    }
    Ok(())
}

fn list(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>> {
    let mut found: Vec<_> = dir
        .read_dir_utf8()
        .with_context(|| format!("cannot list {dir}"))?
        .map(|entry| Ok(entry?.into_path()))
        .collect::<Result<_>>()?;
    found.sort();
    Ok(found)
}

/// The first line that a program prints.
pub(super) fn output(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(
        output.status.success(),
        "`{program}` ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn rustc() -> String {
    std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pins_can_be_read() {
        let pins = Pins::parse(PINS).unwrap();
        assert!(pins.bytes() > 100_000_000);
        let digests = pins.wheels.iter().map(|it| &it.sha256);
        let digests = digests.chain(pins.debian.iter().map(|it| &it.sha256));
        assert!(digests.into_iter().all(|digest| digest.len() == 64));
    }
}
