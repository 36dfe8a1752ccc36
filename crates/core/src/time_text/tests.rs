use proptest::prelude::*;

use super::*;

#[test]
fn days_and_times_are_parsed_in_common_forms() {
    let check = |value: &str, expected: Option<Time>| assert_eq!(parse_time(value), expected, "{value}");
    check("1970-01-01T00:00:00Z", Some(Time::Instant(0)));
    check("1970-01-01 00:00", Some(Time::Local(0)));
    check("1970-01-01T00:00:00.000001", Some(Time::Local(1)));
    check("1970-01-01T00:00:00.1234567Z", Some(Time::Instant(123_456)));
    check("2013-01-01T05:00:00-05:00", Some(Time::Instant(1_357_034_400_000_000)));
    check("2013-01-01T05:00:00+0530", Some(Time::Instant(1_356_996_600_000_000)));
    check("1969-12-31T23:59:59.999999Z", Some(Time::Instant(-1)));
    for wrong in [
        "2013-02-29T00:00:00Z",
        "2013-01-01T24:00",
        "2013-01-01T00:60",
        "2013-01-01",
        "2013-01-01Tnoon",
        "2013-01-01T00:00:00.Z",
        "x",
    ] {
        check(wrong, None);
    }
    assert_eq!(parse_date("2012-02-29"), Some(15_399));
    assert_eq!(parse_date("2013-13-01"), None);
}

#[test]
fn a_local_time_occurs_once_twice_or_never() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let us = |text: &str| match parse_time(text) {
        Some(Time::Instant(us) | Time::Local(us)) => us,
        None => panic!("{text}"),
    };
    for (text, expected) in [
        ("2024-01-15 12:00", Occurrence::Once(us("2024-01-15T11:00Z"))),
        ("2024-07-15 12:00", Occurrence::Once(us("2024-07-15T10:00Z"))),
        // Clocks are set forward at 02:00 to 03:00.
        ("2024-03-31 01:59:59.999999", Occurrence::Once(us("2024-03-31T00:59:59.999999Z"))),
        ("2024-03-31 02:00", Occurrence::Never),
        ("2024-03-31 02:59:59.999999", Occurrence::Never),
        ("2024-03-31 03:00", Occurrence::Once(us("2024-03-31T01:00Z"))),
        // Clocks are set back at 03:00 to 02:00.
        ("2024-10-27 02:30", Occurrence::Twice(us("2024-10-27T00:30Z"))),
        ("2024-10-27 03:00", Occurrence::Once(us("2024-10-27T02:00Z"))),
        ("1969-12-31 23:59:59.999999", Occurrence::Once(us("1969-12-31T22:59:59.999999Z"))),
    ] {
        assert_eq!(occurrence(us(text), &zone), expected, "{text}");
    }
}

proptest! {
    #[test]
    fn a_time_that_occurs_is_shown_by_the_clocks(local_us in -60_000_000_000_000_000i64..100_000_000_000_000_000) {
        let zone = TimeZone::get("America/New_York").unwrap();
        if let Occurrence::Once(us) | Occurrence::Twice(us) = occurrence(local_us, &zone) {
            let shown = jiff::Timestamp::from_microsecond(us).unwrap().to_zoned(zone).datetime();
            let epoch = civil::date(1970, 1, 1).at(0, 0, 0, 0);
            prop_assert_eq!(i64::try_from(shown.duration_since(epoch).as_micros()).unwrap(), local_us);
        }
    }
}
