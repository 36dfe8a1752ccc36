//! Whether probabilities mean what they say.

use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::judged::Judged;
use crate::outcomes::Outcomes;

/// Bins of equal width from 0 to 1.
pub const CALIBRATION_BINS: usize = 10;

/// One bin of scores: above `lower`, up to and including `upper`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Scores in it are greater; the first bin holds 0 too.
    pub lower: f64,
    /// Scores in it are at most this.
    pub upper: f64,
    /// Rows in it.
    pub rows: u64,
    /// The mean score of these rows.
    pub mean_score: f64,
    /// The share of yes among their outcomes.
    pub positive_rate: f64,
}

/// Mean score against observed share, bin by bin; bins without rows are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The expected calibration error: the mean distance of the two, weighted by rows.
    pub error: f64,
    /// The bins that have rows, ascending.
    pub bins: Vec<CalibrationBin>,
}

/// The calibration of a binary model; absent for other tasks and without labelled rows.
pub fn calibration(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Calibration>, Error> {
    let judged = Judged::new(scores, outcomes)?;
    let mut sums = CalibrationSums::default();
    for (score, is_yes) in judged.binary_rows() {
        sums.push(score, is_yes);
    }
    Ok(sums.error().map(|error| Calibration { error, bins: sums.bins() }))
}

/// Adds up [`Calibration`].
#[derive(Debug, Default)]
pub(crate) struct CalibrationSums {
    rows: [u64; CALIBRATION_BINS],
    yes: [u64; CALIBRATION_BINS],
    score: [f64; CALIBRATION_BINS],
}

impl CalibrationSums {
    pub(crate) fn push(&mut self, score: f64, is_yes: bool) {
        let bin = bin(score);
        self.rows[bin] += 1;
        self.yes[bin] += u64::from(is_yes);
        self.score[bin] += score;
    }

    /// Σ |yes − Σ score| / rows (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017).
    pub(crate) fn error(&self) -> Option<f64> {
        let rows: u64 = self.rows.iter().sum();
        let distance: f64 = self.yes.iter().zip(&self.score).map(|(&yes, score)| (yes as f64 - score).abs()).sum();
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
                positive_rate: self.yes[bin] as f64 / rows,
            }
        });
        bins.collect()
    }
}

fn edge(bin: usize) -> f64 {
    if bin == CALIBRATION_BINS { 1.0 } else { bin as f64 * (1.0 / CALIBRATION_BINS as f64) }
}

/// The bin whose upper edge is the first that is not below `score`.
fn bin(score: f64) -> usize {
    let mut bin = ((score * CALIBRATION_BINS as f64) as usize).min(CALIBRATION_BINS - 1);
    if bin > 0 && score <= edge(bin) {
        bin -= 1;
    } else if bin + 1 < CALIBRATION_BINS && score > edge(bin + 1) {
        bin += 1;
    }
    bin
}
