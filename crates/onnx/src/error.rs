//! Why a model cannot be read, written or run.

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a model cannot be read, written or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no ONNX file.
    #[error("not an ONNX model: {0}")]
    Decode(String),
    /// The file breaks ONNX's own rules.
    #[error("invalid ONNX model: {0}")]
    Invalid(String),
    /// The file is larger than a limit of [`crate::limits`] allows.
    #[error("ONNX model has {actual} {what}, at most {limit} are taken")]
    Limit {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        actual: u64,
        /// How many are taken.
        limit: u64,
    },
    /// The model is right, but needs operators or types that the evaluator here lacks.
    #[error("the built-in evaluator lacks {}", operators.join(", "))]
    Unsupported {
        /// Each as `domain.Operator`, with what about it is not taken, sorted.
        operators: Vec<String>,
    },
    /// The tensors given do not fit the model.
    #[error("{0}")]
    Input(String),
    /// An operator could not do its work on the values it met.
    #[error("node `{node}` ({operator}): {message}")]
    Run {
        /// The node's name, or its first output where it has none.
        node: String,
        /// The operator.
        operator: String,
        /// What was expected and what was there.
        message: String,
    },
}

/// Refuses `actual` when it is above `limit`.
pub(crate) fn at_most(what: &'static str, actual: u64, limit: u64) -> Result<()> {
    if actual > limit { Err(Error::Limit { what, actual, limit }) } else { Ok(()) }
}
