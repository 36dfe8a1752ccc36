use serde_json::{Value, json};

use super::check_promoted;

fn canary(started: &str, state: Value) -> Vec<Value> {
    let number = if state.is_null() { Value::Null } else { json!(2) };
    vec![
        json!({ "name": "delay", "champion_number": 1, "canary_number": number, "canary_state": state, "canary_started_at": started }),
    ]
}

#[test]
fn a_canary_that_is_not_promoted_is_an_error() {
    let (none, old) = (canary("", Value::Null), canary("june", json!("rolled-back")));
    assert!(check_promoted(&none, &none).is_ok());
    assert!(check_promoted(&old, &old).is_ok(), "the canary of an earlier release");
    assert!(check_promoted(&old, &canary("july", json!("promoted"))).is_ok());
    for state in ["rolled-back", "replaced"] {
        let error = check_promoted(&old, &canary("july", json!(state))).unwrap_err();
        assert_eq!(error.message(), format!("the canary of version 2 at `delay` is {state}"));
    }
    assert!(check_promoted(&canary("june", json!("running")), &old).is_err(), "it was active when the release started");
}
