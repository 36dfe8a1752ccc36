//! The dataset's schema and that of arriving rows: what passes, and what the dataset is afterwards.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use perennial_core::port::data::{Mode, StageInput, StageRequest};
use perennial_core::schema::{Schema, SchemaChange};

use crate::error::{Error, Result};
use crate::source::arrow_schema;
use crate::table::Opened;
use crate::types::{LOAD, is_untyped, logical};

/// The dataset's columns so far: from its table, else as declared; `None` before the first load.
pub(super) fn known(base: Option<&Opened>, declared: Option<&Schema>) -> Result<Option<SchemaRef>> {
    match (base, declared) {
        (Some(opened), _) => {
            let schema = crate::table::commit::table_schema(opened)?;
            let own: Vec<_> = schema.fields().iter().filter(|field| field.name() != LOAD).cloned().collect();
            Ok(Some(Arc::new(ArrowSchema::new(own))))
        }
        (None, Some(schema)) => Ok(Some(arrow_schema(schema))),
        (None, None) => Ok(None),
    }
}

/// The columns of the dataset once these rows are in, or the difference that is refused.
pub(super) fn settle(request: &StageRequest, known: Option<&SchemaRef>, arriving: &SchemaRef) -> Result<SchemaRef> {
    let Some(known) = known else { return judge_key(request, typed(arriving)) };
    if request.evolve && request.mode == Mode::Replace {
        return judge_key(request, typed(arriving));
    }
    let mut refused = Vec::new();
    for change in logical(known).changes(&logical(arriving)) {
        let passes = match &change {
            SchemaChange::Added(_) => change.is_allowed() || request.evolve,
            SchemaChange::Missing(field) => request.evolve || request.optional.contains(&field.name),
            SchemaChange::Retyped(old, new) => {
                let untyped = arriving.field_with_name(&new.name).is_ok_and(is_untyped);
                let kind =
                    |schema: &SchemaRef, name: &str| schema.field_with_name(name).map(|f| f.data_type().clone()).ok();
                untyped || reads_as(kind(arriving, &new.name), kind(known, &old.name))
            }
        };
        if !passes {
            refused.push(change.to_string());
        }
    }
    if !refused.is_empty() {
        return Err(Error::Schema {
            message: format!(
                "{} does not have the columns of dataset `{}`: {}",
                what_arrives(&request.input),
                request.dataset,
                refused.join("; ")
            ),
            hint: "deliver rows of the dataset's columns, or declare `evolve = true` at the dataset",
        });
    }
    let mut fields: Vec<Arc<Field>> = known.fields().iter().cloned().collect();
    fields
        .extend(typed(arriving).fields().iter().filter(|field| known.field_with_name(field.name()).is_err()).cloned());
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    crate::types::judge_names(&format!("rows for dataset `{}`", request.dataset), &names)?;
    judge_key(request, Arc::new(ArrowSchema::new(fields)))
}

/// The rows by where they come from: a file by its name, the first of several.
fn what_arrives(input: &StageInput) -> String {
    match input {
        StageInput::Files { files, .. } => match files.as_slice() {
            [] => "the load".to_owned(),
            [file] => format!("file `{}`", file.path),
            [file, others @ ..] => format!("file `{}`, with {} more,", file.path, others.len()),
        },
        StageInput::Sql { .. } => "the result of the query".to_owned(),
        _ => "the load".to_owned(),
    }
}

/// The columns as a dataset has them: those of nulls only are text.
fn typed(arriving: &SchemaRef) -> SchemaRef {
    let fields = arriving.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// Whether values of a type are taken for another without saying so: whole numbers as floats or decimals.
fn reads_as(arriving: Option<DataType>, known: Option<DataType>) -> bool {
    matches!((arriving, known), (Some(DataType::Int64), Some(DataType::Float64 | DataType::Decimal128(_, _))))
}

fn judge_key(request: &StageRequest, schema: SchemaRef) -> Result<SchemaRef> {
    match request.key.iter().find(|column| schema.field_with_name(column).is_err()) {
        Some(column) => Err(Error::Schema {
            message: format!(
                "key column `{column}` of dataset `{}` is not among the columns of {}: {}",
                request.dataset,
                what_arrives(&request.input),
                crate::sql::column_names(&schema).join(", ")
            ),
            hint: "name a column that is there as `key`, in its capital and small letters, or deliver one of that name",
        }),
        None => Ok(schema),
    }
}
