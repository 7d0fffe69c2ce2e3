//! OSV: an archive per ecosystem, and a list of when each record was last modified.
//!
//! What the list said the last time is kept beside the records, id by id. So a list says what is new,
//! whenever that was modified, and what is gone. A few records are fetched one by one, more come with
//! the archive, which also comes where the list or a listed record is missing, and once a month.
//!
//! A record about several ecosystems lies in the archive of each. It is taken from the first of the
//! chosen ones that it is about, so that it is in the index once. What is in `GIT` is about
//! repositories, and belongs to `GIT` only if it is about no chosen ecosystem.

mod choice;
mod list;

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::Format;
use snowguard_http::{Address, Expected, Get, HttpError, Page};

use self::choice::Choice;
use self::list::{Difference, List, Stamps, Wrong, is_older};
use super::reader::Named;
use super::work::{Edition, FEW, Fetched, Known, is_future, not_future, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Work};
use crate::open::Limits;
use crate::records::{RecordStore, RecordsError};

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
const LIST: &str = "modified_id.csv";
const ARCHIVE: &str = "all.zip";
/// The largest archive, that of npm, has some 200 MB.
const MOST_PACKED: u64 = 1 << 30;
/// The largest list, that of npm, has some 10 MB.
const MOST_LIST: u64 = 256 << 20;
const MOST_RECORD: u64 = 64 << 20;
/// How many records are fetched one by one.
const MOST_SINGLE: usize = 200;
/// How large one of these may be. The largest have a few megabytes; beyond it the archive comes.
const MOST_ONE: u64 = 16 << 20;
/// How large all of these may be together, as they are in memory.
const MOST_ALL: usize = 256 << 20;
/// How many at a time.
const AT_ONCE: usize = 8;
/// After how long the archive comes again, when the list has changed.
const RENEWED: SignedDuration = SignedDuration::from_hours(30 * 24);
/// How much older than its list an archive may be: it is made some time after. And for how long a list
/// without its newest records counts as an older one.
const LAG: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone, Serialize, Deserialize)]
struct Cursor {
    /// The newest day and time in the list; without a list, in the archive.
    newest: Timestamp,
    /// When the archive last came.
    whole: Timestamp,
    /// What was chosen then: another choice needs the archive.
    chosen: String,
    list: Known,
    archive: Known,
    /// Since when the newest records are not there any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    receding: Option<Timestamp>,
}

/// What is here of an ecosystem.
struct Here {
    cursor: Cursor,
    /// Which records, those among them that are not wanted.
    stamps: Stamps,
}

/// A list, and what to ask for it with the next time.
struct Listed {
    list: List,
    known: Known,
}

/// An ecosystem to be brought up to date.
struct Part<'p> {
    folder: Address,
    /// Its source in the store, and its cursor.
    key: String,
    choice: Choice<'p>,
    accept_smaller: bool,
}

pub(super) fn update(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    ecosystem: &str,
) -> Result<Done, FeedError> {
    let part = Part {
        folder: place(settings, Feed::Osv)?.folder,
        key: format!("osv/{ecosystem}"),
        choice: Choice::new(settings, ecosystem),
        accept_smaller: settings.accept_smaller,
    };
    part.update(work)
}

/// Removes what is stored of ecosystems that are not chosen any more: what is about a chosen one as
/// well comes with that. Gives their names, and how many records went.
pub(super) fn forget(
    store: &mut RecordStore,
    settings: &FeedSettings,
) -> Result<Vec<(String, u64)>, RecordsError> {
    let chosen = Feed::Osv.parts(settings);
    let stored = store.sources()?.into_iter().map(|source| source.name);
    let old = stored.filter(|name| name.starts_with("osv/") && !chosen.contains(name));
    let old: Vec<String> = old.collect();
    let mut forgotten = Vec::new();
    for name in old {
        let mut change = store.change()?;
        change.replace(&name, SourceKind::Osv)?;
        change.forget_cursor(&name)?;
        change.forget_cursor(&stamps_key(&name))?;
        let removed = change.commit()?.removed;
        forgotten.push((name, removed));
    }
    Ok(forgotten)
}

/// Where what is here of a list is kept.
fn stamps_key(key: &str) -> String {
    format!("{key}/list")
}

