//! Backups while the service runs, and their restoring.
//!
//! A backup is one SQLite file, of whichever engine: it can be looked at with every SQLite, served as it is, and restored
//! into either engine. It is one state of the database. It is written beside its name, checked, and then renamed, so
//! that a file of that name is a whole backup.

mod copy;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

pub use self::copy::Copied;
use crate::engine::{Database, Location, Session, Settings, file};
use crate::error::DbError;
use crate::fsck;
use crate::schema;

/// What a backup or a restoring has done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "it tells what does not hold in the backup"]
pub struct Done {
    /// Bytes of the backup's file.
    pub bytes: u64,
    /// The version of the schema in it.
    pub schema: u32,
    /// What does not hold of the rows in it. It can be used all the same: each has its remedy.
    pub problems: Vec<fsck::Problem>,
}

impl Database {
    /// Writes a backup to a path where nothing is yet. Others read and write meanwhile; what they write after the
    /// beginning is not in it.
    pub fn backup(&self, path: &Path) -> Result<Done, DbError> {
        vacant(path)?;
        let partial = Partial::beside(path);
        match self.path() {
            Some(source) => file::copy(source, &partial.path)?,
            None => {
                let target = Self::open_with(&Location::file(&partial.path), Settings::default())?;
                self.read(|from| target.write(|to| copy::all(from, to)))?;
            }
        }
        file::alone(&partial.path)?;
        let done = checked(&partial.path)?;
        partial.keep(path)?;
        Ok(done)
    }
}

/// Restores a backup into a place where nothing is yet: a path without a file, or a PostgreSQL database without rows. An
/// older backup is brought to the present schema.
pub fn restore(backup: &Path, into: &Location) -> Result<Done, DbError> {
    let done = checked(backup)?;
    match into.path() {
        Some(path) => {
            vacant(path)?;
            let partial = Partial::beside(path);
            file::copy(backup, &partial.path)?;
            file::alone(&partial.path)?;
            partial.keep(path)?;
        }
        None => {
            let target = Database::connect(into, Settings::default())?;
            schema::to(&target, done.schema)?;
            file::read(backup, |from| {
                target.write(|to| {
                    if schema::found(to)? != Some(done.schema) || !copy::is_empty(to)? {
                        return Err(DbError::Occupied {
                            database: target.to_string(),
                        });
                    }
                    copy::all(from, to)
                })
            })?;
        }
    }
    // Brings it forward, and shows that it can be used.
    Database::open_with(into, Settings::default())?;
    Ok(done)
}

/// Looks whether a backup can be relied on: that it is ours, whole, and of a version that is known; and what does not hold
/// of its rows.
pub fn checked(backup: &Path) -> Result<Done, DbError> {
    let name = backup.display().to_string();
    file::is_ours(backup)?;
    let (schema, problems) = file::read(backup, |session: &mut dyn Session| {
        let found = schema::found(session)?;
        let Some(schema) = found else {
            return Err(DbError::Foreign {
                database: name.clone(),
            });
        };
        if schema > schema::VERSION {
            return Err(DbError::Newer {
                database: name.clone(),
                found: schema,
                known: schema::VERSION,
            });
        }
        if let Some(problem) = fsck::engine(session)?.first() {
            return Err(DbError::Unsound {
                database: name.clone(),
                problem: problem.to_string(),
            });
        }
        // The checks are those of the present schema.
        let problems = if schema == schema::VERSION {
            fsck::rows(session)?
        } else {
            Vec::new()
        };
        Ok((schema, problems))
    })?;
    let bytes = fs::metadata(backup)
        .map_err(|source| DbError::File {
            operation: format!("look at {name}"),
            source,
        })?
        .len();
    Ok(Done {
        bytes,
        schema,
        problems,
    })
}

fn vacant(path: &Path) -> Result<(), DbError> {
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(DbError::File {
            operation: format!("look at {}", path.display()),
            source,
        }),
        Ok(_) => Err(DbError::Exists {
            path: path.to_owned(),
        }),
    }
}

/// A file that is gone unless it is kept.
struct Partial {
    path: PathBuf,
}

impl Partial {
    fn beside(path: &Path) -> Self {
        let mut name = path.as_os_str().to_owned();
        name.push(".partial");
        let partial = Self { path: name.into() };
        // What an interrupted run left.
        partial.remove();
        partial
    }

    fn remove(&self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.path.as_os_str().to_owned();
            name.push(end);
            let _ = fs::remove_file(name);
        }
    }

    /// Gives it its name, so that it has it also after a power loss.
    #[expect(
        clippy::disallowed_methods,
        reason = "this room owns the files of databases"
    )]
    fn keep(self, path: &Path) -> Result<(), DbError> {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(&self.path)
            .and_then(|file| file.sync_all())
            .and_then(|()| named(&self.path, path))
            .and_then(|()| File::open(directory)?.sync_all())
            .map_err(|source| DbError::File {
                operation: format!("give {} its name", path.display()),
                source,
            })
    }
}

/// Gives a file another name, over nothing.
fn named(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // Not every file system has links; `vacant` has looked a moment ago.
        Err(_) => fs::rename(from, to),
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        self.remove();
    }
}
