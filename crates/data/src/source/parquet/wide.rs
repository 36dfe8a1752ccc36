//! Unsigned integers beyond 64 bits with a sign, at any depth of a column: no number type of a table holds them, so they are
//! text.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef, UInt64Type};
use datafusion::parquet::arrow::ProjectionMask;

use super::{invalid, open_to_read};
use crate::error::Result;
use crate::source::{BATCH_ROWS, LocalFile};

/// The name of a column, then of each member of a struct down to an integer.
type Path = Vec<String>;

/// The unsigned integers of files that have values beyond 64 bits with a sign.
#[derive(Default)]
pub(super) struct WideIntegers(BTreeSet<Path>);

impl WideIntegers {
    /// Reads the columns of the files that have unsigned integers of 64 bits.
    pub(super) fn find(files: &[LocalFile], schemas: &[SchemaRef]) -> Result<Self> {
        let mut wide = Self::default();
        for (file, schema) in files.iter().zip(schemas) {
            let columns = schema.fields().iter().enumerate();
            let unsigned: Vec<usize> =
                columns.filter(|(_, field)| is_unsigned(field.data_type())).map(|(at, _)| at).collect();
            if !unsigned.is_empty() {
                wide.scan(file, unsigned)?;
            }
        }
        Ok(wide)
    }

    fn scan(&mut self, file: &LocalFile, columns: Vec<usize>) -> Result<()> {
        let builder = open_to_read(file)?;
        let only = ProjectionMask::roots(builder.parquet_schema(), columns);
        let reader = builder.with_projection(only).with_batch_size(BATCH_ROWS).build();
        for batch in reader.map_err(|cause| invalid(file, cause))? {
            let batch = batch.map_err(|cause| invalid(file, cause))?;
            for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
                self.add(&mut vec![field.name().clone()], column);
            }
        }
        Ok(())
    }

    /// Adds the paths of an array with such a value.
    fn add(&mut self, path: &mut Path, array: &ArrayRef) {
        match array.data_type() {
            DataType::UInt64 => {
                let values = array.as_primitive::<UInt64Type>();
                if !self.0.contains(path) && values.iter().flatten().any(|value| i64::try_from(value).is_err()) {
                    self.0.insert(path.clone());
                }
            }
            DataType::Dictionary(..) => self.add(path, array.as_any_dictionary().values()),
            DataType::List(_) => self.add(path, array.as_list::<i32>().values()),
            DataType::LargeList(_) => self.add(path, array.as_list::<i64>().values()),
            DataType::FixedSizeList(..) => self.add(path, array.as_fixed_size_list().values()),
            DataType::Struct(members) => {
                for (member, values) in members.iter().zip(array.as_struct().columns()) {
                    path.push(member.name().clone());
                    self.add(path, values);
                    path.pop();
                }
            }
            _ => {}
        }
    }

    /// Whether a column has such values.
    pub(super) fn is_in(&self, column: &str) -> bool {
        self.0.iter().any(|path| path.first().is_some_and(|name| name == column))
    }

    /// The canonical type of a column with such values as text, and with those that are text in the dataset.
    pub(super) fn as_text(&self, column: &Field, original: &Field, known: Option<&Field>) -> DataType {
        let mut path = vec![column.name().clone()];
        self.typed(&mut path, column.data_type(), original.data_type(), known.map(Field::data_type))
    }

    fn typed(&self, path: &mut Path, own: &DataType, original: &DataType, known: Option<&DataType>) -> DataType {
        match (own, original) {
            (_, DataType::UInt64) if self.0.contains(path) || known == Some(&DataType::Utf8) => DataType::Utf8,
            (_, DataType::Dictionary(_, values)) => self.typed(path, own, values, known),
            (
                DataType::List(own),
                DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _),
            ) => {
                let known = match known {
                    Some(DataType::List(known)) => Some(known.data_type()),
                    _ => None,
                };
                let kind = self.typed(path, own.data_type(), element.data_type(), known);
                DataType::List(with_type(own, kind))
            }
            (DataType::Struct(own), DataType::Struct(original)) => {
                let known = match known {
                    Some(DataType::Struct(known)) => known.clone(),
                    _ => Fields::empty(),
                };
                let members = own.iter().zip(original).map(|(own, original)| {
                    path.push(own.name().clone());
                    let known = known.iter().find(|known| known.name() == own.name()).map(|known| known.data_type());
                    let kind = self.typed(path, own.data_type(), original.data_type(), known);
                    path.pop();
                    with_type(own, kind)
                });
                DataType::Struct(members.collect())
            }
            (own, _) => own.clone(),
        }
    }
}

fn is_unsigned(kind: &DataType) -> bool {
    match kind {
        DataType::UInt64 => true,
        DataType::Dictionary(_, values) => is_unsigned(values),
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            is_unsigned(element.data_type())
        }
        DataType::Struct(members) => members.iter().any(|member| is_unsigned(member.data_type())),
        _ => false,
    }
}

fn with_type(field: &FieldRef, kind: DataType) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(kind))
}
