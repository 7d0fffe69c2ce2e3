//! OSV: an archive per ecosystem, and a list of when each record was last modified.
//!
//! The list says what is new: a few records are fetched one by one, more come with the archive, which
//! also comes where the list or a listed record is missing, where a record is gone, and once a month.
//!
//! A record about several ecosystems lies in the archive of each. It is taken from the first of the
//! chosen ones that it is about, so that it is in the index once. What is in `GIT` is about
//! repositories, and belongs to `GIT` only if it is about no chosen ecosystem.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::read::Format;
use snowguard_http::{Address, Expected, HttpError, Page};

use super::work::{Edition, Known, is_future, not_future, not_older, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Malicious, Work};
use crate::open::Limits;

/// The ecosystems whose packages Nixpkgs builds or packages carry with them, by OSV's names.
///
/// Not here: those of Linux distributions (Debian, Alpine and the like, whose versions say nothing
/// about Nixpkgs), Android, Linux (the kernel's own records are in the CVE list), GitHub Actions, and
/// registries of containers.
pub const ECOSYSTEMS: &[&str] = &[
    "crates.io",
    "PyPI",
    "npm",
    "Go",
    "Maven",
    "RubyGems",
    "NuGet",
    "Packagist",
    "Hex",
    "Pub",
    "Hackage",
    "GHC",
    "CRAN",
    "Bioconductor",
    "opam",
    "Julia",
    "SwiftURL",
    "OSS-Fuzz",
    "Bitnami",
    GIT,
];

const GIT: &str = "GIT";
/// The largest archive, that of npm, has some 200 MB.
const MOST_PACKED: u64 = 4 << 30;
/// The largest list, that of npm, has some 10 MB.
const MOST_LIST: u64 = 256 << 20;
const MOST_RECORD: u64 = 64 << 20;
/// How many records are fetched one by one.
const MOST_SINGLE: usize = 200;
/// How many at a time.
const AT_ONCE: usize = 8;
/// After how long the archive comes again, whatever the list says.
const RENEWED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How much older than what came one by one an archive may be: it is made some time after the list.
const LAG: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Serialize, Deserialize)]
struct Cursor {
    /// The newest day and time in the list.
    newest: Timestamp,
    /// How many records the list has.
    listed: usize,
    /// When the archive last came.
    whole: Timestamp,
    /// What was chosen then: another choice needs the archive.
    chosen: String,
    list: Known,
    archive: Known,
}

/// The list: when a record was last modified, and its id.
struct List {
    entries: Vec<(Timestamp, String)>,
    newest: Timestamp,
    known: Known,
}

pub(super) fn update(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    ecosystem: &str,
) -> Result<Done, FeedError> {
    let folder = place(settings, Feed::Osv)?.folder;
    let key = format!("osv/{ecosystem}");
    let choice = Choice::new(settings, ecosystem);
    let cursor: Option<Cursor> = work.cursor(&key)?;
    let cursor = cursor.filter(|cursor| cursor.chosen == choice.fingerprint);
    let edition = cursor
        .as_ref()
        .map_or_else(String::new, |c| shown(c.newest));

    let list = match list(work, &folder, ecosystem, cursor.as_ref()) {
        Ok(None) => return Ok(Done::unchanged(edition)),
        Ok(Some(list)) => Some(list),
        // A mirror may have the archives alone.
        Err(error) if is_missing(&error) => None,
        Err(error) => return Err(error),
    };
    if let (Some(cursor), Some(list)) = (&cursor, &list) {
        let address = folder.below(&[ecosystem, LIST]);
        if list.newest < cursor.newest {
            not_older(&address, &shown(list.newest), Some(&edition))?;
        }
        let recent = work.now.duration_since(cursor.whole) < RENEWED;
        let new: Vec<&str> = list
            .entries
            .iter()
            .filter(|(modified, _)| *modified > cursor.newest)
            .map(|(_, id)| id.as_str())
            .filter(|id| choice.malicious != Malicious::None || !id.starts_with("MAL-"))
            .collect();
        if recent && new.len() <= MOST_SINGLE && list.entries.len() >= cursor.listed {
            let done = singly(work, settings, &folder, &key, &choice, cursor, list, &new)?;
            if let Some(done) = done {
                return Ok(done);
            }
        }
    }
    archive(
        work,
        settings,
        &folder,
        &key,
        &choice,
        cursor.as_ref(),
        list,
    )
}

