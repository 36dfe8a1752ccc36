use perennial_core::model::InputTime;

use super::*;
use crate::inference::scoring::payload::{read, read_csv};

fn input(name: &str, time: Option<InputTime>) -> Input {
    Input { name: name.into(), kind: InputKind::Number, time }
}

fn texts_of<'f>(frame: &'f Frame, name: &str) -> Vec<Option<&'f str>> {
    let Some(Column::Text(text)) = frame.column(name) else { panic!("texts") };
    (0..text.codes.len()).map(|row| text.get(row)).collect()
}

/// The message of a refused request.
fn message(table: Result<Table<'_>>) -> String {
    let error = table.unwrap_err();
    assert_eq!(error.code(), ErrorCode::TooLarge, "{error}");
    error.message().to_owned()
}

#[test]
fn records_with_a_key_of_their_own_each_are_refused_at_the_first_column_beyond_the_limit() {
    let rows: Vec<String> = (0..20_000).map(|row| format!(r#"{{"a{row}":0}}"#)).collect();
    let body = format!(r#"{{"dataframe_records":[{}]}}"#, rows.join(","));
    assert_eq!(message(read(body.as_bytes())), "the request has more than 4096 columns");
}

#[test]
fn absent_keys_count_as_cells() {
    let keys: Vec<String> = (0..limits::INFER_TENSORS_MAX).map(|key| format!(r#""a{key}":0"#)).collect();
    let empty = vec!["{}"; limits::INFER_CELLS_MAX / limits::INFER_TENSORS_MAX].join(",");
    let body = format!(r#"{{"dataframe_records":[{{{}}},{empty}]}}"#, keys.join(","));
    assert_eq!(message(read(body.as_bytes())), "the request has more than 10000000 cells");
}

#[test]
fn the_first_row_beyond_the_limit_is_refused_in_every_form() {
    let rows = limits::INFER_ROWS_MAX + 1;
    let of = |form: &str, row: &str| format!(r#"{{"{form}":[{}]}}"#, vec![row; rows].join(","));
    for body in [
        of("dataframe_records", r#"{"x":1}"#),
        of("instances", "[1]"),
        of("inputs", "1"),
        format!(r#"{{"inputs":{{"x":[{}]}}}}"#, vec!["1"; rows].join(",")),
        format!(r#"{{"dataframe_split":{{"columns":["x"],"data":[{}]}}}}"#, vec!["[1]"; rows].join(",")),
    ] {
        assert_eq!(message(read(body.as_bytes())), "the request has more than 100000 rows", "{}", &body[..40]);
    }
    assert_eq!(message(read_csv(&b"x\n".repeat(rows + 1))), "the request has more than 100000 rows");
}

#[test]
fn a_csv_header_with_too_many_columns_is_refused() {
    let names: Vec<String> = (0..=limits::INFER_TENSORS_MAX).map(|column| format!("a{column}")).collect();
    assert_eq!(message(read_csv(names.join(",").as_bytes())), "the request has more than 4096 columns");
    let unnamed = read_csv(&vec![b','; 1_000_000]).unwrap_err();
    assert_eq!(unnamed.message(), "column `` is sent twice");
}

#[test]
fn a_late_key_is_missing_in_the_rows_before_it_and_an_early_one_in_those_after() {
    let table = read(br#"{"dataframe_records":[{"a":1},{"b":2},{"a":3,"b":4}]}"#).unwrap();
    let number = Input { name: "a".into(), kind: InputKind::Number, time: None };
    let frame = table.fit(|_| Some(&number)).unwrap();
    assert_eq!(frame.names(), ["a", "b"]);
    let missing = |name: &str| (0..3).map(|row| frame.column(name).unwrap().is_missing(row)).collect::<Vec<_>>();
    assert_eq!((missing("a"), missing("b")), (vec![false, true, false], vec![true, false, false]));
}

#[test]
fn a_time_may_be_a_text_and_a_number_may_not() {
    let body = br#"{"dataframe_records":[{"at":"2013-01-31T17:00:00Z"},{"at":"20130131"},{"at":null}]}"#;
    let time = input("at", Some(InputTime::Timestamp));
    let frame = read(body).unwrap().fit(|_| Some(&time)).unwrap();
    assert_eq!(texts_of(&frame, "at"), [Some("2013-01-31T17:00:00Z"), Some("20130131"), None]);
    let number = input("at", None);
    assert_eq!(read(body).unwrap().fit(|_| Some(&number)).unwrap_err().code(), ErrorCode::Signature);
}

#[test]
fn numbers_of_json_are_epoch_seconds_and_fields_of_csv_are_texts() {
    let time = input("at", Some(InputTime::Date));
    let frame = read(br#"{"instances":[{"at":1359590400},{"at":null}]}"#).unwrap().fit(|_| Some(&time)).unwrap();
    let Some(Column::Number(values)) = frame.column("at") else { panic!("numbers") };
    assert!(values[0] == 1_359_590_400.0 && values[1].is_nan());
    let frame = read_csv(b"at,b\n20130131,1\n,2\n").unwrap().fit(|_| Some(&time)).unwrap();
    assert_eq!(texts_of(&frame, "at"), [Some("20130131"), None]);
    let mixed = read(br#"{"instances":[{"at":1359590400},{"at":"2013-01-31"}]}"#).unwrap().fit(|_| Some(&time));
    assert_eq!(mixed.unwrap_err().message(), "column `at` takes times as texts or as numbers, not both");
}

#[test]
fn an_integer_that_a_double_does_not_hold_is_refused_in_every_form() {
    let number = input("id", None);
    let long = "18446744073709551617";
    for value in ["9007199254740993", "-9007199254740993", "18446744073709551615", long, "1000000000000000000000001"] {
        for body in [
            format!(r#"{{"dataframe_records":[{{"id":{value}}}]}}"#),
            format!(r#"{{"dataframe_records":[{{"id":"{value}"}}]}}"#),
        ] {
            let refused = read(body.as_bytes()).unwrap().fit(|_| Some(&number)).unwrap_err();
            let expected = format!("column `id` takes numbers that a double holds exactly, row 0 has `{value}`");
            assert_eq!((refused.code(), refused.message()), (ErrorCode::Signature, expected.as_str()));
        }
        let csv = read_csv(format!("id\n{value}\n").as_bytes()).unwrap().fit(|_| Some(&number));
        assert_eq!(csv.unwrap_err().code(), ErrorCode::Signature, "{value}");
    }
    let body = br#"{"instances":[{"id":9007199254740992},{"id":"0.1"},{"id":1e300},{"id":"-7"}]}"#;
    let frame = read(body).unwrap().fit(|_| Some(&number)).unwrap();
    assert_eq!(frame.column("id"), Some(&Column::Number(vec![9_007_199_254_740_992.0, 0.1, 1e300, -7.0])));
}

#[test]
fn a_stray_quotation_mark_of_csv_is_refused_with_its_line() {
    let error = read_csv(b"a,b\n1,\"big shop\n2,x\n3,y\n").unwrap_err();
    assert!(error.message().contains("line 2: the quotation mark that opens a field there is not closed"), "{error}");
    assert!(error.hint().is_some());
}

#[test]
fn a_key_of_any_length_keeps_its_digits() {
    for key in [
        "9007199254740993",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "12345678901234567890123",
    ] {
        let body = format!(r#"{{"dataframe_records":[{{"id":{key}}}]}}"#);
        let frame = read(body.as_bytes()).unwrap().fit(|_| None).unwrap();
        let Some(Column::Text(text)) = frame.column("id") else { panic!("a text") };
        assert_eq!(text.get(0), Some(key));
    }
}
