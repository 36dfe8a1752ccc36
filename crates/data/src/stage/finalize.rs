//! Completes a staged load after the last row: repeated values and keys, existing keys, files, the change.

use std::sync::Arc;

use arrow::array::RecordBatchReader;
use arrow::array::{BooleanArray, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, SchemaRef};
use perennial_core::digest::TableSum;
use perennial_core::port::data::{Change, Mode, StageRequest, Staged};
use perennial_core::schema::Schema;

use super::check_rows::RowChecker;
use super::dispositions::{EXISTS, NULL_KEY, PASSES, REPEATED, RowDispositions};
use super::key_lookup::{self, Removed};
use super::{SAMPLES_MAX, Scanned, Stager};
use crate::convert::assemble;
use crate::error::{Error, Result};
use crate::keys::KeyColumns;
use crate::parquet::FileSink;
use crate::staging_area::{StagedFile, StagingArea};
use crate::table::{Deletes, OpenTable, key_range};
use crate::types::{ADMITTED, REASON, with_column};

/// A finalized load.
pub(super) struct Finalized {
    pub(super) staged: Staged,
    pub(super) rows: StagedFile,
    pub(super) quarantined: Option<StagedFile>,
}

/// Decides every row's disposition, writes the files of the staging area, and computes the change.
pub(super) async fn finalize(
    stager: &Stager,
    area: &StagingArea,
    request: &StageRequest,
    base: Option<&OpenTable>,
    checker: &RowChecker,
    mut scanned: Scanned,
) -> Result<Finalized> {
    for (check, rows) in scanned.dispositions.resolve_uniques() {
        scanned.answers[check].failed = rows.len() as u64;
        let sampled: Vec<u64> = rows.into_iter().take(SAMPLES_MAX).collect();
        let values = sample_values(area, &scanned.dispositions, checker, check, &sampled)?;
        scanned.answers[check].samples =
            sampled.iter().zip(values).map(|(row, values)| format!("{}: {values}", scanned.origins.at(*row))).collect();
    }
    scanned.dispositions.resolve_keys(request.mode);
    let (removed, removed_all) =
        resolve_against_table(&stager.sql, area, request, base, &mut scanned.dispositions).await?;
    let written = write(area, request, checker, &mut scanned).await?;
    let dispositions = &scanned.dispositions;
    let passing = dispositions.reasons.iter().filter(|reason| **reason == PASSES).count() as u64;
    let forced = dispositions.admitted_by_force.iter().filter(|admitted| **admitted).count() as u64;
    let mut added_all = scanned.sum.clone();
    added_all.merge(&written.forced);
    let staged = Staged {
        schema: Schema::default(),
        arrived: scanned.arrived,
        passing,
        quarantined: counts(dispositions, request),
        rows: scanned.answers,
        aggregates: scanned.aggregates,
        profile: scanned.profile.finish(),
        warnings: Vec::new(),
        change: Change { added_rows: passing, added: scanned.sum, removed_rows: removed.rows, removed: removed.sum },
        change_all: Change {
            added_rows: passing + forced,
            added: added_all,
            removed_rows: removed_all.rows,
            removed: removed_all.sum,
        },
    };
    Ok(Finalized { staged, rows: written.rows, quarantined: written.quarantined })
}

/// Quarantines rows whose key exists in the table (append), and sums the table's rows that are deleted (merge, replaced
/// loads): when the passing rows are committed, and when all rows are.
async fn resolve_against_table(
    sql: &crate::sql::Sql,
    area: &StagingArea,
    request: &StageRequest,
    base: Option<&OpenTable>,
    dispositions: &mut RowDispositions,
) -> Result<(Removed, Removed)> {
    let Some(base) = base.filter(|_| request.mode != Mode::Replace) else { return Ok(Default::default()) };
    let mut deletes = Deletes { keys: None, load: request.replaces, key_range: None };
    let mut deletes_all = deletes.clone();
    if !request.key.is_empty() {
        let key = KeyColumns::new(&request.key);
        let (passing, forced) = dispositions.key_sets();
        let key_range = key_range(&[&area.rows(), &area.file("failing.parquet")], &key)?;
        let found =
            key_lookup::find_existing(sql, base, &key, &[&passing, &forced], key_range.clone(), request.replaces)
                .await?;
        deletes.key_range.clone_from(&key_range);
        deletes_all.key_range = key_range;
        if request.mode == Mode::Append {
            dispositions.resolve_existing(&found);
        } else {
            deletes.keys = Some((key.clone(), found.iter().filter(|key| passing.contains(*key)).copied().collect()));
            deletes_all.keys = Some((key, found));
        }
    }
    let mut removed = key_lookup::removed_rows(sql, base, &[&deletes, &deletes_all]).await?;
    let all = removed.pop().unwrap_or_default();
    Ok((removed.pop().unwrap_or_default(), all))
}

