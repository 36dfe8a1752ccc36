//! A TOML text whose every key and value can be found again.

use std::fmt;
use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

/// A parsed text.
pub(crate) struct Document<'t> {
    pub(crate) name: &'t str,
    pub(crate) text: &'t str,
    pub(crate) root: Spanned<DeTable<'t>>,
}

/// A place by keys from the top; elements of arrays by their index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<String>);

impl Path {
    /// The place of a part of what is here.
    pub(crate) fn then(&self, part: impl ToString) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }

    /// What this is a part of; `None` at the top.
    pub(crate) fn above(&self) -> Option<Self> {
        let (_, above) = self.0.split_last()?;
        Some(Self(above.to_vec()))
    }

    /// The first key.
    pub(crate) fn section(&self) -> &str {
        self.0.first().map_or("", String::as_str)
    }

    /// The last key.
    pub(crate) fn last(&self) -> Option<&str> {
        self.0.last().map(String::as_str)
    }

    /// Whether this is at or below `other`. Case does not part them: it is what names are misspelt in.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        other.0.len() <= self.0.len()
            && other.0.iter().zip(&self.0).all(|(other, part)| other.eq_ignore_ascii_case(part))
    }
}

/// As it is written in TOML: `steps.train.params`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// Makes a [`Path`] of anything that shows as text.
macro_rules! at {
    ($($part:expr),* $(,)?) => { $crate::document::Path(vec![$($part.to_string()),*]) };
}
pub(crate) use at;

impl Document<'_> {
    /// Bytes of the key at the path; of the nearest table above when it is not there.
    pub(crate) fn key_span(&self, path: &Path) -> Range<usize> {
        self.find(path).0
    }

    /// Bytes of the value at the path; of the key when the value is a whole table.
    pub(crate) fn value_span(&self, path: &Path) -> Range<usize> {
        self.find(path).1
    }

    /// Bytes of a part of the text value at the path, given the part's bytes in the decoded text.
    pub(crate) fn span_inside(&self, path: &Path, part: Range<usize>) -> Range<usize> {
        let value = self.value_span(path);
        inside(&self.text[value.clone()], part)
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

/// Finds bytes of a decoded TOML string in its raw form, quotes included.
fn inside(raw: &str, part: Range<usize>) -> Option<Range<usize>> {
    let mark =
        ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| raw.len() >= 2 * mark.len() && raw.starts_with(mark))?;
    let is_literal = mark.starts_with('\'');
    let mut at = mark.len();
    if mark.len() == 3 {
        // A newline right after the opening is not part of the text.
        at += if raw[at..].starts_with("\r\n") { 2 } else { usize::from(raw[at..].starts_with('\n')) };
    }
    let end = raw.len() - mark.len();
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

fn plain(rest: &str) -> (usize, usize) {
    // TOML reads CR LF inside a text as one newline.
    if rest.starts_with("\r\n") {
        return (2, 1);
    }
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// Bytes of an escape, and of what it stands for.
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
