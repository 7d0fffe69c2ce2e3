//! What PostgreSQL says, by what can be done about it.

use std::error::Error as _;

use postgres::error::SqlState;

use super::super::{DbError, Trouble};

pub(super) fn refused(operation: String, error: postgres::Error) -> DbError {
    let trouble = trouble(&error);
    let shown = error.to_string();
    DbError::Engine {
        operation,
        trouble,
        // The error itself says no more than where its source came from.
        source: error.into_source().unwrap_or_else(|| shown.into()),
    }
}

fn trouble(error: &postgres::Error) -> Trouble {
    if let Some(state) = error.code() {
        return by_state(state);
    }
    if error.is_closed() {
        return Trouble::Lost;
    }
    // It tells this by its words alone.
    if error.to_string().contains("TLS") {
        return Trouble::Tls;
    }
    let mut source = error.source();
    while let Some(found) = source {
        if let Some(io) = found.downcast_ref::<std::io::Error>() {
            return by_io(io.kind());
        }
        source = found.source();
    }
    Trouble::Other
}

fn by_io(kind: std::io::ErrorKind) -> Trouble {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::UnexpectedEof => Trouble::Lost,
        _ => Trouble::Refused,
    }
}

fn by_state(state: &SqlState) -> Trouble {
    // The codes of PostgreSQL's manual, appendix A: two letters of class, three of the case.
    match state.code() {
        "40001" | "40P01" => Trouble::Serialisation,
        "55P03" => Trouble::Busy,
        "23505" => Trouble::Duplicate,
        "23503" => Trouble::Reference,
        "28000" | "28P01" => Trouble::Login,
        "3D000" => Trouble::Missing,
        "42501" => Trouble::Denied,
        "25006" => Trouble::ReadOnly,
        "57014" => Trouble::Timeout,
        "53300" => Trouble::Crowded,
        "53100" | "53200" => Trouble::Full,
        "57P03" => Trouble::Refused,
        "57P01" | "57P02" | "57P05" => Trouble::Lost,
        "58030" => Trouble::Device,
        "XX001" | "XX002" => Trouble::Corrupt,
        code if code.starts_with("23") => Trouble::Rule,
        code if code.starts_with("08") => Trouble::Lost,
        _ => Trouble::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_told_apart_by_what_to_do() {
        assert_eq!(by_state(&SqlState::UNIQUE_VIOLATION), Trouble::Duplicate);
        assert_eq!(by_state(&SqlState::NOT_NULL_VIOLATION), Trouble::Rule);
        assert_eq!(
            by_state(&SqlState::T_R_DEADLOCK_DETECTED),
            Trouble::Serialisation
        );
        assert_eq!(by_state(&SqlState::INVALID_PASSWORD), Trouble::Login);
        assert_eq!(by_state(&SqlState::CONNECTION_FAILURE), Trouble::Lost);
        assert_eq!(by_state(&SqlState::SYNTAX_ERROR), Trouble::Other);
    }
}
