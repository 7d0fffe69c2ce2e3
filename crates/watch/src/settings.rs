//! `watch.toml`: what is scanned when, and how what changed is told.

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;

use crate::duration::Length;

/// Where settings are looked for.
pub const DEFAULT_PATH: &str = "/etc/snowguard/watch.toml";
/// Where the index of the system lies.
pub const DEFAULT_INDEX: &str = "/var/lib/snowguard/advisories.idx";
/// Where the copy of the history for readers lies.
pub const DEFAULT_HISTORY: &str = "/run/snowguard/history.sqlite";

/// Where the latest result of each target lies, for whoever sends it.
pub const DEFAULT_RESULTS: &str = "/run/snowguard/results";

/// The settings of the watcher; those of notifiers are theirs to read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// What is scanned, and when.
    pub watch: Watch,
    /// What Prometheus gets.
    pub metrics: Metrics,
    /// Read by `snowguardd notify`.
    pub notify: toml::Table,
}

/// What is scanned, and when.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Watch {
    /// The program that scans [default: `snowguard` beside `snowguardd`].
    pub scanner: Option<Utf8PathBuf>,
    /// The index.
    pub index: Utf8PathBuf,
    /// Settings and decisions of scans.
    pub config: Option<Utf8PathBuf>,
    /// Also looks inside files.
    pub deep: bool,
    /// The label of this machine in results.
    pub host: Option<String>,
    /// How long after a scan the next one is made, whatever happens.
    pub schedule: Length,
    /// Up to so much later, so that not all machines scan at once.
    pub jitter: Length,
    /// How long it has to be quiet after a change.
    pub settle: Length,
    /// After which a scan is ended, and counts as failed.
    pub time_limit: Length,
    /// After which a scan that failed is tried again; twice as long each time.
    pub retry: Length,
    /// The longest time between two tries.
    pub retry_at_most: Length,
    /// What is scanned.
    pub target: Vec<Target>,
}

/// One thing that is scanned.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Target {
    /// What it is called in messages.
    pub name: String,
    /// What is scanned: usually a link that is changed to point elsewhere.
    pub input: Utf8PathBuf,
}

/// What Prometheus gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Metrics {
    /// Where they are served: `unix:PATH`, `127.0.0.1:PORT` or `[::1]:PORT`.
    pub listen: Option<String>,
    /// A file for the textfile collector of the node exporter, whose name ends with `.prom`.
    pub textfile: Option<Utf8PathBuf>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            scanner: None,
            index: DEFAULT_INDEX.into(),
            config: None,
            deep: false,
            host: None,
            schedule: Length::seconds(86_400),
            jitter: Length::seconds(3_600),
            settle: Length::seconds(5),
            time_limit: Length::seconds(1_800),
            retry: Length::seconds(60),
            retry_at_most: Length::seconds(3_600),
            target: vec![Target {
                name: "system".into(),
                input: "/run/current-system".into(),
            }],
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It is not what it should be.
    #[error("{path}{place}: {message}")]
    Wrong {
        /// The file.
        path: Utf8PathBuf,
        /// Where in it, if that is known.
        place: String,
        /// What is wrong.
        message: String,
    },
}

impl Settings {
    /// Reads a file; without one, the one of the system if it is there, else nothing is set.
    #[expect(clippy::disallowed_methods, reason = "this room reads its settings")]
    pub fn load(path: Option<&Utf8Path>) -> Result<Self, SettingsError> {
        let (path, must) = match path {
            Some(path) => (path, true),
            None => (Utf8Path::new(DEFAULT_PATH), false),
        };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) if !must && error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            Err(source) => Err(SettingsError::Read {
                path: path.to_owned(),
                source,
            }),
        }
    }

    /// Reads the text of a file.
    pub fn parse(path: &Utf8Path, text: &str) -> Result<Self, SettingsError> {
        let settings: Self = toml::from_str(text).map_err(|error| SettingsError::Wrong {
            path: path.to_owned(),
            place: error.span().map_or(String::new(), |span| {
                format!(", line {}", line_of(text, span.start))
            }),
            message: error.message().to_owned(),
        })?;
        match settings.wrong() {
            Some(message) => Err(SettingsError::Wrong {
                path: path.to_owned(),
                place: String::new(),
                message,
            }),
            None => Ok(settings),
        }
    }

    fn wrong(&self) -> Option<String> {
        let watch = &self.watch;
        if watch.target.is_empty() {
            return Some("`watch.target` is empty: there is nothing to scan".into());
        }
        for (at, target) in watch.target.iter().enumerate() {
            let name = &target.name;
            if name.is_empty() || name.len() > 100 || name.chars().any(char::is_control) {
                return Some(format!("`{}` is no name of a target", name.escape_debug()));
            }
            if watch.target[..at].iter().any(|other| other.name == *name) {
                return Some(format!("two targets are called `{name}`"));
            }
            if !target.input.is_absolute() {
                return Some(format!("the input of `{name}` is not an absolute path"));
            }
        }
        if watch.schedule < Length::seconds(60) {
            return Some("`watch.schedule` is below 60s".into());
        }
        if watch.retry < Length::seconds(1) || watch.time_limit < Length::seconds(1) {
            return Some("`watch.retry` and `watch.time-limit` are at least 1s".into());
        }
        None
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.get(..offset).unwrap_or(text).matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, String> {
        Settings::parse(Utf8Path::new("watch.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn nothing_is_the_default() {
        assert_eq!(parse("").unwrap(), Settings::default());
        assert_eq!(
            Settings::default().watch.target[0].input,
            "/run/current-system"
        );
    }

    #[test]
    fn what_can_be_set() {
        let settings = parse(
            "[watch]\nschedule = \"6h\"\n[[watch.target]]\nname = \"system\"\ninput = \"/s\"\n\
             [metrics]\nlisten = \"127.0.0.1:9000\"\n[notify.mail]\nto = [\"a@b\"]",
        )
        .unwrap();
        assert_eq!(settings.watch.schedule, Length::seconds(21_600));
        assert!(settings.notify.contains_key("mail"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let wrong = |text| parse(text).unwrap_err();
        insta::assert_snapshot!(wrong("[watch]\nschedul = \"1h\""), @"watch.toml, line 2: unknown field `schedul`, expected one of `scanner`, `index`, `config`, `deep`, `host`, `schedule`, `jitter`, `settle`, `time-limit`, `retry`, `retry-at-most`, `target`");
        insta::assert_snapshot!(wrong("[watch]\nschedule = \"1\""), @"watch.toml, line 2: `1` is not a length of time; write a number and a unit: 90s, 5m, 24h, 7d");
        insta::assert_snapshot!(wrong("[watch]\ntarget = []"), @"watch.toml: `watch.target` is empty: there is nothing to scan");
        insta::assert_snapshot!(wrong("[[watch.target]]\nname = \"a\"\ninput = \"b\""), @"watch.toml: the input of `a` is not an absolute path");
    }
}
