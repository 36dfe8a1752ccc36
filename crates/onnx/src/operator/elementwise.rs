//! Functions of several tensors by element, with broadcasting.

use std::sync::Arc;

use super::broadcast::{broadcast, each_index, join, offset, strides};
use super::{BuildResult, Inputs, Operator, first_output};
use crate::node::{BuildError, Node};
use crate::tensor::{Data, Element, Tensor};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Max,
    Min,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, Copy)]
enum Logic {
    And,
    Or,
    Xor,
}

#[derive(Debug, Clone, Copy)]
enum Unary {
    Neg,
    Abs,
    Sign,
    Not,
    IsNan,
}

#[derive(Debug)]
struct Where;

/// `Clip`; before operator set 11 the bounds are attributes.
#[derive(Debug)]
struct Clip {
    low: f32,
    high: f32,
}

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    /// Wraps an operator, for the table below.
    #[expect(clippy::unnecessary_wraps, reason = "all arms of the table have the same type")]
    fn some(operator: impl Operator + 'static) -> Option<BuildResult> {
        Some(Ok(Arc::new(operator)))
    }
    if matches!(name, "Add" | "Sub" | "Mul" | "Div") && node.version < 7 {
        return Some(Err(BuildError::Unsupported("before operator set 7".into())));
    }
    match name {
        "Add" | "Sum" => some(Arithmetic::Add),
        "Sub" => some(Arithmetic::Sub),
        "Mul" => some(Arithmetic::Mul),
        "Div" => some(Arithmetic::Div),
        "Pow" => some(Arithmetic::Pow),
        "Max" => some(Arithmetic::Max),
        "Min" => some(Arithmetic::Min),
        "Equal" => some(Comparison::Equal),
        "Less" => some(Comparison::Less),
        "LessOrEqual" => some(Comparison::LessOrEqual),
        "Greater" => some(Comparison::Greater),
        "GreaterOrEqual" => some(Comparison::GreaterOrEqual),
        "And" => some(Logic::And),
        "Or" => some(Logic::Or),
        "Xor" => some(Logic::Xor),
        "Neg" => some(Unary::Neg),
        "Abs" => some(Unary::Abs),
        "Sign" => some(Unary::Sign),
        "Not" => some(Unary::Not),
        "IsNaN" => some(Unary::IsNan),
        "Where" => some(Where),
        "Clip" => some(Clip { low: node.float("min", f32::MIN), high: node.float("max", f32::MAX) }),
        _ => None,
    }
}

/// A numeric type that [`Arithmetic`] supports.
trait Number: Element + Copy + PartialOrd {
    fn apply(operation: Arithmetic, a: Self, b: Self) -> Result<Self, String>;
}

macro_rules! float {
    ($($type:ty),*) => {$(impl Number for $type {
        fn apply(operation: Arithmetic, a: Self, b: Self) -> Result<Self, String> {
            Ok(match operation {
                Arithmetic::Add => a + b,
                Arithmetic::Sub => a - b,
                Arithmetic::Mul => a * b,
                Arithmetic::Div => a / b,
                Arithmetic::Pow => a.powf(b),
                // NaN propagates, as specified.
                Arithmetic::Max => if a.is_nan() || a > b { a } else { b },
                Arithmetic::Min => if a.is_nan() || a < b { a } else { b },
            })
        }
    })*};
}

macro_rules! integer {
    ($($type:ty),*) => {$(impl Number for $type {
        fn apply(operation: Arithmetic, a: Self, b: Self) -> Result<Self, String> {
            Ok(match operation {
                Arithmetic::Add => a.wrapping_add(b),
                Arithmetic::Sub => a.wrapping_sub(b),
                Arithmetic::Mul => a.wrapping_mul(b),
                Arithmetic::Div if b == 0 => return Err("integer division by zero".into()),
                Arithmetic::Div => a.wrapping_div(b),
                Arithmetic::Pow => (a as f64).powf(b as f64) as $type,
                Arithmetic::Max => a.max(b),
                Arithmetic::Min => a.min(b),
            })
        }
    })*};
}

