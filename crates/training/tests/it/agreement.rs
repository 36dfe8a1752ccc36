//! The ONNX files answer as the trainers do, on rows that training has not seen.

use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, Trained, train};
use serde_json::{Map, Value, json};

use crate::data::{self, Rows, distance};
use crate::{evaluator, python};

/// How far answers may be apart; relative for numbers above 1.
const APART_MAX: f64 = 1e-5;

fn params(kind: Kind) -> Map<String, Value> {
    let params = match kind {
        Kind::Gbdt => {
            json!({ "trees": 60, "learning_rate": 0.1, "subsample": 0.8, "columns": 0.9 })
        }
        Kind::Linear => json!({}),
    };
    params.as_object().cloned().unwrap_or_default()
}

fn trained(kind: Kind, target: impl Fn(&Rows) -> Target, task: TaskKind) -> Trained {
    let rows = data::rows(4_000, 1, false);
    train(kind, &rows.frame, &target(&rows), task, &params(kind)).expect("training succeeds")
}

#[track_caller]
fn agrees(kind: Kind, target: impl Fn(&Rows) -> Target, task: TaskKind) {
    let trained = trained(kind, target, task);
    for (seed, unseen) in [(1, false), (2, false), (3, true)] {
        let frame = data::rows(3_000, seed, unseen).frame;
        let expected = trained.predict(&frame).expect("the trainer predicts");
        assert!(expected.values.iter().all(|value| value.is_finite()));
        let apart = distance(&expected, &evaluator::scores(&trained, &frame));
        assert!(
            apart <= APART_MAX,
            "the evaluator is {apart} away on rows {seed}"
        );
        let apart = distance(&expected, &python::onnxruntime(&trained.onnx, &frame));
        assert!(
            apart <= APART_MAX,
            "ONNX Runtime is {apart} away on rows {seed}"
        );
    }
}

#[test]
fn gbdt_binary_agrees() {
    agrees(Kind::Gbdt, Rows::binary, TaskKind::Binary);
}

#[test]
fn gbdt_multiclass_agrees() {
    agrees(Kind::Gbdt, Rows::classes, TaskKind::Multiclass);
}

#[test]
fn gbdt_regression_agrees() {
    agrees(Kind::Gbdt, Rows::numbers, TaskKind::Regression);
}

#[test]
fn linear_binary_agrees() {
    agrees(Kind::Linear, Rows::binary, TaskKind::Binary);
}

#[test]
fn linear_multiclass_agrees() {
    agrees(Kind::Linear, Rows::classes, TaskKind::Multiclass);
}

#[test]
fn linear_regression_agrees() {
    agrees(Kind::Linear, Rows::numbers, TaskKind::Regression);
}
