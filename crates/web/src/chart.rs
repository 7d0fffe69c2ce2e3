//! Pictures: severities as bars, open findings by week, and the channels as a ladder. All can be read in
//! grey and on paper: what they show is in words too.

use std::fmt::Write as _;

use jiff::Timestamp;
use snowguard_report::escape::fit;
use snowguard_report::words::{counted, number};
use snowguard_tracker::view::{ChannelStatus, Status, Tally, Verdict, Week};

use crate::words;

/// Open findings by severity, in a box 360 units wide.
pub(crate) struct Bars {
    pub(crate) height: u64,
    pub(crate) rows: Vec<Bar>,
    pub(crate) any_exploited: bool,
    pub(crate) description: String,
}

pub(crate) struct Bar {
    pub(crate) word: &'static str,
    pub(crate) class: &'static str,
    pub(crate) href: String,
    pub(crate) y: u64,
    /// The lengths of what is exploited, and of the rest.
    pub(crate) exploited: u64,
    pub(crate) rest: u64,
    pub(crate) count: String,
}

const STEP: u64 = 26;
const LONGEST: u64 = 215;

impl Bars {
    /// Each bar leads to `page` with its severity.
    pub(crate) fn of(tallies: &[Tally], page: &str) -> Self {
        let most = tallies
            .iter()
            .map(|tally| tally.open)
            .max()
            .unwrap_or(0)
            .max(1);
        let length = |count: u64| match count {
            0 => 0,
            count => (count * LONGEST / most).max(3),
        };
        let places = tallies.iter().zip(0..);
        let rows: Vec<Bar> = places
            .map(|(tally, at)| {
                let exploited = length(tally.exploited);
                Bar {
                    word: tally.rating.word(),
                    class: words::class(tally.rating),
                    href: format!("{page}rating={}", tally.rating.word()),
                    y: at * STEP,
                    exploited,
                    rest: length(tally.open).saturating_sub(exploited),
                    count: number(tally.open),
                }
            })
            .collect();
        let told: Vec<String> = tallies
            .iter()
            .filter(|tally| tally.open > 0)
            .map(|tally| {
                let exploited = match tally.exploited {
                    0 => String::new(),
                    some => format!(", {} of them exploited", number(some)),
                };
                format!("{} {}{exploited}", number(tally.open), tally.rating.word())
            })
            .collect();
        let any_exploited = tallies.iter().any(|tally| tally.exploited > 0);
        Self {
            height: tallies.len() as u64 * STEP + if any_exploited { 24 } else { 0 },
            rows,
            any_exploited,
            description: if told.is_empty() {
                "None.".into()
            } else {
                format!("{}.", told.join("; "))
            },
        }
    }
}

/// Open findings by week, in a box of 360 by 150 units.
pub(crate) struct Trend {
    pub(crate) area: String,
    pub(crate) all: String,
    pub(crate) grave: String,
    pub(crate) first: String,
    pub(crate) last: String,
    pub(crate) grid: Vec<GridLine>,
    pub(crate) description: String,
}

pub(crate) struct GridLine {
    pub(crate) y: u64,
    pub(crate) word: String,
}

const LEFT: u64 = 44;
const RIGHT: u64 = 352;
const TOP: u64 = 10;
const GROUND: u64 = 110;

impl Trend {
    /// None for less than two weeks, of which there is no line.
    pub(crate) fn of(weeks: &[Week]) -> Option<Self> {
        let [first, .., last] = weeks else {
            return None;
        };
        let top = round_up(weeks.iter().map(|week| week.open).max().unwrap_or(0));
        let x = |at: usize| LEFT + (RIGHT - LEFT) * at as u64 / (weeks.len() as u64 - 1);
        let y = |count: u64| GROUND - (GROUND - TOP) * count / top;
        let line = |of: fn(&Week) -> u64| {
            let mut path = String::new();
            for (at, week) in weeks.iter().enumerate() {
                let _ = write!(
                    path,
                    "{}{} {}",
                    if at == 0 { 'M' } else { 'L' },
                    x(at),
                    y(of(week))
                );
            }
            path
        };
        let all = line(|week| week.open);
        Some(Self {
            area: format!("{all}L{RIGHT} {GROUND}L{LEFT} {GROUND}Z"),
            grave: line(|week| week.grave),
            all,
            first: first.start.to_string(),
            last: last.start.to_string(),
            grid: [0, top / 2, top]
                .map(|count| GridLine {
                    y: y(count),
                    word: number(count),
                })
                .into(),
            description: format!(
                "From the week of {} with {} open, {} of them critical, high or exploited, to the week of {} with {} and {}.",
                first.start,
                number(first.open),
                number(first.grave),
                last.start,
                number(last.open),
                number(last.grave)
            ),
        })
    }
}

