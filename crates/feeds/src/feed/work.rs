//! What every feed needs: fetching into the place for downloads, and changes of the record store.

use std::fmt::Display;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use snowguard_advisory::index::SourceKind;
use snowguard_advisory::read::Format;
use snowguard_http::{Address, Client, Conditions, Download, Event, Expected, Get, Page, Whole};

use super::reader::Reader;
use super::{Done, Feed, FeedError, FeedSettings, Place};
use crate::open::{self, ContainerError, Limits};
use crate::records::RecordStore;
use crate::update::Notice;

/// The least number of records of which losing more than half is suspicious.
pub(super) const FEW: u64 = 20;
/// One record in so many may be unreadable where those before could be read.
const UNREAD: u64 = 20;

/// The means of one update.
pub(crate) struct Work<'w> {
    pub(crate) client: &'w Client,
    pub(crate) store: &'w mut RecordStore,
    /// The directory for downloads and what is unpacked of them.
    pub(crate) downloads: &'w Utf8Path,
    pub(crate) interrupted: &'w AtomicBool,
    pub(crate) notices: &'w mut dyn FnMut(Notice<'_>),
    /// Which part of which feed, for who shows it.
    pub(crate) part: String,
    pub(crate) now: Timestamp,
}

/// A file that has arrived. It is removed when nobody needs it any more; if the person stopped the
/// program meanwhile, the next run goes on with it.
#[derive(Debug)]
pub(super) struct Fetched<'w> {
    pub(super) path: Utf8PathBuf,
    pub(super) whole: Whole,
    address: Address,
    interrupted: &'w AtomicBool,
}

impl Drop for Fetched<'_> {
    fn drop(&mut self) {
        if self.interrupted.load(Ordering::Relaxed) {
            self.whole.put_back(&self.path, &self.address);
        } else {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// A feed that is one file: as it came, and what is in it.
#[derive(Debug)]
pub(super) struct Latest<'w> {
    pub(super) fetched: Fetched<'w>,
    pub(super) document: Vec<u8>,
}

impl Latest<'_> {
    /// What to ask with the next time.
    pub(super) fn known(&self) -> Known {
        self.fetched.whole.conditions.clone().into()
    }
}

/// What a change brings.
pub(super) struct Edition<'e> {
    /// The source of the index.
    pub(super) source: &'e str,
    pub(super) format: Format,
    /// Whether it is all that there is: what is not in it goes.
    pub(super) whole: bool,
    /// Takes it even if most is gone.
    pub(super) accept_smaller: bool,
    /// As the feed names it.
    pub(super) name: String,
    /// Where the feed left off at with it: key and value.
    pub(super) cursor: (&'e str, String),
    /// Where it came from.
    pub(super) address: &'e Address,
    /// The file that it came in, if that is read as it lies.
    pub(super) file: Option<&'e Utf8Path>,
}

/// [`Conditions`] as they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified: Option<String>,
}

impl From<Conditions> for Known {
    fn from(conditions: Conditions) -> Self {
        Self {
            etag: conditions.etag,
            last_modified: conditions.last_modified,
        }
    }
}

impl From<Known> for Conditions {
    fn from(known: Known) -> Self {
        Self {
            etag: known.etag,
            last_modified: known.last_modified,
        }
    }
}

