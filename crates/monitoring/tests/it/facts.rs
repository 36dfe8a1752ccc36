//! The facts over which alerts are evaluated.

use std::collections::BTreeMap;

use perennial_core::calendar::Window;
use perennial_core::latency::Latency;
use perennial_core::rule::{Expression, FactSchema, Verdict};
use perennial_core::task::TaskKind;
use perennial_monitoring::{WindowResult, drift};
use serde_json::{Value, json};

use crate::oracle::{number, reference, summary};

fn result() -> WindowResult {
    let reference = reference(&number(&[1.0; 10]));
    WindowResult {
        version: "flight-delays/3".to_owned(),
        window: Window { start_ms: 1_372_651_200_000, end_ms: 1_375_329_600_000 },
        rows: 2000,
        labelled_rows: 1500,
        metrics: BTreeMap::from([("auc".to_owned(), 0.75), ("log_loss".to_owned(), f64::NAN)]),
        drift: Some(drift(&reference, &summary(&reference, &number(&[1.0; 5]))).unwrap()),
        latency: Some(Latency { p50_ms: 1.0, p99_ms: 4.5 }),
        requests: 400,
        errors: 1,
    }
}

#[test]
fn facts_have_their_published_names_and_all_numbers_are_doubles() {
    let released = BTreeMap::from([("auc".to_owned(), 0.8)]);
    let facts = Value::Object(result().facts(Some(&released)));
    let expected = json!({
        "auc": 0.75,
        "rows": 2000.0,
        "labelled": 0.75,
        "error_rate": 0.0025,
        "latency": {"p50_ms": 1.0, "p99_ms": 4.5},
        "drift": {"share": 0.0, "features": {"feature": 0.0}},
        "reference": {"auc": 0.8},
    });
    assert_eq!(facts, expected);
    assert!(facts["rows"].is_f64() && facts["drift"]["share"].is_f64());
}

#[test]
fn undefined_facts_are_absent() {
    let nothing = WindowResult {
        rows: 0,
        labelled_rows: 0,
        metrics: BTreeMap::new(),
        drift: None,
        latency: None,
        requests: 0,
        errors: 0,
        ..result()
    };
    assert_eq!(Value::Object(nothing.facts(None)), json!({"rows": 0.0}));
    let kept: WindowResult = serde_json::from_str(&serde_json::to_string(&nothing).unwrap()).unwrap();
    assert_eq!(kept, nothing);
}

#[test]
fn a_metric_cannot_replace_a_fact_of_the_window() {
    let mut odd = result();
    odd.metrics.insert("rows".to_owned(), 7.0);
    assert_eq!(odd.facts(None)["rows"], json!(2000.0));
}

#[test]
fn checked_alerts_evaluate_over_the_facts() {
    let released = BTreeMap::from([("auc".to_owned(), 0.8)]);
    let facts = Value::Object(result().facts(Some(&released)));
    let cases = [
        ("auc < reference.auc - 0.02", Verdict::Pass),
        ("drift.share > 0.5", Verdict::Fail),
        ("drift.features['feature'] < 0.25 && drift.features.all(name, drift.features[name] < 0.25)", Verdict::Pass),
        ("rows > 1000 && labelled >= 0.75 && error_rate < 0.01 && latency.p99_ms < 5", Verdict::Pass),
        // The summary has no scores, and the log loss was NaN.
        ("drift.score > 0.25", Verdict::Unknown),
        ("log_loss > 0.1", Verdict::Unknown),
    ];
    for (text, expected) in cases {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.check(&FactSchema::alert(TaskKind::Binary)), [], "{text}");
        assert_eq!(expression.evaluate(&facts).verdict, expected, "{text}");
    }
}
