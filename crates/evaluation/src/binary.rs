//! Measures of yes and no.

use crate::calibration::CalibrationSums;
use crate::metrics::{Metrics, ratio};
use crate::rank::Auc;

/// Above this score the answer is yes; at it, no, as the first class wins ties.
pub(crate) const YES: f64 = 0.5;

/// Probabilities are kept this far from 0 and 1 in logarithms, as scikit-learn does.
const CLIP: f64 = f64::EPSILON;

/// Measures rows of (probability, outcome) that come in ascending order of probability.
pub(crate) fn measure(rows: impl Iterator<Item = (f64, bool)>) -> Metrics {
    let mut auc = Auc::default();
    let mut calibration = CalibrationSums::default();
    let (mut log_loss, mut brier) = (0.0, 0.0);
    let (mut right_yes, mut wrong_yes, mut wrong_no, mut right_no) = (0_u64, 0_u64, 0_u64, 0_u64);
    for (score, is_yes) in rows {
        auc.push(score, is_yes);
        calibration.push(score, is_yes);
        let of_outcome = if is_yes { score } else { 1.0 - score };
        log_loss -= of_outcome.clamp(CLIP, 1.0 - CLIP).ln();
        brier += (1.0 - of_outcome) * (1.0 - of_outcome);
        match (score > YES, is_yes) {
            (true, true) => right_yes += 1,
            (true, false) => wrong_yes += 1,
            (false, true) => wrong_no += 1,
            (false, false) => right_no += 1,
        }
    }
    let count = right_yes + wrong_yes + wrong_no + right_no;
    let rows = count as f64;
    let mut metrics = Metrics { rows: count, ..Metrics::default() };
    metrics.set("auc", auc.finish());
    metrics.set("log_loss", ratio(log_loss, rows));
    metrics.set("accuracy", ratio((right_yes + right_no) as f64, rows));
    metrics.set("precision", ratio(right_yes as f64, (right_yes + wrong_yes) as f64));
    metrics.set("recall", ratio(right_yes as f64, (right_yes + wrong_no) as f64));
    metrics.set("f1", ratio(2.0 * right_yes as f64, (2 * right_yes + wrong_yes + wrong_no) as f64));
    metrics.set("brier", ratio(brier, rows));
    metrics.set("calibration_error", calibration.error());
    metrics.set("positive_rate", ratio((right_yes + wrong_no) as f64, rows));
    metrics
}

/// −ln of the probability given to what came true.
pub(crate) fn surprise(probability: f64) -> f64 {
    -probability.clamp(CLIP, 1.0 - CLIP).ln()
}
