//! What is still to be sent, as files that survive whatever happens to the process.
//!
//! A file is written beside its place, synced, renamed, and its directory synced; so there is all of it
//! or nothing. Names sort by age. There is room for so many and no more: a machine that cannot reach its
//! receiver for months keeps its newest results.
#![expect(clippy::disallowed_methods, reason = "this room owns the spool")]

use std::fs::{self, File};
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::failure::Failure;

/// How many results are kept.
pub(crate) const MAX_FILES: usize = 64;
/// How many bytes they may have in all.
const MAX_BYTES: u64 = 256 << 20;
/// How many refused results are kept, for whoever looks why.
const MAX_ASIDE: usize = 8;
/// Names the last results that were taken, each on a line, the newest last.
const LAST: &str = "last-sent";
/// How many of them: the latest of every target is among these.
const MAX_NAMED: usize = 2 * MAX_FILES;

/// The directory of one sender.
pub(crate) struct Spool {
    directory: Utf8PathBuf,
    aside: Utf8PathBuf,
    state: Utf8PathBuf,
    // Held as long as this lives: two senders would send twice and count wrongly.
    _lock: File,
}

/// A result that is still to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// By what the receiver knows it again.
    pub(crate) id: String,
    name: String,
    bytes: u64,
}

impl Spool {
    /// Opens the spool in a state directory, and makes it if there is none.
    pub(crate) fn open(state: &Utf8Path) -> Result<Self, Failure> {
        let directory = state.join("spool");
        let aside = state.join("refused");
        for path in [&directory, &aside] {
            fs::create_dir_all(path).map_err(|source| {
                Failure::new(source)
                    .context(format!("cannot make {path}"))
                    .hint("`--state` takes a directory that this user may write")
            })?;
        }
        let lock = state.join("lock");
        let file = File::create(&lock).map_err(|source| failed("write", &lock, source))?;
        file.try_lock().map_err(|_| {
            Failure::message(format!("another snowguardd push is at work in {state}"))
                .hint("wait until it has ended")
        })?;
        Ok(Self {
            directory,
            aside,
            state: state.to_owned(),
            _lock: file,
        })
    }

    /// Whether that result was one of the last to be taken.
    pub(crate) fn was_sent(&self, id: &str) -> Result<bool, Failure> {
        Ok(self.last_sent()?.iter().any(|sent| sent == id))
    }

    /// Whether that result is among those that were refused.
    pub(crate) fn was_refused(&self, id: &str) -> Result<bool, Failure> {
        Ok(entries(&self.aside)?.iter().any(|entry| entry.id == id))
    }

    fn last_sent(&self) -> Result<Vec<String>, Failure> {
        let path = self.state.join(LAST);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(failed("read", &path, source)),
        }
    }

    /// Puts a result behind all others, unless it is there. Gives how many older ones had to go.
    pub(crate) fn put(&mut self, id: &str, bytes: &[u8]) -> Result<usize, Failure> {
        let mut waiting = self.waiting()?;
        if waiting.iter().any(|entry| entry.id == id) {
            return Ok(0);
        }
        let number = waiting.last().map_or(1, |entry| entry.number() + 1);
        write(&self.directory, &format!("{number:012}-{id}.json"), bytes)?;
        let mut dropped = 0;
        let mut total: u64 = bytes.len() as u64 + waiting.iter().map(|e| e.bytes).sum::<u64>();
        while !waiting.is_empty() && (waiting.len() + 1 > MAX_FILES || total > MAX_BYTES) {
            let oldest = waiting.remove(0);
            total -= oldest.bytes;
            self.remove(&oldest)?;
            dropped += 1;
        }
        Ok(dropped)
    }

    /// What is to be sent, the oldest first.
    pub(crate) fn waiting(&self) -> Result<Vec<Entry>, Failure> {
        entries(&self.directory)
    }

    /// What a result is.
    pub(crate) fn read(&self, entry: &Entry) -> Result<Vec<u8>, Failure> {
        let path = self.directory.join(&entry.name);
        fs::read(&path).map_err(|source| failed("read", &path, source))
    }

    /// A result was taken. That is written down before it goes, so that it is not signed again.
    pub(crate) fn sent(&mut self, entry: &Entry) -> Result<(), Failure> {
        let mut sent = self.last_sent()?;
        sent.retain(|id| *id != entry.id);
        sent.push(entry.id.clone());
        let from = sent.len().saturating_sub(MAX_NAMED);
        write(&self.state, LAST, sent[from..].join("\n").as_bytes())?;
        self.remove(entry)
    }

    /// A result will never be taken.
    pub(crate) fn set_aside(&mut self, entry: &Entry) -> Result<(), Failure> {
        let (from, to) = (
            self.directory.join(&entry.name),
            self.aside.join(&entry.name),
        );
        fs::rename(&from, &to).map_err(|source| failed("move", &from, source))?;
        let aside = entries(&self.aside)?;
        for old in aside.iter().take(aside.len().saturating_sub(MAX_ASIDE)) {
            let path = self.aside.join(&old.name);
            fs::remove_file(&path).map_err(|source| failed("remove", &path, source))?;
        }
        Ok(())
    }

    fn remove(&self, entry: &Entry) -> Result<(), Failure> {
        let path = self.directory.join(&entry.name);
        fs::remove_file(&path).map_err(|source| failed("remove", &path, source))
    }
}

impl Entry {
    fn number(&self) -> u64 {
        let digits = self.name.split('-').next().unwrap_or_default();
        digits.parse().unwrap_or(0)
    }
}

fn entries(directory: &Utf8Path) -> Result<Vec<Entry>, Failure> {
    let failed = |source| failed("read", directory, source);
    let mut found = Vec::new();
    for entry in directory.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        // What begins with a dot was being written when something ended the process.
        let id = name
            .strip_suffix(".json")
            .and_then(|name| name.split_once('-'))
            .filter(|(number, _)| number.bytes().all(|byte| byte.is_ascii_digit()));
        if let Some((_, id)) = id {
            found.push(Entry {
                id: id.to_owned(),
                bytes: entry.metadata().map_err(failed)?.len(),
                name: name.to_owned(),
            });
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Writes a file so that all of it is there, or nothing.
fn write(directory: &Utf8Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let beside = directory.join(".new");
    let path = directory.join(name);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, &path)?;
        File::open(directory)?.sync_all()
    })();
    written.map_err(|source| failed("write", &path, source))
}

fn failed(what: &str, path: &Utf8Path, source: io::Error) -> Failure {
    Failure::new(source).context(format!("cannot {what} {path}"))
}
