//! Whether a database is sound: what its engine finds, and what must hold of our rows.
//!
//! A room that has a rule which its tables cannot hold adds a row to [`CHECKS`].

use std::collections::BTreeSet;
use std::fmt;

use crate::engine::{Dialect, Session, Value};
use crate::error::DbError;
use crate::evaluations::Evaluations as _;
use crate::findings::refresh;
use crate::schema;

/// Examples that are told of each check.
const EXAMPLES: usize = 20;

/// One thing that must hold.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Its name, for reports.
    pub name: &'static str,
    /// What must hold, in a sentence.
    pub holds: &'static str,
    /// What to do where it does not.
    pub remedy: &'static str,
    /// A query for both engines: each row is something for which it does not hold, with one column that names it.
    pub sql: &'static str,
}

/// The remedy where what is computed is not what it is computed from.
const RECOMPUTE: &str = "let it be computed anew, which changes no decision";

/// What must hold of our rows.
pub const CHECKS: &[Check] = &[
    Check {
        name: "heads-refer",
        holds: "what a channel has refers to an attribute, a package, a fact and an evaluation of the channel",
        remedy: "ingest the channel's newest evaluation again",
        sql: "SELECT 'attribute ' || CAST(head.attribute AS TEXT) || ' of channel ' || CAST(head.channel AS TEXT) FROM head \
              LEFT JOIN attribute ON attribute.id = head.attribute \
              LEFT JOIN package ON package.id = head.package \
              LEFT JOIN fact ON fact.id = head.fact \
              LEFT JOIN evaluation ON evaluation.id = head.since AND evaluation.channel = head.channel \
              WHERE attribute.id IS NULL OR package.id IS NULL OR fact.id IS NULL OR evaluation.id IS NULL",
    },
    Check {
        name: "heads-have-their-version",
        holds: "the version of an attribute in a head is the one that has not ended, and no other has not",
        remedy: "restore a backup; the history of the package is wrong until then",
        sql: "SELECT 'attribute ' || CAST(head.attribute AS TEXT) || ' of channel ' || CAST(head.channel AS TEXT) FROM head \
              LEFT JOIN version ON version.channel = head.channel AND version.attribute = head.attribute \
              AND version.first = head.since AND version.last IS NULL AND version.version = head.version \
              AND version.package = head.package WHERE version.first IS NULL \
              UNION ALL \
              SELECT 'attribute ' || CAST(version.attribute AS TEXT) || ' of channel ' || CAST(version.channel AS TEXT) FROM version \
              LEFT JOIN head ON head.channel = version.channel AND head.attribute = version.attribute \
              AND head.since = version.first WHERE version.last IS NULL AND head.attribute IS NULL",
    },
    Check {
        name: "evaluations-follow-each-other",
        holds: "the parent of an evaluation is an earlier one of its channel, and only one follows it",
        remedy: "restore a backup; what older evaluations said cannot be computed until then",
        sql: "SELECT 'evaluation ' || CAST(evaluation.id AS TEXT) FROM evaluation \
              LEFT JOIN evaluation AS before ON before.id = evaluation.parent AND before.channel = evaluation.channel \
              WHERE evaluation.parent IS NOT NULL AND (before.id IS NULL OR before.id >= evaluation.id) \
              OR (SELECT count(*) FROM evaluation AS other WHERE other.parent = evaluation.parent) > 1",
    },
    Check {
        name: "versions-refer",
        holds: "the version of an attribute is from one evaluation of its channel to another",
        remedy: "restore a backup; findings of the package may name wrong evaluations until then",
        sql: "SELECT 'attribute ' || CAST(version.attribute AS TEXT) || ' of channel ' || CAST(version.channel AS TEXT) FROM version \
              LEFT JOIN attribute ON attribute.id = version.attribute \
              LEFT JOIN evaluation AS began ON began.id = version.first AND began.channel = version.channel \
              LEFT JOIN evaluation AS ended ON ended.id = version.last AND ended.channel = version.channel \
              WHERE attribute.id IS NULL OR began.id IS NULL OR (version.last IS NOT NULL AND ended.id IS NULL)",
    },
    Check {
        name: "channels-have-their-head",
        holds: "the head of a channel is one of its evaluations",
        remedy: "ingest the channel's newest evaluation again",
        sql: "SELECT channel.name FROM channel \
              LEFT JOIN evaluation ON evaluation.id = channel.head AND evaluation.channel = channel.id \
              WHERE channel.head IS NOT NULL AND evaluation.id IS NULL",
    },
    Check {
        name: "packages-are-maintained-by-somebody",
        holds: "who maintains what refers to a maintainer and a package",
        remedy: "ingest the channel's newest evaluation again",
        sql: "SELECT 'maintainer ' || CAST(maintains.maintainer AS TEXT) || ', package ' || CAST(maintains.package AS TEXT) \
              FROM maintains \
              LEFT JOIN maintainer ON maintainer.id = maintains.maintainer \
              LEFT JOIN package ON package.id = maintains.package \
              WHERE maintainer.id IS NULL OR package.id IS NULL",
    },
    Check {
        name: "advisories-have-their-name",
        holds: "an advisory is found by its own name",
        remedy: "update the advisories: what a source has on it is read again",
        sql: "SELECT advisory.name FROM advisory \
              LEFT JOIN alias ON alias.name = advisory.name AND alias.advisory = advisory.id \
              WHERE alias.name IS NULL AND advisory.merged_into IS NULL",
    },
    Check {
        name: "merged-advisories-lead-on",
        holds: "an advisory that turned out to be another leads to one that stands, and no name leads to it",
        remedy: "update the advisories: what a source has on it is read again",
        sql: "SELECT advisory.name FROM advisory JOIN advisory AS other ON other.id = advisory.merged_into \
              WHERE other.merged_into IS NOT NULL \
              UNION ALL \
              SELECT alias.name FROM alias JOIN advisory ON advisory.id = alias.advisory \
              WHERE advisory.merged_into IS NOT NULL",
    },
    Check {
        name: "issues-are-of-advisories-that-stand",
        holds: "what was published is of an advisory that did not turn out to be another",
        remedy: "restore a backup, and report this; what is published says nothing of packages until then",
        sql: "SELECT issue.public FROM issue JOIN advisory ON advisory.id = issue.advisory \
              WHERE advisory.merged_into IS NOT NULL",
    },
    Check {
        name: "findings-are-in-channels",
        holds: "where a finding is refers to a channel",
        remedy: "match everything again",
        sql: "SELECT 'finding ' || CAST(finding_channel.finding AS TEXT) FROM finding_channel \
              LEFT JOIN channel ON channel.id = finding_channel.channel WHERE channel.id IS NULL",
    },
    Check {
        name: "open-findings-are-in-the-queue",
        holds: "a finding that is not done with is told by a row of the queue",
        remedy: RECOMPUTE,
        // 9: done with; 0: a row of an advisory.
        sql: "SELECT 'finding ' || CAST(finding.id AS TEXT) FROM finding \
              LEFT JOIN suggestion ON suggestion.kind = 0 AND suggestion.subject = finding.advisory \
              WHERE finding.bucket <> 9 AND suggestion.subject IS NULL",
    },
    Check {
        name: "the-queue-has-findings",
        holds: "a row of the queue tells of findings that are not done with",
        remedy: RECOMPUTE,
        sql: "SELECT CASE WHEN suggestion.kind = 0 THEN 'advisory ' ELSE 'package ' END || CAST(suggestion.subject AS TEXT) \
              FROM suggestion \
              WHERE (suggestion.kind = 0 AND NOT EXISTS \
              (SELECT 1 FROM finding WHERE finding.advisory = suggestion.subject AND finding.bucket <> 9)) \
              OR (suggestion.kind = 1 AND NOT EXISTS \
              (SELECT 1 FROM finding WHERE finding.package = suggestion.subject AND finding.bucket <> 9))",
    },
    Check {
        name: "duplicates-have-an-original",
        holds: "a finding that was decided to be a duplicate says of which advisory",
        remedy: "decide on the finding again",
        // 4: a duplicate.
        sql: "SELECT 'finding ' || CAST(finding.id AS TEXT) FROM finding \
              WHERE finding.state = 4 AND finding.duplicate_of IS NULL",
    },
    Check {
        name: "decisions-are-in-the-log",
        holds: "of a finding that was decided an event says so",
        remedy: "decide on the finding again; who decided before, and why, is in a backup if anywhere",
        // What is gone may have become another's without a decision of its own.
        sql: "SELECT 'finding ' || CAST(finding.id AS TEXT) FROM finding \
              WHERE finding.state <> 0 AND finding.gone IS NULL AND NOT EXISTS \
              (SELECT 1 FROM event WHERE event.finding = finding.id AND event.after IS NOT NULL)",
    },
    Check {
        name: "events-refer",
        holds: "what an event is about is there",
        remedy: "restore a backup; what was done with what is missing can be read, and not undone",
        sql: "SELECT 'event ' || CAST(event.id AS TEXT) FROM event \
              LEFT JOIN finding ON finding.id = event.finding \
              LEFT JOIN advisory ON advisory.id = event.advisory \
              LEFT JOIN package ON package.id = event.package \
              WHERE (event.finding IS NOT NULL AND finding.id IS NULL) \
              OR (event.advisory IS NOT NULL AND advisory.id IS NULL) \
              OR (event.package IS NOT NULL AND package.id IS NULL)",
    },
    Check {
        name: "jobs-that-run-are-leased",
        holds: "a job that runs has a worker and a lease, and one that is finished has none",
        remedy: "stop all services, and start one: jobs without a word are taken back",
        sql: "SELECT job.kind || ' ' || job.key FROM job \
              WHERE (job.state = 1 AND (job.worker IS NULL OR job.leased_until IS NULL OR job.finished IS NOT NULL)) \
              OR (job.state IN (2, 3) AND (job.finished IS NULL OR job.leased_until IS NOT NULL)) \
              OR (job.state = 0 AND (job.finished IS NOT NULL OR job.leased_until IS NOT NULL))",
    },
];