impl<'w> Work<'w> {
    /// Fetches a file. None if it is as it was.
    pub(super) fn fetch(
        &mut self,
        address: &Address,
        name: &str,
        known: Option<&Known>,
        expected: Expected,
    ) -> Result<Option<Fetched<'w>>, FeedError> {
        let path = self.downloads.join(file_name(name));
        let conditions = known.cloned().map(Conditions::from);
        let (part, notices) = (&self.part, &mut *self.notices);
        let whole = self.client.download(
            &Download {
                address,
                to: &path,
                conditions: conditions.as_ref(),
                headers: &[],
                expected,
            },
            &mut |event| match event {
                Event::Here { length, of } => notices(Notice::Here {
                    part,
                    file: name,
                    length,
                    of,
                }),
                Event::Again { error, after } => notices(Notice::Again { part, error, after }),
            },
        )?;
        Ok(whole.map(|whole| Fetched {
            path,
            whole,
            address: address.clone(),
            interrupted: self.interrupted,
        }))
    }

    /// Fetches the one file that a feed consists of, and unpacks it. None if it is as it was.
    pub(super) fn latest(
        &mut self,
        address: &Address,
        file: &str,
        most: u64,
        known: Option<&Known>,
    ) -> Result<Option<Latest<'w>>, FeedError> {
        let expected = Expected {
            length: None,
            sha256: None,
            limit: most,
        };
        let Some(fetched) = self.fetch(address, file, known, expected)? else {
            return Ok(None);
        };
        let document = self.document(&fetched.path, most, address)?;
        Ok(Some(Latest { fetched, document }))
    }

    /// Fetches a small document. None if it is as it was.
    pub(super) fn page(
        &self,
        address: &Address,
        limit: u64,
        known: Option<&Known>,
        headers: &[(&str, &str)],
    ) -> Result<Option<Page>, FeedError> {
        let conditions = known.cloned().map(Conditions::from);
        Ok(self.client.get(&Get {
            address,
            limit,
            conditions: conditions.as_ref(),
            headers,
        })?)
    }

    /// Where a feed left off; nothing if that is from another time.
    pub(super) fn cursor<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, FeedError> {
        let text = self.store.cursor(key)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Notes where a feed left off, where no record changed.
    pub(super) fn set_cursor(&mut self, key: &str, value: &str) -> Result<(), FeedError> {
        let mut change = self.store.change()?;
        change.set_cursor(key, value)?;
        change.commit()?;
        Ok(())
    }

    /// Makes one change of the store: all of an edition, or nothing.
    pub(super) fn apply(
        &mut self,
        edition: Edition<'_>,
        read: impl FnOnce(&mut Reader<'_, '_>) -> Result<(), FeedError>,
    ) -> Result<Done, FeedError> {
        let kind = SourceKind::from(edition.format);
        let address = || edition.address.to_string();
        if let Some(file) = edition.file
            && !open::is_zip(file)?
        {
            return Err(not_that(
                edition.address,
                "a zip archive",
                "it begins otherwise",
            ));
        }
        let sources = self.store.sources()?;
        let before = sources.iter().find(|s| s.name == edition.source);
        let had = before.map_or(0, |source| source.records);
        let unread_before = before.map_or(0, |source| source.skipped);
        let mut change = self.store.change()?;
        if edition.whole {
            change.replace(edition.source, kind)?;
        }
        // What is read may say more of it.
        change.set_cursor(edition.cursor.0, &edition.cursor.1)?;
        let (part, notices) = (&self.part, &mut *self.notices);
        let mut reader = Reader::new(
            &mut change,
            edition.source,
            edition.format,
            edition.whole,
            self.interrupted,
            notices,
            part,
        );
        read(&mut reader).map_err(|error| match (error, edition.file) {
            (FeedError::Container(error), Some(file)) => {
                error.in_terms_of(file.as_str(), &address()).into()
            }
            (error, _) => error,
        })?;
        let tally = reader.finish();
        if edition.whole && tally.records == 0 && tally.passed == 0 {
            return Err(FeedError::Empty { address: address() });
        }
        // What cannot be read stays as it was. If there is suddenly much of it, the edition is wrong,
        // or this program is.
        let of = tally.records + tally.skipped;
        let unread = tally.skipped.saturating_sub(unread_before);
        if edition.whole && !edition.accept_smaller && had > 0 && of >= FEW && unread > of / UNREAD
        {
            return Err(FeedError::Unreadable {
                address: address(),
                skipped: tally.skipped,
                of,
            });
        }
        if edition.whole && !edition.accept_smaller && had >= FEW && tally.records < had / 2 {
            return Err(FeedError::Shrunk {
                address: address(),
                found: tally.records,
                had,
            });
        }
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(FeedError::Interrupted);
        }
        let changed = change.commit()?;
        Ok(Done {
            edition: edition.name,
            fetched: true,
            added: changed.added,
            changed: changed.changed,
            removed: changed.removed,
            records: tally.records,
            skipped: tally.skipped,
            problems: tally.problems,
        })
    }

    /// The one document in a file, through compression.
    pub(super) fn document(
        &self,
        path: &Utf8Path,
        most: u64,
        address: &Address,
    ) -> Result<Vec<u8>, FeedError> {
        let limits = Limits {
            depth: 1,
            member: most,
            total: most,
            members: 1,
            scratch: Some(self.downloads),
        };
        let mut bytes = Vec::new();
        open::members::<FeedError>(path, limits, &mut |name, stream| {
            bytes.clear();
            let read = stream.read_to_end(&mut bytes);
            read.map_err(|error| ContainerError::io(name, error))?;
            Ok(())
        })
        .map_err(|error| match error {
            FeedError::Container(error) => error
                .in_terms_of(path.as_str(), &address.to_string())
                .into(),
            error => error,
        })?;
        Ok(bytes)
    }
}

