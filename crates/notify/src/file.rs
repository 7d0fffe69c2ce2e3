//! A file with one line of JSON for each change, each once.
#![expect(clippy::disallowed_methods, reason = "this room appends to its file")]

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use serde::Deserialize;
use snowguard_watch::Message;

use crate::{Deliver, DeliverError, document};

/// So much of the end is searched for what may have been written before.
const TAIL: u64 = 16 << 20;

/// Settings: `[notify.file]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Settings {
    /// The file.
    pub path: Utf8PathBuf,
}

/// Appends to a file.
#[derive(Debug)]
pub struct Appender {
    path: Utf8PathBuf,
}

impl Appender {
    /// To the file of the settings.
    pub fn new(settings: Settings) -> Self {
        Self {
            path: settings.path,
        }
    }

    fn append(&self, lines: &[(&str, String)], again: bool) -> io::Result<()> {
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(&self.path)?;
        let mut text = String::from(end_torn_line(&mut file)?);
        let written = if again {
            keys_at_end(&mut file)?
        } else {
            BTreeSet::new()
        };
        for (key, line) in lines {
            if !written.contains(*key) {
                text.push_str(line);
                text.push('\n');
            }
        }
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // The name of a new file is on disk too.
        match self
            .path
            .parent()
            .filter(|parent| *parent != Utf8Path::new(""))
        {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Deliver for Appender {
    fn deliver(&mut self, message: &Message, again: bool) -> Result<(), DeliverError> {
        let cannot = format!("cannot append to {}", self.path);
        let lines =
            document::lines(message).map_err(|source| DeliverError::of(cannot.clone(), source))?;
        self.append(&lines, again).map_err(|source| {
            DeliverError::of(cannot, source).hint("check the directory, its owner and its disk")
        })
    }
}

/// Brings the end of the file to the beginning of a line. A change without an end is the rest of a write
/// that did not come through: nobody was told of it, and it is cut off. What is not ours is ended; gives
/// what ends it.
fn end_torn_line(file: &mut File) -> io::Result<&'static str> {
    let length = file.metadata()?.len();
    let mut end = length;
    let mut buffer = [0; 4096];
    while end > 0 {
        let begin = end.saturating_sub(buffer.len() as u64);
        file.seek(SeekFrom::Start(begin))?;
        let block = &mut buffer[..usize::try_from(end - begin).unwrap_or(0)];
        file.read_exact(block)?;
        if let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            end = begin + at as u64 + 1;
            break;
        }
        end = begin;
    }
    if end == length {
        return Ok("");
    }
    let ours = document::line_begin();
    let mut torn = Vec::new();
    file.seek(SeekFrom::Start(end))?;
    file.take(ours.len() as u64).read_to_end(&mut torn)?;
    if !ours.as_bytes().starts_with(&torn) {
        return Ok("\n");
    }
    file.set_len(end)?;
    Ok("")
}

fn keys_at_end(file: &mut File) -> io::Result<BTreeSet<String>> {
    #[derive(Deserialize)]
    struct Keyed {
        key: String,
    }
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice::<Keyed>(line).ok())
        .map(|line| line.key)
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::tests::message;

    #[test]
    fn each_change_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path())
            .unwrap()
            .join("changes.jsonl");
        let mut appender = Appender::new(Settings { path: path.clone() });
        let read = || std::fs::read_to_string(&path).unwrap();
        appender.deliver(&message(&["a", "b"]), false).unwrap();
        let whole = read();
        assert_eq!(whole.lines().count(), 2);
        // It was told, and nobody noted that.
        appender.deliver(&message(&["a", "b"]), true).unwrap();
        assert_eq!(read(), whole);
        // Ended in the middle of a line.
        std::fs::write(&path, &whole[..whole.len() - 10]).unwrap();
        appender.deliver(&message(&["a", "b"]), true).unwrap();
        assert_eq!(read(), whole);
        // And in the middle of the first.
        std::fs::write(&path, &whole[..10]).unwrap();
        appender.deliver(&message(&["a", "b"]), true).unwrap();
        assert_eq!(read(), whole);
    }

    #[test]
    fn what_others_wrote_stays() {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(directory.path()).unwrap().join("notes");
        let mut appender = Appender::new(Settings { path: path.clone() });
        for theirs in [
            "notes of mine",
            "{\"schema\":\"another/1\"}",
            "{\"schema\":\"snowguard-changes",
        ] {
            std::fs::write(&path, format!("first\n{theirs}")).unwrap();
            appender.deliver(&message(&["a"]), true).unwrap();
            let text = std::fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            assert_eq!(
                (lines[..2].to_vec(), lines.len()),
                (vec!["first", theirs], 3)
            );
        }
    }

    #[test]
    fn where_it_cannot_be() {
        let mut appender = Appender::new(Settings {
            path: "/nowhere/at/all".into(),
        });
        let error = appender.deliver(&message(&["a"]), false).unwrap_err();
        assert_eq!(error.what, "cannot append to /nowhere/at/all");
    }
}
