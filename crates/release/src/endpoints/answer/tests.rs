use std::collections::HashSet;

use perennial_core::frame::{Column, Frame, TextColumn};

use super::first_key;

fn inputs(columns: &[(&str, Option<&str>)]) -> Frame {
    let mut frame = Frame::new();
    for (name, value) in columns {
        frame.push((*name).to_owned(), Column::Text(TextColumn::encode([*value])));
    }
    frame
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn every_key_column_takes_part_and_each_keeps_what_it_holds() {
    let key = names(&["store", "day"]);
    let rows = [
        [Some("1"), Some("2")],
        [Some("1"), Some("3")],
        [Some("2"), Some("2")],
        [Some("12"), None],
        [None, Some("12")],
        [Some("1\0"), Some("2")],
        [Some("1"), Some("\u{0}2")],
        [Some("1\",\"2"), None],
    ];
    let keys: HashSet<String> = rows
        .iter()
        .map(|[store, day]| first_key(&key, &inputs(&[("store", *store), ("day", *day)])).unwrap())
        .collect();
    assert_eq!(keys.len(), rows.len());
}

#[test]
fn a_key_of_one_column_is_the_same_as_number_and_as_text() {
    let mut frame = Frame::new();
    frame.push("id".to_owned(), Column::Number(vec![70.0, 71.0]));
    assert_eq!(first_key(&names(&["id"]), &frame).as_deref(), Some("70"));
    assert_eq!(first_key(&names(&["id"]), &inputs(&[("id", Some("70"))])).as_deref(), Some("70"));
}

#[test]
fn a_request_without_any_key_has_none() {
    let key = names(&["store", "day"]);
    assert_eq!(first_key(&key, &inputs(&[("store", None), ("day", None)])), None);
    assert_eq!(first_key(&key, &inputs(&[("distance", Some("70"))])), None);
    assert_eq!(first_key(&[], &inputs(&[])), None);
}
