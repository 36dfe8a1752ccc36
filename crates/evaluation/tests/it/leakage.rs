//! Detection of target leakage.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::task::TaskKind;
use perennial_evaluation::{Outcomes, Suspect, SuspectReason, leaks};
use rand::Rng;
use serde_json::json;

use crate::oracle::{assert_close, binary, numbers, random, run_oracle};

const ROWS: usize = 2000;

fn leaks_of(column: Column, outcomes: &Outcomes) -> Vec<Suspect> {
    let mut frame = Frame::new();
    frame.push("feature", column);
    leaks(&frame, outcomes).unwrap()
}

fn outcomes(seed: u64) -> Vec<bool> {
    let mut random = random(seed);
    (0..ROWS).map(|_| random.random_bool(0.3)).collect()
}

fn words(values: impl Iterator<Item = String>) -> Column {
    let values: Vec<String> = values.collect();
    Column::Text(TextColumn::encode(values.iter().map(|value| Some(value.as_str()))))
}

#[test]
fn a_number_that_ranks_the_outcome_is_suspected_with_scikit_learns_auc() {
    let yes = outcomes(1);
    let mut random = random(2);
    for sign in [1.0, -1.0] {
        let column: Vec<f64> =
            yes.iter().map(|&yes| sign * (f64::from(u8::from(yes)) * 2.5 + random.random_range(-1.5..1.5))).collect();
        let theirs = run_oracle(&[json!({"kind": "column_auc", "column": column, "outcomes": yes})]);
        let found = leaks_of(Column::Number(column), &binary(&yes));
        assert_eq!(found.len(), 1, "suspected in either direction");
        let SuspectReason::Auc { value, .. } = found[0].reason else { panic!("{:?}", found[0]) };
        assert_close("auc", Some(value), &theirs[0]["auc"], 1e-12);
        assert!(found[0].message().starts_with("`feature` alone has an AUC of 0.9"), "{}", found[0].message());
    }
}

#[test]
fn a_number_that_explains_the_outcome_is_suspected_with_numpys_correlation() {
    let mut random = random(3);
    let truth: Vec<f64> = (0..ROWS).map(|_| random.random_range(0.0..10.0)).collect();
    let column: Vec<f64> = truth.iter().map(|value| -3.0 * value + random.random_range(-0.5..0.5)).collect();
    let theirs = run_oracle(&[json!({"kind": "column_r2", "column": column, "outcomes": truth})]);
    let found = leaks_of(Column::Number(column), &numbers(&truth));
    let SuspectReason::R2 { value } = found[0].reason else { panic!("{:?}", found[0]) };
    assert_close("r2", Some(value), &theirs[0]["r2"], 1e-9);
}

#[test]
fn a_nonlinear_relation_is_suspected() {
    let mut random = random(4);
    let column: Vec<f64> = (0..ROWS).map(|_| random.random_range(-5.0..5.0)).collect();
    let truth: Vec<f64> = column.iter().map(|value| value * value).collect();
    assert!(
        matches!(leaks_of(Column::Number(column), &numbers(&truth))[0].reason, SuspectReason::R2 { value } if value > 0.9)
    );
}

#[test]
fn unrelated_features_are_not_suspected() {
    let yes = outcomes(5);
    let mut random = random(6);
    let mut frame = Frame::new();
    frame.push("noise", Column::Number((0..ROWS).map(|_| random.random()).collect()));
    frame.push("constant", Column::Number(vec![4.0; ROWS]));
    frame.push("empty", Column::Number(vec![f64::NAN; ROWS]));
    frame.push("few values", Column::Number((0..ROWS).map(|_| f64::from(random.random_range(0..4))).collect()));
    frame.push("one word", words((0..ROWS).map(|_| "same".to_owned())));
    // As many values as rows, and two rows a value: an encoding that included a row's own outcome would leak it.
    frame.push("id", words((0..ROWS).map(|row| format!("id {row}"))));
    frame.push("tail number", words((0..ROWS).map(|_| format!("N{}", random.random_range(0..1000)))));
    assert_eq!(leaks(&frame, &binary(&yes)).unwrap(), []);
    let truth: Vec<f64> = (0..ROWS).map(|_| random.random()).collect();
    assert_eq!(leaks(&frame, &numbers(&truth)).unwrap(), []);
}

