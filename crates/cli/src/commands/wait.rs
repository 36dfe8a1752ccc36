//! `perennial release --wait`: the canary, followed to its end.

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

/// Between two looks at the canary.
const LOOK: Duration = Duration::from_secs(2);

/// The endpoints of a project as they are now.
pub(super) async fn endpoints(client: &Client, project: &str) -> Result<Vec<Value>> {
    Ok(items(&client.get(&format!("/api/v1/projects/{project}/endpoints")).await?))
}

/// Follows canaries until none is live; one that was not promoted since the endpoints were as `before` is an error.
pub(super) async fn follow(client: &Client, project: &str, before: &[Value]) -> Result<()> {
    let mut told: Vec<String> = Vec::new();
    let mut is_told = false;
    let mut interrupted = signal(SignalKind::interrupt())?;
    loop {
        let now = endpoints(client, project).await?;
        if !now.iter().any(is_live) {
            return Ok(judge(before, &now)?);
        }
        if !is_told {
            note!("following the canary; Ctrl-C stops following, not the canary");
            is_told = true;
        }
        let waits: Vec<String> = now
            .iter()
            .filter_map(|endpoint| Some((endpoint["name"].as_str()?, endpoint["canary_waits_for"].as_str()?)))
            .map(|(name, what)| format!("• the canary at `{name}` waits for: {what}"))
            .collect();
        // Requests are counted on; it is told when it is another thing that is waited for.
        let kind = |line: &String| line.replace(|c: char| c.is_ascii_digit(), "");
        let known: Vec<String> = told.iter().map(kind).collect();
        waits.iter().filter(|line| !known.contains(&kind(line))).for_each(|line| note!("{line}"));
        told = waits;
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = interrupted.recv() => {
                return Err(Error::new(ErrorCode::WrongState, "the canary is not followed any more; it goes on").into());
            }
        }
    }
}

fn is_live(endpoint: &Value) -> bool {
    matches!(endpoint["canary_state"].as_str(), Some("running" | "waiting"))
}

fn judge(before: &[Value], now: &[Value]) -> Result<(), Error> {
    let is_known = |endpoint: &Value| {
        let same = |known: &&Value| ["name", "canary_started_at"].iter().all(|field| known[field] == endpoint[field]);
        before.iter().find(same).is_some_and(|known| !is_live(known))
    };
    let over = now.iter().filter(|endpoint| endpoint["canary_state"].is_string() && !is_known(endpoint));
    for endpoint in over {
        let (name, state) = (endpoint["name"].as_str().unwrap_or_default(), endpoint["canary_state"].as_str());
        match state.unwrap_or_default() {
            "promoted" => note!("version {} answers at `{name}`", endpoint["champion_number"]),
            state => {
                let message = format!("the canary of version {} at `{name}` is {state}", endpoint["canary_number"]);
                return Err(Error::new(ErrorCode::WrongState, message)
                    .with_hint("`perennial releases` lists it; `perennial releases show` tells why"));
            }
        }
    }
    Ok(())
}
