//! What comes first: one number that sorts, and the words for it.

use std::fmt;

use jiff::civil::Date;
use snowguard_advisory::severity::{Exploitation, Rating};
use snowguard_matching::Status;

/// What is known of a finding, as far as its place in a list depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weights {
    /// Known to be exploited, since when.
    pub exploited: Option<Date>,
    /// Used by ransomware.
    pub ransomware: bool,
    /// CISA's word on exploitation.
    pub exploitation: Option<Exploitation>,
    /// The likelihood of exploitation within thirty days, 0 to 1 (EPSS).
    pub epss: Option<f32>,
    /// The score in tenths.
    pub score: Option<u16>,
    /// The rating, where only that is known, or beside the score.
    pub rating: Option<Rating>,
    /// How many packages depend on the package.
    pub dependents: u32,
    /// How many followed channels are affected.
    pub channels: u32,
    /// The match status.
    pub status: Option<Status>,
    /// Nixpkgs itself marks the package insecure because of this.
    pub marked: bool,
    /// When it was published.
    pub published: Option<Date>,
}

/// A place in a list: the larger, the earlier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rank {
    /// The number.
    pub value: i64,
    /// What it is made of, the weightiest first.
    pub reasons: Vec<Reason>,
}

/// One thing that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Known to be exploited.
    Exploited {
        /// Since when that is known.
        since: Date,
        /// Whether ransomware does.
        ransomware: bool,
    },
    /// CISA says that it is exploited.
    Active,
    /// How to do it is public.
    ProofOfConcept,
    /// Exploitation is likely.
    Likely {
        /// In percent.
        percent: u8,
    },
    /// How bad.
    Severity {
        /// In words.
        rating: Rating,
        /// The score in tenths.
        score: Option<u16>,
    },
    /// Nobody says how bad.
    Unrated,
    /// How far it reaches.
    Dependents(u32),
    /// In how many channels.
    Channels(u32),
    /// Whether it is affected nobody can say without looking.
    Unsure,
    /// Nixpkgs marks the package insecure because of it: who uses it has been told.
    Marked,
}

/// Points that one day is worth less than any of.
const DAYS: i64 = 1 << 17;

impl Weights {
    /// The place.
    ///
    /// Exploitation goes before all else; then severity and reach weigh about the same, and whether
    /// it is sure a little less. Among equals the newer comes first.
    pub fn rank(&self) -> Rank {
        let mut found: Vec<(i64, Reason)> = Vec::new();
        if let Some(since) = self.exploited {
            let ransomware = self.ransomware;
            let points = 5_000 + if ransomware { 500 } else { 0 };
            found.push((points, Reason::Exploited { since, ransomware }));
        } else if self.exploitation == Some(Exploitation::Active) {
            found.push((4_000, Reason::Active));
        } else if self.exploitation == Some(Exploitation::Poc) {
            found.push((300, Reason::ProofOfConcept));
        }
        if let Some(epss) = self.epss.filter(|epss| *epss >= 0.1) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to percents"
            )]
            let percent = (epss.clamp(0.0, 1.0) * 100.0) as u8;
            found.push((i64::from(percent) * 6, Reason::Likely { percent }));
        }
        found.push(self.severity());
        if self.dependents > 0 {
            let points = i64::from(u32::BITS - self.dependents.leading_zeros()) * 60;
            found.push((points, Reason::Dependents(self.dependents)));
        }
        if self.channels > 0 {
            let points = i64::from(self.channels.min(6)) * 50;
            found.push((points, Reason::Channels(self.channels)));
        }
        if self.status == Some(Status::NeedsReview) {
            found.push((-400, Reason::Unsure));
        }
        if self.marked {
            found.push((-600, Reason::Marked));
        }
        let points: i64 = found.iter().map(|(points, _)| points).sum();
        found.sort_by_key(|(points, _)| -points.abs());
        let epoch = jiff::civil::date(1970, 1, 1);
        let day = self
            .published
            .and_then(|day| day.since((jiff::Unit::Day, epoch)).ok())
            .map_or(0, |span| i64::from(span.get_days()).clamp(0, DAYS - 1));
        Rank {
            value: points * DAYS + day,
            reasons: found.into_iter().map(|(_, reason)| reason).collect(),
        }
    }

    fn severity(&self) -> (i64, Reason) {
        let of_rating = |rating| match rating {
            Rating::Critical => 90,
            Rating::High => 70,
            Rating::Medium => 40,
            Rating::Low => 10,
            Rating::None => 0,
        };
        let score = self.score.map(|score| score.min(100));
        match (score, self.rating) {
            (Some(score), Some(rating)) => {
                let score_points = i64::from(score) * 10;
                (
                    score_points,
                    Reason::Severity {
                        rating,
                        score: Some(score),
                    },
                )
            }
            (None, Some(rating)) => (
                of_rating(rating) * 10,
                Reason::Severity {
                    rating,
                    score: None,
                },
            ),
            // What nobody rated is not harmless: it stands where the middle does.
            (_, None) => (400, Reason::Unrated),
        }
    }
}

