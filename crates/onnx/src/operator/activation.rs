//! Functions of single elements, and softmax.

use std::sync::Arc;

use super::{BuildResult, Inputs, Operator, first_output, resolve_axis};
use crate::node::Node;
use crate::tensor::{Data, Tensor};

/// A function of single elements.
#[derive(Debug)]
struct Map {
    single: fn(f32) -> f32,
    double: fn(f64) -> f64,
}

/// A function of single elements with parameters from the node's attributes.
#[derive(Debug)]
enum Parametric {
    LeakyRelu(f32),
    Elu(f32),
    HardSigmoid(f32, f32),
}

#[derive(Debug)]
struct Softmax {
    axis: i64,
    /// Before operator set 13, the dimensions from `axis` on are flattened into one.
    flattens: bool,
    log: bool,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    let map = |single: fn(f32) -> f32, double: fn(f64) -> f64| Some(Ok(Arc::new(Map { single, double }) as _));
    let softmax = |log| {
        let flattens = node.version < 13;
        let axis = node.int("axis", if flattens { 1 } else { -1 });
        Some(Ok(Arc::new(Softmax { axis, flattens, log }) as _))
    };
    let parametric = |parametric: Parametric| Some(Ok(Arc::new(parametric) as Arc<dyn Operator>));
    match name {
        "Relu" => map(|x| if x < 0.0 { 0.0 } else { x }, |x| if x < 0.0 { 0.0 } else { x }),
        "Sigmoid" => map(|x| 1.0 / (1.0 + (-x).exp()), |x| 1.0 / (1.0 + (-x).exp())),
        "Tanh" => map(f32::tanh, f64::tanh),
        "Exp" => map(f32::exp, f64::exp),
        "Log" => map(f32::ln, f64::ln),
        "Sqrt" => map(f32::sqrt, f64::sqrt),
        "Reciprocal" => map(f32::recip, f64::recip),
        "Floor" => map(f32::floor, f64::floor),
        "Ceil" => map(f32::ceil, f64::ceil),
        "Round" => map(f32::round_ties_even, f64::round_ties_even),
        "Sin" => map(f32::sin, f64::sin),
        "Cos" => map(f32::cos, f64::cos),
        "Softplus" => map(|x| x.max(0.0) + (-x.abs()).exp().ln_1p(), |x| x.max(0.0) + (-x.abs()).exp().ln_1p()),
        "LeakyRelu" => parametric(Parametric::LeakyRelu(node.float("alpha", 0.01))),
        "Elu" => parametric(Parametric::Elu(node.float("alpha", 1.0))),
        "HardSigmoid" => parametric(Parametric::HardSigmoid(node.float("alpha", 0.2), node.float("beta", 0.5))),
        "Softmax" => softmax(false),
        "LogSoftmax" => softmax(true),
        _ => None,
    }
}

impl Operator for Map {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        match input.data() {
            Data::F32(values) => output.reset(input.shape())?.extend(values.iter().map(|&x| (self.single)(x))),
            Data::F64(values) => output.reset(input.shape())?.extend(values.iter().map(|&x| (self.double)(x))),
            other => return Err(format!("expected floats, got {}", other.element_type())),
        }
        Ok(())
    }
}

impl Operator for Parametric {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let Some(values) = input.values::<f32>() else {
            return Err(format!("expected FP32, got {}", input.element_type()));
        };
        let output = output.reset(input.shape())?;
        match *self {
            Self::LeakyRelu(alpha) => output.extend(values.iter().map(|&x| if x < 0.0 { alpha * x } else { x })),
            Self::Elu(alpha) => output.extend(values.iter().map(|&x| if x < 0.0 { alpha * x.exp_m1() } else { x })),
            Self::HardSigmoid(alpha, beta) => {
                output.extend(values.iter().map(|&x: &f32| (alpha * x + beta).clamp(0.0, 1.0)));
            }
        }
        Ok(())
    }
}

impl Operator for Softmax {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = input.shape();
        let at = resolve_axis(self.axis, shape.len().max(1))?;
        let length: usize =
            if self.flattens { shape[at..].iter().product() } else { shape.get(at).copied().unwrap_or(1) };
        let inner: usize = if self.flattens { 1 } else { shape.iter().skip(at + 1).product() };
        output.copy(input, shape)?;
        match &mut output.data {
            Data::F32(values) => each_line(values, length, inner, |line| {
                softmax(line, self.log, f32::NEG_INFINITY, f32::max, f32::exp, f32::ln);
            }),
            Data::F64(values) => each_line(values, length, inner, |line| {
                softmax(line, self.log, f64::NEG_INFINITY, f64::max, f64::exp, f64::ln);
            }),
            other => return Err(format!("expected floats, got {}", other.element_type())),
        }
        Ok(())
    }
}

/// Calls `work` with each vector of `length` elements that are `inner` apart.
fn each_line<T: Copy>(values: &mut [T], length: usize, inner: usize, mut work: impl FnMut(&mut [T])) {
    if length == 0 || inner == 0 {
        return;
    }
    if inner == 1 {
        values.chunks_exact_mut(length).for_each(work);
        return;
    }
    let mut line = Vec::with_capacity(length);
    for block in values.chunks_exact_mut(length * inner) {
        for offset in 0..inner {
            line.clear();
            line.extend(block.iter().skip(offset).step_by(inner).copied());
            work(&mut line);
            for (slot, &value) in block.iter_mut().skip(offset).step_by(inner).zip(&line) {
                *slot = value;
            }
        }
    }
}

fn softmax<T>(line: &mut [T], log: bool, lowest: T, max: fn(T, T) -> T, exp: fn(T) -> T, ln: fn(T) -> T)
where
    T: Copy + std::iter::Sum + std::ops::Sub<Output = T> + std::ops::Div<Output = T>,
{
    let top = line.iter().copied().fold(lowest, max);
    if log {
        let sum = ln(line.iter().map(|&x| exp(x - top)).sum());
        for x in line {
            *x = *x - top - sum;
        }
        return;
    }
    for x in &mut *line {
        *x = exp(*x - top);
    }
    let sum = line.iter().copied().sum();
    for x in line {
        *x = *x / sum;
    }
}
