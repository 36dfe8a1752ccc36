//! Requires deterministic queries where the result is stored.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::sql_error;
use crate::error::{Error, Result};

/// Returns an error when a query calls a nondeterministic function, such as `random()` or `now()`.
pub(crate) fn validate_deterministic(plan: &LogicalPlan) -> Result<()> {
    let mut volatile = None;
    let visited = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(function) = part
                    && function.func.signature().volatility != Volatility::Immutable
                {
                    volatile = Some(function.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    visited.map_err(|cause| sql_error(&cause))?;
    match volatile {
        None => Ok(()),
        Some(name) => Err(Error::sql_with(
            format!("`{name}()` is not deterministic, so the result would not depend only on the inputs"),
            "use times from a column, and derive random numbers from a hash of a column",
        )),
    }
}
