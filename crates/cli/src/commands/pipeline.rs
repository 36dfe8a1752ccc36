//! Commands that start, plan and cancel pipeline runs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use perennial_core::ErrorCode;
use perennial_server::Resume;
use serde_json::{Value, json};

use super::{done, lists, submitted, upload, wait};
use crate::args::Release;
use crate::client::Client;
use crate::connection::Connection;
use crate::follow::follow_on;
use crate::output::{note, say, table, user_error};

/// The end of the message about interrupted pipeline runs.
pub(super) const RESUME_OR_CANCEL: &str = "resume them, `perennial cancel` cancels them";

/// `perennial run`.
pub(super) async fn run(connection: &Connection, folder: &Path, steps: &[String], json: bool) -> Result<ExitCode> {
    let project = submitted(connection, folder).await?;
    connection.resume(Resume::RunsOnly).await;
    if connection.interrupted() > 0 {
        let interrupted = connection.interrupted();
        note!("interrupted releases: {interrupted}; `perennial release` and `perennial up` {RESUME_OR_CANCEL}");
    }
    execute((connection, folder), &project, "run", json!({ "steps": steps }), json).await
}

/// `perennial release`.
pub(super) async fn release(connection: &Connection, folder: &Path, options: &Release, json: bool) -> Result<ExitCode> {
    if options.wait && !connection.is_persistent {
        let message = "no server is running that could evaluate the canary";
        return Err(user_error(ErrorCode::WrongState, message, "start `perennial up` first, or omit `--wait`"));
    }
    // Interrupted releases must be resumed with the present project file.
    let project = submitted(connection, folder).await?;
    connection.resume(Resume::All).await;
    let client = &connection.client;
    let before = if options.wait { wait::endpoints(client, &project).await? } else { Vec::new() };
    let code = execute((connection, folder), &project, "release", json!({}), json).await?;
    if code == ExitCode::SUCCESS && !connection.is_persistent {
        note!("no server is running: `perennial up` serves the released model, monitors and retrains");
    }
    if options.wait && code == ExitCode::SUCCESS {
        wait::follow(client, &project, &before).await?;
    }
    Ok(code)
}

/// Starts a pipeline run and follows it. The exit status is 1 if it failed or was cancelled, and for a `run` also if
/// a load is held, because then not everything is up to date. A release uses the data that is available.
async fn execute(
    (connection, folder): (&Connection, &Path),
    project: &str,
    kind: &str,
    options: Value,
    json: bool,
) -> Result<ExitCode> {
    let created = connection
        .client
        .post(&format!("/api/v1/projects/{project}/pipeline-runs"), &json!({ "kind": kind, "options": options }))
        .await?;
    let id = created.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
    if !json {
        note!("pipeline run {id}");
    }
    let run = follow_on(connection, folder, project, (id, kind), json).await?;
    let state = run.get("state").and_then(Value::as_str).unwrap_or_default();
    let message = run.get("message").and_then(Value::as_str).unwrap_or_default();
    if json {
        say!("{run}");
    } else if state == "failed" {
        note!("error: {message}");
    } else if state == "cancelled" {
        note!("error: {message}; finished steps keep their results");
    } else if state == "nothing-to-do" {
        say!("nothing to do{}", if message.is_empty() { String::new() } else { format!(": {message}") });
    } else if message.is_empty() {
        say!("{state}");
    } else {
        say!("{message}");
    }
    if let Some(hint) = run["hint"].as_str().filter(|_| !json) {
        note!("  hint: {hint}");
    }
    let is_held = kind == "run" && run["held"].as_u64().is_some_and(|held| held > 0);
    Ok(ExitCode::from(u8::from(matches!(state, "failed" | "cancelled") || is_held)))
}

/// Cancels a pipeline run: the named one, else the only one that has not ended.
pub(super) async fn cancel(client: &Client, project: &str, run: Option<&str>, json: bool) -> Result<ExitCode> {
    let base = format!("/api/v1/projects/{project}/pipeline-runs");
    let id = match run {
        Some(run) => run.to_owned(),
        None => {
            let runs = lists::items(&client.get(&base).await?).into_iter();
            let open = runs.filter(|run| matches!(run["state"].as_str(), Some("pending" | "running" | "interrupted")));
            let open: Vec<String> = open.filter_map(|run| run["id"].as_str().map(str::to_owned)).collect();
            match open.as_slice() {
                [] => return done("no pipeline run is active", &json!({ "cancelled": null }), json),
                [one] => one.clone(),
                many => {
                    let message = format!("{} pipeline runs have not ended: {}", many.len(), many.join(", "));
                    return Err(user_error(ErrorCode::InvalidArgument, message, "name the run to cancel"));
                }
            }
        }
    };
    let ended = client.post(&format!("{base}/{id}/cancel"), &json!({})).await?;
    // A run that was already deciding or releasing ends normally, so the state may be another than `cancelled`.
    let state = ended["state"].as_str().unwrap_or_default();
    done(&format!("pipeline run {id} is {state}"), &ended, json)
}

/// Shows which steps would run and why. This submits nothing.
pub(super) async fn plan(connection: &Connection, folder: &Path, steps: &[String], json: bool) -> Result<ExitCode> {
    let client = &connection.client;
    let answer = if connection.is_remote {
        upload::plan(client, folder, steps).await?
    } else {
        client.post("/api/v1/plan", &json!({ "steps": steps })).await?
    };
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let plan = answer.get("plan").and_then(Value::as_array).context("the server sent no plan")?;
    for new in answer.get("waiting").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| new.get(name).and_then(Value::as_str).unwrap_or_default();
        say!("dataset `{}`: {}", text("dataset"), text("message"));
    }
    let rows: Vec<Vec<String>> = plan
        .iter()
        .map(|step| {
            let is_cached = step.get("is_cached").and_then(Value::as_bool).unwrap_or_default();
            let reasons = step
                .get("reasons")
                .and_then(Value::as_array)
                .map(|reasons| reasons.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("; "));
            vec![
                step.get("step").and_then(Value::as_str).unwrap_or_default().to_owned(),
                if is_cached { "up to date" } else { "would run" }.to_owned(),
                reasons.unwrap_or_default(),
            ]
        })
        .collect();
    say!("{}", table(&["step", "", "because"], &rows));
    Ok(ExitCode::SUCCESS)
}
