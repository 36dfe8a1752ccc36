//! From text to [`ProjectFile`]: every mistake of shape at once.
//!
//! serde stops at the first mistake. Here the mistake is told, what is at fault
//! is cut out of the tree, and the rest is read again, until nothing is wrong.

mod words;

use std::ops::Range;

use serde::Deserialize;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::diagnostic::Diagnostic;
use crate::document::{Document, Path, at};
use crate::file::ProjectFile;
use crate::{FILE_BYTES_MAX, MISTAKES_MAX};

/// What could be read, and what could not.
pub(crate) struct Shape<'t> {
    pub(crate) document: Document<'t>,
    /// The file without what was cut out; `None` when nothing can be judged further.
    pub(crate) file: Option<ProjectFile>,
    /// Paths that were cut out: whatever is missing there is not a mistake of its own.
    pub(crate) cut: Vec<Path>,
    pub(crate) mistakes: Vec<Diagnostic>,
}

/// Keys and values this version knows of and does not do yet.
const PLANNED_SOURCES: [&str; 3] = ["sql", "stream", "push"];
const PLANNED_STEP_KEYS: [&str; 2] = ["foreach", "matrix"];

/// Reads the text.
pub(crate) fn read<'t>(name: &'t str, text: &'t str) -> Shape<'t> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the project file is longer than {FILE_BYTES_MAX} bytes");
        let document = Document { name, text, root: Spanned::new(0..0, DeTable::new()) };
        let mistake = Diagnostic::new(name, text, 0..0, message, None);
        return Shape { document, file: None, cut: Vec::new(), mistakes: vec![mistake] };
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut shape =
        Shape { document: Document { name, text, root }, file: None, cut: Vec::new(), mistakes: Vec::new() };
    let mut last_line = 0;
    let mut has_duplicate = false;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = words::syntax(error.message(), text.get(span.clone()).unwrap_or_default());
        let mistake = Diagnostic::new(name, text, span, message, None);
        // What the parser says next of the same line, or of the keys of a repeated table, follows from the first.
        let is_duplicate = error.message() == words::DUPLICATE;
        if mistake.line != last_line && !(is_duplicate && has_duplicate) {
            last_line = mistake.line;
            shape.mistakes.push(mistake);
        }
        has_duplicate |= is_duplicate;
    }
    shape.mistakes.truncate(MISTAKES_MAX);
    if shape.mistakes.is_empty() {
        let mut table = shape.document.root.get_ref().clone();
        shape.cut_planned(&mut table);
        shape.take(table);
    }
    shape
}

