//! What people see: logs, tables, errors.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use perennial_core::{Error, ErrorCode, ErrorKind};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command};
use crate::client::Refused;

/// Prints what was asked for, on standard output: a line, or a text of several.
macro_rules! say {
    ($($text:tt)*) => { crate::output::write_out(format!($($text)*)) };
}
pub(crate) use say;

/// Prints what goes beside it, on standard error.
macro_rules! note {
    ($($text:tt)*) => { crate::output::write_beside(format!($($text)*)) };
}
pub(crate) use note;

/// Why something asked for could not be printed.
static UNPRINTED: OnceLock<std::io::Error> = OnceLock::new();

/// See [`say`]. A reader who has seen enough, such as `head`, does not stop the command: it ends in order.
pub(crate) fn write_out(text: String) {
    let written = write_to(&mut std::io::stdout().lock(), text);
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // The first one tells why.
        let _ = UNPRINTED.set(error);
    }
}

/// See [`note`].
pub(crate) fn write_beside(text: String) {
    // Nobody is there who could be told.
    let _ = write_to(&mut std::io::stderr().lock(), text);
}

fn write_to(out: &mut dyn Write, mut text: String) -> std::io::Result<()> {
    if !text.ends_with('\n') {
        text.push('\n');
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// The exit status of a command that ended with `code`, once it is known whether all was printed.
pub(crate) fn status(code: ExitCode) -> ExitCode {
    match UNPRINTED.get() {
        None => code,
        Some(error) => {
            note!("error: standard output cannot be written: {error}");
            ExitCode::from(2)
        }
    }
}

/// Starts the log, on standard error: readable for people, JSON for machines.
pub(crate) fn start_log(arguments: &Arguments) {
    let quiet = if matches!(arguments.command, Command::Up(_)) { "info" } else { "warn" };
    let level = match arguments.verbose {
        0 => quiet,
        1 => "info",
        _ => "debug",
    };
    // The beginning of a target is enough: every crate of ours.
    let directives = format!("error,perennial={level}");
    let filter = EnvFilter::try_from_env("PERENNIAL_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // Where nobody reads the log any more, that is not told there either.
        .log_internal_errors(false);
    // A log that is there already stays.
    let _ =
        if std::io::stderr().is_terminal() { log.with_ansi(is_colourful()).try_init() } else { log.json().try_init() };
}

fn is_colourful() -> bool {
    std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal()
}

/// What the user can mend, and how.
pub(crate) fn refused(code: ErrorCode, message: impl Into<String>, hint: &str) -> anyhow::Error {
    Error::new(code, message).with_hint(hint).into()
}

/// Prints why it did not work, and gives the exit status: 1 for the user's reasons, 2 for ours.
/// `folder` is the project's, below which mistakes lie.
pub(crate) fn failure(failure: &anyhow::Error, folder: &Path, json: bool) -> ExitCode {
    if let Some(refused) = failure.downcast_ref::<Refused>() {
        if json {
            let (code, message, hint) = (&refused.code, &refused.message, &refused.hint);
            let diagnostics = &refused.diagnostics;
            say!(
                "{}",
                json!({ "error": { "code": code, "message": message, "hint": hint, "diagnostics": diagnostics } })
            );
        } else if let Some(diagnostics) = refused.diagnostics.as_ref().and_then(Value::as_array) {
            for diagnostic in diagnostics {
                print_diagnostic(diagnostic, folder);
            }
        }
        note!("error: {}", refused.message);
        if let Some(hint) = &refused.hint {
            note!("  hint: {}", hint.replace('\n', "\n        "));
        }
        return ExitCode::from(if refused.status.is_server_error() { 2 } else { 1 });
    }
    if let Some(error) = failure.downcast_ref::<Error>() {
        if json {
            let (code, message, hint) = (error.code().name(), error.chain(), error.hint());
            say!("{}", json!({ "error": { "code": code, "message": message, "hint": hint } }));
        }
        note!("error: {}", error.chain());
        if let Some(hint) = error.hint() {
            note!("  hint: {}", hint.replace('\n', "\n        "));
        }
        return ExitCode::from(if error.kind() == ErrorKind::Internal { 2 } else { 1 });
    }
    note!("error: {failure:#}");
    ExitCode::from(2)
}

/// One mistake in a file: where it is, the words at fault, and a suggestion.
fn print_diagnostic(diagnostic: &Value, folder: &Path) {
    let text = |name: &str| diagnostic.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = |name: &str| diagnostic.get(name).and_then(Value::as_u64).map(|n| n as usize);
    let file = if folder == Path::new(".") { PathBuf::from(text("file")) } else { folder.join(text("file")) };
    let source = std::fs::read_to_string(&file).unwrap_or_default();
    let file = file.display();
    let mut told = MietteDiagnostic::new(text("message"));
    if !text("suggestion").is_empty() {
        told = told.with_help(text("suggestion"));
    }
    let (Some(start), Some(length)) = (number("offset"), number("length")) else {
        let place =
            number("line").map_or_else(String::new, |line| format!(":{line}:{}", number("column").unwrap_or(1)));
        note!("{file}{place}: {}", text("message"));
        if !text("suggestion").is_empty() {
            note!("  help: {}", text("suggestion"));
        }
        return;
    };
    if start + length <= source.len() {
        told = told.with_label(LabeledSpan::at(start..start + length.max(1), "here"));
    }
    let report = Report::new(told).with_source_code(NamedSource::new(file.to_string(), source));
    let theme = if is_colourful() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut shown = String::new();
    if GraphicalReportHandler::new_themed(theme).render_report(&mut shown, report.as_ref()).is_ok() {
        note!("{shown}");
    }
}

/// A table in plain text: columns as wide as they need to be, numbers to the right.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = head.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |index: usize| {
        let mut cells =
            rows.iter().filter_map(|row| row.get(index)).filter(|cell| !cell.is_empty() && *cell != "–").peekable();
        cells.peek().is_some()
            && cells.all(|cell| cell.trim_end_matches('%').replace(',', "").trim().parse::<f64>().is_ok())
    };
    let mut out = String::new();
    let mut line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .enumerate()
            .map(|(index, cell)| {
                let room = " ".repeat(widths[index].saturating_sub(cell.chars().count()));
                if is_number(index) { format!("{room}{cell}") } else { format!("{cell}{room}") }
            })
            .collect();
        out.push_str(padded.join("  ").trim_end());
        out.push('\n');
    };
    line(head.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
    out
}

/// A cell of a table from a value of an answer.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// Whole numbers with thousands apart.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
