//! What is to be fetched again and compared, one task a row: nothing is lost, and what was done is not done again.
//!
//! This is a database of its own beside the tracker's: whoever verifies a package set needs no tracker. A worker says
//! what it wants done and gets nothing else: others may be able to do what it cannot. It
//! leases tasks for a while, says that it is still at them, and writes what came of each. If it says nothing any
//! more, the leases run out and others take them. Of several workers no two have one task.
//!
//! PostgreSQL tells the time itself, since several machines lease from it; a file has one worker, whose time counts.
//! Deliberately absent: what a task is, and what came of it; both are bytes here.

use jiff::{SignedDuration, Timestamp};

use crate::engine::{Bulk, Database, Dialect, Location, Session, Settings, Value};
use crate::error::DbError;
use crate::schema;

/// A database with a queue of tasks.
#[derive(Clone, Debug)]
pub struct RefetchQueue {
    database: Database,
    is_told_times: bool,
}

/// A task to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewTask<'a> {
    /// Two with one key are one.
    pub key: &'a str,
    /// Who is asked first.
    pub host: &'a str,
    /// What the worker needs to know.
    pub payload: &'a [u8],
}

/// A task that was leased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its number.
    pub id: i64,
    /// As it was given.
    pub key: String,
    /// As it was given.
    pub host: String,
    /// As it was given.
    pub payload: Vec<u8>,
    /// Counted from 1; an old lease is told from a new one by it.
    pub attempt: u32,
    /// How often a worker that had it said nothing more.
    pub lost: u32,
    /// What came of it when it was last done well.
    pub before: Option<Vec<u8>>,
}

/// How a worker left a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It is done.
    Done {
        /// The word of the verdict.
        verdict: String,
        /// What came of it.
        result: Vec<u8>,
    },
    /// It is tried again after so long.
    Later(SignedDuration),
    /// It was not done: somebody wants an end. This try does not count.
    Released,
}

/// A task that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// As it was given.
    pub key: String,
    /// What came of it.
    pub result: Vec<u8>,
    /// When.
    pub finished: Timestamp,
}

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting, also for their time.
    pub waiting: u64,
    /// Being done.
    pub running: u64,
    /// Done.
    pub done: u64,
}

/// How long a worker that wants something may be at work.
const LONGEST_WORK: SignedDuration = SignedDuration::from_hours(90 * 24);
/// The verdict after which it is worth knowing what came.
const WELL: &str = "ok";
/// What becomes of a task that is done again.
const ANEW: &str = "state = 0, due = $1, attempts = 0, lost = 0, verdict = NULL, result = NULL, finished = NULL, \
                    before = CASE WHEN verdict = $2 THEN result ELSE before END";

impl RefetchQueue {
    /// Opens a queue by its name: a path, or `postgres://…`. One that is not there is made.
    pub fn open(name: &str) -> Result<Self, DbError> {
        Self::open_with(&name.parse()?, Settings::default())
    }

    /// As [`Self::open`], with settings.
    pub fn open_with(location: &Location, settings: Settings) -> Result<Self, DbError> {
        let database = Database::connect(location, settings)?;
        schema::refetch(&database)?;
        Ok(Self {
            database,
            is_told_times: false,
        })
    }

    /// Takes the times of its callers also where the database has its own: for tests.
    #[must_use]
    pub fn with_times_of_callers(self) -> Self {
        Self {
            is_told_times: true,
            ..self
        }
    }

    /// What time it is: for all workers the same, or a lease of one that is ahead ends those of others.
    fn now(&self, session: &mut dyn Session, told: Timestamp) -> Result<Timestamp, DbError> {
        if self.is_told_times || session.dialect() == Dialect::Sqlite {
            return Ok(told);
        }
        let sql = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";
        let rows = session
            .query(sql, &[])?
            .map(|row| row.get::<Timestamp>(0))?;
        Ok(rows.first().copied().unwrap_or(told))
    }

