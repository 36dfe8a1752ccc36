//! `perennial release --wait`: waits for the approvals of a release, then for the end of its canary.

use std::time::Duration;

use anyhow::Result;
use perennial_core::{Error, ErrorCode};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::lists::items;
use super::outcome::Outcome;
use crate::client::Client;
use crate::output::note;

/// The time between two requests for the state of the release.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// Waits until the release of `run` waits for nothing more, and writes its progress into `run`.
///
/// # Errors
/// `wrong-state` after Ctrl-C.
pub(super) async fn follow(client: &Client, project: &str, run: &mut Value) -> Result<()> {
    let base = format!("/api/v1/projects/{project}");
    let digest = run["digest"].as_str().unwrap_or_default().to_owned();
    let mut shown: Vec<String> = Vec::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    note!("waiting for the end of the release; Ctrl-C stops waiting and changes nothing");
    loop {
        let release = client.get(&format!("{base}/releases/{digest}")).await?;
        for field in ["released", "waiting_for", "reasons"] {
            run[field] = release[field].clone();
        }
        if Outcome::of("release", run) != Outcome::Waiting {
            run["message"] = last_message(run).into();
            return Ok(());
        }
        let lines = conditions(&release, &items(&client.get(&format!("{base}/endpoints")).await?));
        // A line that differs only in its numbers is not shown again.
        let without_digits = |line: &String| line.replace(|c: char| c.is_ascii_digit(), "");
        let known: Vec<String> = shown.iter().map(without_digits).collect();
        lines.iter().filter(|line| !known.contains(&without_digits(line))).for_each(|line| note!("{line}"));
        shown = lines;
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = interrupt.recv() => {
                return Err(Error::new(ErrorCode::WrongState, "stopped waiting; the release still waits").into());
            }
        }
    }
}

/// What the release waits for, a line each.
fn conditions(release: &Value, endpoints: &[Value]) -> Vec<String> {
    let awaited = items(&release["waiting_for"]);
    let lines = awaited.iter().filter_map(Value::as_str).map(|awaited| match awaited.split_once(':') {
        Some(("approval", role)) => format!("• waits for approval from role {role}"),
        Some(("canary", name)) => {
            let endpoint = endpoints.iter().find(|endpoint| endpoint["name"] == name);
            let condition = endpoint.and_then(|endpoint| endpoint["canary_waits_for"].as_str());
            format!("• the canary at `{name}` waits for: {}", condition.unwrap_or("its next evaluation"))
        }
        _ => "• is approved and continues".to_owned(),
    });
    lines.collect()
}

/// How the release ended, in one line.
fn last_message(run: &Value) -> String {
    let version = &run["version"];
    if run["released"] == true {
        return format!("version {version} is the champion");
    }
    let reasons: Vec<String> = items(&run["reasons"]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if reasons.is_empty() { format!("version {version} is not released") } else { reasons.join("; ") }
}
