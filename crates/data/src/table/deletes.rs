//! Rows that a commit deletes from a table: by key (merge) or by load (a changed file).

use std::path::Path;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use datafusion::prelude::{Expr, ident, lit};
use perennial_core::id::LoadId;

use super::stats::bounds;
use crate::error::Result;
use crate::keys::{KeyColumns, KeySet};
use crate::types::LOAD;

/// The rows of a table to delete.
#[derive(Debug, Clone)]
pub(crate) struct Deletes {
    /// Rows with one of these keys.
    pub(crate) keys: Option<(KeyColumns, KeySet)>,
    /// Rows of this load.
    pub(crate) load: Option<LoadId>,
    /// A condition that every row with one of the keys satisfies; files without such rows are not read.
    pub(crate) key_range: Option<Expr>,
}

/// A condition that every row with a key of the rows in `paths` satisfies: the range of each key column.
pub(crate) fn key_range(paths: &[&Path], key: &KeyColumns) -> Result<Option<Expr>> {
    let mut range: Option<Expr> = None;
    for name in key.names() {
        if let Some((low, high)) = bounds(paths, name)? {
            let own = ident(name.as_str()).between(lit(low), lit(high));
            range = Some(match range {
                None => own,
                Some(others) => others.and(own),
            });
        }
    }
    Ok(range)
}

impl Deletes {
    /// Whether no row is deleted.
    pub(crate) fn is_empty(&self) -> bool {
        self.load.is_none() && self.keys.as_ref().is_none_or(|(_, set)| set.is_empty())
    }

    /// A condition that every deleted row satisfies; `None` when none is known.
    pub(crate) fn filter(&self) -> Option<Expr> {
        let of_load = self.load.map(|load| ident(LOAD).eq(lit(load.to_string())));
        match (&self.keys, &self.key_range, of_load) {
            (None, _, of_load) => of_load,
            (Some(_), Some(range), None) => Some(range.clone()),
            (Some(_), Some(range), Some(of_load)) => Some(range.clone().or(of_load)),
            (Some(_), None, _) => None,
        }
    }

    /// The columns that the rows are matched by.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.keys.iter().flat_map(|(columns, _)| columns.names().to_vec()).collect();
        if self.load.is_some() {
            columns.push(LOAD.to_owned());
        }
        columns
    }

    /// The rows of a batch that are deleted.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut deleted = load_mask(batch, self.load);
        if let Some((columns, set)) = &self.keys {
            let keys = columns.of(batch)?;
            let by_key = BooleanBuffer::collect_bool(keys.len(), |row| keys[row].is_some_and(|key| set.contains(&key)));
            deleted = &deleted | &by_key;
        }
        Ok(BooleanArray::new(deleted, None))
    }
}

/// The rows of a batch that belong to `load`.
pub(crate) fn load_mask(batch: &RecordBatch, load: Option<LoadId>) -> BooleanBuffer {
    let column = load.and_then(|load| Some((load, batch.column_by_name(LOAD)?)));
    match column {
        None => BooleanBuffer::new_unset(batch.num_rows()),
        Some((load, column)) => {
            let (load, column) = (load.to_string(), column.as_string::<i32>());
            BooleanBuffer::collect_bool(batch.num_rows(), |row| column.is_valid(row) && column.value(row) == load)
        }
    }
}
