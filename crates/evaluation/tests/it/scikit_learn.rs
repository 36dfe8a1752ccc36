//! Every metric compared with scikit-learn on the same rows.

use perennial_core::frame::Column;
use perennial_core::metric;
use perennial_core::task::TaskKind;
use perennial_evaluation::{CURVE_STEP, Metrics, Outcomes, Roc, confusion, metrics, precision_recall, roc};
use rand::Rng;
use serde_json::{Value, json};

use crate::oracle::{SHAPES, Shape, assert_close, binary, binary_case, numbers, random, run_oracle, scores, text};

/// Tolerance, relative to the larger of the number's size and 1.
const TOLERANCE: f64 = 1e-12;

const SIZES: [usize; 6] = [1, 2, 3, 11, 200, 5000];

fn compare(what: &str, task: TaskKind, ours: &Metrics, theirs: &Value) {
    for metric in metric::metrics(task) {
        let Some(theirs) = theirs.get(metric.name) else { panic!("the oracle has no `{}`", metric.name) };
        assert_close(&format!("{} of {what}", metric.name), ours.get(metric.name), theirs, TOLERANCE);
    }
    let names: Vec<&str> = metric::metrics(task).iter().map(|metric| metric.name).collect();
    assert!(
        ours.values.keys().all(|name| names.contains(&name.as_str())),
        "{:?} has a metric that is not published",
        ours.values
    );
}

#[test]
fn binary_metrics_equal_scikit_learns() {
    let inputs: Vec<(usize, Shape)> = SIZES.into_iter().flat_map(|rows| SHAPES.map(|shape| (rows, shape))).collect();
    let cases: Vec<(Vec<f64>, Vec<bool>)> =
        inputs.iter().enumerate().map(|(seed, &(rows, shape))| binary_case(seed as u64, rows, shape)).collect();
    let requests: Vec<Value> = cases
        .iter()
        .map(|(scores, outcomes)| json!({"kind": "binary", "scores": scores, "outcomes": outcomes}))
        .collect();
    for ((answer, (values, yes)), (rows, shape)) in run_oracle(&requests).iter().zip(&cases).zip(inputs) {
        let what = format!("{rows} rows, {shape:?}");
        let (scores, outcomes) = (scores(1, values.clone()), binary(yes));
        compare(&what, TaskKind::Binary, &metrics(&scores, &outcomes).unwrap(), answer);
        let counts = confusion(&scores, &outcomes).unwrap().unwrap().counts;
        assert_eq!(json!(counts), answer["confusion"], "confusion of {what}");
        let curve = precision_recall(&scores, &outcomes).unwrap();
        assert_close(
            &format!("average precision of {what}"),
            curve.map(|curve| curve.average_precision),
            &answer["average_precision"],
            TOLERANCE,
        );
        match roc(&scores, &outcomes).unwrap() {
            Some(curve) => assert_thinned_from(&curve, &answer["roc"]),
            None => assert!(answer["roc"].is_null()),
        }
    }
}

/// Asserts that every kept point is one of the full curve, and that every omitted
/// point is within a step of the last kept one.
fn assert_thinned_from(curve: &Roc, full: &Value) {
    let axis = |place: usize| -> Vec<f64> { serde_json::from_value(full[place].clone()).unwrap() };
    let full: Vec<(f64, f64)> = axis(0).into_iter().zip(axis(1)).collect();
    let is_same = |left: (f64, f64), right: (f64, f64)| {
        (left.0 - right.0).abs() < TOLERANCE && (left.1 - right.1).abs() < TOLERANCE
    };
    let mut kept = curve.points.iter().map(|point| (point.false_positive_rate, point.true_positive_rate)).peekable();
    let mut last = (0.0, 0.0);
    for point in full {
        if kept.peek().is_some_and(|&next| is_same(next, point)) {
            last = kept.next().unwrap();
        } else {
            assert!(
                point.0 - last.0 < CURVE_STEP && point.1 - last.1 < CURVE_STEP,
                "{point:?} was left out after {last:?}"
            );
        }
    }
    assert_eq!(kept.next(), None, "every kept point is on the full curve");
    assert_eq!(last, (1.0, 1.0));
    assert!(curve.points.len() <= 402);
}

