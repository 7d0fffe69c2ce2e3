//! How much of the disk all that is under way may take together.
//!
//! Nobody waits for more while having some: two could wait for each other for ever. Who gets no more gives back what it
//! has and begins again, once it can have all; what does not suffice then never will.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often who waits looks whether somebody wants an end.
const GLANCE: Duration = Duration::from_millis(50);
/// How much is taken at once, so that not each piece asks.
const STEP: u64 = 1 << 20;
/// The largest total that is taken by itself.
const MOST: u64 = 64 << 30;

/// Bytes of a disk, for all that is under way.
#[derive(Clone, Debug)]
pub struct Space(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    total: u64,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// How many have some of it, or may take some.
    inside: usize,
    /// How many want all of it. While one does, nobody new comes in.
    want_all: usize,
    /// Whether one has all of it.
    has_all: bool,
}

/// What one has of it; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    inner: Arc<Inner>,
    /// Whether it came in, or takes nothing.
    is_inside: bool,
    has_all: bool,
    held: AtomicU64,
    refused: AtomicBool,
    /// Somebody wants an end.
    stop: Arc<AtomicBool>,
    stopped: AtomicBool,
}

/// There is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoRoom;

impl From<NoRoom> for io::Error {
    fn from(_: NoRoom) -> Self {
        Self::other("there is no more room")
    }
}

impl Space {
    /// So many bytes.
    pub fn new(total: u64) -> Self {
        Self(Arc::new(Inner {
            total,
            state: Mutex::default(),
            changed: Condvar::new(),
        }))
    }

    /// Three quarters of what is free where a directory is, at most 64 GiB: who asks for more than there is fills the
    /// disk for everybody.
    pub fn of(directory: &Path) -> io::Result<Self> {
        let found = rustix::fs::statvfs(directory)?;
        let free = found.f_bavail.saturating_mul(found.f_frsize);
        Ok(Self::new((free / 4 * 3).min(MOST)))
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.0.total
    }

    /// Comes in, once nobody wants or has all of it; none if somebody wants an end.
    pub(crate) fn enter(&self, stop: &Arc<AtomicBool>) -> Option<Share> {
        let mut state = self.wait(stop, |state| state.want_all == 0 && !state.has_all)?;
        state.inside += 1;
        Some(self.share(true, false, stop))
    }

    /// Comes in alone, once all others are out; none if somebody wants an end.
    pub(crate) fn enter_alone(&self, stop: &Arc<AtomicBool>) -> Option<Share> {
        self.0.state().want_all += 1;
        let found = self.wait(stop, |state| state.inside == 0);
        let Some(mut state) = found else {
            self.0.state().want_all -= 1;
            self.0.changed.notify_all();
            return None;
        };
        state.want_all -= 1;
        state.inside = 1;
        state.has_all = true;
        Some(self.share(true, true, stop))
    }

    /// For who takes nothing, and waits for nobody.
    pub(crate) fn nothing(&self, stop: &Arc<AtomicBool>) -> Share {
        self.share(false, false, stop)
    }

    fn share(&self, is_inside: bool, has_all: bool, stop: &Arc<AtomicBool>) -> Share {
        Share {
            inner: Arc::clone(&self.0),
            is_inside,
            has_all,
            held: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            stop: Arc::clone(stop),
            stopped: AtomicBool::new(false),
        }
    }

    fn wait(
        &self,
        stop: &AtomicBool,
        is_free: impl Fn(&State) -> bool,
    ) -> Option<MutexGuard<'_, State>> {
        let mut state = self.0.state();
        loop {
            if stop.load(Ordering::Relaxed) {
                return None;
            }
            if is_free(&state) {
                return Some(state);
            }
            state = self
                .0
                .changed
                .wait_timeout(state, GLANCE)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Takes more, at once or not at all.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), NoRoom> {
        let mut state = self.inner.state();
        match state.used.checked_add(bytes) {
            Some(used) if used <= self.inner.total && self.is_inside => state.used = used,
            _ => {
                self.refused.store(true, Ordering::Relaxed);
                return Err(NoRoom);
            }
        }
        self.held.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Takes as much as is missing to so many.
    pub(crate) fn take_up_to(&self, bytes: u64) -> Result<(), NoRoom> {
        match bytes.saturating_sub(self.held.load(Ordering::Relaxed)) {
            0 => Ok(()),
            missing => self.take(missing),
        }
    }

    /// Gives some back.
    fn give(&self, bytes: u64) {
        self.held.fetch_sub(bytes, Ordering::Relaxed);
        let mut state = self.inner.state();
        state.used = state.used.saturating_sub(bytes);
    }

    /// Whether it wanted more than there was.
    pub(crate) fn is_refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }

    /// What was refused was of no importance.
    pub(crate) fn forgive(&self) {
        self.refused.store(false, Ordering::Relaxed);
    }

