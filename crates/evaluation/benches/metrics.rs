//! Evaluation of 30,000 rows: three models, forty slices, leakage. Run with `cargo bench -p perennial-evaluation`.

#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use divan::Bencher;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use perennial_core::task::TaskKind;
use perennial_evaluation::{Outcomes, evaluate, leaks, metrics, plot};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const ROWS: usize = 30_000;

fn main() {
    divan::main();
}

struct Sample {
    models: Vec<Scores>,
    outcomes: Outcomes,
    frame: Frame,
}

/// A binary task with two text columns of 3 and 37 values, like origin and carrier of flights.
fn binary(rows: usize) -> Sample {
    let mut random = StdRng::seed_from_u64(1);
    let truth: Vec<f64> = (0..rows).map(|_| random.random()).collect();
    let outcomes = truth.iter().map(|&truth| f64::from(u8::from(random.random_bool(truth)))).collect();
    let models = (0..3)
        .map(|_| Scores {
            width: 1,
            values: truth.iter().map(|truth| f64::midpoint(*truth, random.random())).collect(),
        })
        .collect();
    let mut frame = Frame::new();
    for (name, values) in [("origin", 3), ("carrier", 37)] {
        let words: Vec<String> = (0..rows)
            .map(|_| format!("{name} {}", (random.random::<f64>().powi(2) * f64::from(values)) as u32))
            .collect();
        frame.push(name, Column::Text(TextColumn::encode(words.iter().map(|word| Some(word.as_str())))));
    }
    Sample { models, outcomes: Outcomes::from_column(&Column::Number(outcomes), TaskKind::Binary, &[]).unwrap(), frame }
}

#[divan::bench]
fn binary_metrics(bencher: Bencher<'_, '_>) {
    let sample = binary(ROWS);
    bencher.bench_local(|| metrics(&sample.models[0], &sample.outcomes));
}

#[divan::bench]
fn binary_metrics_of_three_models_over_forty_slices(bencher: Bencher<'_, '_>) {
    let sample = binary(ROWS);
    bencher.bench_local(|| {
        let each = sample
            .models
            .iter()
            .map(|scores| evaluate(scores, &sample.outcomes, &sample.frame, &["origin", "carrier"]));
        each.map(|evaluation| evaluation.unwrap().slices.len()).sum::<usize>()
    });
}

#[divan::bench]
fn plots_of_three_models(bencher: Bencher<'_, '_>) {
    let sample = binary(ROWS);
    let models: Vec<(&str, &Scores)> = ["train", "simple", "champion"].into_iter().zip(&sample.models).collect();
    bencher.bench_local(|| plot::plots(&models, &sample.outcomes));
}

#[divan::bench]
fn multiclass_metrics_of_five_classes(bencher: Bencher<'_, '_>) {
    let mut random = StdRng::seed_from_u64(2);
    let classes: Vec<String> = (0..5).map(|class| class.to_string()).collect();
    let target = (0..ROWS).map(|_| f64::from(random.random_range(0..5))).collect();
    let outcomes = Outcomes::from_column(&Column::Number(target), TaskKind::Multiclass, &classes).unwrap();
    let scores = Scores { width: 5, values: (0..ROWS * 5).map(|_| random.random::<f64>() / 5.0).collect() };
    bencher.bench_local(|| metrics(&scores, &outcomes));
}

#[divan::bench]
fn leak_check_of_19_columns_of_150_000_rows(bencher: Bencher<'_, '_>) {
    const ROWS: usize = 150_000;
    let sample = binary(ROWS);
    let mut random = StdRng::seed_from_u64(3);
    let mut frame = sample.frame;
    for place in 0..17 {
        frame.push(format!("number {place}"), Column::Number((0..ROWS).map(|_| random.random()).collect()));
    }
    bencher.bench_local(|| leaks(&frame, &sample.outcomes));
}
