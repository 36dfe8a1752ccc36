//! Physical types and type classes: each class is stored as one Arrow type.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field as ArrowField, Fields, Schema as ArrowSchema, SchemaRef, TimeUnit};
use perennial_core::schema::{Field, Schema, TypeClass};

use crate::error::{Error, Result};

/// The column of tables with each row's load; outside digest, checks and `*`.
pub(crate) const LOAD: &str = "_load";
/// The column with the reason of a quarantined row.
pub(crate) const REASON: &str = "_reason";
/// In the staging area, the column that says whether a quarantined row is admitted by force.
pub(crate) const ADMITTED: &str = "_joins";

/// The most columns of a dataset, the fields of structs among them.
pub(crate) const COLUMNS_MAX: usize = perennial_core::schema::FIELDS_MAX;

/// The Arrow type in which values of `given` are stored; `None` for unsupported types.
pub(crate) fn canonical(given: &DataType) -> Option<DataType> {
    Some(match given {
        DataType::Boolean => DataType::Boolean,
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => DataType::Int64,
        DataType::Float16 | DataType::Float32 | DataType::Float64 => DataType::Float64,
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => {
            if *scale < 0 {
                return None;
            }
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Decimal256(_, scale) if *scale >= 0 => DataType::Decimal128(38, *scale),
        // Delta has no type for a time of day, so it is stored as text.
        DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Null
        | DataType::Time32(_)
        | DataType::Time64(_) => DataType::Utf8,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            DataType::Binary
        }
        DataType::Date32 | DataType::Date64 => DataType::Date32,
        DataType::Timestamp(_, _) => timestamp(),
        DataType::Dictionary(_, value) => canonical(value)?,
        DataType::RunEndEncoded(_, values) => canonical(values.data_type())?,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => list(canonical(element.data_type())?),
        DataType::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| canonical(field.data_type()).map(|kind| ArrowField::new(field.name(), kind, true)))
                .collect::<Option<Fields>>()?,
        ),
        _ => return None,
    })
}

