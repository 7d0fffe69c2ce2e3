//! Which database: a path for SQLite, a URL for PostgreSQL.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use postgres::Config;
use postgres::config::Host;

use super::DbError;

/// Which database. Shown without a password.
#[derive(Clone)]
pub struct Location(Kind);

#[derive(Clone)]
enum Kind {
    Sqlite(PathBuf),
    Postgres(Box<Config>),
}

/// What a location names.
pub(super) enum Place<'a> {
    Sqlite(&'a Path),
    Postgres(&'a Config),
}

impl Location {
    /// A SQLite file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Sqlite(path.into()))
    }

    /// The path, where it is a file.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Sqlite(path) => Some(path),
            Kind::Postgres(_) => None,
        }
    }

    pub(super) fn place(&self) -> Place<'_> {
        match &self.0 {
            Kind::Sqlite(path) => Place::Sqlite(path),
            Kind::Postgres(config) => Place::Postgres(config),
        }
    }
}

impl FromStr for Location {
    type Err = DbError;

    /// `postgres://…` and `postgresql://…` are servers, everything else is a path.
    fn from_str(text: &str) -> Result<Self, DbError> {
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            let config = text.parse::<Config>().map_err(|error| DbError::Location {
                reason: reason(&error),
            })?;
            return Ok(Self(Kind::Postgres(Box::new(config))));
        }
        if text.is_empty() || text.contains('\0') || text.contains("://") || text == ":memory:" {
            return Err(DbError::Location {
                reason: "it is neither a path nor a URL of PostgreSQL".to_owned(),
            });
        }
        Ok(Self::file(text))
    }
}

/// What the parser says is wrong; it names settings, and never their values.
fn reason(error: &postgres::Error) -> String {
    use std::error::Error as _;
    error
        .source()
        .map_or_else(|| error.to_string(), ToString::to_string)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Sqlite(path) => write!(f, "{}", path.display()),
            Kind::Postgres(config) => f.write_str(&server(config)),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}

/// Server and database, without user and password.
pub(super) fn server(config: &Config) -> String {
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let name = match host {
                Host::Tcp(name) => name.clone(),
                Host::Unix(path) => path.display().to_string(),
            };
            let ports = config.get_ports();
            match ports.get(index).or_else(|| ports.first()) {
                Some(port) => format!("{name}:{port}"),
                None => name,
            }
        })
        .collect();
    format!(
        "database `{}` on {}",
        config
            .get_dbname()
            .or_else(|| config.get_user())
            .unwrap_or("postgres"),
        hosts.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_shown_without_its_password() {
        let shown = |text: &str| match text.parse::<Location>() {
            Ok(location) => format!("{location:?}"),
            Err(error) => error.to_string(),
        };
        insta::assert_snapshot!(shown("postgres://anna:secret@db.example:5433/guard"), @"Location(database `guard` on db.example:5433)");
        insta::assert_snapshot!(shown("postgresql:///guard?host=/run/postgresql&user=anna&password=secret"), @"Location(database `guard` on /run/postgresql)");
        insta::assert_snapshot!(shown("postgres://anna:secret@db:port/guard"), @"read the name of the database: invalid value for option `port`");
        insta::assert_snapshot!(shown("postgres://anna:secret@db/guard?sslmode=secret"), @"read the name of the database: invalid value for option `sslmode`");
        insta::assert_snapshot!(shown("state/tracker.db"), @"Location(state/tracker.db)");
        insta::assert_snapshot!(shown("mysql://anna:secret@db/guard"), @"read the name of the database: it is neither a path nor a URL of PostgreSQL");
        insta::assert_snapshot!(shown(":memory:"), @"read the name of the database: it is neither a path nor a URL of PostgreSQL");
    }
}
