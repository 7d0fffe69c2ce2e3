//! Messages that a receiver refused for good, for whoever looks why: `refused/` in the state of a notifier.
#![expect(clippy::disallowed_methods, reason = "this room owns these files")]

use std::fs::File;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use snowguard_watch::Message;

use crate::{CursorError, document};

/// How many are kept.
const MOST: usize = 64;

/// Keeps a message as it was sent, and lets the oldest go where there are too many. Gives the file; it
/// is on disk before this returns.
pub fn keep(state: &Utf8Path, message: &Message) -> Result<Utf8PathBuf, CursorError> {
    let directory = state.join("refused");
    let last = message.changes.last().map_or(0, |event| event.seq);
    let path = directory.join(format!("{last:012}-{}.json", message.key));
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        let beside = directory.join(".new");
        let mut file = File::create(&beside)?;
        file.write_all(document::document(message)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        File::open(&directory)?.sync_all()?;
        // Their names sort by age.
        let mut kept: Vec<Utf8PathBuf> = directory
            .read_dir_utf8()?
            .map(|entry| entry.map(camino::Utf8DirEntry::into_path))
            .collect::<io::Result<_>>()?;
        kept.retain(|path| path.extension() == Some("json"));
        kept.sort();
        for old in kept.iter().take(kept.len().saturating_sub(MOST)) {
            std::fs::remove_file(old)?;
        }
        Ok(())
    };
    write().map_err(|source| CursorError::Io {
        what: "write",
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notifier::tests::message;

    #[test]
    fn the_newest_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let state = Utf8Path::from_path(directory.path()).unwrap();
        let mut message = message(&["1"]);
        let mut kept = Vec::new();
        for seq in 0..MOST + 2 {
            message.changes[0].seq = i64::try_from(seq).unwrap();
            kept.push(keep(state, &message).unwrap());
        }
        let there: Vec<bool> = kept.iter().map(|path| path.exists()).collect();
        assert_eq!(there[..3], [false, false, true]);
        let text = std::fs::read_to_string(&kept[2]).unwrap();
        assert_eq!(
            text,
            document::document(&{
                message.changes[0].seq = 2;
                message
            })
            .unwrap()
        );
    }
}
