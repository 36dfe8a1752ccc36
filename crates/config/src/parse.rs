//! From text to [`ProjectFile`]: every syntax and structure error in one pass.
//!
//! serde stops at the first error. Here the error is recorded, the offending
//! part is removed from the parsed table, and the rest is deserialized again,
//! until no error is left.

mod messages;
mod table;

use serde::Deserialize;
use serde_spanned::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::diagnostic::Diagnostic;
use crate::document::{Document, Path, at};
use crate::file::ProjectFile;
use crate::{DIAGNOSTICS_MAX, FILE_BYTES_MAX};

/// The parts of a project file that could be parsed, and the errors in the others.
pub(crate) struct ParsedFile<'t> {
    pub(crate) document: Document<'t>,
    /// The file without the removed parts; `None` when too little is left to validate.
    pub(crate) file: Option<ProjectFile>,
    /// Paths that were removed after an error; a value missing there is not an error of its own.
    pub(crate) removed: Vec<Path>,
    pub(crate) errors: Vec<Diagnostic>,
}

/// Keys that have a new name: section, old key, new key.
const RENAMED_KEYS: [(&str, &str, &str); 2] = [("task", "within", "label_delay"), ("release", "fresh", "evidence_ttl")];
/// Kinds of sources that the design plans and this version does not support.
const PLANNED_SOURCES: [&str; 3] = ["sql", "stream", "push"];
/// Keys of steps that the design plans and this version does not support.
const PLANNED_STEP_KEYS: [&str; 2] = ["foreach", "matrix"];

/// Whether old names of keys and facts are errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OldNames {
    /// They are errors that state the new name.
    Refuse,
    /// They are accepted: the text was submitted to an earlier version.
    Accept,
}

/// Parses the text.
pub(crate) fn parse<'t>(name: &'t str, text: &'t str, old_names: OldNames) -> ParsedFile<'t> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("the project file is longer than {FILE_BYTES_MAX} bytes");
        let document = Document { name, text, root: Spanned::new(0..0, DeTable::new()) };
        let error = Diagnostic::new(name, text, 0..0, message, None);
        return ParsedFile { document, file: None, removed: Vec::new(), errors: vec![error] };
    }
    let (root, syntax_errors) = DeTable::parse_recoverable(text);
    let errors = syntax_diagnostics(name, text, &syntax_errors);
    let mut parsed = ParsedFile { document: Document { name, text, root }, file: None, removed: Vec::new(), errors };
    if parsed.errors.is_empty() {
        let mut table = parsed.document.root.get_ref().clone();
        parsed.rename_keys(&mut table, old_names);
        parsed.remove_planned(&mut table);
        parsed.deserialize(table);
    }
    parsed
}

/// One diagnostic per line, and one for all keys of a table that is defined twice: later ones follow from the first.
fn syntax_diagnostics(name: &str, text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut diagnostics: Vec<Diagnostic> = Vec::new();
    let mut last_line = 0;
    let mut has_duplicate = false;
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = messages::syntax(error.message(), text.get(span.clone()).unwrap_or_default());
        let diagnostic = Diagnostic::new(name, text, span, message, None);
        let is_duplicate = error.message() == messages::DUPLICATE;
        if diagnostic.line != last_line && !(is_duplicate && has_duplicate) {
            last_line = diagnostic.line;
            diagnostics.push(diagnostic);
        }
        has_duplicate |= is_duplicate;
    }
    diagnostics.truncate(DIAGNOSTICS_MAX);
    diagnostics
}

