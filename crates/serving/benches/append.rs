//! The time that logging adds to a request.

use divan::{Bencher, black_box, counter::ItemsCount};
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::RequestId;
use perennial_core::model::Scores;
use perennial_core::port::prediction::{Durability, PredictionLog, PredictionRecord, TrafficRole};
use perennial_serving::SegmentLog;

const LOG: &str = "flights/delay";

fn main() {
    divan::main();
}

/// Twelve numbers and four texts, as in the flights example.
fn inputs(rows: usize) -> Frame {
    let mut frame = Frame::new();
    for number in 0..12 {
        frame.push(format!("number_{number}"), Column::Number(vec![f64::from(number) + 0.5; rows]));
    }
    for text in ["carrier", "origin", "destination", "manufacturer"] {
        frame.push(text, Column::Text(TextColumn::encode(vec![Some("JFK"); rows])));
    }
    frame
}

#[expect(clippy::expect_used, reason = "without its folder there is nothing to measure")]
fn append(bencher: Bencher<'_, '_>, rows: usize, durability: Durability) {
    let folder = tempfile::TempDir::new().expect("a folder for the benchmark");
    let log = SegmentLog::open(folder.path()).expect("a log for the benchmark");
    let frame = inputs(rows);
    let scores = Scores { width: 1, values: vec![0.25; rows] };
    let request = RequestId::generate();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime for the benchmark");
    bencher.counter(ItemsCount::new(1_usize)).bench(|| -> perennial_core::Result<()> {
        let record = PredictionRecord {
            request,
            version: 7,
            role: TrafficRole::Champion,
            status: 200,
            wall_ms: 1,
            project_ms: 2,
            latency_us: 3,
            inputs: black_box(&frame),
            scores: Some(&scores),
        };
        let position = log.append(LOG, record)?;
        match durability {
            Durability::Batched => Ok(()),
            Durability::Synced => runtime.block_on(log.sync(LOG, position)),
        }
    });
}

#[divan::bench(args = [1, 100])]
fn batched(bencher: Bencher<'_, '_>, rows: usize) {
    append(bencher, rows, Durability::Batched);
}

#[divan::bench(threads = [1, 2], sample_count = 2000, sample_size = 20)]
fn batched_by_threads(bencher: Bencher<'_, '_>) {
    append(bencher, 1, Durability::Batched);
}

#[divan::bench(sample_count = 200, sample_size = 1)]
fn synced(bencher: Bencher<'_, '_>) {
    append(bencher, 1, Durability::Synced);
}
