//! Operators that fold axes away.

use std::sync::Arc;

use super::{Inputs, Made, Operator, axis, only, whole_numbers};
use crate::node::Node;
use crate::tensor::{Data, Element, Tensor};

#[derive(Debug, Clone, Copy)]
enum Fold {
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
    fold: Fold,
    axes: Option<Vec<i64>>,
    keep: bool,
    none_means_none: bool,
}

#[derive(Debug)]
struct ArgBest {
    axis: i64,
    keep: bool,
    last: bool,
    max: bool,
}

pub(super) fn make(name: &str, node: &Node<'_>) -> Option<Made> {
    let fold = match name {
        "ReduceSum" => Fold::Sum,
        "ReduceMean" => Fold::Mean,
        "ReduceMax" => Fold::Max,
        "ReduceMin" => Fold::Min,
        "ReduceProd" => Fold::Prod,
        "ReduceL1" => Fold::L1,
        "ReduceL2" => Fold::L2,
        "ReduceSumSquare" => Fold::SumSquare,
        "ReduceLogSumExp" => Fold::LogSumExp,
        "ArgMax" | "ArgMin" => {
            return Some(Ok(Arc::new(ArgBest {
                axis: node.int("axis", 0),
                keep: node.int("keepdims", 1) != 0,
                last: node.int("select_last_index", 0) != 0,
                max: name == "ArgMax",
            })));
        }
        _ => return None,
    };
    Some(Ok(Arc::new(Reduce {
        fold,
        axes: node.attribute("axes").map(|attribute| attribute.ints.clone()),
        keep: node.int("keepdims", 1) != 0,
        none_means_none: node.int("noop_with_empty_axes", 0) != 0,
    })))
}

impl Operator for Reduce {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        let shape = input.shape();
        let axes = match (&self.axes, inputs.get(1)) {
            (Some(axes), _) => axes.clone(),
            (None, Some(tensor)) => whole_numbers(tensor)?,
            (None, None) => Vec::new(),
        };
        if axes.is_empty() && self.none_means_none {
            return output.copy(input, shape);
        }
        let mut folded = vec![axes.is_empty(); shape.len()];
        for &at in &axes {
            folded[axis(at, shape.len())?] = true;
        }
        let kept: Vec<usize> = shape
            .iter()
            .zip(&folded)
            .filter(|&(_, &gone)| self.keep || !gone)
            .map(|(&length, &gone)| if gone { 1 } else { length })
            .collect();
        let count = crate::tensor::elements(&kept)?;
        let group = groups(shape, &folded);
        match input.data() {
            Data::F32(values) => {
                let sums = self.fold.run(values.iter().map(|&value| f64::from(value)), &group, count);
                output.start(&kept)?.extend(sums.iter().map(|&sum| sum as f32));
            }
            Data::F64(values) => {
                let sums = self.fold.run(values.iter().copied(), &group, count);
                output.start(&kept)?.extend(sums);
            }
            Data::I64(values) => {
                let mut sums = vec![0_i64; count];
                if !matches!(self.fold, Fold::Sum) {
                    return Err("only sums of whole numbers are taken".into());
                }
                values.iter().zip(&group).for_each(|(&value, &at)| sums[at] = sums[at].wrapping_add(value));
                output.start(&kept)?.extend(sums);
            }
            other => return Err(format!("expected numbers, got {}", other.kind())),
        }
        Ok(())
    }
}

/// For each element the position of the result it goes into.
fn groups(shape: &[usize], folded: &[bool]) -> Vec<usize> {
    let mut groups = vec![0];
    for (&length, &gone) in shape.iter().zip(folded) {
        groups =
            groups.iter().flat_map(|&at| (0..length).map(move |i| if gone { at } else { at * length + i })).collect();
    }
    groups
}

impl Fold {
    fn run(self, values: impl Iterator<Item = f64>, group: &[usize], count: usize) -> Vec<f64> {
        let start = match self {
            Self::Max | Self::LogSumExp => f64::NEG_INFINITY,
            Self::Min => f64::INFINITY,
            Self::Prod => 1.0,
            _ => 0.0,
        };
        let mut folded = vec![start; count];
        let values: Vec<f64> = values.collect();
        for (&value, &at) in values.iter().zip(group) {
            let sum = &mut folded[at];
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
                for sum in &mut folded {
                    *sum /= share;
                }
            }
            Self::L2 => folded.iter_mut().for_each(|sum| *sum = sum.sqrt()),
            Self::LogSumExp => {
                let mut sums = vec![0.0; count];
                values.iter().zip(group).for_each(|(&value, &at)| sums[at] += (value - folded[at]).exp());
                folded.iter_mut().zip(&sums).for_each(|(top, sum): (&mut f64, &f64)| *top += sum.ln());
            }
            _ => {}
        }
        folded
    }
}

impl Operator for ArgBest {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.need(0)?, only(outputs)?);
        let shape = input.shape();
        let at = axis(self.axis, shape.len())?;
        let mut kept = shape.to_vec();
        if self.keep {
            kept[at] = 1;
        } else {
            kept.remove(at);
        }
        if shape[at] == 0 {
            return Err("the axis is empty".into());
        }
        let (length, inner) = (shape[at], shape[at + 1..].iter().product());
        match input.data() {
            Data::F32(values) => self.find(values, length, inner, output.start(&kept)?),
            Data::F64(values) => self.find(values, length, inner, output.start(&kept)?),
            Data::I64(values) => self.find(values, length, inner, output.start(&kept)?),
            Data::I32(values) => self.find(values, length, inner, output.start(&kept)?),
            other => return Err(format!("expected numbers, got {}", other.kind())),
        }
        Ok(())
    }
}

impl ArgBest {
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
