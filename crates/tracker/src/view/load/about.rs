//! Where the data is from.

use snowguard_db::{Dialect, SCHEMA_VERSION, Session};

use super::{ViewError, channel, common, tally};
use crate::view::{Data, Job, Storage};

/// Where the data is from. Five statements.
pub fn data(session: &mut dyn Session, version: &str) -> Result<Data, ViewError> {
    let channels = common::channels(session)?;
    let tallies = tally::load(session)?;
    let feeds = tallies.feeds();
    let jobs = session.query(
        "SELECT kind, state, created, error FROM job WHERE finished IS NULL AND state >= 0
         ORDER BY state DESC, priority DESC, id LIMIT 20",
        &[],
    )?;
    let jobs = jobs.map(|row| {
        Ok(Job {
            what: row.get(0)?,
            state: match row.get::<i64>(1)? {
                1 => "running",
                3 => "failed",
                _ => "waiting",
            }
            .into(),
            since: row.get(2)?,
            error: row.get(3)?,
        })
    })?;
    Ok(Data {
        feeds,
        channels: channel::summaries(session, &channels, &tallies)?,
        jobs,
        storage: Storage {
            engine: match session.dialect() {
                Dialect::Sqlite => "SQLite",
                Dialect::Postgres => "PostgreSQL",
            }
            .into(),
            schema: SCHEMA_VERSION,
            bytes: None,
        },
        version: version.to_owned(),
    })
}
