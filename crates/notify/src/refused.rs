//! Messages that a receiver refused until they were given up, for whoever looks why: `refused/` in the state of a notifier.
#![expect(clippy::disallowed_methods, reason = "this room owns these files")]

use std::fs::File;
use std::io::{self, Write as _};

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use snowguard_watch::Message;

use crate::{CursorError, document};

/// How many are kept.
const MOST: usize = 64;

/// Keeps a message as it was sent, and lets the oldest go where there are too many. Gives the file; it
/// is on disk before this returns.
pub fn keep(
    state: &Utf8Path,
    message: &Message,
    now: Timestamp,
) -> Result<Utf8PathBuf, CursorError> {
    let directory = state.join("refused");
    // The numbers of changes begin again with the history; time goes on.
    let time = now.strftime("%Y%m%dT%H%M%S%.6fZ");
    let path = directory.join(format!("{time}-{}.json", message.key));
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(&directory)?;
        let beside = directory.join(".new");
        let mut file = File::create(&beside)?;
        file.write_all(document::document(message)?.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)?;
        File::open(&directory)?.sync_all()?;
        // Their names sort by age. A clock that was set back is no reason to lose the one just kept.
        let mut kept: Vec<Utf8PathBuf> = directory
            .read_dir_utf8()?
            .map(|entry| entry.map(camino::Utf8DirEntry::into_path))
            .collect::<io::Result<_>>()?;
        kept.retain(|kept| kept.extension() == Some("json") && *kept != path);
        kept.sort();
        for old in kept.iter().take((kept.len() + 1).saturating_sub(MOST)) {
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
        let at = |second: usize| Timestamp::from_second(i64::try_from(second).unwrap()).unwrap();
        let mut kept = Vec::new();
        // The history was begun anew half way.
        for second in 0..MOST + 2 {
            message.changes[0].seq = i64::try_from(second % (MOST / 2)).unwrap();
            kept.push(keep(state, &message, at(second)).unwrap());
        }
        let there: Vec<bool> = kept.iter().map(|path| path.exists()).collect();
        assert_eq!(there[..3], [false, false, true]);
        assert!(there[2..].iter().all(|there| *there));
        let text = std::fs::read_to_string(kept.last().unwrap()).unwrap();
        assert_eq!(text, document::document(&message).unwrap());
        // The clock was set back.
        let last = keep(state, &message, at(0)).unwrap();
        assert!(last.exists() && !kept[2].exists() && kept[3].exists());
    }
}
