//! Logs predictions until it is killed; prints each request after it was appended. As a worker it computes a model.

use std::error::Error;
use std::io::Write;
use std::path::Path;

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::Scores;
use perennial_core::port::prediction::{PredictionLog, PredictionRecord, TrafficRole};
use perennial_serving::{LogLimits, MODEL_ROLE, SegmentLog};
use perennial_worker::{WORKER_ARGUMENT, worker_main};

const LOG: &str = "flights/delay";

/// Small segments, so that a kill may hit a rollover.
const LIMITS: LogLimits = LogLimits { segment_bytes: 40_000, backlog_bytes: u64::MAX };

/// Logs a request of one to eight rows: every third has a key, some are synced.
fn log_one(log: &SegmentLog, number: usize) -> Result<String, Box<dyn Error + Send + Sync>> {
    let rows = 1 + number % 8;
    let mut inputs = Frame::new();
    inputs.push("distance", Column::Number(vec![number as f64; rows]));
    inputs.push("carrier", Column::Text(TextColumn::encode(vec![Some("UA"); rows])));
    if number.is_multiple_of(3) {
        inputs.push("flight_id", Column::Number(vec![1.0; rows]));
    }
    let request = RequestId::generate();
    let scores = Scores { width: 1, values: vec![0.25; rows] };
    let record = PredictionRecord {
        request,
        version: 1,
        role: TrafficRole::Champion,
        status: 200,
        wall_ms: 1,
        project_ms: 2,
        latency_us: 3,
        inputs: &inputs,
        scores: Some(&scores),
    };
    let position = log.append(LOG, record)?;
    if number.is_multiple_of(50) {
        tokio::runtime::Builder::new_current_thread().build()?.block_on(log.sync(LOG, position))?;
    }
    Ok(format!("{request} {rows}\n"))
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let folder = std::env::args().nth(1).ok_or("expected a folder")?;
    if folder == WORKER_ARGUMENT {
        std::process::exit(worker_main(&[MODEL_ROLE]));
    }
    let log = SegmentLog::open_with(Path::new(&folder), LIMITS)?;
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let log = &log;
                scope.spawn(move || -> Result<(), Box<dyn Error + Send + Sync>> {
                    for number in (worker..).step_by(4) {
                        let line = log_one(log, number)?;
                        std::io::stdout().lock().write_all(line.as_bytes())?;
                    }
                    Ok(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker died")?)
    })
}
