//! The trainers behind their port keep the code and the hint of an error, and sort the importance.

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame};
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::task::TaskKind;
use perennial_core::{Error, Result};
use perennial_training::BuiltInTrainers;
use serde_json::{Value, json};

/// Rows whose second column decides the target and whose first does not.
fn rows() -> (Frame, Target) {
    let (mut frame, count) = (Frame::new(), 200);
    frame.push("noise", Column::Number((0..count).map(|row| f64::from(row % 7)).collect()));
    frame.push("cause", Column::Number((0..count).map(f64::from).collect()));
    (frame, Target::Binary((0..count).map(|row| f64::from(u8::from(row >= count / 2))).collect()))
}

fn train(kind: &str, target: Option<Target>, params: &Value) -> Result<TrainedModel> {
    let (frame, own) = rows();
    let target = target.unwrap_or(own);
    BuiltInTrainers.train(kind, TaskKind::Binary, &frame, &target, params.as_object().unwrap())
}

fn refused(result: Result<TrainedModel>) -> Error {
    result.expect_err("the training was not refused")
}

#[test]
fn an_unknown_parameter_is_an_error_of_the_project_file_with_the_likely_name() {
    let error = refused(train("gbdt", None, &json!({ "tree": 10 })));
    assert_eq!((error.code(), error.message()), (ErrorCode::ProjectFile, "trainer `gbdt` has no parameter `tree`"));
    assert_eq!(error.hint(), Some("did you mean `trees`?"));
}

#[test]
fn a_target_with_one_value_fails_the_step_and_the_hint_names_the_rows_to_check() {
    let constant = Target::Binary(vec![1.0; 200]);
    let error = refused(train("linear", Some(constant), &json!({})));
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.hint().unwrap().contains("`[task] target`"), "{:?}", error.hint());
}

#[test]
fn an_unknown_trainer_is_not_found() {
    let error = refused(train("forest", None, &json!({})));
    let message = "built-in trainer `forest` does not exist";
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, message));
}

#[test]
fn the_importance_is_sorted_greatest_first() {
    let trained = train("gbdt", None, &json!({ "trees": 5 })).unwrap();
    assert_eq!(trained.importance[0].0, "cause");
    assert!(trained.importance.is_sorted_by(|a, b| a.1 >= b.1), "{:?}", trained.importance);
    assert_eq!(trained.params["trees"], 5);
}

#[test]
fn a_constant_model_is_reported() {
    let (_, target) = rows();
    let mut frame = Frame::new();
    frame.push("fixed", Column::Number(vec![1.0; 200]));
    for kind in ["gbdt", "linear"] {
        let params = json!({}).as_object().cloned().unwrap();
        let trained = BuiltInTrainers.train(kind, TaskKind::Binary, &frame, &target, &params).unwrap();
        assert!(trained.warnings[0].starts_with("the model is constant"), "{:?}", trained.warnings);
    }
    assert!(train("gbdt", None, &json!({ "trees": 5 })).unwrap().warnings.is_empty());
}
