//! Limits the rows that a join or `unnest` may copy.
//!
//! Both write a value of an input row once for each output row, up to a batch of them, so a value of 1 MB that matches
//! 8,192 rows would take 8 GB at once.

use std::fmt::{self, Formatter};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::TryStreamExt;

use super::functions::bytes;

/// The part of the memory limit that one row may take.
const ROW_FRACTION: u64 = 2048;

/// The limits of rows.
#[derive(Debug, Clone)]
pub(super) struct RowLimit {
    /// The operator that copies the rows, as people write it.
    pub(super) operator: &'static str,
    /// The memory limit in bytes.
    pub(super) memory_bytes: u64,
    /// The columns of lists that are unnested.
    pub(super) lists: Vec<usize>,
}

impl RowLimit {
    /// Returns an error when a row of `batch` takes too many bytes, or would when it is repeated for each element of
    /// its lists.
    fn validate(&self, batch: &RecordBatch) -> Result<()> {
        let row_max = self.memory_bytes / ROW_FRACTION;
        let widths: Vec<&ArrayRef> = batch
            .columns()
            .iter()
            .enumerate()
            .filter(|(index, column)| has_any_size(column.data_type()) && !self.lists.contains(index))
            .map(|(_, column)| column)
            .collect();
        if widths.is_empty() {
            return Ok(());
        }
        let total: u64 = widths.iter().map(|column| bytes(column.as_ref())).sum();
        if total <= row_max && self.lists.is_empty() {
            return Ok(());
        }
        for row in 0..batch.num_rows() {
            let width: u64 = widths.iter().map(|column| width(column, row)).sum();
            let lists = self.lists.iter().map(|list| elements(batch.column(*list), row)).max();
            let repeated = width.saturating_mul(lists.unwrap_or_default());
            if width > row_max || repeated > self.memory_bytes {
                return Err(DataFusionError::ResourcesExhausted(format!(
                    "`{}` copies a row of {width} bytes, expected at most {row_max}: leave large columns out, and join them last",
                    self.operator
                )));
            }
        }
        Ok(())
    }
}

fn has_any_size(data_type: &DataType) -> bool {
    data_type.primitive_width().is_none() && !matches!(data_type, DataType::Boolean | DataType::Null)
}

/// The bytes of one value.
fn width(column: &ArrayRef, row: usize) -> u64 {
    match column.data_type() {
        DataType::Utf8 if column.is_valid(row) => column.as_string::<i32>().value_length(row) as u64,
        // Copies of a view share its text.
        DataType::Utf8View | DataType::BinaryView => 16,
        _ => bytes(column.slice(row, 1).as_ref()),
    }
}

/// The elements of a list.
fn elements(column: &ArrayRef, row: usize) -> u64 {
    if column.is_null(row) {
        return 0;
    }
    let length = match column.data_type() {
        DataType::List(_) => column.as_list::<i32>().value_length(row) as u64,
        DataType::LargeList(_) => column.as_list::<i64>().value_length(row) as u64,
        DataType::FixedSizeList(_, length) => *length as u64,
        _ => 1,
    };
    length.max(1)
}

/// The rows of `input`, each within the limit.
#[derive(Debug, Clone)]
pub(super) struct RowLimitExec {
    input: Arc<dyn ExecutionPlan>,
    limit: RowLimit,
}

impl RowLimitExec {
    /// The rows of `input` within `limit`; `input` itself when no column has values of any size.
    pub(super) fn wrap(input: Arc<dyn ExecutionPlan>, limit: RowLimit) -> Arc<dyn ExecutionPlan> {
        if input.schema().fields().iter().any(|field| has_any_size(field.data_type())) {
            Arc::new(Self { input, limit })
        } else {
            input
        }
    }
}

impl DisplayAs for RowLimitExec {
    fn fmt_as(&self, _: DisplayFormatType, formatter: &mut Formatter<'_>) -> fmt::Result {
        write!(formatter, "RowLimitExec: {}", self.limit.operator)
    }
}

impl ExecutionPlan for RowLimitExec {
    fn name(&self) -> &'static str {
        "RowLimitExec"
    }

    fn schema(&self) -> SchemaRef {
        self.input.schema()
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        match children.pop() {
            Some(input) => Ok(Arc::new(Self { input, limit: self.limit.clone() })),
            None => Ok(self),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let limit = self.limit.clone();
        let batches = self.input.execute(partition, context)?;
        let checked = batches.and_then(move |batch| {
            let valid = limit.validate(&batch);
            async move { valid.map(|()| batch) }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), checked)))
    }
}
