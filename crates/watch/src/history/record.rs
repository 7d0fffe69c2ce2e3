//! What one scan changes in the history.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{About, FAILING_AFTER, HistoryError, LOG_KEPT, Told, tail};
use crate::change::{self, Around, Known, Severity, State, Step};
use crate::key::Key;
use crate::observation::{Counts, Knowledge, Observation, Package, Subject};

/// How long a scan with fewer advisories than before is not believed about what it does not see.
const BLIND_SECONDS: i64 = 7 * 86_400;
/// How long failed scans are kept.
const FAILED_KEPT_SECONDS: i64 = 90 * 86_400;
/// A stored finding: its number, what it is about, three words, and whether it is exploited, was ever
/// affected, and was so since it was last closed.
type Row = (i64, Subject, [String; 3], [bool; 3]);

/// What is written in one transaction.
pub(super) struct Recorder<'t> {
    write: &'t Transaction<'t>,
    path: &'t Utf8Path,
    instance: &'t str,
    about: &'t About,
    target: i64,
    now: i64,
    told: usize,
}

impl<'t> Recorder<'t> {
    pub(super) fn new(
        write: &'t Transaction<'_>,
        path: &'t Utf8Path,
        instance: &'t str,
        about: &'t About,
    ) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Sqlite {
            path: path.to_owned(),
            source,
        };
        write
            .execute(
                "INSERT OR IGNORE INTO target (name) VALUES (?1)",
                [&about.target],
            )
            .map_err(failed)?;
        let target = write
            .query_row(
                "SELECT id FROM target WHERE name = ?1",
                [&about.target],
                |row| row.get(0),
            )
            .map_err(failed)?;
        Ok(Self {
            write,
            path,
            instance,
            about,
            target,
            now: about.finished.as_second(),
            told: 0,
        })
    }

    pub(super) fn scan(&mut self, seen: &Observation) -> Result<usize, HistoryError> {
        let last = self.last_scan("('ok', 'blind')")?;
        let trusted = self.last_scan("('ok')")?;
        let blind = trusted.as_ref().is_some_and(|trusted| {
            self.now - trusted.finished < BLIND_SECONDS
                && knows_less(&seen.knowledge, &trusted.knowledge)
        });
        let around = Around {
            system: last
                .as_ref()
                .is_none_or(|last| last.root != self.about.root),
            knowledge: last
                .as_ref()
                .is_none_or(|last| !last.knowledge.has_same_advisories(&seen.knowledge)),
            blind,
        };
        let failing = self.failures_in_a_row()?;
        let counts = self.findings(seen, around, last.is_none())?;
        if last.is_none() {
            self.tell(None, &Told::baseline(self.about, seen, &counts))?;
        }
        if failing >= FAILING_AFTER {
            self.tell(None, &Told::scan_working(self.about))?;
        }
        self.row(
            if blind { "blind" } else { "ok" },
            Some((seen, counts)),
            "",
            "",
        )?;
        Ok(self.told)
    }

    pub(super) fn failure(&mut self, error: &str, log: &str) -> Result<usize, HistoryError> {
        self.row("failed", None, error, log)?;
        if self.failures_in_a_row()? == FAILING_AFTER {
            self.tell(None, &Told::scan_failing(self.about, error))?;
        }
        let before = self.now - FAILED_KEPT_SECONDS;
        self.sql(
            "DELETE FROM scan WHERE outcome = 'failed' AND finished < ?1",
            params![before],
        )?;
        Ok(self.told)
    }

    /// Brings every finding up to date and tells what changed; gives the counts of what is known now.
    fn findings(
        &mut self,
        seen: &Observation,
        around: Around,
        first: bool,
    ) -> Result<Counts, HistoryError> {
        let known = self.known()?;
        let findings: BTreeMap<Subject, Known> = known
            .iter()
            .map(|(subject, (_, known))| (subject.clone(), known.clone()))
            .collect();
        let mut counts = Counts::default();
        for step in change::steps(&findings, seen, around) {
            let before = step.known_as.as_ref().and_then(|name| known.get(name));
            match (step.found, before) {
                (Some(found), _) => counts.add(step.state, found.severity, found.exploited),
                (None, Some((_, was))) => counts.add(step.state, was.severity, was.exploited),
                (None, None) => {}
            }
            let id = self.store(&step, before)?;
            // The first scan of a target is told as a whole: nothing in it is a change.
            if first {
                continue;
            }
            for change in &step.changes {
                let was = before.map(|(_, was)| was);
                self.tell(Some(id), &Told::change(self.about, &step, was, *change))?;
            }
        }
        Ok(counts)
    }

    fn known(&self) -> Result<BTreeMap<Subject, (i64, Known)>, HistoryError> {
        let collect = || -> rusqlite::Result<Vec<Row>> {
            self.write
                .prepare(
                    "SELECT id, advisory, package, language, state, severity, versions, exploited,
                     affected IS NOT NULL, affected_since_closed FROM finding WHERE target = ?1",
                )?
                .query_map([self.target], |row| {
                    let subject = Subject {
                        advisory: row.get(1)?,
                        package: Package {
                            name: row.get(2)?,
                            language: row.get(3)?,
                        },
                    };
                    let words = [row.get(4)?, row.get(5)?, row.get(6)?];
                    let facts = [row.get(7)?, row.get(8)?, row.get(9)?];
                    Ok((row.get(0)?, subject, words, facts))
                })?
                .collect()
        };
        let mut known = BTreeMap::new();
        for (id, subject, [state, severity, versions], facts) in
            collect().map_err(|source| self.failed(source))?
        {
            let [exploited, was_affected, affected_since_closed] = facts;
            let damaged = |what: &str| HistoryError::Damaged {
                path: self.path.to_owned(),
                what: format!("finding {id}: {what}"),
            };
            let versions: BTreeSet<String> =
                serde_json::from_str(&versions).map_err(|_| damaged("versions"))?;
            let state = State::parse(&state).ok_or_else(|| damaged("state"))?;
            let severity = Severity::parse(&severity).ok_or_else(|| damaged("severity"))?;
            let finding = Known {
                state,
                was_affected,
                affected_since_closed,
                versions,
                severity,
                exploited,
            };
            known.insert(subject, (id, finding));
        }
        Ok(known)
    }

    /// Writes one finding as it stands now.
    fn store(&self, step: &Step<'_>, before: Option<&(i64, Known)>) -> Result<i64, HistoryError> {
        let open = step.state.is_open();
        let Some(found) = step.found else {
            let Some((id, _)) = before else {
                return Ok(0);
            };
            if step.state == State::Gone {
                self.sql(
                    "UPDATE finding SET state = 'gone', closed = ifnull(closed, ?2), affected_since_closed = 0
                     WHERE id = ?1",
                    params![id, self.now],
                )?;
            }
            return Ok(*id);
        };
        let versions = json(&found.versions);
        let (subject, now) = (&step.subject, self.now);
        let affected = step.state == State::Affected;
        let Some((id, _)) = before else {
            self.sql(
                "INSERT INTO finding (target, advisory, package, language, state, severity, score,
                 exploited, versions, fixed_in, update_to, first_seen, last_seen, opened, closed,
                 affected, affected_since_closed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12, ?13, ?14, ?15, ?16)",
                params![
                    self.target,
                    subject.advisory,
                    subject.package.name,
                    subject.package.language,
                    step.state.as_str(),
                    found.severity.as_str(),
                    found.score,
                    found.exploited,
                    versions,
                    found.fixed_in,
                    found.update_to,
                    now,
                    open.then_some(now),
                    (!open).then_some(now),
                    affected.then_some(now),
                    affected,
                ],
            )?;
            return Ok(self.write.last_insert_rowid());
        };
        self.sql(
            "UPDATE finding SET advisory = ?2, state = ?3, severity = ?4, score = ?5, exploited = ?6,
             versions = ?7, fixed_in = ?8, update_to = ?9, last_seen = ?10,
             opened = CASE WHEN ?11 THEN ifnull(opened, ?10) ELSE opened END,
             closed = CASE WHEN ?11 THEN NULL ELSE ifnull(closed, ?10) END,
             reopened = reopened + (?11 AND opened IS NOT NULL AND closed IS NOT NULL),
             affected = CASE WHEN ?12 THEN ifnull(affected, ?10) ELSE affected END,
             affected_since_closed = ?12 OR (?11 AND affected_since_closed) WHERE id = ?1",
            params![
                id,
                subject.advisory,
                step.state.as_str(),
                found.severity.as_str(),
                found.score,
                found.exploited,
                versions,
                found.fixed_in,
                found.update_to,
                now,
                open,
                affected,
            ],
        )?;
        Ok(*id)
    }

    /// Appends what is told, under a key that does not depend on the time.
    fn tell(&mut self, finding: Option<i64>, told: &Told) -> Result<(), HistoryError> {
        let kind = told.kind.as_str();
        let before: i64 = self
            .write
            .query_row(
                "SELECT count(*) FROM event WHERE target = ?1 AND finding IS ?2 AND kind = ?3",
                params![self.target, finding, kind],
                |row| row.get(0),
            )
            .map_err(|source| self.failed(source))?;
        let ordinal = (before + 1).to_string();
        let finding_id = finding.map(|id| id.to_string()).unwrap_or_default();
        let key = Key::of([
            self.instance,
            self.about.target.as_str(),
            finding_id.as_str(),
            told.advisory.as_deref().unwrap_or_default(),
            told.package.as_deref().unwrap_or_default(),
            told.language.as_deref().unwrap_or_default(),
            kind,
            ordinal.as_str(),
        ]);
        self.sql(
            "INSERT INTO event (key, target, finding, kind, at, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![key.as_str(), self.target, finding, kind, self.now, json(told)],
        )?;
        self.told += 1;
        Ok(())
    }

    fn row(
        &self,
        outcome: &str,
        seen: Option<(&Observation, Counts)>,
        error: &str,
        log: &str,
    ) -> Result<(), HistoryError> {
        let about = self.about;
        let (title, components, knowledge, counts, gaps) = match seen {
            Some((seen, counts)) => (
                seen.title.as_str(),
                i64::try_from(seen.components).unwrap_or(i64::MAX),
                json(&seen.knowledge),
                json(&counts),
                json(&seen.gaps),
            ),
            None => ("", 0, String::new(), String::new(), String::new()),
        };
        self.sql(
            "INSERT INTO scan (target, started, finished, reason, outcome, root, fingerprint,
             title, components, knowledge, counts, gaps, error, log)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                self.target,
                about.started.as_second(),
                self.now,
                about.reason,
                outcome,
                about.root,
                about.fingerprint,
                title,
                components,
                knowledge,
                counts,
                gaps,
                error,
                tail(log, LOG_KEPT),
            ],
        )
    }

    fn last_scan(&self, outcomes: &str) -> Result<Option<Last>, HistoryError> {
        let row = self
            .write
            .query_row(
                &format!(
                    "SELECT root, knowledge, finished FROM scan
                     WHERE target = ?1 AND outcome IN {outcomes} ORDER BY id DESC LIMIT 1"
                ),
                [self.target],
                |row| Ok((row.get(0)?, row.get::<_, String>(1)?, row.get(2)?)),
            )
            .optional()
            .map_err(|source| self.failed(source))?;
        row.map(|(root, knowledge, finished)| {
            let knowledge =
                serde_json::from_str(&knowledge).map_err(|error| HistoryError::Damaged {
                    path: self.path.to_owned(),
                    what: format!("what the last scan knew: {error}"),
                })?;
            Ok(Last {
                root,
                knowledge,
                finished,
            })
        })
        .transpose()
    }

    fn failures_in_a_row(&self) -> Result<u64, HistoryError> {
        let count: i64 = self
            .write
            .query_row(
                "SELECT count(*) FROM scan WHERE target = ?1 AND id > ifnull(
                 (SELECT max(id) FROM scan WHERE target = ?1 AND outcome <> 'failed'), 0)",
                [self.target],
                |row| row.get(0),
            )
            .map_err(|source| self.failed(source))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn sql(&self, sql: &str, params: impl rusqlite::Params) -> Result<(), HistoryError> {
        self.write
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params))
            .map(drop)
            .map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::Sqlite {
            path: self.path.to_owned(),
            source,
        }
    }
}

/// What is needed of the scan before.
struct Last {
    root: String,
    knowledge: Knowledge,
    finished: i64,
}

/// Whether what is not seen now may only be unknown now: the index of the program in place of a file,
/// an older index, one with a tenth less in it, or files that cannot be read now.
fn knows_less(now: &Knowledge, before: &Knowledge) -> bool {
    (now.path.is_none() && before.path.is_some())
        || now.newest < before.newest
        || now.unread > before.unread
        || now.vulnerabilities < before.vulnerabilities - before.vulnerabilities / 10
}

/// Values of ours are always JSON: their keys are texts and their numbers are finite.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
