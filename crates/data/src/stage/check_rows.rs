//! Checks one batch of rows: row checks, keys, row hashes, profile.

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::dataframe::DataFrame;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::prelude::ident;
use perennial_core::digest::RowHash;
use perennial_core::port::data::{NamedTable, RowCheck, RowCondition, ScanPlan, StageRequest};
use perennial_core::rule::choose;
use perennial_core::schema::Schema;

use super::aggregates;
use crate::convert::text;
use crate::digest::RowDigester;
use crate::error::{Error, Result};
use crate::keys::{Key, KeyColumns, KeySet};
use crate::origin::Origin;
use crate::profile::Profile;
use crate::source::{SourceBatch, arrow_schema};
use crate::sql::{Sql, sql_error};
use crate::table;
use crate::types::{canonical_columns, class_of};

/// Checks batches of one schema.
pub(super) struct RowChecker {
    schema: SchemaRef,
    digester: RowDigester,
    checks: Vec<Check>,
    key: Option<KeyColumns>,
}

struct Check {
    name: String,
    kind: CheckKind,
    quarantines: bool,
    /// Columns shown beside a failing row.
    columns: Vec<usize>,
}

/// A compiled check.
enum CheckKind {
    Predicate(Arc<dyn PhysicalExpr>),
    Unique(KeyColumns),
    References(KeyColumns, Arc<KeySet>),
}

/// A checked batch.
pub(super) struct CheckedBatch {
    pub(super) batch: RecordBatch,
    pub(super) origin: Origin,
    /// Rows that pass the checks known so far.
    pub(super) passes: BooleanArray,
    /// Per row, 0 or one more than the index of the first check that quarantines it.
    pub(super) reasons: Vec<u16>,
    /// Per check, the rows that fail it; `None` where that is known only after the last row.
    pub(super) failures: Vec<Option<BooleanBuffer>>,
    pub(super) hashes: Vec<RowHash>,
    pub(super) keys: Option<Vec<Key>>,
    /// Keys of the unique checks, in plan order.
    pub(super) uniques: Vec<Vec<Key>>,
    pub(super) profile: Profile,
}

impl RowChecker {
    /// Compiles the checks of `request` over `schema`.
    pub(super) async fn new(sql: &Sql, request: &StageRequest, schema: &SchemaRef) -> Result<Self> {
        let mut checks = Vec::with_capacity(request.plan.rows.len());
        for check in &request.plan.rows {
            checks.push(Check::new(sql, check, schema).await?);
        }
        Ok(Self {
            schema: Arc::clone(schema),
            digester: RowDigester::new(schema)?,
            checks,
            key: (!request.key.is_empty()).then(|| KeyColumns::new(&request.key)),
        })
    }

    /// The columns of the batches.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The digester of the batches' rows.
    pub(super) fn digester(&self) -> &RowDigester {
        &self.digester
    }

    /// Checks a batch.
    pub(super) fn check(&self, batch: SourceBatch) -> Result<CheckedBatch> {
        let SourceBatch { batch, origin } = batch;
        let rows = batch.num_rows();
        let mut reasons = vec![0; rows];
        let mut failures = Vec::with_capacity(self.checks.len());
        let mut uniques = Vec::new();
        for (index, check) in self.checks.iter().enumerate() {
            let failed = match &check.kind {
                CheckKind::Predicate(predicate) => Some(failing(predicate.as_ref(), &batch, &check.name)?),
                CheckKind::References(column, values) => {
                    let keys = column.of(&batch)?;
                    let unknown = |row: usize| keys[row].is_some_and(|key| !values.contains(&key));
                    Some(BooleanBuffer::collect_bool(rows, unknown))
                }
                CheckKind::Unique(columns) => {
                    uniques.push(columns.of(&batch)?);
                    None
                }
            };
            if let Some(failed) = failed.as_ref().filter(|_| check.quarantines) {
                let code = index as u16 + 1;
                failed.set_indices().filter(|&row| reasons[row] == 0).collect::<Vec<_>>().into_iter().for_each(|row| {
                    reasons[row] = code;
                });
            }
            failures.push(failed);
        }
        let passes = BooleanArray::new(BooleanBuffer::collect_bool(rows, |row| reasons[row] == 0), None);
        Ok(CheckedBatch {
            hashes: self.digester.hashes(&batch)?,
            keys: self.key.as_ref().map(|key| key.of(&batch)).transpose()?,
            profile: Profile::of(&batch)?,
            batch,
            origin,
            passes,
            reasons,
            failures,
            uniques,
        })
    }

    /// A failing row as text: its position and the values that the check reads.
    pub(super) fn sample(&self, check: usize, checked: &CheckedBatch, row: usize) -> String {
        format!("{}: {}", checked.origin.at(row), self.values(check, &checked.batch, row))
    }

    /// The values that a check reads in a row, as text.
    pub(super) fn values(&self, check: usize, batch: &RecordBatch, row: usize) -> String {
        let values = self.checks[check].columns.iter().map(|&column| {
            format!("{} = {}", self.schema.field(column).name(), text(batch.column(column).as_ref(), row))
        });
        values.collect::<Vec<_>>().join(", ")
    }
}

/// Compiles the checks of a plan over the columns of a dataset, without reading rows.
pub(crate) async fn validate_checks(sql: &Sql, schema: &Schema, plan: &ScanPlan) -> Result<()> {
    let schema = arrow_schema(schema);
    for check in &plan.rows {
        match &check.condition {
            RowCondition::References { column, table, target } => {
                let index = position(&check.name, column, &schema)?;
                referenced_column(sql, &check.name, schema.field(index), table, target).await?;
            }
            _ => drop(Check::new(sql, check, &schema).await?),
        }
    }
    aggregates::validate(sql, &plan.aggregates, &schema)
}

