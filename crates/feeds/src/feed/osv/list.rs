//! OSV's list of when each record was last modified, and what differs between it and what is here. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use jiff::Timestamp;

use super::super::work::is_future;

/// When each record was last modified, by its id.
pub(super) type Stamps = BTreeMap<String, Timestamp>;

/// The largest list, that of npm, has some 250,000 lines.
const MOST_LINES: usize = 5_000_000;

/// A list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct List {
    pub(super) stamps: Stamps,
    /// The newest day and time in it that has come.
    pub(super) newest: Timestamp,
}

/// What is wrong with a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It is no list.
    NoList(&'static str),
    /// All of it is of days to come, from this one on.
    Future(Timestamp),
}

/// What a list says beyond what is here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference<'d> {
    /// Records that are not here, or are newer in the list.
    pub(super) new: Vec<&'d str>,
    /// Records that are here and not in the list.
    pub(super) gone: Vec<&'d str>,
}

impl List {
    /// From lines of `TIME,ID`, as far as the ids may be wanted.
    pub(super) fn read(
        bytes: &[u8],
        may_want: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Result<Self, Wrong> {
        let stamps = read(bytes)?;
        // One record of a day to come does not make the list one of that day.
        let newest = |any: bool| {
            let times = stamps.iter().filter(|(id, _)| any || may_want(id));
            let times = times.map(|(_, time)| *time);
            times.filter(|time| !is_future(*time, now)).max()
        };
        let Some(newest) = newest(false).or_else(|| newest(true)) else {
            return Err(match stamps.values().min() {
                Some(first) => Wrong::Future(*first),
                None => Wrong::NoList("it is empty"),
            });
        };
        let stamps = stamps.into_iter().filter(|(id, _)| may_want(id)).collect();
        Ok(Self { stamps, newest })
    }

    /// What it says beyond what is here. What is here and newer than all of the list is not gone: the
    /// list may be older than the archive.
    pub(super) fn beyond<'d>(&'d self, here: &'d Stamps) -> Difference<'d> {
        let is_new =
            |(id, time): &(&String, &Timestamp)| here.get(*id).is_none_or(|known| known < *time);
        let is_gone = |(id, time): &(&String, &Timestamp)| {
            **time <= self.newest && !self.stamps.contains_key(*id)
        };
        let new = self.stamps.iter().filter(is_new);
        let gone = here.iter().filter(is_gone);
        Difference {
            new: new.map(|(id, _)| id.as_str()).collect(),
            gone: gone.map(|(id, _)| id.as_str()).collect(),
        }
    }

    /// What is here after all that it says was brought in.
    pub(super) fn brought_to(&self, here: &Stamps) -> Stamps {
        let mut after = self.stamps.clone();
        for (id, time) in here {
            match after.get_mut(id) {
                Some(listed) => *listed = (*listed).max(*time),
                None if *time > self.newest => {
                    after.insert(id.clone(), *time);
                }
                None => {}
            }
        }
        after
    }
}

/// Lines of `TIME,ID`; empty ones are passed over.
pub(super) fn read(bytes: &[u8]) -> Result<Stamps, Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|_| Wrong::NoList("it is no text"))?;
    let mut stamps = Stamps::new();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    for (at, line) in lines.enumerate() {
        if at == MOST_LINES {
            return Err(Wrong::NoList("it has more than 5,000,000 lines"));
        }
        let (time, id) = line
            .split_once(',')
            .and_then(|(time, id)| Some((time.trim().parse::<Timestamp>().ok()?, id.trim())))
            .filter(|(_, id)| !id.is_empty())
            .ok_or(Wrong::NoList("a line of it is not a time and an id"))?;
        let known = stamps.entry(id.to_owned()).or_insert(time);
        *known = (*known).max(time);
    }
    Ok(stamps)
}

/// As [`read`] takes it.
pub(super) fn write(stamps: &Stamps) -> String {
    let mut text = String::new();
    for (id, time) in stamps {
        let _ = writeln!(text, "{time},{id}");
    }
    text
}

/// Whether something that ends at a time is certainly older than what is here: it has a record of
/// later, as it was before. Else the newest records may have been taken out of it.
pub(super) fn is_older(stamps: &Stamps, newest: Timestamp, here: &Stamps) -> bool {
    let later = here.iter().filter(|(_, time)| **time > newest);
    let mut both = later.filter_map(|(id, time)| Some((stamps.get(id)?, time)));
    both.any(|(found, time)| found < time)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(text: &str) -> Stamps {
        let lines = text.split_whitespace();
        read(lines.collect::<Vec<_>>().join("\n").as_bytes()).unwrap()
    }

    fn list(text: &str) -> List {
        let text = text.split_whitespace().collect::<Vec<_>>().join("\n");
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        List::read(text.as_bytes(), |_| true, now).unwrap()
    }

    const HERE: &str =
        "2026-11-18T00:00:00Z,A 2026-11-19T00:00:00.123456Z,B 2026-11-20T00:00:00Z,C";

    #[test]
    fn what_is_new_and_what_is_gone() {
        let here = stamps(HERE);
        let list = list(
            "2026-11-18T00:00:00Z,A 2026-11-19T00:00:00.2Z,B 2026-11-01T00:00:00Z,LATE \
             2026-11-20T00:00:00Z,SAME",
        );
        let difference = list.beyond(&here);
        assert_eq!(difference.new, ["B", "LATE", "SAME"]);
        assert_eq!(difference.gone, ["C"]);
        assert_eq!(list.beyond(&list.brought_to(&here)).new, [""; 0]);
        assert_eq!(list.brought_to(&here), list.stamps);
    }

    #[test]
    fn a_list_that_lags_behind_takes_nothing_back() {
        let here = stamps(HERE);
        let list = list("2026-11-18T00:00:00Z,A 2026-11-18T12:00:00Z,B");
        let difference = list.beyond(&here);
        assert_eq!((difference.new, difference.gone), (vec![], vec![]));
        assert_eq!(list.brought_to(&here), here);
        assert!(is_older(&list.stamps, list.newest, &here));
        let without = stamps("2026-11-18T00:00:00Z,A");
        assert!(!is_older(&without, list.newest, &here));
    }

    #[test]
    fn lists_are_written_as_they_are_read() {
        let here = stamps(HERE);
        assert_eq!(read(write(&here).as_bytes()), Ok(here));
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let read = |text: &str| List::read(text.as_bytes(), |id| id != "MAL-1", now);
        let day = |text: &str| text.parse::<Timestamp>().unwrap();
        let odd =
            read("2999-01-01T00:00:00Z,X\n2026-11-20T00:00:00Z,MAL-1\n2026-11-19T00:00:00Z,A\n");
        let odd = odd.unwrap();
        assert_eq!(odd.newest, day("2026-11-19T00:00:00Z"));
        assert_eq!(odd.stamps.len(), 2);
        let future = read("2999-01-01T00:00:00Z,X\n");
        assert_eq!(future, Err(Wrong::Future(day("2999-01-01T00:00:00Z"))));
        for wrong in [
            "",
            "\n",
            "<html>",
            "2026-11-20T00:00:00Z",
            "2026-11-20T00:00:00Z, ",
        ] {
            assert!(matches!(read(wrong), Err(Wrong::NoList(_))), "{wrong}");
        }
    }
}