#[test]
fn text_that_encodes_the_outcome_is_suspected() {
    let yes = outcomes(7);
    let column =
        words(yes.iter().enumerate().map(|(row, yes)| format!("{} {}", if *yes { "late" } else { "fine" }, row % 20)));
    let found = leaks_of(column, &binary(&yes));
    assert!(matches!(&found[0].reason, SuspectReason::Auc { value, class: None } if *value > 0.99), "{found:?}");
    let truth: Vec<f64> = (0..ROWS).map(|row| (row % 20) as f64).collect();
    let column = words((0..ROWS).map(|row| format!("code {}", row % 20)));
    assert!(matches!(leaks_of(column, &numbers(&truth))[0].reason, SuspectReason::R2 { value } if value > 0.99));
}

#[test]
fn a_numeric_code_without_order_is_suspected() {
    let yes = outcomes(8);
    // 0 and 2 mean negative, 1 means positive: not monotonic, and yet fully predictive.
    let column = yes.iter().enumerate().map(|(row, yes)| if *yes { 1.0 } else { (row % 2 * 2) as f64 }).collect();
    assert_eq!(leaks_of(Column::Number(column), &binary(&yes)).len(), 1);
}

#[test]
fn a_feature_whose_missingness_predicts_the_outcome_is_suspected() {
    let yes = outcomes(9);
    let mut random = random(10);
    let column = yes.iter().map(|&yes| if yes { random.random() } else { f64::NAN }).collect();
    assert!(matches!(leaks_of(Column::Number(column), &binary(&yes))[0].reason, SuspectReason::Auc { value: 1.0, .. }));
}

#[test]
fn missing_values_may_rank_lowest_or_highest() {
    // Half of the negatives lack the value, the others overlap with the positives: neither part alone exceeds 0.9.
    let yes = outcomes(15);
    for sign in [1.0, -1.0] {
        let mut random = random(16);
        let column = yes.iter().map(|&yes| {
            let value: f64 = random.random();
            if yes {
                sign * (value + 0.45)
            } else if random.random_bool(0.5) {
                f64::NAN
            } else {
                sign * value
            }
        });
        let found = leaks_of(Column::Number(column.collect()), &binary(&yes));
        assert!(
            matches!(found[0].reason, SuspectReason::Auc { value, .. } if (0.9..0.95).contains(&value)),
            "{found:?}"
        );
    }
}

#[test]
fn a_leak_in_half_of_the_rows_is_suspected() {
    let yes = outcomes(11);
    let column = yes
        .iter()
        .enumerate()
        .map(|(row, &yes)| if row % 2 == 0 { f64::NAN } else { f64::from(u8::from(yes)) + (row % 7) as f64 / 100.0 });
    assert_eq!(leaks_of(Column::Number(column.collect()), &binary(&yes)).len(), 1);
}

