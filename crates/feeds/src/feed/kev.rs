//! CISA's Known Exploited Vulnerabilities: one JSON document, a few times a week.

use jiff::Timestamp;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use snowguard_advisory::read::Format;

use super::work::{Edition, Known, day_of, not_future, not_older, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Work};

const FILE: &str = "known_exploited_vulnerabilities.json";
/// It has some 1.5 MB.
const MOST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// `dateReleased`.
    released: Timestamp,
    edition: String,
    known: Known,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    catalog_version: String,
    date_released: Option<Timestamp>,
    count: Option<usize>,
    vulnerabilities: Vec<IgnoredAny>,
}

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let place = place(settings, Feed::Kev)?;
    let address = place.folder.below(&[FILE]);
    let cursor: Option<Cursor> = work.cursor("kev")?;
    let known = cursor.as_ref().map(|cursor| &cursor.known);
    let Some(latest) = work.latest(&address, FILE, MOST, known)? else {
        return Ok(Done::unchanged(cursor.map_or(String::new(), |c| c.edition)));
    };
    let wrong = |why: String| not_that(&address, "the KEV catalogue", &why);
    let catalogue: Catalogue =
        serde_json::from_slice(&latest.document).map_err(|error| wrong(error.to_string()))?;
    let found = catalogue.vulnerabilities.len();
    if let Some(count) = catalogue.count.filter(|count| *count != found) {
        return Err(wrong(format!("it has {found} entries and says {count}")));
    }
    // A catalogue without a date has its day in its version, `2026.11.20`.
    let released = catalogue
        .date_released
        .or_else(|| day_of(&catalogue.catalog_version.replace('.', "-")))
        .ok_or_else(|| wrong("it does not say when it was released".to_owned()))?;
    not_future(&address, released, work.now)?;
    let have = cursor.as_ref().map(|cursor| &cursor.released);
    not_older(&address, &released, have)?;
    let edition = catalogue.catalog_version;
    let cursor = Cursor {
        released,
        edition: edition.clone(),
        known: latest.known(),
    };
    let edition = Edition {
        source: "kev",
        format: Format::Kev,
        whole: true,
        accept_smaller: settings.accept_smaller,
        name: edition,
        cursor: ("kev", to_json(&cursor)),
        address: &address,
        file: None,
    };
    work.apply(edition, |reader| reader.document(FILE, &latest.document))
}