#[test]
fn multiclass_metrics_equal_scikit_learns() {
    let mut cases = Vec::new();
    for (seed, (rows, known, outside)) in
        [(1, 3, 0), (2, 2, 0), (7, 4, 1), (40, 3, 0), (300, 5, 0), (300, 5, 2), (4000, 4, 0)].into_iter().enumerate()
    {
        for ties in [false, true] {
            cases.push(multiclass_case(seed as u64 * 2 + u64::from(ties), rows, known, outside, ties));
        }
    }
    let requests: Vec<Value> = cases
        .iter()
        .map(|(scores, outcomes)| json!({"kind": "multiclass", "scores": scores, "outcomes": outcomes}))
        .collect();
    for (place, (answer, (rows, outcomes))) in run_oracle(&requests).iter().zip(&cases).enumerate() {
        let what = format!("case {place}");
        let known: Vec<String> = (0..rows[0].len()).map(|class| format!("class {class}")).collect();
        let names: Vec<String> = outcomes.iter().map(|class| format!("class {class}")).collect();
        let column = text(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let outcomes = Outcomes::from_column(&column, TaskKind::Multiclass, &known).unwrap();
        let scores = scores(known.len(), rows.concat());
        let ours = metrics(&scores, &outcomes).unwrap();
        compare(&what, TaskKind::Multiclass, &ours, answer);
        for class in &ours.classes {
            let place: usize = class.class.rsplit(' ').next().unwrap().parse().unwrap();
            for name in ["precision", "recall", "f1", "auc"] {
                assert_close(
                    &format!("{name} of {} in {what}", class.class),
                    class.values.get(name).copied(),
                    &answer["classes"][place][name],
                    TOLERANCE,
                );
            }
        }
        let counts = confusion(&scores, &outcomes).unwrap().unwrap();
        for (outcome, row) in counts.classes.iter().zip(&counts.counts) {
            for (predicted, count) in counts.classes.iter().zip(row) {
                let place = |name: &str| name.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
                assert_eq!(
                    answer["confusion"][place(outcome)][place(predicted)],
                    json!(count),
                    "{outcome} as {predicted} in {what}"
                );
            }
        }
    }
}

fn multiclass_case(seed: u64, rows: usize, known: usize, outside: usize, ties: bool) -> (Vec<Vec<f64>>, Vec<usize>) {
    let mut random = random(seed);
    let outcomes: Vec<usize> = (0..rows).map(|_| random.random_range(0..known + outside)).collect();
    let row = |&outcome: &usize| {
        let weights: Vec<f64> = (0..known)
            .map(|class| {
                let weight = random.random::<f64>() + if class == outcome { 0.5 } else { 0.0 };
                if ties { (weight * 4.0).ceil() } else { weight }
            })
            .collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect()
    };
    (outcomes.iter().map(row).collect(), outcomes)
}

#[test]
fn regression_metrics_equal_scikit_learns() {
    let mut cases = vec![(vec![1.0, 2.0, 3.0], vec![7.0, 7.0, 7.0]), (vec![0.1; 50], vec![0.1; 50])];
    for (seed, rows) in SIZES.into_iter().enumerate() {
        let mut random = random(seed as u64);
        let outcomes: Vec<f64> = (0..rows).map(|_| 1e6 + random.random_range(-50.0..50.0)).collect();
        let answers = outcomes.iter().map(|outcome| outcome + random.random_range(-9.0..10.0)).collect();
        cases.push((answers, outcomes));
    }
    let requests: Vec<Value> = cases
        .iter()
        .map(|(scores, outcomes)| json!({"kind": "regression", "scores": scores, "outcomes": outcomes}))
        .collect();
    for (answer, (answers, outcomes)) in run_oracle(&requests).iter().zip(&cases) {
        let ours = metrics(&scores(1, answers.clone()), &numbers(outcomes)).unwrap();
        let what = format!("{} rows", answers.len());
        // Sums of squares are added in another order, hence the wider tolerance.
        for metric in metric::metrics(TaskKind::Regression) {
            assert_close(&format!("{} of {what}", metric.name), ours.get(metric.name), &answer[metric.name], 1e-10);
        }
    }
}

#[test]
fn unlabelled_rows_are_left_out() {
    let (mut values, mut yes) = binary_case(5, 300, Shape::Plain);
    let whole = metrics(&scores(1, values.clone()), &binary(&yes)).unwrap();
    let mut column: Vec<f64> = yes.drain(..).map(|yes| f64::from(u8::from(yes))).collect();
    for place in [300, 120, 0] {
        // The score of an unlabelled row is ignored, even NaN.
        values.insert(place, f64::NAN);
        column.insert(place, f64::NAN);
    }
    let outcomes = Outcomes::from_column(&Column::Number(column), TaskKind::Binary, &[]).unwrap();
    assert_eq!(outcomes.labelled(), 300);
    assert_eq!(metrics(&scores(1, values), &outcomes).unwrap(), whole);
}