/// The position of a column that a check names.
fn position(check: &str, column: &str, schema: &SchemaRef) -> Result<usize> {
    schema.index_of(column).map_err(|_| {
        let known = crate::sql::column_names(schema);
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let message = format!("check `{check}` names column `{column}`, which does not exist");
        Error::Sql { message, hint: choose(column, &known) }
    })
}

impl Check {
    async fn new(sql: &Sql, check: &RowCheck, schema: &SchemaRef) -> Result<Self> {
        let position = |column: &String| position(&check.name, column, schema);
        let (kind, columns) = match &check.condition {
            RowCondition::Predicate(expression) => {
                let predicate = compile(sql, &check.name, expression, schema)?;
                let mut columns: Vec<usize> =
                    collect_columns(&predicate).into_iter().map(|column| column.index()).collect();
                columns.sort_unstable();
                (CheckKind::Predicate(predicate), columns)
            }
            RowCondition::Unique(columns) => {
                let indices = columns.iter().map(position).collect::<Result<Vec<_>>>()?;
                (CheckKind::Unique(KeyColumns::new(columns)), indices)
            }
            RowCondition::References { column, table, target } => {
                let index = position(column)?;
                let values = referenced_values(sql, &check.name, schema.field(index), table, target).await?;
                (CheckKind::References(KeyColumns::new(std::slice::from_ref(column)), Arc::new(values)), vec![index])
            }
        };
        Ok(Self { name: check.name.clone(), kind, quarantines: check.quarantines, columns })
    }
}

/// Compiles a boolean expression over a row.
fn compile(sql: &Sql, name: &str, expression: &str, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
    let failed = |cause: datafusion::error::DataFusionError| in_check(name, expression, sql_error(&cause));
    let columns = DFSchema::try_from(Arc::clone(schema)).map_err(failed)?;
    let session = sql.deterministic_session();
    let logical = session.parse_sql_expr(expression, &columns).map_err(failed)?;
    let predicate = session.create_physical_expr(logical, &columns).map_err(failed)?;
    match predicate.data_type(schema).map_err(failed)? {
        DataType::Boolean => Ok(predicate),
        other => {
            Err(Error::sql(format!("check `{name}`: `{expression}` is {other}, expected true or false for each row")))
        }
    }
}

/// Adds the check's name and expression to an error in its SQL.
pub(super) fn in_check(name: &str, expression: &str, error: Error) -> Error {
    match error {
        Error::Sql { message, hint } => {
            Error::Sql { message: format!("check `{name}`: `{expression}`: {message}"), hint }
        }
        other => other,
    }
}

/// The rows for which the predicate is false; null passes.
fn failing(predicate: &dyn PhysicalExpr, batch: &RecordBatch, name: &str) -> Result<BooleanBuffer> {
    let evaluated = predicate.evaluate(batch).and_then(|value| value.into_array(batch.num_rows()));
    let array = evaluated.map_err(|cause| match sql_error(&cause) {
        Error::Sql { message, hint } => Error::Sql { message: format!("check `{name}`: {message}"), hint },
        other => other,
    })?;
    let array = array.as_boolean();
    let fails = !array.values();
    Ok(match array.nulls() {
        Some(valid) => &fails & valid.inner(),
        None => fails,
    })
}

/// A column of another table, and the type it has there: one class with the column that is checked by it.
async fn referenced_column(
    sql: &Sql,
    name: &str,
    column: &arrow::datatypes::Field,
    other: &NamedTable,
    target: &str,
) -> Result<(DataFrame, SchemaRef)> {
    let provider = sql.tables().provider(&other.table.path, Some(other.table.delta_version)).await?;
    let session = sql.session();
    let frame = session.read_table(provider).and_then(|frame| frame.select(vec![ident(target)]));
    let frame = frame.map_err(|_| {
        Error::sql(format!("check `{name}` names column `{}.{target}`, which does not exist", other.name))
    })?;
    let schema = canonical_columns(frame.schema().as_arrow());
    let (own, theirs) = (class_of(column.data_type()), class_of(schema.field(0).data_type()));
    if own != theirs {
        let shown = |class: Option<perennial_core::schema::TypeClass>| {
            class.map_or_else(String::new, |class| class.to_string())
        };
        return Err(Error::sql(format!(
            "check `{name}` compares `{}` ({}) with `{}.{target}` ({}): expected the same class",
            column.name(),
            shown(own),
            other.name,
            shown(theirs)
        )));
    }
    Ok((frame, schema))
}

/// The values of a column of another table.
async fn referenced_values(
    sql: &Sql,
    name: &str,
    column: &arrow::datatypes::Field,
    other: &NamedTable,
    target: &str,
) -> Result<KeySet> {
    let (frame, schema) = referenced_column(sql, name, column, other, target).await?;
    let key = KeyColumns::new(&[target.to_owned()]);
    let mut values = KeySet::default();
    let memory = MemoryConsumer::new("references").register(sql.memory());
    let mut batches = table::stream(frame).await?;
    while let Some(batch) = table::next(&mut batches, &schema).await? {
        values.extend(key.of(&batch)?.into_iter().flatten());
        memory
            .try_resize(values.capacity() * size_of::<u128>())
            .map_err(|cause| Error::exhausted(&format!("check `{name}`"), &cause.strip_backtrace()))?;
    }
    Ok(values)
}
