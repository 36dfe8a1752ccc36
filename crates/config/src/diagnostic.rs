//! Errors in files that people write, located in the text.

use std::fmt;
use std::ops::Range;

use perennial_core::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::DIAGNOSTICS_MAX;
use crate::document::{Document, Path};

/// One error at one place of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The file, relative to the project's folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Byte range of the offending words.
    pub span: Range<usize>,
    /// The offending words.
    pub words: String,
    /// What is wrong and what was expected: one line, lowercase, without a final period.
    pub message: String,
    /// What to write or do instead.
    pub suggestion: Option<String>,
}

/// Every error found in a file, ordered by position, with the file's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The file, relative to the project's folder.
    pub file: String,
    /// The file's text, to show the offending lines.
    pub text: String,
    /// The errors, at most [`crate::DIAGNOSTICS_MAX`].
    pub errors: Vec<Diagnostic>,
}

/// An error addressed by the keys that lead to its value, for callers that validate a project without its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyDiagnostic {
    /// The keys, from the top; elements of arrays by their index.
    pub path: Vec<String>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to write or do instead.
    pub suggestion: Option<String>,
}

/// Locates errors in the text of a project file, each at the value that its keys lead to.
pub fn locate(file: &str, text: &str, errors: Vec<KeyDiagnostic>) -> Diagnostics {
    let (root, _) = DeTable::parse_recoverable(text);
    let document = Document { name: file, text, root };
    let located = errors.into_iter().take(DIAGNOSTICS_MAX).map(|KeyDiagnostic { path, message, suggestion }| {
        Diagnostic::new(file, text, document.value_span(&Path(path)), message, suggestion)
    });
    let mut errors: Vec<Diagnostic> = located.collect();
    errors.sort_by_key(|error| error.span.start);
    Diagnostics { file: file.to_owned(), text: text.to_owned(), errors }
}

impl Diagnostic {
    /// Creates a diagnostic for a byte range of a file's text.
    pub fn new(
        file: &str,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Self {
        let span = clamp(text, span);
        let before = &text[..span.start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            words: text[span.clone()].to_owned(),
            span,
            message: message.into(),
            suggestion,
        }
    }

    /// Renders the message with the offending line as plain text.
    ///
    /// ```text
    /// perennial.toml:12:2: unknown key `datasetz` at the top of the file
    ///    |
    /// 12 | [datasetz.schedule]
    ///    |  ^^^^^^^^
    ///    = did you mean `datasets`?
    /// ```
    pub fn render_plain(&self, text: &str) -> String {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        let mut lines = vec![format!("{}:{}:{}: {}", self.file, self.line, self.column, self.message)];
        if let Some(line) = text.lines().nth(self.line - 1) {
            let before: String =
                line.chars().take(self.column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let first = self.words.lines().next().unwrap_or_default();
            let marks = "^".repeat(first.chars().count().max(1));
            lines.extend([format!("{margin} |"), format!("{number} | {line}"), format!("{margin} | {before}{marks}")]);
        }
        if let Some(suggestion) = &self.suggestion {
            lines.push(format!("{margin} = {suggestion}"));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

impl Diagnostics {
    /// Renders every error as plain text, with a blank line between two.
    pub fn render_plain(&self) -> String {
        let rendered: Vec<String> = self.errors.iter().map(|error| error.render_plain(&self.text)).collect();
        rendered.join("\n")
    }
}

/// One line per error.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}:{}: {}", error.file, error.line, error.column, error.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        let message = match diagnostics.errors.as_slice() {
            [only] => format!("{}:{}:{}: {}", only.file, only.line, only.column, only.message),
            many => format!("`{}` has {} errors", diagnostics.file, many.len()),
        };
        Self::new(ErrorCode::ProjectFile, message).with_hint("see them with `perennial check`").with_source(diagnostics)
    }
}

/// Clamps a span to the text and to whole characters.
fn clamp(text: &str, span: Range<usize>) -> Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}
