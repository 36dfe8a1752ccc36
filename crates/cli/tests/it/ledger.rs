//! The ledger entries of runs of the built binary.

use serde_json::{Value, json};

use crate::support::{Place, text};

const FILE: &str = r#"[project]
name = "ledger"

[datasets.rows]
source = { files = "data/*.csv" }
key = ["id"]

[checks.rows]
small = "size < 100"

[steps.writes]
run = ["sh", "-ec", "echo written > out"]
env = "system"
outputs = { out = { path = "out" } }

[steps.breaks]
run = ["sh", "-ec", "exit 3"]
env = "system"
outputs = { out = { path = "out" } }
"#;

/// Entries of the project's chain, oldest first.
fn entries(place: &Place) -> Vec<Value> {
    let mut entries = place.json(&["ledger"])["items"].as_array().unwrap().clone();
    entries.reverse();
    entries
}

fn noun_and_verb(entry: &Value) -> String {
    format!("{} {}", entry["noun"].as_str().unwrap(), entry["verb"].as_str().unwrap())
}

#[test]
fn the_end_of_each_attempt_and_the_acceptance_of_a_held_load_are_recorded_with_actor_and_cause() {
    let place = Place::with_file(FILE);
    place.write("data/a.csv", "id,size\n1,10\n");
    place.good(&["run", "writes"]);
    let ran: Vec<Value> = entries(&place).into_iter().filter(|entry| entry["noun"] != "project_file").collect();
    let verbs: Vec<String> = ran.iter().map(noun_and_verb).collect();
    assert_eq!(
        verbs,
        ["dataset_version create", "grant create", "token create", "token revoke", "run end", "step_run succeed"]
    );
    for entry in &ran {
        let cause = entry["cause"].as_str().unwrap();
        assert!(cause.starts_with("pipeline_run:"), "{entry}");
    }

    let before = entries(&place).len();
    assert_eq!(place.run(&["run", "breaks"]).status.code(), Some(1));
    let broke: Vec<String> = entries(&place).split_off(before).iter().map(noun_and_verb).collect();
    assert_eq!(broke, ["grant create", "token create", "token revoke", "run end", "step_run fail"]);

    place.write("data/b.csv", "id,size\n2,200\n3,30\n");
    place.run(&["run", "writes"]);
    let loads = place.json(&["data", "show", "rows"])["loads"].clone();
    let held = loads["items"].as_array().unwrap().iter().find(|load| load["state"] == "held").unwrap();
    let id = held["id"].as_str().unwrap();
    let before = entries(&place).len();
    place.good(&["data", "accept", id, "--all"]);
    let accepted = entries(&place).split_off(before);
    let verbs: Vec<String> = accepted.iter().map(noun_and_verb).collect();
    assert_eq!(verbs, ["load accept", "dataset_version create", "alert resolve"]);
    assert_eq!((&accepted[0]["subject"], &accepted[0]["actor"]), (&json!(id), &json!("host")));
    assert_eq!(accepted[2]["actor"], json!("perennial"), "the server itself resolves the alert");
    assert_eq!(place.query("SELECT count(*) FROM rows"), [[json!(3)]]);

    let verified = place.run(&["verify"]);
    let output = text(&verified.stdout);
    assert!(
        verified.status.success() && output.contains("of the server") && output.contains("of `ledger`"),
        "{output}"
    );
}
