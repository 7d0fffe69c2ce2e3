//! `[feeds]` in `snowguard.toml`, with what the command line and the environment say beside it.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use snowguard_feeds::{Feed, FeedSettings, Malicious};
use snowguard_http::{Address, Settings};

use crate::cli;
use crate::config::Config;
use crate::error::Failure;

/// The table `feeds`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Feeds {
    mirror: Option<String>,
    ca_file: Option<Utf8PathBuf>,
    attempts: Option<std::num::NonZeroU8>,
    kev: One,
    epss: One,
    cve: One,
    nvd: One,
    osv: Osv,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct One {
    enabled: Option<bool>,
    url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Osv {
    enabled: Option<bool>,
    url: Option<String>,
    ecosystems: Option<Vec<String>>,
    malicious: Option<String>,
}

impl Feeds {
    /// Paths in the file are meant beside the file.
    pub(crate) fn paths(&mut self) -> impl Iterator<Item = &mut Utf8PathBuf> {
        self.ca_file.iter_mut()
    }

    /// Which feeds, and from where.
    #[expect(clippy::disallowed_methods, reason = "the face knows the environment")]
    pub(crate) fn feeds(
        &self,
        config: &Config,
        args: &cli::Update,
    ) -> Result<FeedSettings, Failure> {
        let file = config.file().unwrap_or(Utf8Path::new("snowguard.toml"));
        let mut settings = FeedSettings {
            accept_smaller: args.accept_smaller,
            github_token: std::env::var("SNOWGUARD_GITHUB_TOKEN")
                .ok()
                .filter(|token| !token.is_empty()),
            ..FeedSettings::default()
        };
        let set = |key: &str, text: &str| {
            address(text).map_err(|failure| failure.context(format!("{file}: feeds.{key}")))
        };
        settings.mirror = match (&args.mirror, &self.mirror) {
            (Some(asked), _) => {
                Some(address(asked).map_err(|failure| failure.context("--mirror"))?)
            }
            (None, Some(text)) => Some(set("mirror", text)?),
            (None, None) => None,
        };
        let ones = [
            (Feed::Kev, self.kev.enabled, &self.kev.url),
            (Feed::Epss, self.epss.enabled, &self.epss.url),
            (Feed::Cve, self.cve.enabled, &self.cve.url),
            (Feed::Nvd, self.nvd.enabled, &self.nvd.url),
            (Feed::Osv, self.osv.enabled, &self.osv.url),
        ];
        for (feed, enabled, url) in ones {
            if enabled == Some(false) {
                settings.off.push(feed);
            }
            // What is asked for goes before what is set.
            if let Some(url) = url.as_deref().filter(|_| args.mirror.is_none()) {
                let address = set(&format!("{feed}.url"), url)?;
                settings.places.push((feed, address));
            }
        }
        if let Some(ecosystems) = &self.osv.ecosystems {
            for name in ecosystems {
                if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) {
                    let what =
                        format!("{file}: feeds.osv.ecosystems: `{name}` is not an ecosystem");
                    return Err(
                        Failure::message(what).hint("names are OSV's: PyPI, crates.io, npm")
                    );
                }
            }
            settings.osv.ecosystems.clone_from(ecosystems);
        }
        settings.osv.malicious = match self.osv.malicious.as_deref() {
            None | Some("releases") => Malicious::Releases,
            Some("all") => Malicious::All,
            Some("none") => Malicious::None,
            Some(other) => {
                let what = format!("{file}: feeds.osv.malicious: `{other}` is not a choice");
                return Err(Failure::message(what).hint("it may be releases, all or none"));
            }
        };
        Ok(settings)
    }

    /// How the network is used.
    pub(crate) fn network(&self, args: &cli::Update) -> Settings {
        let mut settings = self.settings();
        settings.ca_files.extend(args.ca_file.clone());
        settings
    }

    /// The same, where nothing of it can be asked for.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings::from_environment();
        settings.ca_files.extend(self.ca_file.clone());
        if let Some(attempts) = self.attempts {
            settings.attempts = attempts.get().into();
        }
        settings
    }
}

pub(super) fn address(text: &str) -> Result<Address, Failure> {
    text.parse().map_err(|error| {
        // The text may hold a password.
        Failure::new(anyhow::Error::new(error).context("it is not the address of a mirror"))
            .hint("write https://host/path, or file:///path for a folder of this machine")
    })
}
