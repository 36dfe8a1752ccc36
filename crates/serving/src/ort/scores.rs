//! From a model's outputs to scores.

use std::collections::BTreeMap;

use ort::session::SessionOutputs;
use ort::value::{DynMapValueType, DynValue, Outlet, TensorElementType, ValueType};
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::task::TaskKind;

/// Which output holds the scores, and how its columns become them.
pub(super) struct Pick {
    output: String,
    task: TaskKind,
    classes: Vec<String>,
}

impl Pick {
    /// The output that holds the scores: for a regression the first of numbers, for a classifier
    /// what is mapped to classes, or called a probability, or as wide as there are classes, or the
    /// last of numbers.
    pub(super) fn new(outputs: &[Outlet], signature: &Signature) -> Result<Self, String> {
        let is_float = |outlet: &&Outlet| {
            matches!(outlet.dtype().tensor_type(), Some(TensorElementType::Float32 | TensorElementType::Float64))
        };
        let floats = || outputs.iter().filter(is_float);
        let found = match signature.task {
            TaskKind::Regression => floats().next(),
            TaskKind::Binary | TaskKind::Multiclass => {
                let classes = if signature.task == TaskKind::Binary { 2 } else { signature.classes.len() as i64 };
                let is_mapped = |outlet: &&Outlet| matches!(outlet.dtype(), ValueType::Sequence(_));
                let is_wide = |outlet: &&Outlet| {
                    outlet.dtype().tensor_shape().is_some_and(|shape| shape.len() == 2 && shape[1] == classes)
                };
                let is_called = |outlet: &&Outlet| outlet.name().to_lowercase().contains("prob");
                outputs
                    .iter()
                    .find(is_mapped)
                    .or_else(|| floats().find(is_called))
                    .or_else(|| floats().find(is_wide))
                    .or_else(|| floats().next_back())
            }
        };
        let found = found.ok_or_else(|| {
            format!("the model has no output of numbers, expected the scores of a {} task", signature.task.as_str())
        })?;
        Ok(Self { output: found.name().to_owned(), task: signature.task, classes: signature.classes.clone() })
    }

    /// The scores of `rows` rows.
    pub(super) fn scores(&self, outputs: &SessionOutputs<'_>, rows: usize) -> Result<Scores, PredictError> {
        let wrong = |why: String| PredictError::Model(format!("output `{}` {why}", self.output));
        let value = outputs.get(&self.output).ok_or_else(|| wrong("was not answered".to_owned()))?;
        let answered = match value.dtype() {
            ValueType::Sequence(_) => self.mapped(value).map_err(wrong)?,
            _ => numbers(value).map_err(|error| wrong(error.to_string()))?,
        };
        let width = answered.len().checked_div(rows).unwrap_or(0);
        let expected = match self.task {
            TaskKind::Multiclass => self.classes.len(),
            TaskKind::Binary if width == 2 => 2,
            TaskKind::Binary | TaskKind::Regression => 1,
        };
        if answered.len() != rows * expected {
            return Err(wrong(format!("holds {} numbers for {rows} rows, expected {expected} a row", answered.len())));
        }
        Ok(match self.task {
            // Of two columns the second is the probability of yes.
            TaskKind::Binary => {
                Scores { width: 1, values: answered.chunks_exact(expected).map(|row| row[expected - 1]).collect() }
            }
            TaskKind::Multiclass | TaskKind::Regression => Scores { width: expected, values: answered },
        })
    }

    /// One map a row from class to score, in the order of the classes.
    fn mapped(&self, value: &DynValue) -> Result<Vec<f64>, String> {
        let maps = value.try_extract_sequence::<DynMapValueType>().map_err(|error| error.to_string())?;
        let mut numbers = Vec::new();
        for map in maps {
            let row: Vec<(String, f32)> = if let Ok(pairs) = map.try_extract_key_values::<i64, f32>() {
                // Whole numbers sort as such.
                let sorted: BTreeMap<i64, f32> = pairs.into_iter().collect();
                sorted.into_iter().map(|(class, score)| (class.to_string(), score)).collect()
            } else {
                let pairs = map.try_extract_key_values::<String, f32>().map_err(|error| error.to_string())?;
                pairs.into_iter().collect::<BTreeMap<_, _>>().into_iter().collect()
            };
            if self.classes.is_empty() {
                numbers.extend(row.iter().map(|(_, score)| f64::from(*score)));
                continue;
            }
            for class in &self.classes {
                let score = row.iter().find(|(name, _)| name == class).map(|(_, score)| f64::from(*score));
                numbers.push(score.ok_or_else(|| format!("has no class `{class}`"))?);
            }
        }
        Ok(numbers)
    }
}

fn numbers(value: &DynValue) -> ort::Result<Vec<f64>> {
    match value.dtype().tensor_type() {
        Some(TensorElementType::Float64) => Ok(value.try_extract_tensor::<f64>()?.1.to_vec()),
        _ => Ok(value.try_extract_tensor::<f32>()?.1.iter().copied().map(f64::from).collect()),
    }
}
