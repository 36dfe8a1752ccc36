use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Decimal128Type, Field, Int64Type, Schema as ArrowSchema, SchemaRef};
use arrow::record_batch::RecordBatch;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::types::timestamp;

mod oracle;

fn label() -> Arc<str> {
    Arc::from("a.jsonl")
}

fn inferred(text: &str) -> Result<SchemaRef> {
    infer_schema_of_bytes(text.as_bytes(), &label(), None)
}

fn rows(text: &str, schema: &SchemaRef) -> Result<RecordBatch> {
    let mut batches = Vec::new();
    read(text.as_bytes(), &label(), schema, &mut |batch| {
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
    assert!(inferred(&deep(20)).is_ok());
    for depth in [200, 1_000_000] {
        assert!(inferred(&deep(depth)).is_err());
        for kind in [list(DataType::Int64), DataType::Int64] {
            let error = rows(&deep(depth), &schema(&[("l", kind)])).unwrap_err();
            assert!(error.to_string().starts_with("a.jsonl line 1: column `l` is `[[["), "{error}");
        }
    }
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
