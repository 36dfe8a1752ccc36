//! The distribution of regression errors.

use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::outcomes::Outcomes;
use crate::scored_rows::ScoredRows;

/// Number of histogram bins.
pub const RESIDUAL_BINS: usize = 40;

/// The share of rows at either end that is left out of the histogram and counted in `below` and `above`.
const TAIL: f64 = 0.005;

/// One histogram bin: from `lower` (inclusive) to `upper` (exclusive; inclusive in the last bin).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ResidualBin {
    /// Lower edge, in units of the target.
    pub lower: f64,
    /// Upper edge, in units of the target.
    pub upper: f64,
    /// Rows in the bin.
    pub rows: u64,
}

/// The distribution of residuals (prediction minus outcome), in units of the target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Residuals {
    /// [`RESIDUAL_BINS`] bins of equal width between the 0.5 % and 99.5 % quantiles; a single bin when all residuals are equal.
    pub bins: Vec<ResidualBin>,
    /// Rows below the first bin.
    pub below: u64,
    /// Rows above the last bin.
    pub above: u64,
    /// The mean residual.
    pub mean: f64,
    /// The median residual: the lower of the two middle ones for an even number of rows.
    pub median: f64,
}

/// The residuals of a regression model; `None` for other tasks and without labelled rows.
pub fn residuals(scores: &Scores, outcomes: &Outcomes) -> Result<Option<Residuals>, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    let mut residuals: Vec<f64> = scored.regression_rows().map(|(prediction, outcome)| prediction - outcome).collect();
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