/// The class of a canonical type, or of any type that has one.
pub(crate) fn class_of(kind: &DataType) -> Option<TypeClass> {
    Some(match canonical(kind)? {
        DataType::Boolean => TypeClass::Bool,
        DataType::Int64 => TypeClass::Int,
        DataType::Float64 => TypeClass::Float,
        DataType::Decimal128(_, _) => TypeClass::Decimal,
        DataType::Utf8 => TypeClass::Text,
        DataType::Binary => TypeClass::Bytes,
        DataType::Date32 => TypeClass::Date,
        DataType::Timestamp(_, _) => TypeClass::Timestamp,
        DataType::List(element) => TypeClass::List(Box::new(class_of(element.data_type())?)),
        DataType::Struct(fields) => {
            TypeClass::Struct(fields.iter().map(|field| field_of(field)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The Arrow type in which a class is stored. A decimal has 18 digits after the point unless its data have more.
pub(crate) fn arrow_of(class: &TypeClass) -> DataType {
    match class {
        TypeClass::Bool => DataType::Boolean,
        TypeClass::Int => DataType::Int64,
        TypeClass::Float => DataType::Float64,
        TypeClass::Decimal => DataType::Decimal128(38, 18),
        TypeClass::Text | TypeClass::Time => DataType::Utf8,
        TypeClass::Bytes => DataType::Binary,
        TypeClass::Date => DataType::Date32,
        TypeClass::Timestamp => timestamp(),
        TypeClass::List(element) => list(arrow_of(element)),
        TypeClass::Struct(fields) => DataType::Struct(
            fields.iter().map(|field| ArrowField::new(&field.name, arrow_of(&field.class), true)).collect(),
        ),
    }
}

/// Microseconds, UTC.
pub(crate) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A list of nullable elements.
pub(crate) fn list(element: DataType) -> DataType {
    DataType::List(Arc::new(ArrowField::new("element", element, true)))
}

fn field_of(field: &ArrowField) -> Option<Field> {
    Some(Field { name: field.name().clone(), class: class_of(field.data_type())?, nullable: true })
}

/// The logical schema of canonical columns, without `_load`.
pub(crate) fn logical(schema: &ArrowSchema) -> Schema {
    let fields = schema.fields().iter().filter(|field| field.name() != LOAD);
    Schema { fields: fields.filter_map(|field| field_of(field)).collect() }
}

/// The logical schema of a query's result, in canonical types.
pub(crate) fn logical_of_result(schema: &ArrowSchema) -> Schema {
    Schema { fields: schema.fields().iter().filter_map(|field| field_of(field)).collect() }
}

/// A query's result in canonical types.
pub(crate) fn canonical_result(schema: &ArrowSchema) -> Result<SchemaRef> {
    let field = |field: &Arc<ArrowField>| {
        canonical(field.data_type()).map(|kind| ArrowField::new(field.name(), kind, true)).ok_or_else(|| {
            Error::sql(format!("column `{}` has the unsupported type {}", field.name(), field.data_type()))
        })
    };
    Ok(Arc::new(ArrowSchema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>>>()?)))
}

/// A scan's columns in canonical types, `_load` included.
pub(crate) fn canonical_columns(schema: &ArrowSchema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        let kind = canonical(field.data_type()).unwrap_or(DataType::Utf8);
        ArrowField::new(field.name(), kind, true)
    });
    Arc::new(ArrowSchema::new(fields.collect::<Vec<_>>()))
}

/// The metadata key of an input column without a type, because all its values are null.
const UNTYPED: &str = "perennial.untyped";

/// Whether all values of an input's column are null, so that it matches any class.
pub(crate) fn is_untyped(field: &ArrowField) -> bool {
    field.metadata().contains_key(UNTYPED)
}

/// The metadata key of an input column with a warning about its type.
const WARNING: &str = "perennial.warning";

/// The field of an input column with a warning about its type.
pub(crate) fn with_warning(field: ArrowField, warning: &str) -> ArrowField {
    field.with_metadata([(WARNING.to_owned(), warning.to_owned())].into())
}

/// The warnings about the types of an input's columns, each with the column's name.
pub(crate) fn warnings(schema: &ArrowSchema) -> Vec<String> {
    let warning = |field: &ArrowField| Some(format!("column `{}` {}", field.name(), field.metadata().get(WARNING)?));
    schema.fields().iter().filter_map(|field| warning(field)).collect()
}

/// An input's columns in canonical types; `label` names the input in errors.
pub(crate) fn canonical_schema(label: &str, schema: &ArrowSchema) -> Result<SchemaRef> {
    let mut fields = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let kind = canonical(field.data_type()).ok_or_else(|| {
            Error::source_file(format!(
                "{label}: column `{}` has the unsupported type {}",
                field.name(),
                field.data_type()
            ))
        })?;
        let mut canonical = ArrowField::new(field.name(), kind, true);
        if field.data_type() == &DataType::Null {
            canonical.set_metadata([(UNTYPED.to_owned(), String::new())].into());
        }
        fields.push(canonical);
    }
    let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
    validate_names(label, &names)?;
    Ok(Arc::new(ArrowSchema::new(fields)))
}

/// Returns an error for column names that are empty, repeated (ignoring case) or reserved.
pub(crate) fn validate_names(label: &str, names: &[&str]) -> Result<()> {
    if names.len() > COLUMNS_MAX {
        return Err(Error::Limit(format!("{label} has {} columns, expected at most {COLUMNS_MAX}", names.len())));
    }
    let mut seen = HashSet::new();
    for (index, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err(Error::source_file(format!("{label}: column {} has no name", index + 1)));
        }
        if [LOAD, REASON, ADMITTED].contains(name) {
            return Err(Error::source_file(format!("{label}: the column name `{name}` is reserved")));
        }
        if !seen.insert(name.to_lowercase()) {
            return Err(Error::source_file(format!(
                "{label}: column `{name}` appears twice (names differing only in case are equal)"
            )));
        }
    }
    Ok(())
}

/// `schema` with an additional last column.
pub(crate) fn with_column(schema: &ArrowSchema, field: ArrowField) -> SchemaRef {
    let mut fields: Vec<_> = schema.fields().iter().cloned().collect();
    fields.push(Arc::new(field));
    Arc::new(ArrowSchema::new(fields))
}
