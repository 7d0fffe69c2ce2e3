//! What `--build` builds with: Nix, in a store of its own that is gone afterwards, or in one that was named; as any
//! other program, or where only the proxy can be reached.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_refetch::{Builder, Fresh, Nix, Openly, Origin, Realise, Store, Turns};
use snowguard_report::escape::line;

use super::build::settings::Settings;
use super::egress::Egress;
use super::kept::Kept;
use crate::cli::fod::Verify;
use crate::deep::cache_directory;
use crate::error::Failure;
use crate::output::Terminal;

/// How many bytes one build may print.
const LONGEST_LOG: u64 = 1 << 30;
/// The word for the store that Nix uses by itself.
const AUTO: &str = "auto";
/// How Nix is to build in a store that lies elsewhere than it says: without its sandbox, builders would put their
/// outputs into the store directory of this machine.
const IN_ITS_SANDBOX: &str = "sandbox = true\nsandbox-fallback = false";

/// The ways out of what is verified: of what is fetched, and of what Nix builds.
pub(super) struct Ways {
    /// The proxy, where there is one.
    pub(super) egress: Option<Arc<Egress>>,
    /// Nix, where it builds.
    pub(super) builds: Option<Builds>,
}

impl Ways {
    /// Gets ready what was asked for. An error where something of that cannot be had: nothing was fetched then.
    pub(super) fn start(args: &Verify, terminal: &Terminal, quiet: bool) -> Result<Self, Failure> {
        let named = args.build_store.as_deref();
        let longest = Duration::from_secs(args.build_timeout.into());
        let place = if args.build {
            Some(Place::new(named)?)
        } else {
            None
        };
        if !args.proxy {
            return Ok(Self {
                egress: None,
                builds: place.map(|place| place.openly(longest)),
            });
        }
        let helper = args.through.helper.as_deref();
        let network = place
            .as_ref()
            .map(|place| place.network(helper, terminal, quiet))
            .transpose()?;
        let (kept, socket) = network.unzip();
        let egress = Arc::new(Egress::start(&args.through, socket)?);
        let builds = place.zip(kept).map(|(place, ready)| Builds {
            how: How::Kept(Box::new(ready.with(Arc::clone(&egress)))),
            longest,
            place,
        });
        Ok(Self {
            egress: Some(egress),
            builds,
        })
    }
}

/// Nix, and how it builds. What builds ends before its store does.
pub(super) struct Builds {
    how: How,
    /// How long one build may take.
    longest: Duration,
    place: Place,
}

enum How {
    Openly(Openly),
    Kept(Box<Kept>),
}

impl Builds {
    /// What builds, with logs in a directory.
    pub(super) fn builder(&self, scratch: &Path) -> Builder<'_> {
        let realise: &dyn Realise = match &self.how {
            How::Openly(openly) => openly,
            How::Kept(kept) => &**kept,
        };
        Builder {
            nix: self.place.nix.clone(),
            store: self.place.store.clone(),
            realise,
            longest: self.longest,
            most_said: LONGEST_LOG,
            scratch: scratch.to_owned(),
            turns: Turns::default(),
        }
    }

    /// Ends it, and removes what is to be gone afterwards; whether something was built that was held to the proxy.
    pub(super) fn end(self, terminal: &Terminal) -> bool {
        let is_any = match self.how {
            How::Openly(_) => false,
            How::Kept(kept) => kept.end(terminal),
        };
        self.place.end(terminal);
        is_any
    }
}

/// Nix, and where it builds.
struct Place {
    nix: Nix,
    store: Store,
    settings: Settings,
    fresh: Option<Fresh>,
}

impl Place {
    /// `named` is a store as Nix takes it, or `auto`.
    fn new(named: Option<&str>) -> Result<Self, Failure> {
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
            nix,
            store,
            settings,
            fresh,
        })
    }

    fn openly(self, longest: Duration) -> Builds {
        let openly = Openly {
            nix: self.nix.clone(),
            store: self.store.clone(),
        };
        Builds {
            how: How::Openly(openly),
            longest,
            place: self,
        }
    }

    /// A network for its builds, and the socket of the proxy in there.
    fn network(
        &self,
        helper: Option<&Utf8Path>,
        terminal: &Terminal,
        quiet: bool,
    ) -> Result<(super::kept::Ready, std::net::TcpListener), Failure> {
        let mut sources = String::new();
        for (name, value) in self.store.origin.iter().flat_map(Origin::settings) {
            let _ = writeln!(sources, "{name} = {value}");
        }
        let usual = self.settings.get("store");
        let name = self.store.name.as_deref().unwrap_or(usual);
        super::kept::Ready::start((name, sources), &self.settings, helper, (terminal, quiet))
    }

    fn end(self, terminal: &Terminal) {
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
