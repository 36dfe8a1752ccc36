//! Operators that select elements.

use std::sync::Arc;

use super::{BuildResult, Inputs, Operator, first_output, integers, resolve_axis};
use crate::node::Node;
use crate::tensor::{Data, Tensor, with_data};

#[derive(Debug)]
struct Gather {
    axis: i64,
}

/// `Slice`; before operator set 10 the bounds are attributes, later they are inputs.
#[derive(Debug)]
struct Slice {
    bounds: Option<(Vec<i64>, Vec<i64>, Vec<i64>)>,
}

#[derive(Debug)]
struct Split {
    axis: i64,
    lengths: Option<Vec<i64>>,
}

#[derive(Debug)]
struct TopK {
    axis: i64,
    largest: bool,
    count: Option<i64>,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "Gather" => Some(Ok(Arc::new(Gather { axis: node.int("axis", 0) }))),
        "Slice" => {
            let bounds = (node.version < 10)
                .then(|| (node.ints("starts").to_vec(), node.ints("ends").to_vec(), node.ints("axes").to_vec()));
            Some(Ok(Arc::new(Slice { bounds })))
        }
        "Split" => {
            let lengths = node.attribute("split").map(|attribute| attribute.ints.clone());
            Some(Ok(Arc::new(Split { axis: node.int("axis", 0), lengths })))
        }
        "TopK" => {
            let count = node.attribute("k").and_then(|attribute| attribute.i);
            Some(Ok(Arc::new(TopK { axis: node.int("axis", -1), largest: node.int("largest", 1) != 0, count })))
        }
        _ => None,
    }
}

/// The product of the lengths before axis `at`, the length of the axis, and the product of those after it.
fn dimensions_around(shape: &[usize], at: usize) -> (usize, usize, usize) {
    (shape[..at].iter().product(), shape[at], shape[at + 1..].iter().product())
}

/// Copies the elements at `positions` along axis `at`; all positions must be in range.
fn gather(input: &Tensor, at: usize, positions: &[usize], shape: &[usize], output: &mut Tensor) -> Result<(), String> {
    let (outer, length, inner) = dimensions_around(input.shape(), at);
    with_data!(input.data(), values => {
        let output = output.reset(shape)?;
        for block in 0..outer {
            for &position in positions {
                let from = (block * length + position) * inner;
                output.extend_from_slice(&values[from..from + inner]);
            }
        }
    });
    Ok(())
}

impl Operator for Gather {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, indices, output) = (inputs.required(0)?, inputs.required(1)?, first_output(outputs)?);
        let at = resolve_axis(self.axis, input.shape().len())?;
        let length = input.shape()[at];
        if integers(indices)?.len() == 1 && length == 1 && indices.shape() == [1] {
            // A single column is copied as it is; exports of column transformers contain this case.
            resolve_axis(integers(indices)?[0], 1)?;
            return output.copy(input, input.shape());
        }
        let positions =
            integers(indices)?.iter().map(|&index| resolve_axis(index, length)).collect::<Result<Vec<_>, _>>()?;
        let shape = [&input.shape()[..at], indices.shape(), &input.shape()[at + 1..]].concat();
        gather(input, at, &positions, &shape, output)
    }
}

impl Operator for Slice {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let optional = |position| inputs.get(position).map(integers).transpose();
        let (starts, ends, axes, steps) = match &self.bounds {
            Some((starts, ends, axes)) => (starts.clone(), ends.clone(), axes.clone(), None),
            None => (
                integers(inputs.required(1)?)?,
                integers(inputs.required(2)?)?,
                optional(3)?.unwrap_or_default(),
                optional(4)?,
            ),
        };
        let rank = input.shape().len();
        if starts.len() > rank {
            return Err(format!("{} slices of a tensor with {rank} dimensions", starts.len()));
        }
        let mut current = Tensor::default();
        output.copy(input, input.shape())?;
        for (i, (&start, &end)) in starts.iter().zip(&ends).enumerate() {
            let at = resolve_axis(
                if axes.is_empty() { i as i64 } else { *axes.get(i).ok_or("there are too few axes")? },
                rank,
            )?;
            let step =
                steps.as_ref().map_or(Some(1), |steps| steps.get(i).copied()).ok_or("there are too few steps")?;
            let positions = positions(start, end, step, output.shape()[at])?;
            std::mem::swap(&mut current, output);
            let mut shape = current.shape().to_vec();
            shape[at] = positions.len();
            gather(&current, at, &positions, &shape, output)?;
        }
        Ok(())
    }
}

