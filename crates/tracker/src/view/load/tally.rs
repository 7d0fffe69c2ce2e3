//! Counts: how much there is of what. They are counted apart from pages, by the worker, since counting
//! reads every finding; pages show the last count.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use snowguard_db::meta::Meta as _;
use snowguard_db::{Database, DbError, Session};
use snowguard_triage::{Bucket as Stored, Code as _};

use super::common;
use super::queue::{bucket_code, kind_code};
use crate::view::{Bucket, Counts, Feed, Grouping, Rating, Tally, Week};

/// Under which name the counts are kept.
const NAME: &str = "view.tally";
/// How many weeks are kept.
const WEEKS: usize = 53;

/// The last count.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tallies {
    /// Findings by list.
    findings: BTreeMap<i64, u64>,
    /// Suggestions by grouping and list.
    suggestions: BTreeMap<String, u64>,
    exploited: u64,
    packages: u64,
    advisories: u64,
    /// Open findings by severity, in all and in each channel by its number.
    open: Vec<Tally>,
    channels: BTreeMap<i64, InChannel>,
    weeks: Vec<Week>,
    feeds: Vec<Feed>,
    pub(super) newest: Option<Date>,
    pub(super) counted_at: Option<Timestamp>,
}

/// What is counted of a channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct InChannel {
    pub(super) affected: u64,
    pub(super) exploited: u64,
    pub(super) review: u64,
    pub(super) open: Vec<Tally>,
}

impl Tallies {
    pub(super) fn counts(&self) -> Counts {
        let of = |bucket: Stored| self.findings.get(&bucket.to_code()).copied().unwrap_or(0);
        Counts {
            exploited: self.exploited,
            untriaged: of(Stored::Queue),
            review: of(Stored::Review),
            confirmed: of(Stored::Confirmed),
            settled: of(Stored::Done),
            packages: self.packages,
            advisories: self.advisories,
        }
    }

    pub(super) fn suggestions(&self, grouping: Grouping, bucket: Bucket) -> u64 {
        let key = format!("{}/{}", kind_code(grouping), bucket_code(bucket));
        self.suggestions.get(&key).copied().unwrap_or(0)
    }

    pub(super) fn severity(&self) -> Vec<Tally> {
        whole(&self.open)
    }

    pub(super) fn channel(&self, id: i64) -> InChannel {
        let mut found = self.channels.get(&id).cloned().unwrap_or_default();
        found.open = whole(&found.open);
        found
    }

    pub(super) fn feeds(&self) -> Vec<Feed> {
        self.feeds.clone()
    }

    pub(super) fn weeks(&self) -> Vec<Week> {
        self.weeks.clone()
    }
}

/// Every step of severity, those without any among them.
fn whole(known: &[Tally]) -> Vec<Tally> {
    Rating::ALL
        .into_iter()
        .map(|rating| {
            let found = known.iter().find(|tally| tally.rating == rating);
            found.copied().unwrap_or(Tally {
                rating,
                open: 0,
                exploited: 0,
            })
        })
        .collect()
}

/// The last count. One statement.
pub(super) fn load(session: &mut dyn Session) -> Result<Tallies, DbError> {
    let text = session.meta(NAME)?;
    // One that an older program wrote is counted anew soon.
    Ok(text
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default())
}

/// Counts everything, and keeps it for the pages. It reads every finding, and so does that apart from what
/// it writes: nobody who decides waits for it.
pub fn count(db: &Database, now: Timestamp) -> Result<(), DbError> {
    let tallies = db.read(|session| counted(session, now))?;
    let text = serde_json::to_string(&tallies).map_err(|error| DbError::Content {
        what: "the counts of pages".into(),
        reason: error.to_string(),
    })?;
    db.write(|session| session.set_meta(NAME, &text))
}

