use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::RecordBatch;
use perennial_core::port::data::LocalTime;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::timestamp;

mod oracle;

fn label() -> Arc<str> {
    Arc::from("a.jsonl")
}

fn utc() -> Arc<LocalTimes> {
    LocalTimes::new(LocalTime::default()).unwrap()
}

fn inferred(text: &str) -> Result<SchemaRef> {
    infer_schema_of_bytes(text.as_bytes(), &label(), None)
}

fn rows(text: &str, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    read(text.as_bytes(), &label(), schema, &utc(), &mut |batch| {
        batches.push(batch.batch);
        Ok(())
    })?;
    Ok(concat_batches(schema, &batches).unwrap())
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let fields = fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new("element", element, true)))
}

#[test]
fn no_digit_of_a_number_is_lost() {
    let schema = schema(&[("n", DataType::Int64), ("d", DataType::Decimal128(38, 18)), ("t", DataType::Utf8)]);
    let text = r#"{"n": 9007199254740993.0, "d": 1234567890.123456789012345678, "t": 123456789012345678901234567890}"#;
    let batch = rows(text, &schema).unwrap();
    assert_eq!(batch.column(0).as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
    assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value_as_string(0), "1234567890.123456789012345678");
    assert_eq!(batch.column(2).as_string::<i32>().value(0), "123456789012345678901234567890");
}

