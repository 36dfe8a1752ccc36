//! Lookups in a parsed TOML table by path and by span.

use std::ops::Range;

use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::Path;

/// The path of the innermost key or value with exactly this span; for an element of an array, the array's path.
pub(super) fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Path> {
    let mut parts = Vec::new();
    locate_in(table, span, &mut parts).then_some(Path(parts))
}

fn locate_in(table: &DeTable<'_>, span: &Range<usize>, parts: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        parts.push(key.get_ref().to_string());
        let is_below = matches!(value.get_ref(), DeValue::Table(inner) if locate_in(inner, span, parts));
        let of_value = value.span();
        let is_element =
            matches!(value.get_ref(), DeValue::Array(_)) && of_value.start <= span.start && span.end <= of_value.end;
        let is_found = is_below || is_element || key.span() == *span || of_value == *span;
        if !is_found {
            parts.pop();
        }
        is_found
    })
}

/// The keys of a table at the top; empty when there is no such table.
pub(super) fn keys(table: &DeTable<'_>, section: &str) -> Vec<String> {
    match get(table, &[section.to_owned()]) {
        Some(DeValue::Table(inner)) => inner.keys().map(|key| key.get_ref().to_string()).collect(),
        _ => Vec::new(),
    }
}

/// The value at a path.
pub(super) fn get<'v, 't>(table: &'v DeTable<'t>, at: &[String]) -> Option<&'v DeValue<'t>> {
    let (first, rest) = at.split_first()?;
    let value = table.get(first.as_str())?.get_ref();
    match value {
        _ if rest.is_empty() => Some(value),
        DeValue::Table(inner) => get(inner, rest),
        _ => None,
    }
}

/// The value at a path, to be replaced.
pub(super) fn get_mut<'v, 't>(table: &'v mut DeTable<'t>, at: &[String]) -> Option<&'v mut DeValue<'t>> {
    let (first, rest) = at.split_first()?;
    match table.get_mut(first.as_str())?.get_mut() {
        value if rest.is_empty() => Some(value),
        DeValue::Table(inner) => get_mut(inner, rest),
        _ => None,
    }
}

/// Renames a key of a table at the top, unless the new key exists; false when there is no such key.
pub(super) fn rename(table: &mut DeTable<'_>, section: &str, old: &str, new: &str) -> bool {
    let Some(DeValue::Table(inner)) = table.get_mut(section).map(Spanned::get_mut) else {
        return false;
    };
    let Some((key, value)) = inner.remove_entry(old) else {
        return false;
    };
    if !inner.contains_key(new) {
        inner.insert(Spanned::new(key.span(), new.to_owned().into()), value);
    }
    true
}

/// Removes the key at a path; false when there is none.
pub(super) fn remove(table: &mut DeTable<'_>, at: &[String]) -> bool {
    let Some((first, rest)) = at.split_first() else {
        return false;
    };
    if rest.is_empty() {
        return table.remove(first.as_str()).is_some();
    }
    match table.get_mut(first.as_str()).map(Spanned::get_mut) {
        Some(DeValue::Table(inner)) => remove(inner, rest),
        _ => false,
    }
}
