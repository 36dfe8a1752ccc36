use perennial_core::calendar::{Duration, WindowLength, local, parse_instant, timezone};
use proptest::prelude::*;

use super::{Rows, Rules, Split, split};

fn decide(rows: &[(&str, bool)], now: &str) -> perennial_core::Result<Split> {
    let zone = timezone("America/New_York").unwrap();
    let times: Vec<Option<i64>> = rows.iter().map(|(day, _)| Some(parse_instant(day, &zone).unwrap())).collect();
    let labelled: Vec<bool> = rows.iter().map(|(_, labelled)| *labelled).collect();
    let (test, label_delay): (WindowLength, Duration) = ("1 month".parse().unwrap(), "45 days".parse().unwrap());
    let now_ms = parse_instant(now, &zone).unwrap();
    split(
        Rows { times: &times, labelled: &labelled },
        Rules { test: &test, label_delay: Some(&label_delay), zone: &zone, now_ms },
    )
}

fn month(split: &Split) -> String {
    local(split.test.start_ms, &timezone("America/New_York").unwrap())
}

#[test]
fn the_newest_window_that_is_over_and_labelled_is_the_test_window() {
    let rows = [("2013-04-10", true), ("2013-05-10", true), ("2013-06-10", true), ("2013-07-10", false)];
    let decided = decide(&rows, "2013-07-15").unwrap();
    assert_eq!(month(&decided), "2013-06-01 00:00");
    assert_eq!((decided.train_rows, decided.test_rows), (2, 1));
}

#[test]
fn a_window_that_is_not_over_waits_however_well_labelled() {
    let rows = [("2013-05-10", true), ("2013-06-10", true), ("2013-07-02", true)];
    assert_eq!(month(&decide(&rows, "2013-07-31").unwrap()), "2013-06-01 00:00");
    assert_eq!(month(&decide(&rows, "2013-08-01").unwrap()), "2013-07-01 00:00");
}

#[test]
fn a_window_with_too_few_outcomes_waits_until_within_is_over() {
    let mut rows = vec![("2013-04-10", true), ("2013-05-10", true)];
    rows.extend([("2013-06-10", true); 9]);
    rows.push(("2013-06-11", false));
    assert_eq!(month(&decide(&rows, "2013-08-14").unwrap()), "2013-05-01 00:00");
    assert_eq!(month(&decide(&rows, "2013-08-15").unwrap()), "2013-06-01 00:00");
}

#[test]
fn nothing_to_train_on_and_nothing_labelled_are_different_errors() {
    let only = decide(&[("2013-06-10", true)], "2013-07-15").unwrap_err();
    assert!(only.message().contains("nothing earlier to train on"), "{only}");
    let none = decide(&[("2013-05-10", false), ("2013-06-10", false)], "2013-07-01").unwrap_err();
    assert!(none.message().contains("labelled yet"), "{none}");
}

proptest! {
    #[test]
    fn no_row_is_both_training_and_test(days in proptest::collection::vec((0i64..300, any::<bool>()), 1..60), now in 0i64..400) {
        let zone = timezone("UTC").unwrap();
        let base = parse_instant("2013-01-01", &zone).unwrap();
        let times: Vec<Option<i64>> = days.iter().map(|(day, _)| Some(base + day * 86_400_000)).collect();
        let labelled: Vec<bool> = days.iter().map(|(_, labelled)| *labelled).collect();
        let test: WindowLength = "1 month".parse().unwrap();
        let now_ms = base + now * 86_400_000;
        if let Ok(decided) = split(Rows { times: &times, labelled: &labelled }, Rules { test: &test, label_delay: None, zone: &zone, now_ms }) {
            prop_assert!(decided.test.end_ms <= now_ms);
            for time in times.iter().flatten() {
                prop_assert!(!(decided.is_training(*time) && decided.is_test(*time)));
            }
        }
    }
}
