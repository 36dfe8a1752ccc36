//! Stages a load: reads its rows once, judges them, and keeps them on disk apart from the table.
//!
//! A thread reads batches in order; tasks judge them side by side (row checks, keys, row hashes,
//! profile); what comes out is taken up in order again: passing rows and failing ones go to files,
//! all rows to the aggregates. What can only be known at the end (repeated values and keys, keys
//! already in the table) is settled over the keys alone, and files are written anew only if needed.

mod aggregates;
mod area;
mod existing;
mod fate;
mod input;
mod judge;
mod reconcile;
mod samples;
mod settle;

use std::path::Path;
use std::sync::Arc;

use arrow::array::StringArray;
use arrow::compute::filter_record_batch;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use futures::{StreamExt, TryStreamExt};
use perennial_core::digest::TableSum;
use perennial_core::id::LoadId;
use perennial_core::port::data::{RowAnswer, StageInput, StageRequest, Staged};

use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::parquet::FileSink;
use crate::profile::Profile;
use crate::runtime::Task;
use crate::source::Sources;
use crate::sql::Sql;
use crate::types::{logical, with_column};
use fate::Fates;
use judge::{Judge, Judged};
use samples::Samples;

pub(crate) use area::{Area, Record};
pub(crate) use judge::judge_checks;

/// What staging works with.
#[derive(Clone)]
pub(crate) struct Stager {
    pub(crate) sql: Sql,
    pub(crate) sources: Sources,
    pub(crate) staging: Arc<Path>,
    pub(crate) threads: usize,
}

impl Stager {
    /// The staging area of a load.
    pub(crate) fn area(&self, load: LoadId) -> Area {
        Area::of(&self.staging, load)
    }

    /// Reads, judges and keeps the rows of `request`.
    pub(crate) async fn stage(&self, request: StageRequest) -> Result<Staged> {
        let area = self.area(request.load);
        let before = area.before();
        let is_again = matches!(request.input, StageInput::Staged);
        // After a crash in between, the rows lie there already.
        if is_again && area.find()?.is_some() {
            area.move_to(&before)?;
        }
        area.clear()?;
        let result = self.stage_into(&area, request).await;
        if result.is_err() {
            // A failed load leaves nothing; what cannot be removed is void without its record.
            let _ = area.discard();
            if is_again && before.find()?.is_some() {
                before.move_to(&area)?;
            }
        } else {
            before.discard()?;
        }
        result
    }

    /// Forgets a load.
    pub(crate) fn discard(&self, load: LoadId) -> Result<()> {
        let area = self.area(load);
        area.before().discard()?;
        area.discard()
    }

    /// Forgets every load but `keep`.
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

    async fn stage_into(&self, area: &Area, request: StageRequest) -> Result<Staged> {
        let base = match &request.base {
            Some(table) => Some(self.sql.tables().at(&table.path, table.delta_version).await?),
            None => None,
        };
        let base_number = match &base {
            Some(opened) => opened.number().await?.unwrap_or(0),
            None => 0,
        };
        let known = reconcile::known(base.as_deref(), request.schema.as_ref())?;
        let input = input::open(self, &request, known.as_ref(), area).await?;
        let schema = reconcile::settle(&request, known.as_ref(), input.schema())?;
        let judge = Arc::new(Judge::new(&self.sql, &request, &schema).await?);
        let aggregates = aggregates::Aggregates::start(&self.sql, &request.plan.aggregates, &schema)?;
        let scanned = self.scan(area, &request, input, judge.clone(), aggregates).await?;
        if let StageInput::Files { source, files } = &request.input {
            self.sources.unmoved(source, files).await?;
        }
        let settled = settle::settle(self, area, &request, base.as_deref(), &judge, scanned).await?;
        let record = Record {
            staged: Staged { schema: logical(&schema), ..settled.staged },
            dataset: request.dataset.to_string(),
            mode: request.mode,
            key: request.key.clone(),
            replaces: request.replaces,
            base: request.base.clone(),
            base_number,
            rows: settled.rows,
            aside: settled.aside,
        };
        area.seal(&record)?;
        Ok(record.staged)
    }

    /// The one pass over the rows.
    async fn scan(
        &self,
        area: &Area,
        request: &StageRequest,
        input: input::Input,
        judge: Arc<Judge>,
        mut aggregates: aggregates::Aggregates,
    ) -> Result<Scanned> {
        let table = with_column(judge.schema(), crate::table::commit::load_field());
        let mut passing = FileSink::create(&area.rows(), &table)?;
        let mut failing = FileSink::create(&area.file("failing.parquet"), &table)?;
        let load = request.load.to_string();
        let mut scanned = Scanned::new(&self.sql, request, judge.schema());
        let mut judged = input
            .batches(Arc::clone(judge.schema()))
            .map(|batch| {
                let judge = Arc::clone(&judge);
                async move {
                    let batch = batch?;
                    Task::start(async move { judge.judge(batch) }).join().await
                }
            })
            .buffered(self.threads + 1);
        while let Some(batch) = judged.try_next().await? {
            scanned.take(&batch, request, &judge)?;
            aggregates.take(&batch.batch).await?;
            let rows = batch.batch.num_rows();
            let mut columns = batch.batch.columns().to_vec();
            columns.push(Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&load, rows))));
            let whole = assemble(&table, columns, rows)?;
            let filtering = |cause| Error::internal("filtering rows", cause);
            if batch.passes.true_count() == rows {
                passing.write(whole).await?;
            } else {
                passing.write(filter_record_batch(&whole, &batch.passes).map_err(filtering)?).await?;
                let fails = arrow::compute::not(&batch.passes).map_err(filtering)?;
                failing.write(filter_record_batch(&whole, &fails).map_err(filtering)?).await?;
            }
        }
        scanned.passing = Some(passing.finish().await?);
        scanned.failing = Some(failing.finish().await?);
        scanned.aggregates = aggregates.finish().await?;
        Ok(scanned)
    }
}

/// What the pass over the rows found.
struct Scanned {
    arrived: u64,
    fates: Fates,
    sum: TableSum,
    profile: Profile,
    answers: Vec<RowAnswer>,
    samples: Samples,
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
            fates: Fates::new(&request.plan.rows, !request.key.is_empty()),
            sum: TableSum::zero(),
            profile: Profile::new(schema),
            answers: request.plan.rows.iter().map(answer).collect(),
            samples: Samples::default(),
            aggregates: Vec::new(),
            passing: None,
            failing: None,
            memory: MemoryConsumer::new("staging").register(sql.memory()),
        }
    }

    /// Takes up a judged batch, in order.
    fn take(&mut self, batch: &Judged, request: &StageRequest, judge: &Judge) -> Result<()> {
        let rows = batch.batch.num_rows();
        self.memory.try_grow(self.fates.bytes_per_row() * rows).map_err(|cause| {
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
                    if answer.samples.len() == samples::SAMPLES_MAX {
                        break;
                    }
                    answer.samples.push(judge.sample(index, batch, row));
                }
            }
        }
        self.samples.take(self.arrived, rows, &batch.origin);
        self.fates.take(batch);
        self.profile.merge(&batch.profile);
        self.arrived += rows as u64;
        Ok(())
    }
}
