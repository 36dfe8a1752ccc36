//! Compiles checks to the plan of one scan.

use perennial_core::port::data::{AggregateCheck, NamedTable, RowCheck, RowCondition, ScanPlan, Severity};

use perennial_core::sql::is_aggregate;

/// The condition of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// A boolean SQL expression: of a row, or over aggregates when it calls one.
    Expression(String),
    /// No two rows of a load agree in these columns.
    Unique(Vec<String>),
    /// Every value of `column` is a value of `dataset.target`.
    References {
        /// The column checked.
        column: String,
        /// The other dataset.
        dataset: String,
        /// Its column.
        target: String,
    },
}

/// One declared check of a dataset.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name in the project file.
    pub name: String,
    /// Its condition.
    pub condition: Condition,
    /// The share of rows that has to pass, 0 to 1; aggregates do not use it.
    pub at_least: f64,
    /// Whether a failure holds the load or is only reported.
    pub severity: Severity,
}

impl Check {
    /// Whether it is evaluated once a load and not for each row.
    pub fn is_aggregate(&self) -> bool {
        matches!(&self.condition, Condition::Expression(expression) if is_aggregate(expression))
    }
}

/// A check refers to a dataset without a version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("check `{check}` refers to dataset `{dataset}`, which has no version yet")]
pub struct UnknownTable {
    /// The check.
    pub check: String,
    /// The dataset it refers to.
    pub dataset: String,
}

/// Compiles checks to one scan. `table` finds the version of another dataset that they refer to.
pub fn plan(checks: &[Check], table: impl Fn(&str) -> Option<NamedTable>) -> Result<ScanPlan, UnknownTable> {
    let mut plan = ScanPlan::default();
    for check in checks {
        let condition = match &check.condition {
            Condition::Expression(expression) if is_aggregate(expression) => {
                plan.aggregates.push(AggregateCheck { name: check.name.clone(), expression: expression.clone() });
                continue;
            }
            Condition::Expression(expression) => RowCondition::Predicate(expression.clone()),
            Condition::Unique(columns) => RowCondition::Unique(columns.clone()),
            Condition::References { column, dataset, target } => RowCondition::References {
                column: column.clone(),
                table: table(dataset)
                    .ok_or_else(|| UnknownTable { check: check.name.clone(), dataset: dataset.clone() })?,
                target: target.clone(),
            },
        };
        let quarantines = check.severity == Severity::Error;
        plan.rows.push(RowCheck { name: check.name.clone(), condition, quarantines });
    }
    Ok(plan)
}
