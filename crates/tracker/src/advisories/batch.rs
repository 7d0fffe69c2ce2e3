//! One batch of names that differ: read and joined before, and written in one transaction.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use rayon::prelude::*;
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::index::{Builder, Index, Touched, VulnerabilityView};
use snowguard_advisory::record::Record;
use snowguard_advisory::severity::Severity;
use snowguard_db::advisories::{
    Advisories as _, Facts, RecordChange, StoredRecord, clean, pack, unpack,
};
use snowguard_db::search::{Document, Search as _};
use snowguard_db::{Database, DbError, Session};
use snowguard_feeds::RecordStore;

use super::diff::Difference;
use super::{TakeError, Taken, names};

/// An advisory as the records of its group have it.
pub(super) struct Group {
    pub(super) facts: Facts,
    /// All of its names, its own first.
    pub(super) names: Vec<String>,
    /// The records that speak of it: source and name.
    records: Vec<(String, String)>,
}

/// What a batch writes.
pub(super) struct Batch {
    source: i64,
    changes: Vec<RecordChange>,
    dropped: Vec<i64>,
    pub(super) groups: Vec<Group>,
    /// All names that the touched records have or had.
    pub(super) touched: Vec<String>,
    /// Advisories' names of which the records changed in what matters.
    substance: BTreeSet<String>,
}

impl Batch {
    /// Reads what the names say now and said before, and joins the groups that they touch.
    pub(super) fn read(
        db: &Database,
        store: &RecordStore,
        source_name: &str,
        source: i64,
        differences: &[Difference],
    ) -> Result<Self, TakeError> {
        let asked: Vec<String> = differences.iter().map(|one| one.name.clone()).collect();
        let stored: HashMap<String, StoredRecord> = db
            .read(|session| session.records_named(source, &asked))?
            .into_iter()
            .map(|stored| (stored.name.clone(), stored))
            .collect();
        // Of a name that the source has no more it says nothing.
        let names: Vec<&str> = differences.iter().map(|one| one.name.as_str()).collect();
        let now = store.under_names(source_name, &names)?;
        let prepared: Vec<Prepared> = differences
            .par_iter()
            .zip(now)
            .map(|(difference, now)| prepare(difference, now, stored.get(&difference.name)))
            .collect::<Result<_, DbError>>()?;
        let mut batch = Self {
            source,
            changes: Vec::new(),
            dropped: Vec::new(),
            groups: Vec::new(),
            touched: Vec::new(),
            substance: BTreeSet::new(),
        };
        let mut touched = Touched::new();
        let mut all_names: BTreeSet<String> = BTreeSet::new();
        let mut substance = Touched::new();
        for prepared in prepared {
            for record in prepared.before.iter().chain(&prepared.now) {
                touched.note(record);
                all_names.extend(names_of(record).map(ToString::to_string));
                if prepared.in_substance {
                    substance.note(record);
                }
            }
            match prepared.outcome {
                Outcome::Put(change) => batch.changes.push(change),
                Outcome::Drop(id) => batch.dropped.push(id),
                Outcome::Nothing => {}
            }
        }
        batch.groups = join(store, &touched, &asked)?;
        for group in &batch.groups {
            all_names.extend(group.names.iter().cloned());
        }
        batch.substance = substance.names().map(ToString::to_string).collect();
        batch.touched = all_names.into_iter().collect();
        Ok(batch)
    }

    /// Writes it.
    pub(super) fn write(&self, db: &Database, now: Timestamp) -> Result<Taken, TakeError> {
        Ok(db.write(|session| self.apply(session, now))?)
    }

