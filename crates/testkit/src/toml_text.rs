//! Edits TOML texts by key, so that tests do not depend on the spacing of a project file.
//!
//! Paths are keys joined by dots: `datasets.planes.source.files`. Values are TOML: `'data/planes.csv'`.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Sets the value at a path. A missing key is added to its table: as the first line of `[table]`, at the end of
/// `{ table }`, or at the top of the text.
///
/// # Panics
/// When the table of a missing key does not exist.
pub fn set(text: &str, path: &str, value: &str) -> String {
    if let Some(found) = find(text, path) {
        return splice(text, found.value, value);
    }
    let Some((parent, key)) = path.rsplit_once('.') else {
        return format!("{path} = {value}\n{text}");
    };
    let table = existing(text, parent);
    if table.is_section {
        let end_of_header = text[table.key.end..].find('\n').map_or(text.len(), |newline| table.key.end + newline);
        return splice(text, end_of_header..end_of_header, &format!("\n{key} = {value}"));
    }
    let inner = &text[table.value.start + 1..table.value.end - 1];
    let inner = if inner.trim().is_empty() { String::new() } else { format!("{}, ", inner.trim()) };
    splice(text, table.value, &format!("{{ {inner}{key} = {value} }}"))
}

/// Renames the last key of a path.
///
/// # Panics
/// When there is nothing at the path.
pub fn rename(text: &str, path: &str, key: &str) -> String {
    splice(text, existing(text, path).key, key)
}

/// Removes the key or the `[section]` at a path.
///
/// # Panics
/// When there is nothing at the path.
pub fn remove(text: &str, path: &str) -> String {
    let found = existing(text, path);
    let start = text[..found.key.start].rfind('\n').map_or(0, |newline| newline + 1);
    if found.is_section {
        let next = text[found.key.end..].find("\n[").map_or(text.len(), |newline| found.key.end + newline + 1);
        return splice(text, start..next, "");
    }
    let is_inline = !text[start..found.key.start].trim().is_empty();
    if !is_inline {
        let end = text[found.value.end..].find('\n').map_or(text.len(), |newline| found.value.end + newline + 1);
        return splice(text, start..end, "");
    }
    let after = &text[found.value.end..];
    if let Some(rest) = after.trim_start().strip_prefix(',') {
        return splice(text, found.key.start..text.len() - rest.trim_start().len(), "");
    }
    let before = text[..found.key.start].trim_end();
    splice(text, before.strip_suffix(',').unwrap_or(before).len()..found.value.end, "")
}

/// A key and its value in a text, as byte ranges.
struct Found {
    key: Range<usize>,
    value: Range<usize>,
    /// Whether it is a table with a `[header]`, whose value has no range of its own.
    is_section: bool,
}

fn existing(text: &str, path: &str) -> Found {
    find(text, path).unwrap_or_else(|| panic!("there is no `{path}` in\n{text}"))
}

fn find(text: &str, path: &str) -> Option<Found> {
    let (root, _) = DeTable::parse_recoverable(text);
    let mut table = Some(root.get_ref());
    let mut found = None;
    for part in path.split('.') {
        let (key, value) = table?.get_key_value(part)?;
        let is_inline = text[value.span()].starts_with('{');
        let inner = match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => None,
        };
        found = Some(Found { key: key.span(), value: value.span(), is_section: inner.is_some() && !is_inline });
        table = inner;
    }
    found
}

fn splice(text: &str, range: Range<usize>, new: &str) -> String {
    format!("{}{new}{}", &text[..range.start], &text[range.end..])
}