/// Something that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which check.
    pub check: &'static str,
    /// What must hold.
    pub holds: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// For how many things it does not hold.
    pub count: usize,
    /// The first of these.
    pub examples: Vec<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}, which does not hold of {}: {}",
            self.check,
            self.holds,
            self.count,
            self.examples.join(", ")
        )
    }
}

/// All checks: first the engine's, then ours. Reads everything.
pub fn run(session: &mut dyn Session) -> Result<Vec<Problem>, DbError> {
    let mut problems = engine(session)?;
    if !problems.is_empty() {
        // Queries on a damaged file tell nothing that can be relied on.
        return Ok(problems);
    }
    problems.extend(rows(session)?);
    Ok(problems)
}

/// What does not hold of our rows.
pub fn rows(session: &mut dyn Session) -> Result<Vec<Problem>, DbError> {
    let mut problems = Vec::new();
    for check in CHECKS {
        problems.extend(by_query(session, check)?);
    }
    if problems.is_empty() {
        problems.extend(deltas(session)?);
    }
    Ok(problems)
}

/// Whether every evaluation that is kept can be computed.
fn deltas(session: &mut dyn Session) -> Result<Option<Problem>, DbError> {
    let mut examples = Vec::new();
    for channel in session.channels()? {
        if let Err(error) = session.walk_back(channel.id) {
            examples.push(format!("channel {}: {error}", channel.name));
        }
    }
    Ok((!examples.is_empty()).then_some(Problem {
        check: "deltas-lead-back",
        holds: "what an older evaluation said can be computed from the head of its channel",
        remedy: "restore a backup, or forget the evaluations before the one that is named",
        count: examples.len(),
        examples,
    }))
}

