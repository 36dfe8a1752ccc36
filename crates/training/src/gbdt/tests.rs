use proptest::prelude::*;

use super::boosting::Sampler;
use super::export::threshold;

#[test]
fn a_threshold_representable_in_32_bits_is_unchanged() {
    for value in [0.0, -1.5, 0.1_f32.into(), f64::from(f32::MAX), f64::from(f32::MIN_POSITIVE)] {
        assert_eq!(f64::from(threshold(value)), value);
    }
}

#[test]
fn a_threshold_beyond_the_32_bit_range_is_above_every_number() {
    assert_eq!(threshold(f64::MAX), f32::INFINITY);
    assert_eq!(threshold(-1e300), f32::MIN);
}

proptest! {
    #[test]
    fn an_exported_threshold_splits_every_32_bit_number_as_before(value: f64, bits: u32) {
        let exported = threshold(value);
        let near = value as f32;
        for x in [f32::from_bits(bits), near, near.next_up(), near.next_down(), exported, exported.next_down()] {
            if !x.is_nan() {
                prop_assert_eq!(f64::from(x) < value, x < exported, "{} against {}", x, value);
            }
        }
    }

    #[test]
    fn rows_and_columns_are_sampled_by_their_share(seed: u64, share in 0.05_f64..1.0) {
        let (in_bag, out_of_bag) = Sampler(seed).rows(10_000, share);
        prop_assert_eq!(in_bag.len() + out_of_bag.len(), 10_000);
        prop_assert!((in_bag.len() as f64 / 10_000.0 - share).abs() < 0.03);
        let columns = Sampler(seed).columns(40, share);
        prop_assert_eq!(columns.len(), ((40.0 * share).round() as usize).max(1));
        prop_assert!(columns.windows(2).all(|two| two[0] < two[1]) && columns[columns.len() - 1] < 40);
    }
}

#[test]
fn a_tree_uses_at_least_one_row_and_one_column() {
    for seed in 0..50 {
        assert_eq!(Sampler(seed).rows(1, 0.01).0, [0]);
        assert_eq!(Sampler(seed).columns(3, 0.01).len(), 1);
    }
}
