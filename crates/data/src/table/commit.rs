//! Commits a staged load exactly once.
//!
//! The Delta commit carries the load's number as application transaction. The library does not refuse a repeated number,
//! so the number is compared with the snapshot that the commit is based on. A commit succeeds only on exactly that
//! snapshot; on a conflict the table is read again.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::Schema as ArrowSchema;
use deltalake::kernel::engine::arrow_conversion::TryIntoKernel;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, MetadataExt, StructType, Transaction};
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaResult, DeltaTableError};
use object_store::buffered::BufWriter;
use object_store::path::Path as StorePath;
use perennial_core::port::data::{CommitRequest, Committed, Mode};
use serde_json::Value as Json;

use super::{APPLICATION, Deletes, LOAD_ENTRY, OpenTable, Tables, stats};
use crate::error::{Error, Result};
use crate::staging_area::{StagedLoad, StagingArea};
use crate::store::sync_folder;
use crate::types::{LOAD, canonical_schema};

/// Attempts to commit before giving up because of conflicting commits.
pub(super) const ATTEMPTS_MAX: usize = 8;

/// The changes of a commit, besides its number.
#[derive(Default)]
pub(super) struct TableChanges {
    pub(super) actions: Vec<Action>,
    /// The table's new schema, `_load` included, when it changes.
    pub(super) schema: Option<ArrowSchema>,
    pub(super) overwrites: bool,
}

/// Commits the load staged in `area`.
pub(crate) async fn commit(sql: &crate::sql::Sql, area: &StagingArea, request: &CommitRequest) -> Result<Committed> {
    let tables = sql.tables();
    if request.number <= request.previous || request.previous < 0 {
        return Err(Error::Argument(format!(
            "a commit's number {} must be above the previous number {}",
            request.number, request.previous
        )));
    }
    for _ in 0..ATTEMPTS_MAX {
        let newest = tables.newest(&request.table).await?;
        if let Some(done) = find_committed(newest.as_deref(), tables, request).await? {
            return Ok(done);
        }
        let record = area.get()?;
        let work = prepare(sql, newest.as_ref(), area, &record, request).await?;
        let written = match &newest {
            None => create(tables, request, work).await,
            Some(opened) => append(opened, request, work).await,
        };
        match written {
            Ok(()) => {}
            // Another commit was first, or the outcome is unknown: read the table again.
            Err(cause) if is_conflict(&cause) => continue,
            Err(cause) => {
                let newest = tables.newest(&request.table).await?;
                return match find_committed(newest.as_deref(), tables, request).await {
                    Ok(Some(done)) => Ok(done),
                    _ => Err(Error::delta(
                        format!("committing load `{}` to table `{}`", request.load, request.table),
                        cause,
                    )),
                };
            }
        }
        let newest = tables.newest(&request.table).await?;
        if let Some(done) = find_committed(newest.as_deref(), tables, request).await? {
            return Ok(done);
        }
    }
    Err(Error::State {
        message: format!(
            "table `{}` had {ATTEMPTS_MAX} conflicting commits while load `{}` was committed",
            request.table, request.load
        ),
        hint: "commit again when no other process writes to the table".into(),
    })
}

/// The commit with the requested number, if it exists; an error when the number belongs to another load or the table is
/// not at the previous number.
async fn find_committed(
    newest: Option<&OpenTable>,
    tables: &Tables,
    request: &CommitRequest,
) -> Result<Option<Committed>> {
    let current = match newest {
        None => 0,
        Some(opened) => opened.number().await?.unwrap_or(0),
    };
    if let Some(opened) = newest.filter(|_| current >= request.number) {
        let found = opened.find(request.number).await?;
        if found.load.as_deref().is_some_and(|load| load != request.load.to_string()) {
            return Err(Error::State {
                message: format!(
                    "number {} of table `{}` was committed by another load, `{}`",
                    request.number,
                    request.table,
                    found.load.unwrap_or_default()
                ),
                hint: "commit the load again with the next number".into(),
            });
        }
        let at = tables.at(&request.table, found.delta_version).await?;
        return Ok(Some(Committed { delta_version: found.delta_version, bytes: at.bytes()? }));
    }
    if current != request.previous {
        return Err(Error::State {
            message: format!("table `{}` is at number {current}, expected {}", request.table, request.previous),
            hint: "stage the load again, then commit it with the next number".into(),
        });
    }
    Ok(None)
}