const LIST: &str = "modified_id.csv";

/// The list, if there is a new one.
fn list(
    work: &Work<'_>,
    folder: &Address,
    ecosystem: &str,
    cursor: Option<&Cursor>,
) -> Result<Option<List>, FeedError> {
    let address = folder.below(&[ecosystem, LIST]);
    let known = cursor.map(|cursor| &cursor.list);
    let Some(page) = work.page(&address, MOST_LIST, known, &[])? else {
        return Ok(None);
    };
    let wrong = |why: &str| not_that(&address, "OSV's list of what was modified", why);
    let text = std::str::from_utf8(&page.body).map_err(|_| wrong("it is no text"))?;
    let mut entries = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let entry = line
            .split_once(',')
            .and_then(|(time, id)| Some((time.trim().parse().ok()?, id.trim().to_owned())));
        entries.push(entry.ok_or_else(|| wrong("a line of it is not a time and an id"))?);
    }
    let times = || entries.iter().map(|(time, _)| *time);
    // One record of a day to come does not make the list one of that day.
    let newest = times().filter(|time| !is_future(*time, work.now)).max();
    if let (None, Some(first)) = (newest, times().min()) {
        not_future(&address, first, work.now)?;
    }
    Ok(Some(List {
        newest: newest.ok_or_else(|| wrong("it is empty"))?,
        entries,
        known: page.conditions.into(),
    }))
}

/// Whether there is no such file.
fn is_missing(error: &FeedError) -> bool {
    match error {
        FeedError::Http(HttpError::Status { status, .. }) => status.as_u16() == 404,
        FeedError::Http(HttpError::File { source, .. }) => {
            source.kind() == std::io::ErrorKind::NotFound
        }
        _ => false,
    }
}

