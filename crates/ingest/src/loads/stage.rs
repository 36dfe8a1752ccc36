//! From the request for a load to the request to stage its rows, and from staged rows to the load's counts.

use perennial_config::Check;
use perennial_core::cause::ChangeCause;
use perennial_core::clock::Instant;
use perennial_core::entity::{Dataset, DatasetVersion, Load, LoadFile, LoadOrigin, SourceFileRecord};
use perennial_core::id::LoadId;
use perennial_core::port::data::{Mode, ScanPlan, StageInput, StageRequest, Staged};
use perennial_core::schema::Schema;
use perennial_core::state::LoadState;
use perennial_core::{Error, Result};
use perennial_store::{dataset_versions, loads};
use serde_json::json;

use crate::file_source::FileSource;
use crate::snapshot::DatasetAtVersion;
use perennial_kernel::{Caller, Kernel};

/// Rows that are to be loaded into a dataset.
pub struct LoadRequest {
    /// The kind of origin of the rows.
    pub origin: LoadOrigin,
    /// The step run or prediction segment that produced them.
    pub origin_id: Option<String>,
    /// The source files, for a load of files.
    pub files: Option<LoadFiles>,
    /// The rows.
    pub input: StageInput,
    /// Whether any schema change is allowed.
    pub evolve: bool,
    /// A committed load whose rows these replace.
    pub replaces: Option<LoadId>,
    /// A held load that this one replaces.
    pub supersedes: Option<LoadId>,
    /// The dataset's checks.
    pub checks: Vec<Check>,
    /// The checks as one scan.
    pub plan: ScanPlan,
}

/// The source files of a load.
pub struct LoadFiles {
    /// Digest of their content.
    pub digest: String,
    /// Bytes of all of them.
    pub size_bytes: u64,
    /// The stat cache entry of each file.
    pub records: Vec<SourceFileRecord>,
}

impl LoadFiles {
    /// The files, with the position and the identity of their rows.
    fn parts(&self) -> Vec<LoadFile> {
        let parts = self.records.iter().map(|record| LoadFile {
            path: record.path.clone(),
            position: Some(FileSource::position_of(record)),
            content_digest: Some(record.content_digest.clone()),
        });
        parts.collect()
    }
}

/// A load that is about to be staged.
pub(super) fn new_load(caller: &Caller, dataset: &Dataset, request: &LoadRequest, at: Instant) -> Load {
    let files = request.files.as_ref();
    Load {
        id: LoadId::generate(),
        project_id: dataset.project_id,
        dataset_id: dataset.id,
        origin: request.origin,
        origin_id: request.origin_id.clone(),
        files: files.map(LoadFiles::parts).unwrap_or_default(),
        content_digest: files.map(|files| files.digest.clone()),
        size_bytes: files.map(|files| files.size_bytes),
        state: LoadState::Staged,
        arrived: 0,
        passing: 0,
        set_aside: 0,
        reasons: json!({}),
        staged: None,
        message: None,
        // A held load in turn names the committed load that it was to replace.
        replaces: request.supersedes.or(request.replaces),
        replaced_by: None,
        number: None,
        cause: caller.cause.clone().or_else(|| Some(ChangeCause::Named(caller.principal.name.clone()))),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        settled_ms: None,
    }
}

/// Copies the counts of staged rows to their load.
pub(super) fn apply_staged(load: &mut Load, staged: &Staged) -> Result<()> {
    load.arrived = staged.arrived;
    load.passing = staged.passing;
    load.set_aside = staged.quarantined.iter().map(|(_, rows)| rows).sum();
    load.reasons = staged.quarantined.iter().map(|(reason, rows)| (reason.clone(), json!(rows))).collect();
    load.staged =
        Some(serde_json::to_value(staged).map_err(|cause| Error::internal("cannot serialize staged rows", cause))?);
    Ok(())
}

/// The answer of staging, stored with a load until it is committed or rejected.
pub(super) fn parse_staged(load: &Load) -> Option<Staged> {
    serde_json::from_value(load.staged.clone()?).ok()
}

/// The committed load whose rows leave when `load` is committed: the one it replaces, directly or through held loads.
pub async fn find_replaced(kernel: &Kernel, load: &Load) -> Result<Option<LoadId>> {
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

/// The request to stage the rows of a load against the latest version of its dataset.
pub(super) async fn stage_request(
    kernel: &Kernel,
    dataset: &Dataset,
    base: Option<&DatasetVersion>,
    request: &LoadRequest,
    load: LoadId,
) -> Result<StageRequest> {
    // Added rows may lack a column that earlier rows lack too. A row that replaces another would lose its value.
    let optional = match base.filter(|base| base.number > 1 && dataset.mode == Mode::Append) {
        Some(base) => {
            let first = dataset_versions::get(&mut *kernel.store().read().await?, dataset.id, 1).await?.schema;
            let is_later = |name: &String| first.field(name).is_none() && !dataset.key_columns.contains(name);
            base.schema.fields.iter().map(|field| field.name.clone()).filter(is_later).collect()
        }
        None => Vec::new(),
    };
    let table = base.map(|version| DatasetAtVersion { dataset: dataset.clone(), version: version.clone() }.table());
    Ok(StageRequest {
        load,
        dataset: dataset.name.clone(),
        base: table,
        input: request.input.clone(),
        mode: dataset.mode,
        key: dataset.key_columns.clone(),
        schema: base.filter(|_| !request.evolve).map(|version| version.schema.clone()),
        optional,
        evolve: request.evolve,
        replaces: request.replaces,
        plan: request.plan.clone(),
    })
}

/// The message of a load: about its columns, and the warnings about its rows.
pub(super) fn describe(columns: Option<String>, warnings: &[String]) -> Option<String> {
    let warnings = (!warnings.is_empty()).then(|| format!("warning: {}", warnings.join("; ")));
    let messages: Vec<String> = columns.into_iter().chain(warnings).collect();
    (!messages.is_empty()).then(|| messages.join("; "))
}

/// A message about the columns of a load: those that are new, and optional ones without a value in it.
pub(super) fn describe_columns(
    dataset: &Dataset,
    before: &Schema,
    staged: &Staged,
    optional: &[String],
) -> Option<String> {
    let named = |fields: Vec<String>, one: &str, many: &str| match fields.as_slice() {
        [] => None,
        [field] => Some(format!("column {field} {one}")),
        fields => Some(format!("columns {} {many}", fields.join(", "))),
    };
    let new = staged.schema.fields.iter().filter(|field| before.field(&field.name).is_none());
    let new = new.map(|field| format!("`{}` ({})", field.name, field.class)).collect();
    let effect = match dataset.mode {
        Mode::Append => ": null in the rows before, and may be missing in later files",
        Mode::Merge => ": null in the rows before",
        Mode::Replace => "",
    };
    let new = named(new, "is new", "are new").map(|message| message + effect);
    let is_empty = |name: &&String| {
        let profile = staged.profile.iter().find(|profile| profile.name == **name);
        profile.is_some_and(|profile| profile.rows > 0 && profile.nulls == profile.rows)
    };
    let empty = optional.iter().filter(is_empty).map(|name| format!("`{name}`")).collect();
    let empty = named(empty, "has no value in it", "have no value in it");
    let messages: Vec<String> = new.into_iter().chain(empty).collect();
    (!messages.is_empty()).then(|| messages.join("; "))
}
