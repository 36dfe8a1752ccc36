use proptest::prelude::*;
use serde_json::Value as Json;

use super::*;
use crate::entity::{MetricPoint, Param, Run, RunArtifact, RunInput, Tag};
use crate::id::{ExperimentId, ProjectId, RunId};
use crate::schema::Field;
use crate::state::{Lifecycle, RunStatus};

/// A row of four columns, one of each kind that has a special rule.
type Row = (Option<i64>, Option<f64>, Option<String>, Option<bool>);

fn hash(row: &Row) -> RowHash {
    let mut encoder = RowEncoder::new();
    encoder.column("a", &row.0.map_or(Value::Null, |v| Value::Int(v.into())));
    encoder.column("b", &row.1.map_or(Value::Null, Value::Float));
    encoder.column("c", &row.2.as_deref().map_or(Value::Null, Value::Text));
    encoder.column("d", &row.3.map_or(Value::Null, Value::Bool));
    encoder.finish()
}

fn sum<'a>(rows: impl IntoIterator<Item = &'a Row>) -> TableSum {
    let mut sum = TableSum::zero();
    rows.into_iter().for_each(|row| sum.add(&hash(row)));
    sum
}

fn row() -> impl Strategy<Value = Row> {
    (any::<Option<i64>>(), any::<Option<f64>>(), any::<Option<String>>(), any::<Option<bool>>())
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(row(), 0..40)
}

fn schema(columns: &[(&str, TypeClass)]) -> Schema {
    let field =
        |(name, class): &(&str, TypeClass)| Field { name: (*name).to_owned(), class: class.clone(), nullable: true };
    Schema { fields: columns.iter().map(field).collect() }
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_count(rows in rows(), turn in 0usize..40) {
        let mut other = rows.clone();
        if !other.is_empty() {
            let by = turn % other.len();
            other.rotate_left(by);
            other.reverse();
        }
        prop_assert_eq!(sum(&rows), sum(&other));
    }

    #[test]
    fn parts_summed_apart_give_the_whole(rows in rows(), cut in 0usize..40) {
        let cut = cut.min(rows.len());
        let mut merged = sum(&rows[..cut]);
        merged.merge(&sum(&rows[cut..]));
        prop_assert_eq!(merged, sum(&rows));
    }

    #[test]
    fn removal_subtracts(rows in rows(), cut in 0usize..40) {
        let cut = cut.min(rows.len());
        let mut left = sum(&rows);
        left.remove(&sum(&rows[cut..]));
        prop_assert_eq!(&left, &sum(&rows[..cut]));
        let mut one_by_one = sum(&rows);
        rows[cut..].iter().for_each(|row| one_by_one.subtract(&hash(row)));
        prop_assert_eq!(one_by_one, left);
    }

    #[test]
    fn any_changed_value_changes_the_sum(rows in prop::collection::vec(row(), 1..10), at in 0usize..10, new in row()) {
        let at = at % rows.len();
        let mut other = rows.clone();
        other[at] = new;
        let same = |a: &Row, b: &Row| {
            let float = |v: Option<f64>| v.map(canonical_bits);
            a.0 == b.0 && float(a.1) == float(b.1) && a.2 == b.2 && a.3 == b.3
        };
        prop_assert_eq!(sum(&rows) == sum(&other), same(&rows[at], &other[at]));
    }

    #[test]
    fn a_repeated_row_counts_each_time(row in row(), times in 1u64..5) {
        let repeated = vec![row.clone(); times as usize];
        prop_assert_ne!(sum(&repeated), sum(&vec![row; times as usize + 1]));
    }

    #[test]
    fn a_sum_survives_writing_and_reading(rows in rows()) {
        let sum = sum(&rows);
        let text = serde_json::to_string(&sum).expect("a sum is written");
        prop_assert_eq!(serde_json::from_str::<TableSum>(&text).expect("a sum is read"), sum);
    }

    #[test]
    fn the_quick_methods_encode_as_the_general_one(int in any::<i64>(), float in any::<f64>(), text in any::<String>(), bit in any::<bool>()) {
        let mut quick = RowEncoder::new();
        quick.int(&ColumnHead::new("a", &TypeClass::Int), int.into());
        quick.float(&ColumnHead::new("b", &TypeClass::Float), float);
        quick.bytes(&ColumnHead::new("c", &TypeClass::Text), text.as_bytes());
        quick.bool(&ColumnHead::new("d", &TypeClass::Bool), bit);
        prop_assert_eq!(quick.finish(), hash(&(Some(int), Some(float), Some(text), Some(bit))));
    }

    #[test]
    fn a_boundary_between_two_texts_counts(text in "[a-c]{2,8}", a in 1usize..8, b in 1usize..8) {
        let encode = |cut: usize| {
            let cut = cut.min(text.len());
            let mut encoder = RowEncoder::new();
            encoder.column("x", &Value::Text(&text[..cut]));
            encoder.column("y", &Value::Text(&text[cut..]));
            encoder.finish()
        };
        prop_assert_eq!(encode(a) == encode(b), a.min(text.len()) == b.min(text.len()));
    }
}

