//! The picture of severities: a bar for each, with what is exploited apart and filled. It is drawn to
//! be read in grey and on paper: every bar has its word and its number. The kernel's findings are
//! many and told as counts: they are numbers beside the bars, which they would dwarf.

use super::finding::RATINGS;
use super::sections::Row;
use crate::words::number;

/// The picture, in a box 360 units wide.
pub(super) struct Chart {
    pub(super) height: usize,
    pub(super) bars: Vec<Bar>,
    /// Whether anything is exploited, or in the kernel, and so to be explained.
    pub(super) exploited: bool,
    pub(super) kernel: bool,
    /// The same in words.
    pub(super) description: String,
}

/// One severity.
pub(super) struct Bar {
    pub(super) word: &'static str,
    pub(super) y: usize,
    pub(super) parts: Vec<Part>,
    /// Where the bar ends.
    pub(super) end: usize,
    pub(super) count: usize,
    /// How many more there are in the kernel.
    pub(super) kernel: usize,
}

/// A part of a bar.
pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) width: usize,
}

impl Chart {
    pub(super) fn of(rows: &[Row<'_>]) -> Self {
        let counts = RATINGS.map(|rating| Counts::of(rows, rating.class));
        let most = counts.iter().map(Counts::drawn).max().unwrap_or(0).max(1);
        let bars: Vec<Bar> = RATINGS
            .iter()
            .zip(&counts)
            .enumerate()
            .map(|(at, (rating, counts))| bar(rating.word, rating.class, at * STEP, counts, most))
            .collect();
        let told: Vec<String> = RATINGS
            .iter()
            .zip(&counts)
            .filter(|(_, counts)| counts.all() > 0)
            .map(|(rating, counts)| counts.told(rating.word))
            .collect();
        let any = |of: fn(&Counts) -> usize| counts.iter().any(|counts| of(counts) > 0);
        let (exploited, kernel) = (any(|counts| counts.exploited), any(|counts| counts.kernel));
        Self {
            height: (bars.len() + usize::from(exploited || kernel)) * STEP,
            bars,
            exploited,
            kernel,
            description: format!("{}.", told.join("; ")),
        }
    }
}

/// The findings of one severity, each counted once.
#[derive(Default)]
struct Counts {
    exploited: usize,
    kernel: usize,
    others: usize,
}

impl Counts {
    fn of(rows: &[Row<'_>], class: &str) -> Self {
        let mut counts = Self::default();
        for row in rows {
            let findings = row.group.findings.iter();
            for finding in findings.filter(|finding| finding.class == class) {
                if finding.of.exploited.is_some() {
                    counts.exploited += 1;
                } else if row.package.grouped {
                    counts.kernel += 1;
                } else {
                    counts.others += 1;
                }
            }
        }
        counts
    }

    fn drawn(&self) -> usize {
        self.exploited + self.others
    }

    fn all(&self) -> usize {
        self.drawn() + self.kernel
    }

    fn told(&self, word: &str) -> String {
        let parts = [
            (self.all(), word),
            (self.exploited, "exploited"),
            (self.kernel, "in the kernel"),
        ];
        let parts: Vec<String> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", number(count)))
            .collect();
        parts.join(", ")
    }
}

fn bar(word: &'static str, class: &'static str, y: usize, counts: &Counts, most: usize) -> Bar {
    let mut x = LEFT;
    let mut parts = Vec::new();
    for (count, class) in [(counts.exploited, "exploited"), (counts.others, class)] {
        if count > 0 {
            // What is there is seen, however little it is.
            let width = (count * WIDTH / most).max(3);
            parts.push(Part { class, x, width });
            x += width;
        }
    }
    Bar {
        word,
        y,
        parts,
        end: x,
        count: counts.drawn(),
        kernel: counts.kernel,
    }
}

/// From one bar to the next.
const STEP: usize = 24;
/// Where bars begin.
const LEFT: usize = 74;
/// How long the longest bar is, less what is rounded up; the rest is for its number.
const WIDTH: usize = 150;