/// The files that a staging area holds in the end.
struct StagedFiles {
    rows: StagedFile,
    quarantined: Option<StagedFile>,
    /// Sum of the hashes of rows admitted by force.
    forced: TableSum,
}

/// Writes the files of the staging area according to the dispositions.
async fn write(
    area: &StagingArea,
    request: &StageRequest,
    checker: &RowChecker,
    scanned: &mut Scanned,
) -> Result<StagedFiles> {
    let missing = || Error::internal("staging rows", "a file was not written");
    let mut rows: StagedFile = scanned.passing.take().ok_or_else(missing)?.into();
    let failing = scanned.failing.take().ok_or_else(missing)?;
    let failing_path = area.file("failing.parquet");
    let mut quarantined = None;
    let mut forced = TableSum::zero();
    if failing.rows > 0 || scanned.dispositions.has_reversals() {
        let mut sink = QuarantineSink::create(area, request, checker)?;
        if scanned.dispositions.has_reversals() {
            rows = rewrite_passing(area, checker, scanned, &mut sink).await?;
        }
        let dispositions = &scanned.dispositions;
        let failed = ordinals(dispositions, |reason| reason != PASSES);
        let mut at = 0;
        for batch in crate::parquet::read(&failing_path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            let rows = &failed[at..at + batch.num_rows()];
            at += batch.num_rows();
            sink.write(&batch, rows, dispositions, checker).await?;
        }
        forced = sink.forced.clone();
        quarantined = Some(sink.finish().await?);
    }
    std::fs::remove_file(&failing_path).map_err(|cause| Error::storage("staging rows", cause))?;
    Ok(StagedFiles { rows, quarantined, forced })
}

/// Rewrites the file of passing rows without those that were quarantined after they were read.
async fn rewrite_passing(
    area: &StagingArea,
    checker: &RowChecker,
    scanned: &mut Scanned,
    sink: &mut QuarantineSink,
) -> Result<StagedFile> {
    let filtering = |cause| Error::internal("filtering rows", cause);
    let dispositions = &scanned.dispositions;
    let initially_passing = ordinals(dispositions, |reason| reason == PASSES);
    let reader = crate::parquet::read(&area.rows())?;
    let path = area.file("rows.new.parquet");
    let mut kept = FileSink::create(&path, &reader.schema())?;
    let mut at = 0;
    for batch in reader {
        let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
        let rows = &initially_passing[at..at + batch.num_rows()];
        at += batch.num_rows();
        let keeps: BooleanArray = rows.iter().map(|row| Some(dispositions.reasons[*row] == PASSES)).collect();
        kept.write(filter_record_batch(&batch, &keeps).map_err(filtering)?).await?;
        let removes = arrow::compute::not(&keeps).map_err(filtering)?;
        if removes.true_count() > 0 {
            let removed = filter_record_batch(&batch, &removes).map_err(filtering)?;
            checker.digester().hashes(&removed)?.iter().for_each(|hash| scanned.sum.subtract(hash));
            let removed_rows: Vec<usize> =
                rows.iter().copied().filter(|row| dispositions.reasons[*row] != PASSES).collect();
            sink.write(&removed, &removed_rows, dispositions, checker).await?;
        }
    }
    let written = kept.finish().await?;
    std::fs::rename(&path, area.rows()).map_err(|cause| Error::storage("staging rows", cause))?;
    Ok(written.into())
}