fn one(value: &Value<'_>) -> RowHash {
    let mut encoder = RowEncoder::new();
    encoder.column("x", value);
    encoder.finish()
}

#[test]
fn every_nan_is_one_and_negative_zero_is_zero() {
    assert_eq!(one(&Value::Float(f64::NAN)), one(&Value::Float(-f64::NAN)));
    assert_eq!(one(&Value::Float(-0.0)), one(&Value::Float(0.0)));
}

#[test]
fn trailing_zeros_of_a_decimal_do_not_count() {
    let hash = |text: &'static str| one(&Value::Decimal(text.into()));
    assert_eq!(hash("1.50"), hash("1.5"));
    assert_eq!(hash("100.00"), hash("100"));
    assert_eq!(hash("-0.0"), hash("0"));
    assert_ne!(hash("100"), hash("1"));
}

#[test]
fn equal_texts_of_different_classes_differ() {
    let hashes = [
        one(&Value::Int(1)),
        one(&Value::Bool(true)),
        one(&Value::Float(1.0)),
        one(&Value::Text("1")),
        one(&Value::Bytes(b"1")),
        one(&Value::Decimal("1".into())),
        one(&Value::Date(1)),
        one(&Value::Time(1)),
        one(&Value::Timestamp(1)),
        one(&Value::List(vec![Value::Int(1)])),
        one(&Value::Null),
    ];
    for (index, hash) in hashes.iter().enumerate() {
        assert!(!hashes[..index].contains(hash), "{index}");
    }
}

#[test]
fn nesting_counts_and_null_fields_of_a_struct_do_not() {
    let list = |values: Vec<Value<'static>>| one(&Value::List(values));
    assert_ne!(list(vec![Value::Int(1), Value::Null]), list(vec![Value::Int(1)]));
    assert_ne!(list(vec![Value::List(vec![]), Value::List(vec![])]), list(vec![Value::List(vec![])]));
    let fields = |fields: Vec<(&'static str, Value<'static>)>| one(&Value::Struct(fields));
    assert_eq!(fields(vec![("a", Value::Int(1)), ("b", Value::Null)]), fields(vec![("a", Value::Int(1))]));
    assert_eq!(
        fields(vec![("b", Value::Int(2)), ("a", Value::Int(1))]),
        fields(vec![("a", Value::Int(1)), ("b", Value::Int(2))]),
    );
}

#[test]
fn an_added_null_column_leaves_row_hashes_as_they_are() {
    let mut wider = RowEncoder::new();
    wider.column("x", &Value::Int(1));
    wider.column("y", &Value::Null);
    assert_eq!(wider.finish(), one(&Value::Int(1)));
}

#[test]
fn the_digest_sees_names_classes_rows_and_sum_but_no_column_order() {
    let base = schema(&[("a", TypeClass::Int), ("b", TypeClass::Text)]);
    let digest = |schema: &Schema, rows, sum: &TableSum| TableDigest::of(schema, rows, sum);
    let zero = TableSum::zero();
    let own = digest(&base, 0, &zero);
    assert_eq!(own, digest(&schema(&[("b", TypeClass::Text), ("a", TypeClass::Int)]), 0, &zero));
    assert_ne!(own, digest(&schema(&[("a", TypeClass::Float), ("b", TypeClass::Text)]), 0, &zero));
    assert_ne!(own, digest(&schema(&[("c", TypeClass::Int), ("b", TypeClass::Text)]), 0, &zero));
    assert_ne!(own, digest(&base, 1, &zero));
    let mut sum = TableSum::zero();
    sum.add(&RowHash::of(b""));
    assert_ne!(own, digest(&base, 0, &sum));
}

/// The published vectors, which another language computes too.
#[test]
fn the_published_vectors_come_out() {
    let vectors: Vec<Json> =
        serde_json::from_str(include_str!("../../../../docs/digest-vectors.json")).expect("vectors");
    for vector in &vectors {
        let columns = vector["schema"].as_object().expect("a schema");
        let fields =
            columns.iter().map(|(name, class)| Field { name: name.clone(), class: class_of(class), nullable: true });
        let schema = Schema { fields: fields.collect() };
        let rows = vector["rows"].as_array().expect("rows");
        let mut sum = TableSum::zero();
        for row in rows {
            let mut encoder = RowEncoder::new();
            let mut names: Vec<&String> = columns.keys().collect();
            names.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
            for name in names {
                encoder.column(name, &value_of(&columns[name], &row[name]));
            }
            sum.add(&encoder.finish());
        }
        assert_eq!(vector["sum"], sum.to_string(), "{}", vector["name"]);
        assert_eq!(vector["digest"], TableDigest::of(&schema, rows.len() as u64, &sum).as_str(), "{}", vector["name"]);
    }
    assert!(vectors.len() > 15);
}