impl ParsedFile<'_> {
    /// Whether the path, or a table that contains it, was removed.
    pub(crate) fn is_removed(&self, path: &Path) -> bool {
        self.removed.iter().any(|removed| path.is_within(removed))
    }

    /// Whether the path, a table that contains it, or a part of it was removed.
    pub(crate) fn is_affected(&self, path: &Path) -> bool {
        self.removed.iter().any(|removed| path.is_within(removed) || removed.is_within(path))
    }

    /// Gives keys with an old name their new one, and reports them where they are errors.
    fn rename_keys(&mut self, table: &mut DeTable<'_>, old_names: OldNames) {
        for (section, old, new) in RENAMED_KEYS {
            if table::rename(table, section, old, new) && old_names == OldNames::Refuse {
                let message = format!("`{old}` is now `{new}`");
                self.report_key(&at![section, old], message, Some(format!("rename the key to `{new}`")));
            }
        }
    }

    /// Reports and removes keys that are planned and not supported.
    fn remove_planned(&mut self, table: &mut DeTable<'_>) {
        let mut planned: Vec<(Path, String)> = Vec::new();
        for name in table::keys(table, "datasets") {
            for key in PLANNED_SOURCES {
                let at = at!["datasets", name, "source", key];
                if table::get(table, &at.0).is_some() {
                    planned.push((at, format!("`{key}` sources are not supported yet")));
                }
            }
        }
        for name in table::keys(table, "steps") {
            for key in PLANNED_STEP_KEYS {
                let at = at!["steps", name, key];
                if table::get(table, &at.0).is_some() {
                    planned.push((at, format!("`{key}` is not supported yet")));
                }
            }
        }
        for (at, message) in planned {
            let is_source = at.section() == "datasets";
            let suggestion =
                is_source.then(|| "use `files`: a folder, or a URL such as `s3://bucket/in/*.parquet`".to_owned());
            self.report_key(&at, message, suggestion);
            // Without its source the dataset is invalid as a whole.
            let removed =
                if is_source { at.parent().and_then(|source| source.parent()).unwrap_or_default() } else { at };
            table::remove(table, &removed.0);
            self.removed.push(removed);
        }
    }

    /// Deserializes the table, removing the offending part after each error.
    fn deserialize(&mut self, mut table: DeTable<'_>) {
        let span = self.document.root.span();
        while self.errors.len() < DIAGNOSTICS_MAX {
            let value = Spanned::new(span.clone(), DeValue::Table(table.clone()));
            let error = match ProjectFile::deserialize(ValueDeserializer::from(value)) {
                Ok(file) => {
                    self.file = Some(file);
                    return;
                }
                Err(error) => error,
            };
            let at = error.span().and_then(|span| table::locate(&table, &span)).unwrap_or_default();
            if !self.repair(&mut table, &error, at) {
                return;
            }
        }
    }

    /// Reports the error at `at` and changes the table so that deserialization gets past it; false when it cannot.
    fn repair(&mut self, table: &mut DeTable<'_>, error: &toml::de::Error, at: Path) -> bool {
        let missing = messages::missing_field(error.message()).map(|field| at.join(field));
        if !missing.as_ref().is_some_and(|missing| self.is_removed(missing)) {
            let meant = self.report(error, &at);
            if let Some((value, meant)) = meant.and_then(|word| Some((table::get_mut(table, &at.0)?, word))) {
                // The probable word takes the misspelt one's place, so that the rest can be validated.
                *value = DeValue::String(meant.into());
                self.removed.push(at);
                return true;
            }
        }
        if !at.0.is_empty() {
            let is_removed = table::remove(table, &at.0);
            self.removed.push(at);
            return is_removed;
        }
        // At the top only `project` is required: a placeholder lets the rest be validated.
        let placeholder = DeTable::parse("[project]\nname = \"unnamed\"\n").ok();
        let Some((key, value)) = placeholder.and_then(|parsed| parsed.into_inner().into_iter().next()) else {
            return false;
        };
        self.removed.push(at!["project"]);
        table.insert(key, value).is_none()
    }

    /// Reports the error; returns the word that the value was probably meant to be.
    fn report(&mut self, error: &toml::de::Error, at: &Path) -> Option<String> {
        let document = &self.document;
        let value = document.value_span(at);
        let found = error.span().unwrap_or(value.clone());
        let message = messages::structure(error.message(), at, value.start < found.start && found.end < value.end);
        let span = if message.is_about_key { document.key_span(at) } else { found };
        self.errors.push(Diagnostic::new(document.name, document.text, span, message.text, message.suggestion));
        if !message.is_about_key {
            return message.meant;
        }
        // The value under the misspelt key is not missing under the right one.
        if let (Some(meant), Some(parent)) = (message.meant, at.parent()) {
            self.removed.push(parent.join(meant));
        }
        None
    }

    fn report_key(&mut self, at: &Path, message: String, suggestion: Option<String>) {
        let span = self.document.key_span(at);
        self.errors.push(Diagnostic::new(self.document.name, self.document.text, span, message, suggestion));
    }
}
