//! Scores and outcomes that do not match.

use perennial_core::ErrorCode;
use perennial_core::frame::Column;
use perennial_core::task::TaskKind;
use perennial_evaluation::{Error, Outcomes, metrics};

use crate::oracle::{binary, numbers, scores, text};

#[test]
fn a_score_that_is_not_finite_is_refused() {
    let error = metrics(&scores(1, vec![0.5, f64::NAN]), &binary(&[true, false])).unwrap_err();
    assert_eq!(error.to_string(), "the score of row 1 is `NaN`, expected a finite number");
    let error = metrics(&scores(1, vec![f64::INFINITY]), &numbers(&[1.0])).unwrap_err();
    assert_eq!(error.to_string(), "the score of row 0 is `inf`, expected a finite number");
}

#[test]
fn a_margin_is_not_a_probability() {
    let error = metrics(&scores(1, vec![0.5, -2.5]), &binary(&[true, false])).unwrap_err();
    assert_eq!(error, Error::NotAProbability { row: 1, value: -2.5 });
    let error = perennial_core::Error::from(error);
    assert_eq!(error.code(), ErrorCode::Model);
    assert!(error.hint().unwrap().contains("not margins"));
}

#[test]
fn a_probability_beyond_the_range_by_rounding_is_accepted() {
    let found = metrics(&scores(1, vec![1.000_000_1, -1e-9]), &binary(&[true, false])).unwrap();
    assert_eq!(found.get("brier"), Some(0.0));
}

#[test]
fn rows_and_widths_must_agree() {
    let error = metrics(&scores(1, vec![0.5; 3]), &binary(&[true; 2])).unwrap_err();
    assert_eq!(error, Error::Rows { scores: 3, outcomes: 2 });
    let error = metrics(&scores(2, vec![0.5; 4]), &binary(&[true; 2])).unwrap_err();
    assert_eq!(error.to_string(), "scores have 2 columns, expected 1 for a binary model of these outcomes");
}

#[test]
fn outcomes_of_another_task_are_refused() {
    let read = |column, task| Outcomes::from_column(&column, task, &[]).unwrap_err().to_string();
    assert_eq!(
        read(Column::Number(vec![1.0, 2.0]), TaskKind::Binary),
        "the outcome of row 1 is `2`, a binary task expects 0 or 1"
    );
    assert_eq!(read(text(&["yes"]), TaskKind::Binary), "the outcome of row 0 is `yes`, a binary task expects 0 or 1");
    assert_eq!(
        read(Column::Number(vec![f64::INFINITY]), TaskKind::Regression),
        "the outcome of row 0 is `inf`, a regression task expects a finite number"
    );
}

#[test]
fn numeric_classes_match_by_value() {
    let known = ["1.0", "2"].map(str::to_owned);
    let outcomes =
        Outcomes::from_column(&Column::Number(vec![2.0, 1.0, 7.0, f64::NAN]), TaskKind::Multiclass, &known).unwrap();
    assert_eq!(outcomes.classes(), ["1.0", "2", "7"]);
    assert_eq!((outcomes.rows(), outcomes.labelled()), (4, 3));
    let found = metrics(&scores(2, vec![0.1, 0.9, 0.9, 0.1, 0.6, 0.4, 0.5, 0.5]), &outcomes).unwrap();
    assert_eq!(found.get("accuracy"), Some(2.0 / 3.0), "a class unknown to the model counts as wrong");
}

#[test]
fn metrics_of_no_rows_are_absent() {
    let found = metrics(&scores(1, Vec::new()), &binary(&[])).unwrap();
    assert_eq!(found.rows, 0);
    assert!(found.values.is_empty(), "{:?}", found.values);
    assert!(metrics(&scores(1, Vec::new()), &numbers(&[])).unwrap().values.is_empty());
}
