use jiff::tz::TimeZone;

use super::InputTime::{self, Date, Timestamp};

#[test]
fn a_time_has_one_canonical_text_in_whatever_form_it_is_written() {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let check = |time: InputTime, text: &str, expected: Option<&str>| {
        assert_eq!(time.canonical(text, &zone).as_deref(), expected, "{time:?} {text}");
    };
    for text in ["2013-01-31 17:00", "2013-01-31T16:00:00Z", "2013-01-31 18:00+02:00", "1359648000", " 1359648000.0 "] {
        check(Timestamp, text, Some("2013-01-31T16:00:00Z"));
    }
    check(Timestamp, "9999-12-30T21:59:59.123456Z", Some("9999-12-30T21:59:59.123456Z"));
    assert_eq!(Timestamp.text_of_seconds(-1.5).as_deref(), Some("1969-12-31T23:59:58.5Z"));
    for (text, expected) in [("2013-01-31", "2013-01-31"), ("1359590400", "2013-01-31")] {
        check(Date, text, Some(expected));
    }
    assert_eq!(Date.text_of_seconds(-1.0).as_deref(), Some("1969-12-31"));
    for text in ["", "tomorrow", "2024-03-31 02:30", "NaN", "inf", "1e300", "1e12", "20130131", "2013", "-1.5"] {
        check(Timestamp, text, None);
    }
    for text in ["2013-02-30", "2013-01-31 17:00", "1e300"] {
        check(Date, text, None);
    }
}
