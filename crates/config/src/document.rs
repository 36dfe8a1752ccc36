//! A parsed TOML text that knows the byte range of each key and value.

use std::fmt;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed text with the spans of its keys and values.
pub(crate) struct Document<'t> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
    pub(crate) root: Spanned<DeTable<'t>>,
}

/// The keys that lead to a value, from the top; elements of arrays by their index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    /// The path of a key or element of the value at this path.
    pub(crate) fn join(&self, part: impl ToString) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }

    /// The path of the table or array that contains this path; `None` at the top.
    pub(crate) fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// The first key.
    pub(crate) fn section(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The last key.
    pub(crate) fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// Whether this path is `other` or below it. Ignores ASCII case, a common form of misspelling.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        other.0.len() <= self.0.len()
            && other.0.iter().zip(&self.0).all(|(other, part)| other.eq_ignore_ascii_case(part))
    }
}

/// Formats the path as in TOML: `steps.train.params`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Builds a [`Path`] from keys and indices that implement `Display`.
macro_rules! at {
    ($($part:expr),* $(,)?) => { $crate::document::Path(vec![$($part.to_string()),*]) };
}
pub(crate) use at;

impl Document<'_> {
    /// The byte range of the key at the path, or of the nearest enclosing key that exists.
    pub(crate) fn key_span(&self, path: &Path) -> Range<usize> {
        self.find(path).0
    }

    /// The byte range of the value at the path, or of its key when the value is a table.
    pub(crate) fn value_span(&self, path: &Path) -> Range<usize> {
        self.find(path).1
    }

    /// The byte range of a part of the string at the path, given the part's byte range in the decoded string.
    pub(crate) fn span_inside(&self, path: &Path, part: Range<usize>) -> Range<usize> {
        let value = self.value_span(path);
        raw_range(&self.text[value.clone()], part)
            .map_or(value.clone(), |found| value.start + found.start..value.start + found.end)
    }

    fn find(&self, path: &Path) -> (Range<usize>, Range<usize>) {
        let mut key = 0..0;
        let mut table = Some(self.root.get_ref());
        let mut array = None;
        let mut value = 0..0;
        for part in &path.0 {
            let found = if let Some(table) = table {
                table.get_key_value(part.as_str()).map(|(name, value)| (name.span(), value))
            } else if let Some(array) = array {
                let array: &toml::de::DeArray<'_> = array;
                part.parse().ok().and_then(|index: usize| array.get(index)).map(|value| (value.span(), value))
            } else {
                None
            };
            let Some((name, found)) = found else {
                return (key.clone(), key);
            };
            key = name;
            (table, array) = (None, None);
            value = match found.get_ref() {
                DeValue::Table(inner) => {
                    table = Some(inner);
                    key.clone()
                }
                DeValue::Array(inner) => {
                    array = Some(inner);
                    found.span()
                }
                _ => found.span(),
            };
        }
        (key, value)
    }
}

/// Maps a byte range of a decoded TOML string to its raw form, quotes included.
fn raw_range(raw: &str, part: Range<usize>) -> Option<Range<usize>> {
    let delimiter =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| raw.len() >= 2 * mark.len() && raw.starts_with(mark))?;
    let is_literal = delimiter.starts_with('\'');
    let mut at = delimiter.len();
    if delimiter.len() == 3 {
        // TOML drops a newline directly after the opening delimiter.
        at += if raw[at..].starts_with("\r\n") { 2 } else { usize::from(raw[at..].starts_with('\n')) };
    }
    let end = raw.len() - delimiter.len();
    let mut decoded = 0;
    let mut start = None;
    loop {
        if decoded >= part.start && start.is_none() {
            start = Some(at);
        }
        if let Some(start) = start
            && decoded >= part.end
        {
            return Some(start..at);
        }
        if at >= end {
            return start.map(|start| start..end);
        }
        let (raw_length, length) =
            if !is_literal && raw[at..].starts_with('\\') { escape(&raw[at..end]) } else { plain(&raw[at..end]) };
        at += raw_length;
        decoded += length;
    }
}

/// The raw and decoded byte lengths of an unescaped character.
fn plain(rest: &str) -> (usize, usize) {
    // TOML decodes CR LF inside a string as one newline.
    if rest.starts_with("\r\n") {
        return (2, 1);
    }
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// The byte lengths of an escape sequence and of its decoded form.
fn escape(rest: &str) -> (usize, usize) {
    let digits = match rest.as_bytes().get(1) {
        Some(b'x') => 2,
        Some(b'u') => 4,
        Some(b'U') => 8,
        Some(b'\n' | b'\r' | b' ' | b'\t') => {
            let length = rest[1..].find(|c: char| !c.is_whitespace()).map_or(rest.len(), |found| found + 1);
            return (length, 0);
        }
        _ => return (2.min(rest.len()), 1),
    };
    let code = rest.get(2..2 + digits).and_then(|text| u32::from_str_radix(text, 16).ok()).and_then(char::from_u32);
    (2 + digits, code.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests;
