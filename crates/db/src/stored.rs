//! What rooms read in the same way.

use snowguard_triage::Code;

use crate::{DbError, Row};

/// The value of an enumeration that a column holds by number.
pub(crate) fn code<T: Code>(row: Row<'_>, column: usize) -> Result<T, DbError> {
    T::from_code(row.get(column)?).map_err(|error| DbError::Content {
        what: T::WHAT.to_owned(),
        reason: error.to_string(),
    })
}
