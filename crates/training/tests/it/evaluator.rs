//! Predictions of the built-in evaluator.

use perennial_core::frame::Frame;
use perennial_core::model::Predictor;
use perennial_onnx::{Model, OnnxPredictor};
use perennial_training::Trained;

/// The scores of the built-in evaluator for `frame`.
pub(crate) fn scores(trained: &Trained, frame: &Frame) -> Vec<Vec<f64>> {
    let model = Model::from_bytes(&trained.onnx).expect("the evaluator reads the model");
    let predictor = OnnxPredictor::new(&model, trained.signature.clone()).expect("the signature fits the model");
    let scores = predictor.predict(frame).expect("the evaluator answers");
    (0..scores.rows()).map(|row| scores.row(row).to_vec()).collect()
}
