//! NVD 2.0: a file per year of the CVE's number, and one with what was modified in the last eight
//! days. Beside each lies a `.meta` with its day, its sizes and the SHA-256 of the unpacked JSON.
//!
//! The files are static: no key and no rate limit, which are the API's. NVD takes nothing out of
//! them, so nothing is removed here; a rejected CVE says so.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use snowguard_advisory::read::Format;
use snowguard_http::{Address, Expected, HttpError};

use super::work::{Edition, not_future, not_older, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Work};

/// The year of the first file; it has the CVEs before it, too.
const FIRST_YEAR: i16 = 2002;
/// How long the file of what was modified is enough. It covers eight days.
const COVERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A file has some 10 MB, and 200 MB unpacked.
const MOST_PACKED: u64 = 512 << 20;
const MOST: u64 = 2 << 30;

#[derive(Clone, Default, Serialize, Deserialize)]
struct Cursor {
    /// What is known of each file, by its name: a year, or `modified`.
    files: BTreeMap<String, File>,
}

#[derive(Clone, Serialize, Deserialize)]
struct File {
    modified: Timestamp,
    sha256: String,
    /// Where something in it was skipped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    skipped: Vec<String>,
}

/// What a `.meta` says.
#[derive(Debug, PartialEq, Eq)]
struct Meta {
    modified: Timestamp,
    size: Option<u64>,
    packed: Option<u64>,
    sha256: [u8; 32],
}

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let folder = place(settings, Feed::Nvd)?.folder;
    let mut cursor: Cursor = work.cursor("nvd")?.unwrap_or_default();
    let newest = meta(work, &folder, "modified")?;
    let have = cursor.files.get("modified").map(|file| file.modified);
    let address = folder.below(&[&file_name("modified", "meta")]);
    not_future(&address, newest.modified, work.now)?;
    not_older(&address, &newest.modified, have.as_ref())?;
    let mut done = Done::unchanged(newest.modified.to_string());
    // The years that there are, as the feed says, and not as the clock here does.
    let last_year = newest.modified.to_zoned(jiff::tz::TimeZone::UTC).year();
    let covered = have.is_some_and(|have| newest.modified.duration_since(have) <= COVERED)
        && (FIRST_YEAR..last_year).all(|year| cursor.files.contains_key(&year.to_string()));
    if !covered {
        for year in FIRST_YEAR..=last_year {
            let name = year.to_string();
            let published = match meta(work, &folder, &name) {
                // A new year's file comes some days after the year.
                Err(error) if year == last_year && error.is_missing() => continue,
                published => published?,
            };
            done.and(file(
                work,
                settings,
                &folder,
                &name,
                &published,
                &mut cursor,
            )?);
        }
    }
    done.and(file(
        work,
        settings,
        &folder,
        "modified",
        &newest,
        &mut cursor,
    )?);
    Ok(done)
}

/// Whether all years are here: the file of what was modified comes after them.
pub(super) fn is_whole(cursor: &str) -> bool {
    serde_json::from_str::<Cursor>(cursor).is_ok_and(|cursor| cursor.files.contains_key("modified"))
}

/// Brings in one file, unless it is the one that is here.
fn file(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    folder: &Address,
    name: &str,
    published: &Meta,
    cursor: &mut Cursor,
) -> Result<Done, FeedError> {
    let sha256 = data_encoding::HEXLOWER.encode(&published.sha256);
    let edition = published.modified.to_string();
    let known = cursor.files.get(name);
    if known.is_some_and(|known| known.sha256 == sha256 && known.modified == published.modified) {
        return Ok(Done::unchanged(edition));
    }
    // A year that lags behind would take back what was modified since.
    not_older(
        &folder.below(&[&file_name(name, "meta")]),
        &published.modified,
        known.map(|known| &known.modified),
    )?;
    let skipped = known.map_or_else(Vec::new, |known| known.skipped.clone());
    let packed = file_name(name, "json.gz");
    let address = folder.below(&[&packed]);
    let expected = Expected {
        length: published.packed,
        sha256: None,
        limit: MOST_PACKED,
    };
    let Some(fetched) = work.fetch(&address, &packed, None, expected)? else {
        return Ok(Done::unchanged(edition));
    };
    let most = published.size.map_or(MOST, |size| size.min(MOST));
    let document = work.document(&fetched.path, most, &address)?;
    drop(fetched);
    let found: [u8; 32] = Sha256::digest(&document).into();
    if found != published.sha256 {
        return Err(HttpError::Digest {
            address: address.to_string(),
            expected: sha256,
            found: data_encoding::HEXLOWER.encode(&found),
        }
        .into());
    }
    cursor.files.insert(
        name.to_owned(),
        File {
            modified: published.modified,
            sha256,
            skipped: Vec::new(),
        },
    );
    let change = Edition {
        source: "nvd",
        format: Format::Nvd,
        whole: false,
        accept_smaller: settings.accept_smaller,
        name: edition,
        cursor: ("nvd", to_json(cursor)),
        address: &address,
        file: None,
    };
    work.apply(change, |reader| {
        for place in &skipped {
            reader.change().unskip("nvd", place)?;
        }
        reader.document(&packed, &document)?;
        let places = reader.places();
        if !places.is_empty()
            && let Some(file) = cursor.files.get_mut(name)
        {
            file.skipped = places;
            reader.change().set_cursor("nvd", &to_json(cursor))?;
        }
        Ok(())
    })
}

fn file_name(name: &str, extension: &str) -> String {
    format!("nvdcve-2.0-{name}.{extension}")
}

fn meta(work: &Work<'_>, folder: &Address, name: &str) -> Result<Meta, FeedError> {
    let address = folder.below(&[&file_name(name, "meta")]);
    let page = work.page(&address, 1 << 16, None, &[])?.unwrap_or_default();
    let text = String::from_utf8_lossy(&page.body);
    read_meta(&text).ok_or_else(|| {
        let why = "there is no lastModifiedDate and sha256 in it";
        not_that(&address, "the description of an NVD file", why)
    })
}

/// Lines of `key:value`; a value may hold colons.
fn read_meta(text: &str) -> Option<Meta> {
    let fields: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let number = |key: &str| fields.get(key)?.parse().ok();
    let sha256 = fields.get("sha256")?.to_ascii_lowercase();
    Some(Meta {
        modified: fields.get("lastModifiedDate")?.parse().ok()?,
        size: number("size"),
        packed: number("gzSize"),
        sha256: data_encoding::HEXLOWER
            .decode(sha256.as_bytes())
            .ok()?
            .try_into()
            .ok()?,
    })
}

/// For [`super::try_lists`].
pub(super) fn try_meta(bytes: &[u8]) {
    let _ = read_meta(&String::from_utf8_lossy(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_as_nvd_writes_it() {
        let text = "lastModifiedDate:2026-01-19T16:00:01-05:00\r\nsize:15114674\r\nzipSize:1674794\r\n\
                    gzSize:1674650\r\nsha256:482399306951B6FF9E00E3EC72A7EED8D927FB2DB4F4E61F2D6218CF67133CC0\r\n";
        let meta = read_meta(text).unwrap();
        assert_eq!(meta.modified.to_string(), "2026-01-19T21:00:01Z");
        assert_eq!(
            (meta.size, meta.packed),
            (Some(15_114_674), Some(1_674_650))
        );
        assert_eq!(meta.sha256[..2], [0x48, 0x23]);
        for wrong in ["", "<html>", "lastModifiedDate:x\nsha256:y"] {
            assert_eq!(read_meta(wrong), None, "{wrong}");
        }
    }
}
