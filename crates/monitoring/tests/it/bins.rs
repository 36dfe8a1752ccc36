//! Bins of references, and input that does not match them.

use perennial_core::ErrorCode;
use perennial_core::frame::{Column, Frame};
use perennial_core::model::Scores;
use perennial_monitoring::{Error, MAX_CATEGORIES, Reference, Summary, bin_shares, drift};

use crate::oracle::{number, reference, scores, summary, text};

fn labels(before: &Frame) -> Vec<String> {
    let reference = reference(before);
    bin_shares(&reference, &Summary::new(&reference), "feature")
        .unwrap()
        .unwrap()
        .into_iter()
        .map(|bin| bin.label)
        .collect()
}

#[test]
fn bins_of_plain_numbers_are_deciles() {
    let values: Vec<f64> = (1..=1000).map(|value| f64::from(value) / 10.0).collect();
    let expected = [
        "≤ 10",
        "10 – 20",
        "20 – 30",
        "30 – 40",
        "40 – 50",
        "50 – 60",
        "60 – 70",
        "70 – 80",
        "80 – 90",
        "> 90",
        "missing",
    ];
    assert_eq!(labels(&number(&values)), expected);
}

#[test]
fn a_frequent_value_has_a_bin_of_its_own() {
    let mut values = vec![0.0; 500];
    values.extend((1..=500).map(f64::from));
    assert_eq!(
        labels(&number(&values)),
        ["< 0", "0", "0 – 100", "100 – 200", "200 – 300", "300 – 400", "> 400", "missing"]
    );
    assert_eq!(labels(&number(&[7.5; 10])), ["< 7.5", "7.5", "> 7.5", "missing"]);
    assert_eq!(labels(&number(&[f64::NAN; 10])), ["any", "missing"]);
}

#[test]
fn a_constant_that_changes_has_drifted_in_either_direction() {
    let reference = reference(&number(&[5.0; 100]));
    for value in [4.0, 4.999_999_999, 6.0, f64::NEG_INFINITY, f64::INFINITY, f64::NAN] {
        let found = drift(&reference, &summary(&reference, &number(&[value; 100]))).unwrap();
        assert!(found.features[0].is_drifted, "{value}: {:?}", found.features[0]);
        assert_eq!(found.share, Some(1.0));
    }
}

#[test]
fn rare_categories_are_counted_as_other() {
    let names: Vec<String> = (0..60).map(|value| format!("v{value:02}")).collect();
    let rows: Vec<Option<&str>> =
        names.iter().enumerate().flat_map(|(index, name)| vec![Some(name.as_str()); 100 - index]).collect();
    let reference = reference(&text(&rows));
    let bins =
        bin_shares(&reference, &summary(&reference, &text(&[Some("v00"), Some("v59"), Some("new"), None])), "feature")
            .unwrap()
            .unwrap();
    assert_eq!(bins.len(), MAX_CATEGORIES + 2);
    let now: Vec<(&str, f64)> =
        bins.iter().filter(|bin| bin.current > 0.0).map(|bin| (bin.label.as_str(), bin.current)).collect();
    assert_eq!(now, [("v00", 0.25), ("other", 0.5), ("missing", 0.25)]);
}

#[test]
fn missing_values_are_drift() {
    let reference = reference(&number(&(0..100).map(f64::from).collect::<Vec<_>>()));
    let half: Vec<f64> = (0..100).map(|value| if value % 2 == 0 { f64::NAN } else { f64::from(value) }).collect();
    let found = drift(&reference, &summary(&reference, &number(&half))).unwrap();
    let feature = &found.features[0];
    assert!(feature.is_drifted && feature.psi.unwrap() > 1.0);
    assert!(feature.ks.unwrap() <= 0.011, "the values that are present have not moved: {:?}", feature.ks);
    assert_eq!((feature.missing, feature.reference_missing), (0.5, 0.0));
}

