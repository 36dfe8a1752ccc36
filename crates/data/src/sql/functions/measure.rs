//! Sizes of values, without making them.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BinaryViewArray, LargeBinaryArray, LargeStringArray, OffsetSizeTrait,
    StringArray, StringViewArray,
};
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

/// The bytes of an offset into the values of texts and lists, at most.
const OFFSET: u64 = 8;
/// The bytes of a view of a text.
const VIEW: u64 = 16;

/// The arguments of a function call over the rows of a batch.
pub(super) struct Arguments {
    values: Vec<Argument>,
}

struct Argument {
    array: ArrayRef,
    /// One value for all rows.
    is_constant: bool,
}

impl Argument {
    fn row(&self, row: usize) -> usize {
        if self.is_constant { 0 } else { row }
    }
}

impl Arguments {
    /// The arguments `values`.
    pub(super) fn new(values: &[ColumnarValue]) -> Result<Self> {
        let values = values.iter().map(|value| {
            let (array, is_constant) = match value {
                ColumnarValue::Array(array) => (ArrayRef::clone(array), false),
                ColumnarValue::Scalar(scalar) => (scalar.to_array()?, true),
            };
            Ok(Argument { array, is_constant })
        });
        Ok(Self { values: values.collect::<Result<_>>()? })
    }

    /// Their number.
    pub(super) fn count(&self) -> usize {
        self.values.len()
    }

    /// The bytes of the value of an argument in a row; 0 for null, and for an argument that is missing.
    pub(super) fn bytes(&self, argument: usize, row: usize) -> u64 {
        let Some(value) = self.values.get(argument) else { return 0 };
        let row = value.row(row);
        value_bytes(value.array.as_ref(), row)
    }

    /// The bytes of all arguments in a row.
    pub(super) fn all_bytes(&self, row: usize) -> u64 {
        (0..self.count()).fold(0, |sum, argument| sum.saturating_add(self.bytes(argument, row)))
    }

    /// The whole number in a row; `None` for null, and for an argument that is missing or not a number.
    pub(super) fn integer(&self, argument: usize, row: usize) -> Option<i64> {
        let value = self.values.get(argument)?;
        let row = value.row(row);
        if value.array.is_null(row) {
            return None;
        }
        match value.array.data_type() {
            DataType::Int32 => Some(i64::from(value.array.as_primitive::<Int32Type>().value(row))),
            DataType::Int64 => Some(value.array.as_primitive::<Int64Type>().value(row)),
            _ => {
                let whole = arrow::compute::cast(&value.array.slice(row, 1), &DataType::Int64).ok()?;
                whole.is_valid(0).then(|| whole.as_primitive::<Int64Type>().value(0))
            }
        }
    }

    /// The array of an argument with the index of a row in it.
    pub(super) fn value(&self, argument: usize, row: usize) -> Option<(&ArrayRef, usize)> {
        let value = self.values.get(argument)?;
        Some((&value.array, value.row(row)))
    }

    /// The elements of the list in a row; 0 for null, and for a value other than a list.
    pub(super) fn elements(&self, argument: usize, row: usize) -> u64 {
        let Some(value) = self.values.get(argument) else { return 0 };
        list_values(value.array.slice(value.row(row), 1).as_ref()).map_or(0, |values| values.len() as u64)
    }

    /// The elements of the list in a row, those of inner lists instead of the lists.
    pub(super) fn leaves(&self, argument: usize, row: usize) -> u64 {
        let Some(value) = self.values.get(argument) else { return 0 };
        leaves(value.array.slice(value.row(row), 1).as_ref())
    }
}

fn leaves(array: &dyn Array) -> u64 {
    list_values(array).map_or(array.len() as u64, |values| leaves(values.as_ref()))
}

