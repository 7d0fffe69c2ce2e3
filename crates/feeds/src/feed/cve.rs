//! The CVE list: releases of `CVEProject/cvelistV5`.
//!
//! Each release has the whole list as it was at the last midnight (UTC), a zip in a zip of some
//! 600 MB, and what has changed since that midnight; one more release a day has all that changed on
//! that day. So after the whole only the days are fetched, in order, and of the last day what there
//! is of it. If a day is missing, or the days weigh more than the whole, the whole comes again.
//!
//! The list of releases is asked of GitHub's API. A mirror has it as `releases.json`, as the API
//! answers, with the files beside it under the names in it.

mod listing;

use serde::{Deserialize, Serialize};
use snowguard_advisory::read::Format;
use snowguard_http::{Address, Expected};

use self::listing::{Asset, Listing, Release, Step, When};
use super::work::{Edition, day_of, not_future, not_older, not_that, place, to_json};
use super::{Done, Feed, FeedError, FeedSettings, Place, Work};
use crate::open::Limits;

/// The most pages of the list that GitHub gives.
const MAX_PAGES: usize = 10;
/// A page has notes of all releases, with the names of what changed.
const MOST_LIST: u64 = 64 << 20;
/// The whole has some 600 MB, and 3 GB unpacked.
const MOST_PACKED: u64 = 4 << 30;

/// What is here of the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The first day that is not here in full, `2026-11-20`.
    next: String,
    /// Until when that day is here, `1300Z`.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl Cursor {
    fn edition(&self) -> String {
        match &self.until {
            Some(until) => format!("{} {until}", self.next),
            None => format!("{} 0000Z", self.next),
        }
    }
}

pub(super) fn update(work: &mut Work<'_>, settings: &FeedSettings) -> Result<Done, FeedError> {
    let place = place(settings, Feed::Cve)?;
    let mut cursor: Option<Cursor> = work.cursor("cve")?;
    let listing = list(work, settings, &place, cursor.as_ref())?;
    let address = list_address(&place);
    if let Some(day) = listing.newest().as_deref().and_then(day_of) {
        not_future(&address, day, work.now)?;
    }
    if let Some(newest) = listing.newest() {
        // Both are written so that their order as texts is that in time.
        let have = cursor.as_ref().map(Cursor::edition);
        not_older(&address, &newest, have.as_ref())?;
    }
    let steps = listing
        .plan(cursor.as_ref())
        .map_err(|why| not_that(&address, "a list of releases to go by", &why))?;
    let mut done = Done::unchanged(cursor.as_ref().map_or_else(String::new, Cursor::edition));
    for step in steps {
        let next = step.after();
        done.and(apply(work, settings, &place, &step, &next)?);
        cursor = Some(next);
    }
    if let Some(cursor) = cursor {
        done.edition = cursor.edition();
    }
    Ok(done)
}

fn apply(
    work: &mut Work<'_>,
    settings: &FeedSettings,
    place: &Place,
    step: &Step<'_>,
    next: &Cursor,
) -> Result<Done, FeedError> {
    let asset = step.asset;
    let address = asset_address(place, asset)?;
    let expected = Expected {
        length: asset.size,
        sha256: asset.sha256(),
        limit: MOST_PACKED,
    };
    let Some(fetched) = work.fetch(&address, &asset.name, None, expected)? else {
        return Ok(Done::unchanged(next.edition()));
    };
    let whole = step.when == When::Whole;
    let downloads = work.downloads.to_owned();
    let limits = Limits {
        // The whole lies in an archive of its own.
        depth: if whole { 4 } else { 1 },
        member: 8 << 30,
        total: if whole { 24 << 30 } else { 4 << 30 },
        members: 1_000_000,
        scratch: Some(&downloads),
    };
    let edition = Edition {
        source: "cve",
        format: Format::Cve5,
        whole,
        accept_smaller: settings.accept_smaller,
        name: next.edition(),
        cursor: ("cve", to_json(next)),
        address: &address,
        file: Some(&fetched.path),
    };
    work.apply(edition, |reader| {
        let named = |name: &str| name.starts_with("CVE-") && name.ends_with(".json");
        reader.archive(&fetched.path, limits, &named, &|_, _| true)
    })
}

