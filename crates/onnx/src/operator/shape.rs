//! Operators that change the shape or the order of elements.

use std::sync::Arc;

use super::broadcast::{each_index, join, offset, strides};
use super::{BuildResult, Inputs, Operator, first_output, integers, resolve_axis};
use crate::limits;
use crate::node::Node;
use crate::tensor::{Element, Tensor, with_data};

#[derive(Debug)]
enum ReshapeOperator {
    Identity,
    Reshape { zero_is_zero: bool },
    Flatten { axis: i64 },
    Squeeze { axes: Option<Vec<i64>> },
    Unsqueeze { axes: Option<Vec<i64>> },
}

#[derive(Debug)]
struct Transpose {
    order: Vec<i64>,
}

#[derive(Debug)]
struct Concat {
    axis: i64,
}

#[derive(Debug)]
struct ShapeOf {
    start: i64,
    end: Option<i64>,
}

#[derive(Debug)]
struct Expand;

#[derive(Debug)]
struct ConstantOfShape {
    value: Tensor,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    let axes = || node.attribute("axes").map(|attribute| attribute.ints.clone());
    let reshape_operator =
        |reshape_operator: ReshapeOperator| Some(Ok(Arc::new(reshape_operator) as Arc<dyn Operator>));
    match name {
        "Identity" | "Dropout" => reshape_operator(ReshapeOperator::Identity),
        "Reshape" => reshape_operator(ReshapeOperator::Reshape { zero_is_zero: node.int("allowzero", 0) != 0 }),
        "Flatten" => reshape_operator(ReshapeOperator::Flatten { axis: node.int("axis", 1) }),
        "Squeeze" => reshape_operator(ReshapeOperator::Squeeze { axes: axes() }),
        "Unsqueeze" => reshape_operator(ReshapeOperator::Unsqueeze { axes: axes() }),
        "Transpose" => Some(Ok(Arc::new(Transpose { order: node.ints("perm").to_vec() }))),
        "Concat" => Some(Ok(Arc::new(Concat { axis: node.int("axis", 1) }))),
        "Shape" => {
            let end = node.attribute("end").and_then(|attribute| attribute.i);
            Some(Ok(Arc::new(ShapeOf { start: node.int("start", 0), end })))
        }
        "Expand" => Some(Ok(Arc::new(Expand))),
        "ConstantOfShape" => Some(node.tensor("value").map(|value| {
            let value =
                value.unwrap_or_else(|| Tensor { shape: vec![1], data: f32::wrap(vec![0.0]), ..Tensor::default() });
            Arc::new(ConstantOfShape { value }) as Arc<dyn Operator>
        })),
        _ => None,
    }
}

impl Operator for ReshapeOperator {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = input.shape();
        match self {
            Self::Identity => output.copy(input, shape),
            Self::Reshape { zero_is_zero } => {
                let target = integers(inputs.required(1)?)?;
                output.copy(input, &reshape(shape, input.data().len(), &target, *zero_is_zero)?)
            }
            Self::Flatten { axis: at } => {
                let at = if *at == shape.len() as i64 { shape.len() } else { resolve_axis(*at, shape.len())? };
                output.copy(input, &[shape[..at].iter().product(), shape[at..].iter().product()])
            }
            Self::Squeeze { axes } => {
                let axes = given_axes(axes.as_deref(), inputs)?;
                let dropped = resolve(&axes, shape.len())?;
                if dropped.iter().any(|&at| shape[at] != 1) {
                    return Err(format!("axes {axes:?} of shape {shape:?} are not all of length 1"));
                }
                let kept: Vec<usize> = (0..shape.len())
                    .filter(|at| if axes.is_empty() { shape[*at] != 1 } else { !dropped.contains(at) })
                    .map(|at| shape[at])
                    .collect();
                output.copy(input, &kept)
            }
            Self::Unsqueeze { axes } => {
                let axes = given_axes(axes.as_deref(), inputs)?;
                let rank = shape.len() + axes.len();
                if rank > limits::TENSOR_RANK_MAX {
                    return Err(format!("{rank} dimensions, expected at most {}", limits::TENSOR_RANK_MAX));
                }
                let added = resolve(&axes, rank)?;
                let mut rest = shape.iter();
                let wider: Vec<usize> = (0..rank)
                    .map(|at| if added.contains(&at) { Some(1) } else { rest.next().copied() }.unwrap_or(1))
                    .collect();
                output.copy(input, &wider)
            }
        }
    }
}

/// The axes from the attribute (in old operator sets) or from the second input.
fn given_axes(attribute: Option<&[i64]>, inputs: &dyn Inputs) -> Result<Vec<i64>, String> {
    match (attribute, inputs.get(1)) {
        (Some(axes), _) => Ok(axes.to_vec()),
        (None, Some(tensor)) => integers(tensor),
        (None, None) => Ok(Vec::new()),
    }
}

fn resolve(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let resolved = axes.iter().map(|&at| resolve_axis(at, rank)).collect::<Result<Vec<_>, _>>()?;
    let mut sorted = resolved.clone();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() == resolved.len() { Ok(resolved) } else { Err(format!("axes {axes:?} have a duplicate")) }
}

