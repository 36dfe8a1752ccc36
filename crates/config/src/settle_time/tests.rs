use super::SettleTime;

#[test]
fn times_from_zero_to_a_day_are_parsed_and_written() {
    for (text, ms, written) in [
        ("2 s", 2000, "2 s"),
        ("0s", 0, "0 s"),
        ("1 min", 60_000, "60 s"),
        ("250ms", 250, "250 ms"),
        ("24h", 86_400_000, "86400 s"),
    ] {
        let time: SettleTime = text.parse().unwrap();
        assert_eq!((time.as_millis(), time.to_string().as_str()), (ms, written), "{text}");
        assert_eq!(written.parse::<SettleTime>().unwrap(), time);
    }
}

#[test]
fn other_texts_are_refused_with_an_example() {
    for text in ["", "2", "-1 s", "25 h", "1 month", "soon"] {
        let error = text.parse::<SettleTime>().unwrap_err().to_string();
        assert!(error.contains("expected for example `2 s`"), "{error}");
    }
}
