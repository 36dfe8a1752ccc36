//! Runs `reference.py` with the Python of the tests.

use std::path::Path;
use std::process::Command;

use perennial_core::frame::{Column, Frame};
use serde_json::{Map, Value, json};

/// Runs a script of this crate with the Python of the tests.
pub(crate) fn run(script: &str, arguments: &[&str]) {
    let python = std::env::var("PERENNIAL_TEST_PYTHON")
        .expect("`PERENNIAL_TEST_PYTHON` names the Python of the tests; run them with `cargo xtask test`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(script);
    let output = Command::new(python).arg(script).args(arguments).output().expect("the tests' Python starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The result of `reference.py` for `input`: rows of numbers.
fn run_reference(command: &str, argument: &str, input: &Value) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (input_path, output_path) = (folder.path().join("input.json"), folder.path().join("output.json"));
    std::fs::write(&input_path, input.to_string()).expect("the input is written");
    run("tests/it/reference.py", &[command, argument, &input_path.to_string_lossy(), &output_path.to_string_lossy()]);
    serde_json::from_slice(&std::fs::read(&output_path).expect("the output is read")).expect("rows of numbers")
}

/// ONNX Runtime's scores for `frame`; of a binary classifier only those of class 1.
pub(crate) fn onnxruntime(onnx: &[u8], frame: &Frame) -> Vec<Vec<f64>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let model = folder.path().join("model.onnx");
    std::fs::write(&model, onnx).expect("the model is written");
    run_reference("onnx", &model.to_string_lossy(), &columns(frame))
}

/// The scores of scikit-learn's linear model on standardised columns, trained and evaluated on `frame`.
pub(crate) fn scikit(task: &str, l2: f64, frame: &Frame, target: &[f64]) -> Vec<Vec<f64>> {
    run_reference("scikit", task, &json!({ "l2": l2, "columns": columns(frame), "target": target }))
}

/// The columns as JSON: numbers with null for missing, texts with the empty text for missing. JSON has
/// no infinity; it is written as 1e300, which becomes infinite again as a 32-bit float.
fn columns(frame: &Frame) -> Value {
    let values = |column: &Column| -> Value {
        match column {
            Column::Number(values) => values.iter().map(|&value| json!(value.clamp(-1e300, 1e300))).collect(),
            Column::Text(text) => (0..text.codes.len()).map(|row| json!(text.get(row).unwrap_or(""))).collect(),
        }
    };
    let pairs = frame.names().iter().zip(frame.columns());
    Value::Object(pairs.map(|(name, column)| (name.clone(), values(column))).collect::<Map<_, _>>())
}
