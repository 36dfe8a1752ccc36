//! How far off numbers were.

use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::judged::Judged;
use crate::outcomes::Outcomes;

/// Bins of the histogram.
pub const RESIDUAL_BINS: usize = 40;

/// The share of rows on either side that the histogram leaves to its counts `below` and `above`.
const TAIL: f64 = 0.005;

/// One bin: from `lower` up to `upper`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResidualBin {
    /// Its lower edge.
    pub lower: f64,
    /// Its upper edge; only the last bin holds it.
    pub upper: f64,
    /// Rows in it.
    pub rows: u64,
}

/// The distribution of answer minus outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    /// [`RESIDUAL_BINS`] of equal width between the half-percent quantiles; one when all are equal.
    pub bins: Vec<ResidualBin>,
    /// Rows below the first bin.
    pub below: u64,
    /// Rows above the last bin.
    pub above: u64,
    /// The mean residual.
    pub mean: f64,
    /// The residual that half of the rows do not exceed.
    pub median: f64,
}

/// The residuals of a regression model; absent for other tasks and without labelled rows.
pub fn residuals(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Residuals>, Error> {
    let judged = Judged::new(scores, outcomes)?;
    let mut residuals: Vec<f64> = judged.regression_rows().map(|(answer, outcome)| answer - outcome).collect();
    if residuals.is_empty() {
        return Ok(None);
    }
    residuals.sort_unstable_by(f64::total_cmp);
    let count = residuals.len();
    let tail = (count as f64 * TAIL) as usize;
    let (lower, upper) = (residuals[tail], residuals[count - 1 - tail]);
    let width = (upper - lower) / RESIDUAL_BINS as f64;
    let bins = if width > 0.0 && width.is_finite() { RESIDUAL_BINS } else { 1 };
    let edge = |bin: usize| {
        if bin == bins { upper } else { lower + width * bin as f64 }
    };
    let inside = residuals.iter().filter(|&&residual| residual >= lower && residual <= upper);
    let mut rows = vec![0_u64; bins];
    for &residual in inside.clone() {
        rows[((residual - lower) / width).clamp(0.0, (bins - 1) as f64) as usize] += 1;
    }
    Ok(Some(Residuals {
        bins: rows
            .iter()
            .enumerate()
            .map(|(bin, &rows)| ResidualBin { lower: edge(bin), upper: edge(bin + 1), rows })
            .collect(),
        below: residuals.iter().filter(|&&residual| residual < lower).count() as u64,
        above: residuals.iter().filter(|&&residual| residual > upper).count() as u64,
        mean: residuals.iter().sum::<f64>() / count as f64,
        median: residuals[(count - 1) / 2],
    }))
}
