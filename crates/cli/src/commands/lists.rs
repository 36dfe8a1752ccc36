//! Verbs that read and show.

use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use crate::args::{Command, Data, Releases};
use crate::client::Client;
use crate::output::{cell, note, say, table};

/// Where a list is and which of its fields make columns: (heading, field).
type View = (String, Vec<(&'static str, &'static str)>);

/// The items of a list, however the answer wraps them.
pub(crate) fn items(answer: &Value) -> Vec<Value> {
    let list = answer.as_array().or_else(|| answer.get("items").and_then(Value::as_array));
    list.cloned().unwrap_or_default()
}

/// Shows what a reading verb asks for.
pub(crate) async fn show(client: &Client, project: &str, command: &Command, json: bool) -> Result<ExitCode> {
    let base = format!("/api/v1/projects/{project}");
    match command {
        Command::Data(Data::Query { sql, limit }) => {
            page(&client.post(&format!("{base}/query"), &json!({ "sql": sql, "limit": limit })).await?, json)
        }
        Command::Data(Data::Quarantine { dataset, limit }) => {
            page(&client.get(&format!("{base}/datasets/{dataset}/quarantine?limit={limit}")).await?, json)
        }
        Command::Data(Data::Show { dataset }) => dataset_of(client, &base, dataset, json).await,
        Command::Explain { kind, id } => explain(&client.get(&format!("{base}/explain/{kind}/{id}")).await?, json),
        Command::Verify { head } => {
            let query = head.as_ref().map_or_else(String::new, |head| format!("?head={head}"));
            verify(client.get(&format!("/api/v1/verify{query}")).await?, project, json)
        }
        Command::Logs { step } => {
            logs(&client.get(&format!("{base}/steps/{step}/log")).await?, json);
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
            say!("{}", serde_json::to_string_pretty(&client.get(&format!("{base}/releases/{digest}")).await?)?);
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
                listed.iter_mut().for_each(without_old_canary);
            }
            let rows: Vec<Vec<String>> = listed
                .iter()
                .map(|item| {
                    columns
                        .iter()
                        .map(|(_, field)| {
                            short(field, item.pointer(&format!("/{}", field.replace('.', "/"))).unwrap_or(&Value::Null))
                        })
                        .collect()
                })
                .collect();
            if rows.is_empty() {
                say!("none yet");
            } else {
                say!("{}", table(&columns.iter().map(|(head, _)| *head).collect::<Vec<_>>(), &rows));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Leaves out of an endpoint what is no news of its last canary: one that was promoted is or was the champion, and
/// one that ended has no share.
fn without_old_canary(endpoint: &mut Value) {
    let gone: &[&str] = match endpoint["canary_state"].as_str() {
        Some("running" | "waiting") | None => &[],
        Some("promoted") => &["canary_number", "canary_state", "canary_share"],
        Some(_) => &["canary_share"],
    };
    for field in gone {
        endpoint[*field] = Value::Null;
    }
}

/// The tokens that are not void.
pub(super) fn tokens(answer: &Value, json: bool) -> Result<ExitCode> {
    let mut holders = items(answer);
    for holder in &mut holders {
        if let Some(tokens) = holder["tokens"].as_array_mut() {
            tokens.retain(|token| token["revoked_at"].is_null());
        }
    }
    if json {
        say!("{}", json!({ "items": holders }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for principal in holders {
        for token in items(&principal["tokens"]) {
            rows.push(vec![
                cell(&token["id"]),
                cell(&principal["name"]),
                cell(&principal["kind"]),
                cell(&principal["role"]),
                principal["project"].as_str().unwrap_or("the server").to_owned(),
                short("created_at", &token["created_at"]),
                short("expires_at", &token["expires_at"]),
            ]);
        }
    }
    say!("{}", table(&["token", "whose", "kind", "role", "on", "made", "ends"], &rows));
    Ok(ExitCode::SUCCESS)
}

fn logs(answer: &Value, json: bool) {
    let word = |name: &str| answer.get(name).and_then(Value::as_str);
    if json {
        say!("{answer}");
    } else if let Some(log) = word("log") {
        say!("{}", log.trim_end_matches('\n'));
    } else {
        let kind = word("kind").map(|kind| format!(", a step of kind `{kind}`,")).unwrap_or_default();
        note!("`{}`{kind} wrote no log", word("step").unwrap_or_default());
        if let Some(message) = word("message") {
            note!("  it {}: {message}", word("state").unwrap_or_default());
        }
    }
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
        Command::Releases { .. } => {
            ("/releases", &[("release", "digest"), ("version", "number"), ("at", "project_at"), ("verdict", "verdict")])
        }
        Command::Models => (
            "/models",
            &[
                ("version", "number"),
                ("aliases", "aliases"),
                ("measure", "measures"),
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
                ("champion", "champion_number"),
                ("canary", "canary_number"),
                ("canary is", "canary_state"),
                ("share", "canary_share"),
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
            ],
        ),
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

/// Digests are shown by their beginning, instants to the minute, measures with their names.
fn short(field: &str, value: &Value) -> String {
    let text = match value {
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(measures) => {
            let told = measures.iter().map(|(name, value)| format!("{name} {:.4}", value.as_f64().unwrap_or(f64::NAN)));
            told.collect::<Vec<_>>().join(", ")
        }
        other => cell(other),
    };
    if field.ends_with("digest") || field == "hash" {
        return text.chars().take(12).collect();
    }
    if field.ends_with("_at") && text.len() > 16 {
        return text[..16].replace('T', " ");
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
        note!("more rows follow; `--limit` asks for more");
    }
    Ok(ExitCode::SUCCESS)
}

async fn dataset_of(client: &Client, base: &str, dataset: &str, json: bool) -> Result<ExitCode> {
    let versions = client.get(&format!("{base}/datasets/{dataset}/versions")).await?;
    let mut loads = client.get(&format!("{base}/datasets/{dataset}/loads")).await?;
    let checked = client.get(&format!("{base}/datasets/{dataset}/checks?loads=1")).await?;
    if json {
        say!("{}", json!({ "versions": versions, "loads": loads, "checks": checked }));
        return Ok(ExitCode::SUCCESS);
    }
    for load in loads["items"].as_array_mut().into_iter().flatten() {
        // Why it was held is no news of a load that is settled.
        if !matches!(load["state"].as_str(), Some("held" | "failed")) {
            load["message"] = Value::Null;
        }
    }
    let rows = |answer: &Value, fields: &[&str]| -> Vec<Vec<String>> {
        items(answer).iter().map(|item| fields.iter().map(|field| short(field, &item[*field])).collect()).collect()
    };
    say!(
        "{}",
        table(&["version", "rows", "at", "digest"], &rows(&versions, &["number", "rows", "project_at", "digest"]))
    );
    say!("");
    say!(
        "{}",
        table(
            &["load", "state", "rows", "set aside", "from", "message"],
            &rows(&loads, &["id", "state", "arrived", "set_aside", "source_path", "message"])
        )
    );
    let results = items(&checked).first().map(|newest| newest["results"].clone()).unwrap_or_default();
    let checks: Vec<Vec<String>> = items(&results)
        .iter()
        .map(|check| {
            ["/name", "/severity", "/verdict", "/answer/message"]
                .map(|at| cell(check.pointer(at).unwrap_or(&Value::Null)))
                .to_vec()
        })
        .collect();
    if !checks.is_empty() {
        say!("\nchecks of the newest load:");
        say!("{}", table(&["check", "severity", "verdict", "found"], &checks));
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

/// A lineage answer as text: its lines if the server gives them, else its edges.
pub(crate) fn explained(answer: &Value) -> String {
    if let Some(text) = answer.get("text").and_then(Value::as_str) {
        return text.to_owned();
    }
    serde_json::to_string_pretty(answer).unwrap_or_default()
}

/// Tells of every chain; the `head` to note is that of this project's.
fn verify(mut answer: Value, project: &str, json: bool) -> Result<ExitCode> {
    let holds = answer["holds"] == json!(true);
    let chains = items(&answer["chains"]);
    if json {
        let own = chains.iter().find(|chain| chain["project"] == project);
        answer["head"] = own.map_or(Value::Null, |chain| chain["head"].clone());
        say!("{answer}");
        return Ok(ExitCode::from(u8::from(!holds)));
    }
    for chain in chains.iter().filter(|chain| chain["entries"] != json!(0)) {
        let whose = chain["project"].as_str().map_or_else(|| "the server".to_owned(), |name| format!("`{name}`"));
        if chain["holds"] == json!(true) {
            say!("the ledger holds: {} entries of {whose}, head {}", cell(&chain["entries"]), cell(&chain["head"]));
        } else {
            say!("the ledger of {whose} does not hold: {}", cell(&chain["message"]));
        }
    }
    if let Some(message) = answer["message"].as_str() {
        say!("the ledger does not hold: {message}");
    }
    Ok(ExitCode::from(u8::from(!holds)))
}
