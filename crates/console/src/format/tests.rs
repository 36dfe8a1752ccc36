use perennial_core::cause::{Cause, TriggerEvent};
use serde_json::json;

use super::*;

#[test]
fn numbers_are_grouped_and_what_is_undefined_is_a_dash() {
    assert_eq!(count(336_776_i64), "336,776");
    assert_eq!(count(-1_000_i64), "−1,000");
    assert_eq!(
        (number(0.712_34), number(28_243.0), number(1_039.96)),
        ("0.7123".to_owned(), "28,243".to_owned(), "1,039.9".to_owned())
    );
    assert_eq!(
        (number(f64::NAN), percent(None::<f64>), milliseconds(f64::INFINITY)),
        ("–".to_owned(), "–".to_owned(), "–".to_owned())
    );
    assert_eq!(
        (percent(0.125), bytes(14_200_000_u64), bytes(999_u64)),
        ("12.5 %".to_owned(), "14.2 MB".to_owned(), "999 bytes".to_owned())
    );
}

#[test]
fn durations_are_written_in_the_unit_that_fits() {
    let took = |ms| took(Some(0), Some(ms));
    assert_eq!(
        (took(12), took(12_345), took(83_400), took(7_260_000)),
        ("12 ms".to_owned(), "12.3 s".to_owned(), "1 min 23 s".to_owned(), "2 h 1 min".to_owned())
    );
    assert_eq!(super::took(Some(0), None), "–");
}

#[test]
fn causes_name_who_and_why() {
    let trigger = Cause::Trigger {
        trigger: "renew".parse().unwrap(),
        event: "dataset:flights".to_owned(),
        because: TriggerEvent::Dataset { dataset: "flights".parse().unwrap(), number: 3 },
    };
    assert_eq!(cause(&trigger), "trigger renew, because dataset:flights");
    let rule = Cause::RollbackRule { rule: Some("a > b".to_owned()), values: Vec::new() };
    assert_eq!(cause(&rule), "rollback rule, because a > b");
    assert_eq!(cause(&Cause::person("ada")), "person ada");
    assert_eq!(cause(&Cause::DeclarationGone {}), "declaration gone");
}

#[test]
fn a_long_value_is_cut_between_characters() {
    assert_eq!(value(&json!("ä".repeat(500))).chars().count(), VALUE_MAX + 1);
}

#[test]
fn names_stay_whole_and_digests_are_shortened() {
    assert_eq!(named("flight-delays/7"), "flight-delays/7");
    assert_eq!(named("ab".repeat(32)), "abababababab");
}
