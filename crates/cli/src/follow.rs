//! Following a pipeline run: progress bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use perennial_core::ErrorCode;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use crate::client::{Client, Refused};
use crate::host::Connection;
use crate::output::{note, thousands};

/// How long one look waits for news.
const WAIT_MS: u32 = 20_000;

/// Follows a pipeline run to its end; gives the run as it ended, with how many loads are `held` and the `hint` that
/// was told then.
pub(crate) async fn follow(client: &Client, project: &str, id: &str, quiet: bool) -> Result<Value> {
    Following::new(project, id, quiet).finish(client).await
}

/// The same for a command whose host may be another's: when that one ends, this command takes its
/// place, and the run goes on.
pub(crate) async fn follow_on(
    connection: &Connection,
    folder: &Path,
    project: &str,
    (id, kind): (&str, &str),
    quiet: bool,
) -> Result<Value> {
    let mut following = Following::new(project, id, quiet);
    let mut own: Option<Connection> = None;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut stops = false;
    loop {
        let asked = own.as_ref().unwrap_or(connection);
        let ended = tokio::select! {
            ended = following.go_on(&asked.client, stops) => ended,
            _ = interrupted.recv() => {
                // Who presses it twice does not wait.
                if stops {
                    std::process::exit(INTERRUPTED);
                }
                stops = true;
                following.screen.line("cancelling; Ctrl-C once more leaves at once");
                continue;
            }
        };
        match ended {
            Ok(run) => {
                if let Some(own) = own {
                    own.close().await?;
                }
                return Ok(run);
            }
            Err(error) if asked.is_remote || asked.host.is_some() || error.is::<Refused>() => return Err(error),
            Err(_) => {
                let taken_over = Connection::open(folder).await?;
                taken_over.resume(kind == "run").await?;
                own = Some(taken_over);
            }
        }
    }
}

/// A pipeline run, and how much of it was told.
struct Following<'a> {
    project: &'a str,
    id: &'a str,
    after: i64,
    /// How many loads are held, and what to do, as the run said when it ended.
    held: Value,
    hint: Value,
    screen: Screen,
}

impl<'a> Following<'a> {
    fn new(project: &'a str, id: &'a str, quiet: bool) -> Self {
        Self { project, id, after: 0, held: Value::Null, hint: Value::Null, screen: Screen::new(quiet) }
    }

    /// Follows the run, and stops it first when that is wanted.
    async fn go_on(&mut self, client: &Client, stops: bool) -> Result<Value> {
        if stops { self.cancel(client).await } else { self.finish(client).await }
    }

    /// Stops the run, and follows it to its end.
    async fn cancel(&mut self, client: &Client) -> Result<Value> {
        let path = format!("/api/v1/projects/{}/pipeline-runs/{}/cancel", self.project, self.id);
        let asked = client.post(&path, &Value::Null).await;
        let is_over = |error: &Refused| error.code == ErrorCode::WrongState.name();
        match asked {
            Err(error) if !error.downcast_ref::<Refused>().is_some_and(is_over) => Err(error),
            // It is over, now or before.
            _ => self.finish(client).await,
        }
    }

    async fn finish(&mut self, client: &Client) -> Result<Value> {
        let base = format!("/api/v1/projects/{}/pipeline-runs/{}", self.project, self.id);
        loop {
            let page = client.get(&format!("{base}/events?after={}&wait_ms={WAIT_MS}", self.after)).await?;
            for event in page.get("events").and_then(Value::as_array).into_iter().flatten() {
                self.after = event.get("sequence").and_then(Value::as_i64).unwrap_or(self.after);
                let body = event.get("body").unwrap_or(event);
                self.screen.show(body);
                if body["event"] == "ended" {
                    (self.held, self.hint) = (body["held"].clone(), body["hint"].clone());
                }
            }
            if page.get("is_over").and_then(Value::as_bool).unwrap_or_default() {
                self.screen.clear();
                let mut run = client.get(&base).await?;
                if let Some(run) = run.as_object_mut() {
                    // What a step's end told is not told again.
                    let is_told = self.screen.hints.iter().any(|told| self.hint == told.as_str());
                    run.insert("hint".to_owned(), if is_told { Value::Null } else { self.hint.take() });
                    run.insert("held".to_owned(), self.held.take());
                }
                return Ok(run);
            }
        }
    }
}

/// The exit status of a command that was interrupted by force, as shells tell it.
const INTERRUPTED: i32 = 130;

struct Screen {
    bars: Option<MultiProgress>,
    /// The hints of steps that failed.
    hints: Vec<String>,
    running: HashMap<String, ProgressBar>,
    quiet: bool,
}

impl Screen {
    fn new(quiet: bool) -> Self {
        let bars = (!quiet && std::io::stderr().is_terminal()).then(MultiProgress::new);
        Self { bars, hints: Vec::new(), running: HashMap::new(), quiet }
    }

    fn line(&self, text: &str) {
        if self.quiet {
            return;
        }
        match &self.bars {
            // A terminal that is gone needs no line.
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

    fn clear(&mut self) {
        for (_, bar) in self.running.drain() {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self, body: &Value) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |name: &str| body.get(name).and_then(Value::as_u64).unwrap_or_default();
        // A load of several files names them one a line.
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
            "source_empty" => self.line(&format!("• {}: no file is at `{}`", text("dataset"), text("files"))),
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
            "cached" if number("steps") > 0 => self.line(&format!("✓ {} steps up to date", number("steps"))),
            "decided" | "released" => self.line(&format!("• {}", text("message"))),
            _ => {}
        }
    }
}
