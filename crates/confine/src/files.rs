//! Files that were open when this program started.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{FdFlags, fcntl_setfd};

/// Keeps every open file but the standard ones from what this process starts. Whoever started it may have left one open
/// without knowing, and a socket that is of the machine's network leads out of every other one.
pub(crate) fn keep_from_children() -> io::Result<()> {
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let number: Option<RawFd> = name.to_str().and_then(|name| name.parse().ok());
        let Some(number) = number.filter(|number| *number > 2) else {
            continue;
        };
        #[expect(
            unsafe_code,
            reason = "its number is all that is known of a file that was inherited; it is open, since nothing else \
                      runs in this process, and is not closed here"
        )]
        let file = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl_setfd(file, FdFlags::CLOEXEC)?;
    }
    Ok(())
}