    /// The database, for who looks at it.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Adds tasks, which this worker wants; those that are known stay as they are. How many are new.
    pub fn add(&self, worker: &str, tasks: &[NewTask<'_>], now: Timestamp) -> Result<u64, DbError> {
        let bulk = Bulk::new("refetch")
            .text("key")
            .text("host")
            .bytes("payload")
            .int("state")
            .int("due")
            .then("ON CONFLICT (key) DO NOTHING");
        self.database.write(|session| {
            let now = self.now(session, now)?;
            let rows: Vec<Vec<Value<'_>>> = tasks
                .iter()
                .map(|task| {
                    vec![
                        task.key.into(),
                        task.host.into(),
                        task.payload.into(),
                        Value::Int(0),
                        now.into(),
                    ]
                })
                .collect();
            let added = session.insert_many(&bulk, &rows)?;
            let long_ago = now.checked_sub(LONGEST_WORK).unwrap_or(Timestamp::MIN);
            session.execute("DELETE FROM wanted WHERE since < $1", &[long_ago.into()])?;
            for tasks in tasks.chunks(1000) {
                let keys: Vec<String> = tasks.iter().map(|task| task.key.to_owned()).collect();
                session.execute(
                    "INSERT INTO wanted (worker, task, since) SELECT $1, id, $2 FROM refetch WHERE key {in:3} \
                     ON CONFLICT (worker, task) DO NOTHING",
                    &[worker.into(), now.into(), keys.into()],
                )?;
            }
            Ok(added)
        })
    }

    /// A worker wants nothing more.
    pub fn leave(&self, worker: &str) -> Result<(), DbError> {
        self.database.write(|session| {
            session.execute("DELETE FROM wanted WHERE worker = $1", &[worker.into()])?;
            Ok(())
        })
    }

    /// Lets tasks with one of these keys and verdicts be done again; all verdicts if none is named. How many.
    pub fn again(
        &self,
        keys: &[String],
        verdicts: &[&str],
        now: Timestamp,
    ) -> Result<u64, DbError> {
        let verdicts: Vec<String> = verdicts.iter().map(|word| (*word).to_owned()).collect();
        self.database.write(|session| {
            let now = self.now(session, now)?;
            let mut changed = 0;
            for keys in keys.chunks(1000) {
                changed += session.execute(
                    &format!(
                        "UPDATE refetch SET {ANEW} WHERE state = 2 AND key {{in:3}} \
                         AND (CAST($4 AS BIGINT) = 1 OR verdict {{in:5}})"
                    ),
                    &[
                        now.into(),
                        WELL.into(),
                        keys.to_vec().into(),
                        Value::Int(i64::from(verdicts.is_empty())),
                        verdicts.clone().into(),
                    ],
                )?;
            }
            Ok(changed)
        })
    }

    /// Lets tasks with one of these keys be done again that were done longer ago than `age`. How many.
    pub fn outdated(
        &self,
        keys: &[String],
        age: SignedDuration,
        now: Timestamp,
    ) -> Result<u64, DbError> {
        self.database.write(|session| {
            let now = self.now(session, now)?;
            let oldest = now.checked_sub(age).unwrap_or(Timestamp::MIN);
            let mut changed = 0;
            for keys in keys.chunks(1000) {
                changed += session.execute(
                    &format!(
                        "UPDATE refetch SET {ANEW} WHERE state = 2 AND key {{in:3}} AND finished < $4"
                    ),
                    &[
                        now.into(),
                        WELL.into(),
                        keys.to_vec().into(),
                        oldest.into(),
                    ],
                )?;
            }
            Ok(changed)
        })
    }

    /// Gives back what others hold, where it is certain that they are gone: whoever has the file for itself. That
    /// their workers died is counted.
    pub fn take_back_all(&self, now: Timestamp) -> Result<u64, DbError> {
        self.database.write(|session| {
            let now = self.now(session, now)?;
            session.execute("DELETE FROM wanted", &[])?;
            session.execute(
                "UPDATE refetch SET state = 0, due = $1, attempts = attempts - 1, lost = lost + 1, worker = NULL, \
                 leased_until = NULL WHERE state = 1",
                &[now.into()],
            )
        })
    }

    /// In one transaction: writes how tasks ended, says that the worker is still at others, and leases up to `want`
    /// more of what it wants whose hosts are not in `busy`. An end whose lease was lost changes nothing.
    pub fn step(&self, step: &Step<'_>) -> Result<Vec<Task>, DbError> {
        self.database.write(|session| {
            let step = &Step {
                now: self.now(session, step.now)?,
                ..*step
            };
            for (task, end) in step.ended {
                finish(session, step, task, end)?;
            }
            for task in step.running {
                session.execute(
                    "UPDATE refetch SET leased_until = $4 \
                     WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3",
                    &[
                        task.id.into(),
                        task.attempt.into(),
                        step.worker.into(),
                        step.until().into(),
                    ],
                )?;
            }
            lease(session, step)
        })
    }

    /// How many of those that a worker wants wait, run, are done.
    pub fn counts(&self, worker: &str) -> Result<Counts, DbError> {
        self.database.read(|session| {
            let mut counts = Counts::default();
            let sql = "SELECT state, count(*) FROM wanted JOIN refetch ON refetch.id = wanted.task \
                       WHERE wanted.worker = $1 GROUP BY state";
            session.for_each(sql, &[worker.into()], &mut |row| {
                let count = row.get::<u64>(1)?;
                match row.get::<i64>(0)? {
                    0 => counts.waiting = count,
                    1 => counts.running = count,
                    _ => counts.done = count,
                }
                Ok(())
            })?;
            Ok(counts)
        })
    }

    /// What came of all that are done.
    pub fn results(&self) -> Result<Vec<Done>, DbError> {
        self.database.read(|session| {
            let sql = "SELECT key, result, finished FROM refetch WHERE state = 2 ORDER BY id";
            session.query(sql, &[])?.map(|row| {
                Ok(Done {
                    key: row.get(0)?,
                    result: row.get(1)?,
                    finished: row.get(2)?,
                })
            })
        })
    }

    /// How often each task was begun, by key: for tests of what is repeated.
    pub fn attempts(&self) -> Result<Vec<(String, u32)>, DbError> {
        self.database.read(|session| {
            let rows = session.query("SELECT key, attempts FROM refetch ORDER BY id", &[])?;
            rows.map(|row| Ok((row.get(0)?, row.get(1)?)))
        })
    }
}

/// One exchange between a worker and the queue.
#[derive(Clone, Copy, Debug)]
pub struct Step<'s> {
    /// Who.
    pub worker: &'s str,
    /// What ended since the last.
    pub ended: &'s [(Task, End)],
    /// What it is still at.
    pub running: &'s [Task],
    /// How many more it can do.
    pub want: usize,
    /// Hosts that cannot be asked by more now.
    pub busy: &'s [String],
    /// When, by the worker's clock. PostgreSQL has its own.
    pub now: Timestamp,
    /// How long a task waits at most. What is due later than that was put off under a clock that was set back since.
    pub longest_pause: SignedDuration,
    /// For how long it has what it is at.
    pub lease: SignedDuration,
}

