use std::collections::HashSet;

use jiff::tz::TimeZone;
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{Input, InputKind, InputTime};

use super::{first_key, misfit_time, of_input};
use crate::router::KeyColumn;

fn inputs(columns: &[(&str, Option<&str>)]) -> Frame {
    let mut frame = Frame::new();
    for (name, value) in columns {
        frame.push((*name).to_owned(), Column::Text(TextColumn::encode([*value])));
    }
    frame
}

fn names(names: &[&str]) -> Vec<KeyColumn> {
    names.iter().map(|name| KeyColumn { name: (*name).to_owned(), time: None }).collect()
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

fn time(time: InputTime) -> Input {
    Input { name: "at".into(), kind: InputKind::Number, time: Some(time) }
}

#[test]
fn times_as_text_become_epoch_seconds_by_the_timezone_of_the_project() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let texts = [Some("2024-07-15T12:00:00.5+02:00"), Some("2024-07-15 12:00"), None];
    let column = Column::Text(TextColumn::encode(texts));
    let Column::Number(values) = of_input(&time(InputTime::Timestamp), column, &zone) else { panic!("numbers") };
    assert_eq!(values[..2], [1_721_037_600.5, 1_721_037_600.0]);
    assert!(values[2].is_nan());
    let days = Column::Text(TextColumn::encode([Some("1970-01-02")]));
    assert_eq!(of_input(&time(InputTime::Date), days, &zone), Column::Number(vec![86_400.0]));
}

#[test]
fn a_text_that_is_no_time_digits_and_a_time_that_does_not_exist_are_refused() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let misfit = |kind: InputTime, text: &str| misfit_time(&time(kind), &TextColumn::encode([Some(text)]), &zone);
    for (kind, text, refused) in [
        (InputTime::Timestamp, "2024-03-31 02:30", true),
        (InputTime::Timestamp, "2024-03-31 03:30", false),
        (InputTime::Timestamp, "tomorrow", true),
        (InputTime::Timestamp, "1359651600", true),
        (InputTime::Date, "20130131", true),
        (InputTime::Date, "2013", true),
        (InputTime::Date, "2024-02-30", true),
        (InputTime::Date, "2024-02-29", false),
    ] {
        let message = misfit(kind, text);
        assert_eq!(message.is_some(), refused, "{text}");
        if let Some(message) = message {
            assert!(
                message.starts_with("input `at` takes a ") && message.ends_with(&format!("got the text `{text}`")),
                "{message}"
            );
        }
    }
}
