//! Loads: one arrival of rows, staged, checked, then committed once or held.
//!
//! ```text
//! stage (one scan) ─▶ checks ─▶ quarantine ─▶ intent ─▶ Delta commit ─▶ version, lineage, ledger
//!                       └─▶ held, alert, ledger ─▶ accepted or rejected by a person
//! ```

mod accept;
mod commit;
mod hold;
mod recover;
mod reject;
mod stage;
mod unchanged;
mod version_digest;
mod writer;

use std::collections::BTreeMap;

use crate::checks::{Report, evaluate};
use perennial_core::Result;
use perennial_core::clock::Instant;
use perennial_core::entity::{CheckResult, Load, Profile};
use perennial_core::id::ProjectId;
use perennial_core::port::data::{Mode, Severity, Staged};
use perennial_core::rule::Verdict;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_store::{check_results, dataset_versions, datasets, loads};
use serde_json::json;

use crate::snapshot::DatasetAtVersion;
use perennial_kernel::{Caller, Kernel};
use perennial_projects::ProjectState;

use commit::{Commit, commit};
use hold::hold;
use stage::{apply_staged, describe, describe_columns, new_load, stage_request};
use unchanged::{is_unchanged, record_unchanged};

pub use commit::version_node;
pub use recover::{recover_dataset, sweep};
pub use stage::{LoadFiles, LoadRequest, find_replaced};
pub use writer::DatasetWriter;

/// How many loads are held, by project that the caller may read.
pub async fn count_held(caller: &Caller) -> Result<BTreeMap<ProjectId, u64>> {
    let counts = loads::count_held(&mut *caller.kernel.store().read().await?).await?;
    Ok(caller.readable_counts(counts))
}

/// How a load ended.
#[derive(Debug, Clone)]
pub enum LoadOutcome {
    /// Its passing rows are in the dataset, as this version.
    Committed(Box<DatasetAtVersion>, Load, Report),
    /// A check of severity `error` failed: no row is in the dataset.
    Held(Load, Report),
    /// The rows equal those of the dataset; nothing was committed.
    Unchanged(Box<DatasetAtVersion>),
}

impl LoadOutcome {
    /// What people should know of it, one line each: new columns and warnings, checks that did not pass, reasons of
    /// quarantined rows.
    pub fn findings(&self) -> Vec<String> {
        let (Self::Committed(_, load, report) | Self::Held(load, report)) = self else { return Vec::new() };
        let message = load.message.clone().filter(|_| matches!(self, Self::Committed(..)));
        let failed = report.results.iter().filter(|result| result.verdict != Verdict::Pass).map(|result| {
            let word = if result.severity == Severity::Warn { "warning: " } else { "" };
            format!("{word}`{}`: {}", result.name, result.message)
        });
        let reasons = load.reasons.as_object().into_iter().flatten();
        message
            .into_iter()
            .chain(failed)
            .chain(reasons.map(|(reason, rows)| format!("{rows} set aside by `{reason}`")))
            .collect()
    }
}

/// Stages rows for the dataset of `writer`, checks them, and commits or holds them.
pub async fn ingest_rows(
    caller: &Caller,
    project: &ProjectState,
    writer: &DatasetWriter,
    mut request: LoadRequest,
) -> Result<LoadOutcome> {
    let kernel = &caller.kernel;
    recover_dataset(caller, project, writer).await?;
    let dataset = datasets::get(&mut *kernel.store().read().await?, writer.dataset().id).await?;
    let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
    let at = project.now();
    if dataset.mode == Mode::Replace && request.supersedes.is_none() {
        // New content of the whole dataset replaces content that is held.
        let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
        request.supersedes = open.iter().rfind(|load| load.state == LoadState::Held).map(|load| load.id);
    }
    let mut load = new_load(caller, &dataset, &request, at);
    let stage = stage_request(kernel, &dataset, base.as_ref(), &request, load.id).await?;
    let optional = stage.optional.clone();
    let staged = kernel.data().stage(stage).await?;
    let report = evaluate(&request.checks, &staged);
    let files = request.files.map(|files| files.records).unwrap_or_default();
    if let Some(base) = &base
        && is_unchanged(kernel, &dataset, base, &staged, &report).await?
    {
        writer.discard(kernel, load.id).await?;
        record_unchanged(kernel, writer, base, files, request.supersedes, at).await?;
        return Ok(LoadOutcome::Unchanged(Box::new(DatasetAtVersion { dataset, version: base.clone() })));
    }
    apply_staged(&mut load, &staged)?;
    let columns = base.as_ref().filter(|_| !load.files.is_empty());
    let columns = columns.and_then(|base| describe_columns(&dataset, &base.schema, &staged, &optional));
    load.message = describe(columns, &staged.warnings);
    insert(kernel, &load, &report, &staged, at).await?;
    if load.set_aside > 0 {
        kernel.data().quarantine(load.id, &dataset.table_path).await?;
    }
    if report.is_held() {
        hold(caller, project, writer, &mut load, &report, files, at).await?;
        return Ok(LoadOutcome::Held(load, report));
    }
    let (event, all) = (LoadEvent::Begin, false);
    let request =
        Commit { dataset: &dataset, base: base.as_ref(), load: &load, staged: &staged, files, event, all, at };
    let version = commit(caller, writer, request).await?;
    load.state = LoadState::Committed;
    load.number = Some(version.number);
    Ok(LoadOutcome::Committed(Box::new(DatasetAtVersion { dataset, version }), load, report))
}

/// Inserts a staged load with its check results and profile.
async fn insert(kernel: &Kernel, load: &Load, report: &Report, staged: &Staged, at: Instant) -> Result<()> {
    let load = load.clone();
    let results: Vec<CheckResult> = report
        .results
        .iter()
        .map(|result| CheckResult {
            load_id: load.id,
            name: result.name.clone(),
            project_id: load.project_id,
            dataset_id: load.dataset_id,
            severity: result.severity,
            verdict: result.verdict,
            answer: json!({ "message": result.message, "answer": result.answer }),
            wall_ms: at.wall_ms,
        })
        .collect();
    let profile = Profile {
        load_id: load.id,
        project_id: load.project_id,
        dataset_id: load.dataset_id,
        body: json!(staged.profile),
    };
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::insert(tx, &load).await?;
                for result in &results {
                    check_results::upsert(tx, result).await?;
                }
                check_results::upsert_profile(tx, &profile).await?;
                Ok(())
            })
        })
        .await
}
