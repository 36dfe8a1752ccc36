//! Start of a worker, and calls of one that runs. Run with `cargo bench -p perennial-worker`.
//!
//! Medians on two cores of a virtual machine (Linux 6.18, root), with the probe, a small binary: a start with its end takes
//! 1.7 ms, a call without bytes 14 µs, with 1,000 bytes each way 14 µs, with a megabyte each way 0.21 ms.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use perennial_worker::{Message, Worker, WorkerSpec};

const DEADLINE: Duration = Duration::from_mins(1);

fn main() {
    divan::main();
}

fn start() -> Worker {
    let program = env!("CARGO_BIN_EXE_perennial-worker-probe").into();
    Worker::start(Arc::new(WorkerSpec { program, ..WorkerSpec::new("probe") })).unwrap()
}

#[divan::bench]
fn start_of_a_worker(bencher: Bencher<'_, '_>) {
    bencher.bench_local(start);
}

#[divan::bench(args = [0, 1_000, 1_000_000])]
fn call_and_answer_of_bytes(bencher: Bencher<'_, '_>, bytes: usize) {
    let mut worker = start();
    let message = Message::new(&["echo"]).unwrap().with_payload(vec![1; bytes]);
    bencher.bench_local(|| worker.call(&message, DEADLINE).unwrap());
}
