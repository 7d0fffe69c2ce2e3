//! The room of issues: what was published under a public id, how it stands in a forge, and all that is
//! published of an advisory, gathered.

mod merge;

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use snowguard_matching::Status;
use snowguard_matching::suppress::Justification;
use snowguard_triage::public_id::InvalidPublicId;
use snowguard_triage::{PublicId, StateKind};

pub use self::merge::merge_issues;
use crate::stored::code;
use crate::{DbError, Dialect, Row, Session, Value};

/// An issue as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueRow {
    /// Its number here.
    pub id: i64,
    /// Its public id.
    pub public: PublicId,
    /// The advisory.
    pub advisory: i64,
    /// One line, in the words of who published it.
    pub title: String,
    /// More of these words.
    pub text: Option<String>,
    /// When it was published.
    pub published: Timestamp,
    /// When anything that is published of it last changed.
    pub modified: Timestamp,
    /// When it was taken back.
    pub withdrawn: Option<Timestamp>,
    /// Why it was taken back.
    pub withdrawn_reason: Option<String>,
    /// The digest of what is published of it.
    pub digest: Option<Vec<u8>>,
    /// Raised by each edit.
    pub revision: i64,
}

/// An issue to be published.
#[derive(Clone, Copy, Debug)]
pub struct NewIssue<'a> {
    /// What its public id begins with.
    pub prefix: &'a str,
    /// The advisory.
    pub advisory: i64,
    /// One line.
    pub title: &'a str,
    /// More.
    pub text: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// How an issue stands in a forge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForgeRow {
    /// The number under which it was opened there.
    pub number: Option<u64>,
    /// Its page there.
    pub url: Option<String>,
    /// The digest of what it says there.
    pub digest: Option<Vec<u8>>,
    /// When it was last brought there.
    pub synced: Option<Timestamp>,
    /// What went wrong the last time.
    pub error: Option<String>,
}

/// All that is published of an advisory.
#[derive(Clone, Debug, PartialEq)]
pub struct VerdictsRow {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// How bad, as stored.
    pub rating: Option<i64>,
    /// The vector of CVSS.
    pub vector: Option<String>,
    /// Since when it is known to be exploited.
    pub exploited: Option<Date>,
    /// The packages about which something was decided, by key.
    pub packages: Vec<DecidedRow>,
}

/// A package about which something was decided.
#[derive(Clone, Debug, PartialEq)]
pub struct DecidedRow {
    /// Its number.
    pub package: i64,
    /// What the tracker knows it by.
    pub key: String,
    /// Its name.
    pub name: String,
    /// The language whose module it is.
    pub language: Option<String>,
    /// Its attributes.
    pub attributes: Vec<String>,
    /// The first version without it.
    pub fixed_in: Option<String>,
    /// What was decided.
    pub state: StateKind,
    /// The justification, if there is one.
    pub justification: Option<Justification>,
    /// Since when.
    pub since: Timestamp,
    /// Why, in the words of who decided.
    pub reason: Option<String>,
    /// Who decided, by the name of their account; none where nobody is known.
    pub by: Option<String>,
    /// Channels that are followed, in their order.
    pub channels: Vec<StandingRow>,
}

/// How a package stands in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandingRow {
    /// The channel.
    pub channel: String,
    /// What is computed.
    pub status: Status,
    /// Of which versions, with commas.
    pub versions: String,
    /// The commit and the time of the evaluation with which it was fixed.
    pub fixed: Option<(String, Timestamp)>,
}

