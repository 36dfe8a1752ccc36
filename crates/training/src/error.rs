//! Errors of training.

use perennial_core::ErrorCode;

/// Why a training was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A parameter is unknown to the trainer.
    #[error("trainer `{trainer}` has no parameter `{name}`")]
    UnknownParam {
        /// Name of the trainer.
        trainer: &'static str,
        /// Name of the parameter, as given.
        name: String,
        /// The parameter that was probably meant.
        suggestion: Option<&'static str>,
        /// All parameters of the trainer.
        known: Vec<&'static str>,
    },
    /// A parameter has a value of the wrong type or out of range.
    #[error("parameter `{name}` is {value}, expected {expected}")]
    ParamValue {
        /// Name of the parameter.
        name: &'static str,
        /// The given value, as JSON.
        value: String,
        /// Type and range of accepted values.
        expected: String,
    },
    /// The frame has no rows.
    #[error("there are no training rows")]
    NoRows,
    /// The frame has no columns.
    #[error("there are no features")]
    NoFeatures,
    /// A size exceeds the trainer's limit.
    #[error("there are {actual} {what}, expected at most {limit}")]
    TooMany {
        /// The counted things, plural.
        what: &'static str,
        /// Their number.
        actual: usize,
        /// The largest accepted number.
        limit: usize,
    },
    /// The target does not have one value for each row.
    #[error("the target has {actual} values for {rows} rows")]
    TargetLength {
        /// Number of values.
        actual: usize,
        /// Number of rows.
        rows: usize,
    },
    /// The target's values do not match the task.
    #[error("the target has {found}, expected {expected} for a {task} task")]
    TargetKind {
        /// Values of the target.
        found: &'static str,
        /// Values that the task requires.
        expected: &'static str,
        /// Name of the task.
        task: &'static str,
    },
    /// A value of the target is invalid.
    #[error("the target is {value} at row {row}, expected {expected}")]
    TargetValue {
        /// Index of the row, from 0.
        row: usize,
        /// The value.
        value: String,
        /// Accepted values.
        expected: &'static str,
    },
    /// The target is the same in every row.
    #[error("the target is {value} in every row, expected at least two different values")]
    ConstantTarget {
        /// The value or class.
        value: String,
    },
    /// A feature has a number beyond the range of 32-bit floats.
    #[error("feature `{feature}` is {value} at row {row}, expected a finite 32-bit number or missing")]
    NotFinite {
        /// Name of the feature.
        feature: String,
        /// Index of the row, from 0.
        row: usize,
        /// The value.
        value: f64,
    },
    /// The threads of the trainer could not be started.
    #[error("the trainer's threads could not be started")]
    Threads(#[source] rayon::ThreadPoolBuildError),
    /// The training failed.
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
                "check the labelled rows before the test window, which `[task] target`, `time` and `test` define"
                    .to_owned(),
            ),
            Error::NoFeatures => (
                ErrorCode::StepFailed,
                "keep at least one column of `[task] data` besides key, time, target and `ignore`".to_owned(),
            ),
            Error::TooMany { .. } => (ErrorCode::TooLarge, "reduce their number in SQL or with `ignore`".to_owned()),
            Error::TargetKind { .. } => (ErrorCode::StepFailed, "set `[task] kind` to match the target".to_owned()),
            Error::TargetLength { .. } | Error::TargetValue { .. } => {
                (ErrorCode::StepFailed, "correct the target in the step that produces it".to_owned())
            }
            Error::NotFinite { .. } => (
                ErrorCode::StepFailed,
                "replace it by null in the step that produces the feature, or list the column in `ignore`".to_owned(),
            ),
            Error::Threads(_) | Error::Trainer(_) => {
                return Self::new(ErrorCode::Internal, error.to_string()).with_source(error);
            }
        };
        Self::new(code, error.to_string()).with_hint(hint).with_source(error)
    }
}
