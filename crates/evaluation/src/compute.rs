//! The metrics of a set of rows, by task.

use perennial_core::task::TaskKind;

use crate::metrics::Metrics;
use crate::scored_rows::ScoredRows;
use crate::{binary, multiclass, regression};

/// Computes the metrics of a subset of the labelled rows, given in the order of [`ScoredRows::order`].
pub(crate) fn compute_metrics(scored: &ScoredRows<'_>, rows: &[u32]) -> Metrics {
    match scored.outcomes.task() {
        TaskKind::Binary => binary::measure(rows.iter().map(|&row| scored.binary_row(row))),
        TaskKind::Multiclass => multiclass::measure(scored, rows),
        TaskKind::Regression => regression::measure(rows.iter().map(|&row| scored.regression_row(row))),
    }
}
