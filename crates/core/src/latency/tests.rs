use proptest::prelude::*;

use super::*;

#[test]
fn latencies_beyond_the_range_are_clamped() {
    let histogram = LatencyHistogram::new();
    assert_eq!(histogram.latency(), None);
    for latency in [-1.0, 0.0, f64::NAN, f64::INFINITY] {
        histogram.record(latency);
    }
    assert_eq!(histogram.count(), 4);
    let (least, most) = (histogram.quantile(0.0).unwrap(), histogram.quantile(1.0).unwrap());
    assert!((least / 1e-3 - 1.0).abs() <= 0.01 && (most / 86_400_000.0 - 1.0).abs() <= 0.01, "{least} {most}");
}

#[test]
fn the_range_fills_all_bins() {
    let bin = |milliseconds: f64| (milliseconds.ln() / growth().ln()).ceil() as i32;
    assert_eq!(bin(SHORTEST_MS), FIRST_BIN);
    assert_eq!((bin(LONGEST_MS) - FIRST_BIN + 1) as usize, BINS);
}

#[test]
fn threads_record_into_one_histogram() {
    let histogram = LatencyHistogram::new();
    std::thread::scope(|scope| {
        for latency in [1.0, 10.0] {
            let histogram = &histogram;
            scope.spawn(move || (0..1_000).for_each(|_| histogram.record(latency)));
        }
    });
    histogram.record_many(100.0, 3);
    assert_eq!(histogram.count(), 2_003);
    let [p50, p100] = [0.49, 1.0].map(|quantile| histogram.quantile(quantile).unwrap());
    assert!((p50 - 1.0).abs() <= 0.01 && (p100 / 100.0 - 1.0).abs() <= 0.01, "{p50} {p100}");
}

proptest! {
    #[test]
    fn quantiles_are_ordered(values in prop::collection::vec(0.0..1e6_f64, 0..100)) {
        let histogram = LatencyHistogram::new();
        for &value in &values {
            histogram.record(value);
        }
        prop_assert_eq!(histogram.count(), values.len() as u64);
        if let Some(latency) = histogram.latency() {
            prop_assert!(latency.p50_ms <= latency.p99_ms);
        }
    }
}

#[test]
fn every_latency_is_in_one_bucket() {
    let histogram = LatencyHistogram::new();
    assert_eq!(histogram.buckets(&[1.0, 10.0]), (vec![0, 0, 0], 0.0));
    for milliseconds in [0.5, 0.9, 2.0, 9.0, 50.0, f64::NAN] {
        histogram.record(milliseconds);
    }
    let (buckets, sum) = histogram.buckets(&[1.0, 10.0]);
    assert_eq!(buckets, [2, 2, 2]);
    assert!((sum - 86_400_062.4).abs() < 0.02 * 86_400_062.4, "{sum}");
}
