use super::*;
use proptest::prelude::*;

fn canaries(keys: usize, share: f64, salt: &str) -> usize {
    (0..keys).filter(|key| route(&format!("flight-{key}"), share, salt) == TrafficRole::Canary).count()
}

#[test]
fn the_canary_gets_its_share() {
    // Four standard deviations of a binomial of 100,000.
    for share in [0.01_f64, 0.1, 0.5, 0.9] {
        let expected = 100_000.0 * share;
        let tolerance = 4.0 * (expected * (1.0 - share)).sqrt();
        let got = canaries(100_000, share, "a") as f64;
        assert!((got - expected).abs() < tolerance, "share {share}: {got}");
    }
}

#[test]
fn positions_are_uniform() {
    // Chi-square over 100 bins has 99 degrees of freedom; 160 is beyond its 99.99th percentile.
    let mut bins = [0_u32; 100];
    for key in 0..100_000 {
        bins[(position(&format!("{key}"), "salt") * 100.0) as usize] += 1;
    }
    let chi_square: f64 = bins.iter().map(|&count| (f64::from(count) - 1000.0).powi(2) / 1000.0).sum();
    assert!(chi_square < 160.0, "{chi_square}");
}

#[test]
fn nothing_and_everything_are_exact() {
    assert_eq!(canaries(1000, 0.0, "a"), 0);
    assert_eq!(canaries(1000, 1.0, "a"), 1000);
    assert_eq!(canaries(1000, f64::NAN, "a"), 0);
}

#[test]
fn another_salt_is_another_sample() {
    let both = (0..10_000)
        .filter(|key| {
            let key = key.to_string();
            route(&key, 0.1, "first") == TrafficRole::Canary && route(&key, 0.1, "second") == TrafficRole::Canary
        })
        .count();
    assert!((60..150).contains(&both), "{both}");
}

proptest! {
    #[test]
    fn a_key_stays_with_the_canary_when_its_share_grows(key in ".{0,20}", low in 0.0..1.0, more in 0.0..1.0) {
        let high = low + more * (1.0 - low);
        if route(&key, low, "s") == TrafficRole::Canary {
            prop_assert_eq!(route(&key, high, "s"), TrafficRole::Canary);
        }
    }
}
