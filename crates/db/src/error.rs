//! What can go wrong with a database, in terms of what to do about it, and not of which engine it was.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

/// Why a database could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The engine refused. What it says itself is the source.
    #[error("{operation}: {trouble}")]
    Engine {
        /// What was being done, to which thing; never with a password in it.
        operation: String,
        /// What kind of refusal it is.
        trouble: Trouble,
        /// The engine's own words.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What was given as the name of a database is none.
    #[error("read the name of the database: {reason}")]
    Location {
        /// What is wrong with it; a URL's password is not repeated.
        reason: String,
    },
    /// The database was made by a newer version.
    #[error("open {database}: its schema is version {found}, and this program knows up to {known}")]
    Newer {
        /// Which database.
        database: String,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// There is something else in it.
    #[error("open {database}: it holds other tables than ours")]
    Foreign {
        /// Which database.
        database: String,
    },
    /// The server would store text in another encoding.
    #[error("open {database}: its encoding is {encoding}, and not UTF8")]
    Encoding {
        /// Which database.
        database: String,
        /// Its encoding, as the server names it.
        encoding: String,
    },
    /// A column does not hold what the code that reads it expects.
    #[error("read column {column}: it holds {found}, and not {wanted}")]
    Column {
        /// Counted from 0.
        column: usize,
        /// What it must hold.
        wanted: &'static str,
        /// What it holds.
        found: &'static str,
    },
    /// A stored value is not one that this version writes.
    #[error("read {what}: {reason}")]
    Content {
        /// Of which thing.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Rows do not have the shape that was given for them.
    #[error("write rows of `{table}`: {reason}")]
    Shape {
        /// Which table.
        table: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The server went away while it was committing: whether it did is not known.
    #[error("write to {database}: the connection was lost while the change was committed")]
    Unknown {
        /// Which database.
        database: String,
    },
    /// A statement of a change had failed, and the change was to be committed all the same.
    #[error("write to {database}: a statement failed, so nothing was changed")]
    Aborted {
        /// Which database.
        database: String,
    },
    /// A file cannot be read or written.
    #[error("{operation}")]
    File {
        /// What was being done, to which file.
        operation: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// Where a file is to be written there is one.
    #[error("write {}: there is something of that name", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// A backup is to be restored into a database that is not empty.
    #[error("restore into {database}: it is not empty")]
    Occupied {
        /// Which database.
        database: String,
    },
    /// A check found something.
    #[error("check {database}: {problem}")]
    Unsound {
        /// Which database.
        database: String,
        /// The first thing that was found.
        problem: String,
    },
    /// There was no connection free for a long time.
    #[error("use {database}: all {connections} connections are busy")]
    Exhausted {
        /// Which database.
        database: String,
        /// How many there are.
        connections: usize,
    },
}

/// Kinds of refusal, by what can be done about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// Somebody else holds what is needed.
    Busy,
    /// Two transactions met; one of them can be done again.
    Serialisation,
    /// No space is left.
    Full,
    /// It may not be written.
    ReadOnly,
    /// What is stored is damaged, or is no database.
    Corrupt,
    /// The file cannot be opened.
    CannotOpen,
    /// Nothing answers at the server's address.
    Refused,
    /// The server does not accept the name or the password.
    Login,
    /// The server has no database of that name.
    Missing,
    /// The server accepts no more connections.
    Crowded,
    /// An encrypted connection was not possible.
    Tls,
    /// The connection was lost.
    Lost,
    /// It took longer than is allowed.
    Timeout,
    /// The user lacks a right.
    Denied,
    /// A row with this key is already there.
    Duplicate,
    /// A row refers to one that is not there, or is referred to.
    Reference,
    /// A row breaks another rule of its table.
    Rule,
    /// A device failed.
    Device,
    /// Anything else: most often a statement that is wrong.
    Other,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the database is locked",
            Self::Serialisation => "it met another change",
            Self::Full => "no space is left",
            Self::ReadOnly => "the database may not be written",
            Self::Corrupt => "it is no database, or damaged",
            Self::CannotOpen => "the file cannot be opened",
            Self::Refused => "the server does not answer",
            Self::Login => "the server does not accept the user or the password",
            Self::Missing => "the server has no such database",
            Self::Crowded => "the server accepts no more connections",
            Self::Tls => "the connection could not be encrypted",
            Self::Lost => "the connection was lost",
            Self::Timeout => "it took too long",
            Self::Denied => "the user may not do this",
            Self::Duplicate => "there is one already",
            Self::Reference => "what it refers to is missing, or it is still referred to",
            Self::Rule => "it breaks a rule of the table",
            Self::Device => "reading or writing the file failed",
            Self::Other => "the database refused it",
        })
    }
}

