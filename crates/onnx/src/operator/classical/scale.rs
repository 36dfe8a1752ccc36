//! Imputation, scaling, normalisation, and concatenation of features.

use std::str::FromStr;
use std::sync::Arc;

use super::each_f32;
use crate::node::{BuildError, Node};
use crate::operator::{BuildResult, Inputs, Operator, first_output};
use crate::tensor::{Data, Element, Tensor};

/// `Scaler`: `(value - offset) * scale`.
#[derive(Debug)]
struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

#[derive(Debug)]
enum Imputer {
    Floats { fills: Vec<f32>, replaced: f32 },
    Numbers { fills: Vec<i64>, replaced: i64 },
}

#[derive(Debug, Clone, Copy)]
enum Normalizer {
    Max,
    L1,
    L2,
}

#[derive(Debug)]
struct Binarizer {
    threshold: f32,
}

#[derive(Debug)]
struct FeatureVectorizer;

pub(super) fn build(name: &str, node: &Node<'_>) -> Option<BuildResult> {
    match name {
        "Scaler" => {
            let (offset, scale) = (node.floats("offset").to_vec(), node.floats("scale").to_vec());
            Some(if offset.is_empty() || scale.is_empty() {
                Err("expected offset and scale".into())
            } else {
                Ok(Arc::new(Scaler { offset, scale }))
            })
        }
        "Imputer" => Some(imputer(node).map(|imputer| Arc::new(imputer) as _)),
        "Normalizer" => Some(node.parse_text::<Normalizer>("norm", "MAX").map(|normalizer| Arc::new(normalizer) as _)),
        "Binarizer" => Some(Ok(Arc::new(Binarizer { threshold: node.float("threshold", 0.0) }))),
        "FeatureVectorizer" => Some(Ok(Arc::new(FeatureVectorizer))),
        _ => None,
    }
}

/// The settings for the columns of a row: one for each column, or one for all.
fn by_column<'a, T: Copy>(
    settings: &'a [T],
    columns: usize,
    what: &str,
) -> Result<impl Iterator<Item = T> + Clone + 'a, String> {
    if settings.len() != 1 && settings.len() != columns {
        return Err(format!("{} {what} for {columns} columns", settings.len()));
    }
    Ok(settings.iter().copied().cycle().take(columns))
}

impl Operator for Scaler {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let columns = input.shape().last().copied().unwrap_or(1);
        let settings = by_column(&self.offset, columns, "offsets")?.zip(by_column(&self.scale, columns, "scales")?);
        let output = output.reset::<f32>(input.shape())?;
        let mut settings = settings.cycle();
        each_f32(input, |value| {
            if let Some((offset, scale)) = settings.next() {
                output.push((value - offset) * scale);
            }
        })
    }
}

fn imputer(node: &Node<'_>) -> Result<Imputer, BuildError> {
    let (floats, numbers) = (node.floats("imputed_value_floats"), node.ints("imputed_value_int64s"));
    match (floats.is_empty(), numbers.is_empty()) {
        (false, true) => {
            Ok(Imputer::Floats { fills: floats.to_vec(), replaced: node.float("replaced_value_float", 0.0) })
        }
        (true, false) => {
            Ok(Imputer::Numbers { fills: numbers.to_vec(), replaced: node.int("replaced_value_int64", 0) })
        }
        _ => Err("expected imputed values, all of one type".into()),
    }
}

impl Operator for Imputer {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        fn fill<T: Element + Copy>(
            values: &[T],
            fills: &[T],
            is_missing: impl Fn(T) -> bool,
            input: &Tensor,
            output: &mut Tensor,
        ) -> Result<(), String> {
            let columns = input.shape().last().copied().unwrap_or(1);
            let fills = by_column(fills, columns, "values to impute")?.cycle();
            let filled = values.iter().zip(fills).map(|(&value, fill)| if is_missing(value) { fill } else { value });
            output.reset(input.shape())?.extend(filled);
            Ok(())
        }
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        match (self, input.data()) {
            (Self::Floats { fills, replaced }, Data::F32(values)) if replaced.is_nan() => {
                fill(values, fills, f32::is_nan, input, output)
            }
            (Self::Floats { fills, replaced }, Data::F32(values)) => {
                fill(values, fills, |value| value == *replaced, input, output)
            }
            (Self::Numbers { fills, replaced }, Data::I64(values)) => {
                fill(values, fills, |value| value == *replaced, input, output)
            }
            (_, other) => Err(format!("{} is not the type of the imputed values", other.element_type())),
        }
    }
}

impl FromStr for Normalizer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "MAX" => Ok(Self::Max),
            "L1" => Ok(Self::L1),
            "L2" => Ok(Self::L2),
            other => Err(format!("norm `{other}`")),
        }
    }
}

impl Operator for Normalizer {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let (_, columns) = input.matrix();
        let output = output.reset::<f32>(input.shape())?;
        each_f32(input, |value| output.push(value))?;
        for row in output.chunks_exact_mut(columns.max(1)) {
            let norm = match self {
                Self::Max => row.iter().copied().fold(f32::MIN, f32::max),
                Self::L1 => row.iter().map(|value| value.abs()).sum(),
                Self::L2 => row.iter().map(|value| value * value).sum::<f32>().sqrt(),
            };
            if norm != 0.0 {
                for value in row {
                    *value /= norm;
                }
            }
        }
        Ok(())
    }
}

impl Operator for Binarizer {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (input, output) = (inputs.required(0)?, first_output(outputs)?);
        let output = output.reset::<f32>(input.shape())?;
        each_f32(input, |value| output.push(if value > self.threshold { 1.0 } else { 0.0 }))
    }
}

impl Operator for FeatureVectorizer {
    fn run(&self, inputs: &dyn Inputs, outputs: &mut [Tensor]) -> Result<(), String> {
        let (rows, _) = inputs.required(0)?.matrix();
        let mut columns = 0;
        for position in 0..inputs.len() {
            let (also, more) = inputs.required(position)?.matrix();
            if also != rows {
                return Err(format!("input {position} has {also} rows, expected {rows} as in the first"));
            }
            columns += more;
        }
        let output = first_output(outputs)?.reset::<f32>(&[rows, columns])?;
        output.resize(rows * columns, 0.0);
        let mut from = 0;
        for position in 0..inputs.len() {
            let input = inputs.required(position)?;
            let (_, width) = input.matrix();
            let mut at = 0;
            each_f32(input, |value| {
                output[at / width * columns + from + at % width] = value;
                at += 1;
            })?;
            from += width;
        }
        Ok(())
    }
}
