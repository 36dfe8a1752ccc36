//! Predictions of trainer, evaluator and ONNX Runtime agree, also on rows outside the training set.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, Trained, train};
use serde_json::{Map, Value, json};

use crate::data::{self, Rows, max_distance};
use crate::{evaluator, python};

/// Maximum difference of predictions; relative for values above 1.
const DISTANCE_MAX: f64 = 1e-5;

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
fn assert_agreement(kind: Kind, target: impl Fn(&Rows) -> Target, task: TaskKind) {
    let trained = trained(kind, target, task);
    for (seed, unseen) in [(1, false), (2, false), (3, true)] {
        let frame = data::rows(3_000, seed, unseen).frame;
        let expected = trained.predict(&frame).expect("the trainer predicts");
        assert!(expected.values.iter().all(|value| value.is_finite()));
        let distance = max_distance(&expected, &evaluator::scores(&trained, &frame));
        assert!(distance <= DISTANCE_MAX, "the evaluator is {distance} away on rows {seed}");
        let distance = max_distance(&expected, &python::onnxruntime(&trained.onnx, &frame));
        assert!(distance <= DISTANCE_MAX, "ONNX Runtime is {distance} away on rows {seed}");
    }
}

#[test]
fn gbdt_binary_agrees() {
    assert_agreement(Kind::Gbdt, Rows::binary, TaskKind::Binary);
}

#[test]
fn gbdt_multiclass_agrees() {
    assert_agreement(Kind::Gbdt, Rows::classes, TaskKind::Multiclass);
}

#[test]
fn gbdt_regression_agrees() {
    assert_agreement(Kind::Gbdt, Rows::numbers, TaskKind::Regression);
}

#[test]
fn linear_binary_agrees() {
    assert_agreement(Kind::Linear, Rows::binary, TaskKind::Binary);
}

#[test]
fn linear_multiclass_agrees() {
    assert_agreement(Kind::Linear, Rows::classes, TaskKind::Multiclass);
}

#[test]
fn linear_regression_agrees() {
    assert_agreement(Kind::Linear, Rows::numbers, TaskKind::Regression);
}

#[test]
fn gbdt_agrees_on_infinite_numbers() {
    let trained = trained(Kind::Gbdt, Rows::binary, TaskKind::Binary);
    let rows = data::rows(200, 9, false).frame;
    let mut frame = rows.select(&["hour", "gust", "time", "fixed", "never", "carrier", "tail", "mood"]);
    let ends = [f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e300];
    frame.push("x", Column::Number((0..200).map(|row| ends[row % 4]).collect()));
    let expected = trained.predict(&frame).unwrap();
    assert!(max_distance(&expected, &evaluator::scores(&trained, &frame)) <= DISTANCE_MAX);
    assert!(max_distance(&expected, &python::onnxruntime(&trained.onnx, &frame)) <= DISTANCE_MAX);
}

#[test]
fn without_informative_features_the_prediction_is_the_base_rate() {
    let mut frame = Frame::new();
    frame.push("never", Column::Number(vec![f64::NAN; 100]));
    frame.push("fixed", Column::Number(vec![7.0; 100]));
    frame.push("silent", Column::Text(TextColumn::encode(vec![None; 100])));
    let target = Target::Binary((0..100).map(|row| f64::from(u8::from(row < 30))).collect());
    for &kind in Kind::ALL {
        let trained = train(kind, &frame, &target, TaskKind::Binary, &Map::new()).unwrap();
        let expected = trained.predict(&frame).unwrap();
        assert!(expected.values.iter().all(|score| (score - 0.3).abs() < 1e-3), "{:?}", expected.values[0]);
        assert!(trained.importance.iter().all(|(_, share)| *share == 0.0), "{:?}", trained.importance);
        assert!(max_distance(&expected, &evaluator::scores(&trained, &frame)) <= DISTANCE_MAX);
        assert!(max_distance(&expected, &python::onnxruntime(&trained.onnx, &frame)) <= DISTANCE_MAX);
    }
}
