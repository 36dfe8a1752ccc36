//! Queries whose result is kept: it is made of what they read alone.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan, Volatility};

use super::sql_error;
use crate::error::{Error, Result};

/// An error when a query calls a function that answers something else each time, such as `random()` or `now()`.
pub(crate) fn judge_steady(plan: &LogicalPlan) -> Result<()> {
    let mut unsteady = None;
    let looked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(function) = part
                    && function.func.signature().volatility != Volatility::Immutable
                {
                    unsteady = Some(function.func.name().to_owned());
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    looked.map_err(|cause| sql_error(&cause))?;
    match unsteady {
        None => Ok(()),
        Some(name) => Err(Error::sql_with(
            format!("`{name}()` answers something else each time, so that the result would not be that of its inputs"),
            "take times from a column, and let chance be a hash of one",
        )),
    }
}