#[test]
fn a_feature_filled_in_with_the_outcome_is_suspected() {
    let mut random = random(12);
    let target: Vec<f64> = (0..ROWS)
        .map(|row| if row % 10 == 0 { f64::NAN } else { f64::from(u8::from(random.random_bool(0.4))) })
        .collect();
    let outcomes = Outcomes::from_column(&Column::Number(target), TaskKind::Binary, &[]).unwrap();
    let column = |unlabelled: usize, labelled: usize| {
        let mut random = self::random(13);
        let lacks = move |row: usize| {
            if row.is_multiple_of(10) { row % 1000 < unlabelled * 10 } else { row % 100 < labelled }
        };
        Column::Number((0..ROWS).map(|row| if lacks(row) { f64::NAN } else { random.random() }).collect())
    };
    let found = leaks_of(column(60, 5), &outcomes);
    assert!(
        matches!(found[0].reason, SuspectReason::Missing { unlabelled: 0.6, labelled } if labelled < 0.06),
        "{found:?}"
    );
    assert!(found[0].message().contains("60.0 % of the rows without an outcome"), "{}", found[0].message());
    assert!(found[0].is_leak());
    assert_eq!(leaks_of(column(50, 5), &outcomes), [], "exactly half is not enough");
    assert_eq!(leaks_of(column(60, 15), &outcomes), [], "missing in the labelled rows too");
}

#[test]
fn the_class_that_a_feature_separates_is_named() {
    let mut random = random(14);
    let classes: Vec<u8> = (0..ROWS).map(|_| random.random_range(0..4)).collect();
    let known: Vec<String> = ["0", "1", "2", "3"].map(str::to_owned).to_vec();
    let target = Column::Number(classes.iter().map(|&class| f64::from(class)).collect());
    let outcomes = Outcomes::from_column(&target, TaskKind::Multiclass, &known).unwrap();
    let column = classes.iter().map(|&class| if class == 2 { 5.0 } else { 0.0 } + random.random::<f64>()).collect();
    let found = leaks_of(Column::Number(column), &outcomes);
    assert!(matches!(&found[0].reason, SuspectReason::Auc { class: Some(class), .. } if class == "2"), "{found:?}");
}

#[test]
fn too_few_rows_raise_no_suspicion() {
    let yes: Vec<bool> = (0..12).map(|row| row < 5).collect();
    let column = (0..12).map(f64::from).collect();
    assert_eq!(leaks_of(Column::Number(column), &binary(&yes)), []);
}

/// The strong features of a data set for teaching that comes with scikit-learn; none of them is a leak.
fn strong_features(set: &str, task: TaskKind) -> Vec<String> {
    let mut answers = run_oracle(&[json!({"kind": "teaching_set", "name": set})]);
    let set = answers.remove(0);
    let numbers = |values: &serde_json::Value| -> Vec<f64> { serde_json::from_value(values.clone()).unwrap() };
    let mut frame = Frame::new();
    for (name, values) in set["names"].as_array().unwrap().iter().zip(set["columns"].as_array().unwrap()) {
        frame.push(name.as_str().map_or_else(|| name.to_string(), str::to_owned), Column::Number(numbers(values)));
    }
    let target = numbers(&set["target"]);
    let (target, classes) = match task {
        TaskKind::Multiclass => {
            let names: Vec<String> = target.iter().map(ToString::to_string).collect();
            let mut classes = names.clone();
            classes.sort_unstable();
            classes.dedup();
            (words(names.into_iter()), classes)
        }
        TaskKind::Binary | TaskKind::Regression => (Column::Number(target), Vec::new()),
    };
    let outcomes = Outcomes::from_column(&target, task, &classes).unwrap();
    let suspects = leaks(&frame, &outcomes).unwrap();
    assert!(!suspects.iter().any(Suspect::is_leak), "{suspects:?}");
    suspects.into_iter().map(|suspect| suspect.feature).collect()
}

#[test]
fn strong_features_of_well_known_data_are_no_leaks() {
    assert!(strong_features("iris", TaskKind::Multiclass).contains(&"petal length (cm)".to_owned()));
    assert!(strong_features("wine", TaskKind::Multiclass).contains(&"proline".to_owned()));
    assert!(strong_features("breast_cancer", TaskKind::Binary).contains(&"worst radius".to_owned()));
    assert!(!strong_features("digits", TaskKind::Multiclass).is_empty());
    for set in ["diabetes", "linnerud"] {
        strong_features(set, TaskKind::Regression);
    }
}
