//! The catalog of published facts, for gates, alerts and rollback rules.

use super::facts::{FactSchema, FactType, Record};
use crate::metric::metrics;
use crate::task::TaskKind;

/// Names of facts, which no step that makes a model may have.
pub const RESERVED_NAMES: [&str; 17] = [
    "candidate",
    "champion",
    "canary",
    "reference",
    "serving",
    "checks",
    "slices",
    "drift",
    "score",
    "rows",
    "labelled",
    "latency",
    "error_rate",
    "requests",
    "errors",
    "math",
    "metrics",
];

impl FactSchema {
    /// Facts of gates: metrics of the candidate, the champion and the other evaluated models (by the names of their
    /// steps), all on the same rows; latency; data checks.
    pub fn gate(task: TaskKind, models: &[&str]) -> Self {
        let mut facts = Record::new()
            .with("candidate", evaluated(task).into(), "the model under evaluation")
            .maybe("champion", evaluated(task).into(), "the model in production, on the same rows")
            .maybe("serving", latency("one row at a time, warm, in process").into(), "latency of the candidate")
            .with(
                "checks",
                checks().into(),
                "data checks of the dataset versions that the candidate was trained and evaluated on",
            );
        for model in models {
            facts = facts.with(model, evaluated(task).into(), "the model of this step, on the same rows");
        }
        Self { noun: "gate", facts }
    }

    /// Facts of alerts: the champion of an endpoint in one window.
    pub fn alert(task: TaskKind) -> Self {
        let drift = Record::new()
            .maybe("share", FactType::Number, "share of features that have drifted, 0 to 1")
            .maybe("score", FactType::Number, "distance of the score's distribution from its reference")
            .maybe("features", FactType::Numbers, "distance of each feature's distribution from its reference");
        let facts = measured(task, Record::new(), "over the window's rows with an outcome")
            .with("rows", FactType::Number, "rows answered in the window")
            .maybe("labelled", FactType::Number, "share of those rows that have an outcome, 0 to 1")
            .maybe(
                "reference",
                measured(task, Record::new(), "in the Decision that released the champion").into(),
                "the baseline for comparison",
            )
            .maybe("drift", drift.into(), "distance of inputs and score from the reference")
            .maybe("latency", latency("over the window").into(), "latency of requests")
            .maybe("error_rate", FactType::Number, "share of requests answered with 5xx, 0 to 1");
        Self { noun: "alert", facts }
    }

    /// Facts of a canary's rollback rule: both versions since the canary started.
    pub fn rollback() -> Self {
        let fallbacks = "requests of its share without an input it needs; the champion answered them";
        let canary = answered().with("fallbacks", FactType::Number, fallbacks).renamed("unfit", "fallbacks");
        let facts = Record::new()
            .with("canary", canary.into(), "the version on trial with a share of the requests")
            .with("champion", answered().into(), "the version that answers the other requests");
        Self { noun: "rollback rule", facts }
    }
}

fn measured(task: TaskKind, mut record: Record, place: &str) -> Record {
    for metric in metrics(task) {
        record = record.maybe(metric.name, FactType::Number, &format!("{}, {place}", metric.title));
    }
    record
}

fn evaluated(task: TaskKind) -> Record {
    let slice = measured(task, Record::new(), "on the slice")
        .with("column", FactType::Text, "the slice's column")
        .with("value", FactType::Text, "its one value")
        .with("rows", FactType::Number, "rows of the slice");
    measured(task, Record::new(), "on the test rows").with("rows", FactType::Number, "test rows evaluated").with(
        "slices",
        FactType::from(slice).list(),
        "the same metrics for each value of each slice column",
    )
}

fn latency(place: &str) -> Record {
    Record::new().maybe("p50_ms", FactType::Number, &format!("median latency in milliseconds, {place}")).maybe(
        "p99_ms",
        FactType::Number,
        &format!("99th percentile of latency in milliseconds, {place}"),
    )
}

fn checks() -> Record {
    Record::new()
        .with("passed", FactType::Number, "checks that passed")
        .with("warned", FactType::Number, "checks of severity `warn` that failed")
        .with("failed", FactType::Number, "checks of severity `error` that failed and whose rows a person accepted")
}

fn answered() -> Record {
    latency("over its requests")
        .with("requests", FactType::Number, "requests it answered")
        .with("errors", FactType::Number, "requests it answered with 5xx")
        .maybe("error_rate", FactType::Number, "errors by requests, 0 to 1")
}
