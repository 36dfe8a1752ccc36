//! Where the rows of a load come from, as one stream of batches in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::dataframe::DataFrame;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use perennial_core::port::data::{FilesSource, Format, Mode, StageInput, StageRequest};
use tokio::sync::mpsc;

use super::{Area, Stager};
use crate::convert::fit;
use crate::error::{Error, Result};
use crate::runtime::Task;
use crate::source::{Arrival, Files, JsonLines, LocalFile, Memory, Origin, Taker};
use crate::sql::{as_sql, judge_steady, sql_error};
use crate::types::{LOAD, canonical_schema};

/// Batches read ahead.
const QUEUE: usize = 4;

/// An opened input.
pub(super) enum Input {
    Files(Files),
    Lines(JsonLines),
    Memory(Memory),
    Query(Box<DataFrame>, SchemaRef),
    /// Files of our own staging area.
    Again(Vec<PathBuf>, Arc<str>, SchemaRef),
}

/// Opens the input of `request`; text formats take types from `known`.
pub(super) async fn open(
    stager: &Stager,
    request: &StageRequest,
    known: Option<&SchemaRef>,
    area: &Area,
) -> Result<Input> {
    // What takes the place of everything may have any types.
    let known = known.filter(|_| !(request.evolve && request.mode == Mode::Replace)).cloned();
    match &request.input {
        StageInput::Files { source, files } => {
            let files = stager.sources.fetch(source, files, area.folder()).await?;
            let source = source.clone();
            survey(move || Files::survey(&source, files, known.as_ref()).map(Input::Files)).await
        }
        StageInput::Parquet(path) => {
            let path = path.clone();
            survey(move || {
                let source = FilesSource {
                    root: None,
                    files: String::new(),
                    format: Some(Format::Parquet),
                    header: true,
                    columns: Vec::new(),
                };
                Files::survey(&source, parquet_files(&path)?, known.as_ref()).map(Input::Files)
            })
            .await
        }
        StageInput::JsonLines(bytes) => {
            let (bytes, label) = (Arc::clone(bytes), format!("rows for dataset `{}`", request.dataset));
            survey(move || JsonLines::survey(bytes, &label, known.as_ref()).map(Input::Lines)).await
        }
        StageInput::Columns(columns) => {
            Memory::new(Arc::clone(columns), &format!("rows for dataset `{}`", request.dataset)).map(Input::Memory)
        }
        StageInput::Staged => again(request, &area.before()),
        StageInput::Sql { sql, tables } => {
            let frame = stager.sql.plan(&stager.sql.steady_session(), sql, tables).await?;
            judge_steady(frame.logical_plan())?;
            let schema = canonical_schema("the query", frame.schema().as_arrow()).map_err(as_sql)?;
            Ok(Input::Query(Box::new(frame), schema))
        }
    }
}

async fn survey(work: impl FnOnce() -> Result<Input> + Send + 'static) -> Result<Input> {
    Task::start_blocking(work).join().await
}

impl Input {
    /// The columns the rows arrive in, in canonical types.
    pub(super) fn schema(&self) -> &SchemaRef {
        match self {
            Self::Files(files) => &files.schema,
            Self::Lines(lines) => &lines.schema,
            Self::Memory(rows) => &rows.schema,
            Self::Query(_, schema) | Self::Again(_, _, schema) => schema,
        }
    }

    /// The rows, in columns of `target`.
    pub(super) fn batches(self, target: SchemaRef) -> BoxStream<'static, Result<Arrival>> {
        let fitted = move |arrival: Arrival| {
            let batch = fit(&arrival.batch, &target, &arrival.origin)?;
            Ok(Arrival { batch, origin: arrival.origin })
        };
        match self {
            Self::Files(files) => blocking(move |take| files.read(take)).map(move |a| a.and_then(&fitted)).boxed(),
            Self::Lines(lines) => blocking(move |take| lines.read(take)).map(move |a| a.and_then(&fitted)).boxed(),
            Self::Memory(rows) => blocking(move |take| rows.read(take)).map(move |a| a.and_then(&fitted)).boxed(),
            Self::Again(paths, label, _) => {
                blocking(move |take| read_own(&paths, &label, take)).map(move |a| a.and_then(&fitted)).boxed()
            }
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
                        fitted(Arrival { batch, origin }).map_err(as_sql)
                    })
                    .boxed()
            }
        }
    }
}

/// The files of a load staged before. What was set aside comes after what passed, so that the first of
/// a repeated key stays the first; where the last wins, it comes before.
fn again(request: &StageRequest, before: &Area) -> Result<Input> {
    let record = before.get()?;
    let mut paths = vec![before.rows()];
    if record.aside.is_some() {
        paths.push(before.aside());
    }
    if request.mode == Mode::Merge {
        paths.reverse();
    }
    let own = crate::parquet::read(&before.rows())?.schema();
    let fields: Vec<_> = own.fields().iter().filter(|field| field.name() != LOAD).cloned().collect();
    let label = Arc::from(format!("load `{}`", request.load));
    Ok(Input::Again(paths, label, Arc::new(Schema::new(fields))))
}

fn read_own(paths: &[PathBuf], label: &Arc<str>, take: &mut Taker<'_>) -> Result<()> {
    let mut row = 1;
    for path in paths {
        for batch in crate::parquet::read(path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            let origin = Origin::rows(label, row);
            row += batch.num_rows() as u64;
            take(Arrival { batch, origin })?;
        }
    }
    Ok(())
}

/// What `read` takes up on a thread of its own, as a stream. Dropping the stream ends the reading.
fn blocking(read: impl FnOnce(&mut Taker<'_>) -> Result<()> + Send + 'static) -> BoxStream<'static, Result<Arrival>> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let task = Task::start_blocking(move || {
        read(&mut |arrival| {
            sender.blocking_send(arrival).map_err(|_| Error::internal("reading rows", "nobody reads on"))
        })
    });
    let rows = futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let end = futures::stream::once(task.join()).filter_map(|ended| async { ended.err().map(Err) });
    rows.map(Ok).chain(end).boxed()
}

/// A Parquet file, or those of a folder in order of their names.
fn parquet_files(path: &Path) -> Result<Vec<LocalFile>> {
    let failed = |cause| Error::storage(format!("reading `{}`", path.display()), cause);
    let mut paths: Vec<PathBuf> = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let file = entry.map_err(failed)?.path();
            if file.extension().is_some_and(|ending| ending == "parquet") {
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
