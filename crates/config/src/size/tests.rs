use super::Size;

#[test]
fn decimal_and_binary_units_are_parsed() {
    for (text, bytes) in
        [("512 MB", 512_000_000), ("64KiB", 65_536), ("1.5 GB", 1_500_000_000), ("7 b", 7), ("2 tib", 2 << 40)]
    {
        assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
    }
}

#[test]
fn text_that_is_not_a_size_is_refused_with_an_example() {
    for text in ["", "512", "MB", "-1 MB", "1 parsec", "0 MB", "1.2.3 MB", "99999999 TB"] {
        let error = text.parse::<Size>().unwrap_err();
        assert!(error.to_string().contains("expected for example `512 MB`"), "{text}");
    }
}

#[test]
fn display_round_trips() {
    for bytes in [1, 999, 1_000, 1_024, 65_536, 512_000_000, 123_456_789] {
        let size = Size::from_bytes(bytes);
        assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
    }
}
