//! The evaluator compared with ONNX Runtime, in one process and on one thread.
//!
//! Run with `cargo xtask bench evaluator`, or with `cargo bench -p perennial-onnx` and
//! `PERENNIAL_TEST_PYTHON` set to a Python with the test packages. The models are exported in
//! the sizes of `docs/benchmarks/evaluator.md`, unless `PERENNIAL_BENCH_MODELS` names a folder
//! that contains them.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use ort::session::{Session, SessionInputValue};
use ort::value::Tensor as OrtTensor;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{Input, InputKind, Predictor};
use perennial_core::port::model::SignatureHint;
use perennial_core::task::TaskKind;
use perennial_onnx::{Model, OnnxPredictor, infer_signature};
use serde_json::Value;

/// Export name and description of each model, in the order of the table.
const MODELS: [(&str, &str); 7] = [
    ("lightgbm", "LightGBM, 500 trees of 31 leaves"),
    ("lightgbm_categories", "the same with categories"),
    ("xgboost", "XGBoost, 300 trees of depth 6"),
    ("random_forest", "random forest, 100 deep trees"),
    ("hist_gradient_boosting", "HistGradientBoosting, 300 trees"),
    ("logistic_pipeline", "imputer, scaler, one-hot, logistic"),
    ("mlp", "network 32-16"),
];

/// Number of rounds in which the engines alternate; the medians are reported.
const ROUNDS: usize = 40;
/// Number of single-row calls of a round, each timed on its own.
const SINGLES: usize = 250;
/// Minimum duration of a round of batches, in milliseconds, as the processor's clock is coarse.
const BATCHES_MS: f64 = 40.0;

type Boxed<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Boxed<()> {
    let folder = models()?;
    let library = library()?;
    let environment = ort::init_from(&library)?.with_name("bench").build()?;
    println!(
        "| model | 1 row: ONNX Runtime | Perennial | times faster | 1,000 rows, per row: ONNX Runtime | Perennial | times faster |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, title) in MODELS {
        let bytes = std::fs::read(folder.join(format!("{name}.onnx")))?;
        let record: Value = serde_json::from_slice(&std::fs::read(folder.join(format!("{name}.json")))?)?;
        let columns = columns(&record);
        let model = Model::from_bytes(&bytes)?;
        let feature = |name: &String| Input { name: name.clone(), kind: InputKind::Number, time: None };
        let features = columns.iter().map(|(name, _)| feature(name)).collect();
        let hint = SignatureHint { features, ..SignatureHint::new(TaskKind::Binary) };
        let predictor = OnnxPredictor::new(&model, infer_signature(&model, &hint)?)?;
        let mut session = Session::builder(&environment)?.with_intra_threads(1)?.commit_from_memory(&bytes)?;
        let single = race(&predictor, &mut session, &record, &columns, 1)?;
        let batch = race(&predictor, &mut session, &record, &columns, 1_000)?;
        println!(
            "| {title} | {:.1} µs | {:.2} µs | {:.1} | {:.2} µs | {:.2} µs | {:.1} |",
            single.0,
            single.1,
            single.0 / single.1,
            batch.0,
            batch.1,
            batch.0 / batch.1
        );
    }
    Ok(())
}

fn models() -> Boxed<PathBuf> {
    if let Some(folder) = std::env::var_os("PERENNIAL_BENCH_MODELS") {
        return Ok(folder.into());
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench-models");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export_models.py");
    let done = Command::new(python()?).arg(script).arg(&folder).arg("large").status()?;
    if done.success() { Ok(folder) } else { Err("the models could not be exported".into()) }
}

fn python() -> Boxed<String> {
    Ok(std::env::var("PERENNIAL_TEST_PYTHON")
        .map_err(|_| "PERENNIAL_TEST_PYTHON is not set: run `cargo xtask bench`")?)
}

