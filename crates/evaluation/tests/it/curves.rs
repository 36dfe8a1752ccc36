//! Curves and plots.

use perennial_core::frame::Column;
use perennial_core::task::TaskKind;
use perennial_evaluation::{
    Outcomes, RESIDUAL_BINS, calibration, confusion, plot, precision_recall, residuals, roc, roc_by_class,
};
use rand::Rng;
use serde_json::{Value, json};

use crate::oracle::{Shape, binary, binary_case, numbers, random, run_oracle, scores, text};

#[test]
fn curves_of_large_samples_stay_small() {
    let (values, yes) = binary_case(1, 30_000, Shape::Plain);
    let (scores, outcomes) = (scores(1, values), binary(&yes));
    assert!(roc(&scores, &outcomes).unwrap().unwrap().points.len() <= 402);
    assert!(precision_recall(&scores, &outcomes).unwrap().unwrap().points.len() <= 202);
    assert!(calibration(&scores, &outcomes).unwrap().unwrap().bins.len() <= 10);
}

#[test]
fn curves_of_another_task_are_absent() {
    let answers = scores(1, vec![0.5, 0.6]);
    let outcomes = numbers(&[1.0, 2.0]);
    assert_eq!(roc(&answers, &outcomes).unwrap(), None);
    assert_eq!(calibration(&answers, &outcomes).unwrap(), None);
    assert_eq!(confusion(&answers, &outcomes).unwrap(), None);
    assert_eq!(residuals(&answers, &binary(&[true, false])).unwrap(), None);
}

#[test]
fn residuals_set_far_tails_aside() {
    let mut answers: Vec<f64> = (0..1000).map(|row| f64::from(row) / 100.0).collect();
    answers[999] = 1e9;
    let found = residuals(&scores(1, answers), &numbers(&[0.0; 1000])).unwrap().unwrap();
    assert_eq!((found.bins.len(), found.below, found.above), (RESIDUAL_BINS, 5, 5));
    assert!(found.bins[39].upper < 10.0);
    assert_eq!(found.median, 4.99);
}

#[test]
fn equal_residuals_are_one_bin() {
    let found = residuals(&scores(1, vec![3.0; 9]), &numbers(&[1.0; 9])).unwrap().unwrap();
    assert_eq!(found.bins.iter().map(|bin| (bin.lower, bin.upper, bin.rows)).collect::<Vec<_>>(), [(2.0, 2.0, 9)]);
}

#[test]
fn rare_classes_of_a_confusion_are_other() {
    let known: Vec<String> = (0..30).map(|class| class.to_string()).collect();
    let column: Vec<f64> =
        (0..30).flat_map(|class| std::iter::repeat_n(f64::from(class), if class < 19 { 3 } else { 1 })).collect();
    let rows = column.len();
    let outcomes = Outcomes::from_column(&Column::Number(column), TaskKind::Multiclass, &known).unwrap();
    let found = confusion(&scores(30, vec![1.0 / 30.0; rows * 30]), &outcomes).unwrap().unwrap();
    assert_eq!(found.classes.len(), 21);
    assert_eq!(found.classes[20], "other");
    assert_eq!(found.counts.iter().flatten().sum::<u64>(), rows as u64);
    assert_eq!(found.counts[20][0], 10, "equal scores predict the first class");
}

#[test]
fn each_task_has_its_plots() {
    let names = |plots: Vec<plot::Plot>| plots.iter().map(|plot| plot.name).collect::<Vec<_>>();
    let (values, yes) = binary_case(2, 400, Shape::Plain);
    let model = scores(1, values);
    let found = plot::plots(&[("train", &model), ("simple", &model)], &binary(&yes)).unwrap();
    for plot in &found {
        assert!(plot.svg.contains("train"), "{} names its model", plot.name);
    }
    assert_eq!(names(found), ["roc", "precision_recall", "calibration", "confusion"]);
    assert_eq!(
        names(plot::plots(&[("train", &model)], &binary(&[true; 400])).unwrap()),
        ["precision_recall", "calibration", "confusion"]
    );
    let found = plot::plots(&[("train", &scores(1, vec![1.0, 2.5]))], &numbers(&[1.0, 2.0])).unwrap();
    assert_eq!(names(found), ["residuals"]);
    let known = ["a", "b"].map(str::to_owned);
    let outcomes = Outcomes::from_column(&text(&["a", "b", "a"]), TaskKind::Multiclass, &known).unwrap();
    let model = scores(2, vec![0.7, 0.3, 0.4, 0.6, 0.2, 0.8]);
    assert_eq!(roc_by_class(&model, &outcomes).unwrap().len(), 2);
    assert_eq!(names(plot::plots(&[("train", &model)], &outcomes).unwrap()), ["roc", "confusion"]);
}

#[test]
fn plots_are_well_formed_xml_with_any_names() {
    let known = ["<script>", "a&b\u{1}\u{fffe}"].map(str::to_owned);
    let outcomes =
        Outcomes::from_column(&text(&["<script>", "a&b\u{1}\u{fffe}"]), TaskKind::Multiclass, &known).unwrap();
    let plots = plot::plots(&[("<b>\"'", &scores(2, vec![0.7, 0.3, 0.4, 0.6]))], &outcomes).unwrap();
    let cases: Vec<Value> = plots.iter().map(|plot| json!({"kind": "texts", "svg": plot.svg})).collect();
    let seen = run_oracle(&cases);
    assert_eq!(seen.len(), 2);
    for words in &seen {
        let words: Vec<&str> = words.as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(words.iter().any(|word| word.starts_with("<script>")), "{words:?}");
        assert!(words.iter().any(|word| word.starts_with("a&b\u{fffd}\u{fffd}")), "{words:?}");
    }
    assert!(seen[1].to_string().contains("Confusion matrix, <b>"), "{seen:?}");
}

#[test]
fn plots_contain_no_number_that_cannot_be_drawn() {
    let mut random = random(9);
    let wild: Vec<f64> =
        (0..50).map(|_| random.random_range(-1.0..1.0) * 10_f64.powi(random.random_range(-300..300))).collect();
    let cases = [(vec![0.0; 3], vec![0.0; 3]), (vec![1e300, -1e300], vec![0.0, 1.0]), (wild, vec![0.0; 50])];
    for (answers, outcomes) in cases {
        for plot in plot::plots(&[("train", &scores(1, answers))], &numbers(&outcomes)).unwrap() {
            assert!(!plot.svg.contains("NaN") && !plot.svg.contains("inf"), "{}", plot.svg);
        }
    }
}
