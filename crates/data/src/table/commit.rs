//! Commits a staged load, once.
//!
//! The Delta commit carries the load's number as application transaction. The library does not
//! refuse a repeated number, so the number is compared on the snapshot that is written from; a
//! commit goes only onto exactly that snapshot, and on any conflict the table is looked at anew.

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

use super::{APPLICATION, LOAD_ENTRY, Leaving, Opened, Tables, stats};
use crate::error::{Error, Result};
use crate::stage::{Area, Record};
use crate::store::sync_folder;
use crate::types::{LOAD, canonical_schema};

/// Looks at a table before giving up because others keep committing.
const LOOKS_MAX: usize = 8;

/// What a commit changes besides its number.
#[derive(Default)]
pub(super) struct Work {
    pub(super) actions: Vec<Action>,
    /// The table's schema from this commit on, `_load` included, when it is new.
    pub(super) schema: Option<ArrowSchema>,
    pub(super) overwrites: bool,
}

/// Commits what `area` holds.
pub(crate) async fn commit(sql: &crate::sql::Sql, area: &Area, request: &CommitRequest) -> Result<Committed> {
    let tables = sql.tables();
    if request.number <= request.previous || request.previous < 0 {
        return Err(Error::Argument(format!(
            "a commit's number {} must be above the previous number {}",
            request.number, request.previous
        )));
    }
    for _ in 0..LOOKS_MAX {
        let newest = tables.newest(&request.table).await?;
        if let Some(done) = already(newest.as_deref(), tables, request).await? {
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
            // Somebody else was first, or it is unknown what happened: look again.
            Err(cause) if is_conflict(&cause) => continue,
            Err(cause) => {
                let newest = tables.newest(&request.table).await?;
                return match already(newest.as_deref(), tables, request).await {
                    Ok(Some(done)) => Ok(done),
                    _ => Err(Error::delta(
                        format!("committing load `{}` to table `{}`", request.load, request.table),
                        cause,
                    )),
                };
            }
        }
        let newest = tables.newest(&request.table).await?;
        if let Some(done) = already(newest.as_deref(), tables, request).await? {
            return Ok(done);
        }
    }
    Err(Error::State {
        message: format!(
            "table `{}` was changed by others {LOOKS_MAX} times while load `{}` was committed",
            request.table, request.load
        ),
        hint: "let one writer at a time commit to a table, then commit again".into(),
    })
}

/// The commit that carries the number already; an error when the number or the one before it is not as asked.
async fn already(newest: Option<&Opened>, tables: &Tables, request: &CommitRequest) -> Result<Option<Committed>> {
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
                hint: "begin the load's commit anew with the next number".into(),
            });
        }
        let at = tables.at(&request.table, found.delta_version).await?;
        return Ok(Some(Committed { delta_version: found.delta_version, bytes: at.bytes()? }));
    }
    if current != request.previous {
        return Err(Error::State {
            message: format!("table `{}` stands at number {current}, expected {}", request.table, request.previous),
            hint: "stage the load again against the table as it stands, and commit it with the next number".into(),
        });
    }
    Ok(None)
}

