//! What programs that were killed left behind: downloads whose names nobody asks for any more, and
//! files that were never finished.

use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use jiff::Timestamp;

/// After how long a file counts as left behind. A download that is gone on with is written to.
const AGE: Duration = Duration::from_hours(48);

/// Removes the files of a directory whose names begin in a way, if nobody has written to them for two
/// days. What cannot be removed stays.
pub(super) fn remove(directory: &Utf8Path, beginning: &str, now: Timestamp) {
    let Ok(entries) = directory.read_dir_utf8() else {
        return;
    };
    for entry in entries.flatten() {
        let is_old = entry.metadata().is_ok_and(|metadata| {
            metadata.is_file()
                && metadata.modified().is_ok_and(|written| {
                    let age = SystemTime::from(now).duration_since(written);
                    age.is_ok_and(|age| age > AGE)
                })
        });
        if is_old && entry.file_name().starts_with(beginning) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
