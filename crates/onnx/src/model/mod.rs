//! A model that is ready to be evaluated.

mod load;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use plan::{Bounds, Buffers, Plan, Usage};

use crate::error::{Error, Result, at_most};
use crate::labels::Labels;
use crate::limits;
use crate::tensor::{ElementType, Tensor};

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Name of the input or output.
    pub name: String,
    /// Element type.
    pub kind: ElementType,
    /// Shape; -1 for a dimension of any length.
    pub shape: Vec<i64>,
    /// The classes of its columns, if the model names them (`ZipMap`).
    pub labels: Option<Labels>,
}

/// The class labels of a model, as its nodes have them.
#[derive(Debug, Clone)]
pub struct ClassLabels {
    /// By the name of a `ZipMap` output.
    by_output: Vec<(String, Labels)>,
    labels: Option<Labels>,
}

impl ClassLabels {
    /// Reads the labels of an ONNX file, also of one that this evaluator does not support.
    ///
    /// # Errors
    /// The file is not a valid model or exceeds the [`limits`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        load::class_labels(&crate::proto::decode(bytes)?)
    }

    /// The labels of the scores in an output; `None` if the model does not name its classes.
    pub fn of_output(&self, output: &str) -> Option<&Labels> {
        let own = self.by_output.iter().find(|(name, _)| name == output).map(|(_, labels)| labels);
        own.or(self.labels.as_ref())
    }

    /// The labels of the model; `None` if it does not name its classes.
    pub fn of_model(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }
}

/// A model that this evaluator can run, from several threads at once.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    labels: Option<Labels>,
    plan: Plan,
}

impl Model {
    /// Decodes an ONNX file and builds its operators.
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists all operators and types of a valid model that
    /// this evaluator does not implement; another runtime may evaluate it. The other
    /// errors mean that the file is not a valid model or exceeds the [`limits`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        load::load(&crate::proto::decode(bytes)?)
    }

    /// The inputs, in the file's order.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// The outputs, in the file's order. A list of maps (`ZipMap`) is described, and
    /// returned, as a tensor with one column for each class.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// The classes of a classifier, in the order of its scores, if the model names them.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Evaluates the model. `inputs` has a tensor for each input, by name; shape `[n]` is accepted for `[n, 1]`.
    ///
    /// # Errors
    /// [`Error::Input`] when an input is missing, unknown, or of another type or
    /// shape; [`Error::Run`] when an operator fails on the values.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<(String, Tensor)>> {
        let mut buffers = Buffers::default();
        for (name, _) in inputs {
            if !self.inputs.iter().any(|input| input.name == *name) {
                return Err(Error::Input(format!("the model has no input `{name}`")));
            }
        }
        for (position, expected) in self.inputs.iter().enumerate() {
            let Some((_, given)) = inputs.iter().find(|(name, _)| *name == expected.name) else {
                return Err(Error::Input(format!("input `{}` is missing", expected.name)));
            };
            let mut tensor = given.clone();
            validate_input(expected, &mut tensor)?;
            *self.plan.input(position, &mut buffers) = tensor;
        }
        self.plan.run(&mut buffers, Bounds { operations_max: limits::OPERATIONS_MAX, is_interrupted: &|| false })?;
        let outputs = || (0..self.outputs.len()).map(|at| self.plan.output(at, &buffers));
        let bytes = outputs().map(|output| output.data().bytes()).sum();
        at_most("bytes of outputs", bytes, limits::RUN_BYTES_MAX)?;
        Ok(self.outputs.iter().zip(outputs()).map(|(output, tensor)| (output.name.clone(), tensor.clone())).collect())
    }
}

/// Validates a tensor against an input, and reshapes `[n]` to `[n, 1]`.
fn validate_input(expected: &Value, tensor: &mut Tensor) -> Result<()> {
    let bad = |tensor: &Tensor| {
        Error::Input(format!(
            "input `{}` is {} of shape {:?}, expected {} of shape {:?}",
            expected.name,
            tensor.element_type(),
            tensor.shape(),
            expected.kind,
            expected.shape
        ))
    };
    if tensor.element_type() != expected.kind {
        return Err(bad(tensor));
    }
    if tensor.shape.len() + 1 == expected.shape.len() && matches!(expected.shape.last(), Some(1 | -1)) {
        tensor.shape.push(1);
    }
    let fits = expected.shape.is_empty()
        || (tensor.shape.len() == expected.shape.len()
            && tensor.shape.iter().zip(&expected.shape).all(|(&got, &want)| want < 0 || got as i64 == want));
    if !fits {
        return Err(bad(tensor));
    }
    let rows = tensor.shape.first().copied().unwrap_or(1) as u64;
    at_most("rows", rows, limits::ROWS_MAX)
}
