//! Mistakes in files people write, told with their place.

use std::fmt;
use std::ops::Range;

use perennial_core::{Error, ErrorCode};
use serde::{Deserialize, Serialize};
use toml::de::DeTable;

use crate::MISTAKES_MAX;
use crate::document::{Document, Path};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The file, relative to the project's folder.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Bytes of the file at fault.
    pub span: Range<usize>,
    /// The words at fault.
    pub words: String,
    /// What is wrong and what was expected: one line, lowercase, without a final stop.
    pub message: String,
    /// What to write or do instead.
    pub suggestion: Option<String>,
}

/// Every mistake found in a file, ordered by place, with the file's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostics {
    /// The file, relative to the project's folder.
    pub file: String,
    /// The file's text, to show the lines at fault.
    pub text: String,
    /// The mistakes, at most [`crate::MISTAKES_MAX`].
    pub mistakes: Vec<Diagnostic>,
}

/// A mistake that somebody else found, by the keys that lead to it; elements of arrays by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The keys, from the top.
    pub at: Vec<String>,
    /// What is wrong and what was expected.
    pub message: String,
    /// What to write or do instead.
    pub suggestion: Option<String>,
}

/// Places mistakes in the text of a project file that was judged before, at the values they are about.
pub fn place(file: &str, text: &str, mistakes: Vec<Mistake>) -> Diagnostics {
    let (root, _) = DeTable::parse_recoverable(text);
    let document = Document { name: file, text, root };
    let placed = mistakes.into_iter().take(MISTAKES_MAX).map(|Mistake { at, message, suggestion }| {
        Diagnostic::new(file, text, document.value_span(&Path(at)), message, suggestion)
    });
    let mut mistakes: Vec<Diagnostic> = placed.collect();
    mistakes.sort_by_key(|mistake| mistake.span.start);
    Diagnostics { file: file.to_owned(), text: text.to_owned(), mistakes }
}

impl Diagnostic {
    /// Places a mistake in a file.
    pub fn new(
        file: &str,
        text: &str,
        span: Range<usize>,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> Self {
        let span = within(text, span);
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

    /// Writes the mistake with its line as plain text.
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
    /// Writes every mistake as plain text, a blank line between two.
    pub fn render_plain(&self) -> String {
        let rendered: Vec<String> = self.mistakes.iter().map(|mistake| mistake.render_plain(&self.text)).collect();
        rendered.join("\n")
    }
}

/// One line a mistake.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            write!(f, "{newline}{}:{}:{}: {}", mistake.file, mistake.line, mistake.column, mistake.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

impl From<Diagnostics> for Error {
    fn from(diagnostics: Diagnostics) -> Self {
        let message = match diagnostics.mistakes.as_slice() {
            [only] => format!("{}:{}:{}: {}", only.file, only.line, only.column, only.message),
            many => format!("`{}` has {} mistakes", diagnostics.file, many.len()),
        };
        Self::new(ErrorCode::ProjectFile, message).hint("see them with `perennial check`").because(diagnostics)
    }
}

/// The span cut to the text and to whole characters.
fn within(text: &str, span: Range<usize>) -> Range<usize> {
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
