//! Reading the record store: all of it for a whole index, the groups that changed for a delta.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use rayon::prelude::*;
use rusqlite::{Connection, Row, types::Type};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{Builder, SourceKind, Touched};
use snowguard_advisory::record::Record;
use zstd::bulk::Decompressor;

use super::{RecordStore, RecordsError, SourceTotals};

/// How many rows are unpacked at a time.
const BATCH: usize = 8_192;
/// The largest record. One that is larger was not written by this program.
const MAX_RECORD: usize = 256 << 20;
/// Fast, and records are small: a higher level saves little.
const LEVEL: i32 = 3;

impl RecordStore {
    /// The sources, in order of name: what an index of all records says of them.
    pub fn sources(&self) -> Result<Vec<SourceTotals>, RecordsError> {
        totals(&self.connection)
            .map_err(|source| self.failed(source))
            .map(|sources| {
                let mut sources: Vec<_> = sources.into_values().collect();
                sources.sort_by(|a, b| a.name.cmp(&b.name));
                sources
            })
    }

    /// Hands all records to a builder, and what could not be read.
    pub fn fill(&self, builder: &mut Builder) -> Result<(), RecordsError> {
        let sources = totals(&self.connection).map_err(|source| self.failed(source))?;
        for source in sources.values() {
            for _ in 0..source.skipped {
                builder.skip(&source.name, source.kind);
            }
        }
        let mut select = self
            .connection
            .prepare_cached("SELECT source, id, body FROM record ORDER BY id")
            .map_err(|source| self.failed(source))?;
        let mut rows = select.query([]).map_err(|source| self.failed(source))?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let row = rows.next().map_err(|source| self.failed(source))?;
            let end = row.is_none();
            if let Some(row) = row {
                batch.push(packed(row).map_err(|source| self.failed(source))?);
            }
            if end || batch.len() == BATCH {
                self.add(builder, &sources, &batch)?;
                batch.clear();
            }
            if end {
                return Ok(());
            }
        }
    }

    /// Hands the records of the touched groups to a builder: each group with all of its records.
    pub fn fill_touched(
        &self,
        touched: &Touched,
        builder: &mut Builder,
    ) -> Result<(), RecordsError> {
        let sources = totals(&self.connection).map_err(|source| self.failed(source))?;
        let rows = self
            .rows_of_groups(touched)
            .map_err(|source| self.failed(source))?;
        let mut batch = Vec::with_capacity(rows.len().min(BATCH));
        for chunk in rows.chunks(BATCH) {
            for row in chunk {
                let packed = self
                    .connection
                    .prepare_cached("SELECT source, id, body FROM record WHERE id = ?1")
                    .and_then(|mut select| select.query_row([row], packed))
                    .map_err(|source| self.failed(source))?;
                batch.push(packed);
            }
            self.add(builder, &sources, &batch)?;
            batch.clear();
        }
        Ok(())
    }

    /// The rows of all records in the groups, which are found by walking names as far as records
    /// without a CVE link them.
    pub(super) fn rows_of_groups(&self, touched: &Touched) -> rusqlite::Result<Vec<i64>> {
        let mut select = self.connection.prepare_cached(
            "SELECT record.id, record.name, record.aliases FROM name \
             JOIN record ON record.id = name.record WHERE name.name = ?1",
        )?;
        let mut rows = BTreeSet::new();
        let mut queue: Vec<AdvisoryId> = touched.names().cloned().collect();
        let mut seen: BTreeSet<AdvisoryId> = queue.iter().cloned().collect();
        while let Some(name) = queue.pop() {
            let found = select.query_map([name.as_str()], |row| {
                Ok((row.get(0)?, names_at(row, 1, 2)?))
            })?;
            for found in found {
                let (row, names): (i64, BTreeSet<AdvisoryId>) = found?;
                let loose = names.iter().all(|name| name.cve().is_none());
                // Under a name that is no CVE, a record that has one is in another group.
                if name.cve().is_none() && !loose {
                    continue;
                }
                rows.insert(row);
                if loose {
                    queue.extend(names.iter().filter(|name| !seen.contains(*name)).cloned());
                    seen.extend(names);
                }
            }
        }
        Ok(rows.into_iter().collect())
    }

    fn add(
        &self,
        builder: &mut Builder,
        sources: &BTreeMap<i64, SourceTotals>,
        batch: &[(i64, i64, Vec<u8>)],
    ) -> Result<(), RecordsError> {
        let path = &self.path;
        let records: Vec<Record> = batch
            .par_iter()
            .map(|(_, row, body)| {
                unpack(body).map_err(|source| RecordsError::Row {
                    path: path.clone(),
                    row: *row,
                    source,
                })
            })
            .collect::<Result<_, _>>()?;
        for ((source, row, _), record) in batch.iter().zip(records) {
            let Some(source) = sources.get(source) else {
                return Err(RecordsError::Row {
                    path: self.path.clone(),
                    row: *row,
                    source: "it is of no source".into(),
                });
            };
            builder.add(&source.name, source.kind, record);
        }
        Ok(())
    }
}

