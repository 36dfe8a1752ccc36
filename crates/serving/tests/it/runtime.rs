use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{Input, InputKind, PredictError, Scores, Signature};
use perennial_core::port::model::{ModelRuntime, SignatureHint};
use perennial_core::task::TaskKind;
use perennial_serving::Runtime;
use tempfile::TempDir;

/// Models, and their predictions by ONNX Runtime in Python.
struct Models {
    folder: TempDir,
    library: PathBuf,
    expected: HashMap<String, Vec<Vec<Option<f64>>>>,
}

impl Models {
    fn create() -> Self {
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

    fn file(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.path().join(format!("{name}.onnx"))).unwrap()
    }

    fn runtime(&self) -> Runtime {
        Runtime::new(Some(self.library.clone()))
    }

    /// Asserts that the scores equal Python's, with columns in the order of `columns`.
    fn assert_scores(&self, name: &str, scores: &Scores, columns: &[usize]) {
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

fn number(name: &str) -> Input {
    Input { name: name.to_owned(), kind: InputKind::Number }
}

fn text(name: &str) -> Input {
    Input { name: name.to_owned(), kind: InputKind::Text }
}

fn signature(inputs: &[Input], task: TaskKind, classes: &[&str]) -> Signature {
    Signature { inputs: inputs.to_vec(), task, classes: classes.iter().map(|&class| class.to_owned()).collect() }
}

fn frame() -> Frame {
    let mut frame = Frame::new();
    frame.push("flight_id", Column::Number(vec![1.0, 2.0, 3.0]));
    frame.push("b", Column::Number(vec![-1.25, 0.0, 2.0]));
    frame.push("x", Column::Number(vec![0.5, f64::NAN, 2.0]));
    frame.push("c", Column::Number(vec![3.0, 1.0, -2.0]));
    frame.push("carrier", Column::Text(TextColumn::encode([Some("UA"), Some("AA"), None])));
    frame.push("count", Column::Number(vec![10.0, 20.0, 30.0]));
    frame
}

#[test]
fn onnx_runtime_predicts_with_a_model_of_any_operators() {
    let models = Models::create();
    let inputs = [number("x"), number("b"), number("c")];
    let signature = signature(&inputs, TaskKind::Multiclass, &["0", "1", "2"]);
    let predictor = models.runtime().load(&models.file("matrix"), &signature).unwrap();
    assert_eq!(predictor.signature(), &signature);
    models.assert_scores("matrix", &predictor.predict(&frame()).unwrap(), &[0, 1, 2]);
}

#[test]
fn mapped_classes_come_in_the_order_of_the_signature() {
    let models = Models::create();
    let inputs = [number("x"), number("b"), number("c")];
    let predictor = models
        .runtime()
        .load(&models.file("zipmap"), &signature(&inputs, TaskKind::Multiclass, &["low", "high", "mid"]))
        .unwrap();
    // The maps come sorted by name: high, low, mid.
    models.assert_scores("zipmap", &predictor.predict(&frame()).unwrap(), &[1, 0, 2]);
}

#[test]
fn columns_are_bound_to_inputs_by_name_and_kind() {
    let models = Models::create();
    let inputs = [text("carrier"), number("count"), number("x")];
    let predictor =
        models.runtime().load(&models.file("named"), &signature(&inputs, TaskKind::Regression, &[])).unwrap();
    models.assert_scores("named", &predictor.predict(&frame()).unwrap(), &[0]);
}

#[test]
fn the_second_of_two_probabilities_is_the_score() {
    let models = Models::create();
    let inputs = [number("x"), number("b")];
    let predictor = models.runtime().load(&models.file("binary"), &signature(&inputs, TaskKind::Binary, &[])).unwrap();
    models.assert_scores("binary", &predictor.predict(&frame()).unwrap(), &[1]);
}

#[test]
fn a_classical_model_needs_no_library() {
    let models = Models::create();
    let signature = signature(&[number("x")], TaskKind::Regression, &[]);
    let predictor = Runtime::default().load(&models.file("classical"), &signature).unwrap();
    models.assert_scores("classical", &predictor.predict(&frame()).unwrap(), &[0]);
}

#[test]
fn without_a_library_the_error_names_the_operator_and_the_remedy() {
    let models = Models::create();
    let signature = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    for library in [None, Some("/nowhere/libonnxruntime.so".into())] {
        let is_missing = library.is_none();
        let error = Runtime::new(library).load(&models.file("binary"), &signature).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Model);
        let expected = if is_missing { "Erf" } else { "`/nowhere/libonnxruntime.so`" };
        assert!(error.message().contains(expected), "{error}");
        assert!(error.hint().unwrap().contains("ORT_DYLIB_PATH"));
    }
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    for bytes in [&b""[..], b"import torch", &[0xff; 64]] {
        let error = Runtime::default().load(bytes, &signature(&[], TaskKind::Binary, &[])).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Model);
        assert!(error.hint().is_some());
    }
}

#[test]
fn a_signature_that_does_not_match_is_refused_with_the_column() {
    let models = Models::create();
    let cases = [
        ("named", vec![text("carrier"), number("count")], "`x`"),
        ("named", vec![number("carrier"), number("count"), number("x")], "`carrier`"),
        ("matrix", vec![number("x"), number("b")], "3 columns, the signature 2"),
        ("matrix", vec![number("x"), number("b"), text("carrier")], "`carrier`"),
    ];
    for (name, inputs, expected) in cases {
        let signature = signature(&inputs, TaskKind::Regression, &[]);
        let error = models.runtime().load(&models.file(name), &signature).err().unwrap();
        assert!(error.message().contains(expected), "{error}");
    }
}

#[test]
fn values_of_a_wrong_kind_are_refused_with_the_column() {
    let models = Models::create();
    let inputs = [text("carrier"), number("count"), number("x")];
    let predictor =
        models.runtime().load(&models.file("named"), &signature(&inputs, TaskKind::Regression, &[])).unwrap();
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
        match predictor.predict(&wrong) {
            Err(PredictError::Input(message)) => assert_eq!(message, expected),
            other => panic!("{other:?}"),
        }
    }
    let missing = with("x", Column::Text(TextColumn::encode([None; 3])));
    assert!(predictor.predict(&missing).unwrap().values.iter().all(|score| score.is_nan()), "missing is NaN");
}

#[test]
fn the_signature_is_inferred_from_the_file() {
    let models = Models::create();
    let features = [number("a"), number("b"), number("c")];
    let hint = |task| SignatureHint { task, features: &features, classes: &[] };
    let runtime = models.runtime();
    let named = runtime.signature(&models.file("named"), hint(TaskKind::Regression)).unwrap();
    assert_eq!(named, signature(&[number("x"), text("carrier"), number("count")], TaskKind::Regression, &[]));
    let classes = ["low".to_owned(), "mid".to_owned(), "high".to_owned()];
    let hint = SignatureHint { task: TaskKind::Multiclass, features: &features, classes: &classes };
    let matrix = runtime.signature(&models.file("matrix"), hint).unwrap();
    assert_eq!(matrix, signature(&features, TaskKind::Multiclass, &["low", "mid", "high"]));
}

#[test]
fn many_threads_predict_with_one_model() {
    let models = Models::create();
    let inputs = [number("x"), number("b")];
    let predictor = models.runtime().load(&models.file("binary"), &signature(&inputs, TaskKind::Binary, &[])).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    models.assert_scores("binary", &predictor.predict(&frame()).unwrap(), &[1]);
                }
            });
        }
    });
}
