//! The linear trainer agrees with scikit-learn.

use perennial_core::frame::Frame;
use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::json;

use crate::data::{self, Rows, max_distance};
use crate::python;

#[track_caller]
fn assert_agreement(task: TaskKind, target: impl Fn(&Rows) -> Target) {
    let rows = data::rows(2_000, 5, false);
    let frame: Frame = rows.frame.select(&["x", "hour", "time"]);
    let target = target(&rows);
    let numbers: Vec<f64> = match &target {
        Target::Binary(values) | Target::Numbers(values) => values.clone(),
        Target::Classes { codes, .. } => codes.iter().map(|&code| f64::from(code)).collect(),
    };
    let params = json!({ "l2": 2.5, "tolerance": 1e-9 });
    let trained = train(Kind::Linear, &frame, &target, task, params.as_object().unwrap()).unwrap();
    let distance =
        max_distance(&trained.predict(&frame).unwrap(), &python::scikit(task.as_str(), 2.5, &frame, &numbers));
    // `time` is about 1.37e9, where adjacent 32-bit floats are 128 apart: this alone shifts scores by about 1e-4 deviations.
    assert!(distance < 2e-5, "scikit-learn is {distance} away");
}

#[test]
fn logistic_regression_agrees_with_scikit_learn() {
    assert_agreement(TaskKind::Binary, Rows::binary);
}

#[test]
fn softmax_regression_agrees_with_scikit_learn() {
    assert_agreement(TaskKind::Multiclass, |rows| match rows.classes() {
        Target::Classes { codes, classes } => Target::Classes { codes, classes: classes[..3].to_vec() },
        other => other,
    });
}

#[test]
fn ridge_regression_agrees_with_scikit_learn() {
    assert_agreement(TaskKind::Regression, Rows::numbers);
}