/// Whether a base was written since the store was made.
pub(super) fn has_base(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT base IS NOT NULL FROM state", [], |row| row.get(0))
}

fn totals(connection: &Connection) -> rusqlite::Result<BTreeMap<i64, SourceTotals>> {
    let mut select = connection.prepare_cached(
        "SELECT source.id, source.name, source.kind, \
         (SELECT count(*) FROM record WHERE source = source.id), \
         (SELECT count(*) FROM skipped WHERE source = source.id), \
         (SELECT max(newest) FROM record WHERE source = source.id), \
         (SELECT max(newest_range) FROM record WHERE source = source.id) \
         FROM source",
    )?;
    let rows = select.query_map([], |row| {
        let kind = SourceKind::from_code(row.get(2)?);
        let kind = kind.ok_or_else(|| wrong(2, "a format that this program does not know"))?;
        Ok((
            row.get(0)?,
            SourceTotals {
                name: row.get(1)?,
                kind,
                records: row.get::<_, i64>(3)?.cast_unsigned(),
                skipped: row.get::<_, i64>(4)?.cast_unsigned(),
                newest: row.get::<_, Option<i64>>(5)?.and_then(day_of),
                newest_range: row.get::<_, Option<i64>>(6)?.and_then(day_of),
            },
        ))
    })?;
    rows.collect()
}

pub(super) fn packed(row: &Row<'_>) -> rusqlite::Result<(i64, i64, Vec<u8>)> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
}

/// A record as it is stored: its JSON on one line, then that of its texts if it has any.
pub(super) fn body(record: &Record) -> serde_json::Result<Vec<u8>> {
    let mut body = serde_json::to_vec(record)?;
    if let Some(texts) = &record.texts {
        body.push(b'\n');
        serde_json::to_writer(&mut body, texts)?;
    }
    Ok(body)
}

/// What is stored, compressed.
pub(super) fn pack(json: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(json, LEVEL)
}

type Damage = Box<dyn std::error::Error + Send + Sync>;

fn unpack(body: &[u8]) -> Result<Record, Damage> {
    let json = decompress(body)?;
    let (record, _) = parts(&json);
    Ok(serde_json::from_slice(record)?)
}

/// As [`unpack`], with texts.
pub(super) fn unpack_with_texts(body: &[u8]) -> Result<Record, Damage> {
    let json = decompress(body)?;
    let (record, texts) = parts(&json);
    let mut record: Record = serde_json::from_slice(record)?;
    record.texts = texts.map(serde_json::from_slice).transpose()?;
    Ok(record)
}

/// The lines of what is stored.
fn parts(json: &[u8]) -> (&[u8], Option<&[u8]>) {
    match json.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&json[..end], Some(&json[end + 1..])),
        None => (json, None),
    }
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, Damage> {
    let size = Decompressor::upper_bound(body)
        .filter(|size| *size <= MAX_RECORD)
        .ok_or("it says that it is too large")?;
    // Making one anew takes longer than most records do.
    thread_local! {
        static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    UNPACKER.with_borrow_mut(|unpacker| {
        let unpacker = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(Decompressor::new()?),
        };
        Ok(unpacker.decompress(body, size)?)
    })
}

/// The id and the aliases of the row `SELECT name, aliases`.
pub(super) fn names(row: &Row<'_>) -> rusqlite::Result<BTreeSet<AdvisoryId>> {
    names_at(row, 0, 1)
}

fn names_at(row: &Row<'_>, id: usize, aliases: usize) -> rusqlite::Result<BTreeSet<AdvisoryId>> {
    let text: String = row.get(aliases)?;
    let mut names = BTreeSet::from([id_at(row, id)?]);
    for alias in text.lines() {
        names.insert(alias.parse().map_err(|_| wrong(aliases, "no id"))?);
    }
    Ok(names)
}

pub(super) fn id_at(row: &Row<'_>, column: usize) -> rusqlite::Result<AdvisoryId> {
    row.get::<_, String>(column)?
        .parse()
        .map_err(|_| wrong(column, "no id"))
}

fn wrong(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

/// Days since 1970-01-01, as days are stored.
pub(super) fn day_number(day: Date) -> i64 {
    let epoch = jiff::civil::date(1970, 1, 1);
    day.since((jiff::Unit::Day, epoch))
        .map_or(0, |span| i64::from(span.get_days()))
}

fn day_of(days: i64) -> Option<Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    jiff::civil::date(1970, 1, 1).checked_add(span).ok()
}
