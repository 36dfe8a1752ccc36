//! Tensors.

use std::fmt;
use std::sync::Arc;

use crate::limits;
use crate::proto::DataType;

/// Element types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ElementType {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// Boolean.
    Bool,
    /// Text.
    Text,
}

impl ElementType {
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

    /// Memory of an element, bytes; of a text about the mean.
    pub(crate) const fn bytes(self) -> u64 {
        match self {
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
            Self::Bool => 1,
            Self::Text => 64,
        }
    }

    /// The element type of an ONNX data type; `None` if it is not supported.
    pub(crate) fn from_onnx(data_type: i32) -> Option<Self> {
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

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The elements of a tensor, in row-major order.
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
    /// Booleans.
    Bool(Vec<bool>),
    /// Texts; the empty text represents a missing value.
    Text(Vec<Arc<str>>),
}

/// Evaluates an expression with the vector of whichever variant a [`Data`] is.
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
    /// Number of elements.
    pub fn len(&self) -> usize {
        with_data!(self, values => values.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Memory of the elements, bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.len() as u64 * self.element_type().bytes()
    }

    /// The element type.
    pub fn element_type(&self) -> ElementType {
        match self {
            Self::F32(_) => ElementType::F32,
            Self::F64(_) => ElementType::F64,
            Self::I64(_) => ElementType::I64,
            Self::I32(_) => ElementType::I32,
            Self::Bool(_) => ElementType::Bool,
            Self::Text(_) => ElementType::Text,
        }
    }
}

/// A shape and as many elements.
#[derive(Debug, Clone)]
pub struct Tensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) data: Data,
    /// Most memory that [`Self::reset`] may give the elements, bytes.
    pub(crate) bytes_max: u64,
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.data == other.data
    }
}

impl Default for Tensor {
    /// An empty tensor of 32-bit floats, which allocates nothing.
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Tensor {
    /// An empty tensor of 32-bit floats.
    pub(crate) const EMPTY: Self =
        Self { shape: Vec::new(), data: Data::F32(Vec::new()), bytes_max: limits::RUN_BYTES_MAX };

    /// A tensor of `shape`; `None` if the number of elements differs.
    pub fn new(shape: Vec<usize>, data: Data) -> Option<Self> {
        (elements(&shape).ok()? == data.len()).then_some(Self { shape, data, ..Self::EMPTY })
    }

    /// The shape; empty for a scalar.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements, in row-major order.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The element type.
    pub fn element_type(&self) -> ElementType {
        self.data.element_type()
    }

    /// The elements, if they are of type `T`.
    pub(crate) fn values<T: Element>(&self) -> Option<&[T]> {
        T::values(&self.data)
    }

    /// Sets the shape and returns the emptied buffer, which the caller fills with as many
    /// elements. The memory of a previous run is reused. An error, before memory is allocated, when they would take
    /// more than the tensor may.
    pub(crate) fn reset<T: Element>(&mut self, shape: &[usize]) -> Result<&mut Vec<T>, String> {
        let count = elements(shape)?;
        let bytes = count as u64 * T::TYPE.bytes();
        if bytes > self.bytes_max {
            return Err(format!(
                "a tensor of shape {shape:?} takes {bytes} bytes, and {} are left to the evaluation",
                self.bytes_max
            ));
        }
        self.shape.clear();
        self.shape.extend_from_slice(shape);
        if T::values(&self.data).is_none() {
            self.data = T::wrap(Vec::new());
        }
        let Some(buffer) = T::buffer(&mut self.data) else { return Err("the tensor has another type".into()) };
        buffer.clear();
        buffer.reserve(count);
        Ok(buffer)
    }

    /// Copies the elements of `source` with another shape of the same size.
    pub(crate) fn copy(&mut self, source: &Self, shape: &[usize]) -> Result<(), String> {
        with_data!(&source.data, values => {
            self.reset(shape)?.extend_from_slice(values);
        });
        Ok(())
    }

    /// The tensor as rows and columns: one dimension is a single row, dimensions after the second are flattened.
    pub(crate) fn matrix(&self) -> (usize, usize) {
        match self.shape[..] {
            [] => (1, 1),
            [columns] => (1, columns),
            [rows, ref rest @ ..] => (rows, rest.iter().product()),
        }
    }
}

/// The number of elements of a shape, checked against the limits.
pub(crate) fn elements(shape: &[usize]) -> Result<usize, String> {
    if shape.len() > limits::TENSOR_RANK_MAX {
        return Err(format!("a tensor has {} dimensions, expected at most {}", shape.len(), limits::TENSOR_RANK_MAX));
    }
    // Zero lengths count as 1 here, so that the product of any of the other lengths cannot overflow.
    let count = shape.iter().try_fold(1_usize, |product, &length| product.checked_mul(length.max(1)));
    count
        .filter(|&count| count as u64 <= limits::TENSOR_ELEMENTS_MAX)
        .map(|count| if shape.contains(&0) { 0 } else { count })
        .ok_or_else(|| {
            format!("a tensor has shape {shape:?}, expected at most {} elements", limits::TENSOR_ELEMENTS_MAX)
        })
}

/// A Rust type of tensor elements.
pub(crate) trait Element: Clone + PartialEq + Send + Sync + 'static {
    const TYPE: ElementType;

    fn values(data: &Data) -> Option<&[Self]>;
    fn buffer(data: &mut Data) -> Option<&mut Vec<Self>>;
    fn wrap(values: Vec<Self>) -> Data;
}

macro_rules! element {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl Element for $type {
            const TYPE: ElementType = ElementType::$variant;

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
