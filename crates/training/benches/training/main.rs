//! AUC and training time on flights, trained on January to May and tested on June, compared with LightGBM.
//!
//! Run with `cargo xtask bench training`. An optional argument is a JSON object of parameters of
//! the gbdt trainer; then only these are measured.

#![expect(clippy::expect_used, reason = "a benchmark ends with the reason when it cannot continue")]

mod rows;

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use perennial_core::model::Predictor;
use perennial_core::task::TaskKind;
use perennial_training::{Kind, Target, train};
use serde_json::{Map, Value, json};

/// Number of repetitions, of which the fastest counts.
const ROUNDS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let csv = folder.path().join("flights.csv");
    python("export", &csv);
    let given = std::env::args().skip(1).find(|argument| argument.starts_with('{'));
    if let Some(given) = given {
        measure_trainers(&csv, &[(Kind::Gbdt, serde_json::from_str(&given).expect("parameters as JSON"))]);
        return;
    }
    let settings = [
        (Kind::Gbdt, json!({})),
        (Kind::Gbdt, json!({ "trees": 100, "learning_rate": 0.1 })),
        (Kind::Gbdt, json!({ "trees": 200, "learning_rate": 0.05, "depth": 6, "leaves": 63 })),
        (Kind::Linear, json!({})),
    ];
    measure_trainers(&csv, &settings);
    python("lightgbm", &csv);
}

/// Runs `flights.py`, which prints its results.
fn python(command: &str, csv: &Path) {
    let python = std::env::var("PERENNIAL_TEST_PYTHON")
        .expect("`PERENNIAL_TEST_PYTHON` names the Python of the tests; run this with `cargo xtask bench training`");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/training/flights.py");
    let status = Command::new(python).arg(script).arg(command).arg(csv).status().expect("the tests' Python starts");
    assert!(status.success(), "`flights.py {command}` failed");
}

/// Trains with each of `settings` and prints the results.
fn measure_trainers(csv: &Path, settings: &[(Kind, Value)]) {
    let (training, test) = rows::split(csv);
    println!("{} training rows, {} test rows", training.late.len(), test.late.len());
    let target = Target::Binary(training.late);
    for (kind, params) in settings {
        let params: Map<String, Value> = params.as_object().cloned().unwrap_or_default();
        let (mut seconds, mut cpu) = (f64::INFINITY, f64::INFINITY);
        let mut trained = None;
        for _ in 0..ROUNDS {
            let (started, cpu_started) = (Instant::now(), cpu_seconds());
            trained = Some(train(*kind, &training.features, &target, TaskKind::Binary, &params));
            seconds = seconds.min(started.elapsed().as_secs_f64());
            cpu = cpu.min(cpu_seconds() - cpu_started);
        }
        let trained = trained.expect("a round").expect("training succeeds");
        let scores = trained.predict(&test.features).expect("the trainer predicts").values;
        println!(
            "{} {}: auc {:.4} log loss {:.4} training {seconds:.2} s ({cpu:.2} s of CPU), {} kB of ONNX",
            kind.as_str(),
            Value::Object(params),
            rows::auc(&test.late, &scores),
            log_loss(&test.late, &scores),
            trained.onnx.len() / 1000,
        );
    }
}

/// Processor time of all threads of this process so far, in seconds; 0 without `/proc`.
fn cpu_seconds() -> f64 {
    /// Unit of `/proc/self/stat` on Linux.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // User and system time are the 12th and 13th field after the name, which is in parentheses.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

fn log_loss(truth: &[f64], scores: &[f64]) -> f64 {
    let row_loss = |(&truth, &score): (&f64, &f64)| {
        if truth > 0.5 { -score.ln() } else { -(1.0 - score).ln() }
    };
    truth.iter().zip(scores).map(row_loss).sum::<f64>() / truth.len() as f64
}
