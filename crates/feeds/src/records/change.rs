//! Changing the record store: one transaction that finds out by itself what is new.

use std::collections::{BTreeSet, HashMap, HashSet};

use camino::Utf8Path;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use sha2::{Digest as _, Sha256};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{SourceKind, marks};
use snowguard_advisory::read::With;
use snowguard_advisory::record::Record;

use super::{Changed, RecordsError, read};

/// How much of a SHA-256 tells one record from another.
pub(super) const DIGEST: usize = 16;

/// A change under way. Nothing of it is seen before [`Self::commit`].
pub struct Change<'s> {
    transaction: Transaction<'s>,
    path: &'s Utf8Path,
    with: With,
    sources: HashMap<String, i64>,
    /// What was said so far, per source and id.
    said: HashMap<(i64, AdvisoryId), Said>,
    /// Sources of which a whole new edition comes.
    replaced: HashSet<i64>,
    /// Sources of which all that is skipped is said anew, with the places.
    skipped: HashMap<i64, HashSet<String>>,
    /// Whether the index must say something else, apart from records.
    other: bool,
    /// Without a base everything is written anyway.
    has_base: bool,
}

/// What is stored under an id, and what this change says of it.
#[derive(Default)]
struct Said {
    /// Rows from before the change: number, digest, whether the same was said again.
    stored: Vec<(i64, [u8; DIGEST], bool)>,
    /// Rows of this change.
    inserted: Vec<i64>,
}

impl<'s> Change<'s> {
    pub(super) fn begin(
        connection: &'s mut Connection,
        path: &'s Utf8Path,
        with: With,
    ) -> Result<Self, RecordsError> {
        let failed = |source| RecordsError::sqlite(path, source);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let has_base = read::has_base(&transaction).map_err(failed)?;
        Ok(Self {
            transaction,
            path,
            with,
            sources: HashMap::new(),
            said: HashMap::new(),
            replaced: HashSet::new(),
            skipped: HashMap::new(),
            other: false,
            has_base,
        })
    }

    /// What of records is to be read for it.
    pub fn wants(&self) -> With {
        self.with
    }

    /// Puts a record. The first one of an id takes the place of all that the source had under that
    /// id; further ones of the same id and change are kept beside it, as a source may have several.
    ///
    /// A record that is there already costs no write.
    pub fn put(
        &mut self,
        source: &str,
        kind: SourceKind,
        record: &Record,
    ) -> Result<(), RecordsError> {
        let json = read::body(record).map_err(|source| RecordsError::Record {
            id: record.id.clone(),
            source: source.into(),
        })?;
        let digest = digest_of(&json);
        let source = self.source(source, kind)?;
        let said = self.said(source, &record.id)?;
        let same = |row: &&mut (i64, [u8; DIGEST], bool)| !row.2 && row.1 == digest;
        if let Some(row) = said.stored.iter_mut().find(same) {
            row.2 = true;
            return Ok(());
        }
        let body = read::pack(&json).map_err(|error| RecordsError::Record {
            id: record.id.clone(),
            source: error.into(),
        })?;
        let row = self
            .insert(source, record, &digest, &body)
            .map_err(|source| self.failed(source))?;
        self.said(source, &record.id)?.inserted.push(row);
        Ok(())
    }

    /// Removes all that a source says under an id. What is put after it in the same change stays.
    pub fn remove(&mut self, source: &str, id: &AdvisoryId) -> Result<(), RecordsError> {
        let Some(source) = self.known_source(source)? else {
            return Ok(());
        };
        let said = self.said(source, id)?;
        for row in &mut said.stored {
            row.2 = false;
        }
        let inserted = std::mem::take(&mut said.inserted);
        inserted
            .into_iter()
            .try_for_each(|row| self.delete(row))
            .map_err(|source| self.failed(source))
    }

    /// Counts something that could not be read, once per place, until it is taken back by
    /// [`Self::unskip`] or by a new edition that can be read.
    pub fn skip(
        &mut self,
        source: &str,
        kind: SourceKind,
        place: &str,
    ) -> Result<(), RecordsError> {
        let source = self.source(source, kind)?;
        if let Some(places) = self.skipped.get_mut(&source) {
            places.insert(place.to_owned());
        }
        let new = self
            .transaction
            .prepare_cached("INSERT OR IGNORE INTO skipped (source, place) VALUES (?1, ?2)")
            .and_then(|mut insert| insert.execute(params![source, place]))
            .map_err(|source| self.failed(source))?;
        self.other |= new > 0;
        Ok(())
    }

    /// Takes a skip back: what was at the place can be read now, or is gone.
    pub fn unskip(&mut self, source: &str, place: &str) -> Result<(), RecordsError> {
        let Some(source) = self.known_source(source)? else {
            return Ok(());
        };
        let gone = self
            .transaction
            .prepare_cached("DELETE FROM skipped WHERE source = ?1 AND place = ?2")
            .and_then(|mut delete| delete.execute(params![source, place]))
            .map_err(|source| self.failed(source))?;
        self.other |= gone > 0;
        Ok(())
    }

