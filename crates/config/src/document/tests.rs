use serde_spanned::Spanned;
use toml::de::DeTable;

use super::Document;

/// Finds `part` in the decoded value `a` and returns the raw text at its span.
fn words(text: &str, part: &str) -> String {
    let root = DeTable::parse(text).unwrap();
    let value = root.get_ref().get("a").unwrap().get_ref().as_str().unwrap().to_owned();
    let start = value.find(part).unwrap();
    let document = Document { name: "a.toml", text, root: Spanned::new(0..text.len(), root.into_inner()) };
    text[document.span_inside(&at!["a"], start..start + part.len())].to_owned()
}

#[test]
fn a_part_of_a_text_is_found_in_every_form_of_string() {
    for text in [
        "a = \"x >= auc && y\"",
        "a = 'x >= auc && y'",
        "a = \"\"\"\nx >= auc\n && y\"\"\"",
        "a = '''\r\nx >= auc\r\n && y'''",
        "a = \"\\\"é\\u00e9\\U0001F600\\t\\x41 auc\"",
        "a = \"\"\"x \\\n   >= auc\"\"\"",
        "a = \"é auc\"",
    ] {
        assert_eq!(words(text, "auc"), "auc", "{text}");
    }
}

#[test]
fn an_escape_is_found_whole() {
    assert_eq!(words("a = \"x \\\" y\"", "\""), "\\\"");
    assert_eq!(words("a = \"x \\u00e9 y\"", "é"), "\\u00e9");
}