impl Step<'_> {
    fn until(&self) -> Timestamp {
        self.after(self.lease)
    }

    fn after(&self, span: SignedDuration) -> Timestamp {
        self.now.checked_add(span).unwrap_or(Timestamp::MAX)
    }
}

fn finish(
    session: &mut dyn Session,
    step: &Step<'_>,
    task: &Task,
    end: &End,
) -> Result<(), DbError> {
    const WHERE: &str = "WHERE id = $1 AND state = 1 AND attempts = $2 AND worker = $3";
    let [id, attempt, worker]: [Value<'_>; 3] =
        [task.id.into(), task.attempt.into(), step.worker.into()];
    match end {
        End::Done { verdict, result } => session.execute(
            &format!(
                "UPDATE refetch SET state = 2, verdict = $4, result = $5, finished = $6, leased_until = NULL {WHERE}"
            ),
            &[
                id,
                attempt,
                worker,
                verdict.as_str().into(),
                result.as_slice().into(),
                step.now.into(),
            ],
        )?,
        End::Later(pause) => session.execute(
            &format!("UPDATE refetch SET state = 0, due = $4, leased_until = NULL {WHERE}"),
            &[id, attempt, worker, step.after(*pause).into()],
        )?,
        End::Released => session.execute(
            &format!(
                "UPDATE refetch SET state = 0, due = $4, attempts = attempts - 1, leased_until = NULL {WHERE}"
            ),
            &[id, attempt, worker, step.now.into()],
        )?,
    };
    Ok(())
}

fn lease(session: &mut dyn Session, step: &Step<'_>) -> Result<Vec<Task>, DbError> {
    // Others who look for a task at the same moment pass these by. SQLite has one writer.
    let lock = match session.dialect() {
        Dialect::Sqlite => "",
        Dialect::Postgres => "FOR UPDATE SKIP LOCKED",
    };
    session.execute(
        &format!(
            "UPDATE refetch SET state = 0, lost = lost + 1, leased_until = NULL WHERE id IN \
             (SELECT id FROM refetch WHERE state = 1 AND leased_until <= $1 {lock})"
        ),
        &[step.now.into()],
    )?;
    if step.want == 0 {
        return Ok(Vec::new());
    }
    let rows = session.query(
        &format!(
            "UPDATE refetch SET state = 1, worker = $1, leased_until = $2, attempts = attempts + 1 \
             WHERE id IN (SELECT id FROM refetch WHERE state = 0 AND (due <= $3 OR due > $6) AND NOT (host {{in:4}}) \
             AND EXISTS (SELECT 1 FROM wanted WHERE wanted.worker = $1 AND wanted.task = refetch.id) \
             ORDER BY due, id LIMIT $5 {lock}) \
             RETURNING id, key, host, payload, attempts, lost, before"
        ),
        &[
            step.worker.into(),
            step.until().into(),
            step.now.into(),
            step.busy.to_vec().into(),
            i64::try_from(step.want).unwrap_or(i64::MAX).into(),
            step.after(step.longest_pause).into(),
        ],
    )?;
    rows.map(|row| {
        Ok(Task {
            id: row.get(0)?,
            key: row.get(1)?,
            host: row.get(2)?,
            payload: row.get(3)?,
            attempt: row.get(4)?,
            lost: row.get(5)?,
            before: row.get(6)?,
        })
    })
}
