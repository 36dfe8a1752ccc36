//! `perennial verify`: the chains of the ledger, the rows that they record, and the runs.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::lists::items;
use crate::client::Client;
use crate::output::{cell, note, say, thousands};

/// Runs of a project.
#[derive(Default)]
struct Runs {
    intact: u64,
    unsealed: u64,
    altered: Vec<Value>,
}

/// Verifies every chain that the caller may read, and the runs of its project. In JSON, `head` is that of the chain of the
/// project in the folder.
pub(super) async fn verify(client: &Client, folder: &Path, head: Option<&str>, json: bool) -> Result<ExitCode> {
    let query = head.map_or_else(String::new, |head| format!("?head={head}"));
    let mut answer = client.get(&format!("/api/v1/verify{query}")).await?;
    let mut holds = answer["holds"] == json!(true);
    for chain in answer["chains"].as_array_mut().into_iter().flatten() {
        let Some(project) = chain["project"].as_str().map(str::to_owned) else { continue };
        let runs = verify_runs(client, &project).await?;
        holds &= runs.altered.is_empty();
        chain["runs"] = json!({ "intact": runs.intact, "unsealed": runs.unsealed, "altered": runs.altered });
    }
    answer["holds"] = json!(holds);
    if json {
        let own = super::project_name(client, folder).await.ok();
        let chains = items(&answer["chains"]);
        let own = chains.iter().find(|chain| own.is_some() && chain["project"].as_str() == own.as_deref());
        answer["head"] = own.map_or(Value::Null, |chain| chain["head"].clone());
        say!("{answer}");
    } else {
        show(&answer);
    }
    Ok(ExitCode::from(u8::from(!holds)))
}

/// Verifies the runs of a project, page by page.
async fn verify_runs(client: &Client, project: &str) -> Result<Runs> {
    let (mut runs, mut after) = (Runs::default(), String::new());
    loop {
        let page = client.get(&format!("/api/v1/projects/{project}/runs/verify?limit=1000{after}")).await?;
        runs.intact += page["intact"].as_u64().unwrap_or_default();
        runs.unsealed += page["unsealed"].as_u64().unwrap_or_default();
        runs.altered.extend(items(&page["altered"]));
        let Some(next) = page["next"].as_str() else { return Ok(runs) };
        note!("`{project}`: {} runs verified", thousands(runs.intact + runs.unsealed + runs.altered.len() as u64));
        after = format!("&after={next}");
    }
}

fn show(answer: &Value) {
    for chain in items(&answer["chains"]).iter().filter(|chain| chain["entries"] != json!(0)) {
        let owner = chain["project"].as_str().map_or_else(|| "the server".to_owned(), |name| format!("`{name}`"));
        if chain["holds"] == json!(true) {
            say!("the ledger of {owner} is intact: {} entries, head {}", cell(&chain["entries"]), cell(&chain["head"]));
        } else {
            say!("the ledger of {owner} is broken: {}", cell(&chain["message"]));
        }
        for run in items(&chain["runs"]["altered"]) {
            say!("run {} of {owner} was changed by hand: its content has another digest than the ledger", cell(&run));
        }
    }
    if let Some(message) = answer["message"].as_str() {
        say!("the ledger is broken: {message}");
    }
}
