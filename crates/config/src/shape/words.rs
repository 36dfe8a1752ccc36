//! What serde and the TOML parser say, in this project's words.

use perennial_core::rule::{choose, nearest};

use crate::document::Path;

/// What the TOML parser says of a key or table that is there already.
pub(super) const DUPLICATE: &str = "duplicate key";

/// A mistake of shape as it is told.
pub(super) struct Said {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// Whether the key is at fault, else its value.
    pub(super) is_about_key: bool,
    /// The key or word that was probably meant.
    pub(super) meant: Option<String>,
}

/// A mistake of TOML itself: one lowercase line.
pub(super) fn syntax(message: &str, words: &str) -> String {
    if message == DUPLICATE {
        return format!("`{words}` is said twice");
    }
    let line = message.lines().next().unwrap_or_default().trim_end_matches('.');
    let mut characters = line.chars();
    let first = characters.next().map(|c| c.to_lowercase().to_string()).unwrap_or_default();
    format!("{first}{}", characters.as_str())
}

/// The field that is missing, if that is the mistake.
pub(super) fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// A mistake at `at`, from serde's message.
///
/// `is_element` tells that it is about one element of the list at `at`.
pub(super) fn shape(message: &str, at: &Path, is_element: bool) -> Said {
    let key = at.last().unwrap_or("the project file");
    if let Some(field) = missing_field(message) {
        let place = if at.0.is_empty() { "the project file".to_owned() } else { format!("`{at}`") };
        let suggestion = match (at.0.as_slice(), example(at.section(), field)) {
            ([], _) => "add `[project]` with `name = \"my-project\"`".to_owned(),
            (_, Some(value)) => format!("add `{field} = {value}`"),
            (_, None) => format!("add `{field} = \"…\"`"),
        };
        return Said {
            message: format!("{place} needs `{field}`"),
            suggestion: Some(suggestion),
            is_about_key: true,
            meant: None,
        };
    }
    if let Some((word, expected)) = unknown(message, "unknown field `") {
        let above = at.above().filter(|above| !above.0.is_empty());
        let place = above.map_or("at the top of the file".to_owned(), |above| format!("in `{above}`"));
        let meant = nearest(word, expected.iter().copied()).map(str::to_owned);
        return Said {
            message: format!("unknown key `{word}` {place}"),
            suggestion: choose(word, &expected),
            is_about_key: true,
            meant,
        };
    }
    if let Some((word, expected)) = unknown(message, "unknown variant `") {
        let meant = nearest(word, expected.iter().copied()).filter(|_| !is_element).map(str::to_owned);
        let suggestion = choose(word, &expected);
        return Said { message: format!("`{word}` is not known for `{key}`"), suggestion, is_about_key: false, meant };
    }
    let told = ["invalid type: ", "invalid value: "].into_iter().find_map(|start| message.strip_prefix(start));
    if let Some((found, expected)) = told.and_then(|told| told.split_once(", expected ")) {
        let what = if is_element { "an element of " } else { "" };
        let message = format!("{what}`{key}` is {}, expected {}", found_words(found), expected_words(expected));
        let suggestion = example(at.section(), key).map(|value| format!("such as `{key} = {value}`"));
        return Said { message, suggestion, is_about_key: false, meant: None };
    }
    // A message of our own, from a type that judges its text.
    let is_about_key = message.contains(" name: ") && message.starts_with(&format!("`{key}`"));
    Said { message: message.to_owned(), suggestion: None, is_about_key, meant: None }
}

fn unknown<'m>(message: &'m str, start: &str) -> Option<(&'m str, Vec<&'m str>)> {
    let (word, expected) = message.strip_prefix(start)?.split_once('`')?;
    Some((word, expected.split('`').skip(1).step_by(2).collect()))
}

fn found_words(found: &str) -> String {
    for (start, words) in
        [("string ", "the text "), ("integer ", "the number "), ("floating point ", "the number "), ("boolean ", "")]
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

fn expected_words(expected: &str) -> String {
    let words = match expected {
        "a string" => "text",
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

/// What the value of a key could look like.
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
        ("task", "within") => "\"45 days\"",
        ("task", "metric") => "\"auc\"",
        ("release", "fresh") => "\"7 days\"",
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
