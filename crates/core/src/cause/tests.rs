use proptest::prelude::*;
use serde_json::json;

use super::*;

/// Texts of the first release, as they are stored.
const STORED: [&str; 11] = [
    r#"{"kind":"person","by":"ada"}"#,
    r#"{"kind":"person","by":"ada","note":"to see"}"#,
    r#"{"kind":"trigger","trigger":"renew","event":"alert:delay.stale","because":{"alert":"019a7b3c1d2e7f0000000000000000aa","message":"auc fell"}}"#,
    r#"{"kind":"trigger","trigger":"renew","event":"dataset:flights","because":{"dataset":"flights","number":3}}"#,
    r#"{"kind":"trigger","trigger":"nightly","event":"schedule:0 3 * * *","because":{"schedule":"0 3 * * *","due_ms":1757300000000}}"#,
    r#"{"kind":"monitor","dataset":"features"}"#,
    r#"{"kind":"declared","endpoint":"delay"}"#,
    r#"{"kind":"declaration_gone"}"#,
    r#"{"kind":"canary","requests":200,"facts":{"canary":{"requests":200,"error_rate":0.0},"champion":{"p99_ms":1.25}}}"#,
    r#"{"kind":"rollback_rule","rule":"canary.errors > 3","values":[["canary.errors",4.0]]}"#,
    r#"{"kind":"rollback_rule","rule":null,"values":[]}"#,
];

#[test]
fn stored_causes_read_and_print_the_same() {
    for text in STORED {
        let cause: Cause = serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(serde_json::to_string(&cause).unwrap(), text);
        assert_eq!(cause.to_json()["kind"], cause.kind());
    }
}

#[test]
fn unknown_causes_are_refused() {
    for text in [
        "{}",
        "null",
        r#"{"kind":"magic"}"#,
        r#"{"kind":"person"}"#,
        r#"{"kind":"declared","endpoint":"Not a name"}"#,
        r#"{"kind":"person","by":"ada","since":1}"#,
        r#"{"kind":"trigger","trigger":"renew","event":"x","because":{"alert":"no id","message":"m"}}"#,
    ] {
        assert!(serde_json::from_str::<Cause>(text).is_err(), "{text}");
    }
}

#[test]
fn the_identity_of_a_trigger_event_is_stable() {
    let dataset = TriggerEvent::Dataset { dataset: "flights".parse().unwrap(), number: 3 };
    assert_eq!(dataset.id(), "flights@3");
    let schedule = TriggerEvent::Schedule { schedule: "0 3 * * *".to_owned(), due_ms: 9 };
    assert_eq!(schedule.id(), "0 3 * * *@9");
    let alert = AlertId::generate();
    assert_eq!(TriggerEvent::Alert { alert, message: String::new() }.id(), alert.to_string());
}

#[test]
fn a_change_is_caused_by_a_pipeline_run_or_something_named() {
    let id = PipelineRunId::generate();
    assert_eq!(format!("pipeline_run:{id}").parse::<ChangeCause>().unwrap(), ChangeCause::PipelineRun(id));
    assert_eq!("clock".parse::<ChangeCause>().unwrap(), ChangeCause::Named("clock".to_owned()));
    for text in ["", "pipeline_run:", "pipeline_run:1"] {
        assert!(text.parse::<ChangeCause>().is_err(), "{text}");
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ]
}

fn trigger_event() -> impl Strategy<Value = TriggerEvent> {
    prop_oneof![
        (any::<u128>(), any::<String>())
            .prop_map(|(id, message)| TriggerEvent::Alert { alert: uuid::Uuid::from_u128(id).into(), message }),
        ("[a-z][a-z0-9_]{0,9}", any::<i64>())
            .prop_map(|(name, number)| TriggerEvent::Dataset { dataset: name.parse().unwrap(), number }),
        (any::<String>(), any::<i64>()).prop_map(|(schedule, due_ms)| TriggerEvent::Schedule { schedule, due_ms }),
    ]
}

fn cause() -> impl Strategy<Value = Cause> {
    let name = || "[a-z][a-z0-9_-]{0,9}";
    prop_oneof![
        (any::<String>(), any::<Option<String>>()).prop_map(|(by, note)| Cause::Person { by, note }),
        (name(), any::<String>(), trigger_event()).prop_map(|(trigger, event, because)| Cause::Trigger {
            trigger: trigger.parse().unwrap(),
            event,
            because
        }),
        name().prop_map(|dataset| Cause::Monitor { dataset: dataset.parse().unwrap() }),
        name().prop_map(|endpoint| Cause::Declared { endpoint: endpoint.parse().unwrap() }),
        Just(Cause::DeclarationGone {}),
        (any::<u64>(), json_value())
            .prop_map(|(requests, fact)| Cause::Canary { requests, facts: json!({ "f": fact }) }),
        (any::<Option<String>>(), prop::collection::vec((any::<String>(), json_value()), 0..3))
            .prop_map(|(rule, values)| Cause::RollbackRule { rule, values }),
    ]
}

proptest! {
    #[test]
    fn every_cause_survives_storage(cause in cause()) {
        let text = serde_json::to_string(&cause).unwrap();
        let read: Cause = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read, &cause);
        prop_assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
}
