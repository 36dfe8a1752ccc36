//! The test oracle: scikit-learn, SciPy and NumPy in a child process.

use std::io::Write;
use std::process::{Command, Stdio};

use perennial_core::frame::{Column, TextColumn};
use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use perennial_evaluation::Outcomes;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

/// Sends `cases` to `oracle.py` and returns its results, one a case.
pub(crate) fn run_oracle(cases: &[Value]) -> Vec<Value> {
    let python = std::env::var("PERENNIAL_TEST_PYTHON")
        .expect("PERENNIAL_TEST_PYTHON must name a Python with numpy, scipy and scikit-learn: run the tests by `cargo xtask test`");
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

/// Asserts that a number, which may be undefined, equals the oracle's within `tolerance`, relative to the larger of its size and 1.
pub(crate) fn assert_close(what: &str, ours: Option<f64>, theirs: &Value, tolerance: f64) {
    match (ours, theirs.as_f64()) {
        (None, None) => {}
        (Some(ours), Some(theirs)) => {
            assert!((ours - theirs).abs() <= tolerance * theirs.abs().max(1.0), "{what}: ours {ours}, theirs {theirs}");
        }
        _ => panic!("{what}: ours {ours:?}, theirs {theirs}"),
    }
}

pub(crate) fn random(seed: u64) -> StdRng {
    StdRng::seed_from_u64(seed)
}

pub(crate) fn scores(width: usize, values: Vec<f64>) -> Scores {
    Scores { width, values }
}

pub(crate) fn binary(outcomes: &[bool]) -> Outcomes {
    let values = outcomes.iter().map(|&yes| f64::from(u8::from(yes))).collect();
    Outcomes::from_column(&Column::Number(values), TaskKind::Binary, &[]).unwrap()
}

pub(crate) fn numbers(outcomes: &[f64]) -> Outcomes {
    Outcomes::from_column(&Column::Number(outcomes.to_vec()), TaskKind::Regression, &[]).unwrap()
}

pub(crate) fn text(values: &[&str]) -> Column {
    Column::Text(TextColumn::encode(values.iter().map(|value| Some(*value))))
}

/// Scores and outcomes of a binary model, with a shape that covers an edge case.
pub(crate) fn binary_case(seed: u64, rows: usize, shape: Shape) -> (Vec<f64>, Vec<bool>) {
    let mut random = random(seed);
    let mut score = || match shape {
        Shape::Plain | Shape::OneClass(_) => random.random::<f64>(),
        Shape::Ties => (random.random::<f64>() * 10.0).round() / 10.0,
        Shape::Constant => 0.3,
        Shape::Extremes => f64::from(u8::from(random.random_bool(0.5))),
    };
    let scores: Vec<f64> = (0..rows).map(|_| score()).collect();
    let outcome = |&score: &f64| match shape {
        Shape::OneClass(yes) => yes,
        _ => random.random_bool(0.15 + 0.7 * score),
    };
    let outcomes = scores.iter().map(outcome).collect();
    (scores, outcomes)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    Plain,
    Ties,
    Constant,
    Extremes,
    OneClass(bool),
}

pub(crate) const SHAPES: [Shape; 6] =
    [Shape::Plain, Shape::Ties, Shape::Constant, Shape::Extremes, Shape::OneClass(false), Shape::OneClass(true)];
