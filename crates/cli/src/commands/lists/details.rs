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

/// Shows the result for every chain; in JSON, `head` is that of the project's chain.
pub(super) fn verify(mut answer: Value, project: &str, json: bool) -> Result<ExitCode> {
    let holds = answer["holds"] == json!(true);
    let chains = items(&answer["chains"]);
    if json {
        let own = chains.iter().find(|chain| chain["project"] == project);
        answer["head"] = own.map_or(Value::Null, |chain| chain["head"].clone());
        say!("{answer}");
        return Ok(ExitCode::from(u8::from(!holds)));
    }
    for chain in chains.iter().filter(|chain| chain["entries"] != json!(0)) {
        let owner = chain["project"].as_str().map_or_else(|| "the server".to_owned(), |name| format!("`{name}`"));
        if chain["holds"] == json!(true) {
            say!("the ledger of {owner} is intact: {} entries, head {}", cell(&chain["entries"]), cell(&chain["head"]));
        } else {
            say!("the ledger of {owner} is broken: {}", cell(&chain["message"]));
        }
    }
    if let Some(message) = answer["message"].as_str() {
        say!("the ledger is broken: {message}");
    }
    Ok(ExitCode::from(u8::from(!holds)))
}
