//! Which records of OSV are taken: those of the first chosen ecosystem that they are about, and of those
//! about malicious packages as many as were asked for. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Deserialize;

use super::super::{FeedSettings, Malicious};
use super::GIT;

/// Which records are taken from an archive.
pub(super) struct Choice<'c> {
    pub(super) ecosystem: &'c str,
    /// Those that go before it.
    before: BTreeSet<&'c str>,
    malicious: Malicious,
    /// Another choice has another.
    pub(super) fingerprint: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Outline {
    id: String,
    modified: Option<Timestamp>,
    affected: Vec<OutlineAffected>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct OutlineAffected {
    package: Option<OutlinePackage>,
    ranges: Vec<OutlineRange>,
    versions: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct OutlinePackage {
    #[serde(default)]
    ecosystem: String,
}

#[derive(Deserialize)]
struct OutlineRange {
    #[serde(default)]
    events: Vec<OutlineEvent>,
}

#[derive(Deserialize)]
struct OutlineEvent {
    fixed: Option<serde::de::IgnoredAny>,
    last_affected: Option<serde::de::IgnoredAny>,
}

impl<'c> Choice<'c> {
    pub(super) fn new(settings: &'c FeedSettings, ecosystem: &'c str) -> Self {
        let chosen = settings.osv.ecosystems.iter().map(String::as_str);
        let before: BTreeSet<&str> = if ecosystem == GIT {
            chosen.filter(|name| *name != GIT).collect()
        } else {
            chosen
                .take_while(|name| *name != ecosystem)
                .filter(|name| *name != GIT)
                .collect()
        };
        let malicious = settings.osv.malicious;
        let mut fingerprint = format!("{malicious:?}");
        for name in &before {
            fingerprint = format!("{fingerprint},{name}");
        }
        Self {
            ecosystem,
            before,
            malicious,
            fingerprint,
        }
    }

    /// Whether a record may be wanted, by its id.
    pub(super) fn may_want(&self, id: &str) -> bool {
        self.malicious != Malicious::None || !id.starts_with("MAL-")
    }

    pub(super) fn wants(&self, document: &[u8]) -> bool {
        self.look(document).0
    }

    /// Whether a record is wanted, and when it was modified. What cannot be read is wanted: the
    /// reader tells of it.
    pub(super) fn look(&self, document: &[u8]) -> (bool, Option<Timestamp>) {
        let Ok(outline) = serde_json::from_slice::<Outline>(document) else {
            return (true, None);
        };
        let others = outline.affected.iter().any(|affected| {
            let name = affected
                .package
                .as_ref()
                .map(|package| package.ecosystem.as_str());
            let name = name.and_then(|name| name.split(':').next());
            name.is_some_and(|name| self.before.contains(name))
        });
        let malicious = match self.malicious {
            _ if !outline.id.starts_with("MAL-") => true,
            Malicious::All => true,
            Malicious::None => false,
            Malicious::Releases => outline.affected.iter().any(OutlineAffected::names_releases),
        };
        (malicious && !others, outline.modified)
    }
}

impl OutlineAffected {
    /// Whether it is about some releases and not about all that there ever were.
    fn names_releases(&self) -> bool {
        let open = self.ranges.iter().any(|range| {
            let ends =
                |event: &OutlineEvent| event.fixed.is_some() || event.last_affected.is_some();
            !range.events.is_empty() && !range.events.iter().any(ends)
        });
        !open && (!self.versions.is_empty() || !self.ranges.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::super::ECOSYSTEMS;
    use super::*;

    fn settings(malicious: Malicious) -> FeedSettings {
        let mut settings = FeedSettings::default();
        settings.osv.malicious = malicious;
        settings
    }

    fn about(id: &str, ecosystems: &[&str], more: &str) -> Vec<u8> {
        let affected: Vec<String> = ecosystems
            .iter()
            .map(|name| format!(r#"{{"package":{{"ecosystem":"{name}","name":"x"}}{more}}}"#))
            .collect();
        let affected = affected.join(",");
        format!(r#"{{"id":"{id}","modified":"2026-11-20T12:00:00Z","affected":[{affected}]}}"#)
            .into_bytes()
    }

    #[test]
    fn a_record_belongs_to_the_first_chosen_ecosystem() {
        let settings = settings(Malicious::default());
        let takers = |ecosystems: &[&str]| -> Vec<&str> {
            let record = about("GHSA-1", ecosystems, "");
            let choices = ECOSYSTEMS
                .iter()
                .filter(|name| ecosystems.contains(name) || **name == GIT);
            choices
                .copied()
                .filter(|name| Choice::new(&settings, name).wants(&record))
                .collect()
        };
        assert_eq!(takers(&["npm", "PyPI"]), ["PyPI"]);
        assert_eq!(takers(&["npm", "Debian:12"]), ["npm"]);
        assert_eq!(takers(&["Debian:12"]), ["GIT"]);
        assert_eq!(takers(&[]), ["GIT"]);
        assert_eq!(takers(&["OSS-Fuzz"]), ["OSS-Fuzz"]);
    }

    #[test]
    fn malicious_packages_by_choice() {
        let all = r#","ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]"#;
        let some = r#","versions":["5.6.1"]"#;
        for (malicious, takes_all, takes_some) in [
            (Malicious::Releases, false, true),
            (Malicious::All, true, true),
            (Malicious::None, false, false),
        ] {
            let settings = settings(malicious);
            let choice = Choice::new(&settings, "npm");
            assert_eq!(choice.wants(&about("MAL-1", &["npm"], all)), takes_all);
            assert_eq!(choice.wants(&about("MAL-1", &["npm"], some)), takes_some);
            assert!(choice.wants(&about("GHSA-1", &["npm"], all)));
        }
    }

    #[test]
    fn another_choice_is_another_fingerprint() {
        let mut settings = settings(Malicious::default());
        let before = Choice::new(&settings, "npm").fingerprint;
        settings.osv.ecosystems.retain(|name| name != "PyPI");
        assert_ne!(Choice::new(&settings, "npm").fingerprint, before);
    }
}
