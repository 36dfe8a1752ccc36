//! Settles what is known only at the end: repeated values and keys, keys of the table, the change.

use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use perennial_core::digest::TableSum;
use perennial_core::port::data::{Change, Mode, StageRequest, Staged};
use perennial_core::schema::Schema;

use super::area::{Area, FileFacts};
use super::existing::{self, Removed};
use super::fate::{EXISTS, Fates, NULL_KEY, PASSES, REPEATED};
use super::judge::Judge;
use super::samples::SAMPLES_MAX;
use super::{Scanned, Stager};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::keys::KeyColumns;
use crate::parquet::FileSink;
use crate::table::{Leaving, Opened, within};
use crate::types::{JOINS, REASON, with_column};

/// What is settled.
pub(super) struct Settled {
    pub(super) staged: Staged,
    pub(super) rows: FileFacts,
    pub(super) aside: Option<FileFacts>,
}

/// Decides every row's fate, writes the files of the area, and tells the change.
pub(super) async fn settle(
    stager: &Stager,
    area: &Area,
    request: &StageRequest,
    base: Option<&Opened>,
    judge: &Judge,
    mut scanned: Scanned,
) -> Result<Settled> {
    for (check, rows) in scanned.fates.settle_uniques() {
        scanned.answers[check].failed = rows.len() as u64;
        let sampled: Vec<u64> = rows.into_iter().take(SAMPLES_MAX).collect();
        let values = values_at(area, &scanned.fates, judge, check, &sampled)?;
        scanned.answers[check].samples =
            sampled.iter().zip(values).map(|(row, values)| format!("{}: {values}", scanned.samples.at(*row))).collect();
    }
    scanned.fates.settle_keys(request.mode);
    let (removed, removed_all) = meet_table(&stager.sql, area, request, base, &mut scanned.fates).await?;
    let written = write(area, request, judge, &mut scanned).await?;
    let fates = &scanned.fates;
    let passing = fates.last.iter().filter(|reason| **reason == PASSES).count() as u64;
    let joining = fates.joins.iter().filter(|joins| **joins).count() as u64;
    let mut added_all = scanned.sum.clone();
    added_all.merge(&written.joining);
    let staged = Staged {
        schema: Schema::default(),
        arrived: scanned.arrived,
        passing,
        aside: counts(fates, request),
        rows: scanned.answers,
        aggregates: scanned.aggregates,
        profile: scanned.profile.finish(),
        change: Change { added_rows: passing, added: scanned.sum, removed_rows: removed.rows, removed: removed.sum },
        change_all: Change {
            added_rows: passing + joining,
            added: added_all,
            removed_rows: removed_all.rows,
            removed: removed_all.sum,
        },
    };
    Ok(Settled { staged, rows: written.rows, aside: written.aside })
}

/// Sets aside rows whose key the table has (append) and tells which of its rows leave (merge, replaced loads):
/// when the passing rows are committed, and when all are.
async fn meet_table(
    sql: &crate::sql::Sql,
    area: &Area,
    request: &StageRequest,
    base: Option<&Opened>,
    fates: &mut Fates,
) -> Result<(Removed, Removed)> {
    let Some(base) = base.filter(|_| request.mode != Mode::Replace) else { return Ok(Default::default()) };
    let mut leaving = Leaving { keys: None, load: request.replaces, within: None };
    let mut leaving_all = leaving.clone();
    if !request.key.is_empty() {
        let key = KeyColumns::new(&request.key);
        let (passing, joining) = fates.key_sets();
        let within = within(&[&area.rows(), &area.file("failing.parquet")], &key)?;
        let found = existing::keys_in(sql, base, &key, &[&passing, &joining], within.clone(), request.replaces).await?;
        leaving.within.clone_from(&within);
        leaving_all.within = within;
        if request.mode == Mode::Append {
            fates.settle_existing(&found);
        } else {
            leaving.keys = Some((key.clone(), found.iter().filter(|key| passing.contains(*key)).copied().collect()));
            leaving_all.keys = Some((key, found));
        }
    }
    let mut removed = existing::removed(sql, base, &[&leaving, &leaving_all]).await?;
    let all = removed.pop().unwrap_or_default();
    Ok((removed.pop().unwrap_or_default(), all))
}

struct FilesWritten {
    rows: FileFacts,
    aside: Option<FileFacts>,
    /// Hashes of the rows that join when everything is committed.
    joining: TableSum,
}

/// Brings the files of the area in line with the fates.
async fn write(area: &Area, request: &StageRequest, judge: &Judge, scanned: &mut Scanned) -> Result<FilesWritten> {
    let missing = || Error::internal("staging rows", "a file was not written");
    let mut rows: FileFacts = scanned.passing.take().ok_or_else(missing)?.into();
    let failing = scanned.failing.take().ok_or_else(missing)?;
    let failing_path = area.file("failing.parquet");
    let mut aside = None;
    let mut joining = TableSum::zero();
    if failing.rows > 0 || scanned.fates.has_late() {
        let mut sink = AsideSink::create(area, request, judge)?;
        if scanned.fates.has_late() {
            rows = split_late(area, judge, scanned, &mut sink).await?;
        }
        let fates = &scanned.fates;
        let failed = ordinals(fates, |reason| reason != PASSES);
        let mut at = 0;
        for batch in crate::parquet::read(&failing_path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            let rows = &failed[at..at + batch.num_rows()];
            at += batch.num_rows();
            sink.write(&batch, rows, fates, judge).await?;
        }
        joining = sink.joining.clone();
        aside = Some(sink.finish().await?);
    }
    std::fs::remove_file(&failing_path).map_err(|cause| Error::storage("staging rows", cause))?;
    Ok(FilesWritten { rows, aside, joining })
}

