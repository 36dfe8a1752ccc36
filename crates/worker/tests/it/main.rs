//! Workers and programs as real processes: calls, ends, isolation, pools.

#![cfg(test)]

mod calls;
mod ends;
mod isolation;
mod pool;
mod programs;
mod server_network;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perennial_worker::{Message, Result, Worker, WorkerSpec};

/// The binary of the workers.
const PROBE: &str = env!("CARGO_BIN_EXE_perennial-worker-probe");

/// Time for a call that ends by itself.
const LONG: Duration = Duration::from_mins(1);

fn spec() -> WorkerSpec {
    WorkerSpec { program: PathBuf::from(PROBE), ..WorkerSpec::new("probe") }
}

fn start(spec: WorkerSpec) -> Worker {
    Worker::start(Arc::new(spec)).unwrap()
}

fn words(words: &[&str]) -> Message {
    Message::new(&words).unwrap()
}

/// Calls a worker with words.
fn call(worker: &mut Worker, call: &[&str]) -> Result<Message> {
    worker.call(&words(call), LONG)
}

/// What a worker does as foreign code: its output, or its error.
fn act(worker: &mut Worker, call: &[&str]) -> Result<String, String> {
    self::call(worker, call).unwrap().control().unwrap()
}

/// Asserts that a worker is denied something.
fn denied(worker: &mut Worker, call: &[&str]) {
    let error = act(worker, call).unwrap_err();
    assert!(error.contains("Permission denied") || error.contains("Operation not permitted"), "{call:?}: {error}");
}

/// Whether a process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Waits until `condition` holds; panics after a minute.
fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "waited a minute until {what}");
        std::thread::yield_now();
    }
}