#[test]
fn integers_that_no_number_type_holds_are_text_with_a_warning() {
    let check = |text: &str, kind: DataType, warns: bool| {
        let schema = inferred(text).unwrap();
        assert_eq!(schema.field(0).data_type(), &kind, "{text}");
        assert_eq!(!crate::types::warnings(&schema).is_empty(), warns, "{text}");
        rows(text, &schema).unwrap()
    };
    let ids: Vec<String> = (0..600_u64).map(|row| format!("{{\"id\": {}}}", u64::MAX - row)).collect();
    let ids = ids.join("\n");
    let batch = check(&ids, DataType::Utf8, true);
    let distinct: std::collections::HashSet<_> = batch.column(0).as_string::<i32>().iter().collect();
    assert_eq!(distinct.len(), 600);
    check(r#"{"id": 9007199254740993}"#, DataType::Int64, false);
    check("{\"id\": 9007199254740993}\n{\"id\": 0.5}", DataType::Utf8, true);
    check("{\"id\": 100000000000000000000}\n{\"id\": 0.5}", DataType::Float64, false);
    check(r#"{"id": [18446744073709551615]}"#, list(DataType::Utf8), true);
    let point = |kind| DataType::Struct(vec![Field::new("p", kind, true)].into());
    check(r#"{"id": {"p": 18446744073709551615}}"#, point(DataType::Utf8), true);
    check(r#"{"id": {"p": 9223372036854775807}}"#, point(DataType::Int64), false);
}

#[test]
fn an_integer_that_a_double_does_not_hold_is_refused_in_a_column_of_floats() {
    let error = rows(r#"{"x": 9007199254740993}"#, &schema(&[("x", DataType::Float64)])).unwrap_err();
    let expected =
        "a.jsonl line 1: column `x` is `9007199254740993`, expected float, which does not hold this integer exactly";
    assert_eq!(error.to_string(), expected);
    assert!(rows(r#"{"x": 9007199254740992}"#, &schema(&[("x", DataType::Float64)])).is_ok());
}

#[test]
fn exponents_are_written_out_without_a_double() {
    let known = schema(&[("n", DataType::Int64), ("d", DataType::Decimal128(38, 18))]);
    for (number, whole, decimal) in [
        ("9.007199254740993e15", Some(9_007_199_254_740_993), "9007199254740993.000000000000000000"),
        ("-12e2", Some(-1200), "-1200.000000000000000000"),
        ("1200E-2", Some(12), "12.000000000000000000"),
        ("1.5e-3", None, "0.001500000000000000"),
        ("0e999999999", Some(0), "0.000000000000000000"),
    ] {
        let whole_rows = rows(&format!("{{\"n\": {number}}}"), &known);
        let found = whole_rows.ok().map(|batch| batch.column(0).as_primitive::<Int64Type>().value(0));
        assert_eq!(found, whole, "{number}");
        let batch = rows(&format!("{{\"d\": {number}}}"), &known).unwrap();
        assert_eq!(batch.column(1).as_primitive::<Decimal128Type>().value_as_string(0), decimal, "{number}");
    }
}

#[test]
fn numbers_that_are_not_integers_are_refused_in_a_column_of_integers() {
    for value in ["1.5", "9223372036854775808", "1e300", "-1e-1"] {
        let error = rows(&format!("{{\"n\": {value}}}"), &schema(&[("n", DataType::Int64)])).unwrap_err();
        assert_eq!(error.to_string(), format!("a.jsonl line 1: column `n` is `{value}`, expected int"));
    }
}

#[test]
fn numbers_in_lists_and_structs_are_as_exact_as_in_columns() {
    let point = DataType::Struct(vec![Field::new("p", DataType::Int64, true)].into());
    let known = schema(&[("l", list(DataType::Int64)), ("s", point), ("d", list(DataType::Decimal128(38, 18)))]);
    let text = r#"{"l": [9007199254740993.0, null], "s": {"p": 2.0}, "d": [1234567890.123456789012345678]}"#;
    let batch = rows(text, &known).unwrap();
    let element = |name: &str| batch.column_by_name(name).unwrap().as_list::<i32>().values().clone();
    assert_eq!(element("l").as_primitive::<Int64Type>().value(0), 9_007_199_254_740_993);
    assert_eq!(element("d").as_primitive::<Decimal128Type>().value_as_string(0), "1234567890.123456789012345678");
    for (line, value, expected) in [
        (r#"{"l": [1, 2.5]}"#, "column `l` is `[1, 2.5]`", "list<int>"),
        (r#"{"l": [1e30]}"#, "column `l` is `[1e30]`", "list<int>"),
        (r#"{"s": {"p": -0.5}}"#, "column `s` is `{\"p\": -0.5}`", "struct<p: int>"),
    ] {
        let error = rows(&format!("{{}}\n{line}"), &known).unwrap_err();
        assert_eq!(error.to_string(), format!("a.jsonl line 2: {value}, expected {expected}"));
    }
}

#[test]
fn bytes_are_read_from_hexadecimal_digits() {
    let known = schema(&[("b", DataType::Binary)]);
    let batch = rows("{\"b\": \"00fF\"}\n{}\n", &known).unwrap();
    assert_eq!(batch.column(0).as_binary::<i32>().iter().collect::<Vec<_>>(), [Some(&[0, 255][..]), None]);
    for value in ["\"0\"", "\"0g\"", "\"+1\"", "1"] {
        assert!(rows(&format!("{{\"b\": {value}}}"), &known).is_err(), "{value}");
    }
}

#[test]
fn a_value_that_no_column_can_have_is_refused() {
    for value in ["1e999", "-1e999", r#""\ud800""#, r"[1e999]"] {
        let text = format!("{{\"a\": \"x\"}}\n{{\"a\": {value}}}\n");
        assert!(inferred(&text).is_err(), "{value}");
        assert!(inferred(&format!("{{\"a\": {value}}}")).is_err(), "{value}");
        for kind in [DataType::Float64, DataType::Int64, DataType::Date32] {
            assert!(rows(&format!("{{\"a\": {value}}}"), &schema(&[("a", kind)])).is_err(), "{value}");
        }
    }
}

#[test]
fn only_one_json_object_per_line_is_accepted() {
    for line in [
        r#"{"a": 1 "b": 2}"#,
        r#"{"a": 1,, "b": 2}"#,
        r#"{"a": 1,}"#,
        r#"{"a": 1} {"a": 2}"#,
        r#"{"a": 01}"#,
        r#"{"a": 1"#,
        r#"{"a": "x"#,
        r"[1]",
        "1",
        "{\"a\": \"\u{1}\"}",
    ] {
        for error in [inferred(line).unwrap_err(), rows(line, &schema(&[("a", DataType::Int64)])).unwrap_err()] {
            assert!(error.to_string().starts_with("a.jsonl line 1 is not a JSON object: "), "{line}: {error}");
        }
    }
}

#[test]
fn a_deeply_nested_value_is_refused() {
    let deep = |depth: usize| format!("{{\"l\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(inferred(&deep(32)).is_ok());
    for depth in [33, 200, 1_000_000] {
        let error = inferred(&deep(depth)).unwrap_err();
        assert_eq!(error.to_string(), "a.jsonl line 1: column `l` is nested more than 32 deep");
    }
    for depth in [200, 1_000_000] {
        for kind in [list(DataType::Int64), DataType::Int64] {
            let error = rows(&deep(depth), &schema(&[("l", kind)])).unwrap_err();
            assert!(error.to_string().starts_with("a.jsonl line 1: column `l` is `[[["), "{error}");
        }
    }
}

#[test]
fn the_values_of_a_line_and_the_columns_of_all_lines_are_bounded() {
    let many = format!("{{\"l\": [{}1]}}", "1,".repeat(LINE_VALUES_MAX));
    let expected = "a.jsonl line 1 has more than 1048576 values";
    assert_eq!(inferred(&many).unwrap_err().to_string(), expected);
    assert_eq!(rows(&many, &schema(&[("l", list(DataType::Int64))])).unwrap_err().to_string(), expected);
    // A short element of a list may have many null members.
    let wide = (0..4000).map(|at| Field::new(format!("m{at}"), DataType::Int64, true)).collect();
    let short = format!("{{\"l\": [{}{{}}]}}", "{},".repeat(1000));
    assert_eq!(rows(&short, &schema(&[("l", list(DataType::Struct(wide)))])).unwrap_err().to_string(), expected);
    for lines in [
        (0..5000).map(|row| format!("{{\"c{row}\": 1}}")).collect::<Vec<_>>(),
        (0..5000).map(|row| format!("{{\"o\": {{\"c{row}\": 1}}}}")).collect(),
    ] {
        let error = inferred(&lines.join("\n")).unwrap_err().to_string();
        assert!(error.ends_with("the rows up to here have more than 4096 columns and members of objects"), "{error}");
    }
}

#[test]
fn a_batch_of_rows_with_many_columns_is_short() {
    let fields: Vec<_> = (0..4000).map(|at| Field::new(format!("c{at}"), DataType::Int64, true)).collect();
    let mut counts = Vec::new();
    read("{}\n".repeat(2000).as_bytes(), &label(), &Arc::new(ArrowSchema::new(fields)), &utc(), &mut |batch| {
        counts.push(batch.batch.num_rows());
        Ok(())
    })
    .unwrap();
    assert_eq!(counts, [525, 525, 525, 425]);
}

#[test]
fn values_of_several_kinds_are_refused_with_the_line_of_the_first_other_one() {
    for (text, expected) in [
        ("{\"a\": 1}\n{\"a\": [1]}", "which has a list where earlier rows have a scalar"),
        ("{\"a\": {\"p\": [1]}}\n{\"a\": {\"p\": 1}}", "which has a scalar where earlier rows have a list"),
    ] {
        let error = inferred(text).unwrap_err().to_string();
        assert!(error.starts_with("a.jsonl line 2: column `a` is ") && error.ends_with(expected), "{error}");
    }
    let error = inferred("{\"a\": {}}").unwrap_err().to_string();
    assert_eq!(error, "a.jsonl: column `a` has objects that have no member in any row");
}

#[test]
fn a_nested_value_of_another_type_is_reported_by_its_line() {
    let text = "{\"l\": [1]}\n\n{\"l\": null}\n{\"l\": [\"x\"]}\n{}\n";
    let error = rows(text, &schema(&[("l", list(DataType::Int64))])).unwrap_err();
    assert_eq!(error.to_string(), "a.jsonl line 4: column `l` is `[\"x\"]`, expected list<int>");
}

#[test]
fn an_unknown_member_is_reported_by_its_line() {
    let error = rows("{\"a\": 1}\n{\"b\": 2}\n", &schema(&[("a", DataType::Int64)])).unwrap_err();
    assert_eq!(error.to_string(), "a.jsonl line 2: the other rows of the load have no column `b`");
}

/// JSON of values, of which some are alike so that columns have a type.
fn values() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1000_i64..1000).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1_000_000_i32..1_000_000).prop_map(|n| Value::from(f64::from(n) / 64.0)),
        (-1_000_000_i32..1_000_000).prop_map(|n| Value::from(f64::from(n) * 1e30)),
        Just(json!("2013-01-31")),
        Just(json!("2013-01-31T17:00:00Z")),
        Just(json!("12.0")),
        Just(json!("007")),
        Just(json!("true")),
        "[a-z\"\\\\é\n]{0,4}".prop_map(Value::from),
    ];
    scalar.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[pq]", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// JSON lines, some of them empty.
fn lines() -> impl Strategy<Value = String> {
    let row = prop::collection::vec(("[a-d]", values()), 0..5);
    prop::collection::vec(prop::option::weighted(0.9, row), 0..6).prop_map(|rows| {
        let line = |row: Vec<(String, Value)>| {
            let members: Vec<String> = row.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
            format!("{{{}}}", members.join(", "))
        };
        rows.into_iter().map(|row| row.map(line).unwrap_or_default() + "\n").collect()
    })
}

fn known_schemas() -> impl Strategy<Value = SchemaRef> {
    let kinds = vec![
        DataType::Boolean,
        DataType::Int64,
        DataType::Float64,
        DataType::Decimal128(20, 6),
        DataType::Utf8,
        DataType::Date32,
        timestamp(),
        list(DataType::Int64),
        list(DataType::Utf8),
        DataType::Struct(vec![Field::new("p", DataType::Int64, true), Field::new("q", DataType::Utf8, true)].into()),
    ];
    prop::collection::vec(prop::sample::select(kinds), 4)
        .prop_map(|kinds| schema(&["a", "b", "c", "d"].into_iter().zip(kinds).collect::<Vec<_>>()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn schemas_are_inferred_as_from_maps(text in lines()) {
        match (inferred(&text), oracle::infer_schema(&text, None)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs),
        }
    }

    #[test]
    fn rows_of_the_inferred_schema_are_read_as_from_maps(text in lines()) {
        if let Ok(schema) = inferred(&text) {
            match (rows(&text, &schema), oracle::rows(&text, &schema)) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
                (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs),
            }
        }
    }

    #[test]
    fn rows_of_any_schema_are_read_as_from_maps(text in lines(), schema in known_schemas()) {
        match (rows(&text, &schema), oracle::rows(&text, &schema)) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (ours, theirs) => prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs),
        }
    }

    #[test]
    fn no_text_panics(text in "[{}\\[\\]\",:a0-9\\\\\n .e+-]{0,60}", schema in known_schemas()) {
        let _ = (inferred(&text), rows(&text, &schema));
    }
}
