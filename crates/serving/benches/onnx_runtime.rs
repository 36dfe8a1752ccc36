//! Predictions by ONNX Runtime. Run with `ORT_DYLIB_PATH=… cargo bench -p perennial-serving --bench onnx_runtime`.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::sync::Arc;

use divan::Bencher;
use perennial_core::blob::BlobDigest;
use perennial_core::frame::{Column, Frame};
use perennial_core::model::classes::ClassKind;
use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::port::model::{LoadedModel, ModelFiles, ModelRuntime};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{GraphBuilder, attribute};
use perennial_onnx::proto::DataType;
use perennial_serving::{Runtime, WorkerOptions, find_library};

const COLUMNS: usize = 12;

fn main() {
    divan::main();
}

/// A small model with an operator that the evaluator does not have.
fn load(runtime: &tokio::runtime::Runtime, folder: &std::path::Path) -> Arc<dyn LoadedModel> {
    let mut graph = GraphBuilder::new("erf");
    graph.input("x", DataType::Float, &[-1, COLUMNS as i64]);
    let erf = graph.apply("Erf", "", &["x"], vec![]);
    let sum = graph.apply("ReduceSum", "", &[&erf], vec![attribute::int("keepdims", 1)]);
    graph.output(&sum, DataType::Float, &[1, 1]);
    std::fs::write(folder.join("model.onnx"), graph.finish(17, 3)).unwrap();
    let files = ModelFiles {
        digest: BlobDigest::of(b""),
        folder: folder.to_owned(),
        onnx: "model.onnx".parse().unwrap(),
        lease: Arc::new(()),
    };
    let inputs = (0..COLUMNS).map(|at| Input { name: format!("x{at}"), kind: InputKind::Number, time: None }).collect();
    let signature = Signature { inputs, task: TaskKind::Regression, classes: Vec::new(), class_kind: ClassKind::Text };
    let program = env!("CARGO_BIN_EXE_perennial-serving-probe").into();
    let models = Runtime::with_workers(find_library(), WorkerOptions { program, ..WorkerOptions::default() });
    runtime.block_on(models.load(files, &signature)).unwrap()
}

#[divan::bench(args = [1])]
fn rows(bencher: Bencher<'_, '_>, rows: usize) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::TempDir::new().unwrap();
    let model = load(&runtime, folder.path());
    let mut frame = Frame::new();
    for at in 0..COLUMNS {
        frame.push(format!("x{at}"), Column::Number(vec![at as f64; rows]));
    }
    bencher.bench_local(|| runtime.block_on(model.predict(&frame)).unwrap());
}
