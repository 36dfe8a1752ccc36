use super::{append_cause, join_distinct, one_line};

#[test]
fn a_message_of_several_lines_becomes_one() {
    assert_eq!(one_line("cannot read:\n  the file\tis empty..\n"), "cannot read: the file is empty");
    assert_eq!(one_line(" \n"), "");
}

#[test]
fn a_part_that_repeats_stands_once() {
    assert_eq!(
        join_distinct(["the store is full", "`a` is held", "the store is full"], "; "),
        "the store is full; `a` is held"
    );
    assert_eq!(join_distinct(Vec::<String>::new(), "; "), "");
}

#[test]
fn a_cause_adds_what_the_message_does_not_say() {
    for (message, cause, expected) in [
        ("reading `a`", "no such file", "reading `a`: no such file"),
        ("reading `a`: no such file", "no such file", "reading `a`: no such file"),
        ("reading `a`", "reading `a`: no such file", "reading `a`: no such file"),
        ("endpoint `x`: reading `a`", "reading `a`: no such file", "endpoint `x`: reading `a`: no such file"),
        ("x: y: reading `a`", "y: reading `a` (os error 2)", "x: y: reading `a` (os error 2)"),
        ("the step: in", "invalid", "the step: in: invalid"),
        ("", "no such file", ": no such file"),
    ] {
        let mut text = message.to_owned();
        append_cause(&mut text, cause);
        assert_eq!(text, expected, "{message} + {cause}");
    }
}
