mod grammar;
mod laws;
mod oracle;
mod page;
mod types;
mod verdicts;

use serde_json::{Value, json};

use super::{Evaluation, Expression, FactSchema};
use crate::task::TaskKind;

fn parse(text: &str) -> Expression {
    Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn evaluate(text: &str, facts: &Value) -> Evaluation {
    parse(text).evaluate(facts)
}

fn gate() -> FactSchema {
    FactSchema::gate(TaskKind::Binary, &["simple"])
}

/// Facts of a gate: two slices, the second too small for an AUC.
fn facts() -> Value {
    json!({
        "candidate": {
            "auc": 0.75, "log_loss": 0.4, "rows": 28000,
            "slices": [
                { "column": "origin", "value": "EWR", "rows": 9000, "auc": 0.74 },
                { "column": "carrier", "value": "OO", "rows": 30 },
            ],
        },
        "champion": { "auc": 0.74, "rows": 28000, "slices": [] },
        "simple": { "auc": 0.70, "rows": 28000, "slices": [] },
        "serving": { "p50_ms": 0.1, "p99_ms": 0.2 },
        "checks": { "passed": 4, "warned": 1, "failed": 0 },
    })
}
