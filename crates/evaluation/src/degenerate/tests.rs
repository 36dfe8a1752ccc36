use perennial_core::frame::{Column, TextColumn};

use super::*;

fn binary(values: &[f64]) -> Outcomes {
    Outcomes::from_column(&Column::Number(values.to_vec()), TaskKind::Binary, &[]).unwrap()
}

fn classes(values: &[&str], known: &[&str]) -> Outcomes {
    let column = Column::Text(TextColumn::encode(values.iter().map(|&value| Some(value))));
    let known: Vec<String> = known.iter().map(|&class| class.to_owned()).collect();
    Outcomes::from_column(&column, TaskKind::Multiclass, &known).unwrap()
}

fn scores(width: usize, values: &[f64]) -> Scores {
    Scores { width, values: values.to_vec() }
}

#[test]
fn a_constant_model_is_reported() {
    let test = binary(&[0.0, 1.0, 0.0]);
    let warnings = model_warnings(&scores(1, &[0.25; 3]), &test, Some(0.5));
    assert_eq!(warnings, ["the model is constant: each test row has the score 0.2500"]);
    assert!(model_warnings(&scores(1, &[0.25, 0.25, 0.3]), &test, Some(0.5)).is_empty());
    assert!(model_warnings(&scores(1, &[0.25]), &binary(&[1.0]), None).is_empty(), "one row says nothing");
    let test = classes(&["a", "b"], &["a", "b"]);
    let warnings = model_warnings(&scores(2, &[0.25, 0.75, 0.25, 0.75]), &test, None);
    assert_eq!(warnings, ["the model is constant: each test row has the score 0.2500, 0.7500"]);
}

#[test]
fn a_model_that_is_worse_than_its_inverse_is_reported() {
    let outcomes: Vec<f64> = (0..200).map(|row| f64::from(row % 2)).collect();
    let given: Vec<f64> = (0..200).map(|row| f64::from(row) / 200.0).collect();
    let warnings = model_warnings(&scores(1, &given), &binary(&outcomes), Some(0.236));
    assert!(
        warnings[0].starts_with("the model is worse than its inverse: its AUC is 0.2360, that of its inverse 0.7640")
    );
    assert!(model_warnings(&scores(1, &given), &binary(&outcomes), Some(0.47)).is_empty(), "that is chance");
}

#[test]
fn a_test_of_one_class_is_reported() {
    let training = binary(&[0.0, 1.0]);
    assert_eq!(
        outcome_warnings(&training, &binary(&[0.0, 0.0, f64::NAN]), &training),
        ["all 2 test rows have the outcome `0`, so the test shows nothing about others"]
    );
    assert!(outcome_warnings(&training, &training, &training).is_empty());
    let numbers = Outcomes::from_column(&Column::Number(vec![1.5; 3]), TaskKind::Regression, &[]).unwrap();
    assert!(outcome_warnings(&numbers, &numbers, &numbers).is_empty());
}

#[test]
fn classes_that_neither_training_nor_test_has_are_reported() {
    let training = classes(&["a", "b"], &["a", "b"]);
    let all = classes(&["a", "b", "c", "c", "d"], &["a", "b"]);
    assert_eq!(
        outcome_warnings(&training, &classes(&["a", "d"], &["a", "b"]), &all),
        [
            "no training row has the outcome `d`, which 1 test rows have",
            "no training row has the outcome `c`, which 2 rows that are neither training nor test rows have"
        ]
    );
}

#[test]
fn classes_that_no_training_row_has_are_reported() {
    let training = classes(&["a", "b"], &["a", "b"]);
    let test = classes(&["b", "c 10", "c 9", "c 9"], &["a", "b"]);
    assert_eq!(
        outcome_warnings(&training, &test, &test),
        ["no training row has the outcome `c 9`, `c 10`, which 3 test rows have"]
    );
}