    fn apply(&self, session: &mut dyn Session, now: Timestamp) -> Result<Taken, DbError> {
        session.put_records(self.source, &self.changes, now)?;
        session.drop_records(&self.dropped, now)?;
        let placed = names::place(session, self, now)?;
        let facts: Vec<(i64, Facts)> = self
            .groups
            .iter()
            .zip(&placed.ids)
            .map(|(group, id)| (*id, group.facts.clone()))
            .collect();
        let mut changed: BTreeSet<i64> = session.put_facts(&facts, now)?.into_iter().collect();
        let in_substance: Vec<i64> = self
            .groups
            .iter()
            .zip(&placed.ids)
            .filter(|(group, _)| group.names.iter().any(|name| self.substance.contains(name)))
            .map(|(_, id)| *id)
            .chain(placed.left.iter().copied())
            .collect();
        session.touch_advisories(&in_substance, now)?;
        changed.extend(in_substance);
        self.speak(session, &placed.ids)?;
        self.words(session, &placed.ids, &changed)?;
        Ok(Taken {
            records: self.changes.len() as u64,
            removed: self.dropped.len() as u64,
            advisories: changed.len() as u64,
            merged: placed.merged,
            scores: 0,
        })
    }

    /// Lets what changed be found by its words.
    fn words(
        &self,
        session: &mut dyn Session,
        ids: &[i64],
        changed: &BTreeSet<i64>,
    ) -> Result<(), DbError> {
        let documents: Vec<(Document, Vec<&str>)> = self
            .groups
            .iter()
            .zip(ids)
            .filter(|(_, id)| changed.contains(id))
            .map(|(group, id)| {
                let texts = [&group.facts.title, &group.facts.description];
                let texts = texts.into_iter().filter_map(|text| text.as_deref());
                (Document::Advisory(*id), texts.collect())
            })
            .collect();
        session.set_words(&documents)
    }

    /// Notes which records speak of which advisory.
    fn speak(&self, session: &mut dyn Session, ids: &[i64]) -> Result<(), DbError> {
        let mut by_source: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        for (source, name) in self.groups.iter().flat_map(|group| &group.records) {
            by_source.entry(source).or_default().insert(name.clone());
        }
        let numbers: HashMap<String, i64> = session
            .record_sources()?
            .into_iter()
            .map(|source| (source.name, source.id))
            .collect();
        let mut records: HashMap<(&str, String), i64> = HashMap::new();
        for (source, names) in by_source {
            // What another source says is brought in with that source, and noted then.
            let Some(number) = numbers.get(source) else {
                continue;
            };
            let names: Vec<String> = names.into_iter().collect();
            for (name, id) in session.record_numbers(*number, &names)? {
                records.insert((source, name), id);
            }
        }
        let speakers: Vec<(i64, Vec<i64>)> = self
            .groups
            .iter()
            .zip(ids)
            .map(|(group, id)| {
                let of_group = group.records.iter();
                let found = of_group.filter_map(|(source, name)| {
                    records.get(&(source.as_str(), name.clone())).copied()
                });
                (*id, found.collect())
            })
            .collect();
        session.set_speakers(&speakers)
    }
}

/// One name, ready to be written.
struct Prepared {
    before: Vec<Record>,
    now: Vec<Record>,
    in_substance: bool,
    outcome: Outcome,
}

enum Outcome {
    Put(RecordChange),
    Drop(i64),
    Nothing,
}

fn prepare(
    difference: &Difference,
    now: Vec<Record>,
    stored: Option<&StoredRecord>,
) -> Result<Prepared, DbError> {
    // A record that was damaged is as good as none: it is written anew.
    let before = match stored.filter(|stored| !stored.is_gone) {
        Some(stored) => unpack(&stored.body).unwrap_or_default(),
        None => Vec::new(),
    };
    let in_substance = before.len() != now.len()
        || before
            .iter()
            .zip(&now)
            .any(|(before, now)| before.differs_in_substance(now));
    let outcome = match (difference.digest.filter(|_| !now.is_empty()), stored) {
        (Some(digest), _) => Outcome::Put(RecordChange {
            id: stored.map(|stored| stored.id),
            name: difference.name.clone(),
            digest,
            body: pack(&now)?,
            before: stored
                .filter(|_| in_substance)
                .map(|stored| (stored.digest, stored.body.clone())),
        }),
        (None, Some(stored)) => Outcome::Drop(stored.id),
        (None, None) => Outcome::Nothing,
    };
    Ok(Prepared {
        before,
        now,
        in_substance,
        outcome,
    })
}

