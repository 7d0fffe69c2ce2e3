//! FIRST's EPSS scores: one file a day with a score for every CVE.
//!
//! Nearly every score moves a little every day, which says nothing: they are kept in thousandths,
//! and a score that stays what it was stays as it was stored, with its day. So an update touches the
//! records that moved, and not all of them. To see which did, the file of the last time is kept.

use std::collections::HashMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::read::{Format, ReadError};
use snowguard_advisory::record::Record;
use snowguard_http::Address;

use super::reader::outcomes;
use super::work::{
    Edition, Fetched, Known, day_of, not_future, not_older, not_that, place, to_json,
};
use super::{Done, Feed, FeedError, FeedSettings, Work};

const FILE: &str = "epss_scores-current.csv.gz";
/// The file that is kept.
const LAST: &str = "epss-last.csv.gz";
/// It has some 2 MB, and 10 MB unpacked.
const MOST: u64 = 64 << 20;
/// One for each CVE, of which there are some 350,000.
const MOST_ROWS: usize = 2_000_000;
/// In how many steps a score goes from 0 to 1.
const STEPS: f32 = 1_000.0;

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// `score_date`.
    date: String,
    /// Of the file that is kept.
    sha256: String,
    known: Known,
}

/// The scores of the last time, in steps; none of what could not be read.
type Before = HashMap<AdvisoryId, Option<(u32, u32)>>;

/// What a row says, and which id it is about as far as there is one.
type Row = (Option<AdvisoryId>, Result<Record, ReadError>);

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let place = place(settings, Feed::Epss)?;
    let address = place.folder.below(&[FILE]);
    let cursor: Option<Cursor> = work.cursor("epss")?;
    let known = cursor.as_ref().map(|cursor| &cursor.known);
    let Some(latest) = work.latest(&address, FILE, MOST, known)? else {
        return Ok(Done::unchanged(cursor.map_or(String::new(), |c| c.date)));
    };
    let wrong = |why: &str| not_that(&address, "a file of EPSS scores", why);
    let date =
        score_date(&latest.document).ok_or_else(|| wrong("it does not begin with a score_date"))?;
    if let Some(day) = day_of(&date) {
        not_future(&address, day, work.now)?;
    }
    // Days as texts are in the order of time.
    not_older(&address, &date, cursor.as_ref().map(|c| &c.date))?;
    let last = work.downloads.join(LAST);
    let before = cursor
        .as_ref()
        .and_then(|cursor| stored(work, &last, &cursor.sha256, &address));
    let cursor = Cursor {
        date: date.clone(),
        sha256: sha256(&latest.document),
        known: latest.known(),
    };
    let edition = Edition {
        source: "epss",
        format: Format::Epss,
        whole: before.is_none(),
        accept_smaller: settings.accept_smaller,
        name: date,
        cursor: ("epss", to_json(&cursor)),
        address: &address,
        file: None,
    };
    let rows = rows(&latest.document).ok_or_else(|| wrong("it has more than 2,000,000 rows"))?;
    let found = rows.iter().filter(|(_, outcome)| outcome.is_ok()).count();
    let had = before.as_ref().map_or(0, HashMap::len);
    if found < had / 2 && !settings.accept_smaller {
        return Err(FeedError::Shrunk {
            address: address.to_string(),
            found: found as u64,
            had: had as u64,
        });
    }
    let done = work.apply(edition, |reader| {
        let kind = reader.kind();
        reader.change().skip_anew("epss", kind)?;
        let mut before = before.unwrap_or_default();
        for (at, (id, outcome)) in rows.into_iter().enumerate() {
            let had = id.as_ref().and_then(|id| before.remove(id)).flatten();
            match outcome {
                Ok(record) if had.is_some() && had == steps(&record) => {}
                Ok(record) => reader.put(&record)?,
                Err(error) => {
                    let row = id
                        .as_ref()
                        .map_or_else(|| format!("score {}", at + 1), |id| id.as_str().to_owned());
                    reader.take(&format!("{FILE}, {row}"), Err(error))?;
                    reader.keep(&row)?;
                }
            }
        }
        for id in before.keys() {
            reader.change().remove("epss", id)?;
        }
        Ok(())
    })?;
    keep(&latest.fetched, &last);
    Ok(done)
}

/// All rows. None if there are too many.
fn rows(document: &[u8]) -> Option<Vec<Row>> {
    let lines: Vec<&[u8]> = document
        .split(|&b| b == b'\n')
        .take(MOST_ROWS + 1)
        .collect();
    if lines.len() > MOST_ROWS {
        return None;
    }
    let id = |line: usize| -> Option<AdvisoryId> {
        let line = std::str::from_utf8(lines.get(line.checked_sub(1)?)?).ok()?;
        line.split(',').next()?.trim().parse().ok()
    };
    let rows = outcomes(Format::Epss, document).into_iter();
    let rows = rows.map(|outcome| match outcome {
        Ok(record) => (Some(record.id.clone()), Ok(coarse(record))),
        Err(ReadError::Csv { line }) => (id(line), Err(ReadError::Csv { line })),
        Err(error) => (None, Err(error)),
    });
    Some(rows.collect())
}

/// The day of the scores, from `#model_version:…,score_date:2026-11-20T12:00:00Z`.
fn score_date(document: &[u8]) -> Option<String> {
    let line = document.split(|&b| b == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix('#')?;
    let date = line
        .split(',')
        .find_map(|field| field.trim().strip_prefix("score_date:"))?;
    let day: jiff::civil::Date = date.trim().get(..10)?.parse().ok()?;
    Some(day.to_string())
}

/// The scores of the last time, if the file is the one that was stored.
fn stored(work: &Work<'_>, path: &Utf8Path, expected: &str, address: &Address) -> Option<Before> {
    let document = work.document(path, MOST, address).ok()?;
    if sha256(&document) != expected {
        return None;
    }
    let rows = rows(&document)?.into_iter();
    let scores = rows.filter_map(|(id, row)| Some((id?, row.ok().as_ref().and_then(steps))));
    Some(scores.collect())
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

fn coarse(mut record: Record) -> Record {
    if let Some(epss) = &mut record.epss {
        epss.probability = (epss.probability * STEPS).round() / STEPS;
        epss.percentile = (epss.percentile * STEPS).round() / STEPS;
    }
    record
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares from 0 to 1 in thousandths"
)]
fn steps(record: &Record) -> Option<(u32, u32)> {
    let epss = record.epss?;
    let step = |share: f32| (share * STEPS).round() as u32;
    Some((step(epss.probability), step(epss.percentile)))
}

fn keep(fetched: &Fetched<'_>, last: &Utf8Path) {
    // If it cannot be kept, all scores are compared with the store the next time.
    let _ = std::fs::rename(&fetched.path, last);
}

/// For [`super::try_lists`].
pub(super) fn try_head(bytes: &[u8]) {
    let _ = (score_date(bytes), rows(bytes));
}
