//! Scores paired with their outcomes, validated once.

use perennial_core::model::Scores;
use perennial_core::task::TaskKind;

use crate::error::Error;
use crate::outcomes::Outcomes;

/// Tolerance by which a probability may exceed 0 to 1 through rounding; such a value is clamped.
const ROUNDING: f64 = 1e-6;

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

    pub(crate) fn binary_row(&self, row: u32) -> (f64, bool) {
        (self.scores.values[row as usize].clamp(0.0, 1.0), self.outcomes.is_positive(row as usize))
    }

    pub(crate) fn regression_row(&self, row: u32) -> (f64, f64) {
        (self.scores.values[row as usize], self.outcomes.value(row as usize))
    }
}
