//! Why nothing was trained.

use perennial_core::ErrorCode;

/// Why nothing was trained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter that the trainer does not have.
    #[error("trainer `{trainer}` has no parameter `{name}`")]
    UnknownParam {
        /// The trainer.
        trainer: &'static str,
        /// The name as written.
        name: String,
        /// The parameter that was probably meant.
        suggestion: Option<&'static str>,
        /// All that there are.
        known: Vec<&'static str>,
    },
    /// A parameter whose value is of the wrong kind or out of range.
    #[error("parameter `{name}` is {value}, expected {expected}")]
    ParamValue {
        /// The parameter.
        name: &'static str,
        /// The value as written, as JSON.
        value: String,
        /// The kind and range that is taken.
        expected: String,
    },
    /// The frame has no rows.
    #[error("there are no rows to learn from")]
    NoRows,
    /// The frame has no columns.
    #[error("there are no features to learn from")]
    NoFeatures,
    /// More rows or features than a trainer takes.
    #[error("there are {actual} {what}, at most {limit} are taken")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// How many are taken.
        limit: usize,
    },
    /// The target does not have one value a row.
    #[error("the target has {actual} values for {rows} rows")]
    TargetLength {
        /// Values of the target.
        actual: usize,
        /// Rows of the features.
        rows: usize,
    },
    /// The target is not of the task's kind.
    #[error("the target holds {found}, expected {expected} for a {task} task")]
    TargetKind {
        /// What it holds.
        found: &'static str,
        /// What the task asks for.
        expected: &'static str,
        /// The task.
        task: &'static str,
    },
    /// A value of the target that cannot be learnt.
    #[error("the target is {value} at row {row}, expected {expected}")]
    TargetValue {
        /// The row, from 0.
        row: usize,
        /// The value.
        value: String,
        /// What is taken.
        expected: &'static str,
    },
    /// The target is the same everywhere.
    #[error("the target is {value} in every row, so there is nothing to tell apart")]
    ConstantTarget {
        /// The one value or class.
        value: String,
    },
    /// A feature holds a number that a 32-bit float cannot hold.
    #[error("feature `{feature}` is {value} at row {row}, expected a finite 32-bit number or missing")]
    NotFinite {
        /// The column.
        feature: String,
        /// The row, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
    /// The threads of the trainer could not be started.
    #[error("the trainer's threads could not be started")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// The trainer broke off.
    #[error("the trainer failed: {0}")]
    Trainer(String),
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::UnknownParam { suggestion: Some(name), .. } => {
                (ErrorCode::ProjectFile, format!("did you mean `{name}`?"))
            }
            Error::UnknownParam { known, .. } => {
                (ErrorCode::ProjectFile, format!("its parameters are {}", known.join(", ")))
            }
            Error::ParamValue { .. } => (ErrorCode::ProjectFile, "change it in `params` of the step".to_owned()),
            Error::NoRows | Error::ConstantTarget { .. } => (
                ErrorCode::StepFailed,
                "look at the labelled rows before the test window: `[task] target`, `time` and `test` settle them"
                    .to_owned(),
            ),
            Error::NoFeatures => (
                ErrorCode::StepFailed,
                "leave a column beside key, time, target and `ignore` in `[task] data`".to_owned(),
            ),
            Error::TooMany { .. } => (ErrorCode::TooLarge, "take fewer, by SQL or by `ignore`".to_owned()),
            Error::TargetKind { .. } => (ErrorCode::StepFailed, "set `[task] kind` to fit the target".to_owned()),
            Error::TargetLength { .. } | Error::TargetValue { .. } => {
                (ErrorCode::StepFailed, "correct the target in the step that makes it".to_owned())
            }
            Error::NotFinite { .. } => (
                ErrorCode::StepFailed,
                "turn it into null in the step that makes the feature, or name the column in `ignore`".to_owned(),
            ),
            Error::Threads(_) | Error::Trainer(_) => {
                return Self::new(ErrorCode::Internal, error.to_string()).because(error);
            }
        };
        Self::new(code, error.to_string()).hint(hint).because(error)
    }
}
