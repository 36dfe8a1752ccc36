//! Rows that leave a table: by key (merge) or by the load they came with (a changed file).

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use perennial_core::id::LoadId;

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
}

impl Leaving {
    /// Whether no row can leave.
    pub(crate) fn is_nothing(&self) -> bool {
        self.load.is_none() && self.keys.as_ref().is_none_or(|(_, set)| set.is_empty())
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
