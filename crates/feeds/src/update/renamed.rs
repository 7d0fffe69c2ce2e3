//! What lies beside an index had other names once: of `advisories.idx`, `advisories.records` and
//! `advisories.feeds`. It is found again under the names of today, so that not all is fetched anew.
#![expect(
    clippy::disallowed_methods,
    reason = "this room owns what lies beside an index"
)]

use std::fs::{self, File};
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

/// How a record store begins, as every file of SQLite does.
const SQLITE: &[u8; 16] = b"SQLite format 3\0";

/// Gives the directory of an index its name of today, with all that is in it, the lock too. What
/// cannot be renamed stays, and another is made.
pub(super) fn directory(index: &Utf8Path, now: &Utf8Path) {
    if let Some(old) = old(index, "feeds", now)
        && old.join("lock").is_file()
    {
        let _ = fs::rename(old, now);
    }
}

/// Gives the record store of an index its name of today. To be called under the lock of updates.
pub(super) fn records(index: &Utf8Path, now: &Utf8Path) -> io::Result<()> {
    let Some(old) = old(index, "records", now) else {
        return Ok(());
    };
    let mut head = [0; SQLITE.len()];
    let read = File::open(&old).and_then(|mut file| file.read_exact(&mut head));
    if read.is_err() || &head != SQLITE {
        return Ok(());
    }
    // What undoes a change that was broken off goes first: whoever is killed in between has lost nothing.
    let journal = |path: &Utf8Path| format!("{path}-journal");
    match fs::rename(journal(&old), journal(now)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(&old, now),
    }
}

/// What has the old name, if it can be of this index and nothing has the new one.
fn old(index: &Utf8Path, ending: &str, now: &Utf8Path) -> Option<Utf8PathBuf> {
    index.extension()?;
    let old = index.with_extension(ending);
    // Today that is the name of what lies beside an index without an ending.
    let is_of_other = index.with_extension("").exists();
    (old != index && !is_of_other && old.exists() && !now.exists()).then_some(old)
}
