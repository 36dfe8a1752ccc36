//! AUC and training time on the flights, January to May against June.
//!
//!     python crates/training/benches/flights/flights.py export flights.csv
//!     FLIGHTS_CSV=$PWD/flights.csv cargo bench -p perennial-training --bench flights
//!     python crates/training/benches/flights/flights.py lightgbm flights.csv
//!
//! One more argument is the parameters of the gbdt trainer as JSON.

#![expect(clippy::expect_used, reason = "what cannot go on ends with its reason")]

mod rows;

use std::path::PathBuf;
use std::time::Instant;

use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::{Map, Value, json};

/// Trainings of which the quickest counts.
const ROUNDS: usize = 3;

fn main() {
    let csv = std::env::var_os("FLIGHTS_CSV").map(PathBuf::from);
    let csv = csv.expect("`FLIGHTS_CSV` names the file that `flights.py export` wrote");
    let (training, test) = rows::split(&csv);
    println!(
        "{} training rows, {} test rows",
        training.late.len(),
        test.late.len()
    );
    let target = Target::Binary(training.late);
    let given = std::env::args()
        .nth(1)
        .and_then(|given| serde_json::from_str::<Value>(&given).ok());
    let settings = match given {
        Some(given) => vec![(Kind::Gbdt, given)],
        None => vec![
            (Kind::Gbdt, json!({})),
            (Kind::Gbdt, json!({ "trees": 100, "learning_rate": 0.1 })),
            (
                Kind::Gbdt,
                json!({ "trees": 200, "learning_rate": 0.05, "leaves": 63, "depth": 8 }),
            ),
            (Kind::Linear, json!({})),
        ],
    };
    for (kind, params) in settings {
        let params: Map<String, Value> = params.as_object().cloned().unwrap_or_default();
        let mut best = f64::INFINITY;
        let mut trained = None;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            trained = train(kind, &training.features, &target, TaskKind::Binary, &params).ok();
            best = best.min(started.elapsed().as_secs_f64());
        }
        let trained = trained.expect("training succeeds");
        let scores = trained
            .predict(&test.features)
            .expect("the trainer predicts")
            .values;
        println!(
            "{} {}: auc {:.4} log loss {:.4} training {best:.2} s, {} kB of ONNX",
            kind.as_str(),
            Value::Object(params),
            rows::auc(&test.late, &scores),
            log_loss(&test.late, &scores),
            trained.onnx.len() / 1000,
        );
    }
}

fn log_loss(truth: &[f64], scores: &[f64]) -> f64 {
    let of = |(&truth, &score): (&f64, &f64)| {
        if truth > 0.5 {
            -score.ln()
        } else {
            -(1.0 - score).ln()
        }
    };
    truth.iter().zip(scores).map(of).sum::<f64>() / truth.len() as f64
}
