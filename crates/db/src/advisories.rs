//! The room of advisories: vulnerabilities, all names of each, the records of sources on them, and what
//! records said before.
//!
//! Which records speak of one vulnerability is not decided here: whoever writes has grouped them as an
//! index does.

mod body;
mod facts;
mod names;
mod read;

use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::{Bulk, DbError, Session, Value};

pub use self::body::{pack, unpack};
pub use self::facts::{Facts, ScoreRow, rating_code, rating_of};
pub(crate) use self::read::day as day_of;
pub use self::read::{
    AdvisoryRow, HistoryRow, RecordRow, advisory, advisory_by_name, history, records,
};

/// A source of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRow {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its format, by [`snowguard_advisory::index::SourceKind::code`].
    pub kind: u8,
    /// What is known of it as a whole.
    pub totals: SourceTotals,
    /// When something of it last changed here.
    pub changed_at: Option<Timestamp>,
    /// When it was last compared.
    pub looked_at: Option<Timestamp>,
}

/// What is known of a source as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceTotals {
    /// How many records it has.
    pub records: u64,
    /// How many could not be read.
    pub skipped: u64,
    /// The newest day in its records.
    pub newest: Option<Date>,
    /// The newest day in those that say which versions are affected.
    pub newest_range: Option<Date>,
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Its number.
    pub id: i64,
    /// Its name in its source.
    pub name: String,
    /// The digest of what it says.
    pub digest: [u8; 16],
    /// What it says, to be read with [`unpack`].
    pub body: Vec<u8>,
    /// Whether the source has it no more.
    pub is_gone: bool,
}

/// A record that is new, or says something else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// Its number, if it is known.
    pub id: Option<i64>,
    /// Its name in its source.
    pub name: String,
    /// The digest of what it says now.
    pub digest: [u8; 16],
    /// What it says now, from [`pack`].
    pub body: Vec<u8>,
    /// What it said before, if that is to be remembered.
    pub before: Option<([u8; 16], Vec<u8>)>,
}

/// What is stored of vulnerabilities and records.
pub trait Advisories {
    /// The number of a source, which is made if there is none.
    fn record_source(&mut self, name: &str, kind: u8) -> Result<i64, DbError>;

    /// Notes what is known of a source as a whole, now that it was compared, and whether something of it
    /// changed.
    fn put_source_totals(
        &mut self,
        source: i64,
        totals: &SourceTotals,
        has_changed: bool,
        now: Timestamp,
    ) -> Result<(), DbError>;

    /// All sources, in order of name.
    fn record_sources(&mut self) -> Result<Vec<SourceRow>, DbError>;

    /// Names and digests of a source's records in order of name, up to `limit` of them after a name.
    fn record_digests(
        &mut self,
        source: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, [u8; 16])>, DbError>;

    /// The records of a source under these names, those that are gone among them.
    fn records_named(
        &mut self,
        source: i64,
        names: &[String],
    ) -> Result<Vec<StoredRecord>, DbError>;

    /// The numbers of the records of a source under these names.
    fn record_numbers(
        &mut self,
        source: i64,
        names: &[String],
    ) -> Result<Vec<(String, i64)>, DbError>;

    /// Notes that no record speaks of these advisories any more. They stay for what was decided.
    fn leave_advisories(&mut self, ids: &[i64]) -> Result<(), DbError>;

    /// Writes records of a source, and what they said before.
    fn put_records(
        &mut self,
        source: i64,
        changes: &[RecordChange],
        now: Timestamp,
    ) -> Result<(), DbError>;

