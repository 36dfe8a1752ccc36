//! Reconciles the dataset's schema with that of arriving rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema as ArrowSchema, SchemaRef};
use perennial_core::port::data::{Mode, StageInput, StageRequest};
use perennial_core::schema::{Schema, SchemaChange};

use crate::error::{Error, Result};
use crate::source::arrow_schema;
use crate::table::OpenTable;
use crate::types::{LOAD, is_untyped, logical};

/// The dataset's present columns: from its table, else as declared; `None` before the first load.
pub(super) fn known_columns(base: Option<&OpenTable>, declared: Option<&Schema>) -> Result<Option<SchemaRef>> {
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

/// The columns of the dataset after these rows; an error with the differences that are not allowed, or when they are too
/// deep or too many.
pub(super) fn reconcile(request: &StageRequest, known: Option<&SchemaRef>, arriving: &SchemaRef) -> Result<SchemaRef> {
    let schema = accepted(request, known, arriving)?;
    logical(&schema).validate_size().map_err(|cause| {
        let input = describe_input(&request.input);
        Error::Limit(format!("{input} has too large a schema for dataset `{}`: {cause}", request.dataset))
    })?;
    Ok(schema)
}

fn accepted(request: &StageRequest, known: Option<&SchemaRef>, arriving: &SchemaRef) -> Result<SchemaRef> {
    let Some(known) = known else { return require_key(request, typed(arriving)) };
    if request.evolve && request.mode == Mode::Replace {
        return require_key(request, typed(arriving));
    }
    let mut refused = Vec::new();
    for change in logical(known).changes(&logical(arriving)) {
        let is_allowed = match &change {
            SchemaChange::Added(_) => change.is_allowed() || request.evolve,
            SchemaChange::Missing(field) => request.evolve || request.optional.contains(&field.name),
            SchemaChange::Retyped(old, new) => {
                let untyped = arriving.field_with_name(&new.name).is_ok_and(is_untyped);
                let kind =
                    |schema: &SchemaRef, name: &str| schema.field_with_name(name).map(|f| f.data_type().clone()).ok();
                untyped || widens_to(kind(arriving, &new.name), kind(known, &old.name))
            }
        };
        if !is_allowed {
            refused.push(change.to_string());
        }
    }
    if !refused.is_empty() {
        return Err(Error::Schema {
            message: format!(
                "{} does not have the columns of dataset `{}`: {}",
                describe_input(&request.input),
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
    crate::types::validate_names(&format!("rows for dataset `{}`", request.dataset), &names)?;
    require_key(request, Arc::new(ArrowSchema::new(fields)))
}

/// The input, for messages: a file by its path, the first of several.
fn describe_input(input: &StageInput) -> String {
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

/// The columns as a dataset stores them: nullable, and text where all values are null.
fn typed(arriving: &SchemaRef) -> SchemaRef {
    let fields = arriving.fields().iter().map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// Whether values of a type are converted silently: whole numbers to floats or decimals.
fn widens_to(arriving: Option<DataType>, known: Option<DataType>) -> bool {
    matches!((arriving, known), (Some(DataType::Int64), Some(DataType::Float64 | DataType::Decimal128(_, _))))
}

/// Returns the schema if it has every key column.
fn require_key(request: &StageRequest, schema: SchemaRef) -> Result<SchemaRef> {
    match request.key.iter().find(|column| schema.field_with_name(column).is_err()) {
        Some(column) => Err(Error::Schema {
            message: format!(
                "key column `{column}` of dataset `{}` is not among the columns of {}: {}",
                request.dataset,
                describe_input(&request.input),
                crate::sql::column_names(&schema).join(", ")
            ),
            hint: "declare an existing column as `key`, with the same upper and lower case, or deliver one of that name",
        }),
        None => Ok(schema),
    }
}
