//! `tracker.toml`: the settings of the tracker's server and its worker. What is given on the command line goes
//! before what stands there.

use std::net::SocketAddr;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use snowguard_send::mail::MailAddress;
use snowguard_watch::duration::Length;
use url::Url;

use crate::failure::Failure;

/// Where settings are looked for.
const DEFAULT_PATH: &str = "/etc/snowguard/tracker.toml";

/// All settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    pub(crate) database: Option<String>,
    pub(crate) database_file: Option<String>,
    pub(crate) site: Option<String>,
    #[serde(default, deserialize_with = "address")]
    pub(crate) url: Option<Url>,
    pub(crate) metrics: Option<String>,
    pub(crate) server: Server,
    pub(crate) worker: Worker,
    pub(crate) evaluator: Option<Evaluator>,
    pub(crate) advisories: Advisories,
    pub(crate) publish: Publish,
    pub(crate) tell: Tell,
    pub(crate) keep: Keep,
}

/// The pages and the API.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Server {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) behind_proxy: bool,
    pub(crate) security: Vec<String>,
    pub(crate) admins: Vec<String>,
    pub(crate) repository: Option<std::path::PathBuf>,
    pub(crate) github: Option<GitHub>,
}

/// The application of GitHub with which people log in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct GitHub {
    pub(crate) client_id: String,
    pub(crate) secret_file: String,
    #[serde(default, deserialize_with = "address")]
    pub(crate) web: Option<Url>,
    #[serde(default, deserialize_with = "address")]
    pub(crate) api: Option<Url>,
}

/// What does what is due.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Worker {
    pub(crate) enabled: bool,
    pub(crate) look: Length,
    pub(crate) spool: Option<Utf8PathBuf>,
    pub(crate) ca_files: Vec<Utf8PathBuf>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            enabled: true,
            look: Length::seconds(15 * 60),
            spool: None,
            ca_files: Vec::new(),
        }
    }
}

/// What evaluates checkouts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Evaluator {
    pub(crate) program: Option<Utf8PathBuf>,
    pub(crate) system: Option<String>,
    pub(crate) workers: Option<u16>,
    pub(crate) time_limit: Option<Length>,
    pub(crate) memory_gib: Option<u16>,
}

/// Advisories, and matching with them.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Advisories {
    pub(crate) file: Option<Utf8PathBuf>,
    pub(crate) fetch: bool,
    pub(crate) every: Length,
    pub(crate) mirror: Option<String>,
    pub(crate) off: Vec<String>,
    pub(crate) ecosystems: Option<Vec<String>>,
    pub(crate) github_token_file: Option<String>,
}

impl Default for Advisories {
    fn default() -> Self {
        Self {
            file: None,
            fetch: false,
            every: Length::seconds(3600),
            mirror: None,
            off: Vec::new(),
            ecosystems: None,
            github_token_file: None,
        }
    }
}

/// How what is confirmed is published.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Publish {
    pub(crate) prefix: Option<String>,
    pub(crate) ecosystem: Option<String>,
    pub(crate) author: Option<String>,
    pub(crate) every: Length,
    pub(crate) forge: Option<Forge>,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            prefix: None,
            ecosystem: None,
            author: None,
            every: Length::seconds(5 * 60),
            forge: None,
        }
    }
}

/// The repository whose issues follow what is published.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Forge {
    pub(crate) api: Option<String>,
    pub(crate) repository: String,
    pub(crate) token_file: String,
    pub(crate) label: Option<String>,
}

/// Telling subscribers.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Tell {
    pub(crate) every: Length,
    pub(crate) from: Option<MailAddress>,
    pub(crate) sendmail: Option<Utf8PathBuf>,
}

impl Default for Tell {
    fn default() -> Self {
        Self {
            every: Length::seconds(60),
            from: None,
            sendmail: None,
        }
    }
}

/// How the database is kept.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Keep {
    pub(crate) evaluations: Option<Length>,
    pub(crate) backup: Option<Backup>,
}

/// Backups.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Backup {
    pub(crate) directory: Utf8PathBuf,
    #[serde(default = "daily")]
    pub(crate) every: Length,
    #[serde(default = "two_weeks")]
    pub(crate) count: usize,
}

