//! The rows of a load, from any input, as one ordered stream of batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use perennial_core::port::data::{FilesSource, Format, LocalTime, Mode, StageInput, StageRequest};
use tokio::sync::mpsc;

use super::Stager;
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::origin::Origin;
use crate::runtime::Task;
use crate::source::{BatchSink, Files, JsonLines, LocalFile, LocalTimes, Memory, SourceBatch};
use crate::sql::{as_sql, sql_error, validate_deterministic};
use crate::staging_area::StagingArea;
use crate::types::{LOAD, canonical_schema};

/// Batches read ahead.
const QUEUE: usize = 4;

/// An opened input.
pub(super) enum Input {
    Files(Files),
    Lines(JsonLines),
    Memory(Memory),
    Query(Box<DataFrame>, SchemaRef),
    /// Files of an earlier staging of the same load.
    Restaged(Vec<PathBuf>, Arc<str>, SchemaRef),
}

/// Opens the input of `request`; text formats take types from `known`.
pub(super) async fn open(
    stager: &Stager,
    request: &StageRequest,
    known: Option<&SchemaRef>,
    area: &StagingArea,
) -> Result<Input> {
    // A full replacement may change every type.
    let known = known.filter(|_| !(request.evolve && request.mode == Mode::Replace)).cloned();
    match &request.input {
        StageInput::Files { source, files } => {
            let files = stager.sources.fetch(source, files, area.folder()).await?;
            let source = source.clone();
            open_blocking(move || Files::open(&source, files, known.as_ref()).map(Input::Files)).await
        }
        StageInput::Parquet(path) => {
            let path = path.clone();
            open_blocking(move || {
                let source = parquet_source();
                Files::open(&source, parquet_files(&path)?, known.as_ref()).map(Input::Files)
            })
            .await
        }
        StageInput::JsonLines(bytes) => {
            let (bytes, label) = (bytes.clone(), format!("rows for dataset `{}`", request.dataset));
            open_blocking(move || JsonLines::open(bytes, &label, known.as_ref()).map(Input::Lines)).await
        }
        StageInput::Columns(columns) => {
            Memory::new(Arc::clone(columns), &format!("rows for dataset `{}`", request.dataset)).map(Input::Memory)
        }
        StageInput::Staged => restaged(request, &area.previous()),
        StageInput::Sql { sql, tables } => {
            let frame = stager.sql.plan(&stager.sql.deterministic_session(), sql, tables).await?;
            validate_deterministic(frame.logical_plan())?;
            let schema = canonical_schema("the query", frame.schema().as_arrow()).map_err(as_sql)?;
            Ok(Input::Query(Box::new(frame), schema))
        }
    }
}

async fn open_blocking(work: impl FnOnce() -> Result<Input> + Send + 'static) -> Result<Input> {
    Task::start_blocking(work).join().await
}

impl Input {
    /// The columns of the rows, in canonical types.
    pub(super) fn schema(&self) -> &SchemaRef {
        match self {
            Self::Files(files) => &files.schema,
            Self::Lines(lines) => &lines.schema,
            Self::Memory(rows) => &rows.schema,
            Self::Query(_, schema) | Self::Restaged(_, _, schema) => schema,
        }
    }

    /// The local times that reading the rows finds.
    pub(super) fn local_times(&self) -> Option<Arc<LocalTimes>> {
        match self {
            Self::Files(files) => Some(files.times()),
            Self::Lines(lines) => Some(lines.times()),
            Self::Memory(_) | Self::Query(..) | Self::Restaged(..) => None,
        }
    }

