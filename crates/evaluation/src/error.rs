//! Why scores could not be judged.

use perennial_core::ErrorCode;
use perennial_core::task::TaskKind;

/// Why scores could not be judged.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// Scores and outcomes are not of the same rows.
    #[error("{scores} rows of scores for {outcomes} outcomes, expected as many of each")]
    Rows {
        /// Rows of scores.
        scores: usize,
        /// Rows of outcomes.
        outcomes: usize,
    },
    /// The scores have another width than the task asks for.
    #[error("scores have {found} columns, a {} model of these outcomes has {expected}", task.as_str())]
    Width {
        /// The task of the outcomes.
        task: TaskKind,
        /// Scores a row that were expected.
        expected: usize,
        /// Scores a row that were found.
        found: usize,
    },
    /// A score is NaN or infinite.
    #[error("the score of row {row} is `{value}`, expected a finite number")]
    NotFinite {
        /// The row, from 0.
        row: usize,
        /// The score.
        value: f64,
    },
    /// A score of a classifier lies outside 0 to 1.
    #[error("the score of row {row} is `{value}`, expected a probability from 0 to 1")]
    NotAProbability {
        /// The row, from 0.
        row: usize,
        /// The score.
        value: f64,
    },
    /// The outcome column does not hold what the task asks for.
    #[error("the outcome of row {row} is `{value}`, a {} task expects {expected}", task.as_str())]
    Outcome {
        /// The task.
        task: TaskKind,
        /// The row, from 0.
        row: usize,
        /// The outcome found.
        value: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A slice column that the rows do not have.
    #[error("the rows have no column `{column}` to slice by")]
    Column {
        /// The column.
        column: String,
    },
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Rows { .. } => (ErrorCode::Internal, "score exactly the rows whose outcomes are judged"),
            Error::Width { .. } => (ErrorCode::Model, "check that the model was trained for the kind in `[task]`"),
            Error::NotFinite { .. } => {
                (ErrorCode::Model, "find out for which inputs the model gives no number, and impute or repair them")
            }
            Error::NotAProbability { .. } => {
                (ErrorCode::Model, "export the model so that it answers probabilities, not margins or log-odds")
            }
            Error::Outcome { .. } => {
                (ErrorCode::InvalidArgument, "change `kind` or `target` in `[task]`, or the step that makes the target")
            }
            Error::Column { .. } => (ErrorCode::InvalidArgument, "name columns of `[task].data` in `slices`"),
        };
        Self::new(code, error.to_string()).hint(hint).because(error)
    }
}
