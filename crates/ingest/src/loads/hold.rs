//! Holding a load, and the writes that held and committed loads share.

use perennial_core::Result;
use perennial_core::clock::Instant;
use perennial_core::entity::{AlertSubject, Load, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::state::{LoadEvent, LoadState};
use perennial_store::{Tx, alerts as alert_rows, lineage, loads, source_files};
use serde_json::json;

use super::writer::DatasetWriter;
use crate::checks::Report;
use perennial_kernel::{Caller, Kernel, LedgerEvent, Recorder, alerts, first_few};
use perennial_projects::ProjectState;

/// Files of a load that a message names, at most.
const PATHS_SHOWN_MAX: usize = 3;

/// Holds a load: records why, and fires an alert. The files are cached, so that only new content replaces the load.
pub(super) async fn hold(
    caller: &Caller,
    project: &ProjectState,
    writer: &DatasetWriter,
    load: &mut Load,
    report: &Report,
    files: Vec<SourceFileRecord>,
    at: Instant,
) -> Result<()> {
    let dataset = writer.dataset();
    let why =
        report.holding().map(|result| format!("`{}`: {}", result.name, result.message)).collect::<Vec<_>>().join("; ");
    let message = format!("load{} into `{}` is held: {why}", from_files(load), dataset.name);
    load.message = Some(message.clone());
    load.state = LoadState::Held;
    let checks: Vec<&String> = report.holding().map(|result| &result.name).collect();
    let facts = json!({ "dataset": dataset.name, "load": load.id, "checks": checks });
    let subject = AlertSubject::Load(load.id);
    let alert = alerts::new(project.id, at, (subject, "held", 0), facts, message.clone());
    let (held, project_id, actor) = (load.clone(), project.id, caller.principal.name.clone());
    let payload = json!({ "dataset": dataset.name, "load": load.id, "message": message });
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::apply(tx, held.id, LoadEvent::Hold, Some(&message), at.wall_ms).await?;
                replace_held(tx, &held, at.wall_ms).await?;
                cache_files(tx, held.id, files).await?;
                alert_rows::fire(tx, &alert).await?;
                let load = Node { kind: NodeKind::Load, id: held.id.to_string() };
                lineage::add(tx, project_id, &load, &alerts::node(alert.id), at.wall_ms).await?;
                let subject = alert.id.to_string();
                Recorder { actor, cause: None, at }
                    .record(
                        tx,
                        LedgerEvent {
                            chain: Chain::Project(project_id),
                            noun: "alert",
                            subject,
                            verb: "fire",
                            payload,
                        },
                    )
                    .await
            })
        })
        .await?;
    discard_replaced(&caller.kernel, writer, load).await
}

/// ` from a.csv, b.csv …`: the first files of a load; empty for a load of no files.
fn from_files(load: &Load) -> String {
    let paths: Vec<&str> = load.paths().collect();
    if paths.is_empty() { String::new() } else { format!(" from {}", first_few(&paths, PATHS_SHOWN_MAX, " files")) }
}

/// Writes the files of a load to the stat cache.
pub(super) async fn cache_files(tx: &mut Tx, load: LoadId, files: Vec<SourceFileRecord>) -> Result<()> {
    for mut file in files {
        file.load_id = Some(load);
        source_files::upsert(tx, &file).await?;
    }
    Ok(())
}

/// Marks the held load that `load` replaces as replaced: when `load` itself is held or committed, not before.
pub(super) async fn replace_held(tx: &mut Tx, load: &Load, at_ms: i64) -> Result<()> {
    let Some(before) = load.replaces else { return Ok(()) };
    if loads::get(tx, before).await?.state == LoadState::Held {
        loads::replace(tx, before, load.id, at_ms).await?;
    }
    Ok(())
}

/// Discards the staged rows of the load that `load` replaces.
pub(super) async fn discard_replaced(kernel: &Kernel, writer: &DatasetWriter, load: &Load) -> Result<()> {
    match load.replaces {
        Some(before) => writer.discard(kernel, before).await,
        None => Ok(()),
    }
}
