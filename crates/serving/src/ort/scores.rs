//! Reads scores from a model's outputs.

use std::collections::HashMap;

use ort::session::SessionOutputs;
use ort::value::{DynMapValueType, DynValue, Outlet, TensorElementType, ValueType};
use perennial_core::Result;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::task::TaskKind;
use perennial_onnx::{ClassLabels, Labels};

use super::unusable;
use crate::runtime::onnx_error;

/// The output that holds the scores, and how to read it.
pub(super) struct ScoreOutput {
    output: String,
    task: TaskKind,
    /// The labels of the output's columns, if the model names them.
    labels: Option<Vec<String>>,
    /// For each score its column in the output.
    columns: Vec<usize>,
}

impl ScoreOutput {
    /// Finds the output that holds the scores. For a regression it is the first numeric output. For a
    /// classifier it is the first that exists of: a map by class, an output with `prob` in its name, an output
    /// with one column per class, the last numeric output. Its columns are matched with the signature by the labels of
    /// the model; a model without labels has them in the order of the signature, no before yes.
    pub(super) fn new(outputs: &[Outlet], signature: &Signature, labels: &ClassLabels) -> Result<Self> {
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
                let is_probability = |outlet: &&Outlet| outlet.name().to_lowercase().contains("prob");
                outputs
                    .iter()
                    .find(is_mapped)
                    .or_else(|| floats().find(is_probability))
                    .or_else(|| floats().find(is_wide))
                    .or_else(|| floats().next_back())
            }
        };
        let found = found.ok_or_else(|| {
            unusable(format!(
                "the model has no output of numbers, expected the scores of a {} task",
                signature.task.as_str()
            ))
        })?;
        let labels = labels.of_output(found.name()).filter(|_| signature.task != TaskKind::Regression);
        let columns = match (labels, signature.task) {
            (Some(labels), _) => labels.columns(signature).map_err(onnx_error)?,
            (None, TaskKind::Binary) => vec![1],
            (None, _) => (0..signature.width()).collect(),
        };
        Ok(Self {
            output: found.name().to_owned(),
            task: signature.task,
            labels: labels.map(Labels::to_texts),
            columns,
        })
    }

    /// The scores of `rows` rows.
    pub(super) fn scores(&self, outputs: &SessionOutputs<'_>, rows: usize) -> Result<Scores, PredictError> {
        let invalid = |reason: String| PredictError::Model(format!("output `{}` {reason}", self.output));
        let value = outputs.get(&self.output).ok_or_else(|| invalid("is missing".to_owned()))?;
        let numbers = match value.dtype() {
            ValueType::Sequence(_) => self.mapped(value).map_err(invalid)?,
            _ => read_numbers(value).map_err(|error| invalid(error.to_string()))?,
        };
        let width = numbers.len().checked_div(rows).unwrap_or(0);
        let expected = match self.task {
            TaskKind::Multiclass => self.columns.len(),
            TaskKind::Binary if width == 2 => 2,
            TaskKind::Binary | TaskKind::Regression => 1,
        };
        if numbers.len() != rows * expected {
            return Err(invalid(format!("has {} numbers for {rows} rows, expected {expected} per row", numbers.len())));
        }
        Ok(match self.task {
            TaskKind::Binary => {
                let column = self.columns[0].min(expected - 1);
                Scores { width: 1, values: numbers.chunks_exact(expected).map(|row| row[column]).collect() }
            }
            TaskKind::Multiclass => {
                let ordered = |row: &[f64]| self.columns.iter().map(|&column| row[column]).collect::<Vec<_>>();
                Scores { width: expected, values: numbers.chunks_exact(expected).flat_map(ordered).collect() }
            }
            TaskKind::Regression => Scores { width: expected, values: numbers },
        })
    }

    /// The columns of an output with one map per row, class to score.
    fn mapped(&self, value: &DynValue) -> Result<Vec<f64>, String> {
        let Some(labels) = &self.labels else {
            return Err("has maps by class, and no node names the classes".to_owned());
        };
        let maps = value.try_extract_sequence::<DynMapValueType>().map_err(|error| error.to_string())?;
        let mut numbers = Vec::with_capacity(maps.len() * labels.len());
        for map in maps {
            let row: HashMap<String, f32> = if let Ok(pairs) = map.try_extract_key_values::<i64, f32>() {
                pairs.into_iter().map(|(class, score)| (class.to_string(), score)).collect()
            } else {
                let pairs = map.try_extract_key_values::<String, f32>().map_err(|error| error.to_string())?;
                pairs.into_iter().collect()
            };
            for label in labels {
                let score = row.get(label).ok_or_else(|| format!("has no class `{label}`"))?;
                numbers.push(f64::from(*score));
            }
        }
        Ok(numbers)
    }
}

fn read_numbers(value: &DynValue) -> ort::Result<Vec<f64>> {
    match value.dtype().tensor_type() {
        Some(TensorElementType::Float64) => Ok(value.try_extract_tensor::<f64>()?.1.to_vec()),
        _ => Ok(value.try_extract_tensor::<f32>()?.1.iter().copied().map(f64::from).collect()),
    }
}
