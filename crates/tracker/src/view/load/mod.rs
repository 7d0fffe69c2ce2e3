//! Views from the database: each with a fixed number of statements, and none that reads a table whole.

mod about;
mod activity;
mod advisory;
mod channel;
mod common;
mod finding;
mod home;
mod issue;
mod package;
mod queue;
mod rules;
mod search;
mod subscription;
mod tally;

use snowguard_db::DbError;

pub use about::data;
pub use activity::activity;
pub use advisory::advisory;
pub use channel::{channel, channels};
pub use finding::finding;
pub use home::home;
pub use issue::{draft, issue, issues};
pub use package::{maintainer, package};
pub use queue::queue;
pub use rules::rules;
pub use search::search;
pub use subscription::subscriptions;
pub use tally::count;

/// Why a view cannot be given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// The database did not answer.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A cursor is not one that a page gave.
    #[error("the cursor is none")]
    Cursor,
    /// There is no such thing.
    #[error("there is no {what} {name}")]
    NotFound {
        /// What kind of thing.
        what: &'static str,
        /// Its name, as it was asked for.
        name: String,
    },
    /// It goes by another name.
    #[error("it is {0}")]
    Elsewhere(String),
}

/// Where a page of a list begins: after the row of that rank and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    rank: i64,
    id: i64,
}

impl Cursor {
    /// Before every row.
    const START: Self = Self {
        rank: i64::MAX,
        id: 0,
    };

    fn read(text: Option<&str>) -> Result<Self, ViewError> {
        let Some(text) = text else {
            return Ok(Self::START);
        };
        let parts = text.split_once('~').ok_or(ViewError::Cursor)?;
        Ok(Self {
            rank: parts.0.parse().map_err(|_| ViewError::Cursor)?,
            id: parts.1.parse().map_err(|_| ViewError::Cursor)?,
        })
    }

    fn write(rank: i64, id: i64) -> String {
        format!("{rank}~{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_are_read_as_they_were_written() {
        let text = Cursor::write(-5, 12);
        assert_eq!(
            Cursor::read(Some(&text)).unwrap(),
            Cursor { rank: -5, id: 12 }
        );
        for wrong in ["", "1", "1~", "a~b", "1~2~3"] {
            assert!(
                matches!(Cursor::read(Some(wrong)), Err(ViewError::Cursor)),
                "{wrong}"
            );
        }
    }
}
