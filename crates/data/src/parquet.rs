//! Local Parquet files: written on a thread of their own and synced.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::runtime::Task;
use crate::source::BATCH_ROWS;

/// Rows of a row group, which the writer holds in memory, compressed.
const ROW_GROUP_ROWS: usize = 256 * 1024;
/// Batches queued for a writer.
const QUEUE: usize = 4;

/// The size of a written file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// A Parquet file that is written on a thread of its own.
pub(crate) struct FileSink {
    sender: Option<mpsc::Sender<RecordBatch>>,
    task: Option<Task<Result<Written>>>,
}

impl FileSink {
    /// Creates a file at `path`, replacing an existing one.
    pub(crate) fn create(path: &Path, schema: &SchemaRef) -> Result<Self> {
        let file =
            File::create(path).map_err(|cause| Error::storage(format!("creating `{}`", path.display()), cause))?;
        let (sender, receiver) = mpsc::channel(QUEUE);
        let (path, schema) = (path.to_path_buf(), SchemaRef::clone(schema));
        let task = Task::start_blocking(move || write(file, &path, schema, receiver));
        Ok(Self { sender: Some(sender), task: Some(task) })
    }

    /// Appends rows.
    pub(crate) async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        let Some(sender) = &self.sender else { return Ok(()) };
        if sender.send(batch).await.is_err() {
            // The writer has ended with an error, which is returned.
            return self.join().await.map(|_| ());
        }
        Ok(())
    }

    /// Completes the file; it is synced when this returns.
    pub(crate) async fn finish(mut self) -> Result<Written> {
        self.join().await
    }

    async fn join(&mut self) -> Result<Written> {
        self.sender = None;
        match self.task.take() {
            Some(task) => task.join().await,
            None => Err(Error::internal("writing rows", "the writer ended early")),
        }
    }
}

fn write(file: File, path: &Path, schema: SchemaRef, mut batches: mpsc::Receiver<RecordBatch>) -> Result<Written> {
    let failed = |cause| Error::storage(format!("writing `{}`", path.display()), cause);
    let io = |cause: std::io::Error| Error::storage(format!("writing `{}`", path.display()), cause);
    let level = ZstdLevel::try_new(1).map_err(failed)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).map_err(failed)?;
    let mut rows = 0;
    while let Some(batch) = batches.blocking_recv() {
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(failed)?;
    }
    let file = writer.into_inner().map_err(failed)?;
    file.sync_all().map_err(io)?;
    let bytes = file.metadata().map_err(io)?.len();
    Ok(Written { rows, bytes })
}

/// Opens a local file for reading. Blocking.
pub(crate) fn read(path: &Path) -> Result<ParquetRecordBatchReader> {
    let failed = |cause| Error::storage(format!("reading `{}`", path.display()), cause);
    let file = File::open(path).map_err(|cause| Error::storage(format!("opening `{}`", path.display()), cause))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(failed)?;
    builder.with_batch_size(BATCH_ROWS).build().map_err(failed)
}
