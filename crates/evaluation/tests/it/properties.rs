//! Properties that hold for all rows.

use perennial_core::frame::{Column, Frame};
use perennial_core::task::TaskKind;
use perennial_evaluation::{Outcomes, calibration, evaluate, metrics, residuals, roc};
use proptest::prelude::*;

use crate::oracle::{binary, numbers, scores};

/// Scores, some of them tied, and outcomes.
fn rows() -> impl Strategy<Value = Vec<(f64, bool)>> {
    prop::collection::vec(
        (prop_oneof![0.0..=1.0, (0_u8..=4).prop_map(|step| f64::from(step) / 4.0)], any::<bool>()),
        0..200,
    )
}

fn split(rows: &[(f64, bool)]) -> (Vec<f64>, Vec<bool>) {
    rows.iter().copied().unzip()
}

proptest! {
    #[test]
    fn auc_depends_only_on_the_order_of_scores(rows in rows()) {
        let (values, yes) = split(&rows);
        // Strictly increasing, and on a grid coarse enough that rounding does not create ties.
        let moved: Vec<f64> = values.iter().map(|value| (value * 1024.0).floor() / 1024.0).collect();
        let squeezed: Vec<f64> = moved.iter().map(|value| 0.25 + value * value / 2.0).collect();
        let outcomes = binary(&yes);
        let before = metrics(&scores(1, moved), &outcomes).unwrap().get("auc");
        let after = metrics(&scores(1, squeezed), &outcomes).unwrap().get("auc");
        prop_assert_eq!(before, after);
    }

    #[test]
    fn auc_of_inverted_scores_is_one_minus_auc(rows in rows()) {
        let (values, yes) = split(&rows);
        let grid: Vec<f64> = values.iter().map(|value| (value * 1024.0).floor() / 1024.0).collect();
        let turned: Vec<f64> = grid.iter().map(|value| 1.0 - value).collect();
        let auc = |values| metrics(&scores(1, values), &binary(&yes)).unwrap().get("auc");
        if let (Some(auc), Some(turned)) = (auc(grid), auc(turned)) {
            prop_assert!((auc + turned - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn binary_metrics_stay_in_their_range(rows in rows()) {
        let (values, yes) = split(&rows);
        let metrics = metrics(&scores(1, values), &binary(&yes)).unwrap();
        prop_assert_eq!(metrics.rows, rows.len() as u64);
        for (name, value) in &metrics.values {
            let most = if name == "log_loss" { 36.1 } else { 1.0 };
            prop_assert!((0.0..=most).contains(value), "{} is {}", name, value);
        }
        prop_assert_eq!(metrics.get("auc").is_some(), yes.contains(&true) && yes.contains(&false));
        prop_assert_eq!(metrics.get("accuracy").is_some(), !rows.is_empty());
    }

    #[test]
    fn metrics_do_not_depend_on_the_order_of_rows(rows in rows()) {
        let mut turned = rows.clone();
        turned.reverse();
        let of = |rows: &[(f64, bool)]| {
            let (values, yes) = split(rows);
            metrics(&scores(1, values), &binary(&yes)).unwrap()
        };
        let (left, right) = (of(&rows), of(&turned));
        prop_assert_eq!(left.values.keys().collect::<Vec<_>>(), right.values.keys().collect::<Vec<_>>());
        for (name, value) in &left.values {
            prop_assert!((value - right.values[name]).abs() < 1e-12, "{}", name);
        }
    }

    #[test]
    fn the_metrics_of_a_slice_equal_those_of_its_rows_alone(rows in prop::collection::vec((0.0..=1.0, any::<bool>(), 0_u8..4), 1..120)) {
        let values: Vec<f64> = rows.iter().map(|row| row.0).collect();
        let yes: Vec<bool> = rows.iter().map(|row| row.1).collect();
        let mut frame = Frame::new();
        frame.push("group", Column::Number(rows.iter().map(|row| f64::from(row.2)).collect()));
        let found = evaluate(&scores(1, values), &binary(&yes), &frame, &["group"]).unwrap().slices;
        prop_assert_eq!(found.iter().map(|slice| slice.metrics.rows).sum::<u64>(), rows.len() as u64);
        for slice in found {
            let group: u8 = slice.value.unwrap().parse().unwrap();
            let of_group = rows.iter().filter(|row| row.2 == group);
            let (values, yes): (Vec<f64>, Vec<bool>) = of_group.map(|row| (row.0, row.1)).unzip();
            let alone = metrics(&scores(1, values), &binary(&yes)).unwrap();
            // The same rows in the same order of score; only the order of ties may differ.
            prop_assert_eq!(slice.metrics.rows, alone.rows);
            for (name, value) in &alone.values {
                prop_assert!((value - slice.metrics.values[name]).abs() < 1e-12, "{}", name);
            }
        }
    }

    #[test]
    fn the_thinned_roc_keeps_its_area(rows in prop::collection::vec((0.0..=1.0, any::<bool>()), 2..1500)) {
        let (values, yes) = split(&rows);
        if let Some(curve) = roc(&scores(1, values), &binary(&yes)).unwrap() {
            let area: f64 = curve.points.windows(2).map(|pair| {
                (pair[1].false_positive_rate - pair[0].false_positive_rate) * f64::midpoint(pair[0].true_positive_rate, pair[1].true_positive_rate)
            }).sum();
            prop_assert!((area - curve.auc).abs() < 0.005, "{} of {}", area, curve.auc);
        }
    }

    #[test]
    fn every_row_is_in_exactly_one_bin(rows in rows(), errors in prop::collection::vec(-1e6..1e6_f64, 1..200)) {
        let (values, yes) = split(&rows);
        let bins = calibration(&scores(1, values), &binary(&yes)).unwrap().map_or_else(Vec::new, |calibration| calibration.bins);
        prop_assert_eq!(bins.iter().map(|bin| bin.rows).sum::<u64>(), rows.len() as u64);
        for bin in bins {
            prop_assert!(bin.lower - 1e-12 <= bin.mean_score && bin.mean_score <= bin.upper + 1e-12);
        }
        let residuals = residuals(&scores(1, errors.clone()), &numbers(&vec![0.0; errors.len()])).unwrap().unwrap();
        let inside: u64 = residuals.bins.iter().map(|bin| bin.rows).sum();
        prop_assert_eq!(inside + residuals.below + residuals.above, errors.len() as u64);
    }

    #[test]
    fn a_perfect_regression_has_no_error(outcomes in prop::collection::vec(-1e9..1e9_f64, 2..50)) {
        let metrics = metrics(&scores(1, outcomes.clone()), &numbers(&outcomes)).unwrap();
        prop_assert_eq!(metrics.get("rmse"), Some(0.0));
        prop_assert_eq!(metrics.get("bias"), Some(0.0));
        prop_assert!(metrics.get("r2").is_none_or(|r2| r2 == 1.0));
    }

    #[test]
    fn multiclass_metrics_stay_in_their_range(rows in prop::collection::vec((0.0..1.0, 0.0..1.0, 0_u8..4), 0..100)) {
        let known: Vec<String> = ["0", "1", "2"].map(str::to_owned).to_vec();
        let values = rows.iter().flat_map(|row| [row.0 / 2.0, row.1 / 2.0, 1.0 - row.0 / 2.0 - row.1 / 2.0]).collect();
        let column = Column::Number(rows.iter().map(|row| f64::from(row.2)).collect());
        let outcomes = Outcomes::from_column(&column, TaskKind::Multiclass, &known).unwrap();
        let metrics = metrics(&scores(3, values), &outcomes).unwrap();
        for (name, value) in &metrics.values {
            let most = if name == "log_loss" { 36.1 } else { 1.0 };
            prop_assert!((0.0..=most).contains(value), "{} is {}", name, value);
        }
        let right: f64 = metrics.classes.iter().filter_map(|class| Some(class.values.get("recall")? * class.rows as f64)).sum();
        prop_assert!((right - metrics.get("accuracy").unwrap_or(0.0) * rows.len() as f64).abs() < 1e-9);
    }
}
