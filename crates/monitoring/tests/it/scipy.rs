//! Every statistic compared with SciPy and NumPy on the same rows.

use perennial_core::latency::{LATENCY_ERROR, LatencyHistogram};
use perennial_monitoring::{Distribution, drift};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::oracle::{number, reference, run_oracle, summary, text};

const TOLERANCE: f64 = 1e-12;

/// A number column whose shape covers an edge case of binning.
fn column(random: &mut StdRng, shape: usize, rows: usize, shift: f64) -> Vec<f64> {
    let one = |random: &mut StdRng| {
        let uniform: f64 = random.random::<f64>() + shift;
        match shape {
            // plain; ties; mostly zero; constant; two values; half missing; heavy tails; all missing
            0 => uniform,
            1 => (uniform * 7.0).round(),
            2 => {
                if random.random_bool(0.85) {
                    shift.round()
                } else {
                    uniform
                }
            }
            3 => 4.0 + (shift * 1.5).round(),
            4 => f64::from(u8::from(uniform > 0.6)),
            5 => {
                if random.random_bool((0.5 + shift / 2.0).clamp(0.0, 1.0)) {
                    f64::NAN
                } else {
                    uniform
                }
            }
            6 => (uniform - 0.5) / random.random::<f64>().powi(3),
            _ => f64::NAN,
        }
    };
    (0..rows).map(|_| one(random)).collect()
}

fn nullable(values: &[f64]) -> Value {
    values.iter().map(|&value| if value.is_nan() { Value::Null } else { json!(value) }).collect()
}

#[test]
fn drift_of_numbers_equals_numpys_and_scipys() {
    let mut random = StdRng::seed_from_u64(1);
    let mut cases = Vec::new();
    for shape in 0..8 {
        for (before, now) in [(1, 1), (2, 5), (9, 30), (50, 50), (251, 100), (3000, 2000), (20_000, 3000)] {
            for shift in [0.0, 0.05, 0.7] {
                cases.push((column(&mut random, shape, before, 0.0), column(&mut random, shape, now, shift)));
            }
        }
    }
    cases.push((vec![1.0, 2.0, 3.0], Vec::new()));
    cases.push((Vec::new(), vec![1.0, 2.0, 3.0]));
    let requests: Vec<Value> = cases
        .iter()
        .map(|(before, now)| json!({"kind": "number", "reference": nullable(before), "current": nullable(now)}))
        .collect();
    for (index, (theirs, (before, now))) in run_oracle(&requests).iter().zip(&cases).enumerate() {
        let reference = reference(&number(before));
        let found = drift(&reference, &summary(&reference, &number(now))).unwrap();
        let ours = &found.features[0];
        match (ours.psi, theirs["psi"].as_f64()) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => {
                assert!((ours - theirs).abs() <= TOLERANCE * theirs.max(1.0), "psi of case {index}: {ours}, {theirs}");
            }
            other => panic!("psi of case {index}: {other:?}"),
        }
        match (ours.ks, theirs["ks"].as_f64()) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => {
                let error = 0.008;
                assert!(ours <= theirs + TOLERANCE && ours > theirs - error, "ks of case {index}: {ours}, {theirs}");
            }
            other => panic!("ks of case {index}: {other:?}"),
        }
        let Distribution::Numbers(numbers) = &reference.features[0].distribution else { panic!("numbers") };
        let deciles: Vec<f64> = serde_json::from_value(theirs["deciles"].clone()).unwrap();
        assert!(deciles.iter().all(|decile| numbers.deciles.contains(decile)), "deciles of case {index}");
        assert!(
            numbers.deciles.iter().all(|decile| deciles.contains(decile) || deciles.contains(&decile.next_up())),
            "deciles of case {index}"
        );
    }
}

#[test]
fn drift_of_categories_equals_numpys() {
    let mut random = StdRng::seed_from_u64(2);
    let mut column = |values: usize, from: usize, rows: usize, missing: f64| -> Vec<Option<String>> {
        let one = |random: &mut StdRng| {
            let skewed = random.random::<f64>().powi(2) * values as f64;
            (!random.random_bool(missing)).then(|| format!("v{}", from + skewed as usize))
        };
        (0..rows).map(|_| one(&mut random)).collect()
    };
    let mut cases = Vec::new();
    for (values, from, rows, missing) in [
        (1, 0, 1, 0.0),
        (3, 0, 40, 0.0),
        (3, 1, 40, 0.5),
        (49, 0, 3000, 0.1),
        (50, 0, 3000, 0.0),
        (51, 0, 3000, 0.2),
        (400, 30, 5000, 0.0),
        (3, 9, 20, 1.0),
    ] {
        cases.push((column(values, 0, rows, missing / 2.0), column(values, from, rows, missing)));
    }
    cases.push((column(3, 0, 9, 0.0), Vec::new()));
    let requests: Vec<Value> =
        cases.iter().map(|(before, now)| json!({"kind": "category", "reference": before, "current": now})).collect();
    for (index, (theirs, (before, now))) in run_oracle(&requests).iter().zip(&cases).enumerate() {
        let frame = |values: &[Option<String>]| text(&values.iter().map(Option::as_deref).collect::<Vec<_>>());
        let reference = reference(&frame(before));
        let ours = drift(&reference, &summary(&reference, &frame(now))).unwrap().features[0].psi;
        match (ours, theirs["psi"].as_f64()) {
            (None, None) => {}
            (Some(ours), Some(theirs)) => {
                assert!((ours - theirs).abs() <= TOLERANCE * theirs.max(1.0), "psi of case {index}: {ours}, {theirs}");
            }
            other => panic!("psi of case {index}: {other:?}"),
        }
        let Distribution::Categories(categories) = &reference.features[0].distribution else { panic!("categories") };
        assert_eq!(json!(categories.values), theirs["listed"], "listed of case {index}");
    }
}

#[test]
fn latency_quantiles_are_within_one_percent_of_numpys() {
    let mut random = StdRng::seed_from_u64(3);
    let quantiles = [0.0, 0.01, 0.5, 0.9, 0.99, 1.0];
    let cases: Vec<Vec<f64>> = [1, 2, 99, 100, 101, 5000]
        .into_iter()
        .map(|rows| (0..rows).map(|_| 10_f64.powf(random.random_range(-3.0..7.0))).collect())
        .chain([vec![0.25; 30]])
        .collect();
    let requests: Vec<Value> =
        cases.iter().map(|values| json!({"kind": "latency", "values": values, "quantiles": quantiles})).collect();
    for (theirs, values) in run_oracle(&requests).iter().zip(&cases) {
        let histogram = LatencyHistogram::new();
        for &value in values {
            histogram.record(value);
        }
        for quantile in quantiles {
            // Python formats 0 and 1 with one decimal, as `{:?}` does.
            let theirs = theirs[format!("{quantile:?}")].as_f64().unwrap();
            let ours = histogram.quantile(quantile).unwrap();
            assert!(
                (ours - theirs).abs() <= (LATENCY_ERROR + 1e-9) * theirs,
                "{quantile} of {} values: {ours}, {theirs}",
                values.len()
            );
        }
    }
}
