//! Loads: one arrival of rows, staged, checked, then committed once or held.
//!
//! ```text
//! stage (one scan) ─▶ verdict ─▶ quarantine ─▶ intent ─▶ Delta commit ─▶ version, lineage, ledger
//!                        └─▶ held, alert, ledger ─▶ released or discarded by a person
//! ```

mod discard;
mod recover;
mod release;

use crate::checks::{Check, Report, judge};
use perennial_core::clock::Instant;
use perennial_core::digest::{TableDigest, TableSum};
use perennial_core::id::LoadId;
use perennial_core::port::data::{Change, CommitRequest, Mode, ScanPlan, Severity, StageInput, StageRequest, Staged};
use perennial_core::rule::Verdict;
use perennial_core::schema::Schema;
use perennial_core::state::{LoadEvent, LoadState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::check_results::{CheckResult, Profile};
use perennial_store::dataset_versions::{DatasetVersion, OriginKind};
use perennial_store::datasets::Dataset;
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::loads::{Load, LoadIntent, LoadOrigin};
use perennial_store::source_files::SourceFileRecord;
use perennial_store::{
    Tx, alerts as alert_rows, check_results, dataset_versions, datasets, lineage, loads, source_files,
};
use serde_json::json;

use crate::snapshot::Versioned;
use perennial_kernel::alerts;
use perennial_kernel::ledger::Recorder;
use perennial_kernel::{Caller, Kernel, ProjectEntry, first_few, record};
use perennial_projects::ProjectState;

pub use recover::recover_dataset;
pub use recover::sweep;

/// Files of a load that a message names, at most.
const PATHS_TOLD_MAX: usize = 3;

/// Rows about to arrive in a dataset.
pub struct Arrival {
    /// The dataset.
    pub dataset: Dataset,
    /// Where the rows come from, in kind.
    pub origin: LoadOrigin,
    /// What made them: a step run, a prediction log.
    pub origin_id: Option<String>,
    /// The file, for loads of one.
    pub file: Option<ArrivedFile>,
    /// The rows.
    pub input: StageInput,
    /// Whether any schema change is taken.
    pub evolve: bool,
    /// A committed load whose rows this one takes the place of.
    pub replaces: Option<LoadId>,
    /// A held load whose place this one takes.
    pub supersedes: Option<LoadId>,
    /// The dataset's checks.
    pub checks: Vec<Check>,
    /// The checks as one scan.
    pub plan: ScanPlan,
}

/// A source file that a load consists of, or all new ones of a batch.
pub struct ArrivedFile {
    /// Its path, or the paths of a batch, one a line.
    pub path: String,
    /// Digest of its content.
    pub digest: String,
    /// Bytes.
    pub size_bytes: u64,
    /// What the stat cache keeps of each file.
    pub seen: Vec<SourceFileRecord>,
}

/// How an arrival ended.
#[derive(Debug, Clone)]
pub enum Arrived {
    /// Its passing rows are in the dataset, as this version.
    Committed(Box<Versioned>, Load, Report),
    /// Its checks hold it.
    Held(Load, Report),
    /// The rows are those the dataset has; nothing was committed.
    Unchanged(Box<Versioned>),
}

impl Arrived {
    /// What is to be told of it, a line each: columns that are new, checks that did not pass, why rows were set aside.
    pub fn findings(&self) -> Vec<String> {
        let (Self::Committed(_, load, report) | Self::Held(load, report)) = self else { return Vec::new() };
        let new_columns = load.message.clone().filter(|_| matches!(self, Self::Committed(..)));
        let failed = report.results.iter().filter(|result| result.verdict != Verdict::Pass).map(|result| {
            let word = if result.severity == Severity::Warn { "warning: " } else { "" };
            format!("{word}`{}`: {}", result.name, result.message)
        });
        let aside = load.reasons.as_object().into_iter().flatten();
        new_columns
            .into_iter()
            .chain(failed)
            .chain(aside.map(|(reason, rows)| format!("{rows} set aside by `{reason}`")))
            .collect()
    }
}

/// Takes one arrival through staging, checks and commit.
pub async fn arrive(caller: &Caller, project: &ProjectState, mut arrival: Arrival) -> Result<Arrived> {
    let kernel = &caller.kernel;
    recover_dataset(caller, project, &arrival.dataset).await?;
    let dataset = datasets::get(&mut *kernel.store().read().await?, arrival.dataset.id).await?;
    let base = dataset_versions::find_latest(&mut *kernel.store().read().await?, dataset.id).await?;
    let at = project.now();
    if dataset.mode == Mode::Replace && arrival.supersedes.is_none() {
        // What is held of the whole content gives way to its newest state.
        let open = loads::list_open(&mut *kernel.store().read().await?, dataset.id).await?;
        arrival.supersedes = open.iter().rfind(|load| load.state == LoadState::Held).map(|load| load.id);
    }
    let mut load = new_load(caller, &dataset, &arrival, at);
    let request = stage_request(kernel, &dataset, base.as_ref(), &arrival, load.id).await?;
    let optional = request.optional.clone();
    let staged = kernel.data().stage(request).await?;
    let report = judge(&arrival.checks, &staged);
    if let Some(base) = &base
        && is_unchanged(kernel, &dataset, base, &staged, &report).await?
    {
        kernel.data().discard(load.id).await?;
        let seen = arrival.file.map(|file| file.seen).unwrap_or_default();
        known_again(kernel, base, seen, arrival.supersedes, at).await?;
        return Ok(Arrived::Unchanged(Box::new(Versioned { dataset, version: base.clone() })));
    }
    judged(&mut load, &staged)?;
    if let (Some(base), Some(_)) = (&base, &load.source_path) {
        load.message = columns_told(&dataset, &base.schema, &staged, &optional);
    }
    insert(kernel, &load, &report, &staged, at).await?;
    if load.set_aside > 0 {
        kernel.data().quarantine(load.id, &dataset.table_path).await?;
    }
    let seen = arrival.file.map(|file| file.seen).unwrap_or_default();
    if report.is_held() {
        hold(caller, project, &dataset, &mut load, &report, seen, at).await?;
        return Ok(Arrived::Held(load, report));
    }
    let version = commit(caller, &dataset, base.as_ref(), &load, &staged, seen, LoadEvent::Begin, false, at).await?;
    load.state = LoadState::Committed;
    load.number = Some(version.number);
    Ok(Arrived::Committed(Box::new(Versioned { dataset, version }), load, report))
}

fn new_load(caller: &Caller, dataset: &Dataset, arrival: &Arrival, at: Instant) -> Load {
    let file = arrival.file.as_ref();
    Load {
        id: LoadId::generate(),
        project_id: dataset.project_id,
        dataset_id: dataset.id,
        origin: arrival.origin,
        origin_id: arrival.origin_id.clone(),
        source_path: file.map(|file| file.path.clone()),
        content_digest: file.map(|file| file.digest.clone()),
        size_bytes: file.map(|file| file.size_bytes),
        state: LoadState::Staged,
        arrived: 0,
        passing: 0,
        set_aside: 0,
        reasons: json!({}),
        staged: None,
        message: None,
        // A held one leads on to the committed one whose place it was to take.
        replaces: arrival.supersedes.or(arrival.replaces),
        replaced_by: None,
        number: None,
        cause: caller.cause.clone().or_else(|| Some(caller.principal.name.clone())),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        settled_ms: None,
    }
}

/// Takes up what staging answered.
fn judged(load: &mut Load, staged: &Staged) -> Result<()> {
    load.arrived = staged.arrived;
    load.passing = staged.passing;
    load.set_aside = staged.quarantined.iter().map(|(_, rows)| rows).sum();
    load.reasons = staged.quarantined.iter().map(|(reason, rows)| (reason.clone(), json!(rows))).collect();
    load.staged =
        Some(serde_json::to_value(staged).map_err(|cause| Error::internal("staged rows do not describe", cause))?);
    Ok(())
}

/// The committed load whose rows leave when this one enters: what it replaces, or what a held one
/// before it was to replace.
pub async fn committed_before(kernel: &Kernel, load: &Load) -> Result<Option<LoadId>> {
    let mut before = load.replaces;
    while let Some(id) = before {
        let found = loads::get(&mut *kernel.store().read().await?, id).await?;
        if found.state == LoadState::Committed {
            return Ok(Some(id));
        }
        before = found.replaces;
    }
    Ok(None)
}

/// What staging a load answered, while it is not settled.
fn staged_of(load: &Load) -> Option<Staged> {
    serde_json::from_value(load.staged.clone()?).ok()
}

async fn stage_request(
    kernel: &Kernel,
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    arrival: &Arrival,
    load: LoadId,
) -> Result<StageRequest> {
    // Rows that join leave those before as they are; a row that takes another's place would take its values along.
    let optional = match base.filter(|base| base.number > 1 && dataset.mode == Mode::Append) {
        Some(base) => {
            let first = dataset_versions::get(&mut *kernel.store().read().await?, dataset.id, 1).await?.schema;
            let is_later = |name: &String| first.field(name).is_none() && !dataset.key_columns.contains(name);
            base.schema.fields.iter().map(|field| field.name.clone()).filter(is_later).collect()
        }
        None => Vec::new(),
    };
    let versioned = base.map(|version| Versioned { dataset: dataset.clone(), version: version.clone() });
    Ok(StageRequest {
        load,
        dataset: dataset.name.clone(),
        base: versioned.as_ref().map(Versioned::table),
        input: arrival.input.clone(),
        mode: dataset.mode,
        key: dataset.key_columns.clone(),
        schema: base.filter(|_| !arrival.evolve).map(|version| version.schema.clone()),
        optional,
        evolve: arrival.evolve,
        replaces: arrival.replaces,
        plan: arrival.plan.clone(),
    })
}

/// What is to be told of a load's columns: those that are new, and those that may be missing and have no value in it.
fn columns_told(dataset: &Dataset, before: &Schema, staged: &Staged, optional: &[String]) -> Option<String> {
    let named = |fields: Vec<String>, one: &str, many: &str| match fields.as_slice() {
        [] => None,
        [field] => Some(format!("column {field} {one}")),
        fields => Some(format!("columns {} {many}", fields.join(", "))),
    };
    let new = staged.schema.fields.iter().filter(|field| before.field(&field.name).is_none());
    let new = new.map(|field| format!("`{}` ({})", field.name, field.class)).collect();
    let of_others = match dataset.mode {
        Mode::Append => ": null in the rows before, and may be missing in later files",
        Mode::Merge => ": null in the rows before",
        Mode::Replace => "",
    };
    let new = named(new, "is new", "are new").map(|told| told + of_others);
    let is_empty = |name: &&String| {
        let profile = staged.profile.iter().find(|profile| profile.name == **name);
        profile.is_some_and(|profile| profile.rows > 0 && profile.nulls == profile.rows)
    };
    let empty = optional.iter().filter(is_empty).map(|name| format!("`{name}`")).collect();
    let empty = named(empty, "has no value in it", "have no value in it");
    let told: Vec<String> = new.into_iter().chain(empty).collect();
    (!told.is_empty()).then(|| told.join("; "))
}

/// Whether committing would leave the dataset as it is: the whole content is replaced by the same content,
/// which passes, or which a person let in although it failed these checks.
async fn is_unchanged(
    kernel: &Kernel,
    dataset: &Dataset,
    base: &DatasetVersion,
    staged: &Staged,
    report: &Report,
) -> Result<bool> {
    // The row sum of what is replaced does not matter.
    let is_base = |change| digest_after(dataset, Some(base), staged, change).is_ok_and(|after| after.0 == base.digest);
    if dataset.mode != Mode::Replace || !report.is_held() {
        return Ok(dataset.mode == Mode::Replace && is_base(&staged.change));
    }
    if !is_base(&staged.change) && !is_base(&staged.change_all) {
        return Ok(false);
    }
    let mut reader = kernel.store().read().await?;
    let Some(made_by) = loads::find_by_number(&mut reader, base.dataset_id, base.number).await? else {
        return Ok(false);
    };
    let failed = check_results::list(&mut reader, made_by.id).await?;
    let held = |result: &CheckResult| result.severity == Severity::Error && result.verdict != Verdict::Pass;
    let was_let_in = |name: &str| failed.iter().any(|result| result.name == name && held(result));
    Ok(report.holding().all(|result| was_let_in(&result.name)))
}

/// Digest, row sum and rows of the version that follows `base` by `change`.
fn digest_after(
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    staged: &Staged,
    change: &Change,
) -> Result<(String, String, u64)> {
    let base = base.filter(|_| dataset.mode != Mode::Replace);
    let mut sum = base.map(|version| row_sum(dataset, version)).transpose()?.unwrap_or_default();
    let mut rows = base.map_or(0, |version| version.row_count);
    if dataset.mode != Mode::Replace {
        sum.remove(&change.removed);
        rows = rows.saturating_sub(change.removed_rows);
    }
    sum.merge(&change.added);
    rows += change.added_rows;
    let digest = TableDigest::of(&staged.schema, rows, &sum).as_str().to_owned();
    match serde_json::to_value(&sum) {
        Ok(serde_json::Value::String(text)) => Ok((digest, text, rows)),
        _ => Err(Error::new(ErrorCode::Internal, format!("the row sum of `{}` does not describe", dataset.name))),
    }
}

/// The row sum kept with a version: without it no digest of what follows can be told.
fn row_sum(dataset: &Dataset, version: &DatasetVersion) -> Result<TableSum> {
    let kept = version.row_sum.as_ref().and_then(|sum| serde_json::from_value(json!(sum)).ok());
    kept.ok_or_else(|| {
        let message = format!("the row sum of dataset version `{}@{}` does not read", dataset.name, version.number);
        Error::new(ErrorCode::Corrupt, message).with_hint("restore the metadata from a backup")
    })
}

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

/// The files of a load in words, the first few by name.
fn from(load: &Load) -> String {
    let paths: Vec<&str> = load.source_path.iter().flat_map(|paths| paths.lines()).collect();
    if paths.is_empty() { String::new() } else { format!(" from {}", first_few(&paths, PATHS_TOLD_MAX, " files")) }
}

async fn hold(
    caller: &Caller,
    project: &ProjectState,
    dataset: &Dataset,
    load: &mut Load,
    report: &Report,
    seen: Vec<SourceFileRecord>,
    at: Instant,
) -> Result<()> {
    let why =
        report.holding().map(|result| format!("`{}`: {}", result.name, result.message)).collect::<Vec<_>>().join("; ");
    let message = format!("load{} into `{}` is held: {why}", from(load), dataset.name);
    load.message = Some(message.clone());
    load.state = LoadState::Held;
    let checks: Vec<&String> = report.holding().map(|result| &result.name).collect();
    let facts = json!({ "dataset": dataset.name, "load": load.id, "checks": checks });
    let subject = format!("load:{}", load.id);
    let alert = alerts::new(project.id, at, (subject, "held", 0), facts, message.clone());
    let (held, project_id, actor) = (load.clone(), project.id, caller.principal.name.clone());
    let payload = json!({ "dataset": dataset.name, "load": load.id, "message": message });
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::apply(tx, held.id, LoadEvent::Hold, Some(&message), at.wall_ms).await?;
                supersede(tx, &held, at.wall_ms).await?;
                remember(tx, held.id, seen).await?;
                alert_rows::fire(tx, &alert).await?;
                let by_load = Node { kind: NodeKind::Load, id: held.id.to_string() };
                lineage::add(tx, project_id, &by_load, &alerts::node(alert.id), at.wall_ms).await?;
                let subject = alert.id.to_string();
                record(
                    tx,
                    ProjectEntry {
                        project: project_id,
                        noun: "alert",
                        subject,
                        verb: "fire",
                        actor: &actor,
                        cause: None,
                        at,
                        payload,
                    },
                )
                .await
            })
        })
        .await?;
    forget(&caller.kernel, load).await
}

