//! AUC and training time on the flights, January to May against June, beside LightGBM.
//!
//! `cargo xtask bench training` runs it; one argument more is parameters of the gbdt
//! trainer as JSON, which are then measured alone.

#![expect(clippy::expect_used, reason = "what cannot go on ends with its reason")]

mod rows;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::{Map, Value, json};

/// Trainings of which the quickest counts.
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let csv = folder.path().join("flights.csv");
    python("export", &csv);
    let given = std::env::args().skip(1).find(|argument| argument.starts_with('{'));
    if let Some(given) = given {
        ours(&csv, &[(Kind::Gbdt, serde_json::from_str(&given).expect("parameters as JSON"))]);
        return;
    }
    let settings = [
        (Kind::Gbdt, json!({})),
        (Kind::Gbdt, json!({ "trees": 100, "learning_rate": 0.1 })),
        (Kind::Gbdt, json!({ "trees": 200, "learning_rate": 0.05, "depth": 6, "leaves": 63 })),
        (Kind::Linear, json!({})),
    ];
    ours(&csv, &settings);
    python("lightgbm", &csv);
}

/// Runs `flights.py`, which prints what it finds.
fn python(command: &str, csv: &Path) {
    let python = std::env::var("PERENNIAL_TEST_PYTHON")
        .expect("`PERENNIAL_TEST_PYTHON` names the Python of the tests; run this with `cargo xtask bench training`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/training/flights.py");
    let status = Command::new(python).arg(script).arg(command).arg(csv).status().expect("the tests' Python starts");
    assert!(status.success(), "`flights.py {command}` failed");
}

/// Trains with each of `settings` and prints what came of it.
fn ours(csv: &Path, settings: &[(Kind, Value)]) {
    let (training, test) = rows::split(csv);
    println!("{} training rows, {} test rows", training.late.len(), test.late.len());
    let target = Target::Binary(training.late);
    for (kind, params) in settings {
        let params: Map<String, Value> = params.as_object().cloned().unwrap_or_default();
        let (mut best, mut least) = (f64::INFINITY, f64::INFINITY);
        let mut trained = None;
        for _ in 0..ROUNDS {
            let (started, used) = (Instant::now(), cpu_seconds());
            trained = Some(train(*kind, &training.features, &target, TaskKind::Binary, &params));
            best = best.min(started.elapsed().as_secs_f64());
            least = least.min(cpu_seconds() - used);
        }
        let trained = trained.expect("a round").expect("training succeeds");
        let scores = trained.predict(&test.features).expect("the trainer predicts").values;
        println!(
            "{} {}: auc {:.4} log loss {:.4} training {best:.2} s ({least:.2} s of CPU), {} kB of ONNX",
            kind.as_str(),
            Value::Object(params),
            rows::auc(&test.late, &scores),
            log_loss(&test.late, &scores),
            trained.onnx.len() / 1000,
        );
    }
}

/// Processor time of this process so far, in all threads; 0 where there is no `/proc`.
fn cpu_seconds() -> f64 {
    /// Linux counts in hundredths of a second.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are the 12th and 13th field behind the name, which is in brackets.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn log_loss(truth: &[f64], scores: &[f64]) -> f64 {
    let of = |(&truth, &score): (&f64, &f64)| {
        if truth > 0.5 { -score.ln() } else { -(1.0 - score).ln() }
    };
    truth.iter().zip(scores).map(of).sum::<f64>() / truth.len() as f64
}
