//! Held loads, and decisions about them after the dataset has changed.

use serde_json::{Value, json};

use crate::support::{Place, Server, instant, text};

/// Stock by shop. The load of February is held; March was loaded after it and contains one of its shops.
fn february_held() -> (Place, Value) {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\nmode = \"append\"\nkey = [\"shop\"]\n\n\
         [checks.stock]\nany = \"pieces >= 0\"\n",
    );
    place.write("in/1.csv", "shop,pieces\na,1\n");
    place.good(&["run"]);
    place.write("in/2.csv", "shop,pieces\nb,2\nc,-1\nd,2\nd,3\n");
    place.held(&["run"]);
    place.write("in/3.csv", "shop,pieces\nb,20\n");
    place.held(&["run"]);
    let load = loads(&place, "held");
    (place, load)
}

/// The latest load in a state.
fn loads(place: &Place, state: &str) -> Value {
    let loads = place.json(&["data", "show", "stock"]);
    loads["loads"]["items"].as_array().unwrap().iter().find(|load| load["state"] == state).unwrap().clone()
}

fn accept(place: &Place, load: &Value, further: &[&str]) -> Value {
    let id = load["id"].as_str().unwrap();
    let mut args = vec!["data", "accept", id];
    args.extend(further);
    let output = place.good(&args);
    let loads = place.json(&["data", "show", "stock"]);
    let accepted = loads["loads"]["items"].as_array().unwrap().iter().find(|load| load["id"] == id).unwrap().clone();
    let entered = format!("{} of {} rows of load `{id}` entered", accepted["passing"], accepted["arrived"]);
    assert!(output.starts_with(&entered), "{output}");
    accepted
}

fn rows(place: &Place) -> Vec<Vec<Value>> {
    place.query("SELECT shop, pieces FROM stock ORDER BY shop, pieces")
}

#[test]
fn the_findings_of_checks_are_shown_with_the_load_and_later() {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\n\n\
         [checks.stock]\npieces = \"pieces >= 0\"\nmany = { that = \"count(*) > 9\", severity = \"warn\" }\n",
    );
    place.write("in/1.csv", "shop,pieces\na,1\nb,-1\n");
    let output = String::from_utf8(place.run(&["run"]).stderr).unwrap();
    for finding in
        ["held, 1 set aside", "    `pieces`: 1 of 2 rows fail", "    warning: `many`", "    1 set aside by `pieces`"]
    {
        assert!(output.contains(finding), "`{finding}` is not in {output}");
    }
    let shown = place.good(&["data", "show", "stock"]);
    let row = |name: &str| shown.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(row("pieces").contains("error") && row("pieces").contains("1 of 2 rows fail"), "{shown}");
    assert!(row("many").contains("warn") && row("many").contains("fail"), "{shown}");
}

#[test]
fn every_run_fails_with_the_reason_while_a_load_is_held_and_its_file_exists() {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\n\n\
         [checks.stock]\nmany = \"count(*) > 1\"\n",
    );
    place.write("in/1.csv", "shop,pieces\na,1\n");
    let why = "load from `in/1.csv` into `stock` is held: `many`";
    assert!(place.held(&["run"]).contains(why));
    let again = place.run(&["run"]);
    let (out, err) = (text(&again.stdout), text(&again.stderr));
    assert!(again.status.code() == Some(1) && out.starts_with(why), "{out}");
    assert!(err.contains("perennial data accept"), "{err}");
    let server = Server::up(&place, &[]);
    place.write("in/2.csv", "shop,pieces\nb,1\n");
    server.step("shops", instant("2013-01-01T00:00:00Z"));
    let held = server.list("/api/v1/projects/shops/datasets/stock/loads");
    assert_eq!(
        held.iter().filter(|load| load["state"] == "held").count(),
        2,
        "the scheduler has collected the file: {held:?}"
    );
    let output = place.held(&["run"]);
    assert!(output.contains(why) && output.contains("`in/2.csv`"), "{output}");
    std::fs::remove_file(place.path().join("in/1.csv")).unwrap();
    place.write("in/2.csv", "shop,pieces\nb,1\nc,1\n");
    assert!(!place.good(&["run"]).contains("is held"), "one file is deleted, the other corrected");
}

