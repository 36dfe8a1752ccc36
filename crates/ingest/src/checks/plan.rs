//! Compiles checks to the plan of one scan.

use perennial_config::{Check, Condition};
use perennial_core::name::DatasetName;
use perennial_core::port::data::{AggregateCheck, NamedTable, RowCheck, RowCondition, ScanPlan, Severity};

/// A check refers to a dataset without a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("check `{check}` refers to dataset `{dataset}`, which has no version yet")]
pub struct UnknownTable {
    /// The check.
    pub check: String,
    /// The dataset it refers to.
    pub dataset: DatasetName,
}

/// Compiles checks to one scan. `table` finds the version of another dataset that they refer to.
pub fn plan(checks: &[Check], table: impl Fn(&str) -> Option<NamedTable>) -> Result<ScanPlan, UnknownTable> {
    let mut plan = ScanPlan::default();
    for check in checks {
        let condition = match &check.condition {
            Condition::Expression(expression) if check.is_aggregate() => {
                plan.aggregates.push(AggregateCheck { name: check.name.clone(), expression: expression.clone() });
                continue;
            }
            Condition::Expression(expression) => RowCondition::Predicate(expression.clone()),
            Condition::Unique(columns) => RowCondition::Unique(columns.clone()),
            Condition::References { column, dataset, target } => RowCondition::References {
                column: column.clone(),
                table: table(dataset.as_str())
                    .ok_or_else(|| UnknownTable { check: check.name.clone(), dataset: dataset.clone() })?,
                target: target.clone(),
            },
        };
        let quarantines = check.severity == Severity::Error;
        plan.rows.push(RowCheck { name: check.name.clone(), condition, quarantines });
    }
    Ok(plan)
}
