//! Where the data is from.

use std::collections::BTreeMap;

use snowguard_db::meta::Meta as _;
use snowguard_db::{Dialect, SCHEMA_VERSION, Session};

use super::{ViewError, channel, common, tally};
use crate::view::{Data, Feed, Job, Storage};
use crate::work::advisories::FAILED;

/// Where the data is from. Six statements.
pub fn data(session: &mut dyn Session, version: &str) -> Result<Data, ViewError> {
    let channels = common::channels(session)?;
    let tallies = tally::load(session)?;
    let feeds = with_errors(tallies.feeds(), session.meta(FAILED)?.as_deref());
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

/// Feeds with what went wrong the last time; those of which nothing ever came, too.
fn with_errors(mut feeds: Vec<Feed>, failed: Option<&str>) -> Vec<Feed> {
    // What cannot be read is of another version of this program: the next look writes it anew.
    let failed: BTreeMap<String, String> = failed
        .and_then(|failed| serde_json::from_str(failed).ok())
        .unwrap_or_default();
    for (name, error) in failed {
        match feeds.iter_mut().find(|feed| feed.name == name) {
            Some(feed) => feed.error = Some(error),
            None => feeds.push(Feed {
                name,
                records: 0,
                newest: None,
                seen: None,
                error: Some(error),
            }),
        }
    }
    feeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_that_failed_says_so_even_if_nothing_ever_came() {
        let kev = Feed {
            name: "kev".to_owned(),
            records: 7,
            newest: None,
            seen: None,
            error: None,
        };
        assert_eq!(with_errors(vec![kev.clone()], None)[0], kev);
        let failed = r#"{"kev":"no network","osv/npm":"404"}"#;
        let [known, new] = &*with_errors(vec![kev], Some(failed)) else {
            panic!("two feeds");
        };
        assert_eq!(
            (known.records, known.error.as_deref()),
            (7, Some("no network"))
        );
        assert_eq!(
            (new.name.as_str(), new.records, new.error.as_deref()),
            ("osv/npm", 0, Some("404"))
        );
    }
}
