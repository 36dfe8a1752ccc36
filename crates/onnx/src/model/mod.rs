//! A model ready to run.

mod plan;
mod read;
#[cfg(test)]
mod tests;

pub(crate) use plan::{Buffers, Plan};

use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::limits;
use crate::tensor::{Kind, Tensor};

/// An input or output of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub kind: Kind,
    /// Its shape; -1 where a dimension is free.
    pub shape: Vec<i64>,
    /// The classes its columns stand for, where the model says so (`ZipMap`).
    pub labels: Option<Labels>,
}

/// A model that the evaluator here can run. Runs may come from many threads at once.
#[derive(Debug)]
pub struct Model {
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    labels: Option<Labels>,
    plan: Plan,
}

impl Model {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`Error::Unsupported`] lists everything the evaluator lacks for this
    /// model; another runtime may still run it. The other errors say that the
    /// bytes are no valid model, or one beyond [`limits`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        read::read(&crate::proto::decode(bytes)?)
    }

    /// What the caller gives, in the file's order.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// What the caller gets, in the file's order. Where the file promises a
    /// list of maps (`ZipMap`), a tensor with one column a class is given instead.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// The classes of a classifier, in the order of its scores, where the model names them.
    pub fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs the model once. Every input is given by name; `[n]` is taken for `[n, 1]`.
    pub fn run(&self, inputs: &[(&str, Tensor)]) -> Result<Vec<(String, Tensor)>> {
        let mut buffers = Buffers::default();
        for (name, _) in inputs {
            if !self.inputs.iter().any(|input| input.name == *name) {
                return Err(Error::Input(format!("the model has no input `{name}`")));
            }
        }
        for (position, expected) in self.inputs.iter().enumerate() {
            let Some((_, given)) = inputs.iter().find(|(name, _)| *name == expected.name) else {
                return Err(Error::Input(format!("input `{}` is not given", expected.name)));
            };
            let mut tensor = given.clone();
            fit(expected, &mut tensor)?;
            *self.plan.input(position, &mut buffers) = tensor;
        }
        self.plan.run(&mut buffers)?;
        let outputs = self.outputs.iter().enumerate();
        Ok(outputs.map(|(at, output)| (output.name.clone(), self.plan.output(at, &buffers).clone())).collect())
    }
}

/// Judges a tensor against what the model expects.
fn fit(expected: &Value, tensor: &mut Tensor) -> Result<()> {
    let bad = |tensor: &Tensor| {
        Error::Input(format!(
            "input `{}` is {} of shape {:?}, expected {} of shape {:?}",
            expected.name,
            tensor.kind(),
            tensor.shape(),
            expected.kind,
            expected.shape
        ))
    };
    if tensor.kind() != expected.kind {
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
    crate::error::at_most("rows", rows, limits::ROWS_MAX)
}
