//! CISA's Known Exploited Vulnerabilities: one JSON document, a few times a week.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use snowguard_advisory::read::Format;
use snowguard_http::Expected;

use super::work::{Edition, Known, day_of, not_future, not_older, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Work};

const FILE: &str = "known_exploited_vulnerabilities.json";
/// It has some 1.5 MB.
const MOST: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Cursor {
    /// `dateReleased`, in UTC.
    released: String,
    edition: String,
    known: Known,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Catalogue {
    catalog_version: String,
    date_released: Option<jiff::Timestamp>,
    count: Option<usize>,
    vulnerabilities: Vec<IgnoredAny>,
}

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let place = place(settings, Feed::Kev)?;
    let address = place.folder.below(&[FILE]);
    let cursor: Option<Cursor> = work.cursor("kev")?;
    let expected = Expected {
        length: None,
        sha256: None,
        limit: MOST,
    };
    let known = cursor.as_ref().map(|cursor| &cursor.known);
    let Some(fetched) = work.fetch(&address, FILE, known, expected)? else {
        return Ok(Done::unchanged(cursor.map_or(String::new(), |c| c.edition)));
    };
    let document = work.document(&fetched.path, MOST, &address)?;
    let wrong = |why: String| not_that(&address, "the KEV catalogue", &why);
    let catalogue: Catalogue =
        serde_json::from_slice(&document).map_err(|error| wrong(error.to_string()))?;
    let found = catalogue.vulnerabilities.len();
    if let Some(count) = catalogue.count.filter(|count| *count != found) {
        return Err(wrong(format!("it has {found} entries and says {count}")));
    }
    let released = catalogue.date_released.map_or_else(
        || catalogue.catalog_version.clone(),
        |date| date.to_string(),
    );
    let day = catalogue
        .date_released
        .or_else(|| day_of(&released.replace('.', "-")));
    if let Some(day) = day {
        not_future(&address, day, work.now)?;
    }
    let have = cursor.as_ref().map(|cursor| cursor.released.as_str());
    not_older(&address, &released, have)?;
    let edition = catalogue.catalog_version;
    let cursor = Cursor {
        released,
        edition: edition.clone(),
        known: fetched.whole.conditions.clone().into(),
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
    work.apply(edition, |reader| reader.document(FILE, &document))
}
