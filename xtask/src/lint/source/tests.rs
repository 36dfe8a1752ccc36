use super::*;

fn of_kind(source: &str, kind: Kind) -> Vec<&str> {
    pieces(source).into_iter().filter(|piece| piece.kind == kind).map(|piece| piece.text).collect()
}

#[test]
fn comments_and_literals_are_separate_from_code() {
    let source = "let a = \"x // y\"; // one\n/* two /* three */ */ let b = r#\"\"q\"\"#; let c = b\"z\";";
    assert_eq!(of_kind(source, Kind::Comment), ["// one", "/* two /* three */ */"]);
    assert_eq!(of_kind(source, Kind::Literal), ["\"x // y\"", "r#\"\"q\"\"#", "b\"z\""]);
    assert_eq!(pieces(source).iter().map(|piece| piece.text).collect::<String>(), source);
}

#[test]
fn quotes_of_characters_and_lifetimes_open_no_string() {
    let source = "let a = '\"'; let b = '\\''; fn f<'a>(x: &'a str) {} let c = '\\u{22}'; // end";
    assert_eq!(of_kind(source, Kind::Literal), ["'\"'", "'\\''", "'\\u{22}'"]);
    assert_eq!(of_kind(source, Kind::Comment), ["// end"]);
}

#[test]
fn an_identifier_that_ends_in_r_is_no_raw_string() {
    assert_eq!(of_kind("var\"x\"", Kind::Literal), ["\"x\""]);
    assert_eq!(of_kind("r#fn()", Kind::Literal), Vec::<&str>::new());
}

#[test]
fn pieces_know_their_lines() {
    let lines: Vec<(Kind, usize)> =
        pieces("a\n// b\n\"c\nd\" e").iter().map(|piece| (piece.kind, piece.line)).collect();
    assert_eq!(lines, [(Kind::Code, 1), (Kind::Comment, 2), (Kind::Code, 2), (Kind::Literal, 3), (Kind::Code, 4)]);
}

#[test]
fn code_keeps_lines_and_drops_what_is_quoted() {
    assert_eq!(code("a // b\n\"c\nd\" e"), "a     \n  \n   e");
}
