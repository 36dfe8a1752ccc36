//! The entry points of evaluation: metrics over all rows and by slice.

use perennial_core::frame::Frame;
use perennial_core::model::Scores;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compute::compute_metrics;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::scored_rows::ScoredRows;
use crate::slices::{Slice, evaluate_slices};

/// The metrics of one model on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Metrics over all labelled rows.
    pub metrics: Metrics,
    /// Metrics over the labelled rows of each slice.
    pub slices: Vec<Slice>,
}

impl Evaluation {
    /// The metrics, `rows` and `slices` as facts for gate expressions.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = self.metrics.facts();
        let slices = self.slices.iter().map(|slice| Value::Object(slice.facts())).collect();
        facts.insert("slices".to_owned(), Value::Array(slices));
        facts
    }
}

/// Computes the metrics of `scores` over all labelled rows.
///
/// # Errors
/// When scores and outcomes differ in rows or width, or a score of a labelled
/// row is not finite or, for a classifier, not a probability.
pub fn metrics(scores: &Scores, outcomes: &Outcomes) -> Result<Metrics, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    Ok(compute_metrics(&scored, &scored.order))
}

/// Computes the metrics of `scores` over all labelled rows and over each slice
/// by the named `columns` of `frame`, whose rows correspond to those of the scores.
///
/// Each column contributes at most [`MAX_SLICES`](crate::MAX_SLICES) slices: the values
/// with the most labelled rows, most frequent first, ties in order of value.
/// A missing value forms a slice of its own.
///
/// # Errors
/// As [`metrics`], and when `frame` lacks a column or has another number of rows.
pub fn evaluate<S: AsRef<str>>(
    scores: &Scores,
    outcomes: &Outcomes,
    frame: &Frame,
    columns: &[S],
) -> Result<Evaluation, Error> {
    let scored = ScoredRows::new(scores, outcomes)?;
    Ok(Evaluation {
        metrics: compute_metrics(&scored, &scored.order),
        slices: evaluate_slices(&scored, frame, columns)?,
    })
}
