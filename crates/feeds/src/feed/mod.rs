//! The feeds: where each is, how it is brought up to date, and what may go wrong with it.
//!
//! A feed is fetched and read into one change of the record store together with its cursor, so that
//! what is in force is always a whole edition: a feed that fails leaves the last good one.

mod cve;
mod epss;
mod kev;
mod nvd;
mod osv;
mod reader;
mod settings;
mod work;

use std::fmt;
use std::str::FromStr;

use snowguard_http::HttpError;

use crate::open::ContainerError;
use crate::records::{RecordStore, RecordsError};

pub use self::osv::ECOSYSTEMS;
pub use self::settings::{FeedSettings, Malicious, OsvSettings, Place};
pub(crate) use self::work::{DOWNLOAD, Work};

/// A feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feed {
    /// CISA's catalogue of exploited vulnerabilities.
    Kev,
    /// FIRST's scores.
    Epss,
    /// The CVE list, version 5.
    Cve,
    /// NVD's yearly files, and what was modified lately.
    Nvd,
    /// OSV's archives, one per ecosystem; GitHub's advisories come with these.
    Osv,
}

impl Feed {
    /// All, those first that are small.
    pub const ALL: [Self; 5] = [Self::Kev, Self::Epss, Self::Cve, Self::Nvd, Self::Osv];

    /// Its name in settings, in options and as a source of the index.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kev => "kev",
            Self::Epss => "epss",
            Self::Cve => "cve",
            Self::Nvd => "nvd",
            Self::Osv => "osv",
        }
    }

    /// Its parts, each of which succeeds or fails by itself, by name.
    pub fn parts(self, settings: &FeedSettings) -> Vec<String> {
        match self {
            Self::Osv => {
                let names = settings.osv.ecosystems.iter();
                names.map(|name| format!("osv/{name}")).collect()
            }
            _ => vec![self.as_str().to_owned()],
        }
    }

    /// Whether a store holds an edition of a part, and not only the beginning of one.
    pub(crate) fn is_held(self, part: &str, store: &RecordStore) -> Result<bool, RecordsError> {
        let cursor = store.cursor(part)?;
        Ok(match self {
            Self::Nvd => cursor.is_some_and(|cursor| nvd::is_whole(&cursor)),
            _ => cursor.is_some(),
        })
    }

    /// Removes what is stored of parts that are not wanted any more: their names, and how many records
    /// went.
    pub(crate) fn forget(
        self,
        store: &mut RecordStore,
        settings: &FeedSettings,
    ) -> Result<Vec<(String, u64)>, RecordsError> {
        match self {
            Self::Osv => osv::forget(store, settings),
            _ => Ok(Vec::new()),
        }
    }

    /// Brings a part up to date.
    pub(crate) fn update(
        self,
        part: &str,
        settings: &FeedSettings,
        work: &mut Work<'_>,
    ) -> Result<Done, FeedError> {
        match self {
            Self::Kev => kev::update(work, settings),
            Self::Epss => epss::update(work, settings),
            Self::Cve => cve::update(work, settings),
            Self::Nvd => nvd::update(work, settings),
            Self::Osv => osv::update(work, settings, part.strip_prefix("osv/").unwrap_or(part)),
        }
    }
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Feed {
    type Err = UnknownFeed;

    fn from_str(text: &str) -> Result<Self, UnknownFeed> {
        let found = Self::ALL.into_iter().find(|feed| feed.as_str() == text);
        found.ok_or_else(|| UnknownFeed(text.to_owned()))
    }
}

/// A name that no feed has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a feed; there are kev, epss, cve, nvd and osv")]
pub struct UnknownFeed(String);

/// What an update of a feed, or of a part of one, did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Which edition is in force now, as the feed itself names it.
    pub edition: String,
    /// Whether anything new was there.
    pub fetched: bool,
    /// Ids that are new.
    pub added: u64,
    /// Ids of which something else is said now.
    pub changed: u64,
    /// Ids that are gone.
    pub removed: u64,
    /// Records read.
    pub records: u64,
    /// Records that could not be read.
    pub skipped: u64,
    /// The first of these, with their places.
    pub problems: Vec<String>,
}

impl Done {
    /// Nothing new.
    fn unchanged(edition: impl Into<String>) -> Self {
        Self {
            edition: edition.into(),
            ..Self::default()
        }
    }

    /// With what a further step did.
    fn and(&mut self, other: Self) {
        self.edition = other.edition;
        self.fetched |= other.fetched;
        self.added += other.added;
        self.changed += other.changed;
        self.removed += other.removed;
        self.records += other.records;
        self.skipped += other.skipped;
        let room = reader::MAX_PROBLEMS.saturating_sub(self.problems.len());
        self.problems.extend(other.problems.into_iter().take(room));
    }
}

