//! Commands that start, plan and cancel pipeline runs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use perennial_core::ErrorCode;
use perennial_server::Resume;
use serde_json::{Value, json};

use super::outcome::Outcome;
use super::{done, lists, submitted, upload, wait};
use crate::args::Release;
use crate::client::Client;
use crate::connection::Connection;
use crate::follow::{Form, follow_on};
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
    let run = execute((connection, folder), &project, "run", json!({ "steps": steps }), json).await?;
    Ok(show("run", run, json).exit())
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
    let requested = json!({ "again": options.again });
    let mut run = execute((connection, folder), &project, "release", requested, json).await?;
    if options.wait && Outcome::of("release", &run) == Outcome::Waiting {
        wait::follow(&connection.client, &project, &mut run).await?;
    }
    let outcome = show("release", run, json);
    if matches!(outcome, Outcome::Released | Outcome::Waiting) && !connection.is_persistent {
        note!("no server is running: `perennial up` serves the released model, monitors and retrains");
    }
    Ok(outcome.exit())
}

/// Starts a pipeline run and follows it to its end.
async fn execute(
    (connection, folder): (&Connection, &Path),
    project: &str,
    kind: &str,
    options: Value,
    json: bool,
) -> Result<Value> {
    let created = connection
        .client
        .post(&format!("/api/v1/projects/{project}/pipeline-runs"), &json!({ "kind": kind, "options": options }))
        .await?;
    let id = created.get("id").and_then(Value::as_str).context("the server did not name the pipeline run")?;
    note!("pipeline run {id}");
    follow_on(connection, folder, project, (id, kind), Form::of(json)).await
}

/// Shows how a pipeline run ended: what is done or waited for on standard output, an error on standard error.
fn show(kind: &str, mut run: Value, json: bool) -> Outcome {
    let outcome = Outcome::of(kind, &run);
    run["outcome"] = outcome.as_str().into();
    if json {
        say!("{run}");
        return outcome;
    }
    let message = run["message"].as_str().filter(|message| !message.is_empty());
    let state = run["state"].as_str().unwrap_or_default();
    match (outcome, message) {
        (Outcome::Failed | Outcome::Refused, message) => note!("error: {}", message.unwrap_or(state)),
        (Outcome::Cancelled, message) => {
            note!("error: {}; finished steps keep their results", message.unwrap_or(state));
        }
        (Outcome::NothingToDo, Some(message)) => say!("nothing to do: {message}"),
        (Outcome::NothingToDo, None) => say!("nothing to do"),
        (Outcome::Waiting, Some(message)) => say!("waiting: {message}"),
        (_, message) => say!("{}", message.unwrap_or(state)),
    }
    if let Some(hint) = run["hint"].as_str() {
        note!("  hint: {hint}");
    }
    outcome
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