async fn prepare(
    sql: &crate::sql::Sql,
    newest: Option<&Arc<OpenTable>>,
    area: &StagingArea,
    record: &StagedLoad,
    request: &CommitRequest,
) -> Result<TableChanges> {
    let schema = crate::parquet::read(&area.rows())?.schema().as_ref().clone();
    let mut work = TableChanges { overwrites: record.mode == Mode::Replace, ..TableChanges::default() };
    if let Some(opened) = newest {
        let current = table_schema(opened)?;
        let is_same = same_columns(&current, &schema);
        let has_moved = request.previous != record.base_number;
        let depends = record.mode != Mode::Replace && (!record.key.is_empty() || record.replaces.is_some() || !is_same);
        if has_moved && depends {
            return Err(Error::State {
                message: format!(
                    "load `{}` was checked against number {} of table `{}`, which is now at number {}",
                    request.load, record.base_number, request.table, request.previous
                ),
                hint: "stage the load again".into(),
            });
        }
        work.schema = (!is_same).then(|| schema.clone());
    } else {
        work.schema = Some(schema.clone());
    }
    if record.rows.rows > 0 {
        work.actions.push(add_file(sql.tables(), request, &area.rows()).await?);
    }
    let folder = area.work_folder()?;
    let admitted = if request.all { super::rewrite::admitted(area, record, folder.path()).await? } else { None };
    if let Some(admitted) = &admitted {
        work.actions.push(add_file(sql.tables(), request, admitted).await?);
    }
    let Some(opened) = newest else { return Ok(work) };
    if record.mode == Mode::Replace {
        let now = opened.state()?;
        work.actions.extend(now.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
    } else {
        let deletes = deletes_of(area, record, admitted.as_deref())?;
        if !deletes.is_empty() {
            let rewritten = super::rewrite::without(sql, opened, &deletes, folder.path(), &schema).await?;
            for file in rewritten.kept {
                work.actions.push(add_file(sql.tables(), request, &file).await?);
            }
            work.actions.extend(rewritten.removed.into_iter().map(Action::Remove));
        }
    }
    Ok(work)
}

/// The rows to delete when the staged rows, and those admitted by force, are committed.
fn deletes_of(area: &StagingArea, record: &StagedLoad, admitted: Option<&Path>) -> Result<Deletes> {
    let mut deletes = Deletes { keys: None, load: record.replaces, key_range: None };
    if record.mode == Mode::Merge && !record.key.is_empty() {
        let columns = crate::keys::KeyColumns::new(&record.key);
        let mut set = crate::keys::KeySet::default();
        let rows = area.rows();
        let paths: Vec<&Path> = [Some(rows.as_path()), admitted].into_iter().flatten().collect();
        deletes.key_range = super::key_range(&paths, &columns)?;
        for path in paths {
            for batch in crate::parquet::read(path)? {
                let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
                set.extend(columns.of(&batch)?.into_iter().flatten());
            }
        }
        deletes.keys = Some((columns, set));
    }
    Ok(deletes)
}

async fn create(tables: &Tables, request: &CommitRequest, work: TableChanges) -> DeltaResult<()> {
    let log = tables.log(&request.table).map_err(|cause| DeltaTableError::Generic(cause.to_string()))?;
    let schema = work.schema.unwrap_or_else(ArrowSchema::empty);
    let columns: StructType = (&schema).try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(log)
        .with_columns(columns.fields().cloned())
        .with_actions(work.actions)
        // Versions stay readable until an explicit vacuum.
        .with_configuration_property(deltalake::TableProperty::EnableExpiredLogCleanup, Some("false"))
        .with_commit_properties(properties(request))
        .with_save_mode(SaveMode::ErrorIfExists)
        .await
        .map(|_| ())
}

async fn append(opened: &OpenTable, request: &CommitRequest, mut work: TableChanges) -> DeltaResult<()> {
    let state = opened.table.snapshot()?;
    if let Some(schema) = &work.schema {
        let columns: StructType = schema.try_into_kernel()?;
        work.actions.insert(0, Action::Metadata(state.metadata().clone().with_schema(&columns)?));
    }
    let mode = if work.overwrites { SaveMode::Overwrite } else { SaveMode::Append };
    let operation = DeltaOperation::Write { mode, partition_by: None, predicate: None };
    CommitBuilder::from(properties(request))
        .with_actions(work.actions)
        .build(Some(state), Arc::clone(&opened.log), operation)
        .await
        .map(|_| ())
}

fn properties(request: &CommitRequest) -> CommitProperties {
    CommitProperties::default()
        .with_application_transaction(Transaction::new(APPLICATION, request.number))
        .with_metadata(HashMap::from([(LOAD_ENTRY.to_owned(), Json::String(request.load.to_string()))]))
        // Commit only onto the snapshot that was read.
        .with_max_retries(0)
        .with_cleanup_expired_logs(Some(false))
}

/// Whether another commit came first.
pub(super) fn is_conflict(cause: &DeltaTableError) -> bool {
    use deltalake::kernel::transaction::TransactionError;
    match cause {
        DeltaTableError::VersionAlreadyExists(_) => true,
        DeltaTableError::Transaction { source } => matches!(
            source,
            TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_)
                | TransactionError::CommitConflict(_)
        ),
        other => other.to_string().contains("already exists"),
    }
}