/// The intent, the Delta commit, and the version: whatever dies in between, [`recover_dataset`] finishes
/// it. From the intent on the load's files are known: nobody reads them again.
#[expect(clippy::too_many_arguments, reason = "one commit, told in full; a struct would only rename them")]
async fn commit(
    caller: &Caller,
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    load: &Load,
    staged: &Staged,
    seen: Vec<SourceFileRecord>,
    event: LoadEvent,
    all: bool,
    at: Instant,
) -> Result<DatasetVersion> {
    let change = if all { &staged.change_all } else { &staged.change };
    let (digest, row_sum, row_count) = digest_after(dataset, base, staged, change)?;
    let (origin_kind, origin_id) = match (load.origin, &load.origin_id) {
        (LoadOrigin::Step | LoadOrigin::Sql, Some(step_run)) => (OriginKind::StepRun, step_run.clone()),
        _ => (OriginKind::Load, load.id.to_string()),
    };
    let version = DatasetVersion {
        dataset_id: dataset.id,
        number: dataset.last_number + 1,
        project_id: dataset.project_id,
        delta_version: None,
        manifest: None,
        row_count,
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
    let by = Recorder::new(caller, Some(dataset.project_id)).await?;
    let released = (event == LoadEvent::Release).then(|| release::change(dataset, &intent, all));
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::begin(tx, &opened, event, at.wall_ms).await?;
                remember(tx, opened.load_id, seen).await?;
                match released {
                    Some(released) => by.record(tx, released).await,
                    None => Ok(()),
                }
            })
        })
        .await?;
    finish(caller, dataset, &intent, all).await
}

