//! Progress of a pipeline run: spinners on a terminal, plain lines elsewhere, JSON lines for programs.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde_json::Value;

use crate::output::{note, thousands, write_event};

/// Shows the events of one pipeline run.
pub(super) struct Progress {
    /// `None` where standard error is not a terminal.
    bars: Option<MultiProgress>,
    /// The hints of failed steps.
    hints: Vec<String>,
    /// The spinner of each load and step that runs.
    running: HashMap<String, ProgressBar>,
    form: Form,
}

/// The form in which progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines for people.
    Text,
    /// Every event as a JSON line on standard error.
    Json,
    /// Nothing.
    Hidden,
}

impl Form {
    /// JSON lines for a command with `--json`.
    pub(crate) fn of(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}

impl Progress {
    /// Shows progress in a form.
    pub(super) fn new(form: Form) -> Self {
        let bars = (form == Form::Text && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self { bars, hints: Vec::new(), running: HashMap::new(), form }
    }

    /// Whether the hint was shown with a failed step.
    pub(super) fn has_shown(&self, hint: &Value) -> bool {
        self.hints.iter().any(|shown| hint == shown.as_str())
    }

    /// Shows one line.
    pub(super) fn line(&self, text: &str) {
        if self.form == Form::Hidden {
            return;
        }
        match &self.bars {
            // An error means that the terminal was closed.
            Some(bars) => drop(bars.println(text)),
            None => note!("{text}"),
        }
    }

    fn begin(&mut self, key: String, text: String) {
        match &self.bars {
            Some(bars) => {
                let bar = bars.add(ProgressBar::new_spinner());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                    bar.set_style(style);
                }
                bar.set_message(text);
                bar.enable_steady_tick(Duration::from_millis(120));
                self.running.insert(key, bar);
            }
            None => self.line(&format!("… {text}")),
        }
    }

    fn end(&mut self, key: &str) {
        if let Some(bar) = self.running.remove(key) {
            bar.finish_and_clear();
        }
    }

    /// Removes every spinner.
    pub(super) fn clear(&mut self) {
        for (_, bar) in self.running.drain() {
            bar.finish_and_clear();
        }
    }

    /// Shows one event.
    pub(super) fn show(&mut self, body: &Value) {
        match self.form {
            Form::Text => self.show_text(body),
            Form::Json => write_event(body),
            Form::Hidden => {}
        }
    }

    fn show_text(&mut self, body: &Value) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or_default();
        // The path of a load of several files has one line per file.
        let path = text("path").replace('\n', ", ");
        match text("event").as_str() {
            "load_started" => {
                self.begin(format!("{}:{path}", text("dataset")), format!("{} ← {path}", text("dataset")));
            }
            "load_ended" => {
                self.end(&format!("{}:{path}", text("dataset")));
                let aside = if number("set_aside") > 0 {
                    format!(", {} set aside", thousands(number("set_aside")))
                } else {
                    String::new()
                };
                match text("state").as_str() {
                    "held" => self.line(&format!("✗ {} ← {path}: held{aside}", text("dataset"))),
                    state => self.line(&format!(
                        "✓ {} ← {path}: {} rows{aside}{}",
                        text("dataset"),
                        thousands(number("rows")),
                        if state == "unchanged" { ", unchanged" } else { "" }
                    )),
                }
                for finding in body["findings"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                    self.line(&format!("    {finding}"));
                }
            }
            "load_failed" => {
                self.line(&format!("✗ {}: {}", text("dataset"), text("message")));
                if !text("hint").is_empty() {
                    self.line(&format!("    hint: {}", text("hint")));
                }
            }
            "source_unsettled" => {
                let others = number("files").saturating_sub(1);
                let more = if others > 0 { format!(" and {others} more") } else { String::new() };
                let why = "may still be being written; a file is loaded when it is unchanged for the `settle` time";
                self.line(&format!("• {}: `{path}`{more} {why} of its source", text("dataset")));
            }
            "source_empty" => self.line(&format!("• {}: no file matches `{}`", text("dataset"), text("files"))),
            "step_started" => {
                let why = body
                    .get("why")
                    .and_then(Value::as_array)
                    .map(|why| why.iter().filter_map(Value::as_str).take(3).collect::<Vec<_>>().join("; "))
                    .unwrap_or_default();
                self.begin(text("step"), format!("{} ({}): {why}", text("step"), text("kind")));
            }
            "step_log" => self.line(&format!("  {} | {}", text("step"), text("line"))),
            "step_ended" => {
                self.end(&text("step"));
                let seconds = body.get("ms").and_then(Value::as_f64).unwrap_or_default() / 1000.0;
                let mark = if text("state") == "succeeded" { "✓" } else { "✗" };
                self.line(&format!("{mark} {} {} in {seconds:.1} s {}", text("step"), text("state"), text("message")));
                if !text("hint").is_empty() {
                    self.line(&format!("    {}", text("hint").replace('\n', "\n    ")));
                    self.hints.push(text("hint"));
                }
            }
            "cached" => match number("steps") {
                0 => {}
                1 => self.line("✓ 1 step up to date"),
                steps => self.line(&format!("✓ {steps} steps up to date")),
            },
            "decided" | "released" => self.line(&format!("• {}", text("message"))),
            _ => {}
        }
    }
}
