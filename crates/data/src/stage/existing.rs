//! What arriving keys meet in the table.

use arrow::compute::filter_record_batch;
use datafusion::prelude::{Expr, ident};
use perennial_core::digest::TableSum;
use perennial_core::id::LoadId;

use crate::digest::RowDigester;
use crate::error::{Error, Result};
use crate::keys::{KeyColumns, KeySet};
use crate::sql::Sql;
use crate::table::{Leaving, Opened, next, of_load, stream, target_of};
use crate::types::LOAD;

/// Rows and the sum of their hashes.
#[derive(Debug, Clone, Default)]
pub(super) struct Removed {
    pub(super) rows: u64,
    pub(super) sum: TableSum,
}

/// Those of `wanted` that stand in the table, in rows that do not belong to `leaving_load`.
pub(super) async fn keys_in(
    sql: &Sql,
    opened: &Opened,
    key: &KeyColumns,
    wanted: &[&KeySet],
    within: Option<Expr>,
    leaving_load: Option<LoadId>,
) -> Result<KeySet> {
    let mut names: Vec<&str> = key.names().iter().map(String::as_str).collect();
    if leaving_load.is_some() {
        names.push(LOAD);
    }
    let has_all = {
        let schema = crate::table::commit::table_schema(opened)?;
        names.iter().all(|name| schema.field_with_name(name).is_ok())
    };
    if !has_all {
        // A key column that the table lacks was null in every row.
        return Ok(KeySet::default());
    }
    let provider = sql.tables().files(opened)?;
    let selected: Vec<_> = names.iter().map(|name| ident(*name)).collect();
    let frame = sql.session().read_table(provider).and_then(|frame| match within {
        Some(within) => frame.filter(within),
        None => Ok(frame),
    });
    let frame = frame.and_then(|frame| frame.select(selected));
    let frame = frame.map_err(|cause| Error::engine("looking for keys in the table", cause))?;
    let schema = target_of(frame.schema().as_arrow());
    let mut found = KeySet::default();
    let mut batches = stream(frame).await?;
    while let Some(batch) = next(&mut batches, &schema).await? {
        let leaves = of_load(&batch, leaving_load);
        for (row, key) in key.of(&batch)?.into_iter().enumerate() {
            if let Some(key) = key.filter(|key| !leaves.value(row) && wanted.iter().any(|set| set.contains(key))) {
                found.insert(key);
            }
        }
    }
    Ok(found)
}

/// What each of `leavings` takes out of the table, in one scan; the last of them takes the most.
pub(super) async fn removed(sql: &Sql, opened: &Opened, leavings: &[&Leaving]) -> Result<Vec<Removed>> {
    let mut removed = vec![Removed::default(); leavings.len()];
    if leavings.iter().all(|leaving| leaving.is_nothing()) {
        return Ok(removed);
    }
    let provider = sql.tables().files(opened)?;
    let frame =
        sql.session().read_table(provider).and_then(|frame| match leavings.last().and_then(|most| most.filter()) {
            Some(filter) => frame.filter(filter),
            None => Ok(frame),
        });
    let frame = frame.map_err(|cause| Error::engine("looking for rows that leave", cause))?;
    let schema = target_of(frame.schema().as_arrow());
    let digester = RowDigester::new(&schema)?;
    let mut batches = stream(frame).await?;
    while let Some(batch) = next(&mut batches, &schema).await? {
        for (leaving, removed) in leavings.iter().zip(&mut removed) {
            let mask = leaving.mask(&batch)?;
            if mask.true_count() == 0 {
                continue;
            }
            let leaves =
                filter_record_batch(&batch, &mask).map_err(|cause| Error::internal("filtering rows", cause))?;
            removed.rows += leaves.num_rows() as u64;
            digester.hashes(&leaves)?.iter().for_each(|hash| removed.sum.add(hash));
        }
    }
    Ok(removed)
}
