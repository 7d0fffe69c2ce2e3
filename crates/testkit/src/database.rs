//! Empty databases for tests of storage: a SQLite file, and a database of the scratch PostgreSQL.

use std::io;

use tempfile::TempDir;

use crate::postgres::{Cluster, PostgresError};

/// An empty database, gone after the test.
#[derive(Debug)]
pub struct Scratch {
    name: String,
    directory: Option<TempDir>,
}

impl Scratch {
    /// A file that is not there yet.
    pub fn sqlite() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("snowguard-db-").tempdir()?;
        Ok(Self {
            name: directory.path().join("test.db").display().to_string(),
            directory: Some(directory),
        })
    }

    /// A database of the cluster that the tests of this program share.
    pub fn postgres() -> Result<Self, PostgresError> {
        Ok(Self {
            name: Cluster::shared()?.database()?,
            directory: None,
        })
    }

    /// A path or a URL, as `Database::open` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the file is; nothing for a server.
    pub fn directory(&self) -> Option<&std::path::Path> {
        self.directory.as_ref().map(TempDir::path)
    }
}

/// Runs each body on SQLite and on PostgreSQL, as two tests: `on_both_engines! { fn name(db) { … } }`, where `db` is a
/// `&snowguard_db::Database` with the present schema and nothing in it.
#[macro_export]
macro_rules! on_both_engines {
    ($($(#[$meta:meta])* fn $name:ident($database:ident) $body:block)*) => {$(
        $(#[$meta])*
        #[cfg(test)]
        mod $name {
            use super::*;

            fn check($database: &::snowguard_db::Database) $body

            #[test]
            fn sqlite() {
                let scratch = $crate::database::Scratch::sqlite().expect("a scratch directory");
                check(&::snowguard_db::Database::open(scratch.name()).expect("a database"));
            }

            #[test]
            fn postgres() {
                let scratch = $crate::database::Scratch::postgres().expect("a PostgreSQL");
                check(&::snowguard_db::Database::open(scratch.name()).expect("a database"));
            }
        }
    )*};
}
