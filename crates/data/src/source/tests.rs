use proptest::prelude::*;

use super::infer::InferredType;
use super::text;

#[test]
fn dates_and_timestamps_are_parsed_in_common_forms() {
    let check = |value: &str, expected: Option<i64>| assert_eq!(text::timestamp(value), expected, "{value}");
    check("1970-01-01T00:00:00Z", Some(0));
    check("1970-01-01 00:00", Some(0));
    check("1970-01-01T00:00:00.000001", Some(1));
    check("1970-01-01T00:00:00.1234567Z", Some(123_456));
    check("2013-01-01T05:00:00-05:00", Some(1_357_034_400_000_000));
    check("2013-01-01T05:00:00+0530", Some(1_356_996_600_000_000));
    check("1969-12-31T23:59:59.999999Z", Some(-1));
    for wrong in [
        "2013-02-29T00:00:00Z",
        "2013-01-01T24:00",
        "2013-01-01T00:60",
        "2013-01-01",
        "2013-01-01Tnoon",
        "2013-01-01T00:00:00.Z",
        "x",
    ] {
        check(wrong, None);
    }
    assert_eq!(text::date("2012-02-29"), Some(15_399));
    assert_eq!(text::date("2013-13-01"), None);
}

#[test]
fn codes_with_leading_zeros_and_long_integers_are_text() {
    for (value, inferred) in [
        ("0", InferredType::Int),
        ("-7", InferredType::Int),
        ("007", InferredType::Text),
        ("99999999999999999999", InferredType::Text),
        ("1e3", InferredType::Float),
        ("0.50", InferredType::Float),
        ("NaN", InferredType::Float),
        ("True", InferredType::Bool),
        ("2013-01-01", InferredType::Date),
        ("2013-01-01T00:00Z", InferredType::Timestamp),
        ("N14228", InferredType::Text),
    ] {
        assert_eq!(InferredType::of(value), inferred, "{value}");
    }
}

#[test]
fn integers_may_have_a_fraction_of_zeros() {
    assert_eq!(
        (text::int("12"), text::int("12.0"), text::int("12.5"), text::int("12.")),
        (Some(12), Some(12), None, None)
    );
}

proptest! {
    #[test]
    fn the_inferred_type_parses_every_value(values in prop::collection::vec("[-+]?[0-9]{1,4}(\\.[0-9]{1,3})?|true|false|NaN|[a-z]{1,3}|20[0-9]{2}-0[1-9]-0[1-9]", 1..8)) {
        let mut inferred = InferredType::default();
        for value in &values {
            inferred.observe(value);
        }
        if let Some(kind) = inferred.kind() {
            let mut builder = super::columns::ColumnBuilder::new(&kind).expect("a scalar");
            for value in &values {
                prop_assert!(builder.push(value).is_some(), "{value} as {kind}");
            }
        }
    }

    #[test]
    fn every_date_round_trips(days in -700_000i32..2_900_000) {
        prop_assert_eq!(text::date(&crate::sql::date_text(days)), Some(days));
    }

    #[test]
    fn every_timestamp_round_trips(us in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
        prop_assert_eq!(text::timestamp(&crate::sql::timestamp_text(us)), Some(us));
    }
}