fn counted(session: &mut dyn Session, now: Timestamp) -> Result<Tallies, DbError> {
    let before = load(session)?;
    let mut tallies = Tallies {
        counted_at: Some(now),
        ..Tallies::default()
    };
    let (done, kernel) = (Stored::Done.to_code(), Stored::Kernel.to_code());
    // Told apart by what pages count: lists, severities, exploitation.
    session.for_each(
        "SELECT f.bucket, coalesce(a.rating, 0), CASE WHEN a.exploited IS NULL THEN 0 ELSE 1 END,
                count(*)
         FROM finding f JOIN advisory a ON a.id = f.advisory GROUP BY 1, 2, 3",
        &[],
        &mut |row| {
            let (bucket, exploited, count): (i64, bool, u64) =
                (row.get(0)?, row.get(2)?, row.get(3)?);
            *tallies.findings.entry(bucket).or_default() += count;
            if bucket != done {
                // A kernel has thousands, which would dwarf all others: they have a list of their own.
                if bucket != kernel {
                    let rating = common::rating(row.get(1)?);
                    add(&mut tallies.open, rating, count, exploited);
                }
                tallies.exploited += if exploited { count } else { 0 };
            }
            Ok(())
        },
    )?;
    session.for_each(
        "SELECT kind, bucket, count(*) FROM suggestion GROUP BY 1, 2",
        &[],
        &mut |row| {
            let key = format!("{}/{}", row.get::<i64>(0)?, row.get::<i64>(1)?);
            tallies.suggestions.insert(key, row.get(2)?);
            Ok(())
        },
    )?;
    session.for_each(
        "SELECT c.channel, c.status, coalesce(a.rating, 0),
                CASE WHEN a.exploited IS NULL THEN 0 ELSE 1 END, count(*)
         FROM finding_channel c JOIN finding f ON f.id = c.finding
              JOIN advisory a ON a.id = f.advisory
         WHERE f.bucket <> $1 AND f.bucket <> $2 GROUP BY 1, 2, 3, 4",
        &[done.into(), kernel.into()],
        &mut |row| {
            let here = tallies.channels.entry(row.get(0)?).or_default();
            let (exploited, count): (bool, u64) = (row.get(3)?, row.get(4)?);
            match common::status(common::code(row, 1)?) {
                crate::view::Status::Affected => {
                    here.affected += count;
                    here.exploited += if exploited { count } else { 0 };
                    add(
                        &mut here.open,
                        common::rating(row.get(2)?),
                        count,
                        exploited,
                    );
                }
                crate::view::Status::NeedsReview => here.review += count,
                _ => {}
            }
            Ok(())
        },
    )?;
    session.for_each(
        "SELECT (SELECT count(*) FROM package), (SELECT count(*) FROM advisory),
                (SELECT max(modified) FROM advisory)",
        &[],
        &mut |row| {
            tallies.packages = row.get(0)?;
            tallies.advisories = row.get(1)?;
            tallies.newest = common::day(row.get(2)?);
            Ok(())
        },
    )?;
    let feeds = session.query(
        "SELECT s.name, count(r.id), max(r.seen), max(s.newest) FROM record_source s
              LEFT JOIN record r ON r.source = s.id AND r.gone IS NULL
         GROUP BY s.name ORDER BY s.name",
        &[],
    )?;
    tallies.feeds = feeds.map(|row| {
        Ok(Feed {
            name: row.get(0)?,
            records: row.get(1)?,
            newest: common::day(row.get(3)?),
            seen: row.get(2)?,
            error: None,
        })
    })?;
    tallies.weeks = weeks(before.weeks, &tallies.open, now);
    Ok(tallies)
}

fn add(tallies: &mut Vec<Tally>, rating: Rating, count: u64, exploited: bool) {
    let exploited = if exploited { count } else { 0 };
    match tallies.iter_mut().find(|tally| tally.rating == rating) {
        Some(tally) => {
            tally.open += count;
            tally.exploited += exploited;
        }
        None => tallies.push(Tally {
            rating,
            open: count,
            exploited,
        }),
    }
}

/// The weeks with this one as it stands now.
fn weeks(mut weeks: Vec<Week>, open: &[Tally], now: Timestamp) -> Vec<Week> {
    let today = now.to_zoned(TimeZone::UTC).date();
    let since = today.weekday().since(Weekday::Monday);
    let start = today.saturating_sub(jiff::Span::new().days(i64::from(since)));
    let is_grave = |tally: &&Tally| matches!(tally.rating, Rating::Critical | Rating::High);
    let grave: u64 = open.iter().filter(is_grave).map(|tally| tally.open).sum();
    let others = open.iter().filter(|tally| !is_grave(tally));
    let week = Week {
        start,
        open: open.iter().map(|tally| tally.open).sum(),
        grave: grave + others.map(|tally| tally.exploited).sum::<u64>(),
    };
    weeks.retain(|known| known.start < start);
    weeks.push(week);
    let surplus = weeks.len().saturating_sub(WEEKS);
    weeks.drain(..surplus);
    weeks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_week_is_kept_as_it_stood_last() {
        let tally = |open| {
            vec![Tally {
                rating: Rating::High,
                open,
                exploited: 1,
            }]
        };
        let at = |time: &str| time.parse::<Timestamp>().unwrap();
        let first = weeks(Vec::new(), &tally(5), at("2026-11-16T00:00:00Z"));
        let same = weeks(first, &tally(7), at("2026-11-22T23:59:59Z"));
        let next = weeks(same, &tally(3), at("2026-11-23T00:00:00Z"));
        let told: Vec<_> = next
            .iter()
            .map(|week| (week.start.to_string(), week.open))
            .collect();
        assert_eq!(told, [("2026-11-16".into(), 7), ("2026-11-23".into(), 3)]);
        let many = (0..60).fold(Vec::new(), |known, week| {
            weeks(
                known,
                &tally(1),
                at("2026-01-05T00:00:00Z") + jiff::SignedDuration::from_hours(week * 168),
            )
        });
        assert_eq!(many.len(), WEEKS);
    }
}
