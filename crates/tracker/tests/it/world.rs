//! A small package set, some records, and a database: what the tests of the tracker are about.

use std::sync::atomic::AtomicBool;

use camino::Utf8PathBuf;
use jiff::Timestamp;
use snowguard_advisory::index::{Builder, Index, SourceKind};
use snowguard_advisory::record::Record;
use snowguard_db::Database;
use snowguard_db::advisories::advisory_by_name;
use snowguard_db::evaluations::{
    Evaluations as _, NewAttribute, NewEvaluation, NewFact, NewPackage, Shrinking,
};
use snowguard_db::findings::{FindingRow, Findings as _};
use snowguard_feeds::RecordStore;
use snowguard_inventory::{Fact, IdentityTable};
use snowguard_tracker::advisories::{Taken, take};
use snowguard_tracker::decide::Actor;
use snowguard_tracker::rematch::{Rematched, Rematcher, Scope};
use snowguard_triage::{Decided, Role};

/// Somebody of the security team.
pub(crate) const TEAM: Actor = Actor {
    account: None,
    role: Role::Security,
    maintainer: None,
};

pub(crate) struct World<'d> {
    pub(crate) db: &'d Database,
    pub(crate) store: RecordStore,
    _directory: tempfile::TempDir,
    table: IdentityTable,
    /// Days since the beginning.
    pub(crate) day: i64,
}

impl<'d> World<'d> {
    pub(crate) fn new(db: &'d Database) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = Utf8PathBuf::from_path_buf(directory.path().join("records")).unwrap();
        Self {
            db,
            store: RecordStore::open(&path).unwrap(),
            _directory: directory,
            table: IdentityTable::builtin(),
            day: 0,
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + self.day * 86_400).unwrap()
    }