    /// Says that a whole new edition of a source comes: what is not put again before the commit is
    /// removed, and so is what was skipped.
    pub fn replace(&mut self, source: &str, kind: SourceKind) -> Result<(), RecordsError> {
        let source = self.source(source, kind)?;
        let differs = self
            .transaction
            .execute(
                "UPDATE source SET kind = ?2 WHERE id = ?1 AND kind <> ?2",
                params![source, kind.code()],
            )
            .map_err(|source| self.failed(source))?;
        self.other |= differs > 0;
        self.replaced.insert(source);
        self.skipped.entry(source).or_default();
        Ok(())
    }

    /// As [`Self::replace`], at no cost where it was said in this change.
    pub(crate) fn replace_once(
        &mut self,
        source: &str,
        kind: SourceKind,
    ) -> Result<(), RecordsError> {
        let number = self.source(source, kind)?;
        if self.replaced.contains(&number) {
            return Ok(());
        }
        self.replace(source, kind)
    }

    /// Says that all that cannot be read of a source is told in this change: what was skipped before
    /// and is not skipped again is taken back.
    pub fn skip_anew(&mut self, source: &str, kind: SourceKind) -> Result<(), RecordsError> {
        let source = self.source(source, kind)?;
        self.skipped.entry(source).or_default();
        Ok(())
    }

    /// What a feed left off at; opaque to the store.
    pub fn cursor(&self, feed: &str) -> Result<Option<String>, RecordsError> {
        super::cursor(&self.transaction, feed).map_err(|source| self.failed(source))
    }

    /// Leaves what is stored under an id as it is, whatever a whole new edition says of it.
    pub fn keep(&mut self, source: &str, id: &AdvisoryId) -> Result<(), RecordsError> {
        let Some(source) = self.known_source(source)? else {
            return Ok(());
        };
        let said = self.said(source, id)?;
        if said.stored.is_empty() {
            return Ok(());
        }
        for row in &mut said.stored {
            row.2 = true;
        }
        for row in std::mem::take(&mut said.inserted) {
            self.delete(row).map_err(|source| self.failed(source))?;
        }
        Ok(())
    }

