//! The trainers on real data: flights that left New York in 2013.

use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::Map;

use crate::data::max_distance;
use crate::evaluator;
use crate::python;

#[path = "../../benches/training/rows.rs"]
pub(crate) mod rows;

/// The AUC of LightGBM with its defaults on June (docs/benchmarks/training.md), minus 0.01.
const GBDT_AUC_MIN: f64 = 0.742;
/// The approximate AUC of scikit-learn's logistic regression on one-hot columns.
const LINEAR_AUC_MIN: f64 = 0.70;

#[test]
fn january_to_may_predict_june_and_onnx_runtime_agrees_on_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("flights.csv");
    python::run("benches/training/flights.py", &["export", &csv.to_string_lossy()]);
    let (training, test) = rows::split(&csv);
    let target = Target::Binary(training.late.clone());
    for (kind, least) in [(Kind::Gbdt, GBDT_AUC_MIN), (Kind::Linear, LINEAR_AUC_MIN)] {
        let trained = train(kind, &training.features, &target, TaskKind::Binary, &Map::new()).unwrap();
        let scores = trained.predict(&test.features).unwrap();
        let reached = rows::auc(&test.late, &scores.values);
        assert!(reached >= least, "{} reaches {reached}", kind.as_str());
        let distance = max_distance(&scores, &python::onnxruntime(&trained.onnx, &test.features));
        assert!(distance <= 1e-5, "ONNX Runtime is {distance} away from {}", kind.as_str());
        let distance = max_distance(&scores, &evaluator::scores(&trained, &test.features));
        assert!(distance <= 1e-5, "the evaluator is {distance} away from {}", kind.as_str());
    }
}
