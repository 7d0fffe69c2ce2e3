//! What Nix says of its settings, and in which store it builds.
#![expect(
    clippy::disallowed_methods,
    reason = "the face asks Nix, and knows the environment"
)]

use std::process::Command;

use camino::Utf8Path;
use snowguard_report::escape::line;

use super::nix::{output, variable};
use crate::error::Failure;

/// What Nix says of its settings.
pub(in crate::fod) struct Settings(String);

impl Settings {
    /// Asks Nix.
    pub(in crate::fod) fn ask() -> Result<Self, Failure> {
        // `nix-store --version` would open the store.
        let text = output(Command::new("nix").arg("--version"))?;
        let version = version(&text).ok_or_else(|| {
            Failure::message(format!("cannot read Nix's version in `{}`", text.trim()))
        })?;
        let word = if version >= (2, 20) {
            &["config", "show"][..]
        } else {
            &["show-config"]
        };
        let settings = output(
            Command::new("nix")
                .args(["--extra-experimental-features", "nix-command"])
                .args(word),
        )?;
        Ok(Self(settings))
    }

    /// One of them; none if this Nix does not know it.
    pub(super) fn known(&self, wanted: &str) -> Option<&str> {
        let mut lines = self.0.lines().filter_map(|line| line.split_once(" ="));
        let found = lines.find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value.trim())
    }

    /// One of them; empty if there is no such.
    pub(in crate::fod) fn get(&self, wanted: &str) -> &str {
        self.known(wanted).unwrap_or_default()
    }
}

/// A store in which who opens it builds, and no daemon.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Store {
    /// What Nix calls it; named in all that Nix is told, since settings come before `NIX_REMOTE`.
    pub(super) name: String,
    /// Before all paths of the store, where it lies elsewhere than it says.
    pub(super) root: String,
}

impl Store {
    /// The one that the setting `store` means, which is what `NIX_REMOTE` says if no file says anything.
    pub(super) fn of(setting: &str) -> Result<Self, Failure> {
        let is_root = rustix::process::geteuid().is_root();
        let state = variable("NIX_STATE_DIR").unwrap_or_else(|| "/nix/var/nix".to_owned());
        let may_write = || may_write(Utf8Path::new(&state));
        let remedy = "a daemon fetches in its own network: run this as root, or on a store of your own \
                      (NIX_REMOTE=local?root=DIR, or a single-user installation)";
        if let Some(store) = Self::named(setting) {
            return Ok(store);
        }
        match setting {
            "" | "auto" if is_root || may_write() => Ok(Self::local()),
            "daemon" if is_root => Ok(Self::local()),
            "" | "auto" => Err(Failure::message(format!(
                "the store belongs to another user ({state} cannot be written), so a daemon builds"
            ))
            .hint(remedy)),
            other => Err(Failure::message(format!(
                "builds for the store `{}` are made by a daemon, or nobody knows by whom",
                line(other)
            ))
            .hint(remedy)),
        }
    }

    pub(super) fn local() -> Self {
        Self {
            name: "local".to_owned(),
            root: String::new(),
        }
    }

    /// The store of a name that can mean only one that is opened here.
    fn named(name: &str) -> Option<Self> {
        if matches!(name, "local" | "local://") {
            return Some(Self::local());
        }
        let root = ["local?root=", "local://?root="]
            .iter()
            .find_map(|start| name.strip_prefix(start))
            .unwrap_or(name);
        // Nothing that a setting or a URL would read as more than a path.
        let is_path = |c: char| c.is_ascii_alphanumeric() || "/._-+@=,~".contains(c);
        (root.starts_with('/') && root.chars().all(is_path)).then(|| Self {
            name: name.to_owned(),
            root: root.trim_end_matches('/').to_owned(),
        })
    }

    /// Whether it lies elsewhere than it says; then Nix always has its sandbox.
    pub(super) fn is_elsewhere(&self) -> bool {
        !self.root.is_empty()
    }
}

/// Whether a directory is there and may be written to, or may be made.
fn may_write(directory: &Utf8Path) -> bool {
    let there = directory.ancestors().find(|path| path.exists());
    there
        .is_some_and(|path| rustix::fs::access(path.as_str(), rustix::fs::Access::WRITE_OK).is_ok())
}

/// The numbers in `nix (Nix) 2.8.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let last = text.split_whitespace().last()?;
    let mut numbers = last.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stores_that_are_opened_here_are_taken() {
        let root = |name: &str| Store::named(name).map(|store| store.root);
        for (name, at) in [
            ("local", ""),
            ("local://", ""),
            ("local?root=/a/b/", "/a/b"),
            ("local://?root=/a", "/a"),
            ("/a", "/a"),
        ] {
            assert_eq!(root(name).as_deref(), Some(at), "{name}");
        }
        for name in [
            "unix:///socket",
            "ssh-ng://builder",
            "mounted-ssh-ng://builder",
            "https://cache",
            "local?real=/x",
            "local?root=/a&real=/b",
            "local?root=a",
            "local-overlay://",
            "./a",
            "/a b",
            "/a#b",
        ] {
            assert_eq!(root(name), None, "{name}");
            assert!(Store::of(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_store_that_is_made_first_belongs_to_who_makes_it() {
        let place = tempfile::tempdir().unwrap();
        let place = Utf8Path::from_path(place.path()).unwrap();
        assert!(may_write(&place.join("not/yet/there")));
        // Not even root writes there.
        assert!(!may_write(Utf8Path::new("/proc/self/x/y")));
    }
}
