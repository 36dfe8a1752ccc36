//! Conversion between element types.

use std::sync::Arc;

use super::{BuildResult, Inputs, Operator, first_output};
use crate::node::{BuildError, Node};
use crate::tensor::{Data, ElementType, Tensor};

#[derive(Debug)]
struct Cast {
    to: ElementType,
}

/// `CastLike`: the target type is that of the second input.
#[derive(Debug)]
struct CastLike;

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "Cast" => {
            let to = node.int("to", 0);
            Some(match i32::try_from(to).ok().and_then(ElementType::from_onnx) {
                Some(to) => Ok(Arc::new(Cast { to })),
                None => Err(BuildError::Unsupported(format!("to type {to}"))),
            })
        }
        "CastLike" => Some(Ok(Arc::new(CastLike))),
        _ => None,
    }
}

impl Operator for Cast {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        cast(inputs.required(0)?, self.to, first_output(outputs)?)
    }
}

impl Operator for CastLike {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        cast(inputs.required(0)?, inputs.required(1)?.element_type(), first_output(outputs)?)
    }
}

pub(super) fn cast(input: &Tensor, to: ElementType, output: &mut Tensor) -> Result<(), String> {
    let shape = input.shape();
    if input.element_type() == to {
        return output.copy(input, shape);
    }
    macro_rules! to {
        ($values:expr, $type:ty, $convert:expr) => {
            output.reset::<$type>(shape)?.extend($values.iter().map($convert))
        };
    }
    match (input.data(), to) {
        (Data::F32(x), ElementType::F64) => to!(x, f64, |&x| f64::from(x)),
        (Data::F32(x), ElementType::I64) => to!(x, i64, |&x| truncate(f64::from(x))),
        (Data::F32(x), ElementType::I32) => to!(x, i32, |&x| narrow(f64::from(x))),
        (Data::F32(x), ElementType::Bool) => to!(x, bool, |&x| x != 0.0),
        (Data::F32(x), ElementType::Text) => to!(x, Arc<str>, |&x| general(f64::from(x), 8).into()),
        (Data::F64(x), ElementType::F32) => to!(x, f32, |&x| x as f32),
        (Data::F64(x), ElementType::I64) => to!(x, i64, |&x| truncate(x)),
        (Data::F64(x), ElementType::I32) => to!(x, i32, |&x| narrow(x)),
        (Data::F64(x), ElementType::Bool) => to!(x, bool, |&x| x != 0.0),
        (Data::F64(x), ElementType::Text) => to!(x, Arc<str>, |&x| general(x, 17).into()),
        (Data::I64(x), ElementType::F32) => to!(x, f32, |&x| x as f32),
        (Data::I64(x), ElementType::F64) => to!(x, f64, |&x| x as f64),
        (Data::I64(x), ElementType::I32) => to!(x, i32, |&x| x as i32),
        (Data::I64(x), ElementType::Bool) => to!(x, bool, |&x| x != 0),
        (Data::I64(x), ElementType::Text) => to!(x, Arc<str>, |&x| x.to_string().into()),
        (Data::I32(x), ElementType::F32) => to!(x, f32, |&x| x as f32),
        (Data::I32(x), ElementType::F64) => to!(x, f64, |&x| f64::from(x)),
        (Data::I32(x), ElementType::I64) => to!(x, i64, |&x| i64::from(x)),
        (Data::I32(x), ElementType::Bool) => to!(x, bool, |&x| x != 0),
        (Data::I32(x), ElementType::Text) => to!(x, Arc<str>, |&x| x.to_string().into()),
        (Data::Bool(x), ElementType::F32) => to!(x, f32, |&x| f32::from(u8::from(x))),
        (Data::Bool(x), ElementType::F64) => to!(x, f64, |&x| f64::from(u8::from(x))),
        (Data::Bool(x), ElementType::I64) => to!(x, i64, |&x| i64::from(x)),
        (Data::Bool(x), ElementType::I32) => to!(x, i32, |&x| i32::from(x)),
        (Data::Bool(x), ElementType::Text) => to!(x, Arc<str>, |&x| if x { "1" } else { "0" }.into()),
        (Data::Text(x), ElementType::Bool) => to!(x, bool, |x| &**x == "1" || x.eq_ignore_ascii_case("true")),
        (Data::Text(x), _) => return parse(x, to, shape, output),
        (data, to) => return Err(format!("cannot convert {} to {to}", data.element_type())),
    }
    Ok(())
}

fn parse(texts: &[Arc<str>], to: ElementType, shape: &[usize], output: &mut Tensor) -> Result<(), String> {
    let bad = |text: &str| format!("text `{text}` is not a number");
    match to {
        ElementType::I64 | ElementType::I32 => {
            let numbers = texts.iter().map(|text| text.trim().parse::<i64>().map_err(|_| bad(text)));
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            if to == ElementType::I64 {
                output.reset(shape)?.extend(numbers);
            } else {
                output.reset(shape)?.extend(numbers.iter().map(|&number| number as i32));
            }
        }
        ElementType::F32 => {
            let numbers = texts.iter().map(|text| text.trim().parse::<f32>().map_err(|_| bad(text)));
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            output.reset(shape)?.extend(numbers);
        }
        _ => {
            let numbers = texts.iter().map(|text| text.trim().parse::<f64>().map_err(|_| bad(text)));
            let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
            output.reset(shape)?.extend(numbers);
        }
    }
    Ok(())
}

/// Truncates towards zero. Values out of range and NaN become the smallest integer, as
/// x86-64 processors convert them, so that NaN never equals category 0.
pub(crate) fn truncate(value: f64) -> i64 {
    if value.is_nan() || value >= 9_223_372_036_854_775_808.0 { i64::MIN } else { value as i64 }
}

fn narrow(value: f64) -> i32 {
    let whole = truncate(value);
    i32::try_from(whole).unwrap_or(i32::MIN)
}

/// Formats as C's `%.<digits>g`: the shorter of decimal and scientific notation, without trailing zeros.
fn general(value: f64, digits: usize) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "INF".into() } else { "-INF".into() };
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0".into() } else { "0".into() };
    }
    let scientific = format!("{value:.*e}", digits - 1);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text.to_owned() }
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    trim(&format!("{value:.*}", (digits as i32 - 1 - exponent).max(0) as usize))
}