const fn daily() -> Length {
    Length::seconds(86_400)
}

const fn two_weeks() -> usize {
    14
}

/// An address, which says itself what is wrong with it.
fn address<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse()
        .map(Some)
        .map_err(|error| D::Error::custom(format!("`{text}` is no address: {error}")))
}

impl Settings {
    /// Reads a file; without one, the one of the system if it is there, else nothing is set.
    #[expect(clippy::disallowed_methods, reason = "the face reads its settings")]
    pub(crate) fn load(path: Option<&Utf8Path>) -> Result<Self, Failure> {
        let (path, must) = match path {
            Some(path) => (path, true),
            None => (Utf8Path::new(DEFAULT_PATH), false),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(Failure::new(source)
                .context(format!("cannot read {path}"))
                .hint("`--config` takes a file that can be read")),
        }
    }

    fn parse(path: &Utf8Path, text: &str) -> Result<Self, Failure> {
        let hint = "the book's page on tracker.toml lists what it may hold";
        let settings: Self = toml::from_str(text).map_err(|error| {
            let place = error.span().map_or(String::new(), |span| {
                let before = text.get(..span.start).unwrap_or(text);
                format!(", line {}", 1 + before.matches('\n').count())
            });
            Failure::message(format!("{path}{place}: {}", error.message())).hint(hint)
        })?;
        match settings.wrong() {
            Some(wrong) => Err(Failure::message(format!("{path}: {wrong}")).hint(hint)),
            None => Ok(settings),
        }
    }

    fn wrong(&self) -> Option<&'static str> {
        let backup = self.keep.backup.as_ref();
        let often = [
            self.worker.look,
            self.advisories.every,
            self.publish.every,
            self.tell.every,
        ];
        if self.database.is_some() && self.database_file.is_some() {
            return Some("`database` and `database-file` are both set");
        }
        if often.iter().any(|every| *every < Length::seconds(10))
            || backup.is_some_and(|backup| backup.every < Length::seconds(60))
        {
            return Some("nothing is done more often than every 10s, and no backup than every 1m");
        }
        if backup.is_some_and(|backup| backup.count == 0) {
            return Some("`keep.backup.count` is at least 1");
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Failure> {
        Settings::parse(Utf8Path::new("tracker.toml"), text)
    }

    #[test]
    fn what_the_book_shows_can_be_read() {
        let page = include_str!("../../../docs/src/reference/tracker-toml.md");
        let mut blocks = 0;
        for block in page.split("```toml\n").skip(1) {
            let text = block.split("```").next().unwrap();
            parse(text).unwrap();
            blocks += 1;
        }
        assert!(blocks > 0);
    }

    #[test]
    fn every_key_is_in_the_book() {
        let page = include_str!("../../../docs/src/reference/tracker-toml.md");
        let ours = include_str!("settings.rs").split("#[cfg(test)]").next();
        let keys = ours.unwrap().lines().filter_map(|line| {
            let field = line.strip_prefix("    pub(crate) ")?.strip_suffix(',')?;
            field
                .split_once(": ")
                .map(|(name, _)| name.replace('_', "-"))
        });
        for key in keys {
            assert!(
                page.contains(&format!("`{key}`")) || page.contains(&format!("{key}]")),
                "{key}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |text| format!("{:?}", parse(text).unwrap_err());
        for (text, told) in [
            ("[worker]\nlok = \"1h\"", "line 2: unknown field `lok`"),
            ("[worker]\nlook = \"1\"", "is not a length of time"),
            ("[worker]\nlook = \"1s\"", "more often than every 10s"),
            ("[tell]\nfrom = \"a b\"", "is no mail address"),
            ("database = \"a\"\ndatabase-file = \"b\"", "are both set"),
            (
                "[publish.forge]\nrepository = \"a/b\"",
                "missing field `token-file`",
            ),
            ("[keep.backup]\ndirectory = \"/b\"\ncount = 0", "at least 1"),
        ] {
            let said = wrong(text);
            assert!(said.contains(told), "{told} in {said}");
        }
    }
}