async fn prepare(
    sql: &crate::sql::Sql,
    newest: Option<&Arc<Opened>>,
    area: &Area,
    record: &Record,
    request: &CommitRequest,
) -> Result<Work> {
    let schema = crate::parquet::read(&area.rows())?.schema().as_ref().clone();
    let mut work = Work { overwrites: record.mode == Mode::Replace, ..Work::default() };
    if let Some(opened) = newest {
        let current = table_schema(opened)?;
        let is_same = same_columns(&current, &schema);
        let moved = request.previous != record.base_number;
        let depends = record.mode != Mode::Replace && (!record.key.is_empty() || record.replaces.is_some() || !is_same);
        if moved && depends {
            return Err(Error::State {
                message: format!(
                    "load `{}` was judged against number {} of table `{}`, which stands at {}",
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
    let joins = if request.all { super::rewrite::joining(area, record, folder.path()).await? } else { None };
    if let Some(joins) = &joins {
        work.actions.push(add_file(sql.tables(), request, joins).await?);
    }
    let Some(opened) = newest else { return Ok(work) };
    if record.mode == Mode::Replace {
        let now = opened.state()?;
        work.actions.extend(now.log_data().iter().map(|file| Action::Remove(file.remove_action(true))));
    } else {
        let leaving = leaving(area, record, joins.as_deref())?;
        if !leaving.is_nothing() {
            let rewritten = super::rewrite::without(sql, opened, &leaving, folder.path(), &schema).await?;
            for file in rewritten.kept {
                work.actions.push(add_file(sql.tables(), request, &file).await?);
            }
            work.actions.extend(rewritten.removed.into_iter().map(Action::Remove));
        }
    }
    Ok(work)
}

/// The rows that leave when the staged rows (and those that join) are committed.
fn leaving(area: &Area, record: &Record, joins: Option<&Path>) -> Result<Leaving> {
    let mut leaving = Leaving { keys: None, load: record.replaces, within: None };
    if record.mode == Mode::Merge && !record.key.is_empty() {
        let columns = crate::keys::KeyColumns::new(&record.key);
        let mut set = crate::keys::KeySet::default();
        let rows = area.rows();
        let paths: Vec<&Path> = [Some(rows.as_path()), joins].into_iter().flatten().collect();
        leaving.within = super::within(&paths, &columns)?;
        for path in paths {
            for batch in crate::parquet::read(path)? {
                let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
                set.extend(columns.of(&batch)?.into_iter().flatten());
            }
        }
        leaving.keys = Some((columns, set));
    }
    Ok(leaving)
}

async fn create(tables: &Tables, request: &CommitRequest, work: Work) -> DeltaResult<()> {
    let log = tables.log(&request.table).map_err(|cause| DeltaTableError::Generic(cause.to_string()))?;
    let schema = work.schema.unwrap_or_else(ArrowSchema::empty);
    let columns: StructType = (&schema).try_into_kernel()?;
    CreateBuilder::new()
        .with_log_store(log)
        .with_columns(columns.fields().cloned())
        .with_actions(work.actions)
        // Versions stay readable until they are vacuumed on purpose.
        .with_configuration_property(deltalake::TableProperty::EnableExpiredLogCleanup, Some("false"))
        .with_commit_properties(properties(request))
        .with_save_mode(SaveMode::ErrorIfExists)
        .await
        .map(|_| ())
}

async fn append(opened: &Opened, request: &CommitRequest, mut work: Work) -> DeltaResult<()> {
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
        // Only onto the snapshot that was looked at.
        .with_max_retries(0)
        .with_cleanup_expired_logs(Some(false))
}

/// Whether somebody else's commit was in the way.
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
pub(crate) fn table_schema(opened: &Opened) -> Result<ArrowSchema> {
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

/// Puts a file into the table's folder, durably, under a name that its content decides.
pub(super) async fn add_file(tables: &Tables, request: &CommitRequest, path: &Path) -> Result<Action> {
    let stem = request.load.to_string();
    put_file(tables, &request.table, &stem, path).await.map(Action::Add)
}

/// Puts a Parquet file into a table's folder; gives what adds it.
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

/// Links a file into a local table's folder; false when that cannot be done.
fn link(tables: &Tables, table: &str, name: &str, path: &Path) -> std::io::Result<bool> {
    let Some(root) = &tables.root().folder else { return Ok(false) };
    let folder = root.join(table);
    crate::store::make_folders(&folder)?;
    let place = folder.join(name);
    match std::fs::hard_link(path, &place) {
        Ok(()) => {}
        Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => {
            // The name says the content, but a file cut short by a crash would not have it.
            if place.metadata()?.len() != path.metadata()?.len() {
                return Ok(false);
            }
        }
        // Another file system: copy.
        Err(_) => return Ok(false),
    }
    sync_folder(&folder)?;
    Ok(true)
}
