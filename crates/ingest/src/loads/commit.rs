//! Committing a load: the intent, the Delta commit, the version. A crash in between is recovered by
//! [`recover_dataset`](super::recover_dataset).

use perennial_core::Result;
use perennial_core::clock::Instant;
use perennial_core::entity::{
    Dataset, DatasetVersion, DatasetVersionOrigin, Load, LoadIntent, LoadOrigin, SourceFileRecord,
};
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::port::data::{CommitRequest, Staged};
use perennial_core::state::LoadEvent;
use perennial_store::{lineage, loads};
use serde_json::json;

use super::hold::{cache_files, discard_replaced, replace_held};
use super::stage::parse_staged;
use super::version_digest::{VersionContent, content_after};
use super::writer::DatasetWriter;
use perennial_kernel::{Caller, LedgerEvent, Recorder};

/// A staged load that is to be committed.
pub(super) struct Commit<'a> {
    pub(super) dataset: &'a Dataset,
    /// The latest version of the dataset.
    pub(super) base: Option<&'a DatasetVersion>,
    pub(super) load: &'a Load,
    pub(super) staged: &'a Staged,
    /// Stat cache entries of the load's files; from the intent on the files are not read again.
    pub(super) files: Vec<SourceFileRecord>,
    /// [`LoadEvent::Begin`], or [`LoadEvent::Accept`] for a held load.
    pub(super) event: LoadEvent,
    /// Whether rows that failed checks are committed too.
    pub(super) all: bool,
    pub(super) at: Instant,
}

/// Writes the intent, commits the rows and records the version.
pub(super) async fn commit(caller: &Caller, writer: &DatasetWriter, request: Commit<'_>) -> Result<DatasetVersion> {
    let Commit { dataset, base, load, staged, files, event, all, at } = request;
    let change = if all { &staged.change_all } else { &staged.change };
    let VersionContent { digest, row_sum, rows } = content_after(dataset, base, staged, change)?;
    let (origin_kind, origin_id) = match (load.origin, &load.origin_id) {
        (LoadOrigin::Step | LoadOrigin::Sql, Some(step_run)) => (DatasetVersionOrigin::StepRun, step_run.clone()),
        _ => (DatasetVersionOrigin::Load, load.id.to_string()),
    };
    let version = DatasetVersion {
        dataset_id: dataset.id,
        number: dataset.last_number + 1,
        project_id: dataset.project_id,
        delta_version: None,
        manifest: None,
        row_count: rows,
        size_bytes: 0,
        schema: staged.schema.clone(),
        digest,
        row_sum: Some(row_sum),
        origin_kind,
        origin_id,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    let intent = LoadIntent {
        dataset_id: dataset.id,
        load_id: load.id,
        project_id: dataset.project_id,
        number: version.number,
        version,
        holder: caller.kernel.server.to_string(),
        created_ms: at.wall_ms,
    };
    let opened = intent.clone();
    let recorder = Recorder::new(caller, Some(dataset.project_id)).await?;
    let accepted = (event == LoadEvent::Accept).then(|| accept_entry(dataset, &intent, all));
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::begin(tx, &opened, event, at.wall_ms).await?;
                cache_files(tx, opened.load_id, files).await?;
                match accepted {
                    Some(accepted) => recorder.record(tx, accepted).await,
                    None => Ok(()),
                }
            })
        })
        .await?;
    finish_commit(caller, writer, &intent, all).await
}

/// The ledger entry for the acceptance of a held load.
fn accept_entry(dataset: &Dataset, intent: &LoadIntent, all: bool) -> LedgerEvent {
    LedgerEvent {
        chain: Chain::Project(intent.project_id),
        noun: "load",
        subject: intent.load_id.to_string(),
        verb: "accept",
        payload: json!({ "dataset": dataset.name, "number": intent.number, "all": all, "digest": intent.version.digest }),
    }
}

