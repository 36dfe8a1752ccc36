//! Values that flow through a model.

use std::fmt;
use std::sync::Arc;

use crate::limits;
use crate::proto::DataType;

/// Element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl Kind {
    /// The name in the Open Inference Protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "FP32",
            Self::F64 => "FP64",
            Self::I64 => "INT64",
            Self::I32 => "INT32",
            Self::Bool => "BOOL",
            Self::Text => "BYTES",
        }
    }

    /// The kind of an ONNX element type; `None` for those not taken here.
    pub(crate) fn of(data_type: i32) -> Option<Self> {
        match DataType::try_from(data_type).ok()? {
            DataType::Float => Some(Self::F32),
            DataType::Double => Some(Self::F64),
            DataType::Int64 => Some(Self::I64),
            DataType::Int32 => Some(Self::I32),
            DataType::Bool => Some(Self::Bool),
            DataType::String => Some(Self::Text),
            _ => None,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Elements in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// 64-bit integers.
    I64(Vec<i64>),
    /// 32-bit integers.
    I32(Vec<i32>),
    /// Truth values.
    Bool(Vec<bool>),
    /// Texts; the empty one is missing.
    Text(Vec<Arc<str>>),
}

/// Calls the same code on whichever vector a [`Data`] holds.
macro_rules! with_data {
    ($data:expr, $values:ident => $body:expr) => {
        match $data {
            $crate::tensor::Data::F32($values) => $body,
            $crate::tensor::Data::F64($values) => $body,
            $crate::tensor::Data::I64($values) => $body,
            $crate::tensor::Data::I32($values) => $body,
            $crate::tensor::Data::Bool($values) => $body,
            $crate::tensor::Data::Text($values) => $body,
        }
    };
}
pub(crate) use with_data;

impl Data {
    /// How many elements there are.
    pub fn len(&self) -> usize {
        with_data!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element type.
    pub fn kind(&self) -> Kind {
        match self {
            Self::F32(_) => Kind::F32,
            Self::F64(_) => Kind::F64,
            Self::I64(_) => Kind::I64,
            Self::I32(_) => Kind::I32,
            Self::Bool(_) => Kind::Bool,
            Self::Text(_) => Kind::Text,
        }
    }
}

/// A shape and its elements; their counts agree.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
}

impl Default for Tensor {
    /// Zero rows of float32; takes no memory.
    fn default() -> Self {
        Self { shape: Vec::new(), data: Data::F32(Vec::new()) }
    }
}

impl Tensor {
    /// A tensor of `shape`; `None` when the shape does not hold exactly `data`.
    pub fn new(shape: Vec<usize>, data: Data) -> Option<Self> {
        (elements(&shape).ok()? == data.len()).then_some(Self { shape, data })
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, row-major.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The element type.
    pub fn kind(&self) -> Kind {
        self.data.kind()
    }

    /// The elements, when they are of type `T`.
    pub(crate) fn values<T: Element>(&self) -> Option<&[T]> {
        T::values(&self.data)
    }

    /// Gives the tensor a new shape and hands out its emptied buffer, to be
    /// filled with exactly as many elements. Memory of an earlier run is used again.
    pub(crate) fn start<T: Element>(&mut self, shape: &[usize]) -> Result<&mut Vec<T>, String> {
        let count = elements(shape)?;
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        if T::values(&self.data).is_none() {
            self.data = T::wrap(Vec::new());
        }
        let Some(buffer) = T::buffer(&mut self.data) else { return Err("tensor of two types".into()) };
        buffer.clear();
        buffer.reserve(count);
        Ok(buffer)
    }

    /// Takes the elements of `source` in another shape with the same count.
    pub(crate) fn copy(&mut self, source: &Self, shape: &[usize]) -> Result<(), String> {
        with_data!(&source.data, values => {
            self.start(shape)?.extend_from_slice(values);
        });
        Ok(())
    }

    /// Rows and columns: one dimension is one row, more than two are folded into columns.
    pub(crate) fn matrix(&self) -> (usize, usize) {
        match self.shape[..] {
            [] => (1, 1),
            [columns] => (1, columns),
            [rows, ref rest @ ..] => (rows, rest.iter().product()),
        }
    }
}

/// The number of elements of a shape, judged by the limits.
pub(crate) fn elements(shape: &[usize]) -> Result<usize, String> {
    if shape.len() > limits::TENSOR_RANK_MAX {
        return Err(format!("a tensor of {} dimensions, at most {} are taken", shape.len(), limits::TENSOR_RANK_MAX));
    }
    // Also where one length is 0 the others are bounded, so that no product of some of them overflows.
    let count = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length.max(1)));
    count
        .filter(|&count| count as u64 <= limits::TENSOR_ELEMENTS_MAX)
        .map(|count| if shape.contains(&0) { 0 } else { count })
        .ok_or_else(|| {
            format!("a tensor of shape {shape:?}, at most {} elements are taken", limits::TENSOR_ELEMENTS_MAX)
        })
}

/// Rust types of elements.
pub(crate) trait Element: Clone + PartialEq + Send + Sync + 'static {
    fn values(data: &Data) -> Option<&[Self]>;
    fn buffer(data: &mut Data) -> Option<&mut Vec<Self>>;
    fn wrap(values: Vec<Self>) -> Data;
}

macro_rules! element {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl Element for $type {
            fn values(data: &Data) -> Option<&[Self]> {
                if let Data::$variant(values) = data { Some(values) } else { None }
            }

            fn buffer(data: &mut Data) -> Option<&mut Vec<Self>> {
                if let Data::$variant(values) = data { Some(values) } else { None }
            }

            fn wrap(values: Vec<Self>) -> Data {
                Data::$variant(values)
            }
        }
    )*};
}

element!(f32 => F32, f64 => F64, i64 => I64, i32 => I32, bool => Bool, Arc<str> => Text);
