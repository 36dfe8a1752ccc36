//! `perennial release --wait`: waits for the end of the canary.

use std::time::Duration;

use anyhow::Result;
use perennial_core::{Error, ErrorCode};
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::lists::items;
use crate::client::Client;
use crate::output::note;

#[cfg(test)]
mod tests;

/// The time between two requests for the state of the canary.
const POLL_INTERVAL: Duration = Duration::from_secs(2);

/// The present endpoints of a project.
pub(super) async fn endpoints(client: &Client, project: &str) -> Result<Vec<Value>> {
    Ok(items(&client.get(&format!("/api/v1/projects/{project}/endpoints")).await?))
}

/// Waits until no canary is active.
///
/// # Errors
/// `wrong-state` if a canary that ended after `before` was not promoted, and after Ctrl-C.
pub(super) async fn follow(client: &Client, project: &str, before: &[Value]) -> Result<()> {
    let mut shown: Vec<String> = Vec::new();
    let mut is_waiting = false;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        let now = endpoints(client, project).await?;
        if !now.iter().any(has_active_canary) {
            return Ok(check_promoted(before, &now)?);
        }
        if !is_waiting {
            note!("waiting for the end of the canary; Ctrl-C stops waiting and leaves the canary active");
            is_waiting = true;
        }
        let lines: Vec<String> = now
            .iter()
            .filter_map(|endpoint| Some((endpoint["name"].as_str()?, endpoint["canary_waits_for"].as_str()?)))
            .map(|(name, condition)| format!("• the canary at `{name}` waits for: {condition}"))
            .collect();
        // A line that differs only in its numbers is not shown again.
        let without_digits = |line: &String| line.replace(|c: char| c.is_ascii_digit(), "");
        let known: Vec<String> = shown.iter().map(without_digits).collect();
        lines.iter().filter(|line| !known.contains(&without_digits(line))).for_each(|line| note!("{line}"));
        shown = lines;
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = interrupt.recv() => {
                return Err(Error::new(ErrorCode::WrongState, "stopped waiting; the canary is still active").into());
            }
        }
    }
}

fn has_active_canary(endpoint: &Value) -> bool {
    matches!(endpoint["canary_state"].as_str(), Some("running" | "waiting"))
}

/// Fails if a canary ended after `before` without a promotion.
fn check_promoted(before: &[Value], now: &[Value]) -> Result<(), Error> {
    let is_known = |endpoint: &Value| {
        let same = |known: &&Value| ["name", "canary_started_at"].iter().all(|field| known[field] == endpoint[field]);
        before.iter().find(same).is_some_and(|known| !has_active_canary(known))
    };
    let ended = now.iter().filter(|endpoint| endpoint["canary_state"].is_string() && !is_known(endpoint));
    for endpoint in ended {
        let (name, state) = (endpoint["name"].as_str().unwrap_or_default(), endpoint["canary_state"].as_str());
        match state.unwrap_or_default() {
            "promoted" => note!("version {} is the champion at `{name}`", endpoint["champion_number"]),
            state => {
                let message = format!("the canary of version {} at `{name}` is {state}", endpoint["canary_number"]);
                return Err(Error::new(ErrorCode::WrongState, message).with_hint(
                    "`perennial releases show DIGEST` shows the reason; `perennial releases` lists the digests",
                ));
            }
        }
    }
    Ok(())
}