/// What was published, and what of it is to be said.
pub trait Issues {
    /// Publishes an issue: its number is the next one of the year, and is taken with it or not at all. None if
    /// the advisory has one already, or turned out to be another.
    fn publish_issue(&mut self, new: &NewIssue<'_>) -> Result<Option<IssueRow>, DbError>;

    /// The issue of a public id.
    fn issue(&mut self, public: &PublicId) -> Result<Option<IssueRow>, DbError>;

    /// The issue of an advisory that is not taken back.
    fn issue_of_advisory(&mut self, advisory: i64) -> Result<Option<IssueRow>, DbError>;

    /// Issues by when they last changed, the newest first; from `before` on, which is the time and the number
    /// of the last one of the page before.
    fn newest_issues(
        &mut self,
        before: Option<(Timestamp, i64)>,
        limit: u32,
    ) -> Result<Vec<IssueRow>, DbError>;

    /// Issues by number, those after one: for who goes through all.
    fn issues_after(&mut self, id: i64, limit: u32) -> Result<Vec<IssueRow>, DbError>;

    /// Changes the words of an issue; false if it changed since `revision` was looked at.
    fn edit_issue(
        &mut self,
        seen: (i64, i64),
        title: &str,
        text: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, DbError>;

    /// Takes an issue back; false if it changed since `revision` was looked at.
    fn withdraw_issue(
        &mut self,
        seen: (i64, i64),
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, DbError>;

    /// Notes what is published of an issue now; true if it is another thing than before. The first time, the
    /// issue is as it was published, and has not changed.
    fn note_issue_digest(&mut self, id: i64, digest: &[u8], at: Timestamp)
    -> Result<bool, DbError>;

    /// How an issue stands in the forge.
    fn forge_issue(&mut self, issue: i64) -> Result<ForgeRow, DbError>;

    /// Notes how an issue stands in the forge.
    fn note_forge_issue(&mut self, issue: i64, row: &ForgeRow) -> Result<(), DbError>;

    /// Notes that an event is about an issue.
    fn note_event_of_issue(&mut self, event: i64, issue: i64) -> Result<(), DbError>;

    /// The findings of an advisory about which it was decided that they are so, by number.
    fn confirmed_findings(&mut self, advisory: i64) -> Result<Vec<i64>, DbError>;

    /// Advisories about which something was decided that is published, by number, those after one.
    fn decided_advisories(&mut self, after: i64, limit: u32) -> Result<Vec<i64>, DbError>;

    /// The issues of advisories that are not taken back.
    fn issues_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<IssueRow>, DbError>;

    /// Gathers what is published of advisories, in the order of their numbers: five queries, however many.
    fn verdicts(&mut self, advisories: &[i64]) -> Result<Vec<VerdictsRow>, DbError>;

    /// The versions that packages have or had in channels that are followed, each with the time of the last
    /// evaluation that had it, or none if the newest has it.
    fn versions_had(&mut self, packages: &[i64])
    -> Result<BTreeMap<i64, Vec<HadVersion>>, DbError>;
}

/// A version, and until when it was in a channel; none if it still is.
pub type HadVersion = (String, Option<Timestamp>);

impl<S: Session + ?Sized> Issues for S {
    fn publish_issue(&mut self, new: &NewIssue<'_>) -> Result<Option<IssueRow>, DbError> {
        if self.dialect() == Dialect::Postgres {
            // Two who publish the same one after the other: the second sees what the first did.
            self.query(
                "SELECT id FROM advisory WHERE id = $1 FOR UPDATE",
                &[new.advisory.into()],
            )?;
        }
        let standing = "SELECT 1 FROM advisory WHERE id = $1 AND merged_into IS NULL";
        if self.query(standing, &[new.advisory.into()])?.is_empty()
            || self.issue_of_advisory(new.advisory)?.is_some()
        {
            return Ok(None);
        }
        let year = new.at.to_zoned(jiff::tz::TimeZone::UTC).year();
        let last = self.query(
            "INSERT INTO issue_number (prefix, year, last) VALUES ($1, $2, 1) \
             ON CONFLICT (prefix, year) DO UPDATE SET last = issue_number.last + 1 RETURNING last",
            &[new.prefix.into(), i64::from(year).into()],
        )?;
        let number: u32 = match last.first() {
            Some(row) => row.get(0)?,
            None => 0,
        };
        let public = PublicId::new(new.prefix, year, number).map_err(|error| DbError::Content {
            what: "the next public id".to_owned(),
            reason: error.to_string(),
        })?;
        self.execute(
            "INSERT INTO issue (public, advisory, title, text, published, modified) \
             VALUES ($1, $2, $3, $4, $5, $5)",
            &[
                public.to_string().into(),
                new.advisory.into(),
                new.title.into(),
                new.text.into(),
                new.at.into(),
            ],
        )?;
        self.issue(&public)
    }

    fn issue(&mut self, public: &PublicId) -> Result<Option<IssueRow>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM issue WHERE public = $1");
        first(self, &sql, &[public.to_string().into()])
    }

    fn issue_of_advisory(&mut self, advisory: i64) -> Result<Option<IssueRow>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM issue WHERE advisory = $1 AND withdrawn IS NULL");
        first(self, &sql, &[advisory.into()])
    }

    fn newest_issues(
        &mut self,
        before: Option<(Timestamp, i64)>,
        limit: u32,
    ) -> Result<Vec<IssueRow>, DbError> {
        let (time, id) = before.map_or((i64::MAX, i64::MAX), |(t, id)| (t.as_millisecond(), id));
        let sql = format!(
            "SELECT {COLUMNS} FROM issue WHERE (modified, id) < ($1, $2) \
             ORDER BY modified DESC, id DESC LIMIT $3"
        );
        self.query(&sql, &[time.into(), id.into(), limit.into()])?
            .map(|row| read(&row))
    }

    fn issues_after(&mut self, id: i64, limit: u32) -> Result<Vec<IssueRow>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM issue WHERE id > $1 ORDER BY id LIMIT $2");
        self.query(&sql, &[id.into(), limit.into()])?
            .map(|row| read(&row))
    }

