//! Why a job failed.

use camino::Utf8PathBuf;
use snowguard_advisory::index::Corrupt;
use snowguard_db::DbError;
use snowguard_feeds::segments::SegmentsError;
use snowguard_feeds::{IndexFileError, RecordsError, UpdateError};
use snowguard_http::HttpError;

use crate::advisories::TakeError;
use crate::chain::chain;
use crate::ingest::IngestError;
use crate::publish::forge::ForgeError;
use crate::publish::sync::SyncError;
use crate::rematch::RematchError;

/// Why a job failed. What was written before stays, and the next try goes on from there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkError {
    /// The database.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The network cannot be used at all.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A package set.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The advisories cannot be fetched.
    #[error(transparent)]
    Update(#[from] UpdateError),
    /// Some of the feeds failed; what the others have is taken in.
    #[error("{failed} of {all} feeds failed: {first}")]
    Feeds {
        /// How many.
        failed: usize,
        /// Of how many.
        all: usize,
        /// The first of them, and why.
        first: String,
    },
    /// The records.
    #[error(transparent)]
    Records(#[from] RecordsError),
    /// The index cannot be written.
    #[error(transparent)]
    Segments(#[from] SegmentsError),
    /// The index cannot be read.
    #[error(transparent)]
    Index(#[from] IndexFileError),
    /// The index is damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// What was fetched is not what is in the database.
    #[error("{file} is not of the advisories that the database has")]
    OtherEdition {
        /// The index.
        file: Utf8PathBuf,
    },
    /// Advisories cannot be taken in.
    #[error(transparent)]
    Take(#[from] TakeError),
    /// Matching.
    #[error(transparent)]
    Rematch(#[from] RematchError),
    /// The forge cannot be used at all.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// What is published.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// A file or directory.
    #[error("cannot {what} {path}")]
    File {
        /// What was to be done with it.
        what: &'static str,
        /// Which.
        path: Utf8PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// A defect of this program.
    #[error("it ended by a defect of this program, which the log tells")]
    Defect,
}

impl WorkError {
    /// Whether it only waits for what is being done: advisories are taken in after their index is written. To
    /// wait longer after each try would be to match hours after that, and not at all after some.
    pub(super) const fn is_too_early(&self) -> bool {
        matches!(self, Self::OtherEdition { .. })
    }

    /// With all causes, and what to do if that is known.
    pub fn in_one_line(&self) -> String {
        let told = chain(self);
        match self.hint() {
            Some(hint) => format!("{told}; {hint}"),
            None => told,
        }
    }

    /// What to do.
    pub fn hint(&self) -> Option<String> {
        if let Self::Ingest(error) = self {
            return error.hint();
        }
        self.short_hint().map(str::to_owned)
    }

    fn short_hint(&self) -> Option<&'static str> {
        match self {
            Self::Db(error) => error.hint(),
            Self::Http(error) => error.hint(),
            Self::Update(error) => error.hint(),
            Self::Records(error) => Some(error.hint()),
            Self::Forge(error) => error.hint(),
            Self::OtherEdition { .. } => Some(
                "one worker takes advisories in, and others match only where they see its files",
            ),
            Self::File { .. } => Some("check that it is there, and may be written"),
            Self::Index(_) | Self::Segments(_) | Self::Corrupt(_) => {
                Some("move the index away: it is made anew from the records")
            }
            Self::Ingest(_)
            | Self::Feeds { .. }
            | Self::Take(_)
            | Self::Rematch(_)
            | Self::Sync(_)
            | Self::Interrupted
            | Self::Defect => None,
        }
    }
}
