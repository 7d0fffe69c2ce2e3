//! What several runs of the same took.

use serde::Serialize;

use super::meter::Measured;

/// Medians, and how far the runs lie apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Times {
    /// Of a whole process, from start to end: the median.
    pub(super) wall_ms: f64,
    /// The fastest run.
    pub(super) wall_ms_min: f64,
    /// The slowest run.
    pub(super) wall_ms_max: f64,
    /// Of all threads together: the median.
    pub(super) cpu_ms: f64,
    /// The most memory that it had: the median. A mapped index counts as far as it was touched.
    pub(super) peak_mb: f64,
    /// How many runs.
    pub(super) runs: usize,
}

impl Times {
    /// Nothing can be said of no run.
    pub(super) fn of(runs: &[Measured]) -> Option<Self> {
        let walls = sorted(runs.iter().map(|run| run.wall_ms));
        Some(Self {
            wall_ms: median(&walls)?,
            wall_ms_min: *walls.first()?,
            wall_ms_max: *walls.last()?,
            cpu_ms: median(&sorted(runs.iter().map(|run| run.cpu_ms)))?,
            peak_mb: median(&sorted(runs.iter().map(|run| run.peak_mb)))?,
            runs: runs.len(),
        })
    }
}

pub(super) fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of sorted values; between the two middle ones, if there are two.
pub(super) fn median(sorted: &[f64]) -> Option<f64> {
    let upper = *sorted.get(sorted.len() / 2)?;
    Some(if sorted.len().is_multiple_of(2) {
        f64::midpoint(upper, *sorted.get(sorted.len() / 2 - 1)?)
    } else {
        upper
    })
}

/// Millions of bytes.
#[expect(clippy::cast_precision_loss, reason = "a figure to print")]
pub(super) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let of = |values: &[f64]| median(&sorted(values.iter().copied()));
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[5.0]), Some(5.0));
        assert_eq!(of(&[9.0, 1.0]), Some(5.0));
        assert_eq!(of(&[9.0, 1.0, 2.0]), Some(2.0));
    }

    #[test]
    fn each_figure_has_a_median_of_its_own() {
        let run = |wall_ms, cpu_ms, peak_mb| Measured {
            wall_ms,
            cpu_ms,
            peak_mb,
        };
        let runs = [
            run(3.0, 1.0, 20.0),
            run(1.0, 2.0, 30.0),
            run(2.0, 9.0, 10.0),
        ];
        assert_eq!(
            Times::of(&runs),
            Some(Times {
                wall_ms: 2.0,
                wall_ms_min: 1.0,
                wall_ms_max: 3.0,
                cpu_ms: 2.0,
                peak_mb: 20.0,
                runs: 3,
            })
        );
        assert_eq!(Times::of(&[]), None);
    }
}
