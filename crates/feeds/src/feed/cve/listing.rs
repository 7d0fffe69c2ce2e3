//! What releases there are, and which of their files to fetch in which order. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Deserialize;

use super::Cursor;

/// How many days may be fetched one by one.
const MAX_DAYS: usize = 45;

/// A release, as GitHub's API has it.
#[derive(Debug, Deserialize)]
pub(super) struct Release {
    #[serde(default)]
    assets: Vec<Asset>,
}

/// A file of a release.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Asset {
    pub(super) name: String,
    #[serde(default)]
    pub(super) browser_download_url: String,
    pub(super) size: Option<u64>,
    /// `sha256:` and hexadecimal digits, for releases since 2025.
    digest: Option<String>,
}

impl Asset {
    pub(super) fn sha256(&self) -> Option<[u8; 32]> {
        let digits = self.digest.as_ref()?.strip_prefix("sha256:")?;
        data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .ok()?
            .try_into()
            .ok()
    }
}

/// The files by what they hold. The day is that in a file's name; a release may be of another.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The whole list as it was when the day began.
    wholes: BTreeMap<Date, Asset>,
    /// What changed on a day.
    days: BTreeMap<Date, Asset>,
    /// What changed on a day until an hour, `1300Z`.
    hours: BTreeMap<Date, BTreeMap<String, Asset>>,
}

/// Which part of the list a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    Whole,
    Day,
    Until(String),
}

/// A file to fetch, and of when it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step<'l> {
    pub(super) when: When,
    day: Date,
    pub(super) asset: &'l Asset,
}

impl Step<'_> {
    /// What is here after it.
    pub(super) fn after(&self) -> Cursor {
        match &self.when {
            When::Whole => Cursor {
                next: self.day.to_string(),
                until: None,
            },
            When::Day => Cursor {
                next: following(self.day).to_string(),
                until: None,
            },
            When::Until(hour) => Cursor {
                next: self.day.to_string(),
                until: Some(hour.clone()),
            },
        }
    }
}

impl Listing {
    /// Adds releases. Of two files for the same, that of the earlier release in the list counts:
    /// lists begin with the newest.
    pub(super) fn add(&mut self, releases: Vec<Release>) {
        for asset in releases.into_iter().flat_map(|release| release.assets) {
            let Some((day, rest)) = day_of(&asset.name) else {
                continue;
            };
            if rest.starts_with("_all_CVEs_at_midnight") && rest.contains(".zip") {
                self.wholes.entry(day).or_insert(asset);
            } else if rest == "_delta_CVEs_at_end_of_day.zip" {
                self.days.entry(day).or_insert(asset);
            } else if let Some(hour) = rest
                .strip_prefix("_delta_CVEs_at_")
                .and_then(|rest| rest.strip_suffix(".zip"))
                .filter(|hour| is_hour(hour))
            {
                let hour = hour.to_owned();
                self.hours
                    .entry(day)
                    .or_default()
                    .entry(hour)
                    .or_insert(asset);
            }
        }
    }

    /// Until when it goes, in the form of [`Cursor::edition`].
    pub(super) fn newest(&self) -> Option<String> {
        let whole = self
            .wholes
            .last_key_value()
            .map(|(day, _)| format!("{day} 0000Z"));
        let day = self.days.last_key_value();
        let day = day.map(|(day, _)| format!("{} 0000Z", following(*day)));
        let hour = self.hours.last_key_value().and_then(|(day, hours)| {
            let (hour, _) = hours.last_key_value()?;
            Some(format!("{day} {hour}"))
        });
        whole.max(day).max(hour)
    }

    pub(super) fn has_whole(&self) -> bool {
        !self.wholes.is_empty()
    }

    /// Whether it goes back far enough to have all of a day and what follows.
    pub(super) fn reaches(&self, next: &str) -> bool {
        let Ok(next) = next.parse::<Date>() else {
            return self.has_whole();
        };
        let firsts = [
            self.days.keys().next(),
            self.hours.keys().next(),
            self.wholes.keys().next(),
        ];
        firsts.into_iter().flatten().any(|first| *first < next) || self.days.contains_key(&next)
    }

    /// What to fetch, in order. Nothing if all is here.
    pub(super) fn plan(&self, cursor: Option<&Cursor>) -> Result<Vec<Step<'_>>, String> {
        let whole = self.wholes.last_key_value();
        let here = cursor.and_then(|cursor| {
            let day = cursor.next.parse().ok()?;
            Some((day, cursor.until.as_deref()))
        });
        if let Some((day, until)) = here
            && let Some(steps) = self.from(day, until)
        {
            let weight = |steps: &[Step<'_>]| -> u64 {
                steps.iter().map(|step| step.asset.size.unwrap_or(0)).sum()
            };
            let heavy = whole
                .and_then(|(_, whole)| whole.size)
                .is_some_and(|whole| weight(&steps) > whole);
            if steps.len() <= MAX_DAYS && !heavy {
                return Ok(steps);
            }
        }
        let Some((day, asset)) = whole else {
            return Err("there is no file with all CVEs in it".to_owned());
        };
        let rest = self
            .from(*day, None)
            .ok_or_else(|| format!("after the file with all CVEs of {day} a day is missing"))?;
        let mut steps = vec![Step {
            when: When::Whole,
            day: *day,
            asset,
        }];
        steps.extend(rest);
        Ok(steps)
    }

    /// The days from one on, the last perhaps in part. None if one is missing in between.
    fn from(&self, first: Date, until: Option<&str>) -> Option<Vec<Step<'_>>> {
        let known: BTreeSet<Date> = self
            .days
            .keys()
            .chain(self.hours.keys())
            .chain(self.wholes.keys())
            .copied()
            .collect();
        let last = *known.last()?;
        let mut steps = Vec::new();
        let mut day = first;
        while day <= last {
            if let Some(asset) = self.days.get(&day) {
                steps.push(Step {
                    when: When::Day,
                    day,
                    asset,
                });
            } else if day == last {
                let hour = self.hours.get(&day).and_then(BTreeMap::last_key_value);
                // What is here of this day is part of what comes.
                if let Some((hour, asset)) = hour
                    && (day != first || until.is_none_or(|until| hour.as_str() > until))
                {
                    steps.push(Step {
                        when: When::Until(hour.clone()),
                        day,
                        asset,
                    });
                }
            } else {
                return None;
            }
            if steps.len() > MAX_DAYS {
                return None;
            }
            day = following(day);
        }
        Some(steps)
    }
}

