//! What is to be learnt.

use serde::{Deserialize, Serialize};

/// The kind of answer a model gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskKind {
    /// Yes or no; the score is the probability of yes.
    Binary,
    /// One of several classes; one probability a class.
    Multiclass,
    /// A number.
    Regression,
}

impl TaskKind {
    /// The word used in project files, facts and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        }
    }
}
