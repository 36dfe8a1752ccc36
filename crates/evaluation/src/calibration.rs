//! Calibration: how well predicted probabilities match observed frequencies.

use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::outcomes::Outcomes;
use crate::scored_rows::ScoredRows;

/// Number of bins of equal width from 0 to 1.
pub const CALIBRATION_BINS: usize = 10;

/// One bin of scores: above `lower` (0 belongs to the first bin), up to and including `upper`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Exclusive lower edge; inclusive in the first bin.
    pub lower: f64,
    /// Inclusive upper edge.
    pub upper: f64,
    /// Rows in the bin.
    pub rows: u64,
    /// The mean score of these rows.
    pub mean_score: f64,
    /// The share of positive outcomes among these rows.
    pub positive_rate: f64,
}

/// The reliability diagram of a model; bins without rows are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Expected calibration error: the mean distance of mean score and positive rate, weighted by rows.
    pub error: f64,
    /// The bins that contain rows, ascending.
    pub bins: Vec<CalibrationBin>,
}

/// The calibration of a binary model; `None` for other tasks and without labelled rows.
pub fn calibration(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Calibration>, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    let mut sums = CalibrationSums::default();
    for (score, is_positive) in scored.binary_rows() {
        sums.push(score, is_positive);
    }
    Ok(sums.error().map(|error| Calibration { error, bins: sums.bins() }))
}

/// Accumulates the sums behind [`Calibration`].
#[derive(Debug, Default)]
pub(crate) struct CalibrationSums {
    rows: [u64; CALIBRATION_BINS],
    positives: [u64; CALIBRATION_BINS],
    score: [f64; CALIBRATION_BINS],
}

impl CalibrationSums {
    pub(crate) fn push(&mut self, score: f64, is_positive: bool) {
        let bin = bin(score);
        self.rows[bin] += 1;
        self.positives[bin] += u64::from(is_positive);
        self.score[bin] += score;
    }

    /// Σ |positives − Σ score| / rows over the bins (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017).
    pub(crate) fn error(&self) -> Option<f64> {
        let rows: u64 = self.rows.iter().sum();
        let distance: f64 =
            self.positives.iter().zip(&self.score).map(|(&positives, score)| (positives as f64 - score).abs()).sum();
        (rows > 0).then(|| distance / rows as f64)
    }

    fn bins(&self) -> Vec<CalibrationBin> {
        let bins = (0..CALIBRATION_BINS).filter(|&bin| self.rows[bin] > 0).map(|bin| {
            let rows = self.rows[bin] as f64;
            CalibrationBin {
                lower: edge(bin),
                upper: edge(bin + 1),
                rows: self.rows[bin],
                mean_score: self.score[bin] / rows,
                positive_rate: self.positives[bin] as f64 / rows,
            }
        });
        bins.collect()
    }
}

fn edge(bin: usize) -> f64 {
    if bin == CALIBRATION_BINS { 1.0 } else { bin as f64 * (1.0 / CALIBRATION_BINS as f64) }
}

/// The first bin whose upper edge is at least `score`.
fn bin(score: f64) -> usize {
    let mut bin = ((score * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
    if bin > 0 && score <= edge(bin) {
        bin -= 1;
    } else if bin + 1 < CALIBRATION_BINS && score > edge(bin + 1) {
        bin += 1;
    }
    bin
}
