//! The settings of notifiers: `[notify.KIND]` in `watch.toml`, a policy and what the kind needs.

use camino::Utf8Path;
use serde::de::DeserializeOwned;
use snowguard_watch::policy::Policy;
use snowguard_watch::{Settings, SettingsError};

/// The keys that say what is told; the others are those of the kind.
const POLICY: [&str; 7] = [
    "min-severity",
    "exploited-always",
    "unrated",
    "review",
    "resolved",
    "failures",
    "at-most-every",
];

/// A kind of notifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The journal of systemd.
    Journal,
    /// A notification in a person's session.
    Desktop,
    /// Mail.
    Mail,
    /// A request to a server.
    Webhook,
    /// A file of JSON lines.
    File,
}

impl Kind {
    /// Its name in the settings.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Desktop => "desktop",
            Self::Mail => "mail",
            Self::Webhook => "webhook",
            Self::File => "file",
        }
    }

    /// What it tells where nothing is set: machines get everything, people what counts.
    fn policy(self) -> Policy {
        match self {
            Self::Journal | Self::Webhook | Self::File => Policy::everything(),
            Self::Desktop | Self::Mail => Policy::default(),
        }
    }
}

/// The settings of one notifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved<T> {
    /// What is told.
    pub policy: Policy,
    /// What the kind needs.
    pub own: T,
}

impl<T: DeserializeOwned> Resolved<T> {
    /// Out of the settings in the file at `path`.
    pub fn new(settings: &Settings, path: &Utf8Path, kind: Kind) -> Result<Self, SettingsError> {
        let wrong = |message: String| SettingsError::Wrong {
            path: path.to_owned(),
            place: format!(", notify.{}", kind.as_str()),
            message,
        };
        let table = match settings.notify.get(kind.as_str()) {
            Some(toml::Value::Table(table)) => table.clone(),
            Some(_) => return Err(wrong("it is not a table".into())),
            None => toml::Table::new(),
        };
        let mut policy =
            toml::Table::try_from(kind.policy()).map_err(|error| wrong(error.to_string()))?;
        let mut own = toml::Table::new();
        for (key, value) in table {
            let to = if POLICY.contains(&key.as_str()) {
                &mut policy
            } else {
                &mut own
            };
            to.insert(key, value);
        }
        let read = |error: toml::de::Error| wrong(error.message().to_owned());
        Ok(Self {
            policy: policy.try_into().map_err(read)?,
            own: own.try_into().map_err(read)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use snowguard_watch::Severity;

    use super::*;

    fn resolve<T: DeserializeOwned>(text: &str, kind: Kind) -> Result<Resolved<T>, String> {
        let path = Utf8Path::new("watch.toml");
        let settings = Settings::parse(path, text).unwrap();
        Resolved::new(&settings, path, kind).map_err(|error| error.to_string())
    }

    #[test]
    fn a_policy_and_what_the_kind_needs() {
        let text = "[notify.file]\npath = \"/f\"\nmin-severity = \"high\"\nat-most-every = \"1d\"";
        let file: Resolved<crate::file::Settings> = resolve(text, Kind::File).unwrap();
        assert_eq!(file.policy.min_severity, Severity::High);
        assert!(file.policy.review && file.policy.at_most_every.is_some());
        assert_eq!(file.own.path, "/f");
        let journal: Resolved<crate::journal::Settings> = resolve("", Kind::Journal).unwrap();
        assert_eq!(journal.own.socket, crate::journal::SOCKET);
    }

    #[test]
    fn what_is_wrong() {
        let wrong = |text| resolve::<crate::file::Settings>(text, Kind::File).unwrap_err();
        insta::assert_snapshot!(wrong(""), @"watch.toml, notify.file: missing field `path`");
        insta::assert_snapshot!(wrong("[notify.file]\npath = \"/f\"\nto = 1"), @"watch.toml, notify.file: unknown field `to`, expected `path`");
        insta::assert_snapshot!(wrong("[notify.file]\npath = \"/f\"\nmin-severity = \"bad\""), @"watch.toml, notify.file: unknown variant `bad`, expected one of `unrated`, `low`, `medium`, `high`, `critical`");
        insta::assert_snapshot!(wrong("notify.file = 1"), @"watch.toml, notify.file: it is not a table");
    }
}
