//! Limits the constants of a query, which its plan writes once for each row of a batch.

use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};

use super::functions::bytes;

/// The size up to which a constant is not counted, in bytes.
const SMALL_BYTES: u64 = 256;

/// Refuses a plan whose constants would take more than a memory limit in one batch of rows. It runs after the rules that
/// compute constant expressions.
#[derive(Debug)]
pub(super) struct ConstantLimit {
    /// The memory limit in bytes.
    pub(super) memory_bytes: u64,
}

impl OptimizerRule for ConstantLimit {
    fn name(&self) -> &'static str {
        "constant_limit"
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let rows = config.options().execution.batch_size.get() as u64;
        plan.apply_with_subqueries(|node| {
            // One row, and rows that are written as such.
            let is_single = match node {
                LogicalPlan::Values(_) => true,
                other => matches!(other.inputs().as_slice(), [LogicalPlan::EmptyRelation(_)]),
            };
            if !is_single {
                let taken = constant_bytes(node)?.saturating_mul(rows);
                if taken > self.memory_bytes {
                    return Err(DataFusionError::ResourcesExhausted(format!(
                        "its constants would take {taken} bytes in {rows} rows, expected at most {}: shorten them, or join with a table of them",
                        self.memory_bytes
                    )));
                }
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(Transformed::no(plan))
    }
}

/// The bytes of the large constants of a node, lists of `IN` excepted.
fn constant_bytes(node: &LogicalPlan) -> Result<u64> {
    let mut sum = 0_u64;
    node.apply_expressions(|expr| {
        expr.apply(|part| match part {
            Expr::Literal(value, _) => {
                let size = bytes(value.to_array()?.as_ref());
                if size > SMALL_BYTES {
                    sum = sum.saturating_add(size);
                }
                Ok(TreeNodeRecursion::Continue)
            }
            Expr::InList(_) => Ok(TreeNodeRecursion::Jump),
            _ => Ok(TreeNodeRecursion::Continue),
        })
    })?;
    Ok(sum)
}
