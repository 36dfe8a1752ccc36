//! Metrics of regression models.

use crate::metrics::{Metrics, ratio};

/// Computes the metrics of pairs of prediction and outcome.
pub(crate) fn measure(rows: impl Iterator<Item = (f64, f64)> + Clone) -> Metrics {
    let (mut count, mut squares, mut distance, mut bias, mut sum) = (0_u64, 0.0, 0.0, 0.0, 0.0);
    for (prediction, outcome) in rows.clone() {
        let residual = prediction - outcome;
        count += 1;
        squares += residual * residual;
        distance += residual.abs();
        bias += residual;
        sum += outcome;
    }
    let total = count as f64;
    let mean = sum / total;
    // A second pass: the sum of squares about the mean keeps its digits when the mean is large.
    let total_variation: f64 = rows.clone().map(|(_, outcome)| (outcome - mean) * (outcome - mean)).sum();
    let first = rows.clone().next().map(|(_, outcome)| outcome);
    let is_constant = rows.map(|(_, outcome)| outcome).all(|outcome| Some(outcome) == first);
    let mut metrics = Metrics { rows: count, ..Metrics::default() };
    metrics.set("rmse", ratio(squares, total).map(f64::sqrt));
    metrics.set("mae", ratio(distance, total));
    metrics.set("r2", ratio(squares, total_variation).filter(|_| !is_constant).map(|unexplained| 1.0 - unexplained));
    metrics.set("bias", ratio(bias, total));
    metrics
}
