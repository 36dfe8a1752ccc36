use super::DecisionBody;
use crate::rule::Verdict;

/// A body as the first release stored it.
const STORED: &str = r#"{
    "gates": [{
        "gate": "better",
        "expression": "candidate.auc > champion.auc",
        "judgement": {
            "verdict": "unknown", "missing": ["champion.auc"], "reasons": [], "values": [["candidate.auc", 0.75]],
            "skipped": [{ "clause": "champion.auc > 0.5", "absent": "champion" }]
        }
    }],
    "leaks": [["tailnum", "alone has an AUC of 0.99"]],
    "evidence": "019a7b3c1d2e7f0000000000000000aa",
    "content": { "model": "m", "datasets": { "flights": "d" }, "code": "c", "environments": {}, "configuration": {} }
}"#;

#[test]
fn a_body_of_the_first_release_is_read() {
    let body: DecisionBody = serde_json::from_str(STORED).unwrap();
    assert_eq!((body.gates.len(), body.gates[0].evaluation.verdict), (1, Verdict::Unknown));
    assert_eq!(body.gates[0].evaluation.skipped[0].absent, "champion");
    let text = serde_json::to_string(&body).unwrap();
    assert_eq!(serde_json::from_str::<DecisionBody>(&text).unwrap(), body);
}

#[test]
fn leaks_and_strong_features_name_their_remedy() {
    let mut body: DecisionBody = serde_json::from_str(STORED).unwrap();
    body.leaks = vec![("x".into(), "`x` is missing. Is it filled in with the outcome?".into())];
    body.strong_features = vec![("y".into(), "`y` alone has an AUC of 0.950. Is it known before the outcome?".into())];
    assert_eq!(
        body.feature_lines(),
        [
            "leak: `x` is missing. Is it filled in with the outcome? Add `x` to `[task] ignore`, or to `[task] allow` if requests have it",
            "warning: `y` alone has an AUC of 0.950. Is it known before the outcome? If so, add `y` to `[task] allow`, else to `[task] ignore`",
        ]
    );
}

#[test]
fn a_body_without_gates_is_not_read_as_one_with_none() {
    for text in ["[]", "{}", &STORED.replace("gates", "gate"), &STORED.replace("unknown", "maybe")] {
        assert!(serde_json::from_str::<DecisionBody>(text).is_err(), "{text}");
    }
}