    /// A source's whole edition, in the facts format, a record a line.
    pub(crate) fn records(&mut self, source: &str, lines: &str) {
        let mut change = self.store.change().unwrap();
        change.replace(source, SourceKind::Facts).unwrap();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let record: Record = serde_json::from_str(line).unwrap();
            change.put(source, SourceKind::Facts, &record).unwrap();
        }
        change.commit().unwrap();
    }

    pub(crate) fn take(&self) -> Taken {
        let interrupted = AtomicBool::new(false);
        take(self.db, &self.store, self.now(), &interrupted, &mut |_| {}).unwrap()
    }

    /// What a channel has: attribute, package, version, home page.
    pub(crate) fn evaluate(&mut self, channel: &str, attributes: &[(&str, &str, &str, &str)]) {
        self.day += 1;
        let attributes: Vec<NewAttribute> = attributes
            .iter()
            .map(|(path, package, version, homepage)| {
                let fact = Fact {
                    pname: Some((*package).into()),
                    homepages: vec![(*homepage).into()],
                    maintainers: vec!["someone".into()],
                    ..Fact::default()
                };
                let json = fact.encode();
                NewAttribute {
                    path: (*path).into(),
                    package: NewPackage {
                        key: (*package).into(),
                        name: (*package).into(),
                        language: None,
                    },
                    name: format!("{package}-{version}").into(),
                    version: (*version).into(),
                    drv: None,
                    outputs: None,
                    fact: NewFact {
                        digest: Fact::digest(&json),
                        json: json.into(),
                    },
                }
            })
            .collect();
        let revision = format!("{channel}-{}", self.day);
        let now = self.now();
        self.db
            .write(|session| {
                let channel = session.add_channel(channel, None)?;
                session.ingest(&NewEvaluation {
                    channel: channel.id,
                    revision: &revision,
                    evaluated_at: now,
                    ingested_at: now,
                    attributes: &attributes,
                    failures: &[],
                    shrinking: Shrinking::Taken,
                })
            })
            .unwrap();
    }

    /// Takes in the records, and matches.
    pub(crate) fn settle(&self) -> Rematched {
        self.take();
        self.rematch(Scope::All { state: "test" })
    }

    pub(crate) fn rematch(&self, scope: Scope<'_>) -> Rematched {
        self.with_rematcher(|rematcher| rematcher.run(scope, &mut |_| {}).unwrap())
    }

    pub(crate) fn with_rematcher<T>(&self, work: impl FnOnce(&Rematcher<'_, '_>) -> T) -> T {
        let mut builder = Builder::new();
        self.store.fill(&mut builder).unwrap();
        let bytes = builder.finish().bytes;
        let interrupted = AtomicBool::new(false);
        work(&Rematcher {
            db: self.db,
            index: Index::open(&bytes).unwrap(),
            table: &self.table,
            now: self.now(),
            today: jiff::civil::date(2026, 11, 21),
            interrupted: &interrupted,
        })
    }

    pub(crate) fn advisory(&self, name: &str) -> i64 {
        self.db
            .read(|session| advisory_by_name(session, name))
            .unwrap()
            .unwrap()
    }

    pub(crate) fn package(&self, key: &str) -> i64 {
        self.db
            .read(|session| session.package_numbered_by(key))
            .unwrap()
            .unwrap()
    }

    /// The finding of a package and an advisory by its names.
    pub(crate) fn finding(&self, package: &str, advisory: &str) -> FindingRow {
        let (package, advisory) = (self.package(package), self.advisory(advisory));
        let rows = self
            .db
            .read(|session| session.findings_of_packages(&[package]))
            .unwrap();
        rows.into_iter()
            .find(|row| row.advisory == advisory)
            .unwrap()
    }

    pub(crate) fn decided(&self, package: &str, advisory: &str) -> Decided {
        self.finding(package, advisory).decided
    }

    /// All findings, in words.
    pub(crate) fn told(&self) -> String {
        let rows = self
            .db
            .read(|session| {
                session.query(
                    "SELECT package.key, advisory.name, finding.id FROM finding \
                     JOIN package ON package.id = finding.package \
                     JOIN advisory ON advisory.id = finding.advisory \
                     ORDER BY package.key, advisory.name",
                    &[],
                )
            })
            .unwrap();
        let mut lines = Vec::new();
        for row in rows.iter() {
            let (key, name, id): (String, String, i64) = (
                row.get(0).unwrap(),
                row.get(1).unwrap(),
                row.get(2).unwrap(),
            );
            let (finding, channels) = self
                .db
                .read(|session| Ok((session.finding(id)?, session.channels_of_findings(&[id])?)))
                .unwrap();
            let finding = finding.unwrap();
            let gone = if finding.gone.is_some() { ", gone" } else { "" };
            lines.push(format!(
                "{key} {name}: {}, {}{gone}",
                finding.computed.status.as_str(),
                finding.decided.state.kind().as_str()
            ));
            for channel in channels {
                let fixed = channel
                    .fixed_since
                    .map_or(String::new(), |fixed| format!(", fixed since {fixed}"));
                lines.push(format!(
                    "  {} {} {} since {}{fixed}",
                    channel.channel,
                    channel.versions,
                    channel.status.as_str(),
                    channel.since
                ));
            }
        }
        lines.join("\n")
    }

    /// The log, in words, the oldest first.
    pub(crate) fn log(&self) -> String {
        let rows = self
            .db
            .read(|session| session.query("SELECT kind, reason FROM event ORDER BY id", &[]))
            .unwrap();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                use snowguard_triage::{Code as _, EventKind};
                let kind = EventKind::from_code(row.get(0).unwrap()).unwrap();
                format!("{}: {}", kind.as_str(), row.get::<String>(1).unwrap())
            })
            .collect();
        lines.join("\n")
    }

    /// The queue: kind, subject, list, how many.
    pub(crate) fn queue(&self) -> String {
        let rows = self
            .db
            .read(|session| {
                session.query(
                    "SELECT kind, bucket, findings, coalesce(advisory.name, package.key) FROM suggestion \
                     LEFT JOIN advisory ON kind = 0 AND advisory.id = subject \
                     LEFT JOIN package ON kind = 1 AND package.id = subject \
                     ORDER BY bucket, kind, suggestion.rank DESC, 4",
                    &[],
                )
            })
            .unwrap();
        let lines: Vec<String> = rows
            .iter()
            .map(|row| {
                use snowguard_triage::{Bucket, Code as _};
                let bucket = Bucket::from_code(row.get(1).unwrap()).unwrap();
                let findings: i64 = row.get(2).unwrap();
                format!(
                    "{} {}: {findings}",
                    bucket.as_str(),
                    row.get::<String>(3).unwrap()
                )
            })
            .collect();
        lines.join("\n")
    }
}
