//! Properties that hold for all rows.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::Scores;
use perennial_monitoring::{Drift, FeatureDrift, Reference, Summary, bin_shares, drift};
use proptest::prelude::*;

type Row = (f64, Option<String>, f64);

/// A number that may be missing or infinite, a text that may be missing, and a score.
fn row() -> impl Strategy<Value = Row> {
    let number = prop_oneof![4 => -10.0..10.0, 2 => (0_i32..4).prop_map(f64::from), 1 => Just(f64::NAN), 1 => Just(f64::INFINITY), 1 => Just(f64::NEG_INFINITY)];
    (number, prop::option::of("[a-e]"), 0.0..=1.0)
}

fn rows(max: usize) -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 0..max)
}

fn split(rows: &[Row]) -> (Frame, Scores) {
    let mut frame = Frame::new();
    frame.push("number", Column::Number(rows.iter().map(|row| row.0).collect()));
    frame.push("text", Column::Text(TextColumn::encode(rows.iter().map(|row| row.1.as_deref()))));
    (frame, Scores { width: 1, values: rows.iter().map(|row| row.2).collect() })
}

fn reference_of(rows: &[Row]) -> Reference {
    let (frame, scores) = split(rows);
    Reference::new(&frame, &scores, &[])
}

fn summary_of(reference: &Reference, rows: &[Row]) -> Summary {
    let (frame, scores) = split(rows);
    let mut summary = Summary::new(reference);
    summary.add(reference, &frame, &scores).unwrap();
    summary
}

fn all_columns(drift: &Drift) -> impl Iterator<Item = &FeatureDrift> {
    drift.features.iter().chain(&drift.scores)
}

proptest! {
    #[test]
    fn summaries_of_parts_add_up_to_the_summary_of_the_whole(before in rows(80), first in rows(60), second in rows(60)) {
        let reference = reference_of(&before);
        let mut merged = summary_of(&reference, &first);
        merged.merge(&summary_of(&reference, &second)).unwrap();
        let whole: Vec<Row> = first.iter().chain(&second).cloned().collect();
        prop_assert_eq!(&merged, &summary_of(&reference, &whole));
        let mut reversed = summary_of(&reference, &second);
        reversed.merge(&summary_of(&reference, &first)).unwrap();
        prop_assert_eq!(merged, reversed);
    }

    #[test]
    fn equal_rows_have_not_drifted(rows in rows(150)) {
        let reference = reference_of(&rows);
        let drift = drift(&reference, &summary_of(&reference, &rows)).unwrap();
        for feature in all_columns(&drift) {
            prop_assert_eq!(feature.psi, (!rows.is_empty()).then_some(0.0));
            prop_assert!(feature.ks.is_none_or(|ks| ks == 0.0));
            prop_assert!(!feature.is_drifted);
        }
        prop_assert_eq!(drift.share, (!rows.is_empty()).then_some(0.0));
    }

    #[test]
    fn the_counts_of_a_reference_equal_the_summary_of_its_rows(rows in rows(150)) {
        let reference = reference_of(&rows);
        let summary = summary_of(&reference, &rows);
        for (feature, counts) in reference.features.iter().zip(&summary.features).chain(reference.scores.iter().zip(&summary.scores)) {
            prop_assert_eq!(&feature.counts, counts);
            prop_assert_eq!(counts.rows(), rows.len() as u64);
        }
    }

    #[test]
    fn distances_stay_in_their_range(before in rows(100), now in rows(100)) {
        let reference = reference_of(&before);
        let drift = drift(&reference, &summary_of(&reference, &now)).unwrap();
        for feature in all_columns(&drift) {
            prop_assert_eq!(feature.psi.is_some(), !before.is_empty() && !now.is_empty());
            prop_assert!(feature.psi.is_none_or(|psi| psi >= 0.0 && psi.is_finite()));
            prop_assert!(feature.ks.is_none_or(|ks| (0.0..=1.0).contains(&ks)));
            prop_assert_eq!(feature.is_drifted, feature.psi.is_some_and(|psi| psi >= 0.25));
        }
        if let Some(share) = drift.share {
            let drifted = drift.features.iter().filter(|feature| feature.is_drifted).count();
            prop_assert_eq!(share, drifted as f64 / 2.0);
        }
    }

    #[test]
    fn shares_of_bins_add_up_to_one(before in rows(60), now in rows(60)) {
        let reference = reference_of(&before);
        let summary = summary_of(&reference, &now);
        for name in ["number", "text", "score"] {
            let bins = bin_shares(&reference, &summary, name).unwrap().unwrap();
            let total = |share: fn(&perennial_monitoring::BinShares) -> f64| bins.iter().map(share).sum::<f64>();
            prop_assert!((total(|bin| bin.reference) - f64::from(u8::from(!before.is_empty()))).abs() < 1e-9);
            prop_assert!((total(|bin| bin.current) - f64::from(u8::from(!now.is_empty()))).abs() < 1e-9);
        }
    }

    #[test]
    fn references_and_summaries_round_trip_through_json(before in rows(60), now in rows(60)) {
        let reference = reference_of(&before);
        let restored: Reference = serde_json::from_str(&serde_json::to_string(&reference).unwrap()).unwrap();
        prop_assert_eq!(&restored, &reference);
        prop_assert_eq!(restored.fingerprint(), reference.fingerprint());
        let summary = summary_of(&restored, &now);
        let again: Summary = serde_json::from_str(&serde_json::to_string(&summary).unwrap()).unwrap();
        let found = drift(&restored, &again).unwrap();
        let again: Drift = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
        prop_assert_eq!(again, found);
    }
}
