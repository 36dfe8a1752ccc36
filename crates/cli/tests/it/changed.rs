//! Source files whose content changes after they were loaded, alone or in a batch.

use serde_json::json;

use crate::support::{Place, text};

/// Stock by shop; a load with no stock at all is held.
fn stock(source: &str) -> Place {
    Place::with_file(&format!(
        "[project]\nname = \"shops\"\n\n[datasets.stock]\nsource = {{ files = \"in/*.csv\", {source} }}\nmode = \"append\"\n\n\
         [checks.stock]\nsome = \"sum(pieces) > 0\"\n",
    ))
}

fn rows(place: &Place) -> Vec<(String, i64)> {
    let rows = place.query("SELECT shop, pieces FROM stock ORDER BY shop, pieces");
    rows.iter().map(|row| (row[0].as_str().unwrap().to_owned(), row[1].as_i64().unwrap())).collect()
}

fn are(expected: &[(&str, i64)]) -> Vec<(String, i64)> {
    expected.iter().map(|(shop, pieces)| ((*shop).to_owned(), *pieces)).collect()
}

#[test]
fn a_corrected_file_replaces_the_rows_that_the_held_load_was_to_replace() {
    let place = stock("on_change = \"replace\"");
    place.write("in/a.csv", "shop,pieces\na,1\n");
    place.write("in/b.csv", "shop,pieces\nb,1\n");
    place.good(&["run"]);
    place.write("in/a.csv", "shop,pieces\na,0\n");
    place.held(&["run"]);
    assert_eq!(rows(&place), are(&[("a", 1), ("b", 1)]), "the new content is held");
    place.write("in/a.csv", "shop,pieces\na,20\n");
    place.good(&["run"]);
    assert_eq!(rows(&place), are(&[("a", 20), ("b", 1)]));
    assert!(place.good(&["run"]).contains("nothing to do"));
}

#[test]
fn an_accepted_load_replaces_the_rows_of_its_file() {
    let place = stock("on_change = \"replace\"");
    place.write("in/a.csv", "shop,pieces\na,1\n");
    place.good(&["run"]);
    for content in ["shop,pieces\na,0\n", "shop,pieces\na,0\na,0\n"] {
        place.write("in/a.csv", content);
        place.held(&["run"]);
    }
    let loads = place.json(&["data", "show", "stock"]);
    let held = loads["loads"]["items"].as_array().unwrap().iter().find(|load| load["state"] == "held").unwrap();
    place.good(&["data", "accept", held["id"].as_str().unwrap()]);
    assert_eq!(rows(&place), are(&[("a", 0), ("a", 0)]));
}

#[test]
fn a_changed_file_of_a_batch_is_loaded_with_the_batch() {
    let place = stock("batch = \"all\", on_change = \"replace\"");
    place.write("in/a.csv", "shop,pieces\na,1\n");
    place.write("in/b.csv", "shop,pieces\nb,1\n");
    place.good(&["run"]);
    place.write("in/c.csv", "shop,pieces\nc,1\n");
    place.write("in/b.csv", "shop,pieces\nb,20\n");
    place.good(&["run"]);
    assert_eq!(rows(&place), are(&[("a", 1), ("b", 20), ("c", 1)]));
    assert!(place.good(&["run"]).contains("nothing to do"));
}

#[test]
fn a_changed_file_of_a_batch_is_refused_without_on_change() {
    let place = stock("batch = \"all\"");
    place.write("in/a.csv", "shop,pieces\na,1\n");
    place.write("in/b.csv", "shop,pieces\nb,1\n");
    place.good(&["run"]);
    place.write("in/b.csv", "shop,pieces\nb,20\n");
    let output = place.run(&["run"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("`in/b.csv`"), "{}", text(&output.stderr));
    assert_eq!(rows(&place), are(&[("a", 1), ("b", 1)]));
}

#[test]
fn a_held_batch_enters_when_one_of_its_files_is_corrected() {
    let place = stock("batch = \"all\"");
    place.write("in/a.csv", "shop,pieces\na,0\n");
    place.write("in/b.csv", "shop,pieces\nb,0\n");
    place.held(&["run"]);
    assert_eq!(place.json(&["data", "list"]).pointer("/items/0/version"), Some(&json!(null)));
    place.write("in/b.csv", "shop,pieces\nb,20\n");
    place.good(&["run"]);
    assert_eq!(rows(&place), are(&[("a", 0), ("b", 20)]));
}
