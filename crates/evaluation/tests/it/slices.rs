//! Evaluation by slices.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::rule::{Expression, FactSchema, Verdict};
use perennial_core::task::TaskKind;
use perennial_evaluation::{Error, MAX_SLICES, Outcomes, evaluate};
use serde_json::json;

use crate::oracle::{binary, scores, text};

fn frame(name: &str, column: Column) -> Frame {
    let mut frame = Frame::new();
    frame.push(name, column);
    frame
}

#[test]
fn slices_are_ordered_by_frequency_and_include_missing_values() {
    let origin = TextColumn::encode([Some("JFK"), Some("EWR"), None, Some("EWR"), None, Some("LGA")]);
    let values = scores(1, vec![0.9, 0.8, 0.7, 0.1, 0.2, 0.3]);
    let outcomes = binary(&[true, true, true, false, false, false]);
    let found = evaluate(&values, &outcomes, &frame("origin", Column::Text(origin)), &["origin"]).unwrap().slices;
    let seen: Vec<(Option<&str>, u64, Option<f64>)> =
        found.iter().map(|slice| (slice.value.as_deref(), slice.metrics.rows, slice.metrics.get("auc"))).collect();
    assert_eq!(
        seen,
        [(None, 2, Some(1.0)), (Some("EWR"), 2, Some(1.0)), (Some("JFK"), 1, None), (Some("LGA"), 1, None)]
    );
}

#[test]
fn numbers_are_sliced_by_value_and_spelled_plainly() {
    let column = Column::Number(vec![1.0, -0.0, 0.5, 1.0, 0.0, f64::NAN]);
    let found = evaluate(&scores(1, vec![0.5; 6]), &binary(&[true; 6]), &frame("n", column), &["n"]).unwrap().slices;
    let seen: Vec<Option<&str>> = found.iter().map(|slice| slice.value.as_deref()).collect();
    assert_eq!(seen, [Some("0"), Some("1"), None, Some("0.5")]);
}

#[test]
fn a_column_has_at_most_its_most_frequent_slices() {
    let values: Vec<f64> =
        (0..200).flat_map(|value| std::iter::repeat_n(f64::from(value), if value == 150 { 3 } else { 1 })).collect();
    let rows = values.len();
    let found =
        evaluate(&scores(1, vec![0.5; rows]), &binary(&vec![false; rows]), &frame("n", Column::Number(values)), &["n"])
            .unwrap()
            .slices;
    assert_eq!(found.len(), MAX_SLICES);
    assert_eq!((found[0].value.as_deref(), found[0].metrics.rows), (Some("150"), 3));
}

#[test]
fn an_unknown_slice_column_is_refused() {
    let error = evaluate(&scores(1, vec![0.5]), &binary(&[true]), &Frame::new(), &["carier"]).unwrap_err();
    assert_eq!(error, Error::Column { column: "carier".to_owned() });
    assert_eq!(error.to_string(), "the rows have no column `carier` to slice by");
}

#[test]
fn facts_of_an_evaluated_model_are_doubles_by_their_published_names() {
    let origin = TextColumn::encode([Some("JFK"), Some("JFK"), None]);
    let evaluation = evaluate(
        &scores(1, vec![0.25, 0.75, 0.25]),
        &binary(&[false, true, false]),
        &frame("origin", Column::Text(origin)),
        &["origin"],
    )
    .unwrap();
    let facts = serde_json::Value::Object(evaluation.facts());
    assert_eq!(facts["rows"], json!(3.0));
    assert_eq!(facts["auc"], json!(1.0));
    assert_eq!(facts["slices"][0]["column"], json!("origin"));
    assert_eq!(facts["slices"][0]["value"], json!("JFK"));
    assert_eq!(facts["slices"][0]["rows"], json!(2.0));
    assert_eq!(facts["slices"][1]["value"], json!("null"));
    assert_eq!(facts["slices"][1].get("auc"), None, "an undefined metric is absent");
    let kept: perennial_evaluation::Evaluation =
        serde_json::from_str(&serde_json::to_string(&evaluation).unwrap()).unwrap();
    assert_eq!(kept, evaluation);
}

#[test]
fn checked_gates_evaluate_over_the_facts() {
    let origin = TextColumn::encode([Some("JFK"), Some("JFK"), None]);
    let outcomes = binary(&[false, true, false]);
    let evaluation =
        evaluate(&scores(1, vec![0.25, 0.75, 0.25]), &outcomes, &frame("origin", Column::Text(origin)), &["origin"])
            .unwrap();
    let facts = json!({"candidate": evaluation.facts(), "simple": evaluation.facts()});
    let cases = [
        ("candidate.auc >= simple.auc && candidate.rows == 3", Verdict::Pass),
        ("candidate.slices.all(s, s.rows < 2 || s.auc >= 0.6)", Verdict::Pass),
        ("candidate.slices.exists(s, s.column == 'origin' && s.value == 'null' && s.rows == 1)", Verdict::Pass),
        ("candidate.slices.all(s, s.auc >= 0.6)", Verdict::Unknown),
    ];
    for (text, expected) in cases {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.check(&FactSchema::gate(TaskKind::Binary, &["simple"])), [], "{text}");
        assert_eq!(expression.evaluate(&facts).verdict, expected, "{text}");
    }
}

#[test]
fn slices_have_no_metrics_per_class() {
    let known = ["a", "b"].map(str::to_owned);
    let outcomes = Outcomes::from_column(&text(&["a", "b", "a"]), TaskKind::Multiclass, &known).unwrap();
    let values = scores(2, vec![0.7, 0.3, 0.4, 0.6, 0.2, 0.8]);
    let found = evaluate(&values, &outcomes, &frame("n", Column::Number(vec![1.0; 3])), &["n"]).unwrap();
    assert_eq!((found.metrics.classes.len(), found.slices[0].metrics.classes.len()), (2, 0));
}
