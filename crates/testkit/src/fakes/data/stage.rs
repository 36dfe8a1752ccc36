//! Staging: reconciles columns, evaluates checks, resolves keys, and computes the change of a commit.

use std::collections::HashSet;

use perennial_core::digest::{RowEncoder, TableSum};
use perennial_core::port::data::{AggregateAnswer, Change, Mode, StageRequest, Staged};
use perennial_core::schema::{Schema, SchemaChange, TypeClass};
use perennial_core::{Error, ErrorCode, Result};

use super::cell::Cell;
use super::checks::{check_rows, profile};
use super::expression::{Expression, Scope};
use super::rows::Rows;
use super::table::{StoredRow, Tables, Version};

/// Reasons of quarantined rows that are not the name of a check.
const KEY_REASONS: [&str; 3] = ["null key", "repeated key", "key exists"];

/// A staged load.
#[derive(Clone)]
pub(super) struct StagedLoad {
    pub(super) request: StageRequest,
    /// Schema of the dataset after the commit.
    pub(super) schema: Schema,
    /// The number of the table that the rows were staged against.
    pub(super) base_number: i64,
    pub(super) rows: Vec<StagedRow>,
    pub(super) answer: Staged,
}

/// A staged row.
#[derive(Debug, Clone)]
pub(super) struct StagedRow {
    pub(super) cells: Vec<Cell>,
    pub(super) origin: String,
    /// Why it is quarantined; `None` when it passes.
    pub(super) reason: Option<String>,
    /// Whether it enters when every row is committed, although a check failed.
    joins: bool,
}

impl StagedLoad {
    /// The rows that a commit adds.
    pub(super) fn entering(&self, all: bool) -> impl Iterator<Item = &StagedRow> {
        self.rows.iter().filter(move |row| row.reason.is_none() || all && row.joins)
    }

    /// The rows of the table that a commit keeps, with the columns after the commit.
    pub(super) fn remaining(&self, base: &Version, all: bool) -> Vec<StoredRow> {
        if self.request.mode == Mode::Replace {
            return Vec::new();
        }
        let mut rows: Vec<StoredRow> = base.rows.iter().filter(|row| !self.removes(base, row, all)).cloned().collect();
        for row in &mut rows {
            row.cells.resize(self.schema.fields.len(), Cell::Null);
        }
        rows
    }

    /// Whether a commit removes a row of the table.
    fn removes(&self, base: &Version, row: &StoredRow, all: bool) -> bool {
        let key = &self.request.key;
        let is_merged = || {
            let own = key_of(key, &base.schema, &row.cells);
            own.is_some() && self.entering(all).any(|new| key_of(key, &self.schema, &new.cells) == own)
        };
        self.request.replaces == Some(row.load) || self.request.mode == Mode::Merge && !key.is_empty() && is_merged()
    }

    fn change(&self, base: Option<&Version>, all: bool) -> Change {
        let entering: Vec<&[Cell]> = self.entering(all).map(|row| row.cells.as_slice()).collect();
        let base = base.filter(|_| self.request.mode != Mode::Replace);
        let leaving: Vec<&[Cell]> = base.map_or_else(Vec::new, |base| {
            base.rows.iter().filter(|row| self.removes(base, row, all)).map(|row| row.cells.as_slice()).collect()
        });
        Change {
            added_rows: entering.len() as u64,
            added: sum(&self.schema, &entering),
            removed_rows: leaving.len() as u64,
            removed: sum(&self.schema, &leaving),
        }
    }
}

/// Stages arriving rows against the tables.
pub(super) fn stage(tables: &Tables, request: StageRequest, arriving: Rows) -> Result<StagedLoad> {
    let base = request.base.as_ref().map(|base| tables.at(base)).transpose()?;
    let known = base.map(|base| &base.schema).or(request.schema.as_ref());
    let schema = reconcile(&request, known, &arriving)?;
    let mut rows = fit(&schema, arriving);
    let mut answers = Vec::new();
    for check in &request.plan.rows {
        answers.push(check_rows(tables, check, &schema, &mut rows)?);
    }
    let cells: Vec<&[Cell]> = rows.iter().map(|row| row.cells.as_slice()).collect();
    let scope = Scope { schema: &schema, rows: &cells };
    let mut aggregates = Vec::new();
    for check in &request.plan.aggregates {
        let expression = Expression::parse(&check.expression)?;
        let (holds, values) = (expression.holds(&scope)?, expression.aggregates(&scope)?);
        aggregates.push(AggregateAnswer { name: check.name.clone(), holds, values });
    }
    let profile = profile(&schema, &cells);
    resolve_keys(&request, base, &schema, &mut rows);
    let unknown = Change { added_rows: 0, added: TableSum::zero(), removed_rows: 0, removed: TableSum::zero() };
    let answer = Staged {
        schema: schema.clone(),
        arrived: rows.len() as u64,
        passing: rows.iter().filter(|row| row.reason.is_none()).count() as u64,
        quarantined: reasons(&request, &rows),
        rows: answers,
        aggregates,
        profile,
        warnings: Vec::new(),
        change: unknown.clone(),
        change_all: unknown,
    };
    let base_number = base.map_or(0, |base| base.number);
    let mut staged = StagedLoad { request, schema, base_number, rows, answer };
    staged.answer.change = staged.change(base, false);
    staged.answer.change_all = staged.change(base, true);
    Ok(staged)
}

