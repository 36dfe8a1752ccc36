//! Judging an expression over facts, in three values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evaluate::Evaluation;
use super::syntax::Node;
use super::value::{Truth, Unknown, and};

/// The answer to a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It does not hold.
    Fail,
    /// A fact it needs is absent: it cannot be said.
    Unknown,
}

impl Verdict {
    /// The verdict's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Verdict {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<Self, crate::Error> {
        match text {
            "pass" => Ok(Self::Pass),
            "fail" => Ok(Self::Fail),
            "unknown" => Ok(Self::Unknown),
            other => Err(crate::Error::new(
                crate::ErrorCode::InvalidArgument,
                format!("`{}` is no verdict: expected one of `pass`, `fail`, `unknown`", other.escape_debug()),
            )),
        }
    }
}

/// A clause left out of a judgement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The clause, as written.
    pub clause: String,
    /// The fact that is not there.
    pub absent: String,
}

/// The answer to a rule, with what it stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// The answer.
    pub verdict: Verdict,
    /// Absent facts that the answer would have needed, in order; empty unless unknown.
    pub missing: Vec<String>,
    /// Other reasons why the answer is unknown: an undefined quotient, a limit, a fact of another type.
    pub reasons: Vec<String>,
    /// The facts it saw, in the order of looking, at most [`super::JUDGEMENT_VALUES_MAX`].
    pub values: Vec<(String, Value)>,
    /// Clauses left out.
    pub skipped: Vec<Skipped>,
}

/// Judges the conjunction of `clauses`; none of them is a pass.
pub(super) fn judge(text: &str, clauses: &[&Node], skipped: Vec<Skipped>, facts: &Value) -> Judgement {
    let mut evaluation = Evaluation::new(text, facts);
    let mut answer: Truth = Ok(true);
    for clause in clauses {
        if answer == Ok(false) {
            break;
        }
        answer = and(answer, evaluation.truth(clause));
    }
    let (verdict, unknown) = match answer {
        Ok(true) => (Verdict::Pass, Unknown::default()),
        Ok(false) => (Verdict::Fail, Unknown::default()),
        Err(unknown) => (Verdict::Unknown, unknown),
    };
    Judgement { verdict, missing: unknown.missing, reasons: unknown.reasons, values: evaluation.into_values(), skipped }
}
