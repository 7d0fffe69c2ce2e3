//! What programs that were killed left behind: downloads whose names nobody asks for any more, and
//! files that were never finished.

use std::io;
use std::time::{Duration, SystemTime};

use camino::Utf8Path;
use jiff::Timestamp;

/// After how long a file counts as left behind. A download that is gone on with is written to.
const AGE: Duration = Duration::from_hours(48);
/// How the name of what says of which file a part is goes on after that of the part.
const OF: &str = ".of";

/// Removes the files of a directory whose names begin in a way, if nobody has written to them for two
/// days. What says of which file a part is goes by that part: it is written once. What cannot be
/// removed stays.
pub(super) fn remove(directory: &Utf8Path, beginning: &str, now: Timestamp) {
    let Ok(entries) = directory.read_dir_utf8() else {
        return;
    };
    for entry in entries.flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if !is_file || !entry.file_name().starts_with(beginning) {
            continue;
        }
        let part = entry.path().as_str().strip_suffix(OF);
        let written = match part.map(|part| written(Utf8Path::new(part))) {
            Some(Ok(part)) => Ok(part),
            _ => written(entry.path()),
        };
        let age = written.map(|written| SystemTime::from(now).duration_since(written));
        if matches!(age, Ok(Ok(age)) if age > AGE) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn written(path: &Utf8Path) -> io::Result<SystemTime> {
    path.symlink_metadata()?.modified()
}
