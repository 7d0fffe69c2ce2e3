//! What the process that serves shows to others, and when it ends.

use std::io;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};
use tokio::sync::oneshot;

/// Keeps the memory of this process from core dumps and from others of its user: the key of a run and all tokens are in
/// it.
pub fn keep_memory() -> io::Result<()> {
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Waits until nobody reads the standard output of this process any more: who started it with a pipe there has ended,
/// however that was.
pub async fn until_unread() {
    let (ended, end) = oneshot::channel();
    std::thread::spawn(move || {
        let stdout = io::stdout();
        // Nothing is asked for but what is told in any case: an error, or the end.
        let is_open = || {
            let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
            poll(&mut polled, None).is_err() || polled[0].revents().is_empty()
        };
        while is_open() {}
        // Who waited may be gone.
        let _ = ended.send(());
    });
    let _ = end.await;
}

#[cfg(test)]
mod tests {
    use rustix::process::dumpable_behavior;

    use super::*;

    #[test]
    fn memory_is_kept() {
        let before = dumpable_behavior().unwrap();
        keep_memory().unwrap();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        // Other tests look at this process.
        set_dumpable_behavior(before).unwrap();
    }
}