float!(f32, f64);
#[expect(clippy::cast_lossless, reason = "the same macro serves both widths")]
mod integers {
    use super::{Arithmetic, Number};
    integer!(i32, i64);
}

impl Operator for Arithmetic {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let output = first_output(outputs)?;
        let first = inputs.required(0)?;
        match inputs.len() {
            1 => output.copy(first, first.shape()),
            2 => self.binary(first, inputs.required(1)?, output),
            more => {
                let mut left = Tensor::default();
                self.binary(first, inputs.required(1)?, output)?;
                for position in 2..more {
                    std::mem::swap(&mut left, output);
                    inputs.charge(left.data().len())?;
                    self.binary(&left, inputs.required(position)?, output)?;
                }
                Ok(())
            }
        }
    }
}

impl Arithmetic {
    fn binary(self, a: &Tensor, b: &Tensor, output: &mut Tensor) -> Result<(), String> {
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => self.typed(x, a, y, b, output),
            (Data::F64(x), Data::F64(y)) => self.typed(x, a, y, b, output),
            (Data::I64(x), Data::I64(y)) => self.typed(x, a, y, b, output),
            (Data::I32(x), Data::I32(y)) => self.typed(x, a, y, b, output),
            (x, y) => Err(format!("expected inputs of one type, got {} and {}", x.element_type(), y.element_type())),
        }
    }

    fn typed<T: Number>(self, x: &[T], a: &Tensor, y: &[T], b: &Tensor, output: &mut Tensor) -> Result<(), String> {
        if self == Self::Div || self == Self::Pow {
            let mut failure = None;
            broadcast((x, a.shape()), (y, b.shape()), output, |p, q| {
                T::apply(self, *p, *q).unwrap_or_else(|message| {
                    failure = Some(message);
                    *p
                })
            })?;
            return failure.map_or(Ok(()), Err);
        }
        // One closure for each operation, so that each compiles to a loop without branches.
        let (a, b) = ((x, a.shape()), (y, b.shape()));
        macro_rules! one {
            ($operation:expr) => {
                broadcast(a, b, output, |p, q| T::apply($operation, *p, *q).unwrap_or(*p))
            };
        }
        match self {
            Self::Add => one!(Self::Add),
            Self::Sub => one!(Self::Sub),
            Self::Mul => one!(Self::Mul),
            Self::Max => one!(Self::Max),
            _ => one!(Self::Min),
        }
    }
}