    /// Fails once somebody wants an end: whoever reads or writes gives up then, however much is left.
    fn go_on(&self) -> io::Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            self.stopped.store(true, Ordering::Relaxed);
            // Not the kind of that name, after which everybody tries again.
            return Err(io::Error::other("somebody wants an end"));
        }
        Ok(())
    }

    /// Whether something was broken off since somebody wants an end. What is said of it then says nothing.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Why there was no more.
    pub(crate) fn why(&self) -> String {
        let total = self.inner.total;
        format!("it takes more disk than the {total} bytes that all may take together")
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.is_inside {
            let mut state = self.inner.state();
            state.used = state.used.saturating_sub(self.held.load(Ordering::Relaxed));
            state.inside = state.inside.saturating_sub(1);
            if self.has_all {
                state.has_all = false;
            }
        }
        self.inner.changed.notify_all();
    }
}

/// A file without a name, as large as there is room. All that is unpacked, hashed and compared goes through one.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    share: Arc<Share>,
    at: u64,
    /// How much was taken for it.
    taken: u64,
}

impl Held {
    /// An empty one.
    pub(crate) fn new(directory: &Path, share: &Arc<Share>) -> io::Result<Self> {
        Ok(Self {
            file: tempfile::tempfile_in(directory)?,
            share: Arc::clone(share),
            at: 0,
            taken: 0,
        })
    }

    /// Takes room for so many bytes before they come.
    pub(crate) fn expect(&mut self, length: u64) -> Result<(), NoRoom> {
        if length > self.taken {
            self.share.take(length - self.taken)?;
            self.taken = length;
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share.give(self.taken);
    }
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.share.go_on()?;
        let count = self.file.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.share.go_on()?;
        let end = self.at.saturating_add(bytes.len() as u64);
        if end > self.taken {
            let wanted = end.max(self.taken.saturating_add(STEP));
            // The last of what there is need not be a whole step.
            if self.expect(wanted).is_err() {
                self.share.forgive();
                self.expect(end)?;
            }
        }
        let count = self.file.write(bytes)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Seek for Held {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_all_waits_for_all_others_and_nobody_comes_between() {
        let (space, stop) = (Space::new(10 << 20), Arc::default());
        let first = space.enter(&stop).unwrap();
        first.take(8 << 20).unwrap();
        let second = space.enter(&stop).unwrap();
        second.take(1 << 20).unwrap();
        assert_eq!(second.take(2 << 20), Err(NoRoom));
        assert!(second.is_refused() && !second.has_all);
        drop(second);
        std::thread::scope(|scope| {
            let alone = scope.spawn(|| {
                let share = space.enter_alone(&stop).unwrap();
                assert!(share.has_all);
                share.take(10 << 20).unwrap();
                assert_eq!(share.take(1), Err(NoRoom));
            });
            while space.0.state().want_all == 0 {
                std::thread::yield_now();
            }
            let late = scope.spawn(|| {
                let share = space.enter(&stop).unwrap();
                share.take(10 << 20).unwrap();
            });
            assert_eq!(space.0.state().inside, 1);
            drop(first);
            alone.join().unwrap();
            late.join().unwrap();
        });
        assert_eq!(space.0.state().used, 0);
        stop.store(true, Ordering::Relaxed);
        assert!(space.enter(&stop).is_none());
        assert!(space.enter_alone(&stop).is_none());
        assert_eq!(space.0.state().want_all, 0);
    }

    #[test]
    fn a_file_takes_what_it_has_and_gives_it_back() {
        let directory = tempfile::tempdir().unwrap();
        let (space, stop) = (Space::new((1 << 20) + 10), Arc::default());
        let share = Arc::new(space.enter(&stop).unwrap());
        let mut file = Held::new(directory.path(), &share).unwrap();
        file.write_all(b"abc").unwrap();
        assert_eq!(space.0.state().used, 1 << 20);
        file.write_all(&vec![0; (1 << 20) + 7]).unwrap();
        assert_eq!(space.0.state().used, (1 << 20) + 10);
        assert!(!share.is_refused());
        assert!(file.write_all(b"a").is_err());
        assert!(share.is_refused());
        // What lies there already takes no more.
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(b"xyz").unwrap();
        drop((file, share));
        assert_eq!(space.0.state().used, 0);
        assert!(Space::of(directory.path()).unwrap().total() > 0);
    }

    #[test]
    fn who_takes_nothing_gets_nothing() {
        let space = Space::new(10);
        assert_eq!(space.nothing(&Arc::default()).take(1), Err(NoRoom));
    }

    #[test]
    fn who_wants_an_end_waits_for_no_hash() {
        let directory = tempfile::tempdir().unwrap();
        let (space, stop) = (Space::new(10 << 20), Arc::new(AtomicBool::new(false)));
        let share = Arc::new(space.enter(&stop).unwrap());
        let scratch = (directory.path(), &share);
        let limits = snowguard_archive::Limits::default();
        let mut builder = crate::tree::builder(scratch, limits).unwrap();
        builder.file(b"a", false, 3, &mut &b"abc"[..]).unwrap();
        let mut tree = builder.finish();
        let algo = snowguard_store::HashAlgo::Sha256;
        tree.nar_digest(algo).unwrap();
        assert!(!share.is_stopped());
        stop.store(true, Ordering::Relaxed);
        assert!(tree.nar_digest(algo).is_err());
        assert!(tree.swhid().is_err());
        assert!(share.is_stopped());
        let mut file = Held::new(directory.path(), &share).unwrap();
        assert!(file.write_all(b"abc").is_err());
    }
}
