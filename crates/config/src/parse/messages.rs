//! Turns the messages of serde and the TOML parser into those of this project.

use perennial_core::rule::{choose, nearest};

use crate::document::Path;

/// The TOML parser's message about a key or table that is defined twice.
pub(super) const DUPLICATE: &str = "duplicate key";

/// A message about a structure error.
pub(super) struct Message {
    pub(super) text: String,
    pub(super) suggestion: Option<String>,
    /// Whether the error is about the key, not its value.
    pub(super) is_about_key: bool,
    /// The key or word that was probably meant.
    pub(super) meant: Option<String>,
}

/// The message for a syntax error: one lowercase line.
pub(super) fn syntax(message: &str, words: &str) -> String {
    if message == DUPLICATE {
        return format!("`{words}` is defined twice");
    }
    let line = message.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut characters = line.chars();
    let first = characters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", characters.as_str())
}

/// The missing field, if the message is about one.
pub(super) fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// The message for a structure error at `at`, from serde's message.
///
/// `is_element` means that the error is about one element of the list at `at`.
pub(super) fn structure(message: &str, at: &Path, is_element: bool) -> Message {
    let key = at.last().unwrap_or("the project file");
    if let Some(field) = missing_field(message) {
        let place = if at.0.is_empty() { "the project file".to_owned() } else { format!("`{at}`") };
        let suggestion = match (at.0.as_slice(), example(at.section(), field)) {
            ([], _) => "add `[project]` with `name = \"my-project\"`".to_owned(),
            (_, Some(value)) => format!("add `{field} = {value}`"),
            (_, None) => format!("add `{field} = \"…\"`"),
        };
        return Message {
            text: format!("{place} needs `{field}`"),
            suggestion: Some(suggestion),
            is_about_key: true,
            meant: None,
        };
    }
    if let Some((word, expected)) = unknown(message, "unknown field `") {
        let parent = at.parent().filter(|parent| !parent.0.is_empty());
        let place = parent.map_or("at the top of the file".to_owned(), |parent| format!("in `{parent}`"));
        let meant = nearest(word, expected.iter().copied()).map(str::to_owned);
        return Message {
            text: format!("unknown key `{word}` {place}"),
            suggestion: choose(word, &expected),
            is_about_key: true,
            meant,
        };
    }
    if let Some((word, expected)) = unknown(message, "unknown variant `") {
        let meant = nearest(word, expected.iter().copied()).filter(|_| !is_element).map(str::to_owned);
        let suggestion = choose(word, &expected);
        let text = format!("unknown value `{word}` for `{key}`");
        return Message { text, suggestion, is_about_key: false, meant };
    }
    let mismatch = ["invalid type: ", "invalid value: "].into_iter().find_map(|start| message.strip_prefix(start));
    if let Some((found, expected)) = mismatch.and_then(|mismatch| mismatch.split_once(", expected ")) {
        let what = if is_element { "an element of " } else { "" };
        let text = format!("{what}`{key}` is {}, expected {}", describe_found(found), describe_expected(expected));
        let suggestion = example(at.section(), key).map(|value| format!("for example `{key} = {value}`"));
        return Message { text, suggestion, is_about_key: false, meant: None };
    }
    // A message of this project, from the `FromStr` of a name, duration or size.
    let is_about_key = message.contains(" name") && message.starts_with(&format!("`{key}`"));
    Message { text: message.to_owned(), suggestion: None, is_about_key, meant: None }
}

/// The unknown word of a message and the words that were expected.
fn unknown<'m>(message: &'m str, start: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let (word, expected) = message.strip_prefix(start)?.split_once('`')?;
    Some((word, expected.split('`').skip(1).step_by(2).collect()))
}

/// The value that was found, in TOML's terms.
fn describe_found(found: &str) -> String {
    for (start, words) in
        [("string ", "the string "), ("integer ", "the number "), ("floating point ", "the number "), ("boolean ", "")]
    {
        if let Some(value) = found.strip_prefix(start) {
            return format!("{words}{}", value.trim_matches('`'));
        }
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        other => other.to_owned(),
    }
}

/// What was expected, in TOML's terms.
fn describe_expected(expected: &str) -> String {
    let words = match expected {
        "a boolean" => "true or false",
        "f64" | "f32" => "a number",
        "u32" | "u64" | "usize" => "a whole number from 0",
        "i64" | "i32" => "a whole number",
        "a sequence" => "a list",
        "a map" => "a table",
        other if other.starts_with("struct ") => "a table",
        other => other,
    };
    words.to_owned()
}

/// An example value of a key.
fn example(section: &str, key: &str) -> Option<&'static str> {
    let value = match (section, key) {
        ("project", "name") => "\"my-project\"",
        ("project", "owners") => "[\"ops@example.org\"]",
        ("datasets", "source") => "{ files = \"data/*.parquet\" }",
        ("datasets", "files") => "\"data/*.parquet\"",
        ("task", "kind") => "\"binary\"",
        ("task" | "datasets", "key") => "[\"id\"]",
        ("task", "ignore" | "allow") => "[\"column\"]",
        ("task", "test") | ("datasets", "every") | ("monitors", "window") => "\"1 month\"",
        ("task", "label_delay") => "\"45 days\"",
        ("task", "metric") => "\"auc\"",
        ("release", "evidence_ttl") => "\"7 days\"",
        ("release", "approve") => "[\"approver\"]",
        ("steps", "evaluate") => "[\"train\"]",
        ("steps", "path") => "\"model\"",
        ("steps", "time") => "\"30 minutes\"",
        ("steps", "memory") => "\"2 GB\"",
        ("endpoints", "share") => "0.1",
        ("endpoints", "for") => "\"3 days\"",
        ("endpoints", "min_requests") => "200",
        ("endpoints", "max_body") => "\"16 MB\"",
        ("triggers", "on") => "[\"schedule:0 3 * * *\"]",
        ("triggers", "run") => "\"release\"",
        _ => return None,
    };
    Some(value)
}