/// The canonical schema of a table, `_load` included.
pub(crate) fn table_schema(opened: &OpenTable) -> Result<ArrowSchema> {
    let arrow = opened.state()?.snapshot().arrow_schema();
    let own: Vec<_> = arrow.fields().iter().filter(|field| field.name() != LOAD).cloned().collect();
    let canonical = canonical_schema(&opened.name, &ArrowSchema::new(own))?;
    let load = arrow.field_with_name(LOAD).is_ok();
    Ok(if load {
        crate::types::with_column(&canonical, load_field()).as_ref().clone()
    } else {
        canonical.as_ref().clone()
    })
}

/// The column `_load`.
pub(crate) fn load_field() -> arrow::datatypes::Field {
    arrow::datatypes::Field::new(LOAD, arrow::datatypes::DataType::Utf8, true)
}

fn same_columns(a: &ArrowSchema, b: &ArrowSchema) -> bool {
    let columns = |schema: &ArrowSchema| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    columns(a) == columns(b)
}

/// Stores a file in the table's folder, durably, under a name derived from its content.
pub(super) async fn add_file(tables: &Tables, request: &CommitRequest, path: &Path) -> Result<Action> {
    let stem = request.load.to_string();
    put_file(tables, &request.table, &stem, path).await.map(Action::Add)
}

/// Stores a Parquet file in a table's folder; returns the action that adds it.
pub(super) async fn put_file(tables: &Tables, table: &str, stem: &str, path: &Path) -> Result<Add> {
    let failed = |cause: std::io::Error| Error::storage(format!("writing a file of table `{table}`"), cause);
    let mut hasher = blake3::Hasher::new();
    let size = std::io::copy(&mut std::fs::File::open(path).map_err(failed)?, &mut hasher).map_err(failed)?;
    let name = format!("part-{stem}-{}.parquet", &hasher.finalize().to_hex()[..16]);
    if !link(tables, table, &name, path).map_err(failed)? {
        let log = tables.log(table)?;
        let mut writer = BufWriter::new(log.object_store(None), StorePath::from(name.as_str()));
        let mut source = tokio::fs::File::open(path).await.map_err(failed)?;
        tokio::io::copy(&mut source, &mut writer).await.map_err(failed)?;
        tokio::io::AsyncWriteExt::shutdown(&mut writer).await.map_err(failed)?;
    }
    Ok(Add {
        path: name,
        size: size as i64,
        modification_time: modified_ms(path).map_err(failed)?,
        data_change: true,
        stats: Some(stats::of_file(path)?),
        ..Add::default()
    })
}

/// When a file was last written, epoch milliseconds.
fn modified_ms(path: &Path) -> std::io::Result<i64> {
    let modified = path.metadata()?.modified()?;
    Ok(modified.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64))
}

/// Hard-links a file into a local table's folder; false when that is not possible.
fn link(tables: &Tables, table: &str, name: &str, path: &Path) -> std::io::Result<bool> {
    let Some(root) = &tables.root().folder else { return Ok(false) };
    let folder = root.join(table);
    crate::store::create_folders(&folder)?;
    let target = folder.join(name);
    match std::fs::hard_link(path, &target) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
            // The name contains the content's hash, but a crash may have truncated the file.
            if target.metadata()?.len() != path.metadata()?.len() {
                return Ok(false);
            }
        }
        // Another file system: the caller copies.
        Err(_) => return Ok(false),
    }
    sync_folder(&folder)?;
    Ok(true)
}