/// The library of the Python package, or the one named by `ORT_DYLIB_PATH`.
fn library() -> Boxed<PathBuf> {
    if let Some(path) = std::env::var_os("ORT_DYLIB_PATH") {
        return Ok(path.into());
    }
    let find = "import glob, os, onnxruntime; \
        print(glob.glob(os.path.join(os.path.dirname(onnxruntime.__file__), 'capi', 'libonnxruntime.so*'))[0])";
    let output = Command::new(python()?).args(["-c", find]).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

/// The recorded inputs as named columns; a single wide input becomes columns named by their index.
fn columns(record: &Value) -> Vec<(String, Column)> {
    let Some(inputs) = record["inputs"].as_object() else { return Vec::new() };
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let mut columns = Vec::new();
    for (name, input) in inputs {
        let Some(values) = input["values"].as_array() else { continue };
        let width = input["shape"][1].as_u64().unwrap_or(1) as usize;
        if input["type"] == "text" {
            columns.push((name.clone(), Column::Text(TextColumn::encode(values.iter().map(Value::as_str)))));
            continue;
        }
        for at in 0..width {
            let name = if width == 1 { name.clone() } else { at.to_string() };
            columns.push((name, Column::Number(values.iter().skip(at).step_by(width).map(number).collect())));
        }
    }
    columns
}

fn frame(columns: &[(String, Column)], rows: std::ops::Range<usize>) -> Frame {
    let rows: Vec<usize> = rows.collect();
    let mut frame = Frame::new();
    for (name, column) in columns {
        frame.push(name.clone(), column.take(&rows));
    }
    frame
}

/// The inputs for ONNX Runtime; building them is not measured.
fn inputs(record: &Value, rows: std::ops::Range<usize>) -> Boxed<Vec<(String, SessionInputValue<'static>)>> {
    let mut made = Vec::new();
    for (name, input) in record["inputs"].as_object().ok_or("no inputs")? {
        let width = input["shape"][1].as_u64().ok_or("no width")? as usize;
        let values = &input["values"].as_array().ok_or("no values")?[rows.start * width..rows.end * width];
        let shape = [rows.len(), width];
        let value: SessionInputValue<'static> = if input["type"] == "text" {
            let texts: Vec<String> = values.iter().map(|value| value.as_str().unwrap_or_default().to_owned()).collect();
            OrtTensor::from_string_array((shape, texts.as_slice()))?.into()
        } else {
            let numbers: Vec<f32> = values.iter().map(|value| value.as_f64().map_or(f32::NAN, |v| v as f32)).collect();
            OrtTensor::from_array((shape, numbers))?.into()
        };
        made.push((name.clone(), value));
    }
    Ok(made)
}

/// Microseconds a row of ONNX Runtime and of the evaluator, which alternate in each round.
fn race(
    predictor: &OnnxPredictor,
    session: &mut Session,
    record: &Value,
    columns: &[(String, Column)],
    rows: usize,
) -> Boxed<(f64, f64)> {
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        if rows == 1 {
            for repeat in 0..SINGLES {
                let row = (round * SINGLES + repeat) * 7 % 1_000;
                let asked = inputs(record, row..row + 1)?;
                theirs.push(wall_us(|| Ok(session.run(asked)?.len()))?);
            }
            for repeat in 0..SINGLES {
                let row = (round * SINGLES + repeat) * 7 % 1_000;
                let frame = frame(columns, row..row + 1);
                ours.push(wall_us(|| Ok(predictor.predict(&frame)?.values.len()))?);
            }
        } else {
            let asked: Vec<_> = inputs(record, 0..rows)?;
            let frame = frame(columns, 0..rows);
            let view = || asked.iter().map(|(name, value)| (name.as_str(), value.view())).collect::<Vec<_>>();
            theirs.push(batches_us(|| Ok(session.run(view())?.len()))? / rows as f64);
            ours.push(batches_us(|| Ok(predictor.predict(&frame)?.values.len()))? / rows as f64);
        }
    }
    Ok((median(theirs), median(ours)))
}

fn wall_us(work: impl FnOnce() -> Boxed<usize>) -> Boxed<f64> {
    let start = Instant::now();
    black_box(work()?);
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

/// Processor time of a call that is longer than a time slice, so that other processes do
/// not count.
fn batches_us(mut work: impl FnMut() -> Boxed<usize>) -> Boxed<f64> {
    let (start, cpu, mut calls) = (Instant::now(), cpu_us()?, 0.0);
    while calls == 0.0 || start.elapsed().as_secs_f64() * 1e3 < BATCHES_MS {
        black_box(work()?);
        calls += 1.0;
    }
    Ok((cpu_us()? - cpu) / calls)
}

/// Processor time of this thread so far, from `/proc`, in microseconds.
fn cpu_us() -> Boxed<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds: f64 = text.split(' ').next().ok_or("no time")?.parse()?;
    Ok(nanoseconds / 1e3)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