#[test]
fn the_share_counts_features_only() {
    let rows: Vec<f64> = (0..100).map(f64::from).collect();
    let reference =
        Reference::new(&number(&rows), &scores(&rows.iter().map(|row| row / 100.0).collect::<Vec<_>>()), &[]);
    let mut summary = Summary::new(&reference);
    summary.add(&reference, &number(&rows), &scores(&[0.999; 100])).unwrap();
    let found = drift(&reference, &summary).unwrap();
    assert_eq!(found.share, Some(0.0));
    assert!(found.scores[0].is_drifted);
    assert_eq!((found.scores[0].name.as_str(), found.score()), ("score", found.scores[0].psi));
}

#[test]
fn each_class_of_a_multiclass_model_has_a_score() {
    let classes = ["low", "high"].map(str::to_owned);
    let answers = Scores { width: 2, values: vec![0.1, 0.9, 0.2, 0.8, 0.3, 0.7] };
    let reference = Reference::new(&Frame::new(), &answers, &classes);
    let mut summary = Summary::new(&reference);
    summary.add(&reference, &Frame::new(), &answers).unwrap();
    let found = drift(&reference, &summary).unwrap();
    assert_eq!(found.scores.iter().map(|score| score.name.as_str()).collect::<Vec<_>>(), ["low", "high"]);
    assert_eq!((found.share, found.score()), (None, Some(0.0)));
    let narrow = summary.add(&reference, &Frame::new(), &scores(&[0.5])).unwrap_err();
    assert_eq!(narrow, Error::Width { expected: 2, found: 1 });
}

#[test]
fn mismatched_rows_are_refused_and_not_counted() {
    let reference = reference(&number(&[1.0, 2.0]));
    let mut summary = Summary::new(&reference);
    let error = summary.add(&reference, &Frame::new(), &scores(&[])).unwrap_err();
    assert_eq!(error.to_string(), "the rows have no column `feature`, expected it as a feature of the reference");
    let error = summary.add(&reference, &text(&[Some("one"), None]), &scores(&[])).unwrap_err();
    assert_eq!(error.to_string(), "the column `feature` has text, expected numbers as in the reference");
    assert_eq!(perennial_core::Error::from(error).code(), ErrorCode::WrongState);
    assert_eq!(summary, Summary::new(&reference));
    // A column without any value has no type.
    summary.add(&reference, &text(&[None, None]), &scores(&[])).unwrap();
    assert_eq!((summary.rows, summary.features[0].missing), (2, 2));
}

#[test]
fn summaries_of_another_reference_are_refused() {
    let (first, second) = (reference(&number(&[1.0, 2.0])), reference(&number(&[1.0, 3.0])));
    let mut summary = Summary::new(&first);
    assert!(matches!(summary.merge(&Summary::new(&second)), Err(Error::ReferenceMismatch { .. })));
    assert!(matches!(summary.add(&second, &number(&[1.0]), &scores(&[])), Err(Error::ReferenceMismatch { .. })));
    assert!(matches!(drift(&second, &summary), Err(Error::ReferenceMismatch { .. })));
    assert!(matches!(bin_shares(&second, &summary, "feature"), Err(Error::ReferenceMismatch { .. })));
    assert_eq!(bin_shares(&first, &summary, "other").unwrap(), None);
}

#[test]
fn columns_are_found_by_name_in_any_order() {
    let mut before = number(&[1.0, 2.0, 3.0]);
    before.push("second", Column::Number(vec![10.0, 20.0, 30.0]));
    let reference = reference(&before);
    let turned = before.select(&["second", "feature"]);
    assert_eq!(summary(&reference, &turned), summary(&reference, &before));
}

#[test]
fn the_size_of_a_reference_is_bounded() {
    let values: Vec<f64> = (0..50_000).map(|row| f64::from(row * 7919 % 50_000).sqrt()).collect();
    let names: Vec<String> = (0..5000).map(|value| format!("value {value}")).collect();
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
    let bytes = |frame| serde_json::to_vec(&reference(&frame)).unwrap().len();
    assert!(bytes(number(&values)) < 8000, "{}", bytes(number(&values)));
    assert!(bytes(text(&names)) < 1500, "{}", bytes(text(&names)));
}