impl Operator for Comparison {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        fn typed<T: Element + PartialOrd>(
            how: Comparison,
            (x, a): (&[T], &[usize]),
            (y, b): (&[T], &[usize]),
            output: &mut Tensor,
        ) -> Result<(), String> {
            match how {
                Comparison::Equal => broadcast((x, a), (y, b), output, |p, q| p == q),
                Comparison::Less => broadcast((x, a), (y, b), output, |p, q| p < q),
                Comparison::LessOrEqual => broadcast((x, a), (y, b), output, |p, q| p <= q),
                Comparison::Greater => broadcast((x, a), (y, b), output, |p, q| p > q),
                Comparison::GreaterOrEqual => broadcast((x, a), (y, b), output, |p, q| p >= q),
            }
        }
        let (a, b, output) = (inputs.required(0)?, inputs.required(1)?, first_output(outputs)?);
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (Data::F64(x), Data::F64(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (Data::I64(x), Data::I64(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (Data::I32(x), Data::I32(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (Data::Bool(x), Data::Bool(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (Data::Text(x), Data::Text(y)) => typed(*self, (x, a.shape()), (y, b.shape()), output),
            (x, y) => Err(format!("cannot compare {} with {}", x.element_type(), y.element_type())),
        }
    }
}

impl Operator for Logic {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (a, b, output) = (inputs.required(0)?, inputs.required(1)?, first_output(outputs)?);
        let (Some(x), Some(y)) = (a.values::<bool>(), b.values::<bool>()) else {
            return Err(format!("expected BOOL, got {} and {}", a.element_type(), b.element_type()));
        };
        let (a, b) = ((x, a.shape()), (y, b.shape()));
        match self {
            Self::And => broadcast(a, b, output, |p, q| *p && *q),
            Self::Or => broadcast(a, b, output, |p, q| *p || *q),
            Self::Xor => broadcast(a, b, output, |p, q| *p ^ *q),
        }
    }
}

impl Operator for Unary {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let shape = input.shape();
        match (self, input.data()) {
            (Self::Neg, Data::F32(x)) => output.reset(shape)?.extend(x.iter().map(|x| -x)),
            (Self::Neg, Data::F64(x)) => output.reset(shape)?.extend(x.iter().map(|x| -x)),
            (Self::Neg, Data::I64(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.wrapping_neg())),
            (Self::Abs, Data::F32(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.abs())),
            (Self::Abs, Data::F64(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.abs())),
            (Self::Abs, Data::I64(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.wrapping_abs())),
            (Self::Sign, Data::F32(x)) => {
                output.reset(shape)?.extend(x.iter().map(|&x| if x == 0.0 || x.is_nan() { x } else { x.signum() }));
            }
            (Self::Sign, Data::I64(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.signum())),
            (Self::Not, Data::Bool(x)) => output.reset(shape)?.extend(x.iter().map(|x| !x)),
            (Self::IsNan, Data::F32(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.is_nan())),
            (Self::IsNan, Data::F64(x)) => output.reset(shape)?.extend(x.iter().map(|x| x.is_nan())),
            (_, other) => return Err(format!("{} is not supported", other.element_type())),
        }
        Ok(())
    }
}

impl Operator for Where {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (condition, a, b) = (inputs.required(0)?, inputs.required(1)?, inputs.required(2)?);
        let Some(chosen) = condition.values::<bool>() else {
            return Err(format!("expected a BOOL condition, got {}", condition.element_type()));
        };
        let output = first_output(outputs)?;
        let shape = join(&join(condition.shape(), a.shape())?, b.shape())?;
        macro_rules! typed {
            ($x:expr, $y:expr) => {{
                let (cs, xs, ys) =
                    (strides(condition.shape(), &shape), strides(a.shape(), &shape), strides(b.shape(), &shape));
                let output = output.reset(&shape)?;
                each_index(&shape, |index| {
                    let value =
                        if chosen[offset(index, &cs)] { &$x[offset(index, &xs)] } else { &$y[offset(index, &ys)] };
                    output.push(value.clone());
                });
            }};
        }
        match (a.data(), b.data()) {
            (Data::F32(x), Data::F32(y)) => typed!(x, y),
            (Data::F64(x), Data::F64(y)) => typed!(x, y),
            (Data::I64(x), Data::I64(y)) => typed!(x, y),
            (Data::I32(x), Data::I32(y)) => typed!(x, y),
            (Data::Bool(x), Data::Bool(y)) => typed!(x, y),
            (Data::Text(x), Data::Text(y)) => typed!(x, y),
            (x, y) => {
                return Err(format!("expected inputs of one type, got {} and {}", x.element_type(), y.element_type()));
            }
        }
        Ok(())
    }
}

impl Operator for Clip {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        fn bound<T: Element + Copy>(inputs: &dyn Inputs, position: usize, default: T) -> Result<T, String> {
            let Some(tensor) = inputs.get(position) else { return Ok(default) };
            tensor.values::<T>().and_then(|values| values.first().copied()).ok_or("a bound has another type".into())
        }
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        macro_rules! typed {
            ($values:expr, $low:expr, $high:expr) => {{
                let (low, high) = (bound(inputs, 1, $low)?, bound(inputs, 2, $high)?);
                let clip = |&x| {
                    let raised = if x < low { low } else { x };
                    if raised > high { high } else { raised }
                };
                output.reset(input.shape())?.extend($values.iter().map(clip));
            }};
        }
        match input.data() {
            Data::F32(values) => typed!(values, self.low, self.high),
            Data::F64(values) => typed!(values, f64::MIN, f64::MAX),
            Data::I64(values) => typed!(values, i64::MIN, i64::MAX),
            Data::I32(values) => typed!(values, i32::MIN, i32::MAX),
            other => return Err(format!("expected numbers, got {}", other.element_type())),
        }
        Ok(())
    }
}