#[test]
fn the_keys_of_an_accepted_load_are_compared_with_the_present_dataset() {
    let (place, held) = february_held();
    assert_eq!(held["reasons"], json!({ "any": 1, "repeated key": 1 }));
    let accepted = accept(&place, &held, &[]);
    assert_eq!(rows(&place), [[json!("a"), json!(1)], [json!("b"), json!(20)], [json!("d"), json!(2)]]);
    assert_eq!(accepted["reasons"], json!({ "any": 1, "key exists": 1, "repeated key": 1 }));
    assert_eq!((&accepted["passing"], &accepted["set_aside"]), (&json!(1), &json!(3)));
    let aside = place.json(&["data", "quarantine", "stock"]);
    let mut reasons: Vec<&str> = aside["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["any", "key exists", "repeated key"]);
    assert!(place.good(&["run"]).contains("nothing to do"), "the dataset accepts further loads");
    place.write("in/4.csv", "shop,pieces\ne,4\n");
    place.good(&["run"]);
    assert_eq!(rows(&place).len(), 4);
}

#[test]
fn with_all_every_row_with_a_new_key_enters_and_is_counted() {
    let (place, held) = february_held();
    let accepted = accept(&place, &held, &["--all"]);
    let expected = [("a", 1), ("b", 20), ("c", -1), ("d", 2)].map(|(shop, pieces)| [json!(shop), json!(pieces)]);
    assert_eq!(rows(&place), expected);
    assert_eq!((&accepted["passing"], &accepted["set_aside"]), (&json!(2), &json!(2)));
}

#[test]
fn a_held_result_of_a_step_is_replaced_by_the_next_one_and_stays_accepted_once_accepted() {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\n\n\
         [checks.total]\nany = \"pieces > 2\"\n\n[steps.total]\nsql = \"total.sql\"\n",
    );
    place.write("total.sql", "SELECT sum(pieces) AS pieces FROM stock");
    place.write("in/1.csv", "shop,pieces\na,1\n");
    let states = || -> Vec<String> {
        let answer = place.json(&["data", "show", "total"]);
        let loads = answer["loads"]["items"].as_array().unwrap().clone();
        loads.iter().map(|load| load["state"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(place.run(&["run"]).status.code(), Some(1));
    assert_eq!(place.run(&["run"]).status.code(), Some(1));
    assert_eq!(states(), ["held", "replaced"], "only the latest attempt is held");
    let answer = place.json(&["data", "show", "total"]);
    let held = answer["loads"]["items"][0]["id"].as_str().unwrap().to_owned();
    place.good(&["data", "accept", &held, "--all"]);
    place.good(&["run"]);
    assert_eq!(states(), ["committed", "replaced"], "the same content is not held again");
    place.write("in/2.csv", "shop,pieces\nb,-4\n");
    assert_eq!(place.run(&["run"]).status.code(), Some(1), "other content is held again");
    assert_eq!(states(), ["held", "committed", "replaced"]);
}

#[test]
fn a_rejected_load_never_enters_and_its_file_only_with_other_content() {
    let (place, held) = february_held();
    let id = held["id"].as_str().unwrap();
    let open = || {
        let alerts = place.json(&["alerts"])["items"].as_array().unwrap().clone();
        alerts.into_iter().filter(|alert| alert["state"] == "firing").count()
    };
    assert_eq!(open(), 1);
    let output = place.good(&["data", "reject", id]);
    assert!(output.contains("none of its 4 rows enters `stock`"), "{output}");
    assert_eq!(open(), 0, "the alert is resolved");
    assert!(place.good(&["run"]).contains("nothing to do"));
    assert_eq!(rows(&place), [[json!("a"), json!(1)], [json!("b"), json!(20)]]);
    let again = place.run(&["data", "accept", id]);
    assert!(text(&again.stderr).contains("is rejected: only a held load can be accepted or rejected"), "{again:?}");
    let ledger = place.json(&["ledger"]);
    let entries = ledger["items"].as_array().unwrap();
    assert!(entries.iter().any(|entry| entry["verb"] == "reject" && entry["subject"] == held["id"]), "{ledger}");
    place.write("in/2.csv", "shop,pieces\nc,1\n");
    place.good(&["run"]);
    assert_eq!(rows(&place).len(), 3);
    assert!(place.good(&["verify"]).contains("is intact"));
}
