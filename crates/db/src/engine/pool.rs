//! A few connections that are shared by many threads: made when needed, kept, handed to one at a time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::DbError;

/// How long a thread waits for a connection. Whoever serves people limits its own threads first.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes connections, and says whether one can be used again.
pub(super) trait Manager {
    /// What is shared.
    type Connection: Send;
    /// Makes one.
    fn connect(&self) -> Result<Self::Connection, DbError>;
    /// Whether one that was used can be used again.
    fn is_usable(&self, connection: &mut Self::Connection) -> bool;
    /// What it is connected to, for errors.
    fn name(&self) -> String;
}

/// At most a number of connections.
pub(super) struct Pool<M: Manager> {
    manager: M,
    limit: usize,
    state: Mutex<State<M::Connection>>,
    freed: Condvar,
}

struct State<C> {
    idle: Vec<C>,
    /// In use or being made.
    taken: usize,
}

impl<M: Manager> Pool<M> {
    /// With a limit of at least one.
    pub(super) fn new(manager: M, limit: usize) -> Self {
        Self {
            manager,
            limit: limit.max(1),
            state: Mutex::new(State {
                idle: Vec::new(),
                taken: 0,
            }),
            freed: Condvar::new(),
        }
    }

    pub(super) const fn manager(&self) -> &M {
        &self.manager
    }

    /// Works with a connection that is this thread's alone; waits for one if all are taken. The connection is kept
    /// for the next unless the work panics or leaves it unusable.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut M::Connection) -> T) -> Result<T, DbError> {
        let (place, idle) = self.place()?;
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.manager.connect()?,
        };
        let result = work(&mut connection);
        if self.manager.is_usable(&mut connection) {
            self.state().idle.push(connection);
        }
        drop(place);
        Ok(result)
    }

    /// Forgets all idle connections: a server that was restarted has closed them all.
    pub(super) fn forget(&self) {
        let idle = std::mem::take(&mut self.state().idle);
        // Outside of the lock: closing can take a while.
        drop(idle);
    }

    fn place(&self) -> Result<(Place<'_, M>, Option<M::Connection>), DbError> {
        let (mut state, waited) = self
            .freed
            .wait_timeout_while(self.state(), PATIENCE, |state| state.taken >= self.limit)
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(DbError::Exhausted {
                database: self.manager.name(),
                connections: self.limit,
            });
        }
        state.taken += 1;
        let idle = state.idle.pop();
        drop(state);
        Ok((Place { pool: self }, idle))
    }

    fn state(&self) -> MutexGuard<'_, State<M::Connection>> {
        // Nothing that can panic is done while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the places of a pool; free again when dropped, also after a panic.
struct Place<'a, M: Manager> {
    pool: &'a Pool<M>,
}

impl<M: Manager> Drop for Place<'_, M> {
    fn drop(&mut self) {
        self.pool.state().taken -= 1;
        self.pool.freed.notify_one();
    }
}
