//! The rules of reading JSON lines, written over a map per row: slower, and easy to check by reading.

use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, FieldRef, SchemaRef};
use serde_json::{Map, Number, Value};

use super::super::super::columns::ColumnBuilder;
use super::super::super::infer::InferredType;
use super::super::super::{Inferred, prefer_known};
use crate::convert::assemble;
use crate::types::list;

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
    let inferred = columns.into_iter().map(|(name, values)| {
        let mut is_number_as_text = false;
        let kind = kind(&values.iter().collect::<Vec<_>>(), true, &mut is_number_as_text)?;
        Ok(Inferred { name, kind, is_number_as_text })
    });
    Ok(prefer_known(inferred.collect::<Result<Vec<_>, String>>()?, known))
}

fn kind(values: &[&Value], is_column: bool, is_number_as_text: &mut bool) -> Result<Option<DataType>, String> {
    let lists: Vec<&Vec<Value>> = values.iter().filter_map(|value| value.as_array()).collect();
    let objects: Vec<&Map<String, Value>> = values.iter().filter_map(|value| value.as_object()).collect();
    let scalars = values.iter().filter(|value| !value.is_array() && !value.is_object());
    let scalar = scalars.fold(InferredType::default(), |kind, value| {
        kind.join(match value {
            Value::Bool(_) => InferredType::Bool,
            Value::Number(number) if number.is_f64() => InferredType::Float,
            Value::Number(number) => InferredType::of_integer(&number.to_string()),
            Value::String(text) => match InferredType::of(text) {
                kind @ (InferredType::Date | InferredType::Timestamp) if is_column => kind,
                _ => InferredType::Text,
            },
            _ => return kind,
        })
    });
    *is_number_as_text |= scalar.is_number_as_text();
    match (lists.as_slice(), objects.as_slice(), scalar) {
        ([], [], scalar) => Ok(scalar.kind()),
        (lists, [], InferredType::Unknown) => {
            let elements: Vec<&Value> = lists.iter().copied().flatten().collect();
            Ok(Some(list(kind(&elements, false, is_number_as_text)?.unwrap_or(DataType::Utf8))))
        }
        ([], objects, InferredType::Unknown) => {
            let mut members: Vec<(&String, Vec<&Value>)> = Vec::new();
            for (name, value) in objects.iter().copied().flatten() {
                match members.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, values)) => values.push(value),
                    None => members.push((name, vec![value])),
                }
            }
            if members.is_empty() {
                return Err("an object without members".into());
            }
            let member = |(name, values): (&String, Vec<&Value>)| {
                let kind = kind(&values, false, is_number_as_text)?.unwrap_or(DataType::Utf8);
                Ok(Field::new(name, kind, true))
            };
            Ok(Some(DataType::Struct(members.into_iter().map(member).collect::<Result<_, String>>()?)))
        }
        _ => Err("values of several kinds".into()),
    }
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
    let Some(mut builder) = ColumnBuilder::new(field.data_type(), &super::utc().column("")) else {
        return nested(field, values);
    };
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
        ColumnBuilder::Float(builder) if number.is_f64() => builder.append_value(number.as_f64()?),
        builder @ ColumnBuilder::Float(_) => builder.push(&number.to_string())?,
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
