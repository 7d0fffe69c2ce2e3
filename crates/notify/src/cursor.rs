//! Up to which change a notifier has told, in a file of its own that survives `kill -9`.
//!
//! What is to be told next is noted before it is told. Who is ended in between tells the very same
//! message again, with the same key.
#![expect(clippy::disallowed_methods, reason = "this room owns the cursor")]

use std::fs::File;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

const SCHEMA: &str = "snowguard-cursor/1";

/// Where a notifier stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    schema: String,
    /// Of which history.
    pub instance: String,
    /// Every change up to this number is told, or need not be.
    pub told: i64,
    /// The changes up to this number are being told.
    pub telling: Option<i64>,
    /// Which of them: another policy makes no other message of the same. None of a version that did not
    /// note that.
    #[serde(default)]
    pub chosen: Option<Vec<i64>>,
    /// The changes up to this number are not gathered any longer, however many messages they take.
    #[serde(default)]
    pub wave: i64,
    /// While these are told, a message has at most so many of them: its receiver took no longer one.
    #[serde(default)]
    pub most: Option<usize>,
    /// Since when the message that is being told is refused.
    #[serde(default)]
    pub refused_since: Option<Timestamp>,
    /// A new notifier begins with what is there; this says that it has.
    pub greeted: bool,
    /// When it last told something.
    pub last: Option<Timestamp>,
}

/// Why the cursor cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// It cannot be read or written.
    #[error("cannot {what} {path}")]
    Io {
        /// Read or write.
        what: &'static str,
        /// The file.
        path: Utf8PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is something else.
    #[error("{path} is not the state of a notifier")]
    Other {
        /// The file.
        path: Utf8PathBuf,
    },
}

impl CursorError {
    /// What to do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Io { .. } => "`--state` takes a directory that this user may write",
            Self::Other { .. } => "move it away: the notifier then begins with what is there now",
        }
    }
}

impl Cursor {
    /// Of a history that this notifier has not seen, whose changes up to a number are old.
    pub fn new(instance: &str, told: i64) -> Self {
        Self {
            schema: SCHEMA.into(),
            instance: instance.into(),
            told,
            telling: None,
            chosen: None,
            wave: 0,
            most: None,
            refused_since: None,
            greeted: told == 0,
            last: None,
        }
    }

    /// Reads it; none where the notifier is new.
    pub fn load(directory: &Utf8Path) -> Result<Option<Self>, CursorError> {
        let path = path(directory);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(CursorError::Io {
                    what: "read",
                    path,
                    source,
                });
            }
        };
        serde_json::from_str(&text)
            .ok()
            .filter(|cursor: &Self| cursor.schema == SCHEMA)
            .map(Some)
            .ok_or(CursorError::Other { path })
    }

    /// Replaces it as a whole; it is on disk before this returns.
    pub fn save(&self, directory: &Utf8Path) -> Result<(), CursorError> {
        let path = path(directory);
        let write = || -> io::Result<()> {
            let beside = directory.join(".cursor.json");
            let mut file = File::create(&beside)?;
            serde_json::to_writer(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            File::open(directory)?.sync_all()
        };
        write().map_err(|source| CursorError::Io {
            what: "write",
            path: path.clone(),
            source,
        })
    }
}

fn path(directory: &Utf8Path) -> Utf8PathBuf {
    directory.join("cursor.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(directory.path()).unwrap();
        assert_eq!(Cursor::load(root).unwrap(), None);
        let cursor = Cursor {
            telling: Some(9),
            chosen: Some(vec![8, 9]),
            ..Cursor::new("i", 7)
        };
        cursor.save(root).unwrap();
        assert_eq!(Cursor::load(root).unwrap(), Some(cursor));
        // Of the version before.
        let before = r#"{"schema":"snowguard-cursor/1","instance":"i","told":7,"telling":9,"greeted":true,"last":null}"#;
        std::fs::write(path(root), before).unwrap();
        assert_eq!(Cursor::load(root).unwrap().unwrap().telling, Some(9));
        std::fs::write(path(root), "{}").unwrap();
        assert!(matches!(Cursor::load(root), Err(CursorError::Other { .. })));
        assert!(Cursor::new("i", 0).greeted);
    }
}
