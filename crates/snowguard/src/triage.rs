//! What a tracker decided, as far as it is taken into account: `[triage]` in `snowguard.toml`, `--triage` and
//! `--channel`, and the channel that a system says it follows.

use std::io::Read as _;

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::Deserialize;
use snowguard_feeds::triage;
use snowguard_matching::triage::Document;
use snowguard_report::escape::line;
use snowguard_report::triage::{EXPIRES_AFTER_DAYS, Triage};

use crate::cli::{Deciding, UseTriage};
use crate::config::Config;
use crate::index::Chosen;
use crate::output::Terminal;

/// The table `triage`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Settings {
    /// As `--triage`.
    r#use: Option<UseTriage>,
    /// As `--channel`.
    channel: Option<String>,
}

/// What a tracker decided, and how it is taken into account.
pub(crate) struct Decisions {
    document: Document,
    channel: Option<String>,
    suppresses: bool,
}

impl Decisions {
    /// Those beside the index, if there are any and they are wanted. Without them a scan shows more, not
    /// less: what is wrong with them is told, and nothing fails.
    pub(crate) fn load(
        config: &Config,
        chosen: &Chosen,
        deciding: &Deciding,
        inputs: &[Utf8PathBuf],
        now: Timestamp,
        (quiet, terminal): (bool, &Terminal),
    ) -> Option<Self> {
        let wanted = deciding.triage.or(config.triage.r#use).unwrap_or_default();
        if wanted == UseTriage::Ignore {
            return None;
        }
        let document = match triage::load(chosen.path()?) {
            Ok(document) => document?,
            Err(error) => {
                terminal.warning(&chain(&error));
                terminal.hint(error.hint());
                return None;
            }
        };
        let age = Triage::age_days(&document, now);
        let is_fresh = age.is_some_and(|days| days <= EXPIRES_AFTER_DAYS);
        if wanted == UseTriage::Apply && !is_fresh && !quiet {
            let name = line(&document.tracker().name);
            terminal.warning(&match age {
                Some(days) => format!(
                    "the decisions of {name} are {days} days old: they are shown, and suppress nothing"
                ),
                None => format!(
                    "the decisions of {name} are dated in the future: they are shown, and suppress nothing"
                ),
            });
            terminal.hint("`snowguard advisories update --from` fetches newer ones");
        }
        let asked = deciding.channel.as_ref().or(config.triage.channel.as_ref());
        let channel = match asked {
            Some(asked) => {
                let is_known = document
                    .channels()
                    .iter()
                    .any(|known| *known.name == **asked);
                if !is_known && !quiet {
                    let known: Vec<&str> = document.channels().iter().map(|c| &*c.name).collect();
                    terminal.warning(&format!(
                        "{} has no channel {}; it has {}",
                        line(&document.tracker().name),
                        line(asked),
                        line(&known.join(", "))
                    ));
                }
                is_known.then(|| asked.clone())
            }
            None => os_release(inputs).and_then(|text| channel_of(&text, &document)),
        };
        Some(Self {
            document,
            channel,
            suppresses: wanted == UseTriage::Apply && is_fresh,
        })
    }

    /// As reports take it.
    pub(crate) fn triage(&self) -> Triage<'_> {
        Triage {
            document: &self.document,
            channel: self.channel.as_deref(),
            suppresses: self.suppresses,
        }
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What the system that is scanned says of itself. That of this machine says nothing of others.
#[expect(clippy::disallowed_methods, reason = "the face knows the machine")]
fn os_release(inputs: &[Utf8PathBuf]) -> Option<String> {
    let here = [Utf8PathBuf::from("/run/current-system")];
    let systems = if inputs.is_empty() { &here } else { inputs };
    systems.iter().find_map(|system: &Utf8PathBuf| {
        let path = Utf8Path::new(system).join("etc/os-release");
        let mut text = String::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(1 << 16).read_to_string(&mut text).ok()?;
        Some(text)
    })
}

/// The channel that a NixOS follows, if the tracker knows one of that name: its release's, or the unstable
/// one where it is of no release yet.
fn channel_of(os_release: &str, document: &Document) -> Option<String> {
    let value = |key: &str| {
        let mut lines = os_release.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
        Some(value.trim().trim_matches(['"', '\'']).to_owned())
    };
    if value("ID")? != "nixos" {
        return None;
    }
    let release = value("VERSION_ID")?;
    let is_known = |name: &str| document.channels().iter().any(|known| *known.name == *name);
    // Before a release is made its number is that of the unstable channel.
    let is_before = value("BUILD_ID").is_some_and(|build| build.contains("pre"));
    let newest = document
        .channels()
        .iter()
        .filter_map(|known| known.name.strip_prefix("nixos-"))
        .filter(|name| name.starts_with(|c: char| c.is_ascii_digit()))
        .max();
    let name = format!("nixos-{release}");
    let name = if is_before || newest.is_some_and(|newest| *release > *newest) {
        "nixos-unstable".to_owned()
    } else {
        name
    };
    is_known(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(channels: &[&str]) -> Document {
        use snowguard_matching::triage::{Channel, Tracker};
        let time = Timestamp::UNIX_EPOCH;
        let channel = |name: &&str| Channel {
            name: (*name).into(),
            revision: "r".into(),
            evaluated: time,
        };
        let tracker = Tracker {
            name: "T".into(),
            url: "https://t.example".into(),
        };
        let channels = channels.iter().map(channel).collect();
        Document::new(tracker, time, channels, Vec::new())
    }

    #[test]
    fn a_system_says_which_channel_it_follows() {
        let all = document(&["nixos-unstable", "nixos-25.11", "nixos-25.05"]);
        let of = |id: &str, release: &str, build: &str| {
            let text =
                format!("BUILD_ID=\"{build}\"\nID={id}\nNAME=NixOS\nVERSION_ID=\"{release}\"\n");
            channel_of(&text, &all)
        };
        assert_eq!(
            of("nixos", "25.11", "25.11.20251116.50a96ed").as_deref(),
            Some("nixos-25.11")
        );
        assert_eq!(
            of("nixos", "26.05", "26.05pre906023.abc").as_deref(),
            Some("nixos-unstable")
        );
        assert_eq!(
            of("nixos", "26.05", "26.05.20251120.c5ae371").as_deref(),
            Some("nixos-unstable")
        );
        // A channel that the tracker does not follow, and another system.
        assert_eq!(of("nixos", "24.11", "24.11.717703.abc"), None);
        assert_eq!(of("debian", "13", ""), None);
        assert_eq!(channel_of("ID=nixos", &all), None);
        let few = document(&["nixos-25.11"]);
        assert_eq!(channel_of("ID=nixos\nVERSION_ID=26.05", &few), None);
    }
}
