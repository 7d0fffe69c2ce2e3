//! Why a package set was not taken.

use snowguard_db::DbError;
use snowguard_http::{AddressError, HttpError};
use snowguard_sources::SourceError;

use super::evaluator::EvaluatorError;
use crate::chain::chain;

/// Why a package set was not taken. `Display` does not repeat the source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IngestError {
    /// There is no such channel.
    #[error("there is no channel {name:?}")]
    NoChannel {
        /// As it was asked for.
        name: String,
    },
    /// A channel cannot be called so.
    #[error("{name:?} is no name of a channel")]
    Name {
        /// As it was given.
        name: String,
    },
    /// The channel has ended.
    #[error("channel {name} has ended: it is not followed")]
    Ended {
        /// Its name.
        name: String,
    },
    /// The channel has no source.
    #[error("channel {name} has no source to look at")]
    NoSource {
        /// Its name.
        name: String,
    },
    /// A source is neither an address nor a path.
    #[error("{source_text:?} is no source of package sets")]
    Source {
        /// As it was given.
        source_text: String,
        /// Why it is no address.
        #[source]
        source: AddressError,
    },
    /// What should name a revision does not.
    #[error("{what} names no revision")]
    Revision {
        /// Which file or answer.
        what: String,
    },
    /// Its head changed again and again while it was fetched.
    #[error("{address} changed while it was fetched")]
    Moved {
        /// Which source.
        address: String,
    },
    /// A list of channels cannot be read.
    #[error("cannot read the list of channels")]
    List(#[source] serde_json::Error),
    /// A source cannot be fetched.
    #[error("cannot fetch the package set")]
    Http(#[from] HttpError),
    /// A package set cannot be read.
    #[error("cannot take the package set")]
    Read(#[from] SourceError),
    /// A checkout cannot be evaluated.
    #[error("cannot evaluate the package set")]
    Evaluate(#[from] EvaluatorError),
    /// A file of this machine.
    #[error("cannot {what} {path}")]
    File {
        /// Make, read, remove.
        what: &'static str,
        /// Which.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be stored.
    #[error("cannot store the package set")]
    Store(#[from] DbError),
}

impl IngestError {
    /// What to do about it, when there is something to do.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoChannel { .. } => "list the channels, and make it first if it is new",
            Self::Name { .. } => {
                "take letters, digits, `.`, `_` and `-`, 100 at most, as in `nixos-26.05`"
            }
            Self::Ended { .. } => "follow it again to take new package sets",
            Self::NoSource { .. } => {
                "give it one: the address of a release folder, or a file with a package set"
            }
            Self::Source { .. } => {
                "give an address like https://channels.nixos.org/nixos-unstable, or an absolute path"
            }
            Self::Revision { .. } => "check the source: the revision is a hash in hexadecimal",
            Self::Moved { .. } => "try again later",
            Self::List(_) => "check the address: it must answer a Prometheus query with JSON",
            Self::Http(source) => return source.hint().map(str::to_owned),
            Self::Read(source) => return source.hint(),
            Self::Evaluate(source) => return source.hint().map(str::to_owned),
            Self::File { .. } => "check the path, and that it may be read and written",
            Self::Store(source) => return source.hint().map(Into::into),
        };
        Some(hint.to_owned())
    }

    /// The error with its causes in one line, as it is noted with a channel.
    pub fn in_one_line(&self) -> String {
        chain(self)
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(2_000)
            .collect()
    }
}