/// Commits what an intent says and records the version.
async fn finish(caller: &Caller, dataset: &Dataset, intent: &LoadIntent, all: bool) -> Result<DatasetVersion> {
    let kernel = &caller.kernel;
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
    settle(caller, dataset, &load, &version, all).await?;
    kernel.data().discard(load.id).await?;
    forget(kernel, &load).await?;
    Ok(version)
}

async fn settle(caller: &Caller, dataset: &Dataset, load: &Load, version: &DatasetVersion, all: bool) -> Result<()> {
    let at = Instant { wall_ms: caller.kernel.services.clock.wall_ms(), project_ms: version.project_ms };
    let (load, version, name) = (load.clone(), version.clone(), dataset.name.clone());
    let actor = caller.principal.name.clone();
    let (passing, set_aside) = if all {
        let entered = staged_of(&load).map_or(load.arrived, |staged| staged.change_all.added_rows);
        (entered, load.arrived.saturating_sub(entered))
    } else {
        (load.passing, load.set_aside)
    };
    caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                loads::commit(tx, load.id, &version, passing, set_aside, at.wall_ms).await?;
                supersede(tx, &load, at.wall_ms).await?;
                let made = version_node(&version);
                let by_load = Node { kind: NodeKind::Load, id: load.id.to_string() };
                lineage::add(tx, load.project_id, &by_load, &made, at.wall_ms).await?;
                for path in load.source_path.iter().flat_map(|paths| paths.lines()) {
                    let file = Node { kind: NodeKind::SourceFile, id: format!("{name}/{path}@{}", load.content_digest.as_deref().unwrap_or_default()) };
                    lineage::add(tx, load.project_id, &file, &by_load, at.wall_ms).await?;
                }
                if let (OriginKind::StepRun, id) = (version.origin_kind, version.origin_id.clone()) {
                    lineage::add(tx, load.project_id, &Node { kind: NodeKind::StepRun, id }, &made, at.wall_ms).await?;
                }
                if version.number > 1 && dataset_carries_on(&load) {
                    let before = Node { kind: NodeKind::DatasetVersion, id: format!("{}@{}", version.dataset_id, version.number - 1) };
                    lineage::add(tx, load.project_id, &before, &made, at.wall_ms).await?;
                }
                let payload = json!({ "dataset": name, "number": version.number, "digest": version.digest, "rows": version.row_count, "load": load.id });
                let subject = format!("{name}@{}", version.number);
                let entry = ProjectEntry { project: load.project_id, noun: "dataset_version", subject, verb: "create", actor: &actor, cause: load.cause.as_deref(), at, payload };
                record(tx, entry).await
            })
        })
        .await
}

