//! What stands in the record store, for who keeps a copy of it elsewhere: names with digests, to find
//! what changed, and records with their texts.

use camino::Utf8Path;
use rayon::prelude::*;
use rusqlite::{OptionalExtension as _, params};
use sha2::{Digest as _, Sha256};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::Touched;
use snowguard_advisory::record::Record;

use super::change::DIGEST;
use super::{RecordStore, RecordsError, read};

/// A name of a source, and a digest of all that the source says under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The name.
    pub name: AdvisoryId,
    /// The digest: equal if and only if the source says the same.
    pub digest: [u8; 16],
}

/// What a source says under one name.
pub type UnderName = (AdvisoryId, Vec<Record>);

impl RecordStore {
    /// Counts the changes of the store: as long as it is the same, nothing changed.
    pub fn changes(&self) -> Result<u64, RecordsError> {
        self.connection
            .query_row("SELECT changes FROM state", [], |row| row.get::<_, i64>(0))
            .map(i64::cast_unsigned)
            .map_err(|source| self.failed(source))
    }

    /// Up to about `limit` names of a source in their order, from the first after `after` on; none
    /// are left when it gives none.
    pub fn names(
        &self,
        source: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored>, RecordsError> {
        let failed = |source| self.failed(source);
        let Some(source) = self.number_of(source).map_err(failed)? else {
            return Ok(Vec::new());
        };
        let mut select = self
            .connection
            .prepare_cached(
                "SELECT id, name, digest FROM record WHERE source = ?1 AND name > ?2 \
                 ORDER BY name, digest",
            )
            .map_err(failed)?;
        let mut rows = select
            .query(params![source, after.unwrap_or_default()])
            .map_err(failed)?;
        let mut names: Vec<(AdvisoryId, Vec<[u8; DIGEST]>)> = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let name = read::id_at(row, 1).map_err(failed)?;
            let digest = row.get(2).map_err(failed)?;
            let count = names.len();
            match names.last_mut() {
                Some((last, digests)) if *last == name => digests.push(digest),
                _ if count == limit => break,
                _ => names.push((name, vec![digest])),
            }
        }
        let stored = names.into_iter().map(|(name, digests)| Stored {
            name,
            digest: joined(&digests),
        });
        Ok(stored.collect())
    }

    /// What a source says under a name, with texts.
    pub fn under_name(&self, source: &str, name: &str) -> Result<Vec<Record>, RecordsError> {
        Ok(self.under_names(source, &[name])?.pop().unwrap_or_default())
    }

    /// What a source says under each of these names, in their order, with texts.
    pub fn under_names(
        &self,
        source: &str,
        names: &[&str],
    ) -> Result<Vec<Vec<Record>>, RecordsError> {
        let failed = |source| self.failed(source);
        let number = self.number_of(source).map_err(failed)?;
        let mut packed = Vec::with_capacity(names.len());
        for name in names {
            let mut select = self
                .connection
                .prepare_cached(
                    "SELECT source, id, body FROM record WHERE source = ?1 AND name = ?2 \
                     ORDER BY digest",
                )
                .map_err(failed)?;
            let rows: Vec<_> = select
                .query_map(params![number, name], read::packed)
                .map_err(failed)?
                .collect::<Result<_, _>>()
                .map_err(failed)?;
            packed.push(rows);
        }
        let path = &self.path;
        packed
            .into_par_iter()
            .map(|rows| {
                let records = rows.iter();
                records
                    .map(|(_, row, body)| unpacked(path, *row, body))
                    .collect()
            })
            .collect()
    }

    /// All records of the touched groups, each with the name of its source, in no order.
    pub fn groups(&self, touched: &Touched) -> Result<Vec<(String, Record)>, RecordsError> {
        let failed = |source| self.failed(source);
        let mut packed: Vec<(String, i64, Vec<u8>)> = Vec::new();
        for row in self.rows_of_groups(touched).map_err(failed)? {
            let found = self
                .connection
                .prepare_cached(
                    "SELECT source.name, record.id, record.body FROM record \
                     JOIN source ON source.id = record.source WHERE record.id = ?1",
                )
                .and_then(|mut select| {
                    select.query_row([row], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                })
                .map_err(failed)?;
            packed.push(found);
        }
        let path = &self.path;
        packed
            .into_par_iter()
            .map(|(source, row, body)| Ok((source, unpacked(path, row, &body)?)))
            .collect()
    }

    fn number_of(&self, source: &str) -> rusqlite::Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT id FROM source WHERE name = ?1")?
            .query_row([source], |row| row.get(0))
            .optional()
    }
}

fn unpacked(path: &Utf8Path, row: i64, body: &[u8]) -> Result<Record, RecordsError> {
    read::unpack_with_texts(body).map_err(|source| RecordsError::Row {
        path: path.to_owned(),
        row,
        source,
    })
}

/// One digest for what a source says several times under one name.
fn joined(digests: &[[u8; DIGEST]]) -> [u8; DIGEST] {
    if let [one] = digests {
        return *one;
    }
    let mut all = Sha256::new();
    for digest in digests {
        all.update(digest);
    }
    let mut digest = [0; DIGEST];
    digest.copy_from_slice(&all.finalize()[..DIGEST]);
    digest
}