fn reshape(shape: &[usize], count: usize, target: &[i64], zero_is_zero: bool) -> Result<Vec<usize>, String> {
    let bad = || format!("cannot reshape a tensor of shape {shape:?} to {target:?}");
    let mut result = Vec::with_capacity(target.len());
    let mut free = None;
    for (at, &length) in target.iter().enumerate() {
        result.push(match length {
            0 if !zero_is_zero => *shape.get(at).ok_or_else(bad)?,
            0.. => usize::try_from(length).map_err(|_| bad())?,
            -1 if free.is_none() => {
                free = Some(at);
                1
            }
            _ => return Err(bad()),
        });
    }
    let known = result.iter().try_fold(1_usize, |product, &length| product.checked_mul(length)).ok_or_else(bad)?;
    if let Some(at) = free {
        result[at] = count.checked_div(known).unwrap_or(0);
    }
    let total = result.iter().try_fold(1_usize, |product, &length| product.checked_mul(length));
    if total == Some(count) { Ok(result) } else { Err(bad()) }
}

impl Operator for Transpose {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let rank = input.shape().len();
        let order = if self.order.is_empty() { (0..rank).rev().collect() } else { resolve(&self.order, rank)? };
        if order.len() != rank {
            return Err(format!("permutation {:?} does not match {rank} dimensions", self.order));
        }
        let steps = {
            let mut steps = vec![1; rank];
            for at in (1..rank).rev() {
                steps[at - 1] = steps[at] * input.shape()[at];
            }
            steps
        };
        let shape: Vec<usize> = order.iter().map(|&at| input.shape()[at]).collect();
        let steps: Vec<usize> = order.iter().map(|&at| steps[at]).collect();
        with_data!(input.data(), values => {
            let output = output.reset(&shape)?;
            collect(values, &shape, &steps, output);
        });
        Ok(())
    }
}

/// Collects the elements at all indices of `shape`, given strides.
fn collect<T: Clone>(values: &[T], shape: &[usize], steps: &[usize], output: &mut Vec<T>) {
    each_index(shape, |index| output.push(values[offset(index, steps)].clone()));
}

impl Operator for Concat {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        with_data!(inputs.required(0)?.data(), values => concat(self.axis, values, inputs, first_output(outputs)?))
    }
}

/// Concatenates along an axis; `_first` determines the type.
fn concat<T: Element>(at: i64, _first: &[T], inputs: &dyn Inputs, output: &mut Tensor) -> Result<(), String> {
    let first = inputs.required(0)?;
    let at = resolve_axis(at, first.shape().len())?;
    let mut shape = first.shape().to_vec();
    shape[at] = 0;
    for position in 0..inputs.len() {
        let input = inputs.required(position)?;
        let same = input.shape().len() == shape.len()
            && input.shape().iter().zip(first.shape()).enumerate().all(|(i, (a, b))| i == at || a == b);
        if !same || input.element_type() != first.element_type() {
            return Err(format!(
                "cannot concatenate input {position}, {} of shape {:?}, with {} of shape {:?} along axis {at}",
                input.element_type(),
                input.shape(),
                first.element_type(),
                first.shape()
            ));
        }
        shape[at] += input.shape()[at];
    }
    let outer: usize = shape[..at].iter().product();
    inputs.charge(outer.saturating_mul(inputs.len()))?;
    let output = output.reset::<T>(&shape)?;
    for block in 0..outer {
        for position in 0..inputs.len() {
            let input = inputs.required(position)?;
            let Some(values) = input.values::<T>() else { return Err("inputs differ in type".into()) };
            let length: usize = input.shape()[at..].iter().product();
            if let [value] = &values[block * length..(block + 1) * length] {
                output.push(value.clone());
            } else {
                output.extend_from_slice(&values[block * length..(block + 1) * length]);
            }
        }
    }
    Ok(())
}

impl Operator for ShapeOf {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let shape = inputs.required(0)?.shape();
        let rank = shape.len() as i64;
        let clamp = |at: i64| (if at < 0 { at + rank } else { at }).clamp(0, rank) as usize;
        let (start, end) = (clamp(self.start), clamp(self.end.unwrap_or(rank)));
        let lengths = shape.get(start..end).unwrap_or(&[]);
        let output = first_output(outputs)?.reset(&[lengths.len()])?;
        output.extend(lengths.iter().map(|&length| length as i64));
        Ok(())
    }
}

impl Operator for Expand {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = join(input.shape(), &lengths(inputs.required(1)?)?)?;
        let steps = strides(input.shape(), &shape);
        with_data!(input.data(), values => {
            let output = output.reset(&shape)?;
            collect(values, &shape, &steps, output);
        });
        Ok(())
    }
}

impl Operator for ConstantOfShape {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let shape = lengths(inputs.required(0)?)?;
        with_data!(&self.value.data, values => {
            fill(values, &shape, first_output(outputs)?)?;
        });
        Ok(())
    }
}

fn fill<T: Element>(values: &[T], shape: &[usize], output: &mut Tensor) -> Result<(), String> {
    let value = values.first().ok_or("the value is empty")?;
    let count = crate::tensor::elements(shape)?;
    output.reset(shape)?.resize(count, value.clone());
    Ok(())
}

fn lengths(tensor: &Tensor) -> Result<Vec<usize>, String> {
    integers(tensor)?
        .iter()
        .map(|&length| usize::try_from(length).map_err(|_| format!("a dimension has length {length}")))
        .collect()
}