/// Whether the version holds the rows of the version before it too.
fn dataset_carries_on(load: &Load) -> bool {
    !matches!(load.origin, LoadOrigin::Step | LoadOrigin::Sql)
}

/// The lineage node of a dataset version.
pub fn version_node(version: &DatasetVersion) -> Node {
    Node { kind: NodeKind::DatasetVersion, id: format!("{}@{}", version.dataset_id, version.number) }
}

/// Keeps what the stat cache is to know of a load's files.
async fn remember(tx: &mut Tx, load: LoadId, seen: Vec<SourceFileRecord>) -> Result<()> {
    for mut file in seen {
        file.load_id = Some(load);
        source_files::upsert(tx, &file).await?;
    }
    Ok(())
}

/// Keeps of files whose rows are those the dataset has that they need not be read again; the held load
/// whose place they were to take gives way to the one that brought those rows.
async fn known_again(
    kernel: &Kernel,
    base: &DatasetVersion,
    mut seen: Vec<SourceFileRecord>,
    held: Option<LoadId>,
    at: Instant,
) -> Result<()> {
    if seen.is_empty() && held.is_none() {
        return Ok(());
    }
    let made_by = loads::find_by_number(&mut *kernel.store().read().await?, base.dataset_id, base.number).await?;
    for file in &mut seen {
        // Another file may hold the same rows; a load is named for its own files alone.
        let own = made_by.as_ref().filter(|load| {
            load.source_path.as_deref().is_some_and(|paths| paths.lines().any(|path| path == file.path))
        });
        file.load_id = own.map(|load| load.id);
    }
    let gives_way = held.zip(made_by.map(|load| load.id));
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                for file in &seen {
                    source_files::upsert(tx, file).await?;
                }
                if let Some((held, by)) = gives_way {
                    loads::replace(tx, held, by, at.wall_ms).await?;
                }
                Ok(())
            })
        })
        .await?;
    match gives_way {
        Some((held, _)) => kernel.data().discard(held).await,
        None => Ok(()),
    }
}

/// What was staged of the load that another took the place of is not needed any more.
async fn forget(kernel: &Kernel, load: &Load) -> Result<()> {
    match load.replaces {
        Some(before) => kernel.data().discard(before).await,
        None => Ok(()),
    }
}

/// A held load gives way once the load with the new content of its path is decided, not before.
async fn supersede(tx: &mut Tx, load: &Load, at_ms: i64) -> Result<()> {
    let Some(before) = load.replaces else { return Ok(()) };
    if loads::get(tx, before).await?.state == LoadState::Held {
        loads::replace(tx, before, load.id, at_ms).await?;
    }
    Ok(())
}