/// Commits the rows of an intent and records the version. Safe to repeat.
pub(super) async fn finish_commit(
    caller: &Caller,
    writer: &DatasetWriter,
    intent: &LoadIntent,
    all: bool,
) -> Result<DatasetVersion> {
    let (kernel, dataset) = (&caller.kernel, writer.dataset());
    let request = CommitRequest {
        load: intent.load_id,
        table: dataset.table_path.clone(),
        number: intent.number,
        previous: intent.number - 1,
        all,
    };
    let committed = kernel.data().commit(request).await?;
    let mut version = intent.version.clone();
    version.delta_version = Some(committed.delta_version);
    version.size_bytes = committed.bytes;
    let load = loads::get(&mut *kernel.store().read().await?, intent.load_id).await?;
    record_version(caller, dataset, &load, &version, all).await?;
    writer.discard(kernel, load.id).await?;
    discard_replaced(kernel, writer, &load).await?;
    Ok(version)
}

/// Records a committed version with its lineage and ledger entry, and closes the intent, in one transaction.
async fn record_version(
    caller: &Caller,
    dataset: &Dataset,
    load: &Load,
    version: &DatasetVersion,
    all: bool,
) -> Result<()> {
    let at = Instant { wall_ms: caller.kernel.services.clock.wall_ms(), project_ms: version.project_ms };
    let (load, version, name) = (load.clone(), version.clone(), dataset.name.clone());
    let actor = caller.principal.name.clone();
    let (passing, set_aside) = if all {
        let entered = parse_staged(&load).map_or(load.arrived, |staged| staged.change_all.added_rows);
        (entered, load.arrived.saturating_sub(entered))
    } else {
        (load.passing, load.set_aside)
    };
    let project = load.project_id;
    let edges = edges(dataset, &load, &version);
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::commit(tx, load.id, &version, passing, set_aside, at.wall_ms).await?;
                replace_held(tx, &load, at.wall_ms).await?;
                for (from, to) in edges {
                    lineage::add(tx, project, &from, &to, at.wall_ms).await?;
                }
                let subject = format!("{name}@{}", version.number);
                let payload = json!({
                    "dataset": name,
                    "number": version.number,
                    "digest": version.digest,
                    "rows": version.row_count,
                    "load": load.id,
                });
                let cause = load.cause.as_ref().map(ToString::to_string);
                Recorder { actor, cause, at }
                    .record(
                        tx,
                        LedgerEvent {
                            chain: Chain::Project(project),
                            noun: "dataset_version",
                            subject,
                            verb: "create",
                            payload,
                        },
                    )
                    .await
            })
        })
        .await
}

/// Lineage of a version: its load with the files of that, its step run, and the version before.
fn edges(dataset: &Dataset, load: &Load, version: &DatasetVersion) -> Vec<(Node, Node)> {
    let (node, load_node) = (version_node(version), Node { kind: NodeKind::Load, id: load.id.to_string() });
    let mut edges = vec![(load_node.clone(), node.clone())];
    let digest = load.content_digest.as_deref().unwrap_or_default();
    for path in load.paths() {
        let id = format!("{}/{path}@{digest}", dataset.name);
        edges.push((Node { kind: NodeKind::SourceFile, id }, load_node.clone()));
    }
    if version.origin_kind == DatasetVersionOrigin::StepRun {
        edges.push((Node { kind: NodeKind::StepRun, id: version.origin_id.clone() }, node.clone()));
    }
    if version.number > 1 && includes_previous_rows(load) {
        let id = format!("{}@{}", version.dataset_id, version.number - 1);
        edges.push((Node { kind: NodeKind::DatasetVersion, id }, node));
    }
    edges
}

/// Whether the version of a load also has rows of the version before.
fn includes_previous_rows(load: &Load) -> bool {
    !matches!(load.origin, LoadOrigin::Step | LoadOrigin::Sql)
}

/// The lineage node of a dataset version.
pub fn version_node(version: &DatasetVersion) -> Node {
    Node { kind: NodeKind::DatasetVersion, id: format!("{}@{}", version.dataset_id, version.number) }
}
