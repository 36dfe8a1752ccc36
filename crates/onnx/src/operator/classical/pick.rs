//! `ArrayFeatureExtractor` and `ZipMap`.

use std::sync::Arc;

use crate::node::Node;
use crate::operator::{Inputs, Made, Operator, axis, only, whole_numbers};
use crate::tensor::{Tensor, with_data};

#[derive(Debug)]
struct ArrayFeatureExtractor;

/// Hands on the scores; their labels are known to the model (see
/// [`crate::Value::labels`]), so no map a row is made.
#[derive(Debug)]
struct ZipMap {
    classes: usize,
}

pub(super) fn make(name: &str, node: &Node<'_>) -> Option<Made> {
    match name {
        "ArrayFeatureExtractor" => Some(Ok(Arc::new(ArrayFeatureExtractor))),
        "ZipMap" => {
            Some(crate::labels::Labels::read(node).map(|labels| Arc::new(ZipMap { classes: labels.len() }) as _))
        }
        _ => None,
    }
}

impl Operator for ArrayFeatureExtractor {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        let columns = *input.shape().last().ok_or("expected at least one dimension")?;
        let positions = whole_numbers(inputs.need(1)?)?
            .iter()
            .map(|&position| axis(position, columns))
            .collect::<Result<Vec<_>, _>>()?;
        let mut shape = input.shape().to_vec();
        if let [_] = shape[..] {
            shape.insert(0, 1);
        }
        if let Some(last) = shape.last_mut() {
            *last = positions.len();
        }
        with_data!(input.data(), values => {
            let output = output.start(&shape)?;
            pick(values, columns, &positions, output);
        });
        Ok(())
    }
}

/// The elements at `positions` of each row of `columns`.
fn pick<T: Clone>(values: &[T], columns: usize, positions: &[usize], output: &mut Vec<T>) {
    for row in values.chunks_exact(columns.max(1)) {
        output.extend(positions.iter().map(|&position| row[position].clone()));
    }
}

impl Operator for ZipMap {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        let (_, columns) = input.matrix();
        if columns != self.classes {
            return Err(format!("{columns} scores for {} classes", self.classes));
        }
        output.copy(input, input.shape())
    }
}
