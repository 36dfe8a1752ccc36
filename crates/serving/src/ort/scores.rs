//! Reads scores from a model's output.

use perennial_core::Result;
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::task::TaskKind;
use perennial_onnx::{ClassLabels, Labels};

use super::protocol::{Element, Outlet, OutletKind};
use crate::model_error::{onnx_error, unusable};

/// The output that holds the scores, and how to read it.
pub(super) struct ScoreOutput {
    pub(super) output: String,
    /// The labels of the output's columns, if the model names them.
    pub(super) labels: Option<Vec<String>>,
    task: TaskKind,
    /// For each score its column in the output.
    columns: Vec<usize>,
}

impl ScoreOutput {
    /// Finds the output that holds the scores. For a regression it is the first numeric output. For a
    /// classifier it is the first that exists of: a map by class, an output with `prob` in its name, an output
    /// with one column per class, the last numeric output. Its columns are matched with the signature by the labels of
    /// the model; a model without labels has them in the order of the signature, no before yes.
    pub(super) fn new(outputs: &[Outlet], signature: &Signature, labels: &ClassLabels) -> Result<Self> {
        let is_float = |outlet: &&Outlet| matches!(outlet.element(), Some(Element::Float32 | Element::Float64));
        let floats = || outputs.iter().filter(is_float);
        let found = match signature.task {
            TaskKind::Regression => floats().next(),
            TaskKind::Binary | TaskKind::Multiclass => {
                let classes = if signature.task == TaskKind::Binary { 2 } else { signature.classes.len() as i64 };
                let is_mapped = |outlet: &&Outlet| matches!(outlet.kind, OutletKind::Sequence);
                let is_wide =
                    |outlet: &&Outlet| outlet.shape().is_some_and(|shape| shape.len() == 2 && shape[1] == classes);
                let is_probability = |outlet: &&Outlet| outlet.name.to_lowercase().contains("prob");
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
        let labels = labels.of_output(&found.name).filter(|_| signature.task != TaskKind::Regression);
        let columns = match (labels, signature.task) {
            (Some(labels), _) => labels.columns(signature).map_err(onnx_error)?,
            (None, TaskKind::Binary) => vec![1],
            (None, _) => (0..signature.width()).collect(),
        };
        Ok(Self { output: found.name.clone(), labels: labels.map(Labels::to_texts), task: signature.task, columns })
    }

    /// The scores of `rows` rows from the numbers of the output.
    pub(super) fn scores(&self, numbers: Vec<f64>, rows: usize) -> Result<Scores, PredictError> {
        let width = numbers.len().checked_div(rows).unwrap_or(0);
        let expected = match self.task {
            TaskKind::Multiclass => self.columns.len(),
            TaskKind::Binary if width == 2 => 2,
            TaskKind::Binary | TaskKind::Regression => 1,
        };
        if numbers.len() != rows * expected {
            return Err(PredictError::Model(format!(
                "output `{}` has {} numbers for {rows} rows, expected {expected} per row",
                self.output,
                numbers.len()
            )));
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
}
