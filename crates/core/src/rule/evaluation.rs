//! The evaluation of an expression over facts, in three values.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::evaluator::Evaluator;
use super::syntax::Node;
use super::value::{Truth, Unknown, and};
use crate::text_enum::text_enum;

text_enum! {
    /// The result of a rule.
    Verdict, "verdict" {
        /// It holds.
        Pass = "pass",
        /// It does not hold.
        Fail = "fail",
        /// A fact it needs is absent, so there is no result.
        Unknown = "unknown",
    }
}

/// A clause that was not evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The clause, as written.
    pub clause: String,
    /// The absent fact that it names.
    pub absent: String,
}

/// The result of a rule, with the facts it depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The result.
    pub verdict: Verdict,
    /// Absent facts that the result depends on, in order; empty unless it is unknown.
    pub missing: Vec<String>,
    /// Other reasons why the result is unknown: an undefined quotient, a limit, a fact of another type.
    pub reasons: Vec<String>,
    /// The facts that were read, in order, at most [`super::EVALUATION_VALUES_MAX`].
    pub values: Vec<(String, Value)>,
    /// Clauses that were not evaluated.
    pub skipped: Vec<Skipped>,
}

/// Evaluates the conjunction of `clauses`; an empty one passes.
pub(super) fn evaluate(text: &str, clauses: &[&Node], skipped: Vec<Skipped>, facts: &Value) -> Evaluation {
    let mut evaluator = Evaluator::new(text, facts);
    let mut answer: Truth = Ok(true);
    for clause in clauses {
        if answer == Ok(false) {
            break;
        }
        answer = and(answer, evaluator.truth(clause));
    }
    let (verdict, unknown) = match answer {
        Ok(true) => (Verdict::Pass, Unknown::default()),
        Ok(false) => (Verdict::Fail, Unknown::default()),
        Err(unknown) => (Verdict::Unknown, unknown),
    };
    Evaluation { verdict, missing: unknown.missing, reasons: unknown.reasons, values: evaluator.into_values(), skipped }
}