impl Shape<'_> {
    /// Whether something at or above the path was cut out.
    pub(crate) fn is_cut(&self, path: &Path) -> bool {
        self.cut.iter().any(|cut| path.is_within(cut))
    }

    /// Whether something at, above or below the path was cut out.
    pub(crate) fn is_touched(&self, path: &Path) -> bool {
        self.cut.iter().any(|cut| path.is_within(cut) || cut.is_within(path))
    }

    fn cut_planned(&mut self, table: &mut DeTable<'_>) {
        let mut planned: Vec<(Path, String)> = Vec::new();
        for name in keys(table, "datasets") {
            for key in PLANNED_SOURCES {
                let at = at!["datasets", name, "source", key];
                if lookup(table, &at.0).is_some() {
                    planned.push((at, format!("`{key}` sources are planned, not in this version")));
                }
            }
        }
        for name in keys(table, "steps") {
            for key in PLANNED_STEP_KEYS {
                let at = at!["steps", name, key];
                if lookup(table, &at.0).is_some() {
                    planned.push((at, format!("`{key}` is planned, not in this version")));
                }
            }
        }
        for (at, message) in planned {
            let span = self.document.key_span(&at);
            let is_source = at.section() == "datasets";
            let suggestion =
                is_source.then(|| "use `files`: a folder, or a URL such as `s3://bucket/in/*.parquet`".to_owned());
            self.mistakes.push(Diagnostic::new(self.document.name, self.document.text, span, message, suggestion));
            // A dataset without its source is none.
            let cut = if is_source { at.above().and_then(|source| source.above()).unwrap_or_default() } else { at };
            remove(table, &cut.0);
            self.cut.push(cut);
        }
    }

    fn take(&mut self, mut table: DeTable<'_>) {
        let span = self.document.root.span();
        while self.mistakes.len() < MISTAKES_MAX {
            let value = Spanned::new(span.clone(), DeValue::Table(table.clone()));
            let error = match ProjectFile::deserialize(ValueDeserializer::from(value)) {
                Ok(file) => {
                    self.file = Some(file);
                    return;
                }
                Err(error) => error,
            };
            let at = error.span().and_then(|span| locate(&table, &span)).unwrap_or_default();
            let missing = words::missing_field(error.message()).map(|field| at.then(field));
            if !missing.as_ref().is_some_and(|wanted| self.is_cut(wanted)) {
                let meant = self.tell(&error, &at);
                if let Some(value) = meant.and_then(|word| Some((lookup_mut(&mut table, &at.0)?, word))) {
                    // With the word that was meant in its place, the rest can be judged.
                    *value.0 = DeValue::String(value.1.into());
                    self.cut.push(at);
                    continue;
                }
            }
            if at.0.is_empty() {
                // Only `project` is needed at the top: with another in its place the rest can be judged.
                let placed = DeTable::parse("[project]\nname = \"unnamed\"\n").ok();
                let Some((key, value)) = placed.and_then(|placed| placed.into_inner().into_iter().next()) else {
                    return;
                };
                if table.insert(key, value).is_some() {
                    return;
                }
                self.cut.push(at!["project"]);
            } else if remove(&mut table, &at.0) {
                self.cut.push(at);
            } else {
                return;
            }
        }
    }

    /// Tells the mistake; gives the word that was probably meant instead of the value.
    fn tell(&mut self, error: &toml::de::Error, at: &Path) -> Option<String> {
        let document = &self.document;
        let value = document.value_span(at);
        let found = error.span().unwrap_or(value.clone());
        let said = words::shape(error.message(), at, value.start < found.start && found.end < value.end);
        let span = if said.is_about_key { document.key_span(at) } else { found };
        self.mistakes.push(Diagnostic::new(document.name, document.text, span, said.message, said.suggestion));
        if !said.is_about_key {
            return said.meant;
        }
        // Whatever stands under a misspelt key is not missing under the right one.
        if let (Some(meant), Some(above)) = (said.meant, at.above()) {
            self.cut.push(above.then(meant));
        }
        None
    }
}

/// The path of the innermost key or value with exactly this span; inside an array, the array's.
fn locate(table: &DeTable<'_>, span: &Range<usize>) -> Option<Path> {
    let mut parts = Vec::new();
    find(table, span, &mut parts).then_some(Path(parts))
}

fn find(table: &DeTable<'_>, span: &Range<usize>, parts: &mut Vec<String>) -> bool {
    table.iter().any(|(key, value)| {
        parts.push(key.get_ref().to_string());
        let is_below = matches!(value.get_ref(), DeValue::Table(inner) if find(inner, span, parts));
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

fn keys(table: &DeTable<'_>, section: &str) -> Vec<String> {
    match lookup(table, &[section.to_owned()]) {
        Some(DeValue::Table(inner)) => inner.keys().map(|key| key.get_ref().to_string()).collect(),
        _ => Vec::new(),
    }
}

fn lookup<'v, 't>(table: &'v DeTable<'t>, at: &[String]) -> Option<&'v DeValue<'t>> {
    let (first, rest) = at.split_first()?;
    let value = table.get(first.as_str())?.get_ref();
    match value {
        _ if rest.is_empty() => Some(value),
        DeValue::Table(inner) => lookup(inner, rest),
        _ => None,
    }
}

fn lookup_mut<'v, 't>(table: &'v mut DeTable<'t>, at: &[String]) -> Option<&'v mut DeValue<'t>> {
    let (first, rest) = at.split_first()?;
    match table.get_mut(first.as_str())?.get_mut() {
        value if rest.is_empty() => Some(value),
        DeValue::Table(inner) => lookup_mut(inner, rest),
        _ => None,
    }
}

fn remove(table: &mut DeTable<'_>, at: &[String]) -> bool {
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
