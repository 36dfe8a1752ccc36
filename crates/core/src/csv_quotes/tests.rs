use super::*;

/// The fault of a text in parts of some bytes, so that each state is met at the border of two parts.
fn fault_in_parts(text: &str, bytes: usize) -> Option<QuoteFault> {
    let mut checker = QuoteChecker::default();
    let checked = text.as_bytes().chunks(bytes).try_for_each(|part| checker.check(part));
    checked.and_then(|()| checker.check_end()).err()
}

/// The fault of a text; the same whatever the size of the parts.
fn fault(text: &str) -> Option<QuoteFault> {
    let whole = fault_in_parts(text, text.len().max(1));
    // A byte order mark is recognized in the first part.
    for bytes in [3, 5] {
        assert_eq!(fault_in_parts(text, bytes), whole, "{text:?} in parts of {bytes} bytes");
    }
    whole
}

#[test]
fn misplaced_quotation_marks_are_found_with_their_lines() {
    for (text, expected) in [
        ("a,b\n1,\"big shop\n2,x\n", Some(QuoteFault::Unclosed { opened: 2 })),
        ("a,b\n1,\"big shop\n2,\"ok\"\n", Some(QuoteFault::TextAfterQuote { opened: 2, line: 3 })),
        ("a,b\n1,\"x\"y\n", Some(QuoteFault::TextAfterQuote { opened: 2, line: 2 })),
        ("a,b\n1,\"x\ny\"\n2,5\" pipe\n", Some(QuoteFault::Ambiguous { opened: 2, line: 4 })),
        ("a,b\n2,5\" pipe\n1,\"x\ny\"\n", Some(QuoteFault::Ambiguous { opened: 3, line: 2 })),
        ("a,b\r\n1,\"x\r\n", Some(QuoteFault::Unclosed { opened: 2 })),
        ("\"a", Some(QuoteFault::Unclosed { opened: 1 })),
        ("\u{feff}\"a,b\"\n1\n", None),
        ("a,b\n1,5\" pipe\n2,\"quoted \"\"twice\"\"\"\n", None),
        ("a,b\n1,\"x\"  \n2,\"y\"\t,\n", None),
        ("a,b\n1,\"two\nlines\"\n2,\"\"\n", None),
        ("a,b\n1, \"not quoted\n", None),
        ("\"\"", None),
        ("", None),
    ] {
        assert_eq!(fault(text), expected, "{text:?}");
    }
}

#[test]
fn a_quoted_field_has_a_limited_number_of_lines() {
    let text = |lines: usize| format!("a\n\"{}\"\n", vec!["x"; lines].join("\n"));
    assert_eq!(fault(&text(1000)), None);
    assert_eq!(fault(&text(1001)), Some(QuoteFault::TooManyLines { opened: 2 }));
}

#[test]
fn a_row_has_a_limited_length() {
    let long = "x".repeat(ROW_BYTES_MAX);
    let found = |text: String| fault_in_parts(&text, 256 << 10);
    assert_eq!(found(format!("a\n{long}\n")), None);
    assert_eq!(found(format!("a\n{long}x\n")), Some(QuoteFault::LongRow { line: 2 }));
    assert_eq!(found(format!("a\n\"{long}\"\n")), Some(QuoteFault::LongRow { line: 2 }));
    assert_eq!(found(format!("a\n\"\"{}", " ".repeat(ROW_BYTES_MAX))), Some(QuoteFault::LongRow { line: 2 }));
}
