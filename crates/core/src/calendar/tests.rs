use proptest::prelude::{any, prop, proptest};

use super::{Duration, Window, WindowLength, local, parse_instant, timezone};

fn window(at: &str, length: &str, zone: &str) -> (String, String) {
    let zone = timezone(zone).unwrap();
    let length: WindowLength = length.parse().unwrap();
    let window = Window::containing(parse_instant(at, &zone).unwrap(), &length, &zone);
    assert!(window.contains(parse_instant(at, &zone).unwrap()));
    (local(window.start_ms, &zone), local(window.end_ms, &zone))
}

#[test]
fn a_month_begins_at_local_midnight_on_the_first() {
    let got = window("2013-07-19T13:05:00", "1 month", "America/New_York");
    assert_eq!(got, ("2013-07-01 00:00".to_owned(), "2013-08-01 00:00".to_owned()));
    let quarter = window("2013-05-31", "3 months", "UTC");
    assert_eq!(quarter, ("2013-04-01 00:00".to_owned(), "2013-07-01 00:00".to_owned()));
}

#[test]
fn a_week_begins_on_monday() {
    let got = window("2026-11-22T23:59:00", "1 week", "UTC");
    assert_eq!(got, ("2026-11-16 00:00".to_owned(), "2026-11-23 00:00".to_owned()));
}

#[test]
fn a_day_of_daylight_saving_is_one_window() {
    let zone = timezone("America/New_York").unwrap();
    let length: WindowLength = "1 day".parse().unwrap();
    let short = Window::containing(parse_instant("2013-03-10T12:00:00", &zone).unwrap(), &length, &zone);
    assert_eq!(short.end_ms - short.start_ms, 23 * 3_600_000);
    let long = Window::containing(parse_instant("2013-11-03T12:00:00", &zone).unwrap(), &length, &zone);
    assert_eq!(long.end_ms - long.start_ms, 25 * 3_600_000);
}

/// Zones with rare changes of the clocks: half an hour, at midnight and one minute later, a whole day that is skipped.
const ZONES: [&str; 7] = [
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Pacific/Apia",
    "Asia/Kathmandu",
];
const LENGTHS: [&str; 13] = [
    "1 month",
    "3 months",
    "5 months",
    "1 year",
    "1 week",
    "2 weeks",
    "1 day",
    "3 days",
    "24 hours",
    "6 hours",
    "1 hour",
    "20 minutes",
    "90 s",
];

fn assert_adjacent(at: i64, length: &str, zone: &str) {
    let (length, zone): (WindowLength, _) = (length.parse().unwrap(), timezone(zone).unwrap());
    let window = Window::containing(at, &length, &zone);
    assert!(window.contains(at), "{window:?} of {length} contains {at}");
    assert_eq!(Window::containing(window.end_ms - 1, &length, &zone), window, "the end of {length} at {at}");
    assert_eq!(Window::containing(window.end_ms, &length, &zone).start_ms, window.end_ms, "after {length} at {at}");
    assert_eq!(window.previous(&length, &zone).end_ms, window.start_ms, "before {length} at {at}");
}

proptest! {
    #[test]
    fn windows_are_adjacent_and_contain_their_instant(
        at in -2_000_000_000_000_i64..4_000_000_000_000,
        length in prop::sample::select(&LENGTHS[..]),
        zone in prop::sample::select(&ZONES[..]),
    ) {
        assert_adjacent(at, length, zone);
    }

    #[test]
    fn every_instant_has_a_window(at in any::<i64>(), length in prop::sample::select(&LENGTHS[..])) {
        let (length, zone): (WindowLength, _) = (length.parse().unwrap(), timezone("UTC").unwrap());
        let window = Window::containing(at, &length, &zone);
        assert!(window.start_ms <= window.end_ms);
    }
}

#[test]
fn windows_are_adjacent_where_clocks_change() {
    for (zone, change) in [
        ("America/New_York", "2013-11-03T06:00:00Z"),
        ("America/New_York", "2013-03-10T07:00:00Z"),
        ("Australia/Lord_Howe", "2013-04-06T15:00:00Z"),
        ("America/Sao_Paulo", "2013-10-20T03:00:00Z"),
        ("America/St_Johns", "2010-11-07T02:31:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
    ] {
        let change = parse_instant(change, &timezone("UTC").unwrap()).unwrap();
        for length in LENGTHS {
            for minutes in -180..=180 {
                assert_adjacent(change + minutes * 60_000, length, zone);
            }
        }
    }
}

#[test]
fn a_part_of_a_day_begins_at_a_multiple_of_its_length_after_midnight() {
    let got = window("2013-07-19T13:05:00", "6 hours", "America/New_York");
    assert_eq!(got, ("2013-07-19 12:00".to_owned(), "2013-07-19 18:00".to_owned()));
}

#[test]
fn a_window_that_overlaps_others_of_its_length_is_refused() {
    for wrong in ["36 hours", "48 hours", "5 hours", "7 minutes", "500 ms", "1 month 15 days", "1 day 12 hours"] {
        let error = wrong.parse::<WindowLength>().unwrap_err();
        assert!(error.to_string().contains("is not a valid window length: expected"), "{wrong}: {error}");
    }
}

#[test]
fn a_window_of_more_than_a_hundred_years_is_refused() {
    for wrong in ["10000 years", "101 years", "1201 months", "5219 weeks", "36526 days"] {
        assert!(wrong.parse::<WindowLength>().is_err(), "{wrong}");
    }
    assert!("100 years".parse::<WindowLength>().is_ok());
}

#[test]
fn a_length_is_written_as_it_was_read() {
    let length: WindowLength = serde_json::from_str("\" 1 month \"").unwrap();
    assert_eq!(serde_json::to_string(&length).unwrap(), "\"1 month\"");
}

#[test]
fn a_duration_must_be_longer_than_zero_and_readable() {
    for wrong in ["", "soon", "0 days", "-1 day", "1 mooon"] {
        assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
    }
    assert!("90 s".parse::<Duration>().is_ok());
}
