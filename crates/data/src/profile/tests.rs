use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;

fn profile_of(columns: Vec<(&str, ArrayRef)>) -> Vec<ColumnProfile> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    Profile::of(&batch).expect("canonical columns").finish()
}

#[test]
fn nan_counts_as_null() {
    let column: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), Some(f64::NAN), None, Some(3.0)]));
    let profile = &profile_of(vec![("x", column)])[0];
    assert_eq!((profile.rows, profile.nulls, profile.distinct), (4, 2, 2));
    assert_eq!((profile.mean, profile.deviation), (Some(2.0), Some(std::f64::consts::SQRT_2)));
    assert_eq!((&profile.min, &profile.max), (&Some(1.0.into()), &Some(3.0.into())));
}

#[test]
fn most_frequent_values_come_first_and_many_distinct_values_have_none() {
    let few: ArrayRef = Arc::new(StringArray::from(vec!["b", "a", "b", "c"]));
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, true, false, true]));
    let profiles = profile_of(vec![("few", few), ("flag", flags)]);
    assert_eq!(profiles[0].top, [("b".to_owned(), 2), ("a".to_owned(), 1), ("c".to_owned(), 1)]);
    assert_eq!(profiles[1].top, [("true".to_owned(), 3), ("false".to_owned(), 1)]);
    let many: ArrayRef = Arc::new(StringArray::from_iter_values((0..1001).map(|i| i.to_string())));
    assert!(profile_of(vec![("many", many)])[0].top.is_empty());
}

#[test]
fn quantiles_of_few_values_are_exact() {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..=100));
    assert_eq!(profile_of(vec![("x", column)])[0].quantiles, Some([5.0, 25.0, 50.0, 75.0, 95.0]));
}

#[test]
fn quantiles_of_infinite_numbers_are_finite() {
    let mut sketch = quantiles::Quantiles::new();
    sketch.observe([f64::MAX, -f64::MAX, f64::INFINITY, f64::NEG_INFINITY].repeat(2_000));
    let quantiles = sketch.at(QUANTILES).expect("values");
    assert!(quantiles.iter().all(|value| value.is_finite()), "{quantiles:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn distinct_is_within_three_percent(count in 1u64..200_000) {
        let mut sketch = distinct::Distinct::new();
        (0..count).for_each(|value| sketch.observe_u64(value));
        (0..count).for_each(|value| sketch.observe_u64(value));
        let error = (sketch.estimate() as f64 - count as f64).abs() / count as f64;
        prop_assert!(error < 0.03, "{count}: {error}");
    }

    #[test]
    fn quantiles_merged_from_parts_are_within_half_a_percent_of_rank(seed in any::<u64>(), parts in 1usize..30) {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let mut sketch = quantiles::Quantiles::new();
        let mut all = Vec::new();
        for _ in 0..parts {
            let part: Vec<f64> = (0..4000).map(|_| next().powi(3)).collect();
            all.extend_from_slice(&part);
            let mut other = quantiles::Quantiles::new();
            other.observe(part);
            sketch.merge(&other);
        }
        all.sort_by(f64::total_cmp);
        for (share, value) in QUANTILES.iter().zip(sketch.at(QUANTILES).expect("values")) {
            let rank = all.partition_point(|other| *other < value) as f64 / all.len() as f64;
            prop_assert!((rank - share).abs() < 0.005, "{share}: {rank}");
        }
    }

    #[test]
    fn merged_profiles_equal_the_profile_of_the_whole(values in prop::collection::vec(any::<Option<i32>>(), 1..200), cut in 0usize..200) {
        let whole: ArrayRef = Arc::new(values.iter().map(|v| v.map(i64::from)).collect::<Int64Array>());
        let batch = RecordBatch::try_from_iter(vec![("x", whole)]).expect("one column");
        let cut = cut.min(values.len());
        let mut merged = Profile::of(&batch.slice(0, cut)).expect("profile");
        merged.merge(&Profile::of(&batch.slice(cut, values.len() - cut)).expect("profile"));
        let (merged, whole) = (merged.finish(), Profile::of(&batch).expect("profile").finish());
        prop_assert_eq!(&merged[0].min, &whole[0].min);
        prop_assert_eq!(&merged[0].max, &whole[0].max);
        prop_assert_eq!((merged[0].rows, merged[0].nulls, merged[0].distinct), (whole[0].rows, whole[0].nulls, whole[0].distinct));
        let close = |a: Option<f64>, b: Option<f64>| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * b.abs().max(1.0),
            (a, b) => a == b,
        };
        prop_assert!(close(merged[0].mean, whole[0].mean));
        prop_assert!(close(merged[0].deviation, whole[0].deviation));
        prop_assert_eq!(merged[0].quantiles, whole[0].quantiles);
    }
}
