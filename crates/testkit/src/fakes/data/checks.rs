//! Evaluates row checks, and profiles columns.

use std::collections::HashSet;

use perennial_core::Result;
use perennial_core::port::data::{ColumnProfile, RowAnswer, RowCheck, RowCondition, ScanPlan};
use perennial_core::schema::{Field, Schema};

use super::cell::Cell;
use super::expression::{Expression, Scope, index_of};
use super::stage::{StagedRow, key_of};
use super::table::Tables;

/// Failing rows that an answer quotes, at most.
const SAMPLES_MAX: usize = 5;

/// Evaluates one check over every row, and gives the rows that it quarantines a reason.
pub(super) fn check_rows(
    tables: &Tables,
    check: &RowCheck,
    schema: &Schema,
    rows: &mut [StagedRow],
) -> Result<RowAnswer> {
    let columns = columns_of(&check.condition, schema)?;
    let failed: Vec<usize> = match &check.condition {
        RowCondition::Predicate(sql) => {
            let expression = Expression::parse(sql)?;
            let mut failed = Vec::new();
            for (index, row) in rows.iter().enumerate() {
                if expression.holds(&Scope { schema, rows: &[&row.cells] })? == Some(false) {
                    failed.push(index);
                }
            }
            failed
        }
        RowCondition::Unique(names) => {
            let keys: Vec<Option<Vec<String>>> = rows.iter().map(|row| key_of(names, schema, &row.cells)).collect();
            let count = |key: &Option<Vec<String>>| keys.iter().filter(|other| *other == key).count();
            let is_repeated = |index: &usize| keys[*index].is_some() && count(&keys[*index]) > 1;
            (0..rows.len()).filter(is_repeated).collect()
        }
        RowCondition::References { table, target, .. } => {
            let other = tables.at(&table.table)?;
            let (own, target) = (columns[0], index_of(&other.schema, target)?);
            let is_known = |cell: &Cell| *cell == Cell::Null || other.rows.iter().any(|row| row.cells[target] == *cell);
            (0..rows.len()).filter(|index| !is_known(&rows[*index].cells[own])).collect()
        }
    };
    let shown = |row: &StagedRow| {
        let values = columns.iter().map(|column| (&schema.fields[*column].name, row.cells[*column].text()));
        let values: Vec<String> = values.map(|(name, value)| format!("{name} = {value}")).collect();
        format!("{}: {}", row.origin, values.join(", "))
    };
    let samples = failed.iter().take(SAMPLES_MAX).map(|index| shown(&rows[*index])).collect();
    if check.quarantines {
        for index in &failed {
            rows[*index].reason.get_or_insert_with(|| check.name.clone());
        }
    }
    Ok(RowAnswer { name: check.name.clone(), rows: rows.len() as u64, failed: failed.len() as u64, samples })
}

/// An error when a check names a column that the schema does not have. Expressions that are not supported pass.
pub(super) fn validate(schema: &Schema, plan: &ScanPlan) -> Result<()> {
    let is_supported = |condition: &RowCondition| match condition {
        RowCondition::Predicate(sql) => Expression::parse(sql).is_ok(),
        RowCondition::Unique(_) | RowCondition::References { .. } => true,
    };
    for check in plan.rows.iter().filter(|check| is_supported(&check.condition)) {
        columns_of(&check.condition, schema)?;
    }
    for expression in plan.aggregates.iter().filter_map(|check| Expression::parse(&check.expression).ok()) {
        expression.columns().iter().try_for_each(|name| index_of(schema, name).map(drop))?;
    }
    Ok(())
}

/// The columns that a check reads.
fn columns_of(condition: &RowCondition, schema: &Schema) -> Result<Vec<usize>> {
    match condition {
        RowCondition::Predicate(sql) => {
            Expression::parse(sql)?.columns().iter().map(|name| index_of(schema, name)).collect()
        }
        RowCondition::Unique(names) => names.iter().map(|name| index_of(schema, name)).collect(),
        RowCondition::References { column, .. } => Ok(vec![index_of(schema, column)?]),
    }
}

/// The profile of each column.
pub(super) fn profile(schema: &Schema, rows: &[&[Cell]]) -> Vec<ColumnProfile> {
    let of_column = |(index, field): (usize, &Field)| {
        let cells: Vec<&Cell> = rows.iter().map(|row| &row[index]).filter(|cell| **cell != Cell::Null).collect();
        let distinct: HashSet<String> = cells.iter().map(|cell| cell.text()).collect();
        let mut ordered = cells.clone();
        ordered.sort_by(|a, b| a.compare(b).unwrap_or(std::cmp::Ordering::Equal));
        ColumnProfile {
            name: field.name.clone(),
            class: field.class.to_string(),
            rows: rows.len() as u64,
            nulls: (rows.len() - cells.len()) as u64,
            distinct: distinct.len() as u64,
            min: ordered.first().map(|cell| cell.json()),
            max: ordered.last().map(|cell| cell.json()),
            mean: None,
            deviation: None,
            quantiles: None,
            top: Vec::new(),
        }
    };
    schema.fields.iter().enumerate().map(of_column).collect()
}
