use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, PredictError, Scores, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime, SignatureHint};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{GraphBuilder, attribute};
use perennial_onnx::proto::{DataType, StringStringEntryProto, TensorProto};
use perennial_serving::{Runtime, WorkerLimits, WorkerOptions};
use tempfile::TempDir;

/// Models, and their predictions by ONNX Runtime in Python.
pub(crate) struct Models {
    folder: TempDir,
    library: PathBuf,
    expected: HashMap<String, Vec<Vec<Option<f64>>>>,
}

impl Models {
    pub(crate) fn create() -> Self {
        let python = std::env::var_os("PERENNIAL_TEST_PYTHON").expect(
            "PERENNIAL_TEST_PYTHON must name a Python with onnx and onnxruntime: run the tests by `cargo xtask test`",
        );
        let folder = TempDir::new().unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/models.py");
        let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        Self {
            folder,
            library: made["library"].as_str().unwrap().into(),
            expected: serde_json::from_value(made["expected"].clone()).unwrap(),
        }
    }

    pub(crate) fn files(&self, name: &str) -> ModelFiles {
        files(self.folder.path(), &format!("{name}.onnx"))
    }

    pub(crate) fn runtime(&self) -> Runtime {
        self.runtime_with(WorkerLimits::default())
    }

    pub(crate) fn runtime_with(&self, limits: WorkerLimits) -> Runtime {
        self.runtime_of(WorkerOptions { limits, ..WorkerOptions::default() })
    }

