//! Keeps the database: forgets what nobody needs, and writes backups.

use camino::{Utf8Path, Utf8PathBuf};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use snowguard_db::evaluations::Evaluations as _;
use snowguard_db::findings::mark_expired_stale;
use snowguard_db::jobs::Jobs as _;
use snowguard_db::meta::Meta as _;
use snowguard_db::people::People as _;
use snowguard_db::{DbError, Session};

use super::{Done, Lane, WorkError};

/// For how long it is known which jobs were done.
const JOBS: SignedDuration = SignedDuration::from_hours(72);
/// Under which name it is noted up to which day rules that ran out were looked for.
const EXPIRED: &str = "rules.expired";
/// What backups are called: with the time between, in UTC.
const NAME: (&str, &str) = ("tracker-", ".db");

pub(super) fn tend(lane: &Lane<'_>) -> Result<Done, WorkError> {
    let (worker, now) = (lane.worker, lane.worker.now());
    let ago = |long| now.checked_sub(long).unwrap_or(Timestamp::MIN);
    let jobs = worker.db.write(|session| {
        expire(session, now)?;
        session.forget_logins(now)?;
        session.forget_jobs(ago(JOBS))
    })?;
    let mut evaluations = 0;
    let keep = worker.plan.keep.as_ref().and_then(|keep| keep.evaluations);
    if let Some(keep) = keep {
        evaluations = worker.db.write(|session| forget(session, ago(keep)))?;
    }
    worker.db.tend()?;
    Ok(Done::news(format!(
        "forgot {jobs} jobs and {evaluations} old evaluations"
    )))
}

/// Packages with rules that ran out since the last time are to be matched anew.
fn expire(session: &mut dyn Session, now: Timestamp) -> Result<(), DbError> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let noted = session.meta(EXPIRED)?;
    let from: Date = noted
        .and_then(|noted| noted.parse().ok())
        .unwrap_or(Date::MIN);
    mark_expired_stale(session, from, today, now)?;
    session.set_meta(EXPIRED, &today.to_string())
}

/// Forgets what can be computed of evaluations before a time; of how many.
fn forget(session: &mut dyn Session, before: Timestamp) -> Result<u64, DbError> {
    let mut forgotten = 0;
    for channel in session.channels()? {
        let rows = session.query(
            "SELECT max(id) FROM evaluation WHERE channel = $1 AND evaluated_at < $2",
            &[channel.id.into(), before.into()],
        )?;
        let newest: Option<i64> = rows.first().map(|row| row.get(0)).transpose()?.flatten();
        if let Some(newest) = newest {
            forgotten += session.forget_before(newest)?;
        }
    }
    Ok(forgotten)
}

pub(super) fn backup(lane: &Lane<'_>) -> Result<Done, WorkError> {
    let (worker, now) = (lane.worker, lane.worker.now());
    let keep = worker.plan.keep.as_ref();
    let Some(plan) = keep.and_then(|keep| keep.backup.as_ref()) else {
        return Ok(Done::nothing("left to others"));
    };
    make_directory(&plan.directory)?;
    let time = now.strftime("%Y%m%d-%H%M%S");
    let file = plan.directory.join(format!("{}{time}{}", NAME.0, NAME.1));
    let done = worker.db.backup(file.as_std_path())?;
    let old = old(&plan.directory, plan.count.max(1))?;
    for path in &old {
        std::fs::remove_file(path).map_err(|source| WorkError::File {
            what: "remove",
            path: path.clone(),
            source,
        })?;
    }
    for problem in &done.problems {
        tracing::warn!(%problem, "the database is not sound");
    }
    Ok(Done::news(format!(
        "wrote {file}, and removed {} older",
        old.len()
    )))
}

/// All backups but the newest.
fn old(directory: &Utf8Path, keep: usize) -> Result<Vec<Utf8PathBuf>, WorkError> {
    let cannot = |source| WorkError::File {
        what: "read",
        path: directory.to_owned(),
        source,
    };
    let mut backups = Vec::new();
    for entry in directory.read_dir_utf8().map_err(cannot)? {
        let path = entry.map_err(cannot)?.into_path();
        if path.file_name().is_some_and(is_backup) {
            backups.push(path);
        }
    }
    // The time is in their names.
    backups.sort_unstable();
    backups.truncate(backups.len().saturating_sub(keep));
    Ok(backups)
}

fn is_backup(name: &str) -> bool {
    let time = name
        .strip_prefix(NAME.0)
        .and_then(|name| name.strip_suffix(NAME.1));
    time.is_some_and(|time| {
        time.len() == 15
            && time
                .bytes()
                .enumerate()
                .all(|(at, byte)| (at == 8 && byte == b'-') || byte.is_ascii_digit())
    })
}

pub(super) fn make_directory(path: &Utf8Path) -> Result<(), WorkError> {
    std::fs::create_dir_all(path).map_err(|source| WorkError::File {
        what: "make",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backups_by_their_whole_name_are_removed() {
        let directory = tempfile::tempdir().unwrap();
        let directory = Utf8Path::from_path(directory.path()).unwrap();
        for name in [
            "tracker-20261119-000000.db",
            "tracker-20261121-000000.db",
            "tracker-20261120-000000.db",
            "tracker-20261120.db",
            "tracker-monday-00000.db",
            "monday.db",
        ] {
            #[expect(clippy::disallowed_methods, reason = "a test makes files")]
            std::fs::write(directory.join(name), "").unwrap();
        }
        let old = old(directory, 2).unwrap();
        assert_eq!(old, [directory.join("tracker-20261119-000000.db")]);
    }
}
