//! Questions to the history.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::event::{Event, Told};
use super::{HistoryError, LAYOUT, read_only};
use crate::change::{Cause, Kind, Severity, State};
use crate::key::Key;
use crate::observation::{Counts, Knowledge, Package};

/// The history, for whoever only reads.
#[derive(Debug)]
pub struct Reading {
    connection: Connection,
    path: Utf8PathBuf,
}

/// One target of scans.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name in the settings.
    pub name: String,
    /// The last scan that worked.
    pub last: Option<Scan>,
    /// Scans that failed since.
    pub failing: Option<Failing>,
    id: i64,
}

/// A scan that worked.
#[derive(Clone, Debug, PartialEq)]
pub struct Scan {
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// Why it was made.
    pub reason: String,
    /// What the input of the target led to.
    pub root: String,
    /// Which files of advisories there were when it began.
    pub fingerprint: String,
    /// The name of what was scanned.
    pub title: String,
    /// How many packages it has.
    pub components: u64,
    /// Against what.
    pub knowledge: Knowledge,
    /// What it counted, with what is kept from scans that knew more.
    pub counts: Counts,
    /// What could not be known.
    pub gaps: Vec<String>,
    /// It knew less than a scan before it.
    pub blind: bool,
}

/// Scans that failed after the last that worked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// How many.
    pub times: u64,
    /// When the first of them ended.
    pub since: Timestamp,
    /// When the last of them ended.
    pub last: Timestamp,
    /// What the input led to the last time.
    pub root: String,
    /// Which files of advisories there were the last time.
    pub fingerprint: String,
    /// What was wrong the last time.
    pub error: String,
    /// The end of what it printed on stderr.
    pub log: String,
}

/// What is open about one package.
#[derive(Clone, Debug, PartialEq)]
pub struct Open {
    /// The package.
    pub package: Package,
    /// Its versions.
    pub versions: Vec<String>,
    /// The open findings, the most pressing first.
    pub findings: Vec<Finding>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The target in which it is.
    pub target: String,
    /// The id of the advisory.
    pub advisory: String,
    /// The package.
    pub package: Package,
    /// Where it stands.
    pub state: State,
    /// How bad.
    pub severity: Severity,
    /// The CVSS score.
    pub score: Option<f64>,
    /// Known to be exploited.
    pub exploited: bool,
    /// Its versions.
    pub versions: Vec<String>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// The version to which to update.
    pub update_to: Option<String>,
    /// When it was first seen, open or not.
    pub first_seen: Timestamp,
    /// When it was last seen.
    pub last_seen: Timestamp,
    /// When it was first open.
    pub opened: Option<Timestamp>,
    /// When it stopped to be open.
    pub closed: Option<Timestamp>,
    /// How often it was open again.
    pub reopened: u64,
    /// What happened to it.
    pub moments: Vec<Moment>,
}

/// Something that happened to a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: Kind,
    /// Why.
    pub cause: Option<Cause>,
}

const FINDING: &str =
    "SELECT finding.id, target.name, advisory, package, language, state, severity,
    score, exploited, versions, fixed_in, update_to, first_seen, last_seen, opened, closed, reopened
    FROM finding JOIN target ON target.id = finding.target";

impl Reading {
    /// Opens a copy that the writer made for readers.
    pub fn of_copy(path: &Utf8Path) -> Result<Self, HistoryError> {
        Self::open(path, true)
    }