/// The values of the lists of `array`, which may be a slice.
fn list_values(array: &dyn Array) -> Option<ArrayRef> {
    fn between<O: OffsetSizeTrait>(values: &ArrayRef, offsets: &[O]) -> ArrayRef {
        let at = |index: Option<&O>| index.map_or(0, |offset| offset.as_usize());
        let (start, end) = (at(offsets.first()), at(offsets.last()));
        values.slice(start, end - start)
    }
    match array.data_type() {
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            Some(between(list.values(), list.value_offsets()))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            Some(between(list.values(), list.value_offsets()))
        }
        DataType::FixedSizeList(_, _) => {
            let list = array.as_fixed_size_list();
            let width = list.value_length() as usize;
            Some(list.values().slice(list.value_offset(0) as usize, list.len() * width))
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            let entries: ArrayRef = std::sync::Arc::new(map.entries().clone());
            Some(between(&entries, map.value_offsets()))
        }
        _ => None,
    }
}

/// The bytes of one value; 0 for null.
fn value_bytes(array: &dyn Array, row: usize) -> u64 {
    if array.is_null(row) {
        return 0;
    }
    match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().value_length(row) as u64,
        DataType::LargeUtf8 => array.as_string::<i64>().value_length(row) as u64,
        DataType::Utf8View => array.as_string_view().value(row).len() as u64,
        _ => bytes(array.slice(row, 1).as_ref()),
    }
}

/// The bytes that the values of `array`, which may be a slice, take in memory.
pub(in crate::sql) fn bytes(array: &dyn Array) -> u64 {
    let rows = array.len() as u64;
    if let Some(values) = list_values(array) {
        return bytes(values.as_ref()) + rows * OFFSET;
    }
    let any = array.as_any();
    if let Some(text) = any.downcast_ref::<StringArray>() {
        return span(text.value_offsets()) + rows * OFFSET;
    }
    if let Some(text) = any.downcast_ref::<LargeStringArray>() {
        return span(text.value_offsets()) + rows * OFFSET;
    }
    if let Some(binary) = any.downcast_ref::<BinaryArray>() {
        return span(binary.value_offsets()) + rows * OFFSET;
    }
    if let Some(binary) = any.downcast_ref::<LargeBinaryArray>() {
        return span(binary.value_offsets()) + rows * OFFSET;
    }
    if let Some(text) = any.downcast_ref::<StringViewArray>() {
        return text.iter().flatten().map(|value| value.len() as u64).sum::<u64>() + rows * VIEW;
    }
    if let Some(binary) = any.downcast_ref::<BinaryViewArray>() {
        return binary.iter().flatten().map(|value| value.len() as u64).sum::<u64>() + rows * VIEW;
    }
    if let Some(fields) = array.as_struct_opt() {
        return fields.columns().iter().map(|column| bytes(column.as_ref())).sum::<u64>() + rows;
    }
    match array.data_type().primitive_width() {
        Some(width) => rows * width as u64,
        None => array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size()) as u64,
    }
}

fn span<O: OffsetSizeTrait>(offsets: &[O]) -> u64 {
    match (offsets.first(), offsets.last()) {
        (Some(first), Some(last)) => (last.as_usize() - first.as_usize()) as u64,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, ListArray};
    use arrow::datatypes::Int64Type;
    use datafusion::common::ScalarValue;

    use super::*;

    #[test]
    fn slices_have_the_size_of_their_rows() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("abc"), None, Some("defgh")]));
        let views: ArrayRef = Arc::new(StringViewArray::from(vec!["a text longer than a view", "x"]));
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), Some(vec![])]);
        let lists: ArrayRef = Arc::new(lists);
        let arguments = Arguments::new(&[
            ColumnarValue::Array(text),
            ColumnarValue::Array(views),
            ColumnarValue::Array(lists),
            ColumnarValue::Scalar(ScalarValue::from("four")),
            ColumnarValue::Array(Arc::new(Int64Array::from(vec![Some(-7), None]))),
        ])
        .unwrap();
        let sizes: Vec<[u64; 4]> = [0, 1].map(|row| [0, 1, 2, 3].map(|argument| arguments.bytes(argument, row))).into();
        assert_eq!(sizes, [[3, 25, 16 + 8, 4], [0, 1, 8, 4]]);
        assert_eq!([0, 1].map(|row| arguments.integer(4, row)), [Some(-7), None]);
        assert_eq!([0, 1].map(|row| arguments.elements(2, row)), [2, 0]);
        assert_eq!((arguments.bytes(9, 0), arguments.elements(3, 0)), (0, 0));
    }
}
