//! Stages a load: reads its rows once, checks them, and writes them to the staging area, apart from the table.
//!
//! A thread reads batches in order; tasks process them concurrently (row checks, keys, row hashes, profile). The results
//! are consumed in order: passing and failing rows go to two files, all rows to the aggregate checks. Repeated values,
//! repeated keys and keys that exist in the table are known only after the last row; they are resolved over the keys
//! alone, and the files are rewritten only if needed.

mod aggregates;
mod check_rows;
mod dispositions;
mod finalize;
mod input;
mod key_lookup;
mod origins;
mod reconcile;

use std::path::Path;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::compute::filter_record_batch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::{StreamExt, TryStreamExt};
use perennial_core::digest::TableSum;
use perennial_core::id::LoadId;
use perennial_core::port::data::{FilesSource, RowAnswer, SourceFile, StageInput, StageRequest, Staged};
use perennial_core::schema::Schema;

use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::parquet::FileSink;
use crate::profile::Profile;
use crate::runtime::Task;
use crate::source::{Files, Sources};
use crate::sql::Sql;
use crate::staging_area::{StagedLoad, StagingArea};
use crate::types::{logical, warnings, with_column};
use check_rows::{CheckedBatch, RowChecker};
use dispositions::RowDispositions;
use origins::RowOrigins;

pub(crate) use check_rows::validate_checks;
pub(crate) use input::{parquet_files, parquet_source};

/// The most samples of failing rows reported for a check.
const SAMPLES_MAX: usize = 5;

/// Stages loads.
#[derive(Clone)]
pub(crate) struct Stager {
    pub(crate) sql: Sql,
    pub(crate) sources: Sources,
    pub(crate) staging: Arc<Path>,
    pub(crate) threads: usize,
}

impl Stager {
    /// The staging area of a load.
    pub(crate) fn area(&self, load: LoadId) -> StagingArea {
        StagingArea::new(&self.staging, load)
    }

    /// Reads, checks and stages the rows of `request`.
    pub(crate) async fn stage(&self, request: StageRequest) -> Result<Staged> {
        let area = self.area(request.load);
        let previous = area.previous();
        let is_restage = matches!(request.input, StageInput::Staged);
        // After a crash during an earlier restage, the rows are there already.
        if is_restage && area.find()?.is_some() {
            area.move_to(&previous)?;
        }
        area.clear()?;
        let result = self.stage_into(&area, request).await;
        if result.is_err() {
            // Best effort: files that cannot be removed are ignored without their record.
            let _ = area.discard();
            if is_restage && previous.find()?.is_some() {
                previous.move_to(&area)?;
            }
        } else {
            previous.discard()?;
        }
        result
    }

    /// The columns of files, without a dataset whose types they would take. Nothing is staged.
    pub(crate) async fn columns(&self, source: FilesSource, files: &[SourceFile]) -> Result<Schema> {
        let downloads = tempfile::Builder::new().prefix("columns-").tempdir_in(&self.staging);
        let downloads = downloads.map_err(|cause| Error::storage("creating a folder for source files", cause))?;
        let files = self.sources.fetch(&source, files, downloads.path()).await?;
        let opened = Task::start_blocking(move || Files::open(&source, files, None)).join().await?;
        Ok(logical(&opened.schema))
    }

    /// Removes a staged load.
    pub(crate) fn discard(&self, load: LoadId) -> Result<()> {
        let area = self.area(load);
        area.previous().discard()?;
        area.discard()
    }

