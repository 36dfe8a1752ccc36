use super::{Duration, Window, local, parse_instant, timezone};

fn window(at: &str, length: &str, zone: &str) -> (String, String) {
    let zone = timezone(zone).unwrap();
    let length: Duration = length.parse().unwrap();
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
    let length: Duration = "1 day".parse().unwrap();
    let short = Window::containing(parse_instant("2013-03-10T12:00:00", &zone).unwrap(), &length, &zone);
    assert_eq!(short.end_ms - short.start_ms, 23 * 3_600_000);
    let long = Window::containing(parse_instant("2013-11-03T12:00:00", &zone).unwrap(), &length, &zone);
    assert_eq!(long.end_ms - long.start_ms, 25 * 3_600_000);
}

#[test]
fn windows_tile_time() {
    let zone = timezone("America/New_York").unwrap();
    for length in ["1 month", "1 week", "1 day", "6 hours"] {
        let length: Duration = length.parse().unwrap();
        let mut window = Window::containing(parse_instant("2013-01-01", &zone).unwrap(), &length, &zone);
        for _ in 0..40 {
            let next = Window::containing(window.end_ms, &length, &zone);
            assert_eq!(window.end_ms, next.start_ms, "{length}");
            assert_eq!(next.previous(&length, &zone), window, "{length}");
            window = next;
        }
    }
}

#[test]
fn a_duration_must_be_longer_than_zero_and_readable() {
    for wrong in ["", "soon", "0 days", "-1 day", "1 mooon"] {
        assert!(wrong.parse::<Duration>().is_err(), "{wrong}");
    }
    assert!("90 s".parse::<Duration>().is_ok());
}