fn list_address(place: &Place) -> Address {
    place.folder.below(&[if place.named {
        "releases.json"
    } else {
        "releases"
    }])
}

/// Where a file of a release is: beside the list of a mirror, else where the list says.
fn asset_address(place: &Place, asset: &Asset) -> Result<Address, FeedError> {
    if place.named {
        return Ok(place.folder.below(&[&asset.name]));
    }
    let list = list_address(place);
    let address: Address = asset
        .browser_download_url
        .parse()
        .map_err(|why| not_that(&list, "a list of releases", &why))?;
    if !address.is_secure() {
        let why = format!("it leads to {address}, which is not encrypted");
        return Err(not_that(&list, "a list of releases", &why));
    }
    Ok(address)
}

/// The list of releases, as far back as it is needed.
fn list(
    work: &Work<'_>,
    settings: &FeedSettings,
    place: &Place,
    cursor: Option<&Cursor>,
) -> Result<Listing, FeedError> {
    let address = list_address(place);
    let mut token = None;
    if let Some(secret) = settings.github_token.as_ref().filter(|_| !place.named) {
        token = Some(format!("Bearer {secret}"));
    }
    let mut headers = vec![("Accept", "application/vnd.github+json")];
    headers.extend(token.as_deref().map(|token| ("Authorization", token)));
    let mut listing = Listing::default();
    let mut at = if place.named {
        address.clone()
    } else {
        address
            .join("?per_page=100")
            .map_err(|why| not_that(&address, "an address", &why))?
    };
    for _ in 0..MAX_PAGES {
        let page = work
            .page(&at, MOST_LIST, None, &headers)?
            .unwrap_or_default();
        let releases: Vec<Release> = serde_json::from_slice(&page.body)
            .map_err(|error| not_that(&address, "a list of releases", &error))?;
        let none = releases.is_empty();
        listing.add(releases);
        let enough = match cursor {
            Some(cursor) => listing.reaches(&cursor.next),
            None => listing.has_whole(),
        };
        let next = page.links.iter().find_map(|link| next_page(link));
        match next.and_then(|link| at.join(&link).ok()) {
            // A page of the same place: a token goes nowhere else.
            Some(next) if !none && !enough && next.host() == at.host() && next.is_secure() => {
                at = next;
            }
            _ => break,
        }
    }
    Ok(listing)
}

/// The next page in `<https://…?page=2>; rel="next", <…>; rel="last"`.
fn next_page(link: &str) -> Option<String> {
    link.split(',').find_map(|entry| {
        let (target, rest) = entry.trim().strip_prefix('<')?.split_once('>')?;
        rest.contains("rel=\"next\"").then(|| target.to_owned())
    })
}

/// For [`super::try_lists`].
pub(super) fn try_list(bytes: &[u8]) {
    let _ = next_page(&String::from_utf8_lossy(bytes));
    let Ok(releases) = serde_json::from_slice::<Vec<Release>>(bytes) else {
        return;
    };
    let mut listing = Listing::default();
    listing.add(releases);
    let mut cursor = None;
    // After all steps of a plan there is nothing left to do.
    while let Ok(steps) = listing.plan(cursor.as_ref()) {
        let Some(last) = steps.last() else {
            break;
        };
        let next = last.after();
        let _ = (
            listing.newest(),
            listing.reaches(&next.next),
            next.edition(),
        );
        assert_ne!(cursor.as_ref(), Some(&next), "a plan leads on");
        cursor = Some(next);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_next_page() {
        let link = "<https://api.github.com/x?per_page=100&page=3>; rel=\"next\", <https://api.github.com/x?page=9>; rel=\"last\"";
        assert_eq!(
            super::next_page(link).as_deref(),
            Some("https://api.github.com/x?per_page=100&page=3")
        );
        assert_eq!(super::next_page("<https://x>; rel=\"prev\""), None);
    }
}
