use serde_json::{Value, json};

use super::Outcome;

/// A run that ended in a state, with the fields of the progress of its release.
fn run(state: &str, release: &Value) -> Value {
    let mut run = json!({
        "state": state, "held": 0,
        "verdict": null, "version": null, "digest": null, "released": false, "waiting_for": [], "reasons": [],
    });
    for (field, value) in release.as_object().unwrap() {
        run[field] = value.clone();
    }
    run
}

#[test]
fn each_end_of_a_release_has_its_word_and_its_status() {
    let refused = json!({ "verdict": "fail", "reasons": ["gate `better` does not hold"] });
    let rolled_back = json!({ "verdict": "pass", "reasons": ["version 2 was rolled back"] });
    for (state, release, word, is_success) in [
        ("succeeded", json!({ "verdict": "pass", "released": true }), "released", true),
        ("succeeded", json!({ "verdict": "pass", "waiting_for": ["approval:approver"] }), "waiting", true),
        ("nothing-to-do", json!({ "verdict": "pass", "waiting_for": ["canary:delay"] }), "waiting", true),
        ("succeeded", refused.clone(), "refused", false),
        ("nothing-to-do", refused, "refused", false),
        ("succeeded", rolled_back, "refused", false),
        ("succeeded", json!({ "verdict": "unknown" }), "refused", false),
        ("nothing-to-do", json!({ "version": 3, "released": true }), "nothing-to-do", true),
        ("succeeded", json!({ "version": 3, "released": true }), "nothing-to-do", true),
        ("nothing-to-do", json!({}), "refused", false),
        ("succeeded", json!({}), "refused", false),
        ("succeeded", json!({ "held": 1, "verdict": "pass", "released": true }), "released", true),
        ("failed", json!({}), "failed", false),
        ("cancelled", json!({}), "cancelled", false),
    ] {
        let outcome = Outcome::of("release", &run(state, &release));
        assert_eq!((outcome.as_str(), outcome.is_success()), (word, is_success), "{state} {release}");
    }
}

#[test]
fn the_end_of_a_run_depends_on_its_steps_and_loads_alone() {
    let refused = json!({ "verdict": "fail", "reasons": ["gate `better` does not hold"] });
    for (state, release, word, is_success) in [
        ("succeeded", refused, "done", true),
        ("succeeded", json!({ "held": 2 }), "held", false),
        ("nothing-to-do", json!({ "held": 2 }), "held", false),
        ("nothing-to-do", json!({}), "nothing-to-do", true),
        ("failed", json!({ "held": 2 }), "failed", false),
    ] {
        let outcome = Outcome::of("run", &run(state, &release));
        assert_eq!((outcome.as_str(), outcome.is_success()), (word, is_success), "{state} {release}");
    }
}
