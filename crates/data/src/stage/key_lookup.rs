//! Looks up arriving keys in the table.

use arrow::compute::filter_record_batch;
use datafusion::prelude::{Expr, ident};
use perennial_core::digest::TableSum;
use perennial_core::id::LoadId;

use crate::digest::RowDigester;
use crate::error::{Error, Result};
use crate::keys::{KeyColumns, KeySet};
use crate::sql::Sql;
use crate::table::{Deletes, OpenTable, load_mask, next, stream};
use crate::types::{LOAD, canonical_columns};

/// A number of rows and the sum of their hashes.
#[derive(Debug, Clone, Default)]
pub(super) struct Removed {
    pub(super) rows: u64,
    pub(super) sum: TableSum,
}

/// The keys of `wanted` that exist in the table, in rows of other loads than `replaced_load`.
pub(super) async fn find_existing(
    sql: &Sql,
    opened: &OpenTable,
    key: &KeyColumns,
    wanted: &[&KeySet],
    key_range: Option<Expr>,
    replaced_load: Option<LoadId>,
) -> Result<KeySet> {
    let mut names: Vec<&str> = key.names().iter().map(String::as_str).collect();
    if replaced_load.is_some() {
        names.push(LOAD);
    }
    let has_key_columns = {
        let schema = crate::table::commit::table_schema(opened)?;
        names.iter().all(|name| schema.field_with_name(name).is_ok())
    };
    if !has_key_columns {
        // A key column that the table lacks is null in every row.
        return Ok(KeySet::default());
    }
    let provider = sql.tables().files(opened)?;
    let selected: Vec<_> = names.iter().map(|name| ident(*name)).collect();
    let frame = sql.session().read_table(provider).and_then(|frame| match key_range {
        Some(key_range) => frame.filter(key_range),
        None => Ok(frame),
    });
    let frame = frame.and_then(|frame| frame.select(selected));
    let frame = frame.map_err(|cause| Error::engine("reading the table's keys", cause))?;
    let schema = canonical_columns(frame.schema().as_arrow());
    let mut found = KeySet::default();
    let mut batches = stream(frame).await?;
    while let Some(batch) = next(&mut batches, &schema).await? {
        let is_replaced = load_mask(&batch, replaced_load);
        for (row, key) in key.of(&batch)?.into_iter().enumerate() {
            if let Some(key) = key.filter(|key| !is_replaced.value(row) && wanted.iter().any(|set| set.contains(key))) {
                found.insert(key);
            }
        }
    }
    Ok(found)
}

/// The rows that each of `all_deletes` deletes, found in one scan; the last one deletes the most.
pub(super) async fn removed_rows(sql: &Sql, opened: &OpenTable, all_deletes: &[&Deletes]) -> Result<Vec<Removed>> {
    let mut removed = vec![Removed::default(); all_deletes.len()];
    if all_deletes.iter().all(|deletes| deletes.is_empty()) {
        return Ok(removed);
    }
    let provider = sql.tables().files(opened)?;
    let frame =
        sql.session().read_table(provider).and_then(|frame| match all_deletes.last().and_then(|most| most.filter()) {
            Some(filter) => frame.filter(filter),
            None => Ok(frame),
        });
    let frame = frame.map_err(|cause| Error::engine("reading the rows to delete", cause))?;
    let schema = canonical_columns(frame.schema().as_arrow());
    let digester = RowDigester::new(&schema)?;
    let mut batches = stream(frame).await?;
    while let Some(batch) = next(&mut batches, &schema).await? {
        for (deletes, removed) in all_deletes.iter().zip(&mut removed) {
            let mask = deletes.mask(&batch)?;
            if mask.true_count() == 0 {
                continue;
            }
            let deleted =
                filter_record_batch(&batch, &mask).map_err(|cause| Error::internal("filtering rows", cause))?;
            removed.rows += deleted.num_rows() as u64;
            digester.hashes(&deleted)?.iter().for_each(|hash| removed.sum.add(hash));
        }
    }
    Ok(removed)
}
