//! Places of connections: a quarter for those that are nobody's yet, of which the one that is idle for longest makes
//! room for the next, and the rest for those of builds.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All places.
pub(crate) struct Room {
    of_builds: Arc<Semaphore>,
    most_strangers: usize,
    strangers: Mutex<Strangers>,
}

#[derive(Default)]
struct Strangers {
    count: usize,
    next: u64,
    /// Those that nothing is done for, the oldest first; how each is told that its place is another's.
    idle: BTreeMap<u64, Arc<Notify>>,
}

impl Room {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        let most_strangers = (most / 4).max(1);
        Arc::new(Self {
            of_builds: Arc::new(Semaphore::new(most.saturating_sub(most_strangers).max(1))),
            most_strangers,
            strangers: Mutex::default(),
        })
    }

    /// A place for a connection of a build.
    pub(crate) fn of_build(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.of_builds).try_acquire_owned().ok()
    }

    /// A place for a connection of which nobody knows whose it is, and that is idle to begin with; none where all of
    /// these are at work.
    pub(crate) fn of_stranger(self: &Arc<Self>) -> Option<Stranger> {
        let mut strangers = self.strangers();
        if strangers.count < self.most_strangers {
            strangers.count += 1;
        } else {
            let (_, oldest) = strangers.idle.pop_first()?;
            oldest.notify_one();
        }
        let told = Arc::new(Notify::new());
        Some(Stranger {
            room: Arc::clone(self),
            idle: Some(strangers.rest(&told)),
            is_gone: false,
            told,
        })
    }

    fn strangers(&self) -> MutexGuard<'_, Strangers> {
        self.strangers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Strangers {
    /// One more that is idle; its number among these.
    fn rest(&mut self, told: &Arc<Notify>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.idle.insert(number, Arc::clone(told));
        number
    }
}

/// A place of a connection that is nobody's yet.
pub(crate) struct Stranger {
    room: Arc<Room>,
    /// By which number it is among the idle ones.
    idle: Option<u64>,
    /// Whether its place is another's.
    is_gone: bool,
    told: Arc<Notify>,
}

impl Stranger {
    /// From now on it may have to make room; what tells so.
    pub(crate) fn rest(&mut self) -> Arc<Notify> {
        if self.idle.is_none() && !self.is_gone {
            self.idle = Some(self.room.strangers().rest(&self.told));
        }
        Arc::clone(&self.told)
    }

    /// From now on it need not; false if its place is another's by now.
    pub(crate) fn work(&mut self) -> bool {
        if let Some(number) = self.idle.take() {
            self.is_gone = self.room.strangers().idle.remove(&number).is_none();
        }
        !self.is_gone
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if self.work() {
            self.room.strangers().count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_make_room_for_each_other_and_take_none_of_builds() {
        let room = Room::new(8);
        let mut first = room.of_stranger().unwrap();
        let mut second = room.of_stranger().unwrap();
        assert!(first.work() && second.work());
        assert!(room.of_stranger().is_none(), "both are at work");
        first.rest();
        second.rest();
        // Who was at work in between is idle for less long.
        assert!(first.work());
        first.rest();
        let mut third = room.of_stranger().unwrap();
        assert!(!second.work() && first.work() && third.work());
        drop(second);
        assert!(
            room.of_stranger().is_none(),
            "its place was another's already"
        );
        drop(third);
        let mut third = room.of_stranger().unwrap();
        assert!(third.work() && room.of_stranger().is_none());
        let builds: Vec<_> = std::iter::from_fn(|| room.of_build()).collect();
        assert_eq!(builds.len(), 6);
        drop((first, third));
        assert!(room.of_stranger().is_some(), "builds took none of theirs");
    }

    #[test]
    fn the_smallest_room_has_a_place_for_both() {
        let room = Room::new(1);
        assert!(room.of_stranger().is_some() && room.of_build().is_some());
    }
}