    /// Notes that a source has these records no more.
    fn drop_records(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError>;

    /// To which advisory each of these names leads: name, number.
    fn advisories_of_names(&mut self, names: &[String]) -> Result<HashMap<String, i64>, DbError>;

    /// The advisories of these own names, merged ones among them.
    fn advisories_named(&mut self, names: &[String]) -> Result<HashMap<String, i64>, DbError>;

    /// Takes back that these were merged: there are records on them again.
    fn revive_advisories(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError>;

    /// The own names of advisories.
    fn names_of_advisories(&mut self, ids: &[i64]) -> Result<HashMap<i64, String>, DbError>;

    /// Makes advisories that are not there yet; gives the number of each by name.
    fn add_advisories(
        &mut self,
        names: &[String],
        now: Timestamp,
    ) -> Result<HashMap<String, i64>, DbError>;

    /// Gives an advisory another name of its own; its old one still leads to it.
    fn rename_advisory(&mut self, id: i64, name: &str) -> Result<(), DbError>;

    /// Notes that an advisory turned out to be another. Its names are to be led there by
    /// [`Self::lead_names`]; findings are another room's.
    fn merge_advisory(&mut self, from: i64, into: i64) -> Result<(), DbError>;

    /// Writes what is known, and gives the numbers of those of which something but the likelihood of
    /// exploitation changed.
    fn put_facts(&mut self, facts: &[(i64, Facts)], now: Timestamp) -> Result<Vec<i64>, DbError>;

    /// Notes that what is said to be affected changed, whatever else is known.
    fn touch_advisories(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError>;

    /// Leads names to advisories.
    fn lead_names(&mut self, names: &[(String, i64)]) -> Result<(), DbError>;

    /// Which records speak of an advisory, for each of these: all of them.
    fn set_speakers(&mut self, speakers: &[(i64, Vec<i64>)]) -> Result<(), DbError>;

    /// The likelihoods of exploitation, to be compared.
    fn each_score(&mut self, each: &mut dyn FnMut(ScoreRow<'_>)) -> Result<(), DbError>;

    /// Sets likelihoods: number, EPSS, percentile.
    fn put_scores(&mut self, scores: &[(i64, f32, f32)]) -> Result<(), DbError>;

    /// The advisories that changed at a time or later, up to `limit` after a number.
    fn advisories_changed(
        &mut self,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, DbError>;
}

impl<S: Session + ?Sized> Advisories for S {
    fn record_source(&mut self, name: &str, kind: u8) -> Result<i64, DbError> {
        let rows = self.query(
            "INSERT INTO record_source (name, kind) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind RETURNING id",
            &[name.into(), kind.into()],
        )?;
        one(&rows, "the source of a record")
    }

    fn put_source_totals(
        &mut self,
        source: i64,
        totals: &SourceTotals,
        has_changed: bool,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let number = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
        let day = |day: Option<Date>| Value::from(day.map(|day| day.to_string()));
        self.execute(
            "UPDATE record_source SET records = $2, skipped = $3, newest = $4, newest_range = $5, \
             looked_at = $6 WHERE id = $1",
            &[
                source.into(),
                number(totals.records),
                number(totals.skipped),
                day(totals.newest),
                day(totals.newest_range),
                now.into(),
            ],
        )?;
        if has_changed {
            self.execute(
                "UPDATE record_source SET changed_at = $2 WHERE id = $1",
                &[source.into(), now.into()],
            )?;
        }
        Ok(())
    }

    fn record_sources(&mut self) -> Result<Vec<SourceRow>, DbError> {
        self.query(
            "SELECT id, name, kind, records, skipped, newest, newest_range, changed_at, looked_at \
             FROM record_source ORDER BY name",
            &[],
        )?
        .map(|row| {
            Ok(SourceRow {
                id: row.get(0)?,
                name: row.get(1)?,
                kind: row.get(2)?,
                totals: SourceTotals {
                    records: row.get(3)?,
                    skipped: row.get(4)?,
                    newest: read::day(row, 5)?,
                    newest_range: read::day(row, 6)?,
                },
                changed_at: row.get(7)?,
                looked_at: row.get(8)?,
            })
        })
    }

    fn record_digests(
        &mut self,
        source: i64,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, [u8; 16])>, DbError> {
        self.query(
            "SELECT name, digest FROM record WHERE source = $1 AND name > $2 AND gone IS NULL \
             ORDER BY name LIMIT $3",
            &[source.into(), after.into(), count(limit)],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn records_named(
        &mut self,
        source: i64,
        names: &[String],
    ) -> Result<Vec<StoredRecord>, DbError> {
        self.query(
            "SELECT id, name, digest, body, gone IS NOT NULL FROM record \
             WHERE source = $1 AND name {in:2} ORDER BY name",
            &[source.into(), names.into()],
        )?
        .map(|row| {
            Ok(StoredRecord {
                id: row.get(0)?,
                name: row.get(1)?,
                digest: row.get(2)?,
                body: row.get(3)?,
                is_gone: truth(row, 4)?,
            })
        })
    }

    fn record_numbers(
        &mut self,
        source: i64,
        names: &[String],
    ) -> Result<Vec<(String, i64)>, DbError> {
        self.query(
            "SELECT name, id FROM record WHERE source = $1 AND name {in:2} AND gone IS NULL",
            &[source.into(), names.into()],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn leave_advisories(&mut self, ids: &[i64]) -> Result<(), DbError> {
        self.execute("DELETE FROM speaks WHERE advisory {in:1}", &[ids.into()])?;
        Ok(())
    }

    fn put_records(
        &mut self,
        source: i64,
        changes: &[RecordChange],
        now: Timestamp,
    ) -> Result<(), DbError> {
        let bulk = Bulk::new("record")
            .int("source")
            .text("name")
            .bytes("digest")
            .int("seen")
            .bytes("body")
            .then(
                "ON CONFLICT (source, name) DO UPDATE SET digest = excluded.digest, \
                 seen = excluded.seen, gone = NULL, body = excluded.body",
            );
        let rows: Vec<Vec<Value<'_>>> = changes
            .iter()
            .map(|change| {
                vec![
                    source.into(),
                    (&change.name).into(),
                    (&change.digest).into(),
                    now.into(),
                    (&change.body).into(),
                ]
            })
            .collect();
        self.insert_many(&bulk, &rows)?;
        let history = Bulk::new("record_history")
            .int("record")
            .int("until")
            .bytes("digest")
            .bytes("body")
            .then("ON CONFLICT (record, until) DO NOTHING");
        let before: Vec<Vec<Value<'_>>> = changes
            .iter()
            .filter_map(|change| {
                let (digest, body) = change.before.as_ref()?;
                Some(vec![
                    change.id?.into(),
                    now.into(),
                    digest.into(),
                    body.into(),
                ])
            })
            .collect();
        self.insert_many(&history, &before)?;
        Ok(())
    }

    fn drop_records(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE record SET gone = $2 WHERE id {in:1} AND gone IS NULL",
            &[ids.into(), now.into()],
        )?;
        self.execute("DELETE FROM speaks WHERE record {in:1}", &[ids.into()])?;
        Ok(())
    }

    fn advisories_of_names(&mut self, names: &[String]) -> Result<HashMap<String, i64>, DbError> {
        names::advisories_of(self, names)
    }

    fn advisories_named(&mut self, names: &[String]) -> Result<HashMap<String, i64>, DbError> {
        names::named(self, names)
    }

    fn revive_advisories(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE advisory SET merged_into = NULL, changed_at = $2 \
             WHERE id {in:1} AND merged_into IS NOT NULL",
            &[ids.into(), now.into()],
        )?;
        Ok(())
    }

    fn names_of_advisories(&mut self, ids: &[i64]) -> Result<HashMap<i64, String>, DbError> {
        let rows = self.query(
            "SELECT id, name FROM advisory WHERE id {in:1}",
            &[ids.into()],
        )?;
        Ok(rows
            .map(|row| Ok((row.get(0)?, row.get(1)?)))?
            .into_iter()
            .collect())
    }

    fn add_advisories(
        &mut self,
        names: &[String],
        now: Timestamp,
    ) -> Result<HashMap<String, i64>, DbError> {
        names::add(self, names, now)
    }

    fn rename_advisory(&mut self, id: i64, name: &str) -> Result<(), DbError> {
        names::rename(self, id, name)
    }

    fn merge_advisory(&mut self, from: i64, into: i64) -> Result<(), DbError> {
        names::merge(self, from, into)
    }

    fn put_facts(&mut self, facts: &[(i64, Facts)], now: Timestamp) -> Result<Vec<i64>, DbError> {
        let ids: Vec<i64> = facts.iter().map(|(id, _)| *id).collect();
        let known: HashMap<i64, Facts> = self
            .query(
                &format!("SELECT id, {} FROM advisory WHERE id {{in:1}}", read::FACTS),
                &[ids.into()],
            )?
            .map(|row| Ok((row.get(0)?, read::facts(row, 1)?)))?
            .into_iter()
            .collect();
        let mut changed = Vec::new();
        let mut rows = Vec::new();
        for (id, facts) in facts {
            let before = known.get(id);
            if before == Some(facts) {
                continue;
            }
            let same_but_for_scores = before.is_some_and(|before| {
                Facts {
                    epss: facts.epss,
                    percentile: facts.percentile,
                    ..before.clone()
                } == *facts
            });
            if !same_but_for_scores {
                changed.push(*id);
            }
            rows.push(facts::row_of(*id, facts));
        }
        let bulk = Bulk::new("advisory")
            .int("id")
            .key()
            .text("title")
            .text("description")
            .int("score")
            .int("rating")
            .text("vector")
            .text("exploited")
            .int("ransomware")
            .real("epss")
            .real("percentile")
            .int("ssvc")
            .text("published")
            .text("modified")
            .int("withdrawn");
        self.update_many(&bulk, &rows)?;
        self.touch_advisories(&changed, now)?;
        Ok(changed)
    }

    fn touch_advisories(&mut self, ids: &[i64], now: Timestamp) -> Result<(), DbError> {
        self.execute(
            "UPDATE advisory SET changed_at = $2 WHERE id {in:1}",
            &[ids.into(), now.into()],
        )?;
        Ok(())
    }

    fn lead_names(&mut self, names: &[(String, i64)]) -> Result<(), DbError> {
        names::lead(self, names)
    }

    fn set_speakers(&mut self, speakers: &[(i64, Vec<i64>)]) -> Result<(), DbError> {
        let ids: Vec<i64> = speakers.iter().map(|(id, _)| *id).collect();
        self.execute("DELETE FROM speaks WHERE advisory {in:1}", &[ids.into()])?;
        let bulk = Bulk::new("speaks")
            .int("advisory")
            .int("record")
            .then("ON CONFLICT (advisory, record) DO NOTHING");
        let rows: Vec<Vec<Value<'_>>> = speakers
            .iter()
            .flat_map(|(advisory, records)| {
                let mut records = records.clone();
                records.sort_unstable();
                records.dedup();
                records
                    .into_iter()
                    .map(|record| vec![(*advisory).into(), record.into()])
            })
            .collect();
        self.insert_many(&bulk, &rows)?;
        Ok(())
    }

    fn each_score(&mut self, each: &mut dyn FnMut(ScoreRow<'_>)) -> Result<(), DbError> {
        self.for_each(
            "SELECT name, id, epss, percentile FROM advisory WHERE merged_into IS NULL ORDER BY id",
            &[],
            &mut |row| {
                each(ScoreRow {
                    name: row.get(0)?,
                    id: row.get(1)?,
                    epss: row.get(2)?,
                    percentile: row.get(3)?,
                });
                Ok(())
            },
        )
    }

    fn put_scores(&mut self, scores: &[(i64, f32, f32)]) -> Result<(), DbError> {
        let bulk = Bulk::new("advisory")
            .int("id")
            .key()
            .real("epss")
            .real("percentile");
        let rows: Vec<Vec<Value<'_>>> = scores
            .iter()
            .map(|(id, epss, percentile)| {
                vec![
                    (*id).into(),
                    f64::from(*epss).into(),
                    f64::from(*percentile).into(),
                ]
            })
            .collect();
        self.update_many(&bulk, &rows)?;
        Ok(())
    }

    fn advisories_changed(
        &mut self,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<(i64, String)>, DbError> {
        // Those that are merged have changed at no time.
        self.query(
            "SELECT id, name FROM advisory WHERE changed_at >= $1 AND id > $2 ORDER BY id LIMIT $3",
            &[since.into(), after.into(), count(limit)],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }
}

/// Others' text without what an engine refuses to store.
pub fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

pub(crate) fn count(limit: usize) -> Value<'static> {
    Value::Int(i64::try_from(limit).unwrap_or(i64::MAX))
}

/// A condition that was selected: SQLite gives a number, PostgreSQL may as well.
pub(crate) fn truth(row: crate::Row<'_>, column: usize) -> Result<bool, DbError> {
    row.get(column)
}

pub(crate) fn one(rows: &crate::Rows, what: &str) -> Result<i64, DbError> {
    match rows.first() {
        Some(row) => row.get(0),
        None => Err(DbError::Content {
            what: what.to_owned(),
            reason: "it is not there after it was written".to_owned(),
        }),
    }
}
