//! Errors of evaluation.

use perennial_core::ErrorCode;
use perennial_core::task::TaskKind;

/// Why scores could not be evaluated.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Scores and outcomes differ in their number of rows.
    #[error("{scores} rows of scores and {outcomes} outcomes, expected equally many")]
    Rows {
        /// Rows of scores.
        scores: usize,
        /// Rows of outcomes.
        outcomes: usize,
    },
    /// The scores do not have the number of columns that the task requires.
    #[error("scores have {found} columns, expected {expected} for a {} model of these outcomes", task.as_str())]
    Width {
        /// The task of the outcomes.
        task: TaskKind,
        /// Expected scores a row.
        expected: usize,
        /// Found scores a row.
        found: usize,
    },
    /// A score is NaN or infinite.
    #[error("the score of row {row} is `{value}`, expected a finite number")]
    NotFinite {
        /// Index of the row, from 0.
        row: usize,
        /// The score.
        value: f64,
    },
    /// A classifier's score is outside 0 to 1.
    #[error("the score of row {row} is `{value}`, expected a probability from 0 to 1")]
    NotAProbability {
        /// Index of the row, from 0.
        row: usize,
        /// The score.
        value: f64,
    },
    /// The task does not accept an outcome.
    #[error("the outcome of row {row} is `{value}`, a {} task expects {expected}", task.as_str())]
    Outcome {
        /// The task.
        task: TaskKind,
        /// Index of the row, from 0.
        row: usize,
        /// The outcome.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// The rows lack a column named in `slices`.
    #[error("the rows have no column `{column}` to slice by")]
    Column {
        /// The column.
        column: String,
    },
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Rows { .. } => (ErrorCode::Internal, "pass one score for each row of the outcomes"),
            Error::Width { .. } => (ErrorCode::Model, "check that the model was trained for the kind in `[task]`"),
            Error::NotFinite { .. } => (
                ErrorCode::Model,
                "find the inputs for which the model returns no finite number, and impute or repair them",
            ),
            Error::NotAProbability { .. } => {
                (ErrorCode::Model, "export the model so that it returns probabilities, not margins or log-odds")
            }
            Error::Outcome { .. } => (
                ErrorCode::InvalidArgument,
                "change `kind` or `target` in `[task]`, or the step that produces the target",
            ),
            Error::Column { .. } => (ErrorCode::InvalidArgument, "name columns of `[task].data` in `slices`"),
        };
        Self::new(code, error.to_string()).with_hint(hint).with_source(error)
    }
}