    /// Notes what a feed left off at: seen if and only if the records are.
    pub fn set_cursor(&mut self, feed: &str, value: &str) -> Result<(), RecordsError> {
        self.transaction
            .prepare_cached(
                "INSERT INTO cursor (feed, value) VALUES (?1, ?2) \
                 ON CONFLICT (feed) DO UPDATE SET value = ?2 WHERE value <> ?2",
            )
            .and_then(|mut set| set.execute([feed, value]))
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Forgets what a feed left off at.
    pub fn forget_cursor(&mut self, feed: &str) -> Result<(), RecordsError> {
        self.transaction
            .execute("DELETE FROM cursor WHERE feed = ?1", [feed])
            .map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Makes the change, and tells what it was.
    pub fn commit(mut self) -> Result<Changed, RecordsError> {
        let path = self.path;
        let failed = |source| RecordsError::sqlite(path, source);
        let mut changed = Changed::default();
        let mut ids = BTreeSet::new();
        let said = std::mem::take(&mut self.said);
        for source in &self.replaced {
            let mut unsaid = BTreeSet::new();
            for (row, id) in self.rows_of(*source).map_err(failed)? {
                if !said.contains_key(&(*source, id.clone())) {
                    self.delete(row).map_err(failed)?;
                    unsaid.insert(id);
                }
            }
            changed.removed += unsaid.len() as u64;
            ids.extend(unsaid);
        }
        for ((_, id), said) in said {
            let mut gone = 0;
            for (row, ..) in said.stored.iter().filter(|row| !row.2) {
                self.delete(*row).map_err(failed)?;
                gone += 1;
            }
            let after = said.stored.len() - gone + said.inserted.len();
            match (said.stored.len(), after) {
                _ if gone == 0 && said.inserted.is_empty() => continue,
                (0, _) => changed.added += 1,
                (_, 0) => changed.removed += 1,
                _ => changed.changed += 1,
            }
            ids.insert(id);
        }
        self.drop_stale_skips().map_err(failed)?;
        // A source of which nothing is left is not in an index that is built at once either.
        self.transaction
            .execute(
                "DELETE FROM source WHERE NOT EXISTS (SELECT 1 FROM record WHERE source = source.id) \
                 AND NOT EXISTS (SELECT 1 FROM skipped WHERE source = source.id)",
                [],
            )
            .map_err(failed)?;
        if !ids.is_empty() || self.other {
            self.transaction
                .execute("UPDATE state SET changes = changes + 1", [])
                .map_err(failed)?;
        }
        self.transaction.commit().map_err(failed)?;
        changed.ids = ids.into_iter().collect();
        Ok(changed)
    }

    fn drop_stale_skips(&mut self) -> rusqlite::Result<()> {
        for (source, places) in &self.skipped {
            let stored: Vec<String> = self
                .transaction
                .prepare_cached("SELECT place FROM skipped WHERE source = ?1")?
                .query_map([source], |row| row.get(0))?
                .collect::<Result<_, _>>()?;
            for place in stored.iter().filter(|place| !places.contains(*place)) {
                self.transaction
                    .prepare_cached("DELETE FROM skipped WHERE source = ?1 AND place = ?2")?
                    .execute(params![source, place])?;
                self.other = true;
            }
        }
        Ok(())
    }

    fn rows_of(&self, source: i64) -> rusqlite::Result<Vec<(i64, AdvisoryId)>> {
        self.transaction
            .prepare_cached("SELECT id, name FROM record WHERE source = ?1")?
            .query_map([source], |row| Ok((row.get(0)?, read::id_at(row, 1)?)))?
            .collect()
    }

    /// The number of a source, which is made where there is none. Its format is that of its first
    /// record, as in an index that is built at once.
    fn source(&mut self, name: &str, kind: SourceKind) -> Result<i64, RecordsError> {
        if let Some(number) = self.known_source(name)? {
            return Ok(number);
        }
        self.transaction
            .execute(
                "INSERT INTO source (name, kind) VALUES (?1, ?2)",
                params![name, kind.code()],
            )
            .map_err(|source| self.failed(source))?;
        let number = self.transaction.last_insert_rowid();
        self.sources.insert(name.to_owned(), number);
        Ok(number)
    }

    fn known_source(&mut self, name: &str) -> Result<Option<i64>, RecordsError> {
        if let Some(number) = self.sources.get(name) {
            return Ok(Some(*number));
        }
        let number: Option<i64> = self
            .transaction
            .prepare_cached("SELECT id FROM source WHERE name = ?1")
            .and_then(|mut select| select.query_row([name], |row| row.get(0)).optional())
            .map_err(|source| self.failed(source))?;
        if let Some(number) = number {
            self.sources.insert(name.to_owned(), number);
        }
        Ok(number)
    }

    fn said(&mut self, source: i64, id: &AdvisoryId) -> Result<&mut Said, RecordsError> {
        let key = (source, id.clone());
        if !self.said.contains_key(&key) {
            let stored = self
                .stored(source, id)
                .map_err(|source| self.failed(source))?;
            let said = Said {
                stored,
                inserted: Vec::new(),
            };
            self.said.insert(key.clone(), said);
        }
        Ok(self.said.entry(key).or_default())
    }

    fn stored(
        &self,
        source: i64,
        id: &AdvisoryId,
    ) -> rusqlite::Result<Vec<(i64, [u8; DIGEST], bool)>> {
        self.transaction
            .prepare_cached(
                "SELECT id, digest FROM record WHERE source = ?1 AND name = ?2 ORDER BY id",
            )?
            .query_map(params![source, id.as_str()], |row| {
                Ok((row.get(0)?, row.get(1)?, false))
            })?
            .collect()
    }

    fn insert(
        &self,
        source: i64,
        record: &Record,
        digest: &[u8; DIGEST],
        body: &[u8],
    ) -> rusqlite::Result<i64> {
        let aliases: Vec<&str> = record.aliases.iter().map(AdvisoryId::as_str).collect();
        self.transaction
            .prepare_cached(
                "INSERT INTO record (source, name, newest, newest_range, digest, aliases, body) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                source,
                record.id.as_str(),
                record.newest_date().map(read::day_number),
                record.newest_range().map(read::day_number),
                digest,
                aliases.join("\n"),
                body,
            ])?;
        let row = self.transaction.last_insert_rowid();
        let names: BTreeSet<&AdvisoryId> =
            std::iter::once(&record.id).chain(&record.aliases).collect();
        for name in &names {
            self.transaction
                .prepare_cached("INSERT INTO name (name, record) VALUES (?1, ?2)")?
                .execute(params![name.as_str(), row])?;
        }
        self.touch(names.into_iter())?;
        Ok(row)
    }

    fn delete(&self, row: i64) -> rusqlite::Result<()> {
        let names: BTreeSet<AdvisoryId> = self
            .transaction
            .prepare_cached("SELECT name, aliases FROM record WHERE id = ?1")?
            .query_row([row], read::names)?;
        for name in &names {
            self.transaction
                .prepare_cached("DELETE FROM name WHERE name = ?1 AND record = ?2")?
                .execute(params![name.as_str(), row])?;
        }
        self.transaction
            .prepare_cached("DELETE FROM record WHERE id = ?1")?
            .execute([row])?;
        self.touch(names.iter())
    }

    /// Notes which groups a record that came or went belongs to.
    fn touch<'n>(&self, names: impl Iterator<Item = &'n AdvisoryId>) -> rusqlite::Result<()> {
        if self.has_base {
            for name in marks(names) {
                self.transaction
                    .prepare_cached("INSERT OR IGNORE INTO touched (name) VALUES (?1)")?
                    .execute([name.as_str()])?;
            }
        }
        Ok(())
    }

    fn failed(&self, source: rusqlite::Error) -> RecordsError {
        RecordsError::sqlite(self.path, source)
    }
}

fn digest_of(json: &[u8]) -> [u8; DIGEST] {
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&Sha256::digest(json)[..DIGEST]);
    digest
}