/// Computes anew what is kept of findings beside them: the queue, and what lists of advisories and packages show.
/// Changes no finding and no decision.
pub fn recompute(session: &mut dyn Session) -> Result<(), DbError> {
    let ids = |session: &mut dyn Session, sql: &str| -> Result<BTreeSet<i64>, DbError> {
        let found = session.query(sql, &[])?.map(|row| row.get(0))?;
        Ok(found.into_iter().collect())
    };
    let advisories = ids(
        session,
        "SELECT advisory FROM finding UNION SELECT subject FROM suggestion WHERE kind = 0",
    )?;
    let packages = ids(
        session,
        "SELECT package FROM finding UNION SELECT subject FROM suggestion WHERE kind = 1 \
         UNION SELECT package FROM package_channel",
    )?;
    refresh(session, &advisories, &packages)
}

/// What the engine finds.
pub fn engine(session: &mut dyn Session) -> Result<Vec<Problem>, DbError> {
    match session.dialect() {
        Dialect::Sqlite => {
            const WHOLE: Check = Check {
                name: "the-file-is-whole",
                holds: "every page of the file, and every index, is as SQLite wrote it",
                remedy: "stop the service, keep the file, and restore a backup under another name",
                sql: "PRAGMA integrity_check(100)",
            };
            const REFERENCES: Check = Check {
                name: "rows-refer",
                holds: "what a row refers to is there",
                remedy: "keep the file, restore a backup, and report this: it cannot come about by use",
                sql: "SELECT \"table\" || ' ' || coalesce(CAST(rowid AS TEXT), '') || ' refers to ' || parent \
                      FROM pragma_foreign_key_check",
            };
            let mut problems: Vec<Problem> = by_query(session, &WHOLE)?.into_iter().collect();
            if problems.is_empty() {
                problems.extend(by_query(session, &REFERENCES)?);
            }
            Ok(problems)
        }
        // The server keeps its references; here it reads every row once, which finds pages that cannot be read.
        Dialect::Postgres => {
            for table in schema::tables(session)? {
                session.query(&format!("SELECT count(*) FROM \"{table}\""), &[])?;
            }
            Ok(Vec::new())
        }
    }
}

fn by_query(session: &mut dyn Session, check: &Check) -> Result<Option<Problem>, DbError> {
    let (mut count, mut examples) = (0, Vec::new());
    session.for_each(check.sql, &[], &mut |row| {
        // So SQLite says that it has found nothing.
        if matches!(row.values(), [Value::Text(text)] if text == "ok") {
            return Ok(());
        }
        count += 1;
        if examples.len() < EXAMPLES {
            examples.push(row.get::<Option<String>>(0)?.unwrap_or_default());
        }
        Ok(())
    })?;
    Ok((count > 0).then_some(Problem {
        check: check.name,
        holds: check.holds,
        remedy: check.remedy,
        count,
        examples,
    }))
}
