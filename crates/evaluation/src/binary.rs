//! Metrics of binary models.

use crate::calibration::CalibrationSums;
use crate::metrics::{Metrics, ratio};
use crate::rank::Auc;

/// A row is predicted positive above this score; at it, negative, as the first class wins ties.
pub(crate) const DECISION_THRESHOLD: f64 = 0.5;

/// Probabilities are clipped to this distance from 0 and 1 before taking logarithms, as scikit-learn does.
const CLIP: f64 = f64::EPSILON;

/// Computes the metrics of pairs of probability and outcome in ascending order of probability.
pub(crate) fn measure(rows: impl Iterator<Item = (f64, bool)>) -> Metrics {
    let mut auc = Auc::default();
    let mut calibration = CalibrationSums::default();
    let (mut log_loss, mut brier) = (0.0, 0.0);
    let (mut true_positives, mut false_positives, mut false_negatives, mut true_negatives) =
        (0_u64, 0_u64, 0_u64, 0_u64);
    for (score, is_positive) in rows {
        auc.push(score, is_positive);
        calibration.push(score, is_positive);
        let outcome_probability = if is_positive { score } else { 1.0 - score };
        log_loss -= outcome_probability.clamp(CLIP, 1.0 - CLIP).ln();
        brier += (1.0 - outcome_probability) * (1.0 - outcome_probability);
        match (score > DECISION_THRESHOLD, is_positive) {
            (true, true) => true_positives += 1,
            (true, false) => false_positives += 1,
            (false, true) => false_negatives += 1,
            (false, false) => true_negatives += 1,
        }
    }
    let count = true_positives + false_positives + false_negatives + true_negatives;
    let rows = count as f64;
    let mut metrics = Metrics { rows: count, ..Metrics::default() };
    metrics.set("auc", auc.finish());
    metrics.set("log_loss", ratio(log_loss, rows));
    metrics.set("accuracy", ratio((true_positives + true_negatives) as f64, rows));
    metrics.set("precision", ratio(true_positives as f64, (true_positives + false_positives) as f64));
    metrics.set("recall", ratio(true_positives as f64, (true_positives + false_negatives) as f64));
    metrics
        .set("f1", ratio(2.0 * true_positives as f64, (2 * true_positives + false_positives + false_negatives) as f64));
    metrics.set("brier", ratio(brier, rows));
    metrics.set("calibration_error", calibration.error());
    metrics.set("positive_rate", ratio((true_positives + false_negatives) as f64, rows));
    metrics
}

/// The log loss of one row: −ln of the probability that the model gave to the observed outcome.
pub(crate) fn log_loss_of(probability: f64) -> f64 {
    -probability.clamp(CLIP, 1.0 - CLIP).ln()
}
