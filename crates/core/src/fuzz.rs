//! Parsers of foreign bytes, each as one function that fuzz targets and property tests call.

use crate::filter::{parse_experiment_filter, parse_experiment_order, parse_run_filter, parse_run_order};
use crate::rule::{Expression, FactSchema};
use crate::task::TaskKind;

/// MLflow's filter and order grammars.
///
/// # Panics
/// A parser has a fault.
pub fn filters(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = parse_run_filter(text);
    let _ = parse_run_order(text);
    let _ = parse_experiment_filter(text);
    let _ = parse_experiment_order(text);
}

/// Rules: parsed, checked against the published facts, and evaluated where no fact is known.
///
/// # Panics
/// The rule language has a fault.
pub fn rules(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Expression::parse(text) {
        Err(error) => assert!(text.get(error.span.clone()).is_some(), "{error} points outside of the text"),
        Ok(rule) => {
            for facts in [FactSchema::gate(TaskKind::Binary, &["train"]), FactSchema::rollback()] {
                for problem in rule.check(&facts) {
                    assert!(text.get(problem.span.clone()).is_some(), "{problem:?} points outside of the text");
                }
            }
            let _ = rule.evaluate(&serde_json::json!({}));
        }
    }
}

#[cfg(test)]
mod tests;
