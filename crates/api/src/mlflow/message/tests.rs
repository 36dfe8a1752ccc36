use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;
use crate::mlflow::definitions::entities::{Dataset, DatasetInput, Metric, Param, Tag};
use crate::mlflow::definitions::{experiments, metrics, runs};

const RUN: &str = "0123456789abcdef0123456789abcdef";

fn read<T: Message>(value: Value) -> Result<T, String> {
    let text = value.to_string();
    T::from_json(Json::parse(text.as_bytes()).unwrap()).map_err(|error| match error.hint() {
        Some(hint) => format!("{}; {hint}", error.message()),
        None => error.message().to_owned(),
    })
}

fn refusal<T: Message + std::fmt::Debug>(value: Value) -> String {
    read::<T>(value).unwrap_err()
}

#[test]
fn errors_name_the_first_field_by_its_path() {
    let log = |value| refusal::<metrics::log_batch::Request>(value);
    assert_eq!(log(json!({ "metrics": 7 })), "Missing value for required parameter 'run_id'.");
    assert_eq!(
        log(json!({ "run_id": RUN, "metrics": [{ "key": "m", "value": 1, "timestamp": "soon" }] })),
        "Invalid value \"soon\" for parameter 'metrics[0].timestamp' supplied; expected an integer"
    );
    assert_eq!(
        log(json!({ "run_id": RUN, "tags": [{ "key": "a" }, { "value": "b" }] })),
        "Missing value for required parameter 'tags[1].key'."
    );
    assert_eq!(
        refusal::<metrics::log_inputs::Request>(
            json!({ "run_id": RUN, "datasets": [{ "dataset": { "name": "", "digest": "d" } }] })
        ),
        "Missing value for required parameter 'datasets[0].dataset.name'."
    );
    assert_eq!(
        refusal::<runs::update::Request>(json!({ "run_id": RUN, "status": "DONE" })),
        "Invalid value \"DONE\" for parameter 'status' supplied; \
         expected one of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED"
    );
    assert_eq!(
        refusal::<experiments::search::Request>(json!({ "max_results": 0 })),
        "Invalid value 0 for parameter 'max_results' supplied; expected an integer from 1 to 50000"
    );
}

#[test]
fn a_long_value_is_cut_in_the_message() {
    let message = refusal::<runs::update::Request>(json!({ "run_id": RUN, "status": "ä".repeat(1_000) }));
    assert!(message.starts_with("Invalid value \"ää"), "{message}");
    assert!(message.chars().count() < 400, "{message}");
}

#[test]
fn a_field_in_two_spellings_is_refused_and_a_former_name_is_not() {
    let twice = refusal::<runs::get::Request>(json!({ "run_id": RUN, "runId": RUN }));
    assert_eq!(twice, "field `runId` is given in two spellings");
    for both in [
        json!({ "run_id": RUN, "run_uuid": "x" }),
        json!({ "run_id": "", "runUuid": RUN }),
        json!({ "run_id": null, "run_uuid": RUN }),
    ] {
        assert_eq!(read::<runs::get::Request>(both).unwrap().run_id.to_string(), RUN);
    }
    assert_eq!(
        refusal::<runs::get::Request>(json!({ "run_uuid": 7 })),
        "Invalid value 7 for parameter 'run_uuid' supplied; expected a text"
    );
}

#[test]
fn numbers_may_be_texts_and_enumerations_numbers() {
    let log = |timestamp: Value, value: Value| {
        let request = json!({ "run_id": RUN, "key": "m", "timestamp": timestamp, "value": value });
        let request = read::<metrics::log_metric::Request>(request)?;
        Ok::<_, String>((request.timestamp, request.value.0))
    };
    assert_eq!(log(json!("-7"), json!("1e3")), Ok((-7, 1_000.0)));
    assert_eq!(log(json!(7.0), json!("-Infinity")), Ok((7, f64::NEG_INFINITY)));
    assert!(log(json!(1), json!("NaN")).unwrap().1.is_nan());
    for timestamp in [json!(7.5), json!(1e300), json!(true), json!(""), json!([7])] {
        assert!(log(timestamp.clone(), json!(1)).is_err(), "{timestamp}");
    }
    for status in [json!("FINISHED"), json!(3), json!("3")] {
        let update = read::<runs::update::Request>(json!({ "run_id": RUN, "status": status })).unwrap();
        assert_eq!(update.status.map(perennial_core::state::RunStatus::as_str), Some("FINISHED"));
    }
}

#[test]
fn one_value_is_a_list_of_one() {
    let search = |order: Value| {
        read::<experiments::search::Request>(json!({ "max_results": "5", "order_by": order }))
            .map(|request| request.order_by)
    };
    assert_eq!(search(json!("name")), Ok(vec!["name".to_owned()]));
    assert_eq!(search(json!(["name", "creation_time DESC"])).unwrap().len(), 2);
    assert_eq!(
        search(json!(["name", 7])).unwrap_err(),
        "Invalid value 7 for parameter 'order_by[1]' supplied; expected a text"
    );
}

