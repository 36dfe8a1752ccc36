//! `ArrayFeatureExtractor` and `ZipMap`.

use std::sync::Arc;

use crate::node::Node;
use crate::operator::{BuildResult, Inputs, Operator, first_output, integers, resolve_axis};
use crate::tensor::{Tensor, with_data};

#[derive(Debug)]
struct ArrayFeatureExtractor;

/// Passes the scores through. Their labels are part of the model's description (see
/// [`crate::Value::labels`]), so no maps are built.
#[derive(Debug)]
struct ZipMap {
    classes: usize,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "ArrayFeatureExtractor" => Some(Ok(Arc::new(ArrayFeatureExtractor))),
        "ZipMap" => {
            Some(crate::labels::Labels::from_node(node).map(|labels| Arc::new(ZipMap { classes: labels.len() }) as _))
        }
        _ => None,
    }
}

impl Operator for ArrayFeatureExtractor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let columns = *input.shape().last().ok_or("expected at least one dimension")?;
        let positions = integers(inputs.required(1)?)?
            .iter()
            .map(|&position| resolve_axis(position, columns))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shape = input.shape().to_vec();
        if let [_] = shape[..] {
            shape.insert(0, 1);
        }
        if let Some(last) = shape.last_mut() {
            *last = positions.len();
        }
        with_data!(input.data(), values => {
            let output = output.reset(&shape)?;
            gather_columns(values, columns, &positions, output);
        });
        Ok(())
    }
}

/// Copies the elements at `positions` of each row of `columns` elements.
fn gather_columns<T: Clone>(values: &[T], columns: usize, positions: &[usize], output: &mut Vec<T>) {
    for row in values.chunks_exact(columns.max(1)) {
        output.extend(positions.iter().map(|&position| row[position].clone()));
    }
}

impl Operator for ZipMap {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let (_, columns) = input.matrix();
        if columns != self.classes {
            return Err(format!("{columns} scores for {} classes", self.classes));
        }
        output.copy(input, input.shape())
    }
}
