use perennial_core::time_text::parse_time;

use super::*;

fn zone(name: &str) -> Arc<LocalTimes> {
    LocalTimes::new(LocalTime { timezone: name.to_owned(), is_declared: true }).unwrap()
}

#[test]
fn a_local_time_is_an_instant_of_its_timezone() {
    let times = zone("Europe/Berlin");
    for (text, expected) in [
        ("2024-01-15 12:00", Some("2024-01-15T11:00:00Z")),
        ("2024-07-15 12:00", Some("2024-07-15T10:00:00Z")),
        ("2024-07-15T12:00:00.5Z", Some("2024-07-15T12:00:00.5Z")),
        ("2024-07-15T12:00:00+05:30", Some("2024-07-15T06:30:00Z")),
        // Clocks are set forward at 02:00 to 03:00.
        ("2024-03-31 01:59:59", Some("2024-03-31T00:59:59Z")),
        ("2024-03-31 02:00", None),
        ("2024-03-31 02:59:59.999999", None),
        ("2024-03-31 03:00", Some("2024-03-31T01:00:00Z")),
        // Clocks are set back at 03:00 to 02:00: the first occurrence is taken.
        ("2024-10-27 02:30", Some("2024-10-27T00:30:00Z")),
        ("2024-10-27 03:00", Some("2024-10-27T02:00:00Z")),
        ("1969-12-31 23:59:59.999999", Some("1969-12-31T22:59:59.999999Z")),
    ] {
        let instant = times.column("at").instant_us(parse_time(text).unwrap());
        assert_eq!(instant.map(crate::sql::timestamp_text).as_deref(), expected, "{text}");
    }
    let expected =
        "column `at` has 1 times that occur twice in Europe/Berlin, when clocks are set back: the first is taken";
    assert_eq!(times.warnings(), [expected]);
}

#[test]
fn a_timezone_that_the_source_does_not_declare_is_a_warning() {
    let declared = LocalTime { timezone: "UTC".to_owned(), is_declared: false };
    let times = LocalTimes::new(declared).unwrap();
    times.column("at").instant_us(parse_time("2024-01-15T12:00Z").unwrap());
    assert!(times.warnings().is_empty());
    times.column("at").instant_us(parse_time("2024-01-15 12:00").unwrap());
    let warnings = times.warnings();
    assert!(warnings[0].contains("without a zone, read as times of UTC: write `timezone = \"UTC\"`"), "{warnings:?}");
}

#[test]
fn an_unknown_timezone_is_refused() {
    let declared = LocalTime { timezone: "Europe/Nowhere".to_owned(), is_declared: true };
    assert!(LocalTimes::new(declared).unwrap_err().to_string().contains("`Europe/Nowhere` is not a timezone"));
}
