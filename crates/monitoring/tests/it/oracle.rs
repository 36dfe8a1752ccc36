//! The test oracle: SciPy and NumPy in a child process.

use std::io::Write;
use std::process::{Command, Stdio};

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use perennial_monitoring::{Reference, Summary};
use serde_json::Value;

/// Sends `cases` to `oracle.py` and returns its results, one a case.
pub(crate) fn run_oracle(cases: &[Value]) -> Vec<Value> {
    let python = std::env::var("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with numpy and scipy: run the tests by `cargo xtask test`");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/oracle.py");
    let mut child = Command::new(&python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("PERENNIAL_TEST_PYTHON `{python}` does not start: {error}"));
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(cases).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "`{python} {script}` failed, see above");
    let answers: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answers.len(), cases.len());
    answers
}

/// A frame of one column called `feature`.
pub(crate) fn frame(column: Column) -> Frame {
    let mut frame = Frame::new();
    frame.push("feature", column);
    frame
}

pub(crate) fn number(values: &[f64]) -> Frame {
    frame(Column::Number(values.to_vec()))
}

pub(crate) fn text(values: &[Option<&str>]) -> Frame {
    frame(Column::Text(TextColumn::encode(values.iter().copied())))
}

pub(crate) fn scores(values: &[f64]) -> Scores {
    Scores { width: 1, values: values.to_vec() }
}

/// The reference of one feature, without scores.
pub(crate) fn reference(feature: &Frame) -> Reference {
    Reference::new(feature, &scores(&[]), &[])
}

/// The summary of one feature, without scores.
pub(crate) fn summary(reference: &Reference, feature: &Frame) -> Summary {
    let mut summary = Summary::new(reference);
    summary.add(reference, feature, &scores(&[])).unwrap();
    summary
}
