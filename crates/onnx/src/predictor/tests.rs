use std::sync::Arc;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, PredictError, Predictor, Signature};
use perennial_core::port::model::SignatureHint;
use perennial_core::task::TaskKind;

use super::*;
use crate::build::{Classes, GraphBuilder, PostTransform, attribute};
use crate::proto::{DataType, TensorProto};

fn input(name: &str, kind: InputKind) -> Input {
    Input { name: name.to_owned(), kind, time: None }
}

/// The hint of a multiclass model with one input for columns of these names.
fn multiclass(features: &[&str]) -> SignatureHint {
    let features = features.iter().map(|name| input(name, InputKind::Number)).collect();
    SignatureHint { features, ..SignatureHint::new(TaskKind::Multiclass) }
}

/// One input for each column: score = 2 * x + (1 for AA, 10 for UA, 100 for other texts, 1000 for missing).
fn named() -> Model {
    let mut graph = GraphBuilder::new("named");
    graph.input_number("x");
    graph.input_text("carrier");
    let code = graph.label_encoder("carrier", &["AA", "UA", ""], &[1.0, 10.0, 1000.0], 100.0);
    let both = graph.concat(&["x", &code]);
    let score = graph.linear_regressor(&both, &[2.0, 1.0], 0.0);
    graph.output(&score, DataType::Float, &[-1, 1]);
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

/// A single input for all columns: three classes with scores a, b and a + b.
fn wide(classes: &[&str]) -> Model {
    let mut graph = GraphBuilder::new("wide");
    graph.input("input", DataType::Float, &[-1, 2]);
    let classes = Classes::Texts(classes.iter().map(|&class| class.to_owned()).collect());
    let coefficients = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let (label, scores) = graph.linear_classifier("input", &coefficients, &[0.0; 3], &classes, PostTransform::None);
    graph.output(&label, DataType::String, &[-1]);
    graph.output(&scores, DataType::Float, &[-1, 3]);
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

fn frame(x: Column, carrier: Column) -> Frame {
    let mut frame = Frame::new();
    // In another order than the signature, and with an additional column.
    frame.push("carrier", carrier);
    frame.push("other", Column::Number(vec![0.0; x.len()]));
    frame.push("x", x);
    frame
}

fn numbers(values: &[f64]) -> Column {
    Column::Number(values.to_vec())
}

fn texts(values: &[Option<&str>]) -> Column {
    Column::Text(TextColumn::encode(values.iter().copied()))
}

fn regression() -> OnnxPredictor {
    let model = named();
    let signature = infer_signature(&model, &SignatureHint::new(TaskKind::Regression)).unwrap();
    assert_eq!(signature.inputs, [input("x", InputKind::Number), input("carrier", InputKind::Text)]);
    OnnxPredictor::new(&model, signature).unwrap()
}

#[test]
fn columns_reach_the_model_by_name() {
    let frame = frame(numbers(&[1.0, 2.0, 3.0, 4.0]), texts(&[Some("AA"), Some("UA"), Some("ZZ"), None]));
    let scores = regression().predict(&frame).unwrap();
    assert_eq!(scores.values, [3.0, 14.0, 106.0, 1008.0]);
}

#[test]
fn a_column_without_values_is_accepted_as_either_type() {
    let frame = frame(texts(&[None, None]), numbers(&[f64::NAN, f64::NAN]));
    let scores = regression().predict(&frame).unwrap();
    assert!(scores.values.iter().all(|score| score.is_nan()));
}

#[test]
fn invalid_columns_are_named() {
    let predictor = regression();
    let message = |frame: &Frame| match predictor.predict(frame).unwrap_err() {
        PredictError::Input(message) => message,
        other => panic!("{other}"),
    };
    assert_eq!(message(&frame(texts(&[Some("far")]), texts(&[None]))), "column `x` has a value that is not a number");
    assert_eq!(message(&frame(numbers(&[1.0]), numbers(&[2.0]))), "column `carrier` has a value that is not text");
    let mut partial = Frame::new();
    partial.push("x", numbers(&[1.0]));
    assert_eq!(message(&partial), "column `carrier` is missing");
}

#[test]
fn scores_are_in_the_order_of_the_signature() {
    let model = wide(&["late", "early", "never"]);
    let inputs = vec![input("a", InputKind::Number), input("b", InputKind::Number)];
    let classes = vec!["early".to_owned(), "late".to_owned(), "never".to_owned()];
    let signature = Signature { inputs, task: TaskKind::Multiclass, classes, class_kind: ClassKind::Text };
    let predictor = OnnxPredictor::new(&model, signature).unwrap();
    let mut frame = Frame::new();
    frame.push("b", numbers(&[10.0, 20.0]));
    frame.push("a", numbers(&[1.0, 2.0]));
    let scores = predictor.predict(&frame).unwrap();
    assert_eq!((scores.row(0), scores.row(1)), (&[10.0, 1.0, 11.0][..], &[20.0, 2.0, 22.0][..]));
}

#[test]
fn classes_missing_in_the_model_are_refused() {
    let model = wide(&["x", "y", "z"]);
    let mut signature = infer_signature(&model, &multiclass(&["a", "b"])).unwrap();
    assert_eq!(signature.classes, ["x", "y", "z"]);
    signature.classes[1] = "w".to_owned();
    let message = OnnxPredictor::new(&model, signature).unwrap_err().to_string();
    assert_eq!(message, r#"the model has no class `w`, only ["x", "y", "z"]"#);
}

#[test]
fn signatures_that_do_not_match_the_model_are_refused() {
    let refused = |model: &Model, inputs: Vec<Input>| {
        let signature = Signature { inputs, task: TaskKind::Regression, classes: vec![], class_kind: ClassKind::Text };
        OnnxPredictor::new(model, signature).unwrap_err().to_string()
    };
    let (number, text) = (InputKind::Number, InputKind::Text);
    assert_eq!(
        refused(&named(), vec![input("x", number), input("airline", text)]),
        "the model has the input `carrier`, which is missing in the signature"
    );
    assert_eq!(
        refused(&named(), vec![input("x", number), input("carrier", number)]),
        "the model's input `carrier` is BYTES, in the signature it is a number"
    );
    let model = wide(&["x", "y", "z"]);
    assert_eq!(refused(&model, vec![input("a", number)]), "the model's input `input` has 2 columns, the signature 1");
    assert_eq!(
        refused(&model, vec![input("a", number), input("b", text)]),
        "the model takes all columns in one input of FP32, but `b` is text"
    );
}

#[test]
fn the_probability_of_the_positive_class_is_the_second_column() {
    let mut graph = GraphBuilder::new("binary");
    graph.input_number("x");
    let classes = Classes::Numbers(vec![0, 1]);
    let (label, scores) = graph.linear_classifier("x", &[1.0], &[0.0], &classes, PostTransform::Logistic);
    graph.output(&label, DataType::Int64, &[-1]);
    graph.output(&scores, DataType::Float, &[-1, 2]);
    let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
    let signature = infer_signature(&model, &SignatureHint::new(TaskKind::Binary)).unwrap();
    let mut frame = Frame::new();
    frame.push("x", numbers(&[0.0, 4.0]));
    let scores = OnnxPredictor::new(&model, signature).unwrap().predict(&frame).unwrap();
    assert_eq!(scores.values[0], 0.5);
    assert!((scores.values[1] - 1.0 / (1.0 + (-4.0_f64).exp())).abs() < 1e-7);
}

/// A binary model of `x` whose second class has the probability `sigmoid(x)`.
fn binary(classes: &Classes) -> Model {
    let mut graph = GraphBuilder::new("binary");
    graph.input_number("x");
    let (label, scores) = graph.linear_classifier("x", &[1.0], &[0.0], classes, PostTransform::Logistic);
    let kind = if matches!(classes, Classes::Numbers(_)) { DataType::Int64 } else { DataType::String };
    graph.output(&label, kind, &[-1]);
    graph.output(&scores, DataType::Float, &[-1, 2]);
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

#[test]
fn the_class_that_is_named_like_the_outcome_1_is_the_positive_one() {
    let predict = |classes: Classes| {
        let model = binary(&classes);
        let signature = infer_signature(&model, &SignatureHint::new(TaskKind::Binary)).unwrap();
        let mut frame = Frame::new();
        frame.push("x", numbers(&[4.0]));
        OnnxPredictor::new(&model, signature).map(|predictor| predictor.predict(&frame).unwrap().values[0])
    };
    let texts = |first: &str, second: &str| Classes::Texts(vec![first.to_owned(), second.to_owned()]);
    for second_is_positive in [Classes::Numbers(vec![-1, 1]), texts("False", "True"), texts("0", "1")] {
        assert!(predict(second_is_positive.clone()).unwrap() > 0.9, "{second_is_positive:?}");
    }
    for first_is_positive in [Classes::Numbers(vec![1, 0]), texts("yes", "no"), texts("1", "-1")] {
        assert!(predict(first_is_positive.clone()).unwrap() < 0.1, "{first_is_positive:?}");
    }
    for (unknown, named) in [(texts("bad", "good"), "`bad` and `good`"), (Classes::Numbers(vec![1, 2]), "`1` and `2`")]
    {
        let message = predict(unknown).unwrap_err().to_string();
        assert_eq!(
            message,
            format!("the model names its classes {named}, expected 0 and 1, the outcomes of a binary task")
        );
    }
}

#[test]
fn inferred_classes_are_in_natural_order_and_scores_follow() {
    let classes = ["10", "2", "1"];
    let model = wide(&classes);
    let hint = SignatureHint { are_outcomes_numbers: true, ..multiclass(&["a", "b"]) };
    let signature = infer_signature(&model, &hint).unwrap();
    assert_eq!(
        (&signature.classes[..], signature.class_kind),
        (&["1", "2", "10"].map(String::from)[..], ClassKind::Integer)
    );
    let mut frame = Frame::new();
    frame.push("a", numbers(&[1.0]));
    frame.push("b", numbers(&[10.0]));
    let recorded = Signature { classes: classes.map(String::from).to_vec(), ..signature.clone() };
    let predict = |signature| OnnxPredictor::new(&model, signature).unwrap().predict(&frame).unwrap().values;
    assert_eq!(predict(signature), [11.0, 10.0, 1.0]);
    assert_eq!(predict(recorded), [1.0, 10.0, 11.0], "a signature recorded in the model's order keeps it");
}

#[test]
fn large_batches_predict_as_small_ones() {
    let predictor = regression();
    let rows = PARALLEL_ROWS_MIN + CHUNK_ROWS / 2 + 3;
    let x: Vec<f64> = (0..rows).map(|row| row as f64 / 8.0).collect();
    let carrier = TextColumn { codes: vec![0; rows], values: vec![Arc::from("AA")] };
    let scores = predictor.predict(&frame(Column::Number(x), Column::Text(carrier))).unwrap();
    assert_eq!(scores.rows(), rows);
    assert!(scores.values.iter().enumerate().all(|(row, &score)| score == row as f64 / 4.0 + 1.0));
}

#[test]
fn rows_that_take_much_memory_are_evaluated_in_smaller_chunks() {
    // A row takes 2 MiB: 200 of them together would exceed the memory of an evaluation.
    let width = 1 << 19;
    let mut graph = GraphBuilder::new("wide");
    graph.input_number("x");
    graph.initializer(TensorProto {
        name: Some("ones".into()),
        dims: vec![1, width],
        data_type: Some(DataType::Float as i32),
        float_data: vec![1.0; width as usize],
        ..TensorProto::default()
    });
    let columns = graph.apply("Mul", "", &["x", "ones"], vec![]);
    let largest = graph.apply("ReduceMax", "", &[&columns], vec![attribute::ints("axes", vec![1])]);
    graph.output(&largest, DataType::Float, &[-1, 1]);
    let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
    let predictor =
        OnnxPredictor::new(&model, infer_signature(&model, &SignatureHint::new(TaskKind::Regression)).unwrap())
            .unwrap();
    let x: Vec<f64> = (0..200).map(f64::from).collect();
    let mut frame = Frame::new();
    frame.push("x", numbers(&x));
    assert_eq!(predictor.predict_heavy(&frame, &|| false).unwrap().values, x);
}

/// A model of `x` that computes a product of two matrices of `width` columns, whatever the rows.
fn heavy(width: i64) -> Model {
    let mut graph = GraphBuilder::new("heavy");
    graph.input_number("x");
    graph.initializer(TensorProto {
        name: Some("ones".into()),
        dims: vec![width, width],
        data_type: Some(DataType::Float as i32),
        float_data: vec![1.0; (width * width) as usize],
        ..TensorProto::default()
    });
    let product = graph.apply("MatMul", "", &["ones", "ones"], vec![]);
    let sum = graph.apply("ReduceMax", "", &[&product], vec![attribute::int("keepdims", 1)]);
    let score = graph.apply("Add", "", &["x", &sum], vec![]);
    graph.output(&score, DataType::Float, &[-1, 1]);
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

#[test]
fn a_prediction_that_takes_long_is_refused_on_a_thread_with_other_work() {
    let model = heavy(500);
    let signature = infer_signature(&model, &SignatureHint::new(TaskKind::Regression)).unwrap();
    let predictor = OnnxPredictor::new(&model, signature).unwrap();
    let mut frame = Frame::new();
    frame.push("x", numbers(&[2.0]));
    assert!(matches!(predictor.predict(&frame), Err(PredictError::Budget(_))));
    assert_eq!(predictor.predict_heavy(&frame, &|| false).unwrap().values, [502.0]);
}

#[test]
fn an_interruption_ends_a_prediction_before_its_next_operator() {
    let model = heavy(500);
    let signature = infer_signature(&model, &SignatureHint::new(TaskKind::Regression)).unwrap();
    let predictor = OnnxPredictor::new(&model, signature).unwrap();
    let mut frame = Frame::new();
    frame.push("x", numbers(&[2.0; 60]));
    let asked = AtomicUsize::new(0);
    let interrupted = predictor.predict_heavy(&frame, &|| asked.fetch_add(1, Ordering::Relaxed) == 2);
    let Err(PredictError::Model(message)) = interrupted else { panic!("{interrupted:?}") };
    assert!(message.ends_with("the prediction was interrupted"), "{message}");
    assert_eq!(asked.into_inner(), 3, "nothing is computed after the interruption");
}

#[test]
fn the_operations_of_all_chunks_of_a_prediction_are_limited_together() {
    let budget = Budget::new(2, 100, 10, &|| false);
    budget.charge(Usage { bytes: 0, operations: 50 });
    assert_eq!(budget.bounds().operations_max, 70);
    budget.charge(Usage { bytes: 0, operations: 80 });
    assert_eq!(budget.bounds().operations_max, 0);
}

#[test]
fn no_rows_give_no_scores() {
    let scores = regression().predict(&frame(numbers(&[]), texts(&[]))).unwrap();
    assert_eq!(scores.rows(), 0);
}

#[test]
fn unnamed_columns_need_names() {
    let message = infer_signature(&wide(&["x", "y", "z"]), &multiclass(&[])).unwrap_err().to_string();
    assert_eq!(message, "the model takes 2 unnamed columns in `input`, but 0 names are given");
}
