//! Why rows could not be summarised or compared.

use perennial_core::ErrorCode;

/// Why rows could not be summarised or compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The rows lack a feature of the reference.
    #[error("the rows have no column `{column}`, which the reference has")]
    Column {
        /// The feature.
        column: String,
    },
    /// A feature holds text where the reference has numbers, or the other way round.
    #[error("the column `{column}` holds {found}, the reference has {expected}")]
    Kind {
        /// The feature.
        column: String,
        /// What the reference has.
        expected: &'static str,
        /// What the rows have.
        found: &'static str,
    },
    /// The scores have another width than the reference.
    #[error("scores have {found} columns, the reference has {expected}")]
    Width {
        /// Columns of the reference's scores.
        expected: usize,
        /// Columns of the scores at hand.
        found: usize,
    },
    /// A summary was made for another reference.
    #[error("the summary was made for reference `{found}`, expected `{expected}`")]
    Anchor {
        /// The reference at hand.
        expected: String,
        /// The reference of the summary.
        found: String,
    },
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::Column { .. } | Error::Kind { .. } => (
                ErrorCode::WrongState,
                "release the model again, so that its reference has the features it is asked with",
            ),
            Error::Width { .. } => {
                (ErrorCode::WrongState, "compare only answers of the model the reference was taken of")
            }
            Error::Anchor { .. } => {
                (ErrorCode::WrongState, "summarise the window's predictions anew with this release's reference")
            }
        };
        Self::new(code, error.to_string()).hint(hint).because(error)
    }
}