impl Part<'_> {
    fn update(&self, work: &mut Work<'_>) -> Result<Done, FeedError> {
        let mut here = self.here(work)?;
        let listed = match self.list(work, here.as_ref()) {
            Ok(None) => return Ok(Done::unchanged(edition(here.as_ref()))),
            Ok(Some(listed)) => Some(listed),
            // A mirror may have the archives alone.
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        };
        let mut tried = false;
        if let (Some(here), Some(listed)) = (&mut here, &listed) {
            let list = &listed.list;
            if list.newest < here.cursor.newest {
                let address = self.address(LIST);
                if let Err(since) = judge(here, &list.stamps, list.newest, work.now) {
                    return Err(self.recedes(work, here, &address, list.newest, since)?);
                }
                here.cursor.newest = list.newest;
            }
            if work.now.duration_since(here.cursor.whole) < RENEWED {
                if let Some(done) = self.singly(work, here, listed)? {
                    return Ok(done);
                }
                tried = true;
            }
        }
        self.whole(work, here, listed.as_ref(), tried)
    }

    fn address(&self, file: &str) -> Address {
        self.folder.below(&[self.choice.ecosystem, file])
    }

    fn here(&self, work: &Work<'_>) -> Result<Option<Here>, FeedError> {
        let cursor: Option<Cursor> = work.cursor(&self.key)?;
        let Some(cursor) = cursor.filter(|cursor| cursor.chosen == self.choice.fingerprint) else {
            return Ok(None);
        };
        let text = work.store.cursor(&stamps_key(&self.key))?;
        let stamps = text.and_then(|text| list::read(text.as_bytes()).ok());
        Ok(stamps.map(|stamps| Here { cursor, stamps }))
    }

    /// The list, if there is a new one.
    fn list(&self, work: &Work<'_>, here: Option<&Here>) -> Result<Option<Listed>, FeedError> {
        let address = self.address(LIST);
        let known = here.map(|here| &here.cursor.list);
        let Some(page) = work.page(&address, MOST_LIST, known, &[])? else {
            return Ok(None);
        };
        let list = match List::read(&page.body, |id| self.choice.may_want(id), work.now) {
            Ok(list) => list,
            Err(Wrong::NoList(why)) => {
                return Err(not_that(&address, "OSV's list of what was modified", why));
            }
            Err(Wrong::Future(first)) => {
                not_future(&address, first, work.now)?;
                return Err(not_that(
                    &address,
                    "OSV's list of what was modified",
                    "it is empty",
                ));
            }
        };
        Ok(Some(Listed {
            list,
            known: page.conditions.into(),
        }))
    }

    /// Why a list or an archive that ends before what is here is not taken. If it stays so for a day, it
    /// will be: then its newest records were withdrawn.
    fn recedes(
        &self,
        work: &mut Work<'_>,
        here: &Here,
        address: &Address,
        newest: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<FeedError, FeedError> {
        let cursor = Cursor {
            receding: since,
            ..here.cursor.clone()
        };
        work.set_cursor(&self.key, &to_json(&cursor))?;
        Ok(FeedError::Older {
            address: address.to_string(),
            found: shown(newest),
            have: shown(here.cursor.newest),
        })
    }

    /// Brings in what the list says, record by record. None if that is too much, or if one is not there:
    /// it is listed, so it is not gone, and a mirror may have the archive alone.
    fn singly(
        &self,
        work: &mut Work<'_>,
        here: &Here,
        listed: &Listed,
    ) -> Result<Option<Done>, FeedError> {
        let list = &listed.list;
        let address = self.address(LIST);
        let Difference { new, gone } = list.beyond(&here.stamps);
        if new.len() > MOST_SINGLE {
            return Ok(None);
        }
        let had = here.stamps.len();
        if !self.accept_smaller && had as u64 >= FEW && gone.len() > had / 2 {
            return Err(FeedError::Shrunk {
                address: address.to_string(),
                found: (had - gone.len()) as u64,
                had: had as u64,
            });
        }
        let Some(documents) = self.fetch(work, &new)? else {
            return Ok(None);
        };
        let mut stamps = list.brought_to(&here.stamps);
        let mut known = listed.known.clone();
        for (name, document) in &documents {
            // A mirror may have a newer list than records: what lags behind is asked for again.
            let (id, modified) = (id_of(name), self.choice.look(document).1);
            if let (Some(stamp), Some(modified)) = (stamps.get_mut(id), modified)
                && modified.as_second() < stamp.as_second()
            {
                *stamp = modified;
                known = Known::default();
            }
        }
        let next = Cursor {
            newest: list.newest,
            list: known,
            receding: None,
            ..here.cursor.clone()
        };
        let edition = Edition {
            source: &self.key,
            format: Format::Osv,
            whole: false,
            accept_smaller: self.accept_smaller,
            name: shown(next.newest),
            cursor: (&self.key, to_json(&next)),
            address: &address,
            file: None,
        };
        let done = work.apply(edition, |reader| {
            // A record that is about something else now is another part's.
            let others = documents
                .iter()
                .filter(|(_, document)| !self.choice.wants(document))
                .map(|(name, _)| id_of(name));
            for id in others.chain(gone.iter().copied()) {
                reader.change().unskip(&self.key, &format!("{id}.json"))?;
                if let Ok(id) = id.parse::<AdvisoryId>() {
                    reader.change().remove(&self.key, &id)?;
                }
            }
            if stamps != here.stamps {
                let text = list::write(&stamps);
                reader.change().set_cursor(&stamps_key(&self.key), &text)?;
            }
            reader.documents(&documents, &|_, document| self.choice.wants(document))
        })?;
        let nothing = new.is_empty() && gone.is_empty();
        Ok(Some(Done {
            fetched: done.fetched && !nothing,
            ..done
        }))
    }

    /// The documents of records, with their names. None if one is not there, or they are too large.
    fn fetch(&self, work: &Work<'_>, ids: &[&str]) -> Result<Option<Vec<Named>>, FeedError> {
        let client = work.client;
        let mut documents = Vec::new();
        let mut size = 0;
        for some in ids.chunks(AT_ONCE) {
            let fetched: Vec<Result<Option<Page>, HttpError>> = some
                .par_iter()
                .map(|id| {
                    client.get(&Get {
                        address: &self.address(&format!("{id}.json")),
                        limit: MOST_ONE,
                        conditions: None,
                        headers: &[],
                    })
                })
                .collect();
            for (id, page) in some.iter().zip(fetched) {
                let body = match page {
                    Ok(page) => page.unwrap_or_default().body,
                    Err(error) if error.is_missing() => return Ok(None),
                    Err(HttpError::TooLarge { .. }) => return Ok(None),
                    Err(error) => return Err(error.into()),
                };
                size += body.len();
                documents.push((format!("{id}.json"), body));
            }
            if size > MOST_ALL {
                return Ok(None);
            }
            if work.interrupted.load(Ordering::Relaxed) {
                return Err(FeedError::Interrupted);
            }
        }
        Ok(Some(documents))
    }

    /// Brings in the whole archive, and what its list says beyond it.
    fn whole(
        &self,
        work: &mut Work<'_>,
        here: Option<Here>,
        listed: Option<&Listed>,
        tried: bool,
    ) -> Result<Done, FeedError> {
        let address = self.address(ARCHIVE);
        let expected = Expected {
            length: None,
            sha256: None,
            limit: MOST_PACKED,
        };
        let name = format!("osv-{}-all.zip", self.choice.ecosystem);
        let known = here.as_ref().map(|here| &here.cursor.archive);
        let fetched = work.fetch(&address, &name, known, expected)?;
        let is_new = fetched.is_some();
        let (mut done, here) = match (fetched, here) {
            (Some(fetched), here) => self.archive(work, &fetched, here.as_ref(), listed)?,
            (None, Some(mut here)) => {
                here.cursor.whole = work.now;
                (Done::unchanged(shown(here.cursor.newest)), here)
            }
            // Nothing was asked with, so this is no answer.
            (None, None) => return Err(not_that(&address, "an archive", "nothing came")),
        };
        let Some(listed) = listed else {
            return Ok(done);
        };
        if (is_new || !tried)
            && let Some(more) = self.singly(work, &here, listed)?
        {
            done.and(more);
            return Ok(done);
        }
        // The archive is made some time after the list. If that is long, it is made no more.
        let (found, newest) = (here.cursor.newest, listed.list.newest);
        if newest.duration_since(found) > LAG {
            return Err(FeedError::Behind {
                address: address.to_string(),
                found: shown(found),
                listed: shown(newest),
            });
        }
        Ok(done)
    }

    /// Reads the archive. It may be older than the list, and than what came one by one.
    fn archive(
        &self,
        work: &mut Work<'_>,
        fetched: &Fetched<'_>,
        here: Option<&Here>,
        listed: Option<&Listed>,
    ) -> Result<(Done, Here), FeedError> {
        let address = self.address(ARCHIVE);
        let list = listed.map(|listed| &listed.list);
        let downloads = work.downloads.to_owned();
        let limits = Limits {
            depth: 1,
            member: MOST_RECORD,
            total: 32 << 30,
            members: 1_000_000,
            scratch: Some(&downloads),
        };
        let now = work.now;
        let mut cursor = Cursor {
            newest: Timestamp::MIN,
            whole: now,
            chosen: self.choice.fingerprint.clone(),
            // With no condition the list is read again.
            list: Known::default(),
            archive: fetched.whole.conditions.clone().into(),
            receding: None,
        };
        let edition = Edition {
            source: &self.key,
            format: Format::Osv,
            whole: true,
            accept_smaller: self.accept_smaller || here.is_none(),
            name: String::new(),
            cursor: (&self.key, to_json(&cursor)),
            address: &address,
            file: Some(&fetched.path),
        };
        let mut stamps = Stamps::new();
        let mut receding = None;
        let done = work.apply(edition, |reader| {
            let seen = Mutex::new(Vec::new());
            let named = |name: &str| name.ends_with(".json") && self.choice.may_want(name);
            reader.archive(&fetched.path, limits, &named, &|name, document| {
                let (wanted, modified) = self.choice.look(document);
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.push((id_of(name).to_owned(), modified));
                wanted
            })?;
            let seen = seen.into_inner().unwrap_or_else(PoisonError::into_inner);
            let times = seen.iter().filter_map(|(_, modified)| *modified);
            let times = times.filter(|modified| !is_future(*modified, now));
            let newest = times.max().unwrap_or(Timestamp::MIN);
            for (id, modified) in seen {
                // What does not say when it was modified is as new as the list says.
                let listed = || list?.stamps.get(&id).copied();
                if let Some(modified) = modified.or_else(listed) {
                    stamps.insert(id, modified);
                }
            }
            if let Some(here) = here.filter(|here| newest < here.cursor.newest) {
                let verdict = match list {
                    Some(_) if here.cursor.newest.duration_since(newest) <= LAG => Ok(()),
                    Some(_) => Err(None),
                    None => judge(here, &stamps, newest, now),
                };
                if let Err(since) = verdict {
                    receding = Some((newest, since));
                    // Told in the caller's words.
                    return Err(FeedError::Empty {
                        address: address.to_string(),
                    });
                }
            }
            // What came one by one after the archive was made, and is still listed, stays.
            if let (Some(here), Some(list)) = (here, list) {
                let newer = |id: &str, time: Timestamp| {
                    list.stamps.contains_key(id) && stamps.get(id).is_none_or(|found| *found < time)
                };
                let kept = here.stamps.iter().filter(|(id, time)| newer(id, **time));
                let kept: Vec<(String, Timestamp)> =
                    kept.map(|(id, time)| (id.clone(), *time)).collect();
                for (id, time) in kept {
                    reader.keep(&id)?;
                    stamps.insert(id, time);
                }
            }
            if let Some(list) = list {
                settle(&mut stamps, list, newest);
            }
            cursor.newest = newest;
            let change = reader.change();
            change.set_cursor(&self.key, &to_json(&cursor))?;
            change.set_cursor(&stamps_key(&self.key), &list::write(&stamps))?;
            Ok(())
        });
        if let (Some((newest, since)), Some(here)) = (receding, here) {
            return Err(self.recedes(work, here, &address, newest, since)?);
        }
        let mut done = done?;
        done.edition = shown(cursor.newest);
        Ok((done, Here { cursor, stamps }))
    }
}

