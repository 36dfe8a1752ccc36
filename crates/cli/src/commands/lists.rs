//! Verbs that read and show.

use std::process::ExitCode;

use anyhow::Result;
use jiff::tz::TimeZone;
use perennial_core::calendar;
use serde_json::{Value, json};

use crate::args::{Command, Data, Releases};
use crate::client::Client;
use crate::output::{cell, note, say, table};

/// Values that a gate saw and a line tells, at most.
const VALUES_MAX: usize = 6;

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
        Command::Data(Data::Show { dataset }) => {
            let zone = zone(client, &base, json).await?;
            dataset_of(client, &base, dataset, &zone, json).await
        }
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
            let answer = client.get(&format!("{base}/releases/{digest}")).await?;
            if json {
                say!("{answer}");
            } else {
                release(&answer, &zone(client, &base, json).await?);
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
                listed.iter_mut().for_each(without_old_canary);
            }
            if listed.is_empty() {
                say!("none yet");
            } else {
                say!("{}", shown(&listed, &columns, &zone(client, &base, json).await?));
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The timezone that a project's instants are shown in.
async fn zone(client: &Client, base: &str, json: bool) -> Result<TimeZone> {
    if json {
        return Ok(TimeZone::UTC);
    }
    let project = client.get(base).await?;
    Ok(calendar::timezone(project["timezone"].as_str().unwrap_or("UTC"))?)
}

/// Items as a table; columns of instants say the timezone.
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

/// A release: its Decision gate by gate, who said yes, what came of it.
fn release(answer: &Value, zone: &TimeZone) {
    let release = &answer["release"];
    say!("release  {}", cell(&release["digest"]));
    say!("version  {}", cell(&release["number"]));
    say!("made     {} ({})", short("project_at", &release["project_at"], zone), zone.iana_name().unwrap_or("UTC"));
    say!("head     {}", cell(&release["ledger_head"]));
    if let Some(decision) = items(&answer["decisions"]).first() {
        let champion = decision["champion_number"].as_i64();
        let beside = champion.map_or_else(String::new, |number| format!(", beside version {number}"));
        say!("\ndecision {}{beside}:", cell(&decision["verdict"]));
        let gates = items(&decision["body"]["gates"]);
        let gates = gates.iter().map(|gate| {
            let judged = &gate["judgement"];
            let missing = items(&judged["missing"]).into_iter().map(|name| format!("{} is not known", cell(&name)));
            let mut values: Vec<String> = missing.chain(seen(judged)).collect();
            let more = values.len().saturating_sub(VALUES_MAX);
            values.truncate(VALUES_MAX);
            values.extend((more > 0).then(|| format!("and {more} more")));
            vec![cell(&gate["gate"]), cell(&judged["verdict"]), cell(&gate["expression"]), values.join(", ")]
        });
        say!("{}", table(&["gate", "verdict", "expression", "values"], &gates.collect::<Vec<_>>()));
    }
    let approvals = items(&answer["approvals"]);
    if !approvals.is_empty() {
        say!(
            "\n{}",
            shown(
                &approvals,
                &[("approved as", "role"), ("by", "principal"), ("at", "project_at"), ("note", "note")],
                zone
            )
        );
    }
    let mut promotions = items(&answer["promotions"]);
    for promotion in &mut promotions {
        promotion["why"] = why(&promotion["cause"]).into();
    }
    if !promotions.is_empty() {
        let columns = [
            ("endpoint", "endpoint"),
            ("what", "kind"),
            ("from", "from_number"),
            ("to", "to_number"),
            ("by", "actor"),
            ("at", "project_at"),
            ("why", "why"),
        ];
        say!("\n{}", shown(&promotions, &columns, zone));
    }
}

/// The values that an expression was judged by.
fn seen(judged: &Value) -> Vec<String> {
    items(&judged["values"]).iter().map(|seen| format!("{} = {}", cell(&seen[0]), measured(&seen[1]))).collect()
}

/// What moved a version to or from an endpoint, in words.
fn why(cause: &Value) -> String {
    let word = |name: &str| cell(&cause[name]);
    match cause["kind"].as_str().unwrap_or_default() {
        "canary" => format!("its canary lasted and answered {} requests", measured(&cause["requests"])),
        "rollback_rule" => {
            format!("its rollback rule holds: {} ({})", word("rule"), seen(cause).join(", "))
        }
        "trigger" => format!("trigger {}", word("trigger")),
        "person" => format!("asked for by {}", word("by")),
        other => other.to_owned(),
    }
}

/// A measure: whole numbers without digits behind the point.
fn measured(value: &Value) -> String {
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
    whole.map_or_else(|| cell(value), |whole| format!("{whole:.0}"))
}

/// Leaves out of an endpoint what is no news of its last canary: one that was promoted is or was the champion.
fn without_old_canary(endpoint: &mut Value) {
    if endpoint["canary_state"] == "promoted" {
        endpoint["canary_number"] = Value::Null;
        endpoint["canary_state"] = Value::Null;
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
                short("created_at", &token["created_at"], &TimeZone::UTC),
                short("expires_at", &token["expires_at"], &TimeZone::UTC),
            ]);
        }
    }
    say!("{}", table(&["token", "whose", "kind", "role", "on", "made (UTC)", "ends (UTC)"], &rows));
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
        Command::Releases { .. } => (
            "/releases",
            &[
                ("release", "digest"),
                ("version", "number"),
                ("at", "project_at"),
                ("decision", "verdict"),
                ("approved as", "approved"),
                ("now", "part"),
            ],
        ),
        Command::Models => (
            "/models",
            &[
                ("version", "number"),
                ("aliases", "aliases"),
                ("measure", "measures"),
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
                ("champion", "champion_number"),
                ("canary", "canary_number"),
                ("canary is", "canary_state"),
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
fn short(field: &str, value: &Value, zone: &TimeZone) -> String {
    let text = match value {
        Value::Array(list) if list.is_empty() => cell(&Value::Null),
        Value::Object(measures) if measures.is_empty() => cell(&Value::Null),
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
        note!("more rows follow; `--limit` asks for more");
    }
    Ok(ExitCode::SUCCESS)
}

async fn dataset_of(client: &Client, base: &str, dataset: &str, zone: &TimeZone, json: bool) -> Result<ExitCode> {
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