    /// The rows, converted to the columns of `target`.
    pub(super) fn batches(self, target: SchemaRef) -> BoxStream<'static, Result<SourceBatch>> {
        let fitted = move |batch: SourceBatch| {
            let fitted = fit(&batch.batch, &target, &batch.origin)?;
            Ok(SourceBatch { batch: fitted, origin: batch.origin })
        };
        match self {
            Self::Files(files) => {
                blocking(move |sink| files.read(sink)).map(move |batch| batch.and_then(&fitted)).boxed()
            }
            Self::Lines(lines) => {
                blocking(move |sink| lines.read(sink)).map(move |batch| batch.and_then(&fitted)).boxed()
            }
            Self::Memory(rows) => {
                blocking(move |sink| rows.read(sink)).map(move |batch| batch.and_then(&fitted)).boxed()
            }
            Self::Restaged(paths, label, _) => blocking(move |sink| read_staged(&paths, &label, sink))
                .map(move |batch| batch.and_then(&fitted))
                .boxed(),
            Self::Query(frame, _) => {
                let label: Arc<str> = Arc::from("the query");
                let mut row = 1;
                let batches =
                    futures::stream::once(async move { frame.execute_stream().await.map_err(|c| sql_error(&c)) });
                batches
                    .map_ok(|batches| batches.map_err(|cause| sql_error(&cause)))
                    .try_flatten()
                    .map(move |batch| {
                        let batch = batch?;
                        let origin = Origin::rows(&label, row);
                        row += batch.num_rows() as u64;
                        fitted(SourceBatch { batch, origin }).map_err(as_sql)
                    })
                    .boxed()
            }
        }
    }
}

/// The files of an earlier staging. Quarantined rows come after passing ones, so that the first row of a repeated key
/// stays the first; with mode `merge`, where the last wins, they come before.
fn restaged(request: &StageRequest, previous: &StagingArea) -> Result<Input> {
    let record = previous.get()?;
    let mut paths = vec![previous.rows()];
    if record.quarantined.is_some() {
        paths.push(previous.quarantined());
    }
    if request.mode == Mode::Merge {
        paths.reverse();
    }
    let own = crate::parquet::read(&previous.rows())?.schema();
    let fields: Vec<_> = own.fields().iter().filter(|field| field.name() != LOAD).cloned().collect();
    let label = Arc::from(format!("load `{}`", request.load));
    Ok(Input::Restaged(paths, label, Arc::new(Schema::new(fields))))
}

fn read_staged(paths: &[PathBuf], label: &Arc<str>, sink: &mut BatchSink<'_>) -> Result<()> {
    let mut row = 1;
    for path in paths {
        for batch in crate::parquet::read(path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            let origin = Origin::rows(label, row);
            row += batch.num_rows() as u64;
            sink(SourceBatch { batch, origin })?;
        }
    }
    Ok(())
}

/// The batches that `read` emits on a thread of its own, as a stream. Dropping the stream ends the reading.
fn blocking(
    read: impl FnOnce(&mut BatchSink<'_>) -> Result<()> + Send + 'static,
) -> BoxStream<'static, Result<SourceBatch>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let task = Task::start_blocking(move || {
        read(&mut |batch| {
            sender.blocking_send(batch).map_err(|_| Error::internal("reading rows", "the receiver was dropped"))
        })
    });
    let rows = futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let end = futures::stream::once(task.join()).filter_map(|ended| async { ended.err().map(Err) });
    rows.map(Ok).chain(end).boxed()
}

/// How the files of [`parquet_files`] are read.
pub(crate) fn parquet_source() -> FilesSource {
    FilesSource {
        root: None,
        files: String::new(),
        format: Some(Format::Parquet),
        header: true,
        columns: Vec::new(),
        local_time: LocalTime::default(),
    }
}

/// A Parquet file, or the Parquet files of a folder, ordered by name.
pub(crate) fn parquet_files(path: &Path) -> Result<Vec<LocalFile>> {
    let failed = |cause| Error::storage(format!("reading `{}`", path.display()), cause);
    let mut paths: Vec<PathBuf> = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|extension| extension == "parquet") {
                paths.push(file);
            }
        }
        paths.sort();
    } else if path.exists() {
        paths.push(path.to_path_buf());
    }
    if paths.is_empty() {
        return Err(Error::NotFound { noun: "Parquet output", name: path.display().to_string() });
    }
    let label = |path: &Path| Arc::from(path.file_name().unwrap_or_default().to_string_lossy().as_ref());
    Ok(paths.into_iter().map(|path| LocalFile { label: label(&path), path }).collect())
}