/// Reads bytes as each of the small documents by which feeds say what is new, and does with them what
/// an update does. For who looks for bytes that do harm.
#[doc(hidden)]
pub fn try_lists(bytes: &[u8]) {
    cve::try_list(bytes);
    epss::try_head(bytes);
    nvd::try_meta(bytes);
    osv::try_list(bytes);
}

/// Why a feed was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// It did not arrive.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// What arrived is no whole archive, or holds too much.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// The records cannot be stored.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// What arrived is something else.
    #[error("{address} is not {what}: {why}")]
    NotThat {
        /// Where it came from.
        address: String,
        /// What it should be.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing in it can be read.
    #[error("{address} has no record that can be read")]
    Empty {
        /// Where it came from.
        address: String,
    },
    /// A whole edition that has lost most of what there was.
    #[error("{address} has {found} records; the edition in force has {had}")]
    Shrunk {
        /// Where it came from.
        address: String,
        /// Records in it.
        found: u64,
        /// Records before.
        had: u64,
    },
    /// A whole edition of which much cannot be read that could be before.
    #[error("{skipped} of {of} records of {address} cannot be read")]
    Unreadable {
        /// Where it came from.
        address: String,
        /// Records that cannot be read.
        skipped: u64,
        /// All records.
        of: u64,
    },
    /// An archive that its own list has left behind.
    #[error("{address} is of {found}; the list beside it is of {listed}")]
    Behind {
        /// The archive.
        address: String,
        /// Its edition.
        found: String,
        /// That of the list.
        listed: String,
    },
    /// An edition that comes before the one in force.
    #[error("{address} is of {found}, which is older than {have}, the edition in force")]
    Older {
        /// Where it came from.
        address: String,
        /// Its edition.
        found: String,
        /// The one in force.
        have: String,
    },
    /// An edition of a day that has not come.
    #[error("{address} is of {found}; it is {now} here")]
    Future {
        /// Where it came from.
        address: String,
        /// Its edition.
        found: String,
        /// The time of this machine.
        now: String,
    },
    /// The person stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl FeedError {
    /// What to do next.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Http(error) => error.hint(),
            Self::Container(ContainerError::Limit(..)) => {
                Some("this is not what that feed should hold; check the address")
            }
            Self::Container(ContainerError::Io(_, error))
                if error.kind() == std::io::ErrorKind::StorageFull =>
            {
                Some("make room on that disk")
            }
            Self::Container(_) => {
                Some("the archive is not whole; run it again, or use another mirror")
            }
            Self::Records(error) => Some(error.hint()),
            Self::NotThat { .. } | Self::Empty { .. } => {
                Some("check the address; a portal or a wrong mirror may have answered")
            }
            Self::Shrunk { .. } => {
                Some("if that is right, say so with --accept-smaller; else use another mirror")
            }
            Self::Unreadable { .. } => Some(
                "a newer snowguard may read them; --accept-smaller takes the others, and leaves these \
                 as they were",
            ),
            Self::Older { .. } | Self::Behind { .. } => {
                Some("the mirror lags behind; run it again later, or use another one")
            }
            Self::Future { .. } => {
                Some("check the clock of this machine; if it is right, use another mirror")
            }
            Self::Interrupted => None,
        }
    }

    /// Whether there is no such file.
    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Http(error) if error.is_missing())
    }

    /// Whether the person stopped it, at whatever point.
    pub fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Http(HttpError::Interrupted))
    }
}

#[cfg(test)]
mod tests {
    /// A little of what a fuzzer does, in every run of the tests.
    #[test]
    fn lists_that_are_damaged_do_no_harm() {
        let asset = r#"[{"assets":[{"name":"2026-11-20_delta_CVEs_at_1300Z.zip","size":9},
            {"name":"2026-11-20_all_CVEs_at_midnight.zip.zip"}]},{"assets":[
            {"name":"2026-11-19_delta_CVEs_at_end_of_day.zip","digest":"sha256:ab"}]}]"#;
        let sha256 = "ab".repeat(32);
        let meta =
            format!("lastModifiedDate:2026-01-19T16:00:01-05:00\r\nsize:1\r\nsha256:{sha256}");
        for list in [
            asset,
            &meta,
            "2026-11-20T00:00:00.123456Z,PYSEC-2026-2\n2999-01-01T00:00:00Z,MAL-2026-1\n",
            "#model_version:v1,score_date:2026-11-20T12:55:00Z\ncve,epss,percentile\nCVE-2026-1,1,1\n",
        ] {
            super::try_lists(list.as_bytes());
            for at in 0..list.len() {
                super::try_lists(&list.as_bytes()[..at]);
                for byte in *b"\0\n,:\"-9Z\xff" {
                    let mut damaged = list.as_bytes().to_vec();
                    damaged[at] = byte;
                    super::try_lists(&damaged);
                }
            }
        }
    }
}