    /// Removes every staged load except `keep`.
    pub(crate) fn sweep(&self, keep: &[LoadId]) -> Result<()> {
        let failed = |cause| Error::storage("reading the staging folder", cause);
        for entry in std::fs::read_dir(&self.staging).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // `<load>`, and `<load>.before` while it is staged again.
            let load = name.to_str().and_then(|name| name.split('.').next()?.parse::<LoadId>().ok());
            if let Some(load) = load.filter(|load| !keep.contains(load)) {
                self.discard(load)?;
            }
        }
        Ok(())
    }

    async fn stage_into(&self, area: &StagingArea, request: StageRequest) -> Result<Staged> {
        let base = match &request.base {
            Some(table) => Some(self.sql.tables().at(&table.path, table.delta_version).await?),
            None => None,
        };
        let base_number = match &base {
            Some(opened) => opened.number().await?.unwrap_or(0),
            None => 0,
        };
        let known = reconcile::known_columns(base.as_deref(), request.schema.as_ref())?;
        let input = input::open(self, &request, known.as_ref(), area).await?;
        let mut warnings = warnings(input.schema());
        let times = input.local_times();
        let schema = reconcile::reconcile(&request, known.as_ref(), input.schema())?;
        let checker = Arc::new(RowChecker::new(&self.sql, &request, &schema).await?);
        let aggregates = aggregates::Aggregates::start(&self.sql, &request.plan.aggregates, &schema)?;
        let scanned = self.scan(area, &request, input, checker.clone(), aggregates).await?;
        warnings.extend(times.iter().flat_map(|times| times.warnings()));
        if let StageInput::Files { source, files } = &request.input {
            self.sources.verify_unchanged(source, files).await?;
        }
        let finalized = finalize::finalize(self, area, &request, base.as_deref(), &checker, scanned).await?;
        let record = StagedLoad {
            staged: Staged { schema: logical(&schema), warnings, ..finalized.staged },
            dataset: request.dataset.to_string(),
            mode: request.mode,
            key: request.key.clone(),
            replaces: request.replaces,
            base: request.base.clone(),
            base_number,
            rows: finalized.rows,
            quarantined: finalized.quarantined,
        };
        area.seal(&record)?;
        Ok(record.staged)
    }

    /// The single pass over the rows.
    async fn scan(
        &self,
        area: &StagingArea,
        request: &StageRequest,
        input: input::Input,
        checker: Arc<RowChecker>,
        mut aggregates: aggregates::Aggregates,
    ) -> Result<Scanned> {
        let table = with_column(checker.schema(), crate::table::commit::load_field());
        let mut passing = FileSink::create(&area.rows(), &table)?;
        let mut failing = FileSink::create(&area.file("failing.parquet"), &table)?;
        let load = request.load.to_string();
        let mut scanned = Scanned::new(&self.sql, request, checker.schema());
        let mut checked = input
            .batches(Arc::clone(checker.schema()))
            .map(|batch| {
                let checker = Arc::clone(&checker);
                async move {
                    let batch = batch?;
                    Task::start(async move { checker.check(batch) }).join().await
                }
            })
            .buffered(self.threads + 1);
        while let Some(batch) = checked.try_next().await? {
            scanned.add(&batch, request, &checker)?;
            aggregates.add(&batch.batch).await?;
            let rows = batch.batch.num_rows();
            let mut columns = batch.batch.columns().to_vec();
            columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&load, rows))));
            let with_load = assemble(&table, columns, rows)?;
            let filtering = |cause| Error::internal("filtering rows", cause);
            if batch.passes.true_count() == rows {
                passing.write(with_load).await?;
            } else {
                passing.write(filter_record_batch(&with_load, &batch.passes).map_err(filtering)?).await?;
                let fails = arrow::compute::not(&batch.passes).map_err(filtering)?;
                failing.write(filter_record_batch(&with_load, &fails).map_err(filtering)?).await?;
            }
        }
        scanned.passing = Some(passing.finish().await?);
        scanned.failing = Some(failing.finish().await?);
        scanned.aggregates = aggregates.finish().await?;
        Ok(scanned)
    }
}

/// The results of the pass over the rows.
struct Scanned {
    arrived: u64,
    dispositions: RowDispositions,
    sum: TableSum,
    profile: Profile,
    answers: Vec<RowAnswer>,
    origins: RowOrigins,
    aggregates: Vec<perennial_core::port::data::AggregateAnswer>,
    passing: Option<crate::parquet::Written>,
    failing: Option<crate::parquet::Written>,
    memory: MemoryReservation,
}

impl Scanned {
    fn new(sql: &Sql, request: &StageRequest, schema: &arrow::datatypes::Schema) -> Self {
        let answer = |check: &perennial_core::port::data::RowCheck| RowAnswer {
            name: check.name.clone(),
            rows: 0,
            failed: 0,
            samples: Vec::new(),
        };
        Self {
            arrived: 0,
            dispositions: RowDispositions::new(&request.plan.rows, !request.key.is_empty()),
            sum: TableSum::zero(),
            profile: Profile::new(schema),
            answers: request.plan.rows.iter().map(answer).collect(),
            origins: RowOrigins::default(),
            aggregates: Vec::new(),
            passing: None,
            failing: None,
            memory: MemoryConsumer::new("staging").register(sql.memory()),
        }
    }

    /// Adds a checked batch, in order.
    fn add(&mut self, batch: &CheckedBatch, request: &StageRequest, checker: &RowChecker) -> Result<()> {
        let rows = batch.batch.num_rows();
        self.memory.try_grow(self.dispositions.bytes_per_row() * rows).map_err(|cause| {
            Error::exhausted(&format!("staging dataset `{}`", request.dataset), &cause.strip_backtrace())
        })?;
        for row in batch.passes.values().set_indices() {
            self.sum.add(&batch.hashes[row]);
        }
        for (index, answer) in self.answers.iter_mut().enumerate() {
            answer.rows += rows as u64;
            if let Some(fails) = &batch.failures[index] {
                answer.failed += fails.count_set_bits() as u64;
                for row in fails.set_indices() {
                    if answer.samples.len() == SAMPLES_MAX {
                        break;
                    }
                    answer.samples.push(checker.sample(index, batch, row));
                }
            }
        }
        self.origins.add(self.arrived, rows, &batch.origin);
        self.dispositions.add(batch);
        self.profile.merge(&batch.profile);
        self.arrived += rows as u64;
        Ok(())
    }
}
