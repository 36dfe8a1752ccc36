//! Scores paired with outcomes, validated once, and the entry points of evaluation.

use perennial_core::frame::Frame;
use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::slices::{Slice, evaluate_slices};
use crate::{binary, multiclass, regression};

/// Tolerance by which a probability may exceed 0 to 1 through rounding; such a value is clamped.
const ROUNDING: f64 = 1e-6;

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
    Ok(scored.measure(&scored.order))
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
    Ok(Evaluation { metrics: scored.measure(&scored.order), slices: evaluate_slices(&scored, frame, columns)? })
}

/// Scores whose shape and values have been validated against their outcomes.
pub(crate) struct ScoredRows<'a> {
    pub(crate) scores: &'a Scores,
    pub(crate) outcomes: &'a Outcomes,
    /// Indices of the labelled rows; for a binary task in ascending order of score, so that slices need no sorting.
    pub(crate) order: Vec<u32>,
}

impl<'a> ScoredRows<'a> {
    pub(crate) fn new(scores: &'a Scores, outcomes: &'a Outcomes) -> Result<Self, Error> {
        let task = outcomes.task();
        if scores.width != outcomes.width() {
            return Err(Error::Width { task, expected: outcomes.width(), found: scores.width });
        }
        if scores.rows() != outcomes.rows() && scores.width > 0 {
            return Err(Error::Rows { scores: scores.rows(), outcomes: outcomes.rows() });
        }
        let mut order: Vec<u32> =
            (0..outcomes.rows()).filter(|&row| outcomes.is_labelled(row)).map(|row| row as u32).collect();
        for &row in &order {
            let row = row as usize;
            for &value in scores.row(row) {
                if !value.is_finite() {
                    return Err(Error::NotFinite { row, value });
                }
                if task != TaskKind::Regression && !(-ROUNDING..=1.0 + ROUNDING).contains(&value) {
                    return Err(Error::NotAProbability { row, value });
                }
            }
        }
        if task == TaskKind::Binary {
            let mut keyed: Vec<(f64, u32)> =
                order.iter().map(|&row| (scores.values[row as usize].clamp(0.0, 1.0), row)).collect();
            keyed.sort_unstable_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
            order = keyed.into_iter().map(|(_, row)| row).collect();
        }
        Ok(Self { scores, outcomes, order })
    }

    /// Computes the metrics of a subset of the labelled rows, given in the order of `self.order`.
    pub(crate) fn measure(&self, rows: &[u32]) -> Metrics {
        match self.outcomes.task() {
            TaskKind::Binary => binary::measure(rows.iter().map(|&row| self.binary_row(row))),
            TaskKind::Multiclass => multiclass::measure(self, rows),
            TaskKind::Regression => regression::measure(rows.iter().map(|&row| self.regression_row(row))),
        }
    }

    /// The probability of `class`; 0 for a class unknown to the model.
    pub(crate) fn probability(&self, row: usize, class: usize) -> f64 {
        self.scores.row(row).get(class).map_or(0.0, |score| score.clamp(0.0, 1.0))
    }

    /// Pairs of probability and outcome in ascending order of probability; empty unless the task is binary.
    pub(crate) fn binary_rows(&self) -> impl DoubleEndedIterator<Item = (f64, bool)> {
        let is_binary = self.outcomes.task() == TaskKind::Binary;
        let rows: &[u32] = if is_binary { &self.order } else { &[] };
        rows.iter().map(|&row| self.binary_row(row))
    }

    /// Pairs of prediction and outcome; empty unless the task is regression.
    pub(crate) fn regression_rows(&self) -> impl Iterator<Item = (f64, f64)> {
        let is_regression = self.outcomes.task() == TaskKind::Regression;
        let rows: &[u32] = if is_regression { &self.order } else { &[] };
        rows.iter().map(|&row| self.regression_row(row))
    }

    fn binary_row(&self, row: u32) -> (f64, bool) {
        (self.scores.values[row as usize].clamp(0.0, 1.0), self.outcomes.is_positive(row as usize))
    }

    fn regression_row(&self, row: u32) -> (f64, f64) {
        (self.scores.values[row as usize], self.outcomes.value(row as usize))
    }
}
