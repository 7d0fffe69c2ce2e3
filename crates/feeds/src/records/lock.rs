//! Holding the record store still while files are written from it.

use std::ops::Deref;

use rusqlite::{Transaction, TransactionBehavior};
use snowguard_advisory::index::{SegmentDigest, Touched};

use super::{RecordStore, RecordsError, read};

/// The record store while nobody changes it.
pub(crate) struct Lock<'s> {
    store: &'s RecordStore,
    transaction: Transaction<'s>,
}

/// What the store knows of the files that were written from it.
pub(crate) struct State {
    /// The base.
    pub(crate) base: Option<SegmentDigest>,
    /// The delta, if there is one.
    pub(crate) delta: Option<SegmentDigest>,
    /// Whether nothing has changed since.
    pub(crate) is_written: bool,
}

impl RecordStore {
    /// Keeps others from changing the store.
    pub(crate) fn lock(&mut self) -> Result<Lock<'_>, RecordsError> {
        let transaction =
            Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)
                .map_err(|source| self.failed(source))?;
        Ok(Lock {
            store: self,
            transaction,
        })
    }
}

impl RecordStore {
    /// The base that was written last.
    pub(crate) fn base(&mut self) -> Result<Option<SegmentDigest>, RecordsError> {
        Ok(self.lock()?.state()?.base)
    }
}

impl Lock<'_> {
    /// What was written.
    pub(crate) fn state(&self) -> Result<State, RecordsError> {
        self.transaction
            .query_row(
                "SELECT base, delta, coalesce(written = changes, 0) FROM state",
                [],
                |row| {
                    let digest = |bytes: Option<[u8; 16]>| bytes.map(SegmentDigest::from_bytes);
                    Ok(State {
                        base: digest(row.get(0)?),
                        delta: digest(row.get(1)?),
                        is_written: row.get(2)?,
                    })
                },
            )
            .map_err(|source| self.failed(source))
    }

    /// Which groups changed since the base was written.
    pub(crate) fn touched(&self) -> Result<Touched, RecordsError> {
        self.transaction
            .prepare_cached("SELECT name FROM touched")
            .and_then(|mut select| select.query_map([], |row| read::id_at(row, 0))?.collect())
            .map_err(|source| self.failed(source))
    }

    /// Notes that a delta says all.
    pub(crate) fn wrote_delta(self, delta: Option<SegmentDigest>) -> Result<(), RecordsError> {
        self.note("UPDATE state SET delta = ?1, written = changes", delta)
    }

    /// Notes that a base says all.
    pub(crate) fn wrote_base(self, base: Option<SegmentDigest>) -> Result<(), RecordsError> {
        self.transaction
            .execute("DELETE FROM touched", [])
            .map_err(|source| self.failed(source))?;
        self.note(
            "UPDATE state SET base = ?1, delta = NULL, written = changes",
            base,
        )
    }

    fn note(self, sql: &str, digest: Option<SegmentDigest>) -> Result<(), RecordsError> {
        let Self { store, transaction } = self;
        transaction
            .execute(sql, [digest.map(|digest| *digest.as_bytes())])
            .and_then(|_| transaction.commit())
            .map_err(|source| store.failed(source))
    }
}

impl Deref for Lock<'_> {
    type Target = RecordStore;

    fn deref(&self) -> &RecordStore {
        self.store
    }
}