/// The file of quarantined rows.
struct QuarantineSink {
    sink: FileSink,
    schema: SchemaRef,
    names: Vec<String>,
    forced: TableSum,
}

impl QuarantineSink {
    fn create(area: &StagingArea, request: &StageRequest, checker: &RowChecker) -> Result<Self> {
        let table = with_column(checker.schema(), crate::table::commit::load_field());
        let reasoned = with_column(&table, Field::new(REASON, DataType::Utf8, true));
        let schema = with_column(&reasoned, Field::new(ADMITTED, DataType::Boolean, true));
        let names = request.plan.rows.iter().map(|check| check.name.clone()).collect();
        Ok(Self { sink: FileSink::create(&area.quarantined(), &schema)?, schema, names, forced: TableSum::zero() })
    }

    /// Appends the rows of `batch`, which have the ordinals `rows`.
    async fn write(
        &mut self,
        batch: &RecordBatch,
        rows: &[usize],
        dispositions: &RowDispositions,
        checker: &RowChecker,
    ) -> Result<()> {
        let reasons =
            StringArray::from_iter_values(rows.iter().map(|row| reason(dispositions.reasons[*row], &self.names)));
        let admitted: BooleanArray = rows.iter().map(|row| Some(dispositions.admitted_by_force[*row])).collect();
        for (row, hash) in checker.digester().hashes(batch)?.iter().enumerate() {
            if admitted.value(row) {
                self.forced.add(hash);
            }
        }
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(reasons));
        columns.push(Arc::new(admitted));
        self.sink.write(assemble(&self.schema, columns, rows.len())?).await
    }

    async fn finish(self) -> Result<StagedFile> {
        Ok(self.sink.finish().await?.into())
    }
}

/// The text of a reason.
fn reason(code: u16, names: &[String]) -> &str {
    match code {
        NULL_KEY => "null key",
        REPEATED => "repeated key",
        EXISTS => "key exists",
        code => usize::from(code).checked_sub(1).and_then(|check| names.get(check)).map_or("", String::as_str),
    }
}

/// The ordinals of the rows whose initial reason satisfies `is`.
fn ordinals(dispositions: &RowDispositions, is: impl Fn(u16) -> bool) -> Vec<usize> {
    dispositions.initial.iter().enumerate().filter(|(_, reason)| is(**reason)).map(|(row, _)| row).collect()
}

/// Quarantined rows, by reason: checks in plan order, then keys.
fn counts(dispositions: &RowDispositions, request: &StageRequest) -> Vec<(String, u64)> {
    let names: Vec<String> = request.plan.rows.iter().map(|check| check.name.clone()).collect();
    let codes = (1..=names.len() as u16).chain([NULL_KEY, REPEATED, EXISTS]);
    codes
        .map(|code| {
            (
                reason(code, &names).to_owned(),
                dispositions.reasons.iter().filter(|reason| **reason == code).count() as u64,
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The values of the columns of `check` in the rows with the ordinals `wanted`, in that order.
fn sample_values(
    area: &StagingArea,
    dispositions: &RowDispositions,
    checker: &RowChecker,
    check: usize,
    wanted: &[u64],
) -> Result<Vec<String>> {
    let mut found = vec![String::new(); wanted.len()];
    if wanted.is_empty() {
        return Ok(found);
    }
    for (path, passes) in [(area.rows(), true), (area.file("failing.parquet"), false)] {
        let numbers = ordinals(dispositions, |reason| (reason == PASSES) == passes);
        let mut at = 0;
        for batch in crate::parquet::read(&path)? {
            let batch = batch.map_err(|cause| Error::storage("reading staged rows", cause))?;
            for (row, number) in numbers[at..at + batch.num_rows()].iter().enumerate() {
                if let Some(place) = wanted.iter().position(|wanted| *wanted == *number as u64) {
                    found[place] = checker.values(check, &batch, row);
                }
            }
            at += batch.num_rows();
        }
    }
    Ok(found)
}
