use arrow::array::AsArray;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use perennial_core::port::data::LocalTime;
use perennial_core::time_text::{Time, parse_date, parse_time};
use proptest::prelude::*;

use super::infer::InferredType;
use super::text;
use super::zone::{ColumnZone, LocalTimes};

fn utc() -> ColumnZone {
    LocalTimes::new(LocalTime::default()).unwrap().column("c")
}

#[test]
fn codes_with_leading_zeros_and_long_integers_are_text() {
    for (value, inferred) in [
        ("0", InferredType::Int),
        ("-7", InferredType::Int),
        ("007", InferredType::Text),
        ("9007199254740992", InferredType::Int),
        ("9007199254740993", InferredType::LongInt),
        ("-9223372036854775808", InferredType::Int),
        ("9223372036854775807", InferredType::LongInt),
        ("9223372036854775808", InferredType::WideInt),
        ("18446744073709551615", InferredType::NumberText),
        ("18446744073709551616", InferredType::WideInt),
        ("99999999999999999999", InferredType::NumberText),
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

/// Integers at and around the limits of doubles and of 64 bits, and any others.
fn integers() -> impl Strategy<Value = i128> {
    let near = (prop::sample::select(vec![53_u32, 63, 64, 100]), -2_i128..=2, any::<bool>());
    let near = near
        .prop_map(|(bits, offset, is_negative)| if is_negative { -(1 << bits) + offset } else { (1 << bits) + offset });
    prop_oneof![4 => near, 1 => any::<i64>().prop_map(i128::from), 1 => -9_i128..10]
}

#[test]
fn a_text_of_digits_is_a_float_only_if_a_double_holds_it() {
    for (value, expected) in [
        ("9007199254740992", Some(9_007_199_254_740_992.0)),
        ("9007199254740993", None),
        ("9007199254740993.0", Some(9_007_199_254_740_992.0)),
        ("100000000000000000000", Some(1e20)),
        ("170141183460469231731687303715884105727", None),
        ("0.1", Some(0.1)),
        ("-1e3", Some(-1000.0)),
    ] {
        assert_eq!(text::float(value), expected, "{value}");
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
    /// Integers, with and without a float beside them: all digits are in the column, whatever its type.
    #[test]
    fn no_digit_of_an_integer_is_lost(values in prop::collection::vec(integers(), 1..5), with_float in any::<bool>()) {
        let texts: Vec<String> = values.iter().map(i128::to_string).collect();
        let mut inferred = InferredType::default();
        texts.iter().map(String::as_str).chain(with_float.then_some("0.5")).for_each(|value| inferred.observe(value));
        let kind = inferred.kind().expect("a type");
        let mut builder = super::columns::ColumnBuilder::new(&kind, &utc()).expect("a scalar");
        for value in &texts {
            prop_assert!(builder.push(value).is_some(), "{value} as {kind}");
        }
        let column = builder.finish();
        for (row, value) in values.iter().enumerate() {
            let kept = match kind {
                DataType::Float64 => column.as_primitive::<Float64Type>().value(row) as i128,
                DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
                _ => column.as_string::<i32>().value(row).parse().expect("digits"),
            };
            prop_assert_eq!(kept, *value, "as {}", kind);
        }
        prop_assert_eq!(inferred.is_number_as_text(), kind == DataType::Utf8);
    }

    #[test]
    fn the_join_of_types_does_not_depend_on_the_order(mut values in prop::collection::vec("[0-9]{1,20}|0\\.5|true|x|2020-01-01|", 1..6)) {
        let infer = |values: &[String]| {
            let mut inferred = InferredType::default();
            values.iter().filter(|value| !value.is_empty()).for_each(|value| inferred.observe(value));
            inferred
        };
        let forward = infer(&values);
        values.reverse();
        prop_assert_eq!(infer(&values), forward);
    }

    #[test]
    fn the_inferred_type_parses_every_value(values in prop::collection::vec("[-+]?[0-9]{1,4}(\\.[0-9]{1,3})?|true|false|NaN|[a-z]{1,3}|20[0-9]{2}-0[1-9]-0[1-9]", 1..8)) {
        let mut inferred = InferredType::default();
        for value in &values {
            inferred.observe(value);
        }
        if let Some(kind) = inferred.kind() {
            let mut builder = super::columns::ColumnBuilder::new(&kind, &utc()).expect("a scalar");
            for value in &values {
                prop_assert!(builder.push(value).is_some(), "{value} as {kind}");
            }
        }
    }

    #[test]
    fn every_date_round_trips(days in -700_000i32..2_900_000) {
        prop_assert_eq!(parse_date(&crate::sql::date_text(days)), Some(days));
    }

    #[test]
    fn every_timestamp_round_trips(us in -60_000_000_000_000_000i64..250_000_000_000_000_000) {
        prop_assert_eq!(parse_time(&crate::sql::timestamp_text(us)), Some(Time::Instant(us)));
    }
}
