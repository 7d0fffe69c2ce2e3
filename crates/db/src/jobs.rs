//! What the workers have to do: a queue in which no job is done twice, and none is lost.
//!
//! A worker leases a job for a while, says that it is still at work, and says how it ended. If it says nothing, the
//! lease runs out and another takes the job. Whoever lost a lease learns it when it says anything, and changes nothing:
//! a worker that writes what it did and `finish_job` in one transaction has done the job once, or not at all.
//!
//! Times are given by the caller. Clocks of several machines must agree to much less than a lease is long.

use jiff::{SignedDuration, Timestamp};

use crate::engine::{Dialect, Row, Session, Value};
use crate::error::DbError;

/// A job to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewJob<'a> {
    /// Which worker can do it.
    pub kind: &'a str,
    /// Two jobs of a kind with one key are one job, until it is finished.
    pub key: &'a str,
    /// What the worker needs to know.
    pub payload: &'a [u8],
    /// Higher first.
    pub priority: i32,
    /// Not before this time.
    pub due: Timestamp,
    /// How often it is tried before it is given up; at least once.
    pub tries: u32,
}

impl<'a> NewJob<'a> {
    /// A job that is due now, is tried ten times, and has priority 0.
    pub const fn new(kind: &'a str, key: &'a str, now: Timestamp) -> Self {
        Self {
            kind,
            key,
            payload: &[],
            priority: 0,
            due: now,
            tries: 10,
        }
    }
}

/// The right to do a job, and to say how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    id: i64,
    /// Raised by each lease, so that an old one is told from this.
    attempt: u32,
    worker: String,
}

impl Lease {
    /// The job's number.
    pub const fn id(&self) -> i64 {
        self.id
    }

    fn parameters(&self) -> [Value<'_>; 3] {
        [self.id.into(), self.attempt.into(), (&self.worker).into()]
    }
}

/// A job that was leased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// With it the worker says how it goes.
    pub lease: Lease,
    /// As it was given.
    pub kind: String,
    /// As it was given.
    pub key: String,
    /// As it was given.
    pub payload: Vec<u8>,
    /// Counted from 1.
    pub attempt: u32,
    /// Where the last worker was, if it said so.
    pub progress: Option<String>,
}

/// How it is with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// It waits for its time, or for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// It was done.
    Done,
    /// It was given up.
    Failed,
}

impl JobState {
    /// Numbers as they are stored, also in the statements below.
    fn of(code: i64) -> Result<Self, DbError> {
        Ok(match code {
            0 => Self::Queued,
            1 => Self::Running,
            2 => Self::Done,
            3 => Self::Failed,
            _ => {
                return Err(DbError::Content {
                    what: "the state of a job".to_owned(),
                    reason: format!("it is {code}"),
                });
            }
        })
    }
}

/// A job, for those who look on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRow {
    /// Its number.
    pub id: i64,
    /// As it was given.
    pub kind: String,
    /// As it was given.
    pub key: String,
    /// How it is with it.
    pub state: JobState,
    /// When it may be done, or done again.
    pub due: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Who has it, or had it last.
    pub worker: Option<String>,
    /// What the worker last said.
    pub progress: Option<String>,
    /// What went wrong last.
    pub error: Option<String>,
    /// When it was asked for first.
    pub created: Timestamp,
    /// When it was done or given up.
    pub finished: Option<Timestamp>,
}

/// How many jobs of a kind there are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobCount {
    /// The kind.
    pub kind: String,
    /// The state.
    pub state: JobState,
    /// How many.
    pub count: u64,
    /// When the first of them was due.
    pub oldest: Timestamp,
}

/// What became of a job that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It is tried again.
    Again,
    /// It is given up.
    GivenUp,
    /// The lease was lost: somebody else has the job.
    Lost,
}

