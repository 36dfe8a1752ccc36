//! Arrays of local times as arrays of instants.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, StructArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit, TimestampMicrosecondType};
use perennial_core::text::one_line;
use perennial_core::time_text::Time;

use super::zone::{ColumnZone, LocalTimes};
use crate::convert;
use crate::error::{Error, Result};
use crate::origin::Origin;

/// The batch with the times that have no zone as instants, also those in lists and structs.
pub(crate) fn with_instants(batch: RecordBatch, times: &LocalTimes, origin: &Origin) -> Result<RecordBatch> {
    let schema = batch.schema();
    if !schema.fields().iter().any(|field| has_local_times(field.data_type())) {
        return Ok(batch);
    }
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let column = if has_local_times(field.data_type()) {
            instants(column, &times.column(field.name())).map_err(|unfit| unfit.describe(field.name(), origin))?
        } else {
            Arc::clone(column)
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    convert::assemble(&Arc::new(Schema::new(fields)), columns, batch.num_rows())
}

/// Why an array has no instants.
enum Unfit {
    /// A local time that does not exist: its text, and the row where it is known.
    Missing(String, Option<usize>),
    /// Values beyond 64 bits of microseconds, or a nested type that is not supported.
    Other(String),
}

impl Unfit {
    fn describe(self, name: &str, origin: &Origin) -> Error {
        let label = origin.label();
        Error::source_file(match self {
            Self::Missing(time, row) => {
                let at = row.map_or_else(|| label.to_owned(), |row| origin.at(row));
                format!(
                    "{at}: column `{name}` is `{time}`, which does not exist in the timezone of the source: its clocks are set forward over this time"
                )
            }
            Self::Other(cause) => format!("{label}: column `{name}` cannot be read as timestamp: {cause}"),
        })
    }

    /// In a list or a struct the row is not known.
    fn nested(self) -> Self {
        match self {
            Self::Missing(time, _) => Self::Missing(time, None),
            Self::Other(cause) => Self::Other(cause),
        }
    }
}

fn has_local_times(kind: &DataType) -> bool {
    match kind {
        DataType::Timestamp(_, None) => true,
        DataType::List(element)
        | DataType::LargeList(element)
        | DataType::ListView(element)
        | DataType::LargeListView(element)
        | DataType::FixedSizeList(element, _) => has_local_times(element.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| has_local_times(field.data_type())),
        _ => false,
    }
}

fn instants(array: &ArrayRef, zone: &ColumnZone) -> Result<ArrayRef, Unfit> {
    match array.data_type() {
        kind if !has_local_times(kind) => Ok(Arc::clone(array)),
        DataType::Timestamp(..) => {
            let strict = CastOptions { safe: false, ..CastOptions::default() };
            let local = cast_with_options(array, &DataType::Timestamp(TimeUnit::Microsecond, None), &strict)
                .map_err(|cause| Unfit::Other(one_line(&cause.to_string())))?;
            let values = local.as_primitive::<TimestampMicrosecondType>().iter().enumerate();
            let instants = values.map(|(row, value)| match value {
                None => Ok(None),
                Some(us) => match zone.instant_us(Time::Local(us)) {
                    Some(instant) => Ok(Some(instant)),
                    None => Err(Unfit::Missing(convert::text(&local, row), Some(row))),
                },
            });
            let instants: TimestampMicrosecondArray = instants.collect::<Result<_, Unfit>>()?;
            Ok(Arc::new(instants.with_timezone("UTC")))
        }
        DataType::List(field) => {
            let list = array.as_list::<i32>();
            let values = instants(list.values(), zone).map_err(Unfit::nested)?;
            let field = Arc::new(Field::new(field.name(), values.data_type().clone(), true));
            let list = ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned());
            list.map(|list| Arc::new(list) as ArrayRef).map_err(|cause| Unfit::Other(one_line(&cause.to_string())))
        }
        DataType::Struct(fields) => {
            let members =
                array.as_struct().columns().iter().map(|member| instants(member, zone).map_err(Unfit::nested));
            let members = members.collect::<Result<Vec<_>, _>>()?;
            let typed = fields.iter().zip(&members);
            let fields: Fields =
                typed.map(|(field, member)| Field::new(field.name(), member.data_type().clone(), true)).collect();
            let built = StructArray::try_new_with_length(fields, members, array.nulls().cloned(), array.len());
            built.map(|built| Arc::new(built) as ArrayRef).map_err(|cause| Unfit::Other(one_line(&cause.to_string())))
        }
        kind => Err(Unfit::Other(format!("times without a zone in {kind} are not supported"))),
    }
}

#[cfg(test)]
mod tests;
