//! Commands that show one thing in detail.

use std::process::ExitCode;

use anyhow::Result;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::{items, shown};
use crate::client::Client;
use crate::output::{cell, note, say, table};

/// Shows the versions and loads of a dataset, and the checks of its latest load.
pub(super) async fn dataset(
    client: &Client,
    base: &str,
    dataset: &str,
    zone: &TimeZone,
    json: bool,
) -> Result<ExitCode> {
    let versions = client.get(&format!("{base}/datasets/{dataset}/versions")).await?;
    let loads = client.get(&format!("{base}/datasets/{dataset}/loads")).await?;
    let checked = client.get(&format!("{base}/datasets/{dataset}/checks?loads=1")).await?;
    if json {
        say!("{}", json!({ "versions": versions, "loads": loads, "checks": checked }));
        return Ok(ExitCode::SUCCESS);
    }
    let columns = [("version", "number"), ("rows", "rows"), ("at", "project_at"), ("digest", "digest")];
    say!("{}", shown(&items(&versions), &columns, zone));
    let columns = [
        ("load", "id"),
        ("state", "state"),
        ("arrived", "arrived"),
        ("entered", "entered"),
        ("set aside", "set_aside"),
        ("from", "source_path"),
        ("message", "message"),
    ];
    say!("\n{}", shown(&items(&loads), &columns, zone));
    let results = items(&checked).first().map(|latest| latest["results"].clone()).unwrap_or_default();
    let checks: Vec<Vec<String>> = items(&results)
        .iter()
        .map(|check| {
            ["/name", "/severity", "/verdict", "/answer/message"]
                .map(|at| cell(check.pointer(at).unwrap_or(&Value::Null)))
                .to_vec()
        })
        .collect();
    if !checks.is_empty() {
        say!("\nchecks of the latest load:");
        say!("{}", table(&["check", "severity", "verdict", "found"], &checks));
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the log of a step, or why there is none.
pub(super) fn logs(answer: &Value, json: bool) {
    let word = |name: &str| answer.get(name).and_then(Value::as_str);
    if json {
        say!("{answer}");
    } else if let Some(log) = word("log") {
        say!("{}", log.trim_end_matches('\n'));
    } else {
        let kind = word("kind").map(|kind| format!(" of kind `{kind}`")).unwrap_or_default();
        note!("step `{}`{kind} has no log", word("step").unwrap_or_default());
        if let Some(message) = word("message") {
            note!("  {}: {message}", word("state").unwrap_or_default());
        }
    }
}
