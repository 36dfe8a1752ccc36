//! Output for people and programs: log, tables, errors.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteDiagnostic, NamedSource, Report};
use perennial_core::{Error, ErrorCode, ErrorKind, control_characters};
use serde_json::{Value, json};
use tracing_subscriber::EnvFilter;

use crate::args::{Arguments, Command};
use crate::client::ErrorResponse;

/// Prints the result of a command on standard output: one line or several. Control characters are escaped.
macro_rules! say {
    ($($text:tt)*) => { crate::output::write_out(format!($($text)*)) };
}
pub(crate) use say;

/// Prints progress, warnings and errors on standard error. Control characters are escaped.
macro_rules! note {
    ($($text:tt)*) => { crate::output::write_err(format!($($text)*)) };
}
pub(crate) use note;

/// The first error while writing to standard output.
static STDOUT_ERROR: OnceLock<std::io::Error> = OnceLock::new();

/// Prints a text of our own with colours on standard error.
fn write_err_coloured(text: &str) {
    let _ = write_to(&mut std::io::stderr().lock(), text);
}

/// See [`say`]. A closed pipe, for example of `head`, is not an error: the command ends normally.
pub(crate) fn write_out(text: String) {
    let written = write_to(&mut std::io::stdout().lock(), &control_characters::escape(&text));
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        // Only the first error is kept.
        let _ = STDOUT_ERROR.set(error);
    }
}

/// Whether standard error contains one JSON object a line.
static JSON_LINES: AtomicBool = AtomicBool::new(false);

/// See [`note`]. A text of several lines is one message.
pub(crate) fn write_err(text: String) {
    let text =
        if JSON_LINES.load(Ordering::Relaxed) { json!({ "message": text.trim_end() }).to_string() } else { text };
    // If standard error cannot be written, there is no other place to report that.
    let _ = write_to(&mut std::io::stderr().lock(), &control_characters::escape(&text));
}

/// Prints an event as one JSON line on standard error. Control characters in it are escaped.
pub(crate) fn write_event(event: &Value) {
    let _ = write_to(&mut std::io::stderr().lock(), &control_characters::escape(&event.to_string()));
}

fn write_to(out: &mut dyn Write, text: &str) -> std::io::Result<()> {
    out.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        out.write_all(b"\n")?;
    }
    out.flush()
}

/// The exit status of a command that ended with `code`: 2 if its output could not be written.
pub(crate) fn status(code: ExitCode) -> ExitCode {
    match STDOUT_ERROR.get() {
        None => code,
        Some(error) => {
            note!("error: cannot write to standard output: {error}");
            ExitCode::from(2)
        }
    }
}

/// Starts the log on standard error, in the form that messages have there too: text, or JSON lines.
pub(crate) fn start_log(arguments: &Arguments) {
    JSON_LINES.store(arguments.has_json_log(), Ordering::Relaxed);
    let quiet = if matches!(arguments.command, Command::Up(_)) { "info" } else { "warn" };
    let level = match arguments.verbose {
        0 => quiet,
        1 => "info",
        _ => "debug",
    };
    // The prefix of a target selects every crate of this workspace.
    let directives = format!("error,perennial={level}");
    let filter = EnvFilter::try_from_env("PERENNIAL_LOG").unwrap_or_else(|_| EnvFilter::new(directives));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        // A closed standard error is not reported on standard error.
        .log_internal_errors(false);
    // Fails only if a log was started already, which then stays in use.
    let _ = if arguments.has_json_log() { log.json().try_init() } else { log.with_ansi(has_colour()).try_init() };
}

fn has_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none() && std::io::stderr().is_terminal()
}

/// An error with a hint: what the user can do next.
pub(crate) fn user_error(code: ErrorCode, message: impl Into<String>, hint: &str) -> anyhow::Error {
    Error::new(code, message).with_hint(hint).into()
}

/// Prints an error and gives the exit status: 2 for a defect or a failure of the server, otherwise 1.
/// `folder` is the project folder, to which the files of diagnostics are relative.
pub(crate) fn failure(failure: &anyhow::Error, folder: &Path, json: bool) -> ExitCode {
    if let Some(response) = failure.downcast_ref::<ErrorResponse>() {
        if json {
            let (code, message, hint) = (&response.code, &response.message, &response.hint);
            let diagnostics = &response.diagnostics;
            say!(
                "{}",
                json!({ "error": { "code": code, "message": message, "hint": hint, "diagnostics": diagnostics } })
            );
        } else if let Some(diagnostics) = response.diagnostics.as_ref().and_then(Value::as_array) {
            for diagnostic in diagnostics {
                print_diagnostic(diagnostic, folder);
            }
        }
        note!("error: {}", response.message);
        if let Some(hint) = &response.hint {
            note!("  hint: {}", hint.replace('\n', "\n        "));
        }
        return ExitCode::from(if is_internal(response) { 2 } else { 1 });
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

/// Whether a response reports a defect or a failure of the server: the same errors as of a command's own host. A server that is
/// busy or not ready is not a failure, though its status is 503.
fn is_internal(response: &ErrorResponse) -> bool {
    match ErrorCode::ALL.iter().find(|code| code.name() == response.code) {
        Some(code) => code.kind() == ErrorKind::Internal,
        None => response.status.is_server_error(),
    }
}

/// Prints one mistake in a file: the place, the words at fault, and a suggestion.
fn print_diagnostic(diagnostic: &Value, folder: &Path) {
    let text = |name: &str| {
        let text = diagnostic.get(name).and_then(Value::as_str).unwrap_or_default();
        control_characters::escape(text).into_owned()
    };
    let number = |name: &str| diagnostic.get(name).and_then(Value::as_u64).map(|n| n as usize);
    let file = if folder == Path::new(".") { PathBuf::from(text("file")) } else { folder.join(text("file")) };
    let source = std::fs::read_to_string(&file).unwrap_or_default();
    // Of the same length in bytes, so that the places stay.
    let source = control_characters::mask(&source);
    let file = file.display();
    let mut report = MietteDiagnostic::new(text("message"));
    if !text("suggestion").is_empty() {
        report = report.with_help(text("suggestion"));
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
        report = report.with_label(LabeledSpan::at(start..start + length.max(1), "here"));
    }
    let report = Report::new(report).with_source_code(NamedSource::new(file.to_string(), source));
    let theme = if has_colour() { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut shown = String::new();
    if GraphicalReportHandler::new_themed(theme).render_report(&mut shown, report.as_ref()).is_ok() {
        write_err_coloured(&shown);
    }
}

/// A table in plain text, with aligned columns; numbers are aligned to the right.
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

/// The text of a table cell for a value of a response.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or_default()),
        other => other.to_string(),
    }
}

/// A number with commas between thousands.
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

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn an_error_has_the_exit_status_of_its_kind_and_not_of_its_http_status() {
        let response = |status: StatusCode, code: &str| ErrorResponse {
            status,
            code: code.to_owned(),
            message: String::new(),
            hint: None,
            diagnostics: None,
        };
        for (status, code, internal) in [
            (StatusCode::SERVICE_UNAVAILABLE, "busy", false),
            (StatusCode::SERVICE_UNAVAILABLE, "not-ready", false),
            (StatusCode::INTERNAL_SERVER_ERROR, "internal", true),
            (StatusCode::BAD_REQUEST, "sql", false),
            (StatusCode::BAD_GATEWAY, "", true),
            (StatusCode::NOT_FOUND, "", false),
        ] {
            assert_eq!(is_internal(&response(status, code)), internal, "{status} {code}");
        }
    }
}
