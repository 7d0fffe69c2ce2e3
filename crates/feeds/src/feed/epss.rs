//! FIRST's EPSS scores: one file a day with a score for every CVE.
//!
//! Nearly every score moves a little every day, which says nothing: they are kept in thousandths,
//! and a score that stays what it was stays as it was stored, with its day. So an update touches the
//! records that moved, and not all of them. To see which did, the file of the last time is kept.

use std::collections::HashMap;

use camino::Utf8Path;
use serde::{Deserialize, Serialize};
use snowguard_advisory::id::AdvisoryId;
use snowguard_advisory::read::Format;
use snowguard_advisory::record::Record;
use snowguard_http::{Address, Expected};

use super::reader::outcomes;
use super::work::{
    Edition, Fetched, Known, day_of, not_future, not_older, not_that, place, to_json,
};
use super::{Done, Feed, FeedError, FeedSettings, Work};

const FILE: &str = "epss_scores-current.csv.gz";
/// The file that is kept.
const LAST: &str = "epss-last.csv.gz";
/// It has some 2 MB, and 10 MB unpacked.
const MOST: u64 = 256 << 20;
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

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let place = place(settings, Feed::Epss)?;
    let address = place.folder.below(&[FILE]);
    let cursor: Option<Cursor> = work.cursor("epss")?;
    let expected = Expected {
        length: None,
        sha256: None,
        limit: MOST,
    };
    let known = cursor.as_ref().map(|cursor| &cursor.known);
    let Some(fetched) = work.fetch(&address, FILE, known, expected)? else {
        return Ok(Done::unchanged(cursor.map_or(String::new(), |c| c.date)));
    };
    let document = work.document(&fetched.path, MOST, &address)?;
    let date = score_date(&document).ok_or_else(|| {
        not_that(
            &address,
            "a file of EPSS scores",
            "it does not begin with a score_date",
        )
    })?;
    if let Some(day) = day_of(&date) {
        not_future(&address, day, work.now)?;
    }
    not_older(&address, &date, cursor.as_ref().map(|c| c.date.as_str()))?;
    let last = work.downloads.join(LAST);
    let before = cursor
        .as_ref()
        .and_then(|cursor| stored(work, &last, &cursor.sha256, &address));
    let sha256 = sha256(&document);
    let cursor = Cursor {
        date: date.clone(),
        sha256,
        known: fetched.whole.conditions.clone().into(),
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
    let scores = outcomes(Format::Epss, &document);
    let found = scores.iter().filter(|outcome| outcome.is_ok()).count();
    let had = before.as_ref().map_or(0, HashMap::len);
    if found < had / 2 && !settings.accept_smaller {
        return Err(FeedError::Shrunk {
            address: address.to_string(),
            found: found as u64,
            had: had as u64,
        });
    }
    let done = work.apply(edition, |reader| {
        let mut before = before.unwrap_or_default();
        for (at, outcome) in scores.into_iter().enumerate() {
            let outcome = outcome.map(coarse);
            let same = outcome.as_ref().is_ok_and(|record| {
                steps(record).is_some() && before.remove(&record.id) == steps(record)
            });
            if !same {
                reader.take(&format!("{FILE}, score {}", at + 1), outcome)?;
            }
        }
        for id in before.keys() {
            reader.change().remove("epss", id)?;
        }
        Ok(())
    })?;
    keep(&fetched, &last);
    Ok(done)
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
fn stored(
    work: &Work<'_>,
    path: &Utf8Path,
    expected: &str,
    address: &Address,
) -> Option<HashMap<AdvisoryId, (u32, u32)>> {
    let document = work.document(path, MOST, address).ok()?;
    (sha256(&document) == expected).then(|| {
        let records = outcomes(Format::Epss, &document).into_iter().flatten();
        records
            .filter_map(|record| {
                let record = coarse(record);
                let steps = steps(&record)?;
                Some((record.id, steps))
            })
            .collect()
    })
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

fn keep(fetched: &Fetched, last: &Utf8Path) {
    // If it cannot be kept, all scores are compared with the store the next time.
    let _ = std::fs::rename(&fetched.path, last);
}
