//! Rows that leave a table: by key (merge) or by the load they came with (a changed file).

use std::path::Path;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use datafusion::prelude::{Expr, ident, lit};
use perennial_core::id::LoadId;

use super::stats::bounds;
use crate::error::Result;
use crate::keys::{KeyColumns, KeySet};
use crate::types::LOAD;

/// Which rows of a table leave.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// Rows with one of these keys.
    pub(crate) keys: Option<(KeyColumns, KeySet)>,
    /// Rows of this load.
    pub(crate) load: Option<LoadId>,
    /// Holds for every row with one of the keys; spares reading files that have none.
    pub(crate) within: Option<Expr>,
}

/// What holds for every row of a table that has a key of the rows in `paths`, by the bounds of their columns.
pub(crate) fn within(paths: &[&Path], key: &KeyColumns) -> Result<Option<Expr>> {
    let mut within: Option<Expr> = None;
    for name in key.names() {
        if let Some((low, high)) = bounds(paths, name)? {
            let own = ident(name.as_str()).between(lit(low), lit(high));
            within = Some(match within {
                None => own,
                Some(others) => others.and(own),
            });
        }
    }
    Ok(within)
}

impl Leaving {
    /// Whether no row can leave.
    pub(crate) fn is_nothing(&self) -> bool {
        self.load.is_none() && self.keys.as_ref().is_none_or(|(_, set)| set.is_empty())
    }

    /// What holds for every row that leaves, if anything is known.
    pub(crate) fn filter(&self) -> Option<Expr> {
        let of_load = self.load.map(|load| ident(LOAD).eq(lit(load.to_string())));
        match (&self.keys, &self.within, of_load) {
            (None, _, of_load) => of_load,
            (Some(_), Some(within), None) => Some(within.clone()),
            (Some(_), Some(within), Some(of_load)) => Some(within.clone().or(of_load)),
            (Some(_), None, _) => None,
        }
    }

    /// The columns it looks at.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = self.keys.iter().flat_map(|(columns, _)| columns.names().to_vec()).collect();
        if self.load.is_some() {
            columns.push(LOAD.to_owned());
        }
        columns
    }

    /// Which rows of a batch of the table leave.
    pub(crate) fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        let mut leaves = of_load(batch, self.load);
        if let Some((columns, set)) = &self.keys {
            let keys = columns.of(batch)?;
            let by_key = BooleanBuffer::collect_bool(keys.len(), |row| keys[row].is_some_and(|key| set.contains(&key)));
            leaves = &leaves | &by_key;
        }
        Ok(BooleanArray::new(leaves, None))
    }
}

/// Which rows of a batch came with `load`.
pub(crate) fn of_load(batch: &RecordBatch, load: Option<LoadId>) -> BooleanBuffer {
    let column = load.and_then(|load| Some((load, batch.column_by_name(LOAD)?)));
    match column {
        None => BooleanBuffer::new_unset(batch.num_rows()),
        Some((load, column)) => {
            let (load, column) = (load.to_string(), column.as_string::<i32>());
            BooleanBuffer::collect_bool(batch.num_rows(), |row| column.is_valid(row) && column.value(row) == load)
        }
    }
}