/// What to make of something that ends before what is here: it is older for certain (`Err(None)`), it
/// may be older, since then (`Err(Some)`), or its newest records were withdrawn.
fn judge(
    here: &Here,
    stamps: &Stamps,
    newest: Timestamp,
    now: Timestamp,
) -> Result<(), Option<Timestamp>> {
    if is_older(stamps, newest, &here.stamps) {
        return Err(None);
    }
    let since = here.cursor.receding.unwrap_or(now);
    if now.duration_since(since) < LAG {
        return Err(Some(since));
    }
    Ok(())
}

/// If the list gives more records than can be fetched one by one another time than the archive, and
/// none that is after it, the two tell the time in different ways.
fn settle(stamps: &mut Stamps, list: &List, newest: Timestamp) {
    let differing: Vec<(String, Timestamp)> = list
        .stamps
        .iter()
        .filter(|(id, listed)| {
            **listed <= newest && stamps.get(*id).is_some_and(|found| found < *listed)
        })
        .map(|(id, listed)| (id.clone(), *listed))
        .collect();
    if differing.len() > MOST_SINGLE {
        stamps.extend(differing);
    }
}

/// The id in the name of a record's file.
fn id_of(name: &str) -> &str {
    name.strip_suffix(".json").unwrap_or(name)
}

