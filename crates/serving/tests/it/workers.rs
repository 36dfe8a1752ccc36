//! Models that end their workers, and what others notice of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame};
use perennial_core::model::{PredictError, Signature};
use perennial_core::port::model::{LoadedModel, ModelRuntime};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{GraphBuilder, attribute};
use perennial_onnx::proto::{DataType, TensorProto};
use perennial_serving::{WorkerLimits, WorkerOptions};
use perennial_worker::Requirement;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
use tempfile::TempDir;

use crate::runtime::{Models, files, number, signature};

/// How long a test waits for a process.
const WAIT_MAX: Duration = Duration::from_secs(60);

fn regression() -> Signature {
    signature(&[number("x")], TaskKind::Regression, &[])
}

fn rows(count: usize) -> Frame {
    let mut frame = Frame::new();
    frame.push("x", Column::Number(vec![1.0; count]));
    frame
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: vec![values.len() as i64],
        data_type: Some(DataType::Int64 as i32),
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn scalar(name: &str, kind: DataType, value: i64) -> TensorProto {
    let mut tensor = TensorProto { data_type: Some(kind as i32), ..integers(name, &[value]) };
    tensor.dims.clear();
    if kind == DataType::Bool {
        (tensor.int32_data, tensor.int64_data) = (vec![value as i32], Vec::new());
    }
    tensor
}

/// `erf(x)` after a loop of 2^60 turns.
fn endless(folder: &Path) {
    let mut body = GraphBuilder::new("body");
    body.input("turn", DataType::Int64, &[]);
    body.input("continues", DataType::Bool, &[]);
    body.input("value", DataType::Float, &[-1, 1]);
    body.node("Identity", "", &["continues"], &["still"], vec![]);
    body.node("Erf", "", &["value"], &["next"], vec![]);
    body.output("still", DataType::Bool, &[]);
    body.output("next", DataType::Float, &[-1, 1]);
    let mut graph = GraphBuilder::new("endless");
    graph.input_number("x");
    graph.initializer(scalar("turns", DataType::Int64, 1 << 60));
    graph.initializer(scalar("true", DataType::Bool, 1));
    graph.node("Loop", "", &["turns", "true", "x"], &["y"], vec![attribute::graph("body", body)]);
    graph.output("y", DataType::Float, &[-1, 1]);
    write(folder, "endless.onnx", graph);
}

/// `erf(x)` after it was repeated to some hundred gigabytes while it is computed.
fn exploding(folder: &Path) {
    let mut graph = GraphBuilder::new("exploding");
    graph.input_number("x");
    graph.initializer(integers("repeats", &[1, 1 << 36]));
    graph.initializer(integers("axis", &[1]));
    let erf = graph.apply("Erf", "", &["x"], vec![]);
    let wide = graph.apply("Tile", "", &[&erf, "repeats"], vec![]);
    let sum = graph.apply("ReduceSum", "", &[&wide, "axis"], vec![]);
    graph.output(&sum, DataType::Float, &[-1, 1]);
    write(folder, "exploding.onnx", graph);
}

/// A model of 64 MiB, which takes some time to load.
fn large(folder: &Path) {
    let width = 4_096;
    let weights = |name: &str, dims: [i64; 2]| TensorProto {
        name: Some(name.to_owned()),
        dims: dims.to_vec(),
        data_type: Some(DataType::Float as i32),
        raw_data: Some(vec![0; (dims[0] * dims[1] * 4) as usize].into()),
        ..TensorProto::default()
    };
    let mut graph = GraphBuilder::new("large");
    graph.input_number("x");
    graph.initializer(weights("first", [1, width]));
    graph.initializer(weights("second", [width, width]));
    let wide = graph.apply("MatMul", "", &["x", "first"], vec![]);
    let product = graph.apply("MatMul", "", &[&wide, "second"], vec![]);
    let erf = graph.apply("Erf", "", &[&product], vec![]);
    let largest = graph.apply("ReduceMax", "", &[&erf], vec![attribute::ints("axes", vec![1])]);
    graph.output(&largest, DataType::Float, &[-1, 1]);
    write(folder, "large.onnx", graph);
}

fn write(folder: &Path, name: &str, graph: GraphBuilder) {
    std::fs::write(folder.join(name), graph.finish(17, 3)).unwrap();
}

async fn load(models: &Models, folder: &Path, name: &str, limits: WorkerLimits) -> Arc<dyn LoadedModel> {
    models.runtime_with(limits).load(files(folder, name), &regression()).await.unwrap()
}

async fn refusal(model: &dyn LoadedModel) -> String {
    match model.predict(&rows(1)).await {
        Err(PredictError::Runtime(error)) => error.message().to_owned(),
        Err(PredictError::Model(message)) => message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_model_that_never_ends_is_stopped_at_its_deadline() {
    let (models, folder) = (Models::create(), TempDir::new().unwrap());
    endless(folder.path());
    let limits = WorkerLimits { run: Duration::from_millis(300), ..WorkerLimits::default() };
    let model = load(&models, folder.path(), "endless.onnx", limits).await;
    let PredictError::Runtime(error) = model.predict(&rows(1)).await.err().unwrap() else { panic!("it was stopped") };
    assert_eq!(error.code(), ErrorCode::Timeout);
    assert!(error.message().contains("took longer than 0.3 s and was stopped"), "{error}");
    let message = refusal(&*model).await;
    assert!(message.contains("was stopped"), "a new worker has begun and was stopped, too: {message}");
    let message = refusal(&*model).await;
    assert!(message.contains("a worker starts again in 1 s"), "{message}");
    let fault = model.fault().unwrap();
    assert!(fault.starts_with("2 workers have ended one after the other: "), "{fault}");
}

#[tokio::test]
async fn a_model_that_takes_all_memory_ends_its_worker_alone() {
    let (models, folder) = (Models::create(), TempDir::new().unwrap());
    exploding(folder.path());
    let model = load(&models, folder.path(), "exploding.onnx", WorkerLimits::default()).await;
    // ONNX Runtime reports an allocation that fails.
    refusal(&*model).await;
    let other = load(&models, models.folder(), "classical.onnx", WorkerLimits::default()).await;
    assert!(other.predict(&rows(1)).await.is_ok());
}

#[tokio::test]
async fn predictions_of_a_hanging_model_can_be_interrupted() {
    let (models, folder) = (Models::create(), TempDir::new().unwrap());
    endless(folder.path());
    let model = load(&models, folder.path(), "endless.onnx", WorkerLimits::default()).await;
    let begun = Instant::now();
    let predictions = (0..8).map(|_| refusal(&*model));
    let interrupt = async {
        let computing = async {
            while !workers_of_this_process().into_iter().any(is_running) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, computing).await.expect("a worker computes");
        model.interrupt();
    };
    let (messages, ()) = futures::future::join(futures::future::join_all(predictions), interrupt).await;
    assert!(begun.elapsed() < WorkerLimits::default().wait, "{:?}", begun.elapsed());
    for message in messages {
        assert!(message.contains("interrupted") || message.contains("was stopped"), "{message}");
    }
}

#[tokio::test]
async fn a_worker_that_was_killed_is_replaced() {
    let models = Models::create();
    let inputs = [number("x"), number("b")];
    let signature = signature(&inputs, TaskKind::Binary, &[]);
    let model = models.runtime().load(models.files("binary"), &signature).await.unwrap();
    for _ in 0..3 {
        let workers = workers_of_this_process();
        assert!(!workers.is_empty());
        workers.into_iter().for_each(kill);
        models.assert_scores("binary", &model.predict(&crate::runtime::frame()).await.unwrap(), &[1]);
    }
}

#[tokio::test]
async fn a_prediction_whose_workers_are_killed_may_be_retried() {
    let (models, folder) = (Models::create(), TempDir::new().unwrap());
    endless(folder.path());
    let model = load(&models, folder.path(), "endless.onnx", WorkerLimits::default()).await;
    // The rows of the first worker that dies are given to a second one.
    let kill_all = async {
        loop {
            tokio::task::yield_now().await;
            workers_of_this_process().into_iter().filter(|worker| is_running(*worker)).for_each(kill);
        }
    };
    let rows = rows(1);
    let error = tokio::select! {
        answer = model.predict(&rows) => answer.err().unwrap(),
        () = kill_all => unreachable!("it has no end"),
    };
    let PredictError::Runtime(error) = error else { panic!("{error}") };
    assert_eq!((error.code(), error.hint()), (ErrorCode::NotReady, Some("try again")), "{error}");
    assert_eq!(error.message(), "the `model` worker died by signal 9");
}

/// The fields of `/proc/…/stat` after the name: state, parent, ….
fn stat(process: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    Some(stat.rsplit_once(") ")?.1.split(' ').map(str::to_owned).collect())
}

/// The process ids of this process's workers.
fn workers_of_this_process() -> Vec<u32> {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let is_worker = |process: &u32| stat(*process).is_some_and(|fields| fields[1] == own && fields[0] != "Z");
    processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_worker).collect()
}

fn is_running(process: u32) -> bool {
    stat(process).is_some_and(|fields| fields[0] == "R")
}

/// Kills a process and waits until it is gone.
fn kill(process: u32) {
    let done = std::process::Command::new("kill").args(["-9", &process.to_string()]).status().unwrap();
    assert!(done.success());
    let begun = Instant::now();
    while stat(process).is_some_and(|fields| fields[0] != "Z") {
        assert!(begun.elapsed() < WAIT_MAX, "process {process} is still there");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn onnx_runtime_is_not_loaded_into_this_process() {
    let models = Models::create();
    let signature = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    let model = models.runtime().load(models.files("binary"), &signature).await.unwrap();
    model.predict(&crate::runtime::frame()).await.unwrap();
    let mapped = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(!mapped.contains("libonnxruntime"));
}

/// Makes the kernel one without Landlock for this test's process, of which each test has its own.
fn deny_landlock() {
    let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, Vec::new())]);
    let denied = SeccompAction::Errno(libc::ENOSYS as u32);
    let processor = TargetArch::try_from(std::env::consts::ARCH).unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, denied, processor).unwrap();
    seccompiler::apply_filter_all_threads(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[tokio::test]
async fn without_landlock_a_model_is_loaded_only_where_that_is_permitted() {
    let models = Models::create();
    deny_landlock();
    let signature = signature(&[number("x"), number("b")], TaskKind::Binary, &[]);
    let load = async |requirement| {
        let options = WorkerOptions { requirement, ..WorkerOptions::default() };
        models.runtime_of(options).load(models.files("binary"), &signature).await
    };
    let error = load(Requirement::Isolated).await.err().unwrap();
    assert_eq!(error.code(), ErrorCode::NotReady);
    assert!(error.message().contains("the kernel has no Landlock"), "{error}");
    assert!(error.hint().unwrap().contains("--allow-unisolated-steps"), "{error:?}");
    let model = load(Requirement::Possible).await.unwrap();
    models.assert_scores("binary", &model.predict(&crate::runtime::frame()).await.unwrap(), &[1]);
}

#[tokio::test]
async fn a_model_whose_worker_died_twice_while_it_loaded_is_refused_with_the_cause() {
    let (models, folder) = (Models::create(), TempDir::new().unwrap());
    large(folder.path());
    let limits = WorkerLimits { load: Duration::ZERO, ..WorkerLimits::default() };
    let runtime = models.runtime_with(limits);
    let load = async || runtime.load(files(folder.path(), "large.onnx"), &regression()).await.err().unwrap();
    for _ in 0..2 {
        let error = load().await;
        assert!(error.message().starts_with("loading the model failed: the `model` worker took longer"), "{error}");
    }
    let error = load().await;
    assert_eq!(error.code(), ErrorCode::Model);
    assert!(error.message().starts_with("loading the model has failed 2 times: the `model` worker took"), "{error}");
}
