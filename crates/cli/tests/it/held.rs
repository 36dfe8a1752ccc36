//! Held loads that a person lets in after the dataset has moved on.

use serde_json::{Value, json};

use crate::support::Place;

/// Stock by shop; February is held, and March came after it with one of its shops.
fn february_held() -> (Place, Value) {
    let place = Place::with_file(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = { files = \"in/*.csv\" }\nmode = \"append\"\nkey = [\"shop\"]\n\n\
         [checks.stock]\nany = \"pieces >= 0\"\n",
    );
    place.write("in/1.csv", "shop,pieces\na,1\n");
    place.good(&["run"]);
    place.write("in/2.csv", "shop,pieces\nb,2\nc,-1\nd,2\nd,3\n");
    place.good(&["run"]);
    place.write("in/3.csv", "shop,pieces\nb,20\n");
    place.good(&["run"]);
    let load = loads(&place, "held");
    (place, load)
}

/// The newest load in a state.
fn loads(place: &Place, state: &str) -> Value {
    let loads = place.json(&["data", "show", "stock"]);
    loads["loads"]["items"].as_array().unwrap().iter().find(|load| load["state"] == state).unwrap().clone()
}

fn release(place: &Place, load: &Value, further: &[&str]) -> Value {
    let id = load["id"].as_str().unwrap();
    let mut args = vec!["data", "release", id];
    args.extend(further);
    place.good(&args);
    let loads = place.json(&["data", "show", "stock"]);
    loads["loads"]["items"].as_array().unwrap().iter().find(|load| load["id"] == id).unwrap().clone()
}

fn rows(place: &Place) -> Vec<Vec<Value>> {
    place.query("SELECT shop, pieces FROM stock ORDER BY shop, pieces")
}

#[test]
fn its_keys_are_judged_against_the_dataset_as_it_stands() {
    let (place, held) = february_held();
    assert_eq!(held["reasons"], json!({ "any": 1, "repeated key": 1 }));
    let released = release(&place, &held, &[]);
    assert_eq!(rows(&place), [[json!("a"), json!(1)], [json!("b"), json!(20)], [json!("d"), json!(2)]]);
    assert_eq!(released["reasons"], json!({ "any": 1, "key exists": 1, "repeated key": 1 }));
    assert_eq!((&released["passing"], &released["set_aside"]), (&json!(1), &json!(3)));
    let aside = place.json(&["data", "quarantine", "stock"]);
    let mut reasons: Vec<&str> = aside["rows"].as_array().unwrap().iter().map(|row| row[1].as_str().unwrap()).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["any", "key exists", "repeated key"]);
    assert!(place.good(&["run"]).contains("nothing to do"), "and the dataset goes on");
    place.write("in/4.csv", "shop,pieces\ne,4\n");
    place.good(&["run"]);
    assert_eq!(rows(&place).len(), 4);
}

#[test]
fn with_all_every_row_enters_whose_key_is_free_and_those_are_counted() {
    let (place, held) = february_held();
    let released = release(&place, &held, &["--all"]);
    let expected = [("a", 1), ("b", 20), ("c", -1), ("d", 2)].map(|(shop, pieces)| [json!(shop), json!(pieces)]);
    assert_eq!(rows(&place), expected);
    assert_eq!((&released["passing"], &released["set_aside"]), (&json!(2), &json!(2)));
}