    pub(super) fn open(path: &Utf8Path, immutable: bool) -> Result<Self, HistoryError> {
        let failed = |source| HistoryError::Sqlite {
            path: path.to_owned(),
            source,
        };
        let connection = read_only(path, immutable).map_err(failed)?;
        let found: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        // What readers ask is in every layout so far.
        if !(1..=LAYOUT).contains(&found) {
            return Err(HistoryError::Layout {
                path: path.to_owned(),
                found,
            });
        }
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// The name of this history, which no other has.
    pub fn instance(&self) -> Result<String, HistoryError> {
        self.ask(|c| {
            c.query_row(
                "SELECT value FROM meta WHERE name = 'instance'",
                [],
                |row| row.get(0),
            )
        })
    }

    /// All targets, by name.
    pub fn targets(&self) -> Result<Vec<Target>, HistoryError> {
        let names: Vec<(i64, String)> = self.ask(|c| {
            c.prepare("SELECT id, name FROM target ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        names
            .into_iter()
            .map(|(id, name)| {
                Ok(Target {
                    last: self.last(id)?,
                    failing: self.failing(id)?,
                    name,
                    id,
                })
            })
            .collect()
    }

    /// What is open in a target, by package, the most pressing first.
    pub fn open_findings(&self, target: &Target) -> Result<Vec<Open>, HistoryError> {
        let sql = format!(
            "{FINDING} WHERE finding.target = ?1 AND state IN ('affected', 'needs_review')"
        );
        let mut findings = self.findings(&sql, params![target.id])?;
        findings.sort_by(|a, b| {
            pressing(b)
                .cmp(&pressing(a))
                .then_with(|| a.advisory.cmp(&b.advisory))
        });
        let mut open: Vec<Open> = Vec::new();
        for finding in findings {
            match open.iter_mut().find(|open| open.package == finding.package) {
                Some(of) => of.findings.push(finding),
                None => open.push(Open {
                    package: finding.package.clone(),
                    versions: finding.versions.clone(),
                    findings: vec![finding],
                }),
            }
        }
        Ok(open)
    }

    /// Every finding about an advisory, open or not, with what happened to it.
    pub fn about(&self, advisory: &str) -> Result<Vec<Finding>, HistoryError> {
        let sql = format!("{FINDING} WHERE advisory = ?1 ORDER BY target.name, package, language");
        let mut findings = self.ask(|c| {
            c.prepare(&sql)?
                .query_map([advisory], |row| Ok((row.get::<_, i64>(0)?, raw(row)?)))?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        let mut all = Vec::new();
        for (id, row) in findings.drain(..) {
            let mut finding = self.finding(row)?;
            let moments: Vec<(i64, String)> = self.ask(|c| {
                c.prepare("SELECT at, data FROM event WHERE finding = ?1 ORDER BY seq")?
                    .query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect()
            })?;
            for (at, data) in moments {
                let told = self.told(&data)?;
                finding.moments.push(Moment {
                    at: time(at),
                    kind: told.kind,
                    cause: told.cause,
                });
            }
            all.push(finding);
        }
        Ok(all)
    }

    /// The changes after a number, at most so many, in order.
    pub fn events_after(&self, seq: i64, limit: usize) -> Result<Vec<Event>, HistoryError> {
        self.events(
            "SELECT seq, key, at, data FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
            params![seq, i64::try_from(limit).unwrap_or(i64::MAX)],
        )
    }

    /// The changes after one number up to another, in order.
    pub fn events_between(&self, after: i64, through: i64) -> Result<Vec<Event>, HistoryError> {
        self.events(
            "SELECT seq, key, at, data FROM event WHERE seq > ?1 AND seq <= ?2 ORDER BY seq",
            params![after, through],
        )
    }

    /// What was open at the end of each of the last so many periods, the oldest first; none before the
    /// first scan.
    pub fn trend(
        &self,
        target: &Target,
        now: Timestamp,
        period_seconds: i64,
        periods: u32,
    ) -> Result<Vec<Option<Counts>>, HistoryError> {
        (0..i64::from(periods))
            .rev()
            .map(|back| {
                let end = now.as_second() - back * period_seconds;
                let counts: Option<String> = self.ask(|c| {
                    c.query_row(
                        "SELECT counts FROM scan WHERE target = ?1 AND outcome <> 'failed'
                         AND finished <= ?2 ORDER BY finished DESC LIMIT 1",
                        params![target.id, end],
                        |row| row.get(0),
                    )
                    .optional()
                })?;
                counts.map(|counts| self.json(&counts)).transpose()
            })
            .collect()
    }

    /// How many scans of a target worked, and how many failed.
    pub fn scans(&self, target: &Target) -> Result<(u64, u64), HistoryError> {
        let (ok, failed): (i64, i64) = self.ask(|c| {
            c.query_row(
                "SELECT count(*) FILTER (WHERE outcome <> 'failed'),
                 count(*) FILTER (WHERE outcome = 'failed') FROM scan WHERE target = ?1",
                [target.id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })?;
        Ok((ok.unsigned_abs(), failed.unsigned_abs()))
    }

    /// The number of the last change.
    pub fn last_event(&self) -> Result<i64, HistoryError> {
        self.ask(|c| {
            c.query_row("SELECT ifnull(max(seq), 0) FROM event", [], |row| {
                row.get(0)
            })
        })
    }

    fn last(&self, target: i64) -> Result<Option<Scan>, HistoryError> {
        type Row = (i64, i64, String, String, String, i64, [String; 5]);
        let row: Option<Row> = self.ask(|c| {
            c.query_row(
                "SELECT started, finished, reason, root, title, components, knowledge, counts, gaps,
                 outcome, fingerprint FROM scan WHERE target = ?1 AND outcome <> 'failed' ORDER BY id DESC LIMIT 1",
                [target],
                |row| {
                    let texts = [row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?, row.get(10)?];
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, texts))
                },
            )
            .optional()
        })?;
        row.map(
            |(started, finished, reason, root, title, components, texts)| {
                let [knowledge, counts, gaps, outcome, fingerprint] = texts;
                Ok(Scan {
                    started: time(started),
                    finished: time(finished),
                    reason,
                    root,
                    fingerprint,
                    title,
                    components: components.unsigned_abs(),
                    knowledge: self.json(&knowledge)?,
                    counts: self.json(&counts)?,
                    gaps: self.json(&gaps)?,
                    blind: outcome == "blind",
                })
            },
        )
        .transpose()
    }

    fn failing(&self, target: i64) -> Result<Option<Failing>, HistoryError> {
        let rows: Vec<(i64, [String; 4])> = self.ask(|c| {
            c.prepare(
                "SELECT finished, error, log, root, fingerprint FROM scan WHERE target = ?1 AND id > ifnull(
                 (SELECT max(id) FROM scan WHERE target = ?1 AND outcome <> 'failed'), 0) ORDER BY id",
            )?
            .query_map([target], |row| {
                Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?]))
            })?
            .collect()
        })?;
        let (Some((first, _)), Some((last, [error, log, root, fingerprint]))) =
            (rows.first(), rows.last())
        else {
            return Ok(None);
        };
        Ok(Some(Failing {
            times: rows.len() as u64,
            since: time(*first),
            last: time(*last),
            root: root.clone(),
            fingerprint: fingerprint.clone(),
            error: error.clone(),
            log: log.clone(),
        }))
    }

    fn findings(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<Finding>, HistoryError> {
        let rows = self.ask(|c| {
            c.prepare(sql)?
                .query_map(params, raw)?
                .collect::<rusqlite::Result<Vec<_>>>()
        })?;
        rows.into_iter().map(|row| self.finding(row)).collect()
    }

    fn finding(&self, row: RawFinding) -> Result<Finding, HistoryError> {
        Ok(Finding {
            state: State::parse(&row.state)
                .ok_or_else(|| self.damaged("the state of a finding"))?,
            severity: Severity::parse(&row.severity)
                .ok_or_else(|| self.damaged("the severity of a finding"))?,
            versions: self.json(&row.versions)?,
            target: row.target,
            advisory: row.advisory,
            package: row.package,
            score: row.score,
            exploited: row.exploited,
            fixed_in: row.fixed_in,
            update_to: row.update_to,
            first_seen: time(row.times[0].unwrap_or(0)),
            last_seen: time(row.times[1].unwrap_or(0)),
            opened: row.times[2].map(time),
            closed: row.times[3].map(time),
            reopened: row.reopened.unsigned_abs(),
            moments: Vec::new(),
        })
    }

    fn events(&self, sql: &str, params: impl rusqlite::Params) -> Result<Vec<Event>, HistoryError> {
        let rows: Vec<(i64, String, i64, String)> = self.ask(|c| {
            c.prepare(sql)?
                .query_map(params, |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                })?
                .collect()
        })?;
        rows.into_iter()
            .map(|(seq, key, at, data)| {
                let key: Key = key
                    .parse()
                    .map_err(|_| self.damaged("the key of a change"))?;
                Ok(Event {
                    seq,
                    key,
                    at: time(at),
                    told: self.told(&data)?,
                })
            })
            .collect()
    }

    fn told(&self, data: &str) -> Result<Told, HistoryError> {
        self.json(data)
    }

    fn json<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, HistoryError> {
        serde_json::from_str(text).map_err(|error| self.damaged(&error.to_string()))
    }

    fn damaged(&self, what: &str) -> HistoryError {
        HistoryError::Damaged {
            path: self.path.clone(),
            what: what.to_owned(),
        }
    }

    fn ask<T>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, HistoryError> {
        question(&self.connection).map_err(|source| HistoryError::Sqlite {
            path: self.path.clone(),
            source,
        })
    }
}

/// Exploited first, then what is affected, by severity and score.
fn pressing(finding: &Finding) -> (bool, bool, Severity, u64) {
    let affected = finding.state == State::Affected;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a score lies between 0 and 10"
    )]
    let score = (finding.score.unwrap_or(0.0) * 10.0) as u64;
    (
        affected && finding.exploited,
        affected,
        finding.severity,
        score,
    )
}

#[derive(Debug)]
struct RawFinding {
    target: String,
    advisory: String,
    package: Package,
    state: String,
    severity: String,
    score: Option<f64>,
    exploited: bool,
    versions: String,
    fixed_in: Option<String>,
    update_to: Option<String>,
    times: [Option<i64>; 4],
    reopened: i64,
}

fn raw(row: &Row<'_>) -> rusqlite::Result<RawFinding> {
    Ok(RawFinding {
        target: row.get(1)?,
        advisory: row.get(2)?,
        package: Package {
            name: row.get(3)?,
            language: row.get(4)?,
        },
        state: row.get(5)?,
        severity: row.get(6)?,
        score: row.get(7)?,
        exploited: row.get(8)?,
        versions: row.get(9)?,
        fixed_in: row.get(10)?,
        update_to: row.get(11)?,
        times: [row.get(12)?, row.get(13)?, row.get(14)?, row.get(15)?],
        reopened: row.get(16)?,
    })
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
impl Target {
    /// A target that is in no history.
    pub(crate) fn sample(name: &str, last: Option<Scan>, failing: Option<Failing>) -> Self {
        Self {
            name: name.into(),
            last,
            failing,
            id: 0,
        }
    }
}