/// Writes the file of passing rows anew without those that do not pass in the end.
async fn split_late(area: &Area, judge: &Judge, scanned: &mut Scanned, sink: &mut AsideSink) -> Result<FileFacts> {
    let filtering = |cause| Error::internal("filtering rows", cause);
    let fates = &scanned.fates;
    let taken = ordinals(fates, |reason| reason == PASSES);
    let reader = crate::parquet::read(&area.rows())?;
    let path = area.file("rows.new.parquet");
    let mut kept = FileSink::create(&path, &reader.schema())?;
    let mut at = 0;
    for batch in reader {
        let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
        let rows = &taken[at..at + batch.num_rows()];
        at += batch.num_rows();
        let stays: BooleanArray = rows.iter().map(|row| Some(fates.last[*row] == PASSES)).collect();
        kept.write(filter_record_batch(&batch, &stays).map_err(filtering)?).await?;
        let leaves = arrow::compute::not(&stays).map_err(filtering)?;
        if leaves.true_count() > 0 {
            let late = filter_record_batch(&batch, &leaves).map_err(filtering)?;
            judge.digester().hashes(&late)?.iter().for_each(|hash| scanned.sum.subtract(hash));
            let late_rows: Vec<usize> = rows.iter().copied().filter(|row| fates.last[*row] != PASSES).collect();
            sink.write(&late, &late_rows, fates, judge).await?;
        }
    }
    let written = kept.finish().await?;
    std::fs::rename(&path, area.rows()).map_err(|cause| Error::storage("staging rows", cause))?;
    Ok(written.into())
}

/// The file of rows set aside.
struct AsideSink {
    sink: FileSink,
    schema: SchemaRef,
    names: Vec<String>,
    joining: TableSum,
}

impl AsideSink {
    fn create(area: &Area, request: &StageRequest, judge: &Judge) -> Result<Self> {
        let table = with_column(judge.schema(), crate::table::commit::load_field());
        let reasoned = with_column(&table, Field::new(REASON, DataType::Utf8, true));
        let schema = with_column(&reasoned, Field::new(JOINS, DataType::Boolean, true));
        let names = request.plan.rows.iter().map(|check| check.name.clone()).collect();
        Ok(Self { sink: FileSink::create(&area.aside(), &schema)?, schema, names, joining: TableSum::zero() })
    }

    /// Appends the rows of `batch`, which arrived as numbers `rows`.
    async fn write(&mut self, batch: &RecordBatch, rows: &[usize], fates: &Fates, judge: &Judge) -> Result<()> {
        let reasons = StringArray::from_iter_values(rows.iter().map(|row| reason(fates.last[*row], &self.names)));
        let joins: BooleanArray = rows.iter().map(|row| Some(fates.joins[*row])).collect();
        for (row, hash) in judge.digester().hashes(batch)?.iter().enumerate() {
            if joins.value(row) {
                self.joining.add(hash);
            }
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(reasons));
        columns.push(Arc::new(joins));
        self.sink.write(assemble(&self.schema, columns, rows.len())?).await
    }

    async fn finish(self) -> Result<FileFacts> {
        Ok(self.sink.finish().await?.into())
    }
}

/// Why a row was set aside, in words.
fn reason(code: u16, names: &[String]) -> &str {
    match code {
        NULL_KEY => "null key",
        REPEATED => "repeated key",
        EXISTS => "key exists",
        code => usize::from(code).checked_sub(1).and_then(|check| names.get(check)).map_or("", String::as_str),
    }
}

/// The numbers of the rows whose first reason is as asked.
fn ordinals(fates: &Fates, is: impl Fn(u16) -> bool) -> Vec<usize> {
    fates.first.iter().enumerate().filter(|(_, reason)| is(**reason)).map(|(row, _)| row).collect()
}

/// Rows set aside, by reason: checks in plan order, then keys.
fn counts(fates: &Fates, request: &StageRequest) -> Vec<(String, u64)> {
    let names: Vec<String> = request.plan.rows.iter().map(|check| check.name.clone()).collect();
    let codes = (1..=names.len() as u16).chain([NULL_KEY, REPEATED, EXISTS]);
    codes
        .map(|code| {
            (reason(code, &names).to_owned(), fates.last.iter().filter(|reason| **reason == code).count() as u64)
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The values that `check` looks at in the rows that arrived as numbers `wanted`, in that order.
fn values_at(area: &Area, fates: &Fates, judge: &Judge, check: usize, wanted: &[u64]) -> Result<Vec<String>> {
    let mut found = vec![String::new(); wanted.len()];
    if wanted.is_empty() {
        return Ok(found);
    }
    for (path, passes) in [(area.rows(), true), (area.file("failing.parquet"), false)] {
        let numbers = ordinals(fates, |reason| (reason == PASSES) == passes);
        let mut at = 0;
        for batch in crate::parquet::read(&path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            for (row, number) in numbers[at..at + batch.num_rows()].iter().enumerate() {
                if let Some(place) = wanted.iter().position(|wanted| *wanted == *number as u64) {
                    found[place] = judge.values(check, &batch, row);
                }
            }
            at += batch.num_rows();
        }
    }
    Ok(found)
}
