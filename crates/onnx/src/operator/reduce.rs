//! Reductions over axes.

use std::sync::Arc;

use super::{BuildResult, Inputs, Operator, first_output, integers, resolve_axis};
use crate::node::Node;
use crate::tensor::{Data, Element, Tensor};

#[derive(Debug, Clone, Copy)]
enum Reduction {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    SumSquare,
    LogSumExp,
}

#[derive(Debug)]
struct Reduce {
    reduction: Reduction,
    axes: Option<Vec<i64>>,
    keep_dims: bool,
    noop_with_empty_axes: bool,
}

#[derive(Debug)]
struct ArgExtreme {
    axis: i64,
    keep_dims: bool,
    last: bool,
    max: bool,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    let reduction = match name {
        "ReduceSum" => Reduction::Sum,
        "ReduceMean" => Reduction::Mean,
        "ReduceMax" => Reduction::Max,
        "ReduceMin" => Reduction::Min,
        "ReduceProd" => Reduction::Prod,
        "ReduceL1" => Reduction::L1,
        "ReduceL2" => Reduction::L2,
        "ReduceSumSquare" => Reduction::SumSquare,
        "ReduceLogSumExp" => Reduction::LogSumExp,
        "ArgMax" | "ArgMin" => {
            return Some(Ok(Arc::new(ArgExtreme {
                axis: node.int("axis", 0),
                keep_dims: node.int("keepdims", 1) != 0,
                last: node.int("select_last_index", 0) != 0,
                max: name == "ArgMax",
            })));
        }
        _ => return None,
    };
    Some(Ok(Arc::new(Reduce {
        reduction,
        axes: node.attribute("axes").map(|attribute| attribute.ints.clone()),
        keep_dims: node.int("keepdims", 1) != 0,
        noop_with_empty_axes: node.int("noop_with_empty_axes", 0) != 0,
    })))
}

impl Operator for Reduce {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = input.shape();
        let axes = match (&self.axes, inputs.get(1)) {
            (Some(axes), _) => axes.clone(),
            (None, Some(tensor)) => integers(tensor)?,
            (None, None) => Vec::new(),
        };
        if axes.is_empty() && self.noop_with_empty_axes {
            return output.copy(input, shape);
        }
        let mut is_reduced = vec![axes.is_empty(); shape.len()];
        for &at in &axes {
            is_reduced[resolve_axis(at, shape.len())?] = true;
        }
        let kept: Vec<usize> = shape
            .iter()
            .zip(&is_reduced)
            .filter(|&(_, &is_reduced_axis)| self.keep_dims || !is_reduced_axis)
            .map(|(&length, &is_reduced_axis)| if is_reduced_axis { 1 } else { length })
            .collect();
        let count = crate::tensor::elements(&kept)?;
        let group = groups(shape, &is_reduced);
        match input.data() {
            Data::F32(values) => {
                let sums = self.reduction.run(values.iter().map(|&value| f64::from(value)), &group, count);
                output.reset(&kept)?.extend(sums.iter().map(|&sum| sum as f32));
            }
            Data::F64(values) => {
                let sums = self.reduction.run(values.iter().copied(), &group, count);
                output.reset(&kept)?.extend(sums);
            }
            Data::I64(values) => {
                let mut sums = vec![0_i64; count];
                if !matches!(self.reduction, Reduction::Sum) {
                    return Err("integers can only be summed".into());
                }
                values.iter().zip(&group).for_each(|(&value, &at)| sums[at] = sums[at].wrapping_add(value));
                output.reset(&kept)?.extend(sums);
            }
            other => return Err(format!("expected numbers, got {}", other.element_type())),
        }
        Ok(())
    }
}

/// For each element the index of the result to which it contributes.
fn groups(shape: &[usize], is_reduced: &[bool]) -> Vec<usize> {
    let mut groups = vec![0];
    for (&length, &is_reduced_axis) in shape.iter().zip(is_reduced) {
        groups = groups
            .iter()
            .flat_map(|&at| (0..length).map(move |i| if is_reduced_axis { at } else { at * length + i }))
            .collect();
    }
    groups
}

impl Reduction {
    fn run(self, values: impl Iterator<Item = f64>, group: &[usize], count: usize) -> Vec<f64> {
        let start = match self {
            Self::Max | Self::LogSumExp => f64::NEG_INFINITY,
            Self::Min => f64::INFINITY,
            Self::Prod => 1.0,
            _ => 0.0,
        };
        let mut is_reduced = vec![start; count];
        let values: Vec<f64> = values.collect();
        for (&value, &at) in values.iter().zip(group) {
            let sum = &mut is_reduced[at];
            *sum = match self {
                Self::Sum | Self::Mean => *sum + value,
                Self::Max | Self::LogSumExp => {
                    if sum.is_nan() || *sum > value {
                        *sum
                    } else {
                        value
                    }
                }
                Self::Min => {
                    if sum.is_nan() || *sum < value {
                        *sum
                    } else {
                        value
                    }
                }
                Self::Prod => *sum * value,
                Self::L1 => *sum + value.abs(),
                Self::L2 | Self::SumSquare => *sum + value * value,
            };
        }
        match self {
            Self::Mean => {
                let share = values.len() as f64 / count.max(1) as f64;
                for sum in &mut is_reduced {
                    *sum /= share;
                }
            }
            Self::L2 => is_reduced.iter_mut().for_each(|sum| *sum = sum.sqrt()),
            Self::LogSumExp => {
                let mut sums = vec![0.0; count];
                values.iter().zip(group).for_each(|(&value, &at)| sums[at] += (value - is_reduced[at]).exp());
                is_reduced.iter_mut().zip(&sums).for_each(|(top, sum): (&mut f64, &f64)| *top += sum.ln());
            }
            _ => {}
        }
        is_reduced
    }
}

impl Operator for ArgExtreme {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = input.shape();
        let at = resolve_axis(self.axis, shape.len())?;
        let mut kept = shape.to_vec();
        if self.keep_dims {
            kept[at] = 1;
        } else {
            kept.remove(at);
        }
        if shape[at] == 0 {
            return Err("the axis is empty".into());
        }
        let (length, inner) = (shape[at], shape[at + 1..].iter().product());
        match input.data() {
            Data::F32(values) => self.find(values, length, inner, output.reset(&kept)?),
            Data::F64(values) => self.find(values, length, inner, output.reset(&kept)?),
            Data::I64(values) => self.find(values, length, inner, output.reset(&kept)?),
            Data::I32(values) => self.find(values, length, inner, output.reset(&kept)?),
            other => return Err(format!("expected numbers, got {}", other.element_type())),
        }
        Ok(())
    }
}

impl ArgExtreme {
    fn find<T: Element + Copy + PartialOrd>(&self, values: &[T], length: usize, inner: usize, output: &mut Vec<i64>) {
        if inner == 0 {
            return;
        }
        for block in values.chunks_exact(length * inner) {
            for lane in 0..inner {
                let mut best = 0;
                for at in 1..length {
                    let (new, old) = (block[at * inner + lane], block[best * inner + lane]);
                    let better = if self.max { new > old } else { new < old };
                    if better || (self.last && new == old) {
                        best = at;
                    }
                }
                output.push(best as i64);
            }
        }
    }
}
