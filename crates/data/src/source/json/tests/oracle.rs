//! The rules of reading JSON lines, written over a map per row: slower, and easy to check by reading.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use arrow::json::reader::infer_json_schema_from_iterator;
use serde_json::{Map, Number, Value};

use super::super::super::columns::ColumnBuilder;
use super::super::super::infer::InferredType;
use super::super::super::prefer_known;
use crate::convert::assemble;
use crate::types::canonical;

fn objects(text: &str) -> Result<Vec<Map<String, Value>>, String> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines.map(|line| serde_json::from_str(line).map_err(|cause| cause.to_string())).collect()
}

pub(super) fn infer_schema(text: &str, known: Option<&SchemaRef>) -> Result<SchemaRef, String> {
    let mut columns: Vec<(String, Vec<Value>)> = Vec::new();
    for (name, value) in objects(text)?.into_iter().flatten() {
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => columns.push((name, vec![value])),
        }
    }
    let kinds = columns.into_iter().map(|(name, values)| Ok((name.clone(), kind(&name, &values)?)));
    Ok(prefer_known(&kinds.collect::<Result<Vec<_>, String>>()?, known))
}

fn kind(name: &str, values: &[Value]) -> Result<Option<DataType>, String> {
    let is_nested = |value: &&Value| value.is_array() || value.is_object();
    let nested: Vec<&Value> = values.iter().filter(is_nested).collect();
    let scalar = values.iter().filter(|value| !is_nested(value)).fold(InferredType::default(), |kind, value| {
        kind.join(match value {
            Value::Bool(_) => InferredType::Bool,
            Value::Number(number) if number.is_i64() => InferredType::Int,
            Value::Number(_) => InferredType::Float,
            Value::String(text) => match InferredType::of(text) {
                kind @ (InferredType::Date | InferredType::Timestamp) => kind,
                _ => InferredType::Text,
            },
            _ => return kind,
        })
    });
    if nested.is_empty() {
        return Ok(scalar.kind());
    }
    if scalar != InferredType::Unknown {
        return Err("both scalars and nested values".into());
    }
    let rows = nested.into_iter().map(|value| Ok(Value::Object(Map::from_iter([(name.to_owned(), value.clone())]))));
    let schema = infer_json_schema_from_iterator(rows).map_err(|cause| cause.to_string())?;
    canonical(schema.field(0).data_type()).map(Some).ok_or_else(|| "an unsupported type".into())
}

pub(super) fn rows(text: &str, schema: &SchemaRef) -> Result<RecordBatch, String> {
    let mut rows = objects(text)?;
    let columns = schema.fields().iter().map(|field| {
        let values: Vec<Value> = rows.iter_mut().map(|row| row.remove(field.name()).unwrap_or(Value::Null)).collect();
        column(field, values)
    });
    let columns = columns.collect::<Result<Vec<ArrayRef>, String>>()?;
    if rows.iter().any(|row| !row.is_empty()) {
        return Err("an unknown member".into());
    }
    assemble(schema, columns, rows.len()).map_err(|cause| cause.to_string())
}

fn column(field: &FieldRef, values: Vec<Value>) -> Result<ArrayRef, String> {
    let Some(mut builder) = ColumnBuilder::new(field.data_type()) else { return nested(field, values) };
    for value in values {
        push(&mut builder, &value).ok_or_else(|| format!("{value} is not {}", field.data_type()))?;
    }
    Ok(builder.finish())
}

fn push(builder: &mut ColumnBuilder, value: &Value) -> Option<()> {
    match (value, builder) {
        (Value::Null, builder) => builder.push_null(),
        (Value::String(text), builder) => builder.push(text)?,
        (Value::Bool(bit), builder @ (ColumnBuilder::Bool(_) | ColumnBuilder::Text(_))) => {
            builder.push(&bit.to_string())?;
        }
        (Value::Number(number), builder) => push_number(builder, number)?,
        _ => return None,
    }
    Some(())
}

fn push_number(builder: &mut ColumnBuilder, number: &Number) -> Option<()> {
    match builder {
        ColumnBuilder::Float(builder) => builder.append_value(number.as_f64()?),
        ColumnBuilder::Int(_) | ColumnBuilder::Decimal(..) | ColumnBuilder::Text(_) => {
            builder.push(&number.to_string())?;
        }
        _ => return None,
    }
    Some(())
}

fn nested(field: &FieldRef, values: Vec<Value>) -> Result<ArrayRef, String> {
    let nulls: NullBuffer = values.iter().map(|value| !value.is_null()).collect();
    if let Some(scalar) = values.iter().find(|value| !value.is_array() && !value.is_object() && !value.is_null()) {
        return Err(format!("{scalar} is not {}", field.data_type()));
    }
    match field.data_type() {
        DataType::List(element) => {
            let lists = values.into_iter().map(|value| match value {
                Value::Object(_) => Err("an object is not a list".to_owned()),
                Value::Array(list) => Ok(list),
                _ => Ok(Vec::new()),
            });
            let lists = lists.collect::<Result<Vec<_>, String>>()?;
            let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
            let elements = column(element, lists.into_iter().flatten().collect())?;
            Ok(Arc::new(ListArray::new(Arc::clone(element), offsets, elements, Some(nulls))))
        }
        DataType::Struct(fields) => {
            if values.iter().any(Value::is_array) {
                return Err("a list is not an object".to_owned());
            }
            let member = |field: &FieldRef| {
                let values = values.iter().map(|value| value.get(field.name()).cloned().unwrap_or(Value::Null));
                column(field, values.collect())
            };
            let members = fields.iter().map(member).collect::<Result<Vec<_>, String>>()?;
            let array = StructArray::try_new_with_length(fields.clone(), members, Some(nulls), values.len());
            Ok(Arc::new(array.map_err(|cause| cause.to_string())?))
        }
        other => Err(format!("{other} is not a nested type")),
    }
}