/// Fetches what is new, record by record. None if one is not there: it is listed, so it is not gone,
/// and a mirror may have the archive alone.
#[expect(
    clippy::too_many_arguments,
    reason = "one step of one function, apart to be read"
)]
fn singly(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    folder: &Address,
    key: &str,
    choice: &Choice<'_>,
    cursor: &Cursor,
    list: &List,
    new: &[&str],
) -> Result<Option<Done>, FeedError> {
    let address = folder.below(&[choice.ecosystem, LIST]);
    let mut documents = Vec::new();
    for some in new.chunks(AT_ONCE) {
        let fetched: Vec<Result<Option<Page>, FeedError>> = some
            .par_iter()
            .map(|id| {
                let address = folder.below(&[choice.ecosystem, &format!("{id}.json")]);
                work_page(work.client, &address)
            })
            .collect();
        for (id, page) in some.iter().zip(fetched) {
            match page {
                Ok(page) => {
                    documents.push((format!("{id}.json"), page.unwrap_or_default().body));
                }
                Err(error) if is_missing(&error) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        if work.interrupted.load(Ordering::Relaxed) {
            return Err(FeedError::Interrupted);
        }
    }
    let next = Cursor {
        newest: list.newest,
        listed: list.entries.len(),
        list: list.known.clone(),
        ..cursor.clone()
    };
    if new.is_empty() {
        work.set_cursor(key, &to_json(&next))?;
        return Ok(Some(Done::unchanged(shown(next.newest))));
    }
    let edition = Edition {
        source: key,
        format: Format::Osv,
        whole: false,
        accept_smaller: settings.accept_smaller,
        name: shown(next.newest),
        cursor: (key, to_json(&next)),
        address: &address,
        file: None,
    };
    let done = work.apply(edition, |reader| {
        // A record that is about something else now is another part's.
        let gone = documents
            .iter()
            .filter(|(_, document)| !choice.wants(document))
            .filter_map(|(name, _)| name.strip_suffix(".json"));
        for id in gone {
            if let Ok(id) = id.parse::<AdvisoryId>() {
                reader.change().remove(key, &id)?;
            }
        }
        reader.documents(&documents, &|document| choice.wants(document))
    })?;
    Ok(Some(done))
}

/// An edition as people read it: to the second.
fn shown(newest: Timestamp) -> String {
    newest.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn work_page(
    client: &snowguard_http::Client,
    address: &Address,
) -> Result<Option<Page>, FeedError> {
    Ok(client.get(&snowguard_http::Get {
        address,
        limit: MOST_RECORD,
        conditions: None,
        headers: &[],
    })?)
}

/// Fetches the whole archive.
fn archive(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    folder: &Address,
    key: &str,
    choice: &Choice<'_>,
    cursor: Option<&Cursor>,
    list: Option<List>,
) -> Result<Done, FeedError> {
    let address = folder.below(&[choice.ecosystem, "all.zip"]);
    let expected = Expected {
        length: None,
        sha256: None,
        limit: MOST_PACKED,
    };
    let name = format!("osv-{}-all.zip", choice.ecosystem);
    let known = cursor.map(|cursor| &cursor.archive);
    let Some(fetched) = work.fetch(&address, &name, known, expected)? else {
        if let (Some(cursor), Some(list)) = (cursor, list) {
            // The list changed and the archive did not: it is made a little later.
            let next = Cursor {
                list: Known::default(),
                listed: list.entries.len(),
                ..cursor.clone()
            };
            work.set_cursor(key, &to_json(&next))?;
        }
        let edition = cursor.map_or_else(String::new, |c| shown(c.newest));
        return Ok(Done::unchanged(edition));
    };
    // The archive may be older than the list by some minutes: from its own newest record on, the
    // list decides the next time.
    let newest = std::sync::Mutex::new(Timestamp::MIN);
    let downloads = work.downloads.to_owned();
    let limits = Limits {
        depth: 1,
        member: MOST_RECORD,
        total: 32 << 30,
        members: 5_000_000,
        scratch: Some(&downloads),
    };
    let now = work.now;
    let conditions = fetched.whole.conditions.clone();
    let next = |newest: Timestamp| Cursor {
        newest,
        listed: list.as_ref().map_or(0, |list| list.entries.len()),
        whole: now,
        chosen: choice.fingerprint.clone(),
        // With no condition the list is read again, and what the archive lacks is fetched.
        list: Known::default(),
        archive: conditions.clone().into(),
    };
    let edition = Edition {
        source: key,
        format: Format::Osv,
        whole: true,
        accept_smaller: settings.accept_smaller || cursor.is_none(),
        name: String::new(),
        cursor: (key, to_json(&next(Timestamp::MIN))),
        address: &address,
        file: Some(&fetched.path),
    };
    let mut done = work.apply(edition, |reader| {
        let named = |name: &str| {
            name.ends_with(".json")
                && (choice.malicious != Malicious::None || !name.starts_with("MAL-"))
        };
        reader.archive(&fetched.path, limits, &named, &|document| {
            let (wanted, modified) = choice.look(document);
            let modified = modified.filter(|modified| !is_future(*modified, now));
            if let (Some(modified), Ok(mut newest)) = (modified, newest.lock()) {
                *newest = (*newest).max(modified);
            }
            wanted
        })?;
        let mut newest = newest
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(cursor) = cursor.filter(|cursor| cursor.newest > *newest) {
            let lags = list.is_none() || cursor.newest.duration_since(*newest) > LAG;
            if lags {
                not_older(&address, &shown(*newest), Some(&shown(cursor.newest)))?;
            }
            // All that the list says up to the cursor was taken before, one by one: it stays.
            let later = list.iter().flat_map(|list| &list.entries);
            for (_, id) in later.filter(|(modified, _)| *modified > *newest) {
                if let Ok(id) = id.parse::<AdvisoryId>() {
                    reader.change().keep(key, &id)?;
                }
            }
            *newest = cursor.newest;
        }
        reader.change().set_cursor(key, &to_json(&next(*newest)))?;
        Ok(())
    })?;
    let newest = *newest
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.edition = shown(newest);
    Ok(done)
}

/// Which records are taken from an archive.
struct Choice<'c> {
    ecosystem: &'c str,
    /// Those that go before it.
    before: BTreeSet<&'c str>,
    malicious: Malicious,
    fingerprint: String,
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
    fn new(settings: &'c FeedSettings, ecosystem: &'c str) -> Self {
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

    fn wants(&self, document: &[u8]) -> bool {
        self.look(document).0
    }

    /// Whether a record is wanted, and when it was modified. What cannot be read is wanted: the
    /// reader tells of it.
    fn look(&self, document: &[u8]) -> (bool, Option<Timestamp>) {
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
