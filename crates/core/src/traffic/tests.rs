use super::*;
use proptest::prelude::*;

/// Whether a canary with a share receives a key.
fn is_canary(key: &str, share: f64, salt: &str) -> bool {
    choose(key, salt, [share]) == Some(0)
}

fn canaries(keys: usize, share: f64, salt: &str) -> usize {
    (0..keys).filter(|key| is_canary(&format!("flight-{key}"), share, salt)).count()
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
            is_canary(&key, 0.1, "first") && is_canary(&key, 0.1, "second")
        })
        .count();
    assert!((60..150).contains(&both), "{both}");
}

proptest! {
    #[test]
    fn a_key_stays_with_the_canary_when_its_share_grows(key in ".{0,20}", low in 0.0..1.0, more in 0.0..1.0) {
        let high = low + more * (1.0 - low);
        prop_assert!(!is_canary(&key, low, "s") || is_canary(&key, high, "s"));
    }
}

#[test]
fn each_of_several_versions_receives_its_share() {
    let shares = [0.2, 0.0, 0.1, f64::NAN, -1.0];
    let mut received = [0; 5];
    for key in 0..100_000 {
        if let Some(index) = choose(&format!("flight-{key}"), "salt", shares) {
            received[index] += 1;
        }
    }
    let [first, none, third, nan, negative] = received;
    assert!((19_500..20_500).contains(&first) && (9_600..10_400).contains(&third), "{received:?}");
    assert_eq!([none, nan, negative], [0; 3]);
}
