//! What `--build` builds with: Nix, in a store of its own that is gone afterwards, or in one that was named.

use std::path::Path;
use std::time::Duration;

use camino::Utf8PathBuf;
use snowguard_refetch::{Builder, Fresh, Nix, Openly, Origin, Store, Turns};
use snowguard_report::escape::line;

use super::build::nix::Settings;
use crate::deep::cache_directory;
use crate::error::Failure;
use crate::output::Terminal;

/// How long one build may take.
const LONGEST: Duration = Duration::from_hours(3);
/// How many bytes one build may print.
const LONGEST_LOG: u64 = 1 << 30;
/// The word for the store that Nix uses by itself.
const AUTO: &str = "auto";
/// How Nix is to build in a store that lies elsewhere than it says: without its sandbox, builders would put their
/// outputs into the store directory of this machine.
const IN_ITS_SANDBOX: &str = "sandbox = true\nsandbox-fallback = false";

/// Nix, and where it builds.
#[derive(Debug)]
pub(super) struct Builds {
    fresh: Option<Fresh>,
    openly: Openly,
}

impl Builds {
    /// Gets all ready that is needed to build: `named` is a store as Nix takes it, or `auto`.
    pub(super) fn start(named: Option<&str>) -> Result<Self, Failure> {
        let settings = Settings::ask()?;
        let fresh = if named.is_none() {
            Some(fresh()?)
        } else {
            None
        };
        let origin = Origin {
            name: settings.get("store").to_owned(),
            alone: settings.get("substitute") == "false",
        };
        let store = match (&fresh, named) {
            (None, None | Some(AUTO)) => Store::default(),
            (None, Some(name)) => Store {
                name: Some(name.to_owned()),
                root: root(name),
                origin: Some(origin),
            },
            (Some(fresh), _) => Store {
                name: Some(format!("local?root={}", fresh.path().display())),
                root: Some(fresh.path().to_owned()),
                origin: Some(origin),
            },
        };
        let mut nix = Nix {
            program: "nix-store".into(),
            environment: Vec::new(),
        };
        if store.root.is_some() {
            nix.environment.push(("NIX_CONFIG".to_owned(), config()));
        }
        Ok(Self {
            fresh,
            openly: Openly { nix, store },
        })
    }

    /// What builds, with logs in a directory.
    pub(super) fn builder(&self, scratch: &Path) -> Builder<'_> {
        Builder {
            nix: self.openly.nix.clone(),
            store: self.openly.store.clone(),
            realise: &self.openly,
            longest: LONGEST,
            most_said: LONGEST_LOG,
            scratch: scratch.to_owned(),
            turns: Turns::default(),
        }
    }

    /// Ends it, and removes what is to be gone afterwards.
    pub(super) fn end(self, terminal: &Terminal) {
        let Some(fresh) = self.fresh else { return };
        let path = fresh.path().display().to_string();
        if let Err(error) = fresh.remove() {
            let path = line(&path);
            terminal.warning(&format!(
                "cannot remove {path}, in which Nix built: {error}"
            ));
            terminal.hint("the next build that begins with an empty store tries again");
        }
    }
}

/// The directory of a store that begins empty.
fn fresh() -> Result<Fresh, Failure> {
    let remedy = "--build-store STORE names another store; `auto` is the one that Nix uses";
    let parent = cache_directory()
        .ok_or_else(|| {
            Failure::message("there is no home directory for a store to build in").hint(remedy)
        })
        .and_then(|path| {
            Utf8PathBuf::from_path_buf(path)
                .map_err(|path| Failure::message(format!("{} is no text", path.display())))
        })?;
    // Nix reads a URL in which it stands.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@=,~".contains(c);
    if !parent.as_str().chars().all(is_plain) {
        return Err(Failure::message(format!(
            "{} cannot be named to Nix as the place of a store",
            line(parent.as_str())
        ))
        .hint("XDG_CACHE_HOME says where it is made")
        .hint(remedy));
    }
    Fresh::make(parent.as_std_path()).map_err(|source| {
        let what = format!("cannot make a store to build in, in {parent}");
        Failure::new(anyhow::Error::new(source).context(what)).hint(remedy)
    })
}

/// Where the files of a store that was named lie, if they lie elsewhere than they say.
fn root(name: &str) -> Option<std::path::PathBuf> {
    let of = |start| {
        Some(
            name.strip_prefix(start)?
                .split('&')
                .next()
                .unwrap_or_default(),
        )
    };
    let root = of("local?root=")
        .or_else(|| of("local://?root="))
        .unwrap_or(name);
    root.starts_with('/').then(|| root.into())
}

/// The settings of Nix that are in the environment, and ours after them.
#[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
fn config() -> String {
    let before = std::env::var("NIX_CONFIG").unwrap_or_default();
    format!("{before}\n{IN_ITS_SANDBOX}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_that_lie_elsewhere_are_known() {
        for (name, at) in [
            ("local?root=/a/b", Some("/a/b")),
            ("local://?root=/a&trusted=true", Some("/a")),
            ("/a", Some("/a")),
            ("daemon", None),
            ("local", None),
            ("ssh-ng://x", None),
        ] {
            assert_eq!(root(name).as_deref(), at.map(Path::new), "{name}");
        }
    }
}
