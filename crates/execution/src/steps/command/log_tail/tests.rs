use super::{CHUNK_BYTES, LINE_CHARS_MAX, LINES_MAX, Lines};

#[test]
fn a_line_is_reported_when_it_is_complete() {
    let mut lines = Lines::default();
    assert_eq!(lines.push(b"one\ntw"), ["one"]);
    assert!(lines.push(b"o").is_empty());
    assert_eq!(lines.push(b"\n\nthree\n"), ["two", "", "three"]);
    assert!(lines.push(b"four").is_empty());
    assert_eq!(lines.finish().as_deref(), Some("four"));
    assert_eq!(lines.finish(), None);
}

#[test]
fn of_a_progress_bar_the_last_drawing_is_reported() {
    let mut lines = Lines::default();
    assert_eq!(lines.push(b"\r 10 %\r 50 %\r100 %\r\ndone\r\n"), ["100 %", "done"]);
}

#[test]
fn the_number_and_length_of_lines_are_bounded() {
    let mut lines = Lines::default();
    let long = lines.push(&[&vec![b'x'; 2 * LINE_CHARS_MAX], &b"\n"[..]].concat());
    assert_eq!(long[0].chars().count(), LINE_CHARS_MAX + 1);
    assert_eq!(lines.push(&vec![b'y'; CHUNK_BYTES + 1]).len(), 1);
    assert!(lines.pending.is_empty());
    assert_eq!(lines.push("z\n".repeat(LINES_MAX).as_bytes()).len(), LINES_MAX - 2);
    assert!(lines.emitted > LINES_MAX);
    assert!(lines.push(b"z\n").is_empty());
}

#[test]
fn bytes_that_are_no_text_do_not_end_the_log() {
    let mut lines = Lines::default();
    assert_eq!(lines.push(b"a\xffb\nc\n"), ["a\u{fffd}b", "c"]);
}