/// The positions of a slice, as in NumPy.
fn positions(start: i64, end: i64, step: i64, length: usize) -> Result<Vec<usize>, String> {
    let length = length as i64;
    let resolve = |at: i64, low: i64, high: i64| (if at < 0 { at.saturating_add(length) } else { at }).clamp(low, high);
    if step == 0 {
        return Err("a slice has step 0".into());
    }
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let (mut at, end) = (resolve(start, low, high), resolve(end, low, high));
    let mut positions = Vec::new();
    while (step > 0 && at < end) || (step < 0 && at > end) {
        positions.push(at as usize);
        at = at.saturating_add(step);
    }
    Ok(positions)
}

impl Operator for Split {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.required(0)?;
        let at = resolve_axis(self.axis, input.shape().len())?;
        let length = input.shape()[at];
        let lengths = match (&self.lengths, inputs.get(1)) {
            (Some(lengths), _) => lengths.clone(),
            (None, Some(tensor)) => integers(tensor)?,
            (None, None) => {
                let part = length.div_ceil(outputs.len().max(1));
                (0..outputs.len()).map(|i| length.saturating_sub(i * part).min(part) as i64).collect()
            }
        };
        let total = lengths.iter().try_fold(0_i64, |sum, &part| sum.checked_add(part));
        let fits = lengths.iter().all(|&part| part >= 0) && total == Some(length as i64);
        if lengths.len() != outputs.len() || !fits {
            return Err(format!("cannot split length {length} into {lengths:?} for {} outputs", outputs.len()));
        }
        inputs.charge(outputs.len().saturating_mul(input.shape()[..at].iter().product()))?;
        let mut from = 0;
        for (output, &part) in outputs.iter_mut().zip(&lengths) {
            let positions: Vec<usize> = (from..from + part as usize).collect();
            from += part as usize;
            let mut shape = input.shape().to_vec();
            shape[at] = positions.len();
            gather(input, at, &positions, &shape, output)?;
        }
        Ok(())
    }
}

impl Operator for TopK {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let input = inputs.required(0)?;
        let Data::F32(values) = input.data() else {
            return Err(format!("expected FP32, got {}", input.element_type()));
        };
        let at = resolve_axis(self.axis, input.shape().len())?;
        let (outer, length, inner) = dimensions_around(input.shape(), at);
        let count = match self.count {
            Some(count) => count,
            None => *integers(inputs.required(1)?)?.first().ok_or("k is missing")?,
        };
        let count = usize::try_from(count).ok().filter(|&count| count <= length).ok_or("k is out of range")?;
        let mut shape = input.shape().to_vec();
        shape[at] = count;
        inputs.charge(values.len().saturating_mul(length.max(1).ilog2() as usize))?;
        let [top, indices] = outputs else { return Err("expected two outputs".into()) };
        let (top, indices) = (top.reset::<f32>(&shape)?, indices.reset::<i64>(&shape)?);
        top.resize(outer * count * inner, 0.0);
        indices.resize(outer * count * inner, 0);
        let mut order = Vec::with_capacity(length);
        for block in 0..outer {
            for lane in 0..inner {
                let value = |position: usize| values[(block * length + position) * inner + lane];
                order.clear();
                order.extend(0..length);
                order.sort_by(|&a, &b| {
                    let ordering = value(a).total_cmp(&value(b));
                    if self.largest { ordering.reverse() } else { ordering }
                });
                for (rank, &position) in order.iter().take(count).enumerate() {
                    top[(block * count + rank) * inner + lane] = value(position);
                    indices[(block * count + rank) * inner + lane] = position as i64;
                }
            }
        }
        Ok(())
    }
}