fn edition(here: Option<&Here>) -> String {
    here.map_or_else(String::new, |here| shown(here.cursor.newest))
}

/// An edition as people read it: to the second.
fn shown(newest: Timestamp) -> String {
    newest.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// For [`super::try_lists`].
pub(super) fn try_list(bytes: &[u8]) {
    let now = Timestamp::from_second(1_795_000_000).unwrap_or_default();
    // Half of the records are here.
    let is_here = |id: &str| id.len().is_multiple_of(2);
    let Ok(list) = List::read(bytes, |id| !id.starts_with("MAL-"), now) else {
        return;
    };
    let written = list::write(&list.stamps);
    let again = list::read(written.as_bytes());
    assert_eq!(again.as_ref(), Ok(&list.stamps), "it was written here");
    let (here, _): (Stamps, Stamps) = again
        .unwrap_or_default()
        .into_iter()
        .partition(|(id, _)| is_here(id));
    let Difference { new, gone } = list.beyond(&here);
    assert!(gone.is_empty() && new.iter().all(|id| !is_here(id)));
    let mut after = list.brought_to(&here);
    assert!(list.beyond(&after).new.is_empty(), "all of it is here");
    settle(&mut after, &list, list.newest);
    assert!(!is_older(&after, list.newest, &here));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_list_without_its_newest_record_is_taken_after_a_day() {
        let stamps = list::read(b"2026-11-01T00:00:00Z,A\n2026-11-20T00:00:00Z,B").unwrap();
        let mut here = Here {
            cursor: Cursor {
                newest: time("2026-11-20T00:00:00Z"),
                whole: time("2026-11-01T00:00:00Z"),
                chosen: String::new(),
                list: Known::default(),
                archive: Known::default(),
                receding: None,
            },
            stamps,
        };
        let without = list::read(b"2026-11-01T00:00:00Z,A").unwrap();
        let newest = time("2026-11-01T00:00:00Z");
        let first = time("2026-11-21T00:00:00Z");
        assert_eq!(judge(&here, &without, newest, first), Err(Some(first)));
        here.cursor.receding = Some(first);
        let later = time("2026-11-21T23:00:00Z");
        assert_eq!(judge(&here, &without, newest, later), Err(Some(first)));
        let day_after = time("2026-11-22T00:00:00Z");
        assert_eq!(judge(&here, &without, newest, day_after), Ok(()));
        // A record as it was before is of an older list, for ever.
        let older = list::read(b"2026-11-01T00:00:00Z,A\n2026-10-01T00:00:00Z,B").unwrap();
        assert_eq!(judge(&here, &older, newest, day_after), Err(None));
    }

    #[test]
    fn two_ways_to_tell_the_time_are_no_news() {
        let stamps = |seconds: &str, count: usize| {
            let lines = (0..count).map(|n| format!("2026-11-01T00:00:{seconds}Z,X-{n}\n"));
            list::read(lines.collect::<String>().as_bytes()).unwrap()
        };
        let newest = time("2026-11-20T00:00:00Z");
        for (count, new) in [(MOST_SINGLE + 1, 0), (MOST_SINGLE, MOST_SINGLE)] {
            let list = List {
                stamps: stamps("00.5", count),
                newest,
            };
            let mut found = stamps("00", count);
            settle(&mut found, &list, newest);
            assert_eq!(list.beyond(&found).new.len(), new);
        }
    }
}