/// The place of what stands for several: that of the first, and a little for their number.
pub fn of_many(first: i64, count: usize) -> i64 {
    let doubled = i64::from(usize::BITS - count.leading_zeros())
        .saturating_sub(1)
        .max(0);
    first + doubled * 100 * DAYS
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exploited {
                since,
                ransomware: false,
            } => write!(f, "known to be exploited since {since}"),
            Self::Exploited {
                since,
                ransomware: true,
            } => {
                write!(f, "known to be exploited since {since}, by ransomware too")
            }
            Self::Active => f.write_str("CISA says that it is exploited"),
            Self::ProofOfConcept => f.write_str("how to exploit it is public"),
            Self::Likely { percent } => {
                write!(f, "{percent} % likely to be exploited within 30 days")
            }
            Self::Severity {
                rating,
                score: Some(score),
            } => {
                write!(f, "{rating}, {}.{}", score / 10, score % 10)
            }
            Self::Severity {
                rating,
                score: None,
            } => write!(f, "{rating}"),
            Self::Unrated => f.write_str("nobody has rated it"),
            Self::Dependents(1) => f.write_str("1 package depends on it"),
            Self::Dependents(count) => write!(f, "{count} packages depend on it"),
            Self::Channels(1) => f.write_str("in 1 channel"),
            Self::Channels(count) => write!(f, "in {count} channels"),
            Self::Unsure => f.write_str("whether it is affected has to be looked at"),
            Self::Marked => f.write_str("Nixpkgs already marks the package insecure because of it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn critical() -> Weights {
        Weights {
            score: Some(98),
            rating: Some(Rating::Critical),
            channels: 3,
            status: Some(Status::Affected),
            published: Some(date(2026, 1, 2)),
            ..Weights::default()
        }
    }

    #[test]
    fn what_is_exploited_goes_before_what_is_merely_bad_and_wide() {
        let wide = Weights {
            dependents: u32::MAX,
            epss: Some(0.99),
            ..critical()
        };
        let exploited = Weights {
            exploited: Some(date(2026, 2, 3)),
            score: Some(31),
            rating: Some(Rating::Low),
            channels: 1,
            ..Weights::default()
        };
        assert!(exploited.rank().value > wide.rank().value);
    }

    #[test]
    fn the_newer_goes_first_among_equals() {
        let newer = Weights {
            published: Some(date(2026, 1, 3)),
            ..critical()
        };
        assert!(newer.rank().value > critical().rank().value);
    }

    #[test]
    fn the_reasons_are_words() {
        let all = Weights {
            exploited: Some(date(2026, 2, 3)),
            ransomware: true,
            epss: Some(0.42),
            dependents: 1_204,
            ..critical()
        };
        let told = |weights: Weights| {
            let reasons: Vec<String> = weights
                .rank()
                .reasons
                .iter()
                .map(ToString::to_string)
                .collect();
            reasons.join("; ")
        };
        insta::assert_snapshot!(told(all), @"known to be exploited since 2026-02-03, by ransomware too; critical, 9.8; 1204 packages depend on it; 42 % likely to be exploited within 30 days; in 3 channels");
        let unsure = Weights {
            status: Some(Status::NeedsReview),
            channels: 1,
            ..Weights::default()
        };
        insta::assert_snapshot!(told(unsure), @"nobody has rated it; whether it is affected has to be looked at; in 1 channel");
    }

    proptest! {
        /// More of what is bad never moves a finding back.
        #[test]
        fn worse_never_sorts_later(score in 0_u16..100, dependents in 0_u32..100_000, channels in 0_u32..8) {
            let base = Weights { score: Some(score), rating: Some(Rating::Medium), dependents, channels, ..Weights::default() };
            for worse in [
                Weights { score: Some(score + 1), ..base },
                Weights { dependents: dependents + 1, ..base },
                Weights { channels: channels + 1, ..base },
                Weights { exploited: Some(date(2026, 1, 1)), ..base },
                Weights { exploitation: Some(Exploitation::Poc), ..base },
            ] {
                prop_assert!(worse.rank().value >= base.rank().value);
            }
        }
    }
}
