//! Reference, summary and drift of 100,000 rows of 19 columns. Run with `cargo bench -p perennial-monitoring`.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use divan::Bencher;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::latency::LatencyHistogram;
use perennial_core::model::Scores;
use perennial_monitoring::{Reference, Summary, drift};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROWS: usize = 100_000;
const NUMBERS: usize = 14;
const TEXTS: usize = 5;

fn main() {
    divan::main();
}

/// Fourteen number columns with one value in ten missing, and five text columns of 3 to 243 values.
fn rows(seed: u64) -> (Frame, Scores) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut frame = Frame::new();
    for place in 0..NUMBERS {
        let values = (0..ROWS).map(|_| if random.random_bool(0.1) { f64::NAN } else { random.random::<f64>().ln() });
        frame.push(format!("number {place}"), Column::Number(values.collect()));
    }
    for place in 0..TEXTS {
        let most = 3_f64.powi(place as i32 + 1);
        let words: Vec<String> =
            (0..ROWS).map(|_| format!("v{}", (random.random::<f64>().powi(2) * most) as u32)).collect();
        frame.push(
            format!("text {place}"),
            Column::Text(TextColumn::encode(words.iter().map(|word| Some(word.as_str())))),
        );
    }
    (frame, Scores { width: 1, values: (0..ROWS).map(|_| random.random()).collect() })
}

#[divan::bench]
fn reference_of_100k_rows_x_19_columns(bencher: Bencher<'_, '_>) {
    let (frame, scores) = rows(1);
    bencher.bench_local(|| Reference::new(&frame, &scores, &[]));
}

#[divan::bench]
fn summary_and_drift_of_100k_rows_x_19_columns(bencher: Bencher<'_, '_>) {
    let (frame, scores) = rows(1);
    let reference = Reference::new(&frame, &scores, &[]);
    let (frame, scores) = rows(2);
    bencher.bench_local(|| {
        let mut summary = Summary::new(&reference);
        summary.add(&reference, &frame, &scores).unwrap();
        drift(&reference, &summary).unwrap()
    });
}

#[divan::bench]
fn a_month_of_30_daily_summaries(bencher: Bencher<'_, '_>) {
    let (frame, scores) = rows(1);
    let reference = Reference::new(&frame, &scores, &[]);
    let mut day = Summary::new(&reference);
    day.add(&reference, &frame, &scores).unwrap();
    bencher.bench_local(|| {
        let mut month = Summary::new(&reference);
        for _ in 0..30 {
            month.merge(&day).unwrap();
        }
        drift(&reference, &month).unwrap()
    });
}

#[divan::bench]
fn latency_of_1000_requests(bencher: Bencher<'_, '_>) {
    let mut random = StdRng::seed_from_u64(1);
    let values: Vec<f64> = (0..1000).map(|_| random.random_range(0.1..20.0)).collect();
    bencher.bench_local(|| {
        let histogram = LatencyHistogram::new();
        for &value in &values {
            histogram.record(value);
        }
        histogram.latency()
    });
}