#[test]
fn a_list_has_a_limit() {
    let request = |items: usize| json!({ "run_id": RUN, "tags": vec![json!({ "key": "a" }); items] });
    assert!(read::<metrics::log_batch::Request>(request(LIST_ITEMS_MAX)).is_ok());
    assert_eq!(
        refusal::<metrics::log_batch::Request>(request(LIST_ITEMS_MAX + 1)),
        "parameter 'tags' has more than 10000 items; send less at once"
    );
}

#[test]
fn values_that_no_field_reads_are_skipped_at_any_depth() {
    let deep = format!("{{\"run_id\":\"{RUN}\",\"other\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let request = runs::get::Request::from_json(Json::parse(deep.as_bytes()).unwrap());
    assert_eq!(request.unwrap().run_id.to_string(), RUN);
}

#[test]
fn of_entries_with_one_name_the_last_counts() {
    let twice = format!("{{\"run_id\":\"x\",\"run_id\":\"{RUN}\"}}");
    let request = runs::get::Request::from_json(Json::parse(twice.as_bytes()).unwrap());
    assert_eq!(request.unwrap().run_id.to_string(), RUN);
}

#[test]
fn absent_fields_and_empty_lists_are_not_written() {
    let metric = Metric { key: "m".into(), value: Number(f64::NAN), timestamp: 1, step: None };
    assert_eq!(serde_json::to_string(&metric).unwrap(), r#"{"key":"m","value":"NaN","timestamp":1}"#);
    let search = runs::search::Answer { runs: Vec::new(), next_page_token: None };
    assert_eq!(serde_json::to_string(&search).unwrap(), "{}");
    assert_eq!(
        serde_json::to_string(&Tag { key: "k".into(), value: Some(String::new()) }).unwrap(),
        r#"{"key":"k","value":""}"#
    );
}

fn text() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[a-zä\"\\\\ \u{0}]{1,6}").unwrap()
}

fn value() -> impl Strategy<Value = Option<String>> {
    prop::option::of(prop_oneof![text(), Just(String::new())])
}

fn metric() -> impl Strategy<Value = Metric> {
    let number = prop_oneof![any::<f64>(), Just(f64::INFINITY), Just(f64::NEG_INFINITY)];
    (text(), number, any::<i64>(), prop::option::of(any::<i64>())).prop_map(|(key, value, timestamp, step)| Metric {
        key,
        value: Number(value),
        timestamp,
        step,
    })
}

fn input() -> impl Strategy<Value = DatasetInput> {
    let tags = vec((text(), value()).prop_map(|(key, value)| Tag { key, value }), 0..3);
    (text(), value(), value(), tags).prop_map(|(name, schema, profile, tags)| DatasetInput {
        dataset: Dataset {
            digest: name.clone(),
            source_type: name.clone(),
            source: name.clone(),
            name,
            schema,
            profile,
        },
        tags,
    })
}

fn batch() -> impl Strategy<Value = metrics::log_batch::Request> {
    let params = vec((text(), value()).prop_map(|(key, value)| Param { key, value }), 0..3);
    let tags = vec((text(), value()).prop_map(|(key, value)| Tag { key, value }), 0..3);
    (vec(metric(), 0..4), params, tags).prop_map(|(metrics, params, tags)| metrics::log_batch::Request {
        run_id: RUN.parse().unwrap(),
        metrics,
        params,
        tags,
    })
}

/// The same JSON as another client may write it: names in camelCase, integers as texts, `null` and unknown fields.
fn respelled(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let mut respelled: Map<String, Value> =
                object.into_iter().map(|(name, value)| (camel_case(&name), respelled(value))).collect();
            respelled.insert("noSuchField".into(), json!({ "key": [1, null] }));
            respelled.insert("no_such_field_either".into(), Value::Null);
            Value::Object(respelled)
        }
        Value::Array(items) => items.into_iter().map(respelled).collect(),
        Value::Number(number) if number.is_i64() => number.to_string().into(),
        other => other,
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| name + &word[..1].to_uppercase() + &word[1..])
}

fn check_round_trip<T: Message + serde::Serialize>(message: &T) {
    let written = serde_json::to_value(message).unwrap();
    for given in [written.clone(), respelled(written.clone())] {
        let read = read::<T>(given.clone()).unwrap_or_else(|error| panic!("{given}: {error}"));
        assert_eq!(serde_json::to_value(read).unwrap(), written);
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_in_every_spelling(batch in batch(), inputs in vec(input(), 0..3)) {
        check_round_trip(&batch);
        check_round_trip(&metrics::log_inputs::Request { run_id: batch.run_id, datasets: inputs });
    }
}