/// A round number not below: 10, 20, 50, 100, 200, 500 and so on.
fn round_up(count: u64) -> u64 {
    let mut top = 10_u64;
    loop {
        for step in [1, 2, 5] {
            if top * step >= count || top >= u64::MAX / 100 {
                return top * step;
            }
        }
        top *= 10;
    }
}

/// The channels as changes reach them, each with how it stands.
pub(crate) struct Ladder {
    pub(crate) rungs: Vec<Rung>,
}

pub(crate) struct Rung {
    pub(crate) name: String,
    pub(crate) class: &'static str,
    pub(crate) mark: &'static str,
    pub(crate) what: String,
    pub(crate) detail: String,
    pub(crate) x: usize,
    pub(crate) y: usize,
}

const RUNG_WIDTH: usize = 190;
const RUNG_HEIGHT: usize = 66;
/// How many characters of a rung fit.
const FITS: usize = 24;

impl Ladder {
    /// How a finding stands in each channel.
    pub(crate) fn of_finding(channels: &[ChannelStatus], now: Timestamp) -> Self {
        let rungs = channels.iter().enumerate().map(|(at, channel)| {
            let (class, mark) = match channel.status {
                None => ("none", "–"),
                Some(Status::Affected) => ("bad", ""),
                Some(Status::NeedsReview) => ("review", "?"),
                Some(Status::Patched | Status::Fixed) => ("good", "✓"),
                Some(Status::NotAffected) => ("good", ""),
            };
            let version = words::versions(&channel.versions);
            rung(
                at,
                &channel.channel,
                class,
                mark,
                &words::channel(channel, now),
                &version,
            )
        });
        Self {
            rungs: rungs.collect(),
        }
    }

    /// How a package stands in each channel.
    pub(crate) fn of_package(verdicts: &[Verdict]) -> Self {
        let rungs = verdicts.iter().enumerate().map(|(at, verdict)| {
            let (class, mark, what) = if verdict.versions.is_empty() {
                ("none", "–", "not there".to_owned())
            } else if verdict.affected > 0 {
                let exploited = match verdict.exploited {
                    0 => String::new(),
                    some => format!(", {} exploited", number(some)),
                };
                (
                    "bad",
                    "",
                    format!("{} open{exploited}", number(verdict.affected)),
                )
            } else if verdict.review > 0 {
                (
                    "review",
                    "?",
                    format!("{} to review", number(verdict.review)),
                )
            } else {
                ("good", "✓", "nothing known".to_owned())
            };
            let version = words::versions(&verdict.versions);
            rung(at, &verdict.channel, class, mark, &what, &version)
        });
        Self {
            rungs: rungs.collect(),
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.rungs.len().max(1) * RUNG_WIDTH
    }

    pub(crate) fn end(&self) -> usize {
        self.rungs.last().map_or(12, |rung| rung.x)
    }

    pub(crate) fn height(&self) -> usize {
        self.rungs.len().max(1) * RUNG_HEIGHT
    }

    pub(crate) fn bottom(&self) -> usize {
        self.rungs.last().map_or(16, |rung| rung.y)
    }

    pub(crate) fn description(&self) -> String {
        let told: Vec<String> = self
            .rungs
            .iter()
            .map(|rung| format!("{}: {} {}", rung.name, rung.what, rung.detail))
            .collect();
        format!(
            "{}: {}.",
            counted(told.len(), "channel", "channels"),
            told.join("; ")
        )
    }
}

fn rung(
    at: usize,
    name: &str,
    class: &'static str,
    mark: &'static str,
    what: &str,
    detail: &str,
) -> Rung {
    Rung {
        name: fit(name, FITS).into_owned(),
        class,
        mark,
        what: fit(what, FITS).into_owned(),
        detail: fit(detail, FITS).into_owned(),
        x: 12 + at * RUNG_WIDTH,
        y: 16 + at * RUNG_HEIGHT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_end_at_round_numbers() {
        let tops = [0, 9, 11, 20, 21, 51, 101, 4_999, 5_001].map(round_up);
        assert_eq!(tops, [10, 10, 20, 20, 50, 100, 200, 5_000, 10_000]);
        assert!(round_up(u64::MAX) > 0);
    }

    #[test]
    fn one_week_is_no_line() {
        let week = Week {
            start: "2026-11-16".parse().unwrap(),
            open: 10,
            grave: 5,
        };
        assert!(Trend::of(&[]).is_none());
        assert!(Trend::of(&[week]).is_none());
        let trend = Trend::of(&[
            week,
            Week {
                open: 0,
                grave: 0,
                ..week
            },
        ])
        .unwrap();
        assert_eq!(trend.all, "M44 10L352 110");
        assert_eq!(trend.grave, "M44 60L352 110");
    }
}
