//! Matches what changed: packages, advisories, rules, or the program itself.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use snowguard_db::advisories::Advisories as _;
use snowguard_db::findings::{mark_all_stale, stale};
use snowguard_db::meta::Meta as _;
use snowguard_db::{Database, DbError, Session};
use snowguard_feeds::IndexFile;
use snowguard_inventory::IdentityTable;

use super::advisories::{Edition, edition};
use super::beat::Beat;
use super::{Done, Lane, WorkError};
use crate::rematch::{Rematched, Rematcher, Scope};

/// Under which name it is noted what everything was matched with.
const MATCHED: &str = "rematch.with";
/// If more advisories changed, everything is matched.
const MOST: usize = 3_000;

/// What everything was matched with, but for what is noted as changed since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct With {
    edition: Edition,
    /// The version of the program.
    program: String,
}

impl With {
    fn now(edition: Edition) -> Self {
        Self {
            edition,
            program: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Whether something is to be matched that can be.
pub(super) fn is_needed(session: &mut dyn Session) -> Result<bool, DbError> {
    let Some(edition) = edition(session)? else {
        return Ok(false);
    };
    Ok(matched(session)? != Some(With::now(edition)) || !stale(session, 1)?.is_empty())
}

pub(super) fn rematch(lane: &Lane<'_>, beat: &Beat<'_>) -> Result<Done, WorkError> {
    let (worker, now) = (lane.worker, lane.worker.now());
    let db = worker.db;
    let (edition, before) = db.read(|session| Ok((edition(session)?, matched(session)?)))?;
    let (Some(edition), Some(plan)) = (edition, &worker.plan.advisories) else {
        return Ok(Done::nothing("there are no advisories yet"));
    };
    let file = IndexFile::open(&plan.file)?;
    if file.digest() != edition.index {
        return Err(WorkError::OtherEdition {
            file: plan.file.clone(),
        });
    }
    let table = IdentityTable::builtin();
    let rematcher = Rematcher {
        db,
        index: file.index()?,
        table: &table,
        now,
        today: now.to_zoned(TimeZone::UTC).date(),
        interrupted: &lane.interrupted,
    };
    let mut told = |done: &Rematched| beat.say(format!("{} packages matched", done.packages));
    let with = With::now(edition);
    let mut done = Rematched::default();
    if before.as_ref() != Some(&with) {
        match changed(db, before.as_ref(), &with)? {
            Some(changed) => {
                done = rematcher.run(Scope::Advisories(&changed), &mut told)?;
                note(db, &with, None)?;
            }
            None => note(db, &with, Some(now))?,
        }
    }
    let more = rematcher.run(Scope::Stale, &mut told)?;
    Ok(Done::news(format!(
        "matched {} packages: {} findings are new, {} changed, {} gone, {} reopened, {} fixed everywhere",
        done.packages + more.packages,
        done.new + more.new,
        done.changed + more.changed,
        done.gone + more.gone,
        done.reopened + more.reopened,
        done.closed + more.closed,
    )))
}

/// The advisories that changed since everything was matched; none if everything is to be matched again.
fn changed(
    db: &Database,
    before: Option<&With>,
    with: &With,
) -> Result<Option<Vec<(i64, String)>>, DbError> {
    let Some(before) = before.filter(|before| before.program == with.program) else {
        return Ok(None);
    };
    let after = before.edition.at.saturating_add(1);
    let since = Timestamp::from_millisecond(after).unwrap_or(Timestamp::MIN);
    let changed = db.read(|session| session.advisories_changed(since, 0, MOST + 1))?;
    Ok((changed.len() <= MOST).then_some(changed))
}

/// Notes with what everything was matched, or from when on it is to be.
fn note(db: &Database, with: &With, anew: Option<Timestamp>) -> Result<(), DbError> {
    let noted = serde_json::to_string(with).unwrap_or_default();
    db.write(|session| {
        if let Some(now) = anew {
            mark_all_stale(session, now)?;
        }
        session.set_meta(MATCHED, &noted)
    })
}

fn matched(session: &mut dyn Session) -> Result<Option<With>, DbError> {
    let noted = session.meta(MATCHED)?;
    Ok(noted.and_then(|noted| serde_json::from_str(&noted).ok()))
}