/// How the names of downloads begin.
pub(crate) const DOWNLOAD: &str = "get-";

/// A name that a stranger chose, as the name of a file: nothing in it leads elsewhere.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') {
            c
        } else {
            '_'
        }
    };
    let name: String = name.chars().take(120).map(plain).collect();
    format!("{DOWNLOAD}{name}")
}

/// Where a feed is.
pub(super) fn place(settings: &FeedSettings, feed: Feed) -> Result<Place, FeedError> {
    settings.place(feed).map_err(|error| FeedError::NotThat {
        address: feed.to_string(),
        what: "an address",
        why: error.to_string(),
    })
}

/// Refuses an edition that comes before the one in force.
pub(super) fn not_older<T: PartialOrd + Display>(
    address: &Address,
    found: &T,
    have: Option<&T>,
) -> Result<(), FeedError> {
    match have {
        Some(have) if found < have => Err(FeedError::Older {
            address: address.to_string(),
            found: found.to_string(),
            have: have.to_string(),
        }),
        _ => Ok(()),
    }
}

/// How far ahead of the clock here an edition may be dated.
const AHEAD: SignedDuration = SignedDuration::from_hours(48);

/// Whether a time is after the clock here by more than clocks and time zones differ.
pub(super) fn is_future(found: Timestamp, now: Timestamp) -> bool {
    found.duration_since(now) > AHEAD
}

/// Refuses an edition of a day to come: in force, it would bar all true ones as older.
pub(super) fn not_future(
    address: &Address,
    found: Timestamp,
    now: Timestamp,
) -> Result<(), FeedError> {
    if !is_future(found, now) {
        return Ok(());
    }
    let shown = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    Err(FeedError::Future {
        address: address.to_string(),
        found: shown(found),
        now: shown(now),
    })
}

/// The day that a text begins with, as it begins in UTC.
pub(super) fn day_of(text: &str) -> Option<Timestamp> {
    let day: jiff::civil::Date = text.get(..10)?.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// What a document should be, and why it is not.
pub(super) fn not_that(
    address: &Address,
    what: &'static str,
    why: &(impl ToString + ?Sized),
) -> FeedError {
    FeedError::NotThat {
        address: address.to_string(),
        what,
        why: why.to_string(),
    }
}

pub(super) fn to_json(cursor: &impl Serialize) -> String {
    // Strings, numbers and maps with text as keys: there is nothing that JSON has no form for.
    serde_json::to_string(cursor).unwrap_or_default()
}