/// The queue.
pub trait Jobs {
    /// Asks for a job; its number. If the same is queued already, it is that one, with the new payload, the higher
    /// priority and the earlier time. If a worker is at it, it is done again afterwards, since the worker may have
    /// passed what it is asked for.
    fn enqueue(&mut self, job: &NewJob<'_>, now: Timestamp) -> Result<i64, DbError>;

    /// The next job of these kinds that is due, for as long as `lease`. Also takes back what others' leases ran
    /// out on.
    fn lease_job(
        &mut self,
        worker: &str,
        kinds: &[&str],
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Option<Leased>, DbError>;

    /// Says that the worker is still at it, and where. False if the lease was lost: the worker must stop.
    fn extend_lease(
        &mut self,
        lease: &Lease,
        progress: Option<&str>,
        until: Timestamp,
    ) -> Result<bool, DbError>;

    /// Says that the job is done. False if the lease was lost: the worker must not commit what it did.
    fn finish_job(&mut self, lease: &Lease, now: Timestamp) -> Result<bool, DbError>;

    /// Says that the job failed, and when to try again if there are tries left: at once if it was asked for
    /// meanwhile.
    fn fail_job(
        &mut self,
        lease: &Lease,
        error: &str,
        retry: Timestamp,
        now: Timestamp,
    ) -> Result<Failed, DbError>;

    /// Gives a job back as if it had never been leased: the worker stops.
    fn release_job(&mut self, lease: &Lease, now: Timestamp) -> Result<bool, DbError>;

    /// Gives a job back that cannot be done yet, says why, and when to look again: at once if it was asked for
    /// meanwhile. It is no failed attempt.
    fn postpone_job(
        &mut self,
        lease: &Lease,
        why: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, DbError>;

    /// One job.
    fn job(&mut self, id: i64) -> Result<Option<JobRow>, DbError>;

    /// The newest jobs of a kind with numbers below `before`, newest first.
    fn jobs_of(
        &mut self,
        kind: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<JobRow>, DbError>;

    /// Asks for a job that is due again since `last`, the newest of its kind and key, was finished; false if
    /// somebody else has asked for it meanwhile. So of several that look what is due at one moment one asks.
    fn schedule_job(
        &mut self,
        job: &NewJob<'_>,
        last: Option<i64>,
        now: Timestamp,
    ) -> Result<bool, DbError>;

    /// Lets a job that waits be done earlier; no other is changed.
    fn hasten_job(&mut self, id: i64, due: Timestamp) -> Result<bool, DbError>;

    /// The newest job of a kind with a key.
    fn last_job(&mut self, kind: &str, key: &str) -> Result<Option<JobRow>, DbError>;

    /// Whether there may be something for a worker who does these kinds. Writes nothing, so that whoever looks
    /// for jobs keeps nobody from writing.
    fn is_job_due(&mut self, kinds: &[&str], now: Timestamp) -> Result<bool, DbError>;

    /// When jobs of each kind were done last.
    fn jobs_done(&mut self) -> Result<Vec<(String, Timestamp)>, DbError>;

    /// Jobs that run or wait: first those that run, then in the order in which they are due.
    fn unfinished_jobs(&mut self, limit: u32) -> Result<Vec<JobRow>, DbError>;

    /// How many jobs wait, run, and were given up and not yet forgotten.
    fn job_counts(&mut self) -> Result<Vec<JobCount>, DbError>;

    /// Forgets what was finished before a time; how many.
    fn forget_jobs(&mut self, before: Timestamp) -> Result<u64, DbError>;
}

/// How long to wait after a number of failed attempts: half a minute, doubled each time, at most an hour.
pub fn backoff(attempts: u32) -> SignedDuration {
    let doubled = 30_i64.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    SignedDuration::from_secs(doubled.min(3600))
}

const COLUMNS: &str =
    "id, kind, key, state, due, attempts, worker, progress, error, created, finished";

impl<S: Session + ?Sized> Jobs for S {
    fn enqueue(&mut self, job: &NewJob<'_>, now: Timestamp) -> Result<i64, DbError> {
        let rows = self.query(
            "INSERT INTO job (kind, key, payload, priority, state, due, tries, created) \
             VALUES ($1, $2, $3, $4, 0, $5, $6, $7) \
             ON CONFLICT (kind, key) WHERE finished IS NULL DO UPDATE SET \
             payload = excluded.payload, tries = excluded.tries, \
             priority = CASE WHEN excluded.priority > job.priority THEN excluded.priority ELSE job.priority END, \
             due = CASE WHEN excluded.due < job.due THEN excluded.due ELSE job.due END, \
             again = CASE WHEN job.state = 1 THEN 1 ELSE 0 END \
             RETURNING id",
            &[
                job.kind.into(),
                job.key.into(),
                job.payload.into(),
                job.priority.into(),
                job.due.into(),
                job.tries.max(1).into(),
                now.into(),
            ],
        )?;
        only(rows.first(), "the number of a job")?.get(0)
    }

    fn lease_job(
        &mut self,
        worker: &str,
        kinds: &[&str],
        now: Timestamp,
        lease: SignedDuration,
    ) -> Result<Option<Leased>, DbError> {
        take_back(self, now)?;
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        // Others who look for a job at the same moment pass this one by. SQLite has one writer.
        let lock = match self.dialect() {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
        };
        let rows = self.query(
            &format!(
                "UPDATE job SET state = 1, worker = $1, leased_until = $2, attempts = attempts + 1 \
                 WHERE id = (SELECT id FROM job WHERE finished IS NULL AND state = 0 AND kind {{in:3}} \
                 AND due <= $4 ORDER BY priority DESC, due, id LIMIT 1 {lock}) \
                 RETURNING id, attempts, kind, key, payload, progress"
            ),
            &[
                worker.into(),
                until(now, lease).into(),
                kinds.into(),
                now.into(),
            ],
        )?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let attempt = row.get(1)?;
        Ok(Some(Leased {
            lease: Lease {
                id: row.get(0)?,
                attempt,
                worker: worker.to_owned(),
            },
            kind: row.get(2)?,
            key: row.get(3)?,
            payload: row.get(4)?,
            attempt,
            progress: row.get(5)?,
        }))
    }

    fn extend_lease(
        &mut self,
        lease: &Lease,
        progress: Option<&str>,
        until: Timestamp,
    ) -> Result<bool, DbError> {
        let [id, attempt, worker] = lease.parameters();
        let changed = self.execute(
            "UPDATE job SET leased_until = $4, progress = coalesce($5, progress) \
             WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3",
            &[id, attempt, worker, until.into(), progress.into()],
        )?;
        Ok(changed == 1)
    }

    fn finish_job(&mut self, lease: &Lease, now: Timestamp) -> Result<bool, DbError> {
        let [id, attempt, worker] = lease.parameters();
        let changed = self.execute(
            "UPDATE job SET \
             state = CASE WHEN again = 1 THEN 0 ELSE 2 END, \
             finished = CASE WHEN again = 1 THEN NULL ELSE CAST($4 AS BIGINT) END, \
             attempts = CASE WHEN again = 1 THEN 0 ELSE attempts END, \
             due = CASE WHEN again = 1 THEN CAST($4 AS BIGINT) ELSE due END, \
             again = 0, leased_until = NULL, progress = NULL, error = NULL \
             WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3",
            &[id, attempt, worker, now.into()],
        )?;
        Ok(changed == 1)
    }

    fn fail_job(
        &mut self,
        lease: &Lease,
        error: &str,
        retry: Timestamp,
        now: Timestamp,
    ) -> Result<Failed, DbError> {
        let [id, attempt, worker] = lease.parameters();
        let rows = self.query(
            "UPDATE job SET \
             state = CASE WHEN again = 1 OR attempts < tries THEN 0 ELSE 3 END, \
             finished = CASE WHEN again = 1 OR attempts < tries THEN NULL ELSE CAST($4 AS BIGINT) END, \
             attempts = CASE WHEN again = 1 THEN 0 ELSE attempts END, \
             due = CASE WHEN again = 1 THEN CAST($4 AS BIGINT) ELSE CAST($5 AS BIGINT) END, \
             again = 0, leased_until = NULL, error = $6 \
             WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3 \
             RETURNING state",
            &[
                id,
                attempt,
                worker,
                now.into(),
                retry.into(),
                error.replace('\0', "").into(),
            ],
        )?;
        let Some(row) = rows.first() else {
            return Ok(Failed::Lost);
        };
        Ok(match JobState::of(row.get(0)?)? {
            JobState::Failed => Failed::GivenUp,
            _ => Failed::Again,
        })
    }

    fn release_job(&mut self, lease: &Lease, now: Timestamp) -> Result<bool, DbError> {
        let [id, attempt, worker] = lease.parameters();
        let changed = self.execute(
            "UPDATE job SET state = 0, attempts = attempts - 1, due = $4, again = 0, leased_until = NULL \
             WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3",
            &[id, attempt, worker, now.into()],
        )?;
        Ok(changed == 1)
    }

    fn postpone_job(
        &mut self,
        lease: &Lease,
        why: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let [id, attempt, worker] = lease.parameters();
        let changed = self.execute(
            "UPDATE job SET state = 0, attempts = attempts - 1, \
             due = CASE WHEN again = 1 THEN CAST($5 AS BIGINT) ELSE CAST($4 AS BIGINT) END, \
             again = 0, leased_until = NULL, error = $6 \
             WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3",
            &[
                id,
                attempt,
                worker,
                until.into(),
                now.into(),
                why.replace('\0', "").into(),
            ],
        )?;
        Ok(changed == 1)
    }

    fn job(&mut self, id: i64) -> Result<Option<JobRow>, DbError> {
        let sql = format!("SELECT {COLUMNS} FROM job WHERE id = $1");
        self.query(&sql, &[id.into()])?.first().map(job).transpose()
    }

    fn jobs_of(
        &mut self,
        kind: &str,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<JobRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE kind = $1 AND id < $2 ORDER BY id DESC LIMIT $3"
        );
        self.query(
            &sql,
            &[kind.into(), before.unwrap_or(i64::MAX).into(), limit.into()],
        )?
        .map(job)
    }

    fn schedule_job(
        &mut self,
        job: &NewJob<'_>,
        last: Option<i64>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        if self.dialect() == Dialect::Postgres {
            // Whoever comes second must see what the first wrote, even if that is done by then. SQLite has
            // one writer.
            let lock = "SELECT pg_advisory_xact_lock(hashtext('snowguard jobs'))";
            self.query(&format!("SELECT 1 FROM ({lock}) AS held"), &[])?;
        }
        let added = self.execute(
            "INSERT INTO job (kind, key, payload, priority, state, due, tries, created) \
             SELECT $1, $2, $3, CAST($4 AS BIGINT), 0, CAST($5 AS BIGINT), CAST($6 AS BIGINT), \
             CAST($7 AS BIGINT) WHERE NOT EXISTS \
             (SELECT 1 FROM job WHERE kind = $1 AND key = $2 AND id > $8) \
             ON CONFLICT (kind, key) WHERE finished IS NULL DO NOTHING",
            &[
                job.kind.into(),
                job.key.into(),
                job.payload.into(),
                job.priority.into(),
                job.due.into(),
                job.tries.max(1).into(),
                now.into(),
                last.unwrap_or(0).into(),
            ],
        )?;
        Ok(added == 1)
    }

    fn hasten_job(&mut self, id: i64, due: Timestamp) -> Result<bool, DbError> {
        let sql = "UPDATE job SET due = $2 WHERE id = $1 AND state = 0 AND due > $2";
        Ok(self.execute(sql, &[id.into(), due.into()])? == 1)
    }

    fn last_job(&mut self, kind: &str, key: &str) -> Result<Option<JobRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE kind = $1 AND key = $2 ORDER BY id DESC LIMIT 1"
        );
        let rows = self.query(&sql, &[kind.into(), key.into()])?;
        rows.first().map(job).transpose()
    }

    fn is_job_due(&mut self, kinds: &[&str], now: Timestamp) -> Result<bool, DbError> {
        let kinds: Vec<String> = kinds.iter().map(|kind| (*kind).to_owned()).collect();
        let rows = self.query(
            "SELECT 1 WHERE EXISTS (SELECT 1 FROM job WHERE finished IS NULL AND state = 0 \
             AND kind {in:1} AND due <= $2) \
             OR EXISTS (SELECT 1 FROM job WHERE leased_until IS NOT NULL AND leased_until <= $2)",
            &[kinds.into(), now.into()],
        )?;
        Ok(!rows.is_empty())
    }

    fn jobs_done(&mut self) -> Result<Vec<(String, Timestamp)>, DbError> {
        self.query(
            "SELECT kind, max(finished) FROM job WHERE finished IS NOT NULL AND state = 2 \
             GROUP BY kind ORDER BY kind",
            &[],
        )?
        .map(|row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn unfinished_jobs(&mut self, limit: u32) -> Result<Vec<JobRow>, DbError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE finished IS NULL AND state IN (0, 1) \
             ORDER BY state DESC, due, id LIMIT $1"
        );
        self.query(&sql, &[limit.into()])?.map(job)
    }

    fn job_counts(&mut self) -> Result<Vec<JobCount>, DbError> {
        // What was done is not counted: it is most, and `forget_jobs` decides how much of it is there.
        self.query(
            "SELECT kind, 0, count(*), min(due) FROM job WHERE finished IS NULL AND state = 0 GROUP BY kind \
             UNION ALL \
             SELECT kind, 1, count(*), min(due) FROM job WHERE finished IS NULL AND state = 1 GROUP BY kind \
             UNION ALL \
             SELECT kind, 3, count(*), min(due) FROM job WHERE finished IS NOT NULL AND state = 3 GROUP BY kind \
             ORDER BY 1, 2",
            &[],
        )?
        .map(|row| {
            Ok(JobCount {
                kind: row.get(0)?,
                state: JobState::of(row.get(1)?)?,
                count: row.get(2)?,
                oldest: row.get(3)?,
            })
        })
    }

    fn forget_jobs(&mut self, before: Timestamp) -> Result<u64, DbError> {
        self.execute(
            "DELETE FROM job WHERE finished IS NOT NULL AND state IN (2, 3) AND finished < $1",
            &[before.into()],
        )
    }
}

/// Jobs whose workers said nothing for too long can be taken again, or are given up.
fn take_back<S: Session + ?Sized>(session: &mut S, now: Timestamp) -> Result<(), DbError> {
    // Who holds the row is just saying something.
    let lock = match session.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    session.execute(
        &format!(
            "UPDATE job SET \
             state = CASE WHEN again = 1 OR attempts < tries THEN 0 ELSE 3 END, \
             finished = CASE WHEN again = 1 OR attempts < tries THEN NULL ELSE CAST($1 AS BIGINT) END, \
             again = 0, leased_until = NULL, error = $2 \
             WHERE id IN (SELECT id FROM job WHERE leased_until IS NOT NULL AND leased_until <= $1 {lock})"
        ),
        &[now.into(), "the worker ended without a word".into()],
    )?;
    Ok(())
}

fn until(now: Timestamp, lease: SignedDuration) -> Timestamp {
    now.checked_add(lease).unwrap_or(Timestamp::MAX)
}

fn only<'a>(row: Option<Row<'a>>, what: &str) -> Result<Row<'a>, DbError> {
    row.ok_or_else(|| DbError::Content {
        what: what.to_owned(),
        reason: "the database gave none".to_owned(),
    })
}

fn job(row: Row<'_>) -> Result<JobRow, DbError> {
    Ok(JobRow {
        id: row.get(0)?,
        kind: row.get(1)?,
        key: row.get(2)?,
        state: JobState::of(row.get(3)?)?,
        due: row.get(4)?,
        attempts: row.get(5)?,
        worker: row.get(6)?,
        progress: row.get(7)?,
        error: row.get(8)?,
        created: row.get(9)?,
        finished: row.get(10)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_grows_and_ends() {
        let seconds = |attempts| backoff(attempts).as_secs();
        assert_eq!(
            [0, 1, 2, 3, 7, 8, u32::MAX].map(seconds),
            [30, 30, 60, 120, 1920, 3600, 3600]
        );
    }
}