    fn edit_issue(
        &mut self,
        (id, revision): (i64, i64),
        title: &str,
        text: Option<&str>,
        at: Timestamp,
    ) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE issue SET title = $3, text = $4, modified = $5, revision = revision + 1 \
             WHERE id = $1 AND revision = $2 AND withdrawn IS NULL",
            &[
                id.into(),
                revision.into(),
                title.into(),
                text.into(),
                at.into(),
            ],
        )?;
        Ok(changed == 1)
    }

    fn withdraw_issue(
        &mut self,
        (id, revision): (i64, i64),
        reason: &str,
        at: Timestamp,
    ) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE issue SET withdrawn = $3, withdrawn_reason = $4, modified = $3, \
             revision = revision + 1 WHERE id = $1 AND revision = $2 AND withdrawn IS NULL",
            &[id.into(), revision.into(), at.into(), reason.into()],
        )?;
        Ok(changed == 1)
    }

    fn note_issue_digest(
        &mut self,
        id: i64,
        digest: &[u8],
        at: Timestamp,
    ) -> Result<bool, DbError> {
        let changed = self.execute(
            "UPDATE issue SET digest = $2, modified = CASE WHEN digest IS NULL THEN modified ELSE $3 END \
             WHERE id = $1 AND (digest IS NULL OR digest <> $2)",
            &[id.into(), digest.into(), at.into()],
        )?;
        Ok(changed == 1)
    }

    fn forge_issue(&mut self, issue: i64) -> Result<ForgeRow, DbError> {
        let rows = self.query(
            "SELECT number, url, digest, synced, error FROM forge_issue WHERE issue = $1",
            &[issue.into()],
        )?;
        let found = rows.map(|row| {
            Ok(ForgeRow {
                number: row.get(0)?,
                url: row.get(1)?,
                digest: row.get(2)?,
                synced: row.get(3)?,
                error: row.get(4)?,
            })
        })?;
        Ok(found.into_iter().next().unwrap_or_default())
    }

    fn note_forge_issue(&mut self, issue: i64, row: &ForgeRow) -> Result<(), DbError> {
        self.execute(
            "INSERT INTO forge_issue (issue, number, url, digest, synced, error) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (issue) DO UPDATE SET \
             number = excluded.number, url = excluded.url, digest = excluded.digest, \
             synced = excluded.synced, error = excluded.error",
            &[
                issue.into(),
                row.number
                    .map(|number| i64::try_from(number).unwrap_or(i64::MAX))
                    .into(),
                row.url.as_ref().into(),
                row.digest.as_ref().into(),
                row.synced.into(),
                row.error.as_ref().into(),
            ],
        )?;
        Ok(())
    }

    fn note_event_of_issue(&mut self, event: i64, issue: i64) -> Result<(), DbError> {
        self.execute(
            "UPDATE event SET issue = $2 WHERE id = $1",
            &[event.into(), issue.into()],
        )?;
        Ok(())
    }

    fn confirmed_findings(&mut self, advisory: i64) -> Result<Vec<i64>, DbError> {
        self.query(
            "SELECT id FROM finding WHERE advisory = $1 AND state {in:2} ORDER BY id",
            &[advisory.into(), CONFIRMED.as_slice().into()],
        )?
        .map(|row| row.get(0))
    }

    fn decided_advisories(&mut self, after: i64, limit: u32) -> Result<Vec<i64>, DbError> {
        self.query(
            "SELECT DISTINCT advisory FROM finding WHERE state IN (2, 3, 5, 6) AND advisory > $1 \
             ORDER BY advisory LIMIT $2",
            &[after.into(), limit.into()],
        )?
        .map(|row| row.get(0))
    }

    fn issues_of_advisories(&mut self, advisories: &[i64]) -> Result<Vec<IssueRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM issue WHERE advisory {{in:1}} AND withdrawn IS NULL ORDER BY id"
        );
        self.query(&sql, &[advisories.into()])?
            .map(|row| read(&row))
    }

    fn verdicts(&mut self, advisories: &[i64]) -> Result<Vec<VerdictsRow>, DbError> {
        let mut found: BTreeMap<i64, VerdictsRow> = BTreeMap::new();
        let list = [Value::from(advisories)];
        self.for_each(
            "SELECT id, name, rating, vector, exploited FROM advisory WHERE id {in:1}",
            &list,
            &mut |row| {
                let id = row.get(0)?;
                let row = VerdictsRow {
                    id,
                    name: row.get(1)?,
                    aliases: Vec::new(),
                    rating: row.get(2)?,
                    vector: row.get(3)?,
                    exploited: day(&row, 4)?,
                    packages: Vec::new(),
                };
                found.insert(id, row);
                Ok(())
            },
        )?;
        self.for_each(
            "SELECT advisory, name FROM alias WHERE advisory {in:1} ORDER BY advisory, name",
            &list,
            &mut |row| {
                if let Some(of) = found.get_mut(&row.get(0)?) {
                    let name: String = row.get(1)?;
                    if name != of.name {
                        of.aliases.push(name);
                    }
                }
                Ok(())
            },
        )?;
        let mut packages: Vec<(i64, i64, i64, DecidedRow)> = Vec::new();
        self.for_each(DECIDED, &list, &mut |row| {
            packages.push((row.get(0)?, row.get(1)?, row.get(2)?, decided(&row)?));
            Ok(())
        })?;
        let mut attributes: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        let keys: Vec<i64> = packages.iter().map(|(_, _, package, _)| *package).collect();
        self.for_each(
            "SELECT DISTINCT a.package, a.path FROM attribute a JOIN head h ON h.package = a.package \
             AND h.attribute = a.id WHERE a.package {in:1} ORDER BY a.package, a.path",
            &[keys.into()],
            &mut |row| {
                attributes.entry(row.get(0)?).or_default().push(row.get(1)?);
                Ok(())
            },
        )?;
        let mut channels: BTreeMap<i64, Vec<StandingRow>> = BTreeMap::new();
        self.for_each(STANDINGS, &list, &mut |row| {
            channels
                .entry(row.get(0)?)
                .or_default()
                .push(standing(&row)?);
            Ok(())
        })?;
        for (finding, advisory, package, mut row) in packages {
            row.attributes = attributes.get(&package).cloned().unwrap_or_default();
            row.channels = channels.remove(&finding).unwrap_or_default();
            if let Some(of) = found.get_mut(&advisory) {
                of.packages.push(row);
            }
        }
        Ok(found.into_values().collect())
    }

    fn versions_had(
        &mut self,
        packages: &[i64],
    ) -> Result<BTreeMap<i64, Vec<HadVersion>>, DbError> {
        let mut found: BTreeMap<i64, Vec<HadVersion>> = BTreeMap::new();
        self.for_each(
            "SELECT v.package, v.version, e.evaluated_at FROM version v \
                JOIN channel c ON c.id = v.channel AND c.followed = 1 \
                LEFT JOIN evaluation e ON e.id = v.last WHERE v.package {in:1}",
            &[packages.into()],
            &mut |row| {
                found
                    .entry(row.get(0)?)
                    .or_default()
                    .push((row.get(1)?, row.get(2)?));
                Ok(())
            },
        )?;
        Ok(found)
    }
}