fn class_of(class: &Json) -> TypeClass {
    if let Some(element) = class.get("list") {
        return TypeClass::List(Box::new(class_of(element)));
    }
    if let Some(fields) = class.get("struct").and_then(Json::as_object) {
        let field =
            |(name, class): (&String, &Json)| Field { name: name.clone(), class: class_of(class), nullable: true };
        return TypeClass::Struct(fields.iter().map(field).collect());
    }
    serde_json::from_value(class.clone()).expect("a class")
}

fn value_of<'a>(class: &'a Json, value: &'a Json) -> Value<'a> {
    if value.is_null() {
        return Value::Null;
    }
    if let Some(element) = class.get("list") {
        return Value::List(value.as_array().expect("a list").iter().map(|value| value_of(element, value)).collect());
    }
    if let Some(fields) = class.get("struct").and_then(Json::as_object) {
        return Value::Struct(
            fields.iter().map(|(name, class)| (name.as_str(), value_of(class, &value[name]))).collect(),
        );
    }
    let text = || value.as_str().expect("text");
    let whole = || value.as_i64().expect("a whole number");
    match class.as_str().expect("a class") {
        "bool" => Value::Bool(value.as_bool().expect("true or false")),
        "int" => Value::Int(whole().into()),
        "float" => Value::Float(value.as_f64().unwrap_or_else(|| text().parse().expect("a number"))),
        "decimal" => Value::Decimal(text().into()),
        "text" => Value::Text(text()),
        "bytes" => Value::Bytes(hex::decode(text()).expect("hexadecimal").leak()),
        "date" => Value::Date(whole()),
        "time" => Value::Time(whole()),
        "timestamp" => Value::Timestamp(whole()),
        other => panic!("class {other}"),
    }
}

fn element_hashes() -> Vec<ElementHash<RUN_HASH_BYTES>> {
    let (param, tag) = (Param { key: "a".into(), value: "b".into() }, Tag { key: "a".into(), value: "b".into() });
    let point = MetricPoint { key: "a".into(), value: 1.0, timestamp_ms: 2, step: 3 };
    let input = RunInput {
        name: "a".into(),
        digest: "b".into(),
        source_type: "c".into(),
        source: "d".into(),
        schema: None,
        profile: None,
        tags: Json::Null,
    };
    let artifact = RunArtifact { path: "a".into(), blob_digest: "b".into(), size_bytes: 1, updated_ms: 2 };
    let other = |change: &dyn Fn(&mut MetricPoint)| {
        let mut point = point.clone();
        change(&mut point);
        RunElement::from(&point).hash()
    };
    vec![
        RunElement::Param(&param).hash(),
        RunElement::Tag(&tag).hash(),
        RunElement::from(&point).hash(),
        RunElement::Input(&input).hash(),
        RunElement::Input(&RunInput { schema: Some(String::new()), ..input.clone() }).hash(),
        RunElement::Artifact(&artifact).hash(),
        RunElement::Artifact(&RunArtifact { blob_digest: "c".into(), ..artifact.clone() }).hash(),
        other(&|point| point.value = f64::NAN),
        other(&|point| point.value = 0.0),
        other(&|point| point.timestamp_ms += 1),
        other(&|point| point.step += 1),
        other(&|point| point.key.push('b')),
    ]
}

#[test]
fn each_element_of_a_run_has_a_hash_of_its_own() {
    let hashes = element_hashes();
    for (index, hash) in hashes.iter().enumerate() {
        assert!(hashes[..index].iter().all(|other| other != hash), "element {index}");
    }
    let zero = |value| RunElement::Point { key: "a", value, timestamp_ms: 2, step: 3 }.hash();
    assert_eq!(zero(0.0), zero(-0.0), "the databases keep one zero");
    assert_eq!(zero(f64::NAN), zero(-f64::NAN), "and one NaN");
}

#[test]
fn a_run_digest_covers_the_run_and_its_content() {
    let run = Run {
        run_id: RunId::generate(),
        project_id: ProjectId::generate(),
        experiment_id: ExperimentId::DEFAULT,
        parent_run_id: None,
        name: "n".into(),
        user_id: "u".into(),
        status: RunStatus::Finished,
        lifecycle: Lifecycle::Active,
        start_ms: 1,
        end_ms: Some(2),
        artifact_uri: "uri".into(),
        deleted_ms: None,
        sealed_ms: None,
        number: 7,
    };
    let mut content = RunSum::zero();
    let digest = run_digest(&run, &content);
    assert_eq!(digest, run_digest(&Run { number: 8, sealed_ms: Some(5), ..run.clone() }, &content));
    for changed in [
        Run { name: "m".into(), ..run.clone() },
        Run { status: RunStatus::Failed, ..run.clone() },
        Run { parent_run_id: Some(RunId::generate()), ..run.clone() },
        Run { end_ms: None, ..run.clone() },
    ] {
        assert_ne!(digest, run_digest(&changed, &content));
    }
    content.add(&element_hashes()[0]);
    assert_ne!(digest, run_digest(&run, &content));
}