/// Joins the groups that were touched, with all of their records, by an index of them.
fn join(store: &RecordStore, touched: &Touched, asked: &[String]) -> Result<Vec<Group>, TakeError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| TakeError::Join {
        name: asked.first().cloned().unwrap_or_default(),
        source,
    };
    let kinds: HashMap<String, _> = store
        .sources()?
        .into_iter()
        .map(|source| (source.name, source.kind))
        .collect();
    let records = store.groups(touched)?;
    let mut builder = Builder::new();
    let mut descriptions: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (source, record) in &records {
        let kind = kinds.get(source).copied().unwrap_or_default();
        let plain = Record {
            texts: None,
            ..record.clone()
        };
        builder.add(source, kind, plain);
        let text = record
            .texts
            .as_ref()
            .and_then(|texts| texts.description.as_deref());
        if let Some(text) = text {
            descriptions.insert((source, record.id.as_str()), text);
        }
    }
    let built = builder.finish();
    let index = Index::open(&built.bytes).map_err(|error| failed(error.into()))?;
    let sources = index.sources().map_err(|error| failed(error.into()))?;
    let touched: BTreeSet<&str> = touched.names().map(AdvisoryId::as_str).collect();
    let mut groups = Vec::new();
    for id in index.vulnerabilities() {
        let view = index
            .vulnerability(id)
            .map_err(|error| failed(error.into()))?;
        // A record may speak of other advisories as well, of which not all records are here.
        let is_touched = touched.contains(view.id)
            || !view.id.starts_with("CVE-")
                && view.aliases.iter().any(|alias| touched.contains(alias));
        if !is_touched {
            continue;
        }
        let records: Vec<(String, String)> = view
            .records
            .iter()
            .filter_map(|(name, source, _)| {
                let source = sources.get(*source)?.name;
                Some((source.to_owned(), (*name).to_owned()))
            })
            .collect();
        // The record that bears the name speaks first, as in the index.
        let own = records.iter().filter(|(_, name)| name == view.id);
        let description = own.chain(&records).find_map(|(source, name)| {
            descriptions.get(&(source.as_str(), name.as_str())).copied()
        });
        groups.push(Group {
            facts: facts(&view, description),
            names: std::iter::once(view.id)
                .chain(view.aliases.iter().copied())
                .map(str::to_owned)
                .collect(),
            records,
        });
    }
    Ok(groups)
}

fn facts(view: &VulnerabilityView<'_>, description: Option<&str>) -> Facts {
    let severity = view.severity();
    let vector = severity.and_then(|severity| match severity {
        Severity::Vector(vector) => Some(vector),
        Severity::Word(_) => None,
    });
    Facts {
        name: view.id.to_owned(),
        // What is compared with what is stored must be as it is stored.
        title: view.summary.map(clean),
        description: description.map(clean),
        score: vector.map(|vector| vector.score().tenths().into()),
        rating: severity.map(Severity::rating),
        vector: vector.map(|vector| vector.as_str().to_owned()),
        exploited: view.exploited.map(|exploited| exploited.since),
        ransomware: view.exploited.is_some_and(|exploited| exploited.ransomware),
        epss: view.epss.map(|epss| epss.probability),
        percentile: view.epss.map(|epss| epss.percentile),
        ssvc: view.ssvc,
        published: view.published,
        modified: view.modified,
        withdrawn: view.withdrawn,
    }
}

fn names_of(record: &Record) -> impl Iterator<Item = &AdvisoryId> {
    std::iter::once(&record.id).chain(&record.aliases)
}
