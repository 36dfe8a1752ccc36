//! Invalid rows, targets and parameters are refused with a message that names the cause.

use perennial_core::frame::{Column, Frame};
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::{Map, Value, json};

fn frame(values: &[f64]) -> Frame {
    let mut frame = Frame::new();
    frame.push("temperature", Column::Number(values.to_vec()));
    frame
}

#[track_caller]
fn refused(frame: &Frame, target: Target, task: TaskKind, params: Value, message: &str, hint: &str) {
    for &kind in Kind::ALL {
        let empty = Map::new();
        let error = train(kind, frame, &target, task, params.as_object().unwrap_or(&empty)).err().expect("a refusal");
        let error = perennial_core::Error::from(error);
        assert_eq!(error.message(), message);
        assert_eq!(error.hint().unwrap_or_default(), hint);
    }
}

#[test]
fn no_rows_is_refused() {
    refused(
        &frame(&[]),
        Target::Numbers(vec![]),
        TaskKind::Regression,
        json!({}),
        "there are no training rows",
        "check the labelled rows before the test window, which `[task] target`, `time` and `test` define",
    );
}

#[test]
fn no_features_is_refused() {
    refused(
        &Frame::new(),
        Target::Numbers(vec![]),
        TaskKind::Regression,
        json!({}),
        "there are no features",
        "keep at least one column of `[task] data` besides key, time, target and `ignore`",
    );
}

#[test]
fn a_target_of_one_class_is_refused() {
    refused(
        &frame(&[1.0, 2.0]),
        Target::Binary(vec![1.0, 1.0]),
        TaskKind::Binary,
        json!({}),
        "the target is 1 in every row, expected at least two different values",
        "check the labelled rows before the test window, which `[task] target`, `time` and `test` define",
    );
    refused(
        &frame(&[1.0, 2.0]),
        Target::Classes { codes: vec![1, 1], classes: vec!["red".to_owned(), "blue".to_owned()] },
        TaskKind::Multiclass,
        json!({}),
        "the target is `blue` in every row, expected at least two different values",
        "check the labelled rows before the test window, which `[task] target`, `time` and `test` define",
    );
}

#[test]
fn a_constant_numeric_target_is_refused() {
    refused(
        &frame(&[1.0, 2.0]),
        Target::Numbers(vec![0.5, 0.5]),
        TaskKind::Regression,
        json!({}),
        "the target is 0.5 in every row, expected at least two different values",
        "check the labelled rows before the test window, which `[task] target`, `time` and `test` define",
    );
}

#[test]
fn a_missing_outcome_is_refused() {
    refused(
        &frame(&[1.0, 2.0]),
        Target::Numbers(vec![0.5, f64::NAN]),
        TaskKind::Regression,
        json!({}),
        "the target is NaN at row 1, expected a finite 32-bit number",
        "correct the target in the step that produces it",
    );
}

#[test]
fn an_outcome_that_is_neither_0_nor_1_is_refused() {
    refused(
        &frame(&[1.0, 2.0, 3.0]),
        Target::Binary(vec![0.0, 1.0, 2.0]),
        TaskKind::Binary,
        json!({}),
        "the target is 2 at row 2, expected 0 or 1",
        "correct the target in the step that produces it",
    );
}

#[test]
fn a_target_of_another_length_is_refused() {
    refused(
        &frame(&[1.0, 2.0, 3.0]),
        Target::Binary(vec![0.0, 1.0]),
        TaskKind::Binary,
        json!({}),
        "the target has 2 values for 3 rows",
        "correct the target in the step that produces it",
    );
}

#[test]
fn a_target_of_another_kind_is_refused() {
    refused(
        &frame(&[1.0, 2.0]),
        Target::Numbers(vec![0.0, 1.0]),
        TaskKind::Binary,
        json!({}),
        "the target has numbers, expected 0 and 1 for a binary task",
        "set `[task] kind` to match the target",
    );
}

#[test]
fn an_infinite_value_is_refused() {
    refused(
        &frame(&[1.0, f64::INFINITY]),
        Target::Binary(vec![0.0, 1.0]),
        TaskKind::Binary,
        json!({}),
        "feature `temperature` is inf at row 1, expected a finite 32-bit number or missing",
        "replace it by null in the step that produces the feature, or list the column in `ignore`",
    );
}

#[test]
fn a_value_beyond_the_32_bit_range_is_refused() {
    refused(
        &frame(&[1.0, -1e39]),
        Target::Binary(vec![0.0, 1.0]),
        TaskKind::Binary,
        json!({}),
        "feature `temperature` is -1000000000000000000000000000000000000000 at row 1, expected a finite 32-bit number or missing",
        "replace it by null in the step that produces the feature, or list the column in `ignore`",
    );
}

#[test]
fn a_parameter_out_of_range_is_refused() {
    refused(
        &frame(&[1.0, 2.0]),
        Target::Binary(vec![0.0, 1.0]),
        TaskKind::Binary,
        json!({ "l2": -1 }),
        "parameter `l2` is -1, expected a number from 0 to 1000000000",
        "change it in `params` of the step",
    );
}