/// The columns of the dataset after these rows; an error with the differences that are not allowed.
fn reconcile(request: &StageRequest, known: Option<&Schema>, arriving: &Rows) -> Result<Schema> {
    let own = arriving.schema();
    let schema = match known.filter(|_| !(request.evolve && request.mode == Mode::Replace)) {
        None => own,
        Some(known) => {
            let is_refused = |change: &SchemaChange| match change {
                SchemaChange::Added(_) => !(change.is_allowed() || request.evolve),
                SchemaChange::Missing(field) => !(request.evolve || request.optional.contains(&field.name)),
                SchemaChange::Retyped(old, new) => {
                    let is_null = arriving.columns.iter().any(|(name, class)| *name == new.name && class.is_none());
                    !(is_null || (&new.class, &old.class) == (&TypeClass::Int, &TypeClass::Float))
                }
            };
            let changes = known.changes(&own);
            let refused: Vec<String> =
                changes.iter().filter(|change| is_refused(change)).map(ToString::to_string).collect();
            if !refused.is_empty() {
                let (dataset, refused) = (&request.dataset, refused.join("; "));
                let message = format!("the load does not have the columns of dataset `{dataset}`: {refused}");
                return Err(Error::new(ErrorCode::SchemaChanged, message)
                    .with_hint("deliver rows of the dataset's columns, or declare `evolve = true` at the dataset"));
            }
            let mut fields = known.fields.clone();
            fields.extend(own.fields.into_iter().filter(|field| known.field(&field.name).is_none()));
            Schema { fields }
        }
    };
    match request.key.iter().find(|column| schema.field(column).is_none()) {
        Some(column) => {
            let message = format!("key column `{column}` of dataset `{}` is missing in the load", request.dataset);
            Err(Error::new(ErrorCode::SchemaChanged, message))
        }
        None => Ok(schema),
    }
}

/// The arriving rows with the columns and classes of the dataset.
fn fit(schema: &Schema, arriving: Rows) -> Vec<StagedRow> {
    let position = |name: &String| arriving.columns.iter().position(|(own, _)| own == name);
    let positions: Vec<Option<usize>> = schema.fields.iter().map(|field| position(&field.name)).collect();
    let fitted = arriving.rows.into_iter().map(|row| {
        let cells = schema.fields.iter().zip(&positions).map(|(field, position)| {
            let cell = position.map_or(Cell::Null, |position| row.cells[position].clone());
            cell.converted(&field.class).unwrap_or(Cell::Null)
        });
        StagedRow { cells: cells.collect(), origin: row.origin, reason: None, joins: false }
    });
    fitted.collect()
}

/// Quarantines null keys, repeated keys and keys of the table, and chooses the failed rows that may join.
fn resolve_keys(request: &StageRequest, base: Option<&Version>, schema: &Schema, rows: &mut [StagedRow]) {
    if request.key.is_empty() {
        for row in rows {
            row.joins = row.reason.is_some();
        }
        return;
    }
    let keys: Vec<Option<Vec<String>>> = rows.iter().map(|row| key_of(&request.key, schema, &row.cells)).collect();
    let mut existing = HashSet::new();
    if let Some(base) = base.filter(|_| request.mode == Mode::Append) {
        let stays = base.rows.iter().filter(|row| request.replaces != Some(row.load));
        existing.extend(stays.filter_map(|row| key_of(&request.key, &base.schema, &row.cells)));
    }
    // The first row of a key stays, in a merge the last.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    if request.mode == Mode::Merge {
        order.reverse();
    }
    let (mut passed, mut joined) = (HashSet::new(), HashSet::new());
    for index in order.iter().copied() {
        if rows[index].reason.is_some() {
            continue;
        }
        rows[index].reason = match &keys[index] {
            None => Some("null key".to_owned()),
            Some(key) if !passed.insert(key) => Some("repeated key".to_owned()),
            Some(key) if existing.contains(key) => Some("key exists".to_owned()),
            Some(_) => None,
        };
    }
    for index in order {
        let Some(key) = &keys[index] else { continue };
        let has_failed = rows[index].reason.as_ref().is_some_and(|reason| !KEY_REASONS.contains(&reason.as_str()));
        rows[index].joins = has_failed && !passed.contains(key) && !existing.contains(key) && joined.insert(key);
    }
}

/// The number of quarantined rows by reason: checks in plan order, then keys.
fn reasons(request: &StageRequest, rows: &[StagedRow]) -> Vec<(String, u64)> {
    let names = request.plan.rows.iter().map(|check| check.name.as_str()).chain(KEY_REASONS);
    let count = |name: &str| rows.iter().filter(|row| row.reason.as_deref() == Some(name)).count() as u64;
    names.map(|name| (name.to_owned(), count(name))).filter(|(_, count)| *count > 0).collect()
}

/// The key of a row; `None` when a part of it is null.
pub(super) fn key_of(key: &[String], schema: &Schema, cells: &[Cell]) -> Option<Vec<String>> {
    key.iter()
        .map(|name| {
            let column = schema.fields.iter().position(|field| field.name == *name)?;
            Some(&cells[column]).filter(|cell| **cell != Cell::Null).map(Cell::text)
        })
        .collect()
}

/// The sum of the row hashes.
fn sum(schema: &Schema, rows: &[&[Cell]]) -> TableSum {
    let mut order: Vec<usize> = (0..schema.fields.len()).collect();
    order.sort_by(|a, b| schema.fields[*a].name.as_bytes().cmp(schema.fields[*b].name.as_bytes()));
    let (mut sum, mut encoder) = (TableSum::zero(), RowEncoder::new());
    for row in rows {
        // Rows of an earlier version have fewer columns.
        for column in order.iter().filter(|column| **column < row.len()) {
            encoder.column(&schema.fields[*column].name, &row[*column].digest_value());
        }
        sum.add(&encoder.finish());
    }
    sum
}
