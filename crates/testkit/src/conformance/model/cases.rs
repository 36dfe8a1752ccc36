//! The cases of the suite. Their names are the rules.

#![expect(clippy::unwrap_used, reason = "these functions are tests")]
#![expect(missing_docs, reason = "the names are the rules")]

use std::sync::Arc;

use futures::future::join_all;
use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame};
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::port::model::{LoadedModel, SignatureHint};
use perennial_core::task::TaskKind;

use super::RuntimeUnderTest;

/// The signature of the models of the suite.
fn signature() -> Signature {
    Signature {
        inputs: vec![Input { name: "x".to_owned(), kind: InputKind::Number, time: None }],
        task: TaskKind::Regression,
        classes: Vec::new(),
        class_kind: ClassKind::Text,
    }
}

fn rows(x: &[f64]) -> Frame {
    let mut frame = Frame::new();
    frame.push("x", Column::Number(x.to_vec()));
    frame
}

async fn load(test: &impl RuntimeUnderTest, offset: f32) -> Arc<dyn LoadedModel> {
    test.runtime().load(test.plus(offset), &signature()).await.unwrap()
}

pub async fn each_row_has_its_score(test: &impl RuntimeUnderTest) {
    let scores = load(test, 1.0).await.predict(&rows(&[1.0, -2.5, 40.0])).await.unwrap();
    assert_eq!(scores.values, [2.0, -1.5, 41.0]);
}

pub async fn no_rows_have_no_scores(test: &impl RuntimeUnderTest) {
    let scores = load(test, 1.0).await.predict(&rows(&[])).await.unwrap();
    assert!(scores.values.is_empty());
}

pub async fn inputs_are_found_by_name(test: &impl RuntimeUnderTest) {
    let mut frame = Frame::new();
    frame.push("w", Column::Number(vec![100.0]));
    frame.push("x", Column::Number(vec![1.0]));
    frame.push("y", Column::Number(vec![200.0]));
    assert_eq!(load(test, 1.0).await.predict(&frame).await.unwrap().values, [2.0]);
}

pub async fn models_are_loaded_side_by_side(test: &impl RuntimeUnderTest) {
    let (one, ten) = (load(test, 1.0).await, load(test, 10.0).await);
    assert_eq!(one.predict(&rows(&[0.5])).await.unwrap().values, [1.5]);
    assert_eq!(ten.predict(&rows(&[0.5])).await.unwrap().values, [10.5]);
}

pub async fn concurrent_predictions_have_their_own_scores(test: &impl RuntimeUnderTest) {
    let model = load(test, 1.0).await;
    let predictions = (0..64).map(|x| {
        let model = model.clone();
        async move { model.predict(&rows(&[f64::from(x)])).await.unwrap().values }
    });
    let expected: Vec<Vec<f64>> = (0..64).map(|x| vec![f64::from(x) + 1.0]).collect();
    assert_eq!(join_all(predictions).await, expected);
}

pub async fn a_model_in_process_computes_the_same_scores(test: &impl RuntimeUnderTest) {
    let model = load(test, 1.0).await;
    let rows = rows(&[3.0, 4.0]);
    let awaited = model.predict(&rows).await.unwrap().values;
    if let Some(predictor) = model.in_process() {
        assert_eq!(predictor.predict(&rows).unwrap().values, awaited);
    }
}

pub async fn a_model_keeps_the_files_that_it_needs(test: &impl RuntimeUnderTest) {
    let files = test.plus(1.0);
    let model = test.runtime().load(files.clone(), &signature()).await.unwrap();
    drop(files);
    assert_eq!(model.predict(&rows(&[1.0])).await.unwrap().values, [2.0]);
}

pub async fn an_interruption_does_not_change_later_predictions(test: &impl RuntimeUnderTest) {
    let model = load(test, 1.0).await;
    model.interrupt();
    assert_eq!(model.predict(&rows(&[1.0])).await.unwrap().values, [2.0]);
}

pub async fn a_model_has_the_signature_it_was_loaded_with(test: &impl RuntimeUnderTest) {
    assert_eq!(**load(test, 1.0).await.signature(), signature());
}

pub async fn an_inferred_signature_has_the_inputs_of_the_model(test: &impl RuntimeUnderTest) {
    let files = test.plus(1.0);
    let inferred = test.runtime().signature(files.clone(), SignatureHint::new(TaskKind::Regression)).await.unwrap();
    assert_eq!(inferred, signature());
    let model = test.runtime().load(files, &inferred).await.unwrap();
    assert_eq!(model.predict(&rows(&[1.0])).await.unwrap().values, [2.0]);
}

pub async fn a_file_without_a_model_is_refused(test: &impl RuntimeUnderTest) {
    let error = test.runtime().load(test.broken(), &signature()).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::Model);
    let hint = SignatureHint::new(TaskKind::Regression);
    assert_eq!(test.runtime().signature(test.broken(), hint).await.unwrap_err().code(), ErrorCode::Model);
}
