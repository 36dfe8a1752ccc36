//! Evaluates checks over the answers of a scan.

use perennial_config::Check;
use perennial_core::port::data::{AggregateAnswer, RowAnswer, Severity, Staged};
use perennial_core::rule::Verdict;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Failing rows that a message quotes, at most; the stored answer has more.
const SAMPLES_SHOWN: usize = 2;

/// The outcome of one check at one load.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckResult {
    /// The check.
    pub name: String,
    /// Its severity.
    pub severity: Severity,
    /// Pass, fail, or unknown when it could not be evaluated.
    pub verdict: Verdict,
    /// One line: what was expected and what was found.
    pub message: String,
    /// The numbers that the verdict is based on.
    pub answer: Value,
}

/// The outcome of all of a load's checks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One result a check, in declared order.
    pub results: Vec<CheckResult>,
}

impl Report {
    /// Checks of severity `error` that did not pass: they hold the load.
    pub fn holding(&self) -> impl Iterator<Item = &CheckResult> {
        self.results.iter().filter(|result| result.severity == Severity::Error && result.verdict != Verdict::Pass)
    }

    /// Whether the load has to be held.
    pub fn is_held(&self) -> bool {
        self.holding().next().is_some()
    }
}

/// Evaluates the checks of a load: an aggregate check fails when it is false, a row check when fewer than `at_least` of
/// the rows pass.
pub fn evaluate(checks: &[Check], staged: &Staged) -> Report {
    let results = checks
        .iter()
        .map(|check| {
            let (verdict, message, answer) = if check.is_aggregate() {
                let answer = staged.aggregates.iter().find(|answer| answer.name == check.name);
                answer.map_or_else(unanswered, aggregate)
            } else {
                let answer = staged.rows.iter().find(|answer| answer.name == check.name);
                answer.map_or_else(unanswered, |answer| rows(check, answer))
            };
            CheckResult { name: check.name.clone(), severity: check.severity, verdict, message, answer }
        })
        .collect();
    Report { results }
}

fn unanswered() -> (Verdict, String, Value) {
    (Verdict::Unknown, "was not answered by the scan".to_owned(), Value::Null)
}

fn aggregate(answer: &AggregateAnswer) -> (Verdict, String, Value) {
    let values: Vec<String> = answer.values.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
    let (verdict, message) = match answer.holds {
        Some(true) => (Verdict::Pass, format!("holds{values}")),
        Some(false) => (Verdict::Fail, format!("does not hold{values}")),
        None => (Verdict::Unknown, format!("is null{values}")),
    };
    (verdict, message, json!({ "values": answer.values.iter().cloned().collect::<serde_json::Map<_, _>>() }))
}

fn rows(check: &Check, answer: &RowAnswer) -> (Verdict, String, Value) {
    let passed = answer.rows - answer.failed;
    let share = if answer.rows == 0 { 1.0 } else { passed as f64 / answer.rows as f64 };
    let verdict = if share >= check.at_least { Verdict::Pass } else { Verdict::Fail };
    let samples = answer.samples.iter().take(SAMPLES_SHOWN).cloned().collect::<Vec<_>>().join("; ");
    let samples = if samples.is_empty() { samples } else { format!(", such as {samples}") };
    let message = match (verdict, answer.failed) {
        (_, 0) => format!("all {} rows pass", answer.rows),
        (Verdict::Pass, failed) => {
            format!("{failed} of {} rows fail, within at_least = {}{samples}", answer.rows, check.at_least)
        }
        (_, failed) => format!(
            "{failed} of {} rows fail (share passing {share:.6}, expected at least {}){samples}",
            answer.rows, check.at_least
        ),
    };
    let answer = json!({ "rows": answer.rows, "failed": answer.failed, "share": share, "samples": answer.samples });
    (verdict, message, answer)
}
