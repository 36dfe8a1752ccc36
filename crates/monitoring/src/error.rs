//! Errors of monitoring statistics.

use perennial_core::ErrorCode;

/// Why rows could not be summarised or compared with a reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The rows lack a feature of the reference.
    #[error("the rows have no column `{column}`, expected it as a feature of the reference")]
    Column {
        /// Name of the feature.
        column: String,
    },
    /// A feature has text where the reference has numbers, or numbers where it has text.
    #[error("the column `{column}` has {found}, expected {expected} as in the reference")]
    Kind {
        /// Name of the feature.
        column: String,
        /// Type in the reference.
        expected: &'static str,
        /// Type in the rows.
        found: &'static str,
    },
    /// The scores differ in width from those of the reference.
    #[error("scores have {found} columns, expected {expected} as in the reference")]
    Width {
        /// Number of score columns of the reference.
        expected: usize,
        /// Number of score columns given.
        found: usize,
    },
    /// A summary was made for another reference.
    #[error("the summary was made for reference `{found}`, expected `{expected}`")]
    ReferenceMismatch {
        /// Fingerprint of the given reference.
        expected: String,
        /// Fingerprint of the summary's reference.
        found: String,
    },
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Column { .. } | Error::Kind { .. } => (
                ErrorCode::WrongState,
                "release the model again, so that its reference has the features of the requests",
            ),
            Error::Width { .. } => {
                (ErrorCode::WrongState, "compare only predictions of the model that the reference belongs to")
            }
            Error::ReferenceMismatch { .. } => {
                (ErrorCode::WrongState, "summarise the window's predictions again with this release's reference")
            }
        };
        Self::new(code, error.to_string()).with_hint(hint).with_source(error)
    }
}
