//! Scores beside outcomes, checked once.

use perennial_core::frame::Frame;
use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::metrics::Metrics;
use crate::outcomes::Outcomes;
use crate::slices::{Slice, measure_slices};
use crate::{binary, multiclass, regression};

/// How far a probability may lie outside 0 to 1 by rounding; it is then taken as 0 or 1.
const ROUNDING: f64 = 1e-6;

/// All that was measured of one model on the test rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Over all labelled rows.
    pub metrics: Metrics,
    /// Over the rows of each slice.
    pub slices: Vec<Slice>,
}

impl Evaluation {
    /// The measures, `rows` and `slices` as the facts of a judged model.
    pub fn facts(&self) -> Map<String, Value> {
        let mut facts = self.metrics.facts();
        let slices = self.slices.iter().map(|slice| Value::Object(slice.facts())).collect();
        facts.insert("slices".to_owned(), Value::Array(slices));
        facts
    }
}

/// Measures `scores` over all labelled rows.
pub fn metrics(scores: &Scores, outcomes: &Outcomes) -> Result<Metrics, Error> {
    let judged = Judged::new(scores, outcomes)?;
    Ok(judged.measure(&judged.order))
}

/// Measures `scores` over all labelled rows and over each slice by the
/// columns of `frame` called `columns`, whose rows are those of the scores.
///
/// Of every column the [`MAX_SLICES`](crate::MAX_SLICES) values with the most labelled
/// rows, most frequent first, equals by value; missing is a value too.
pub fn judge<S: AsRef<str>>(
    scores: &Scores,
    outcomes: &Outcomes,
    frame: &Frame,
    columns: &[S],
) -> Result<Evaluation, Error> {
    let judged = Judged::new(scores, outcomes)?;
    Ok(Evaluation { metrics: judged.measure(&judged.order), slices: measure_slices(&judged, frame, columns)? })
}

/// Scores that fit their outcomes.
pub(crate) struct Judged<'a> {
    pub(crate) scores: &'a Scores,
    pub(crate) outcomes: &'a Outcomes,
    /// The labelled rows; by ascending score when the task is binary, so that slices need no sorting.
    pub(crate) order: Vec<u32>,
}

impl<'a> Judged<'a> {
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

    /// Measures some labelled rows, which come in the order of `self.order`.
    pub(crate) fn measure(&self, rows: &[u32]) -> Metrics {
        match self.outcomes.task() {
            TaskKind::Binary => binary::measure(rows.iter().map(|&row| self.binary_row(row))),
            TaskKind::Multiclass => multiclass::measure(self, rows),
            TaskKind::Regression => regression::measure(rows.iter().map(|&row| self.regression_row(row))),
        }
    }

    /// The probability of `class`; 0 for a class the model does not know.
    pub(crate) fn probability(&self, row: usize, class: usize) -> f64 {
        self.scores.row(row).get(class).map_or(0.0, |score| score.clamp(0.0, 1.0))
    }

    /// Probability and outcome by ascending probability; none unless the task is binary.
    pub(crate) fn binary_rows(&self) -> impl DoubleEndedIterator<Item = (f64, bool)> {
        let is_binary = self.outcomes.task() == TaskKind::Binary;
        let rows: &[u32] = if is_binary { &self.order } else { &[] };
        rows.iter().map(|&row| self.binary_row(row))
    }

    /// Answer and outcome; none unless the task is regression.
    pub(crate) fn regression_rows(&self) -> impl Iterator<Item = (f64, f64)> {
        let is_regression = self.outcomes.task() == TaskKind::Regression;
        let rows: &[u32] = if is_regression { &self.order } else { &[] };
        rows.iter().map(|&row| self.regression_row(row))
    }

    fn binary_row(&self, row: u32) -> (f64, bool) {
        (self.scores.values[row as usize].clamp(0.0, 1.0), self.outcomes.is_yes(row as usize))
    }

    fn regression_row(&self, row: u32) -> (f64, f64) {
        (self.scores.values[row as usize], self.outcomes.value(row as usize))
    }
}