/// The day at the start of a file's name, and what follows it.
fn day_of(name: &str) -> Option<(Date, &str)> {
    let (day, rest) = name.split_at_checked(10)?;
    Some((day.parse().ok()?, rest))
}

fn is_hour(text: &str) -> bool {
    let digits = text.strip_suffix('Z');
    digits.is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn following(day: Date) -> Date {
    day.checked_add(1.day()).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[&str]) -> Listing {
        let assets = names.iter().map(|name| Asset {
            name: (*name).to_owned(),
            browser_download_url: String::new(),
            size: Some(if name.contains("_all_") { 600 } else { 100 }),
            digest: None,
        });
        let mut listing = Listing::default();
        listing.add(vec![Release {
            assets: assets.collect(),
        }]);
        listing
    }

    fn cursor(next: &str, until: Option<&str>) -> Cursor {
        Cursor {
            next: next.to_owned(),
            until: until.map(str::to_owned),
        }
    }

    fn names<'l>(listing: &'l Listing, cursor: Option<&Cursor>) -> Vec<&'l str> {
        let steps = listing.plan(cursor).unwrap();
        steps.iter().map(|step| step.asset.name.as_str()).collect()
    }

    const NAMES: &[&str] = &[
        "2026-11-20_all_CVEs_at_midnight.zip.zip",
        "2026-11-20_delta_CVEs_at_0900Z.zip",
        "2026-11-20_delta_CVEs_at_1300Z.zip",
        "2026-11-19_delta_CVEs_at_end_of_day.zip",
        "2026-11-19_delta_CVEs_at_2300Z.zip",
        "2026-11-19_all_CVEs_at_midnight.zip.zip",
        "2026-11-18_delta_CVEs_at_end_of_day.zip",
        "notes.txt",
    ];

    #[test]
    fn the_first_time_all_and_then_today() {
        let listing = listing(NAMES);
        assert_eq!(names(&listing, None), [NAMES[0], NAMES[2]]);
        assert_eq!(listing.newest().unwrap(), "2026-11-20 1300Z");
    }

    #[test]
    fn then_only_what_is_missing() {
        let listing = listing(NAMES);
        let at = |next, until| names(&listing, Some(&cursor(next, until)));
        assert_eq!(at("2026-11-20", Some("0900Z")), [NAMES[2]]);
        assert_eq!(at("2026-11-20", Some("1300Z")), [""; 0]);
        assert_eq!(at("2026-11-19", Some("2200Z")), [NAMES[3], NAMES[2]]);
        assert_eq!(at("2026-11-18", None), [NAMES[6], NAMES[3], NAMES[2]]);
        let steps = listing.plan(Some(&cursor("2026-11-19", None))).unwrap();
        assert_eq!(steps[0].after(), cursor("2026-11-20", None));
        assert_eq!(steps[1].after(), cursor("2026-11-20", Some("1300Z")));
    }

    #[test]
    fn all_again_if_a_day_is_missing_or_they_weigh_more() {
        let with_gap = listing(NAMES);
        let at = |next| names(&with_gap, Some(&cursor(next, None)));
        assert_eq!(at("2026-11-17"), [NAMES[0], NAMES[2]]);
        let mut long: Vec<String> = (1..=9)
            .map(|day| format!("2026-11-0{day}_delta_CVEs_at_end_of_day.zip"))
            .collect();
        long.push("2026-11-09_all_CVEs_at_midnight.zip.zip".to_owned());
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        let long = listing(&long);
        assert_eq!(names(&long, Some(&cursor("2026-11-05", None))).len(), 5);
        let again = names(&long, Some(&cursor("2026-11-02", None)));
        assert_eq!(again[0], "2026-11-09_all_CVEs_at_midnight.zip.zip");
        assert_eq!(again.len(), 2);
    }

    #[test]
    fn the_end_of_a_day_before_the_next_begins() {
        let listing = listing(&NAMES[3..]);
        let at = |next, until| names(&listing, Some(&cursor(next, until)));
        assert_eq!(at("2026-11-19", Some("2300Z")), [NAMES[3]]);
        assert_eq!(at("2026-11-20", None), [""; 0]);
        assert_eq!(listing.newest().unwrap(), "2026-11-20 0000Z");
        assert!(listing.reaches("2026-11-19") && !listing.reaches("2026-11-17"));
    }

    #[test]
    fn a_list_without_the_whole() {
        let listing = listing(&[NAMES[3]]);
        assert!(listing.plan(None).unwrap_err().contains("no file with all"));
    }

    #[test]
    fn published_digests() {
        let json = format!(r#"{{"name":"x","digest":"sha256:{}"}}"#, "aB".repeat(32));
        let asset: Asset = serde_json::from_str(&json).unwrap();
        assert_eq!(asset.sha256(), Some([0xab; 32]));
    }
}
