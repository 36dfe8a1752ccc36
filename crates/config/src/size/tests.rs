use super::Size;

#[test]
fn sizes_are_read_in_decimal_and_binary_units() {
    for (text, bytes) in
        [("512 MB", 512_000_000), ("64KiB", 65_536), ("1.5 GB", 1_500_000_000), ("7 b", 7), ("2 tib", 2 << 40)]
    {
        assert_eq!(text.parse::<Size>().unwrap().bytes(), bytes, "{text}");
    }
}

#[test]
fn what_is_no_size_is_refused_with_an_example() {
    for text in ["", "512", "MB", "-1 MB", "1 parsec", "0 MB", "1.2.3 MB", "99999999 TB"] {
        let error = text.parse::<Size>().unwrap_err();
        assert!(error.to_string().contains("expected such as `512 MB`"), "{text}");
    }
}

#[test]
fn a_size_written_and_read_again_is_the_same() {
    for bytes in [1, 999, 1_000, 1_024, 65_536, 512_000_000, 123_456_789] {
        let size = Size::from_bytes(bytes);
        assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
    }
}