    /// A runtime whose workers are the probe.
    pub(crate) fn runtime_of(&self, workers: WorkerOptions) -> Runtime {
        let program = env!("CARGO_BIN_EXE_perennial-serving-probe").into();
        Runtime::with_workers(Some(self.library.clone()), WorkerOptions { program, ..workers })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Asserts that the scores equal Python's, with columns in the order of `columns`.
    pub(crate) fn assert_scores(&self, name: &str, scores: &Scores, columns: &[usize]) {
        for (row, expected) in self.expected[name].iter().enumerate() {
            for (&column, &got) in columns.iter().zip(scores.row(row)) {
                match expected[column] {
                    Some(expected) => assert!((got - expected).abs() < 1e-6, "{name} row {row}: {got} for {expected}"),
                    None => assert!(got.is_nan(), "{name} row {row}: {got} for NaN"),
                }
            }
        }
        assert_eq!((scores.rows(), scores.width), (3, columns.len()));
    }
}

/// The model of a file in `folder`.
pub(crate) fn files(folder: &Path, name: &str) -> ModelFiles {
    let digest = BlobDigest::of(&std::fs::read(folder.join(name)).unwrap());
    ModelFiles { digest, folder: folder.to_owned(), onnx: name.parse().unwrap(), lease: Arc::new(()) }
}

pub(crate) fn number(name: &str) -> Input {
    Input { name: name.to_owned(), kind: InputKind::Number, time: None }
}

pub(crate) fn text(name: &str) -> Input {
    Input { name: name.to_owned(), kind: InputKind::Text, time: None }
}

pub(crate) fn signature(inputs: &[Input], task: TaskKind, classes: &[&str]) -> Signature {
    let classes = classes.iter().map(|&class| class.to_owned()).collect();
    Signature { inputs: inputs.to_vec(), task, classes, class_kind: ClassKind::Text }
}

pub(crate) fn frame() -> Frame {
    let mut frame = Frame::new();
    frame.push("flight_id", Column::Number(vec![1.0, 2.0, 3.0]));
    frame.push("b", Column::Number(vec![-1.25, 0.0, 2.0]));
    frame.push("x", Column::Number(vec![0.5, f64::NAN, 2.0]));
    frame.push("c", Column::Number(vec![3.0, 1.0, -2.0]));
    frame.push("carrier", Column::Text(TextColumn::encode([Some("UA"), Some("AA"), None])));
    frame.push("count", Column::Number(vec![10.0, 20.0, 30.0]));
    frame
}

#[tokio::test]
async fn onnx_runtime_predicts_with_a_model_of_any_operators() {
    let models = Models::create();
    let inputs = [number("x"), number("b"), number("c")];
    let signature = signature(&inputs, TaskKind::Multiclass, &["0", "1", "2"]);
    let predictor = models.runtime().load(models.files("matrix"), &signature).await.unwrap();
    assert_eq!(**predictor.signature(), signature);
    models.assert_scores("matrix", &predictor.predict(&frame()).await.unwrap(), &[0, 1, 2]);
}

#[tokio::test]
async fn mapped_classes_come_in_the_order_of_the_signature() {
    let models = Models::create();
    let inputs = [number("x"), number("b"), number("c")];
    let predictor = models
        .runtime()
        .load(models.files("zipmap"), &signature(&inputs, TaskKind::Multiclass, &["low", "high", "mid"]))
        .await
        .unwrap();
    // The maps come sorted by name: high, low, mid.
    models.assert_scores("zipmap", &predictor.predict(&frame()).await.unwrap(), &[1, 0, 2]);
}

#[tokio::test]
async fn columns_are_bound_to_inputs_by_name_and_kind() {
    let models = Models::create();
    let inputs = [text("carrier"), number("count"), number("x")];
    let predictor =
        models.runtime().load(models.files("named"), &signature(&inputs, TaskKind::Regression, &[])).await.unwrap();
    models.assert_scores("named", &predictor.predict(&frame()).await.unwrap(), &[0]);
}

#[tokio::test]
async fn the_second_of_two_probabilities_is_the_score() {
    let models = Models::create();
    let inputs = [number("x"), number("b")];
    let predictor =
        models.runtime().load(models.files("binary"), &signature(&inputs, TaskKind::Binary, &[])).await.unwrap();
    models.assert_scores("binary", &predictor.predict(&frame()).await.unwrap(), &[1]);
}

#[tokio::test]
async fn the_score_is_the_probability_of_the_class_that_is_named_like_the_outcome_1() {
    let models = Models::create();
    let signature = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    let load = async |name: &str| models.runtime().load(models.files(name), &signature).await;
    // Python's maps are sorted: 0, 1.
    models.assert_scores("flipped", &load("flipped").await.unwrap().predict(&frame()).await.unwrap(), &[1]);
    let error = load("unnamed").await.err().unwrap();
    assert_eq!(
        error.message(),
        "the model names its classes `bad` and `good`, expected 0 and 1, the outcomes of a binary task"
    );
    assert!(error.hint().unwrap().contains("y == \"good\""), "{:?}", error.hint());
}

#[tokio::test]
async fn classes_that_only_onnx_runtime_computes_are_named_in_natural_order() {
    let models = Models::create();
    let hint = SignatureHint {
        features: vec![number("x"), number("b"), number("c")],
        ..SignatureHint::new(TaskKind::Multiclass)
    };
    let inferred = models.runtime().signature(models.files("zipmap"), hint).await.unwrap();
    assert_eq!(inferred.classes, ["high", "low", "mid"]);
}

#[tokio::test]
async fn a_model_that_names_another_file_never_reaches_onnx_runtime() {
    let entry = StringStringEntryProto { key: Some("location".into()), value: Some("secret".into()) };
    let tensor = TensorProto {
        name: Some("w".into()),
        dims: vec![1],
        data_type: Some(DataType::Float as i32),
        external_data: vec![entry],
        data_location: Some(1),
        ..TensorProto::default()
    };
    let mut branch = GraphBuilder::new("branch");
    branch.initializer(tensor);
    branch.output("w", DataType::Float, &[1]);
    let mut graph = GraphBuilder::new("g");
    graph.input("x", DataType::Float, &[-1, 1]);
    graph.node("Erf", "", &["x"], &["e"], vec![]);
    graph.node("If", "", &["e"], &["y"], vec![attribute::graph("then_branch", branch)]);
    graph.output("y", DataType::Float, &[1]);
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("model.onnx"), graph.finish(17, 3)).unwrap();
    let models = Models::create();
    let signature = signature(&[number("x")], TaskKind::Regression, &[]);
    let error = models.runtime().load(files(folder.path(), "model.onnx"), &signature).await.err().unwrap();
    assert_eq!(
        error.message(),
        "invalid ONNX model: `graph.node[1].attribute[0].g.initializer[0].external_data[0]` \
         stores its data in another file, expected a model in one file"
    );
}

#[tokio::test]
async fn a_classical_model_needs_no_library() {
    let models = Models::create();
    let signature = signature(&[number("x")], TaskKind::Regression, &[]);
    let predictor = Runtime::default().load(models.files("classical"), &signature).await.unwrap();
    models.assert_scores("classical", &predictor.predict(&frame()).await.unwrap(), &[0]);
}