/// The states, as stored, of what is so: confirmed, and confirmed and fixed everywhere.
const CONFIRMED: [i64; 2] = [2, 6];

/// Findings of advisories about which something was decided that is published, each with the words of its
/// last decision.
const DECIDED: &str = "\
    SELECT f.id, f.advisory, f.package, p.key, p.name, p.language, f.fixed_in, f.state, \
        f.justification, f.state_since, (SELECT e.reason FROM event e WHERE e.finding = f.id \
            AND e.kind IN (1, 4) ORDER BY e.id DESC LIMIT 1), \
        (SELECT a.name FROM event e LEFT JOIN account a ON a.id = e.actor WHERE e.finding = f.id \
            AND e.kind IN (1, 4) ORDER BY e.id DESC LIMIT 1) \
    FROM finding f JOIN package p ON p.id = f.package \
    WHERE f.advisory {in:1} AND f.state IN (2, 3, 5, 6) ORDER BY f.advisory, p.key";

/// How these stand in the channels that are followed.
const STANDINGS: &str = "\
    SELECT s.finding, c.name, s.status, s.versions, e.revision, e.evaluated_at \
    FROM finding f JOIN finding_channel s ON s.finding = f.id \
        JOIN channel c ON c.id = s.channel AND c.followed = 1 \
        LEFT JOIN evaluation e ON e.id = s.fixed_since \
    WHERE f.advisory {in:1} AND f.state IN (2, 3, 5, 6) ORDER BY s.finding, c.position";

