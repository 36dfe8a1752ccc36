use serde_json::{Value, json};

use super::judge;

fn canary(started: &str, state: Value) -> Vec<Value> {
    let number = if state.is_null() { Value::Null } else { json!(2) };
    vec![
        json!({ "name": "delay", "champion_number": 1, "canary_number": number, "canary_state": state, "canary_started_at": started }),
    ]
}

#[test]
fn a_canary_that_is_not_promoted_is_an_error() {
    let (none, old) = (canary("", Value::Null), canary("june", json!("rolled-back")));
    assert!(judge(&none, &none).is_ok());
    assert!(judge(&old, &old).is_ok(), "that of another release");
    assert!(judge(&old, &canary("july", json!("promoted"))).is_ok());
    for state in ["rolled-back", "replaced"] {
        let told = judge(&old, &canary("july", json!(state))).unwrap_err();
        assert_eq!(told.message(), format!("the canary of version 2 at `delay` is {state}"));
    }
    assert!(judge(&canary("june", json!("running")), &old).is_err(), "it was live when the release began");
}