#[tokio::test]
async fn without_a_library_the_error_names_the_operator_and_the_remedy() {
    let models = Models::create();
    let signature = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    for library in [None, Some("/nowhere/libonnxruntime.so".into())] {
        let is_missing = library.is_none();
        let error = Runtime::new(library).load(models.files("binary"), &signature).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::Model);
        let expected = if is_missing { "Erf" } else { "`/nowhere/libonnxruntime.so`" };
        assert!(error.message().contains(expected), "{error}");
        assert!(error.hint().unwrap().contains("ORT_DYLIB_PATH"));
    }
}

#[tokio::test]
async fn a_file_that_is_not_a_model_is_refused() {
    for bytes in [&b""[..], b"import torch", &[0xff; 64]] {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("model.onnx"), bytes).unwrap();
        let files = files(folder.path(), "model.onnx");
        let error = Runtime::default().load(files, &signature(&[], TaskKind::Binary, &[])).await.err().unwrap();
        assert_eq!(error.code(), ErrorCode::Model);
        assert!(error.hint().is_some());
    }
}

#[tokio::test]
async fn a_signature_that_does_not_match_is_refused_with_the_column() {
    let models = Models::create();
    let cases = [
        ("named", vec![text("carrier"), number("count")], "`x`"),
        ("named", vec![number("carrier"), number("count"), number("x")], "`carrier`"),
        ("matrix", vec![number("x"), number("b")], "3 columns, the signature 2"),
        ("matrix", vec![number("x"), number("b"), text("carrier")], "`carrier`"),
    ];
    for (name, inputs, expected) in cases {
        let signature = signature(&inputs, TaskKind::Regression, &[]);
        let error = models.runtime().load(models.files(name), &signature).await.err().unwrap();
        assert!(error.message().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn values_of_a_wrong_kind_are_refused_with_the_column() {
    let models = Models::create();
    let inputs = [text("carrier"), number("count"), number("x")];
    let predictor =
        models.runtime().load(models.files("named"), &signature(&inputs, TaskKind::Regression, &[])).await.unwrap();
    let with = |name: &str, column: Column| {
        let mut changed = Frame::new();
        for (old, values) in frame().names().iter().zip(frame().columns()) {
            changed.push(old.clone(), if old == name { column.clone() } else { values.clone() });
        }
        changed
    };
    let numbers = || Column::Number(vec![1.5; 3]);
    let texts = || Column::Text(TextColumn::encode([Some("a"); 3]));
    for (wrong, expected) in [
        (with("count", numbers()), "column `count` has a value that is not an integer"),
        (with("carrier", numbers()), "column `carrier` has a value that is not text"),
        (with("x", texts()), "column `x` has a value that is not a number"),
        (frame().select(&["x", "count"]), "column `carrier` is missing"),
    ] {
        match predictor.predict(&wrong).await {
            Err(PredictError::Input(message)) => assert_eq!(message, expected),
            other => panic!("{other:?}"),
        }
    }
    let missing = with("x", Column::Text(TextColumn::encode([None; 3])));
    assert!(predictor.predict(&missing).await.unwrap().values.iter().all(|score| score.is_nan()), "missing is NaN");
}

#[tokio::test]
async fn the_signature_is_inferred_from_the_file() {
    let models = Models::create();
    let features = [number("a"), number("b"), number("c")];
    let hint = |task| SignatureHint { features: features.to_vec(), ..SignatureHint::new(task) };
    let runtime = models.runtime();
    let named = runtime.signature(models.files("named"), hint(TaskKind::Regression)).await.unwrap();
    assert_eq!(named, signature(&[number("x"), text("carrier"), number("count")], TaskKind::Regression, &[]));
    let classes = ["low".to_owned(), "mid".to_owned(), "high".to_owned()];
    let hint = SignatureHint { classes: classes.to_vec(), ..hint(TaskKind::Multiclass) };
    let matrix = runtime.signature(models.files("matrix"), hint).await.unwrap();
    assert_eq!(matrix, signature(&features, TaskKind::Multiclass, &["low", "mid", "high"]));
}

#[tokio::test]
async fn many_tasks_predict_with_one_model() {
    let models = Models::create();
    let inputs = [number("x"), number("b")];
    let signature = signature(&inputs, TaskKind::Binary, &[]);
    let model = models.runtime().load(models.files("binary"), &signature).await.unwrap();
    let tasks = (0..8).map(|_| async {
        for _ in 0..50 {
            models.assert_scores("binary", &model.predict(&frame()).await.unwrap(), &[1]);
        }
    });
    futures::future::join_all(tasks).await;
}

#[tokio::test]
async fn only_the_evaluator_computes_on_the_calling_thread() {
    let models = Models::create();
    let classical = signature(&[number("x")], TaskKind::Regression, &[]);
    let model = Runtime::default().load(models.files("classical"), &classical).await.unwrap();
    models.assert_scores("classical", &model.in_process().unwrap().predict(&frame()).unwrap(), &[0]);
    models.assert_scores("classical", &model.predict(&frame()).await.unwrap(), &[0]);
    let binary = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    let model = models.runtime().load(models.files("binary"), &binary).await.unwrap();
    assert!(model.in_process().is_none(), "a session may be in use");
}

/// A model of the evaluator that adds 500 to `x`, by many operations for each row.
async fn heavy() -> Arc<dyn LoadedModel> {
    let (width, folder) = (500, TempDir::new().unwrap());
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
    let largest = graph.apply("ReduceMax", "", &[&product], vec![attribute::int("keepdims", 1)]);
    let score = graph.apply("Add", "", &["x", &largest], vec![]);
    graph.output(&score, DataType::Float, &[-1, 1]);
    std::fs::write(folder.path().join("heavy.onnx"), graph.finish(17, 3)).unwrap();
    let signature = signature(&[number("x")], TaskKind::Regression, &[]);
    Runtime::default().load(files(folder.path(), "heavy.onnx"), &signature).await.unwrap()
}

fn twos(rows: usize) -> Frame {
    let mut frame = Frame::new();
    frame.push("x", Column::Number(vec![2.0; rows]));
    frame
}

#[tokio::test]
async fn a_prediction_of_the_evaluator_that_takes_long_leaves_the_calling_thread() {
    let (model, rows) = (heavy().await, twos(1));
    assert!(matches!(model.in_process().unwrap().predict(&rows), Err(PredictError::Budget(_))));
    assert_eq!(model.predict(&rows).await.unwrap().values, [502.0]);
    assert!(model.in_process().is_none(), "it is not tried again");
}

#[tokio::test]
async fn an_interruption_ends_heavy_predictions_that_run_and_those_that_wait() {
    let (model, rows) = (heavy().await, twos(60));
    model.predict(&twos(1)).await.unwrap();
    let mut begun: Vec<_> = (0..4).map(|_| model.predict(&rows)).collect();
    for prediction in &mut begun {
        assert!(futures::poll!(prediction).is_pending());
    }
    model.interrupt();
    for interrupted in futures::future::join_all(begun).await {
        let Err(PredictError::Model(message)) = interrupted else { panic!("{interrupted:?}") };
        assert!(message.ends_with("the prediction was interrupted"), "{message}");
    }
    assert_eq!(model.predict(&twos(1)).await.unwrap().values, [502.0], "later predictions are computed");
}

#[tokio::test]
async fn heavy_predictions_beyond_those_that_may_wait_are_refused() {
    let (model, rows) = (heavy().await, twos(60));
    model.predict(&twos(1)).await.unwrap();
    let mut begun: Vec<_> = (0..34).map(|_| model.predict(&rows)).collect();
    for prediction in &mut begun {
        assert!(futures::poll!(prediction).is_pending());
    }
    let refused = model.predict(&rows).await;
    let Err(PredictError::Runtime(error)) = refused else { panic!("{refused:?}") };
    assert_eq!(error.code(), ErrorCode::Busy);
    model.interrupt();
    futures::future::join_all(begun).await;
    assert_eq!(model.predict(&twos(1)).await.unwrap().values, [502.0]);
}

#[tokio::test]
async fn a_loaded_model_of_the_evaluator_needs_its_files_no_longer() {
    let models = Models::create();
    let lease = Arc::new(());
    let files = ModelFiles { lease: lease.clone(), ..models.files("classical") };
    let classical = signature(&[number("x")], TaskKind::Regression, &[]);
    let model = Runtime::default().load(files, &classical).await.unwrap();
    assert_eq!(Arc::strong_count(&lease), 1);
    drop(models);
    assert!(model.predict(&frame()).await.is_ok());
}
