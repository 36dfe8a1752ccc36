//! Errors of reading, building and evaluating ONNX models.

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Most classes that a message lists.
const LABELS_SHOWN_MAX: usize = 5;

/// Why a model cannot be read, built or evaluated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are not an ONNX file.
    #[error("not an ONNX model: {0}")]
    Decode(String),
    /// The file violates the ONNX specification.
    #[error("invalid ONNX model: {0}")]
    Invalid(String),
    /// The model exceeds one of the [`limits`](crate::limits).
    #[error("ONNX model has {actual} {what}, expected at most {limit}")]
    Limit {
        /// The counted things, plural.
        what: &'static str,
        /// Their number.
        actual: u64,
        /// The largest accepted number.
        limit: u64,
    },
    /// The model is valid, but has operators or types that this evaluator does not implement.
    #[error("the built-in evaluator does not support {}", operators.join(", "))]
    Unsupported {
        /// Sorted list of operators as `domain.Operator`, some with the unsupported part in parentheses.
        operators: Vec<String>,
    },
    /// The input tensors or the signature do not match the model.
    #[error("{0}")]
    Input(String),
    /// The classes of a binary model are not named like the outcomes, so which of them is the outcome 1 is unknown.
    #[error("the model names its classes {}, expected 0 and 1, the outcomes of a binary task", quoted(labels))]
    Outcomes {
        /// The classes.
        labels: Vec<String>,
    },
    /// An evaluation takes more operations than it may.
    #[error("node `{node}` ({operator}): ONNX model has {operations} operations, expected at most {limit}")]
    Budget {
        /// The node's name, or the name of its first output if it has none.
        node: String,
        /// The node's operator.
        operator: String,
        /// Operations so far.
        operations: u64,
        /// Those that it may take.
        limit: u64,
    },
    /// An operator failed on its input values.
    #[error("node `{node}` ({operator}): {message}")]
    Run {
        /// The node's name, or the name of its first output if it has none.
        node: String,
        /// The node's operator.
        operator: String,
        /// What was expected and what was found.
        message: String,
    },
}

fn quoted(labels: &[String]) -> String {
    let shown: Vec<String> = labels.iter().take(LABELS_SHOWN_MAX).map(|label| format!("`{label}`")).collect();
    if labels.len() > shown.len() { format!("{}, …", shown.join(", ")) } else { shown.join(" and ") }
}

/// Returns [`Error::Limit`] when `actual` exceeds `limit`.
pub(crate) fn at_most(what: &'static str, actual: u64, limit: u64) -> Result<()> {
    if actual > limit { Err(Error::Limit { what, actual, limit }) } else { Ok(()) }
}
