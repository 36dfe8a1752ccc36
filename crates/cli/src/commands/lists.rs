//! Commands that read and show.

mod details;
mod release;

use std::process::ExitCode;

use anyhow::Result;
use jiff::tz::TimeZone;
use perennial_core::calendar;
use serde_json::{Value, json};

use crate::args::{Command, Data, Releases};
use crate::client::Client;
use crate::output::{cell, note, say, table};

/// The path of a list, and its columns: (heading, field).
type View = (String, Vec<(&'static str, &'static str)>);

/// The items of a list: the response itself, or its field `items`.
pub(crate) fn items(answer: &Value) -> Vec<Value> {
    let list = answer.as_array().or_else(|| answer.get("items").and_then(Value::as_array));
    list.cloned().unwrap_or_default()
}

/// Runs a command that reads and shows.
pub(crate) async fn show(client: &Client, project: &str, command: &Command, json: bool) -> Result<ExitCode> {
    let base = format!("/api/v1/projects/{project}");
    match command {
        Command::Data(Data::Query { sql, limit }) => {
            page(&client.post(&format!("{base}/query"), &json!({ "sql": sql, "limit": limit })).await?, json)
        }
        Command::Data(Data::Quarantine { dataset, limit }) => {
            page(&client.get(&format!("{base}/datasets/{dataset}/quarantine?limit={limit}")).await?, json)
        }
        Command::Data(Data::Show { dataset }) => {
            let zone = zone(client, &base, json).await?;
            details::dataset(client, &base, dataset, &zone, json).await
        }
        Command::Explain { kind, id } => explain(&client.get(&format!("{base}/explain/{kind}/{id}")).await?, json),
        Command::Logs { step } => {
            details::logs(&client.get(&format!("{base}/steps/{step}/log")).await?, json);
            Ok(ExitCode::SUCCESS)
        }
        Command::Clock => {
            let answer = client.get(&format!("{base}/clock")).await?;
            say!(
                "{}",
                if json {
                    answer.to_string()
                } else {
                    format!(
                        "{}{}",
                        cell(&answer["project_at"]),
                        if answer["is_stepped"] == json!(true) { " (stepped)" } else { "" }
                    )
                }
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Releases { verb: Some(Releases::Show { digest }) } => {
            let answer = client.get(&format!("{base}/releases/{digest}")).await?;
            if json {
                say!("{answer}");
            } else {
                release::release(&answer, &zone(client, &base, json).await?);
            }
            Ok(ExitCode::SUCCESS)
        }
        other => {
            let (path, columns) = view(other);
            let answer = client.get(&format!("{base}{path}")).await?;
            if json {
                say!("{answer}");
                return Ok(ExitCode::SUCCESS);
            }
            let mut listed = items(&answer);
            if matches!(other, Command::Endpoints) {
                listed.iter_mut().for_each(hide_promoted_canary);
                listed.iter_mut().for_each(name_readiness);
            }
            if listed.is_empty() {
                say!("none yet");
            } else {
                say!("{}", shown(&listed, &columns, &zone(client, &base, json).await?));
            }
            for endpoint in &listed {
                note_fault(endpoint);
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Writes into an endpoint whether it answers as recorded.
fn name_readiness(endpoint: &mut Value) {
    let is_silent = items(&endpoint["routes"]).is_empty();
    let word = match endpoint["is_ready"] == json!(false) {
        true if is_silent => "cannot answer",
        true => "outdated",
        false if is_silent => "no version",
        false => "ready",
    };
    endpoint["state"] = word.into();
}

/// Prints why an endpoint does not answer as recorded.
fn note_fault(endpoint: &Value) {
    if let Some(message) = endpoint["fault"]["message"].as_str() {
        note!("endpoint `{}`: {message}", cell(&endpoint["name"]));
        if let Some(hint) = endpoint["fault"]["hint"].as_str() {
            note!("  hint: {hint}");
        }
    }
}

/// The timezone of a project, in which times are shown.
async fn zone(client: &Client, base: &str, json: bool) -> Result<TimeZone> {
    if json {
        return Ok(TimeZone::UTC);
    }
    let project = client.get(base).await?;
    Ok(calendar::timezone(project["timezone"].as_str().unwrap_or("UTC"))?)
}

/// Items as a table; the headings of times name the timezone.
fn shown(items: &[Value], columns: &[(&str, &str)], zone: &TimeZone) -> String {
    let name = zone.iana_name().unwrap_or("UTC");
    let heads: Vec<String> = columns
        .iter()
        .map(|(head, field)| if field.ends_with("_at") { format!("{head} ({name})") } else { (*head).to_owned() })
        .collect();
    let value = |item: &Value, field: &str| {
        short(field, item.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or(&Value::Null), zone)
    };
    let rows: Vec<Vec<String>> =
        items.iter().map(|item| columns.iter().map(|(_, field)| value(item, field)).collect()).collect();
    table(&heads.iter().map(String::as_str).collect::<Vec<_>>(), &rows)
}

/// Hides a canary that was promoted: it is, or was, the champion.
fn hide_promoted_canary(endpoint: &mut Value) {
    if endpoint["canary_state"] == "promoted" {
        endpoint["canary_number"] = Value::Null;
        endpoint["canary_state"] = Value::Null;
    }
}

/// Shows the releases that wait for approvals.
pub(super) fn approvals(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut waiting = items(answer);
    for release in &mut waiting {
        let roles = items(&release["missing"]).iter().map(cell).collect::<Vec<_>>().join(", ");
        release["missing"] = roles.into();
        release["digest"] = release["release"].take();
        release["is_for_caller"] = if release["is_for_caller"] == json!(true) { "yes" } else { "no" }.into();
    }
    let columns = [
        ("project", "project"),
        ("release", "digest"),
        ("version", "number"),
        ("needs role", "missing"),
        ("yours", "is_for_caller"),
        ("requested by", "requested_by"),
        ("since", "wall_at"),
    ];
    if waiting.is_empty() {
        say!("no release waits for an approval");
    } else {
        say!("{}", shown(&waiting, &columns, &TimeZone::UTC));
        note!(
            "`perennial releases show DIGEST` shows what was decided; `perennial releases approve DIGEST` approves it"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows the tokens that are not revoked.
pub(super) fn tokens(answer: &Value, json: bool) -> Result<ExitCode> {
    let mut principals = items(answer);
    for principal in &mut principals {
        if let Some(tokens) = principal["tokens"].as_array_mut() {
            tokens.retain(|token| token["revoked_at"].is_null());
        }
    }
    if json {
        say!("{}", json!({ "items": principals }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for principal in principals {
        for token in items(&principal["tokens"]) {
            rows.push(vec![
                cell(&token["id"]),
                cell(&principal["name"]),
                cell(&principal["kind"]),
                grants_text(&principal, |grant| cell(&grant["role"])),
                grants_text(&principal, project_of),
                short("created_at", &token["created_at"], &TimeZone::UTC),
                short("expires_at", &token["expires_at"], &TimeZone::UTC),
            ]);
        }
    }
    say!("{}", table(&["token", "owner", "kind", "role", "on", "created (UTC)", "expires (UTC)"], &rows));
    Ok(ExitCode::SUCCESS)
}

/// Shows people and programs, a line for each role.
pub(super) fn principals(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for principal in items(answer) {
        let grants = items(&principal["grants"]);
        let row = |role: String, on: String, origin: String| {
            vec![cell(&principal["name"]), cell(&principal["kind"]), role, on, origin]
        };
        for grant in &grants {
            rows.push(row(cell(&grant["role"]), project_of(grant), cell(&grant["origin"])));
        }
        if grants.is_empty() {
            rows.push(row(cell(&Value::Null), cell(&Value::Null), cell(&Value::Null)));
        }
    }
    say!("{}", table(&["name", "kind", "role", "on", "origin"], &rows));
    Ok(ExitCode::SUCCESS)
}

/// Shows the URL prefixes that a project was granted.
pub(super) fn source_grants(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let row = |grant: &Value| vec![cell(&grant["prefix"]), cell(&grant["granted_by"]), cell(&grant["created_at"])];
    let rows: Vec<_> = items(answer).iter().map(row).collect();
    say!("{}", table(&["prefix", "granted by", "since"], &rows));
    Ok(ExitCode::SUCCESS)
}

/// A part of each grant of a principal, separated by commas.
fn grants_text(principal: &Value, part: impl Fn(&Value) -> String) -> String {
    match items(&principal["grants"]) {
        grants if grants.is_empty() => cell(&Value::Null),
        grants => grants.iter().map(part).collect::<Vec<_>>().join(", "),
    }
}

/// Where a grant applies.
fn project_of(grant: &Value) -> String {
    grant["project"].as_str().unwrap_or("the server").to_owned()
}

fn view(command: &Command) -> View {
    let (path, columns): (&str, &[(&str, &str)]) = match command {
        Command::Data(_) => (
            "/datasets",
            &[
                ("dataset", "name"),
                ("version", "version.number"),
                ("rows", "version.rows"),
                ("mode", "mode"),
                ("digest", "version.digest"),
            ],
        ),
        Command::Releases { .. } => (
            "/releases",
            &[
                ("release", "digest"),
                ("version", "number"),
                ("at", "project_at"),
                ("decision", "verdict"),
                ("approved by", "approved"),
                ("serves as", "role"),
            ],
        ),
        Command::Models => (
            "/models",
            &[
                ("version", "number"),
                ("aliases", "aliases"),
                ("metrics", "measures"),
                ("tested from", "test_start_at"),
                ("flavour", "flavor"),
                ("at", "project_at"),
                ("content", "content_digest"),
                ("run", "run_id"),
            ],
        ),
        Command::Endpoints => (
            "/endpoints",
            &[
                ("endpoint", "name"),
                ("state", "state"),
                ("champion", "champion_number"),
                ("canary", "canary_number"),
                ("canary state", "canary_state"),
                ("share", "canary_share"),
                ("waits for", "canary_waits_for"),
            ],
        ),
        Command::Monitors => (
            "/monitors",
            &[
                ("monitor", "monitor"),
                ("window", "window_start_at"),
                ("version", "number"),
                ("kind", "kind"),
                ("revision", "revision"),
                ("rows", "rows"),
                ("drift", "drift_share"),
                ("quality", "measures"),
            ],
        ),
        Command::Held { .. } => {
            ("/held", &[("id", "id"), ("kind", "kind"), ("what", "what"), ("since", "since_at"), ("reason", "reason")])
        }
        Command::Alerts => (
            "/alerts",
            &[
                ("at", "project_at"),
                ("subject", "subject"),
                ("alert", "name"),
                ("state", "state"),
                ("message", "message"),
            ],
        ),
        Command::Ledger => (
            "/ledger",
            &[
                ("#", "sequence"),
                ("at", "project_at"),
                ("noun", "noun"),
                ("subject", "subject"),
                ("verb", "verb"),
                ("actor", "actor"),
                ("hash", "hash"),
            ],
        ),
        _ => (
            "/pipeline-runs",
            &[("run", "id"), ("kind", "kind"), ("state", "state"), ("at", "project_at"), ("message", "message")],
        ),
    };
    (path.to_owned(), columns.to_vec())
}

/// The short form of a value: the first digits of a digest, a time to the minute, metrics with their names.
fn short(field: &str, value: &Value, zone: &TimeZone) -> String {
    let text = match value {
        Value::Array(list) if list.is_empty() => cell(&Value::Null),
        Value::Object(measures) if measures.is_empty() => cell(&Value::Null),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(measures) => {
            let named =
                measures.iter().map(|(name, value)| format!("{name} {:.4}", value.as_f64().unwrap_or(f64::NAN)));
            named.collect::<Vec<_>>().join(", ")
        }
        other => cell(other),
    };
    if field.ends_with("digest") || field == "hash" {
        return text.chars().take(12).collect();
    }
    if field.ends_with("_at")
        && let Ok(ms) = calendar::parse_instant(&text, zone)
    {
        return calendar::local(ms, zone);
    }
    text
}

fn page(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let columns: Vec<String> = answer
        .get("columns")
        .or_else(|| answer.pointer("/schema/fields"))
        .and_then(Value::as_array)
        .map(|columns| columns.iter().map(|column| column.get("name").map_or_else(|| cell(column), cell)).collect())
        .unwrap_or_default();
    let rows: Vec<Vec<String>> = answer["rows"]
        .as_array()
        .map(|rows| {
            rows.iter()
                .map(|row| row.as_array().map(|cells| cells.iter().map(cell).collect()).unwrap_or_default())
                .collect()
        })
        .unwrap_or_default();
    say!("{}", table(&columns.iter().map(String::as_str).collect::<Vec<_>>(), &rows));
    if answer["truncated"] == json!(true) {
        note!("there are more rows; `--limit` shows more of them");
    }
    Ok(ExitCode::SUCCESS)
}

fn explain(answer: &Value, json: bool) -> Result<ExitCode> {
    if json {
        say!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    say!("{}", explained(answer));
    Ok(ExitCode::SUCCESS)
}

/// A lineage response as text: its text if it has one, else its edges as JSON.
pub(crate) fn explained(answer: &Value) -> String {
    if let Some(text) = answer.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    serde_json::to_string_pretty(answer).unwrap_or_default()
}
