//! Which names of a source differ between the record store and the database: both in order of name, held
//! side by side a piece at a time.

use std::collections::VecDeque;

use snowguard_db::Database;
use snowguard_db::advisories::Advisories as _;
use snowguard_feeds::RecordStore;

use super::TakeError;

/// How many names are read at once.
const PIECE: usize = 20_000;

/// A name under which the store says something else than the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub(super) name: String,
    /// What the store says, in a digest; none if it says nothing.
    pub(super) digest: Option<[u8; 16]>,
}

pub(super) struct Differences<'s> {
    store: &'s RecordStore,
    source: &'s str,
    number: i64,
    ours: Side,
    theirs: Side,
}

#[derive(Default)]
struct Side {
    piece: VecDeque<(String, [u8; 16])>,
    last: String,
    ended: bool,
}

impl Side {
    fn fill<E>(
        &mut self,
        read: impl FnOnce(&str) -> Result<Vec<(String, [u8; 16])>, E>,
    ) -> Result<(), E> {
        if self.piece.is_empty() && !self.ended {
            let piece = read(&self.last)?;
            self.ended = piece.is_empty();
            if let Some((last, _)) = piece.last() {
                self.last.clone_from(last);
            }
            self.piece = piece.into();
        }
        Ok(())
    }
}

impl<'s> Differences<'s> {
    pub(super) fn new(store: &'s RecordStore, source: &'s str, number: i64) -> Self {
        Self {
            store,
            source,
            number,
            ours: Side::default(),
            theirs: Side::default(),
        }
    }

    /// Up to `limit` differences; none are left when it gives none.
    pub(super) fn next(
        &mut self,
        db: &Database,
        limit: usize,
    ) -> Result<Vec<Difference>, TakeError> {
        let mut found = Vec::new();
        while found.len() < limit {
            let (store, source, number) = (self.store, self.source, self.number);
            self.theirs.fill(|after| {
                let after = Some(after).filter(|after| !after.is_empty());
                let names = store.names(source, after, PIECE)?;
                Ok::<_, TakeError>(
                    names
                        .into_iter()
                        .map(|stored| (stored.name.as_str().to_owned(), stored.digest))
                        .collect(),
                )
            })?;
            self.ours
                .fill(|after| db.read(|session| session.record_digests(number, after, PIECE)))?;
            let ours = self.ours.piece.front();
            let theirs = self.theirs.piece.front();
            let (is_ours, is_theirs) = match (ours, theirs) {
                (None, None) => break,
                (Some((ours, _)), Some((theirs, _))) => (ours <= theirs, theirs <= ours),
                (ours, theirs) => (ours.is_some(), theirs.is_some()),
            };
            let ours = is_ours.then(|| self.ours.piece.pop_front()).flatten();
            let theirs = is_theirs.then(|| self.theirs.piece.pop_front()).flatten();
            match (ours, theirs) {
                (Some((_, ours)), Some((_, theirs))) if ours == theirs => {}
                (_, Some((name, digest))) => found.push(Difference {
                    name,
                    digest: Some(digest),
                }),
                (Some((name, _)), None) => found.push(Difference { name, digest: None }),
                (None, None) => break,
            }
        }
        Ok(found)
    }
}