impl DbError {
    /// What kind of refusal it is, if an engine refused.
    pub fn trouble(&self) -> Option<Trouble> {
        match self {
            Self::Engine { trouble, .. } => Some(*trouble),
            _ => None,
        }
    }

    /// Whether a row with this key was already there.
    pub fn is_duplicate(&self) -> bool {
        self.trouble() == Some(Trouble::Duplicate)
    }

    /// Whether it may well pass, so that the same is worth trying again later.
    pub fn is_transient(&self) -> bool {
        self.is_retried()
            || matches!(self.trouble(), Some(Trouble::Busy | Trouble::Crowded))
            || matches!(self, Self::Exhausted { .. })
    }

    /// Whether the whole transaction is tried again at once.
    pub(crate) fn is_retried(&self) -> bool {
        matches!(self.trouble(), Some(Trouble::Serialisation | Trouble::Lost))
    }

    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Engine { trouble, .. } => trouble.hint(),
            Self::Location { .. } => {
                Some("give a path for SQLite, or postgres://USER@HOST/DATABASE for PostgreSQL")
            }
            Self::Newer { .. } => Some(
                "use the program that made it, or restore the backup that was made before the upgrade",
            ),
            Self::Encoding { .. } => {
                Some("make another: createdb --encoding=UTF8 --template=template0 NAME")
            }
            Self::Foreign { .. } => Some("give an empty database, or a path where no file is"),
            Self::Content { .. } | Self::Column { .. } => Some(
                "run `snowguardd fsck`; if it finds nothing, this is a defect: please report it",
            ),
            Self::Unknown { .. } => Some("look whether the change is there before making it again"),
            Self::Exhausted { .. } => Some("try again; if it lasts, allow more connections"),
            Self::File { .. } => None,
            Self::Exists { .. } => Some("give another name, or move what is there out of the way"),
            Self::Occupied { .. } => {
                Some("give a path where no file is, or a database that was just made")
            }
            Self::Unsound { .. } => {
                Some("keep it, and take an older backup; `snowguardd fsck` tells all that it finds")
            }
            Self::Shape { .. } | Self::Aborted { .. } => Some("this is a defect: please report it"),
        }
    }
}

impl Trouble {
    const fn hint(self) -> Option<&'static str> {
        Some(match self {
            Self::Busy => {
                "another process uses it for long: run one `snowguardd serve` on one SQLite file, or use PostgreSQL"
            }
            Self::Full => {
                "free space on the volume of the database; nothing that was acknowledged is lost"
            }
            Self::ReadOnly => {
                "the user of this process must be able to write the file and its directory; a standby server of PostgreSQL cannot be written"
            }
            Self::Corrupt => {
                "keep the file, run `snowguardd fsck`, and restore a backup into a new one"
            }
            Self::CannotOpen => {
                "the directory must exist, and the user of this process must be able to write there"
            }
            Self::Refused => {
                "look whether the server runs, listens at this address, and is reachable from here (`pg_isready`)"
            }
            Self::Login => "look at user and password of the URL, and at the server's pg_hba.conf",
            Self::Missing => "make it: createdb --encoding=UTF8 NAME",
            Self::Crowded => "raise max_connections of the server, or allow fewer connections here",
            Self::Tls => {
                "look at sslmode and sslrootcert of the URL, and whether the server has `ssl = on` and a certificate for this name"
            }
            Self::Lost => "look at the server's log; what was acknowledged is kept",
            Self::Timeout => {
                "try again when there is less to do; if it lasts, look at the server's load"
            }
            Self::Denied => {
                "give the user the rights to make and use tables: GRANT CREATE, USAGE ON SCHEMA public TO NAME"
            }
            Self::Device => "look at the system's log for errors of the volume",
            Self::Serialisation | Self::Duplicate | Self::Reference | Self::Rule | Self::Other => {
                return None;
            }
        })
    }
}
