//! Makes operators that multiply rows cooperative, and limits the rows that they copy.
//!
//! DataFusion's sources yield after a number of batches. A join can produce millions of batches from one input batch;
//! unless it yields, too, it cannot be cancelled and blocks its thread. A join whose condition no pair of rows meets
//! produces nothing for as long: its condition fails once the query has been given up.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::joins::utils::JoinFilter;
use datafusion::physical_plan::joins::{HashJoinExec, NestedLoopJoinExec, NestedLoopJoinExecBuilder};
use datafusion::physical_plan::unnest::UnnestExec;

use super::interrupt::{Interrupt, Interruptible};
use super::row_limit::{RowLimit, RowLimitExec};

/// Makes each operator that multiplies rows yield after a number of output batches and end with its query.
#[derive(Debug)]
pub(super) struct CooperativeJoins {
    /// Ends the query.
    pub(super) interrupt: Interrupt,
    /// The memory limit in bytes.
    pub(super) memory_bytes: u64,
}

impl PhysicalOptimizerRule for CooperativeJoins {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        let cooperate = |plan: Arc<dyn ExecutionPlan>| {
            let limit = if plan.name().ends_with("JoinExec") {
                RowLimit { operator: "JOIN", memory_bytes: self.memory_bytes, lists: Vec::new() }
            } else if let Some(unnest) = plan.downcast_ref::<UnnestExec>() {
                let lists = unnest.list_column_indices().iter().map(|list| list.index_in_input_schema).collect();
                RowLimit { operator: "unnest", memory_bytes: self.memory_bytes, lists }
            } else {
                return Ok(Transformed::no(plan));
            };
            let plan = self.interruptible(plan)?;
            let inputs = plan.children().into_iter();
            let inputs = inputs.map(|input| RowLimitExec::wrap(Arc::clone(input), limit.clone())).collect();
            Ok(Transformed::yes(Arc::new(CooperativeExec::new(replace_children_if_necessary(plan, inputs)?)) as _))
        };
        plan.transform_up(cooperate).data()
    }

    fn name(&self) -> &'static str {
        "cooperative_joins"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

impl CooperativeJoins {
    /// The operator with a condition that fails once the query has been given up.
    fn interruptible(&self, plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
        if let Some(join) = plan.downcast_ref::<NestedLoopJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = self.filter(filter);
            return Ok(Arc::new(NestedLoopJoinExecBuilder::from(join).with_filter(Some(filter)).build()?));
        }
        if let Some(join) = plan.downcast_ref::<HashJoinExec>()
            && let Some(filter) = join.filter()
        {
            let filter = self.filter(filter);
            return join.builder().with_filter(Some(filter)).build_exec();
        }
        Ok(plan)
    }

    fn filter(&self, filter: &JoinFilter) -> JoinFilter {
        let expression = Interruptible::new(Arc::clone(filter.expression()), self.interrupt.clone());
        JoinFilter::new(Arc::new(expression), filter.column_indices().to_vec(), Arc::clone(filter.schema()))
    }
}