fn decided(row: &Row<'_>) -> Result<DecidedRow, DbError> {
    let justification: Option<i64> = row.get(8)?;
    Ok(DecidedRow {
        package: row.get(2)?,
        key: row.get(3)?,
        name: row.get(4)?,
        language: row.get(5)?,
        attributes: Vec::new(),
        fixed_in: row.get(6)?,
        state: code(*row, 7)?,
        justification: justification.map(|_| code(*row, 8)).transpose()?,
        since: row.get(9)?,
        reason: row.get(10)?,
        by: row.get(11)?,
        channels: Vec::new(),
    })
}

fn standing(row: &Row<'_>) -> Result<StandingRow, DbError> {
    let revision: Option<String> = row.get(4)?;
    let at: Option<Timestamp> = row.get(5)?;
    Ok(StandingRow {
        channel: row.get(1)?,
        status: code(*row, 2)?,
        versions: row.get(3)?,
        fixed: revision.zip(at),
    })
}

fn day(row: &Row<'_>, column: usize) -> Result<Option<Date>, DbError> {
    let text: Option<&str> = row.get(column)?;
    text.map(str::parse)
        .transpose()
        .map_err(|error: jiff::Error| DbError::Content {
            what: "a day".to_owned(),
            reason: error.to_string(),
        })
}

const COLUMNS: &str = "id, public, advisory, title, text, published, modified, withdrawn, \
                       withdrawn_reason, digest, revision";

fn first<S: Session + ?Sized>(
    session: &mut S,
    sql: &str,
    parameters: &[Value<'_>],
) -> Result<Option<IssueRow>, DbError> {
    let rows = session.query(sql, parameters)?.map(|row| read(&row))?;
    Ok(rows.into_iter().next())
}

fn read(row: &Row<'_>) -> Result<IssueRow, DbError> {
    let public: &str = row.get(1)?;
    let unreadable = |error: InvalidPublicId| DbError::Content {
        what: format!("issue {public}"),
        reason: error.to_string(),
    };
    Ok(IssueRow {
        id: row.get(0)?,
        public: public.parse().map_err(unreadable)?,
        advisory: row.get(2)?,
        title: row.get(3)?,
        text: row.get(4)?,
        published: row.get(5)?,
        modified: row.get(6)?,
        withdrawn: row.get(7)?,
        withdrawn_reason: row.get(8)?,
        digest: row.get(9)?,
        revision: row.get(10)?,
    })
}
