//! An ONNX model as a [`Predictor`].

mod inputs;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Mutex;

use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::task::TaskKind;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::model::{Buffers, Model, Plan, Value};
use crate::tensor::{Data, ElementType};

use inputs::InputMapping;
pub use signature::infer_signature;

/// Number of rows evaluated at once; small enough that intermediate values stay in the processor's cache.
const CHUNK_ROWS: usize = 1_024;
/// Batches of at least this many rows are evaluated in parallel, in the current `rayon` pool.
const PARALLEL_ROWS_MIN: usize = 8 * CHUNK_ROWS;
/// Maximum number of buffers kept for later calls.
const IDLE_BUFFERS_MAX: usize = 64;

/// A model together with the signature by which it is called.
#[derive(Debug)]
pub struct OnnxPredictor {
    signature: Signature,
    plan: Plan,
    inputs: InputMapping,
    scores: ScoreColumns,
    chunk_rows: usize,
    idle_buffers: Mutex<Vec<Buffers>>,
}

/// Selects the scores among the columns of the output.
#[derive(Debug)]
enum ScoreColumns {
    /// The only column.
    Single,
    /// The last of one or two columns: the probability of the positive class.
    Positive,
    /// For each class of the signature the index of its column.
    Classes(Vec<usize>),
}

impl OnnxPredictor {
    /// Combines a model and a signature.
    ///
    /// # Errors
    /// [`Error::Input`] when the model has an input that is missing in the
    /// signature, or no output with the scores of the signature's task.
    pub fn new(model: &Model, signature: Signature) -> Result<Self> {
        if signature.width() == 0 {
            return Err(Error::Input("the signature has no classes".into()));
        }
        let inputs = InputMapping::new(model, &signature)?;
        let batch = model.inputs().iter().filter_map(|input| input.shape.first().copied()).max().unwrap_or(-1);
        let chunk_rows = match batch {
            1 => 1,
            2.. => {
                return Err(Error::Input(format!(
                    "the model takes exactly {batch} rows at once; export it with a free first dimension"
                )));
            }
            _ => CHUNK_ROWS,
        };
        let output = score_output(model, &signature)?;
        let scores = score_columns(model, &model.outputs()[output], &signature)?;
        let plan = model.plan().pruned_to(output);
        Ok(Self { signature, plan, inputs, scores, chunk_rows, idle_buffers: Mutex::default() })
    }

    /// Predicts the rows `first .. first + rows` into `out`.
    fn predict_chunk(&self, frame: &Frame, first: usize, rows: usize, out: &mut [f64]) -> Result<(), PredictError> {
        let mut buffers =
            self.idle_buffers.lock().ok().and_then(|mut idle_buffers| idle_buffers.pop()).unwrap_or_default();
        self.inputs.fill(&self.plan, frame, first..first + rows, &mut buffers)?;
        self.plan.run(&mut buffers).map_err(|error| PredictError::Model(error.to_string()))?;
        let tensor = self.plan.output(0, &buffers);
        let width = tensor.data().len().checked_div(rows).unwrap_or(0);
        if width * rows != tensor.data().len() {
            return Err(PredictError::Model(format!("the model returned shape {:?} for {rows} rows", tensor.shape())));
        }
        match tensor.data() {
            Data::F32(values) => self.select_scores(values, width, out)?,
            Data::F64(values) => self.select_scores(values, width, out)?,
            Data::I64(values) => {
                self.select_scores(&values.iter().map(|&value| value as f64).collect::<Vec<_>>(), width, out)?;
            }
            other => {
                return Err(PredictError::Model(format!(
                    "the model returned {}, expected numbers",
                    other.element_type()
                )));
            }
        }
        if let Ok(mut idle_buffers) = self.idle_buffers.lock()
            && idle_buffers.len() < IDLE_BUFFERS_MAX
        {
            idle_buffers.push(buffers);
        }
        Ok(())
    }

    fn select_scores<T: Copy + Into<f64>>(
        &self,
        values: &[T],
        width: usize,
        out: &mut [f64],
    ) -> Result<(), PredictError> {
        let wrong = |expected: &str| {
            Err(PredictError::Model(format!("the model returned {width} numbers a row, expected {expected}")))
        };
        match &self.scores {
            ScoreColumns::Single if width != 1 => return wrong("1"),
            ScoreColumns::Positive if width != 1 && width != 2 => return wrong("1 or 2"),
            ScoreColumns::Classes(columns) if columns.len() != width => return wrong(&columns.len().to_string()),
            ScoreColumns::Single | ScoreColumns::Positive => {
                let rows = values.chunks_exact(width);
                out.iter_mut().zip(rows).for_each(|(out, row)| *out = row[width - 1].into());
            }
            ScoreColumns::Classes(columns) => {
                for (out, row) in out.chunks_exact_mut(width).zip(values.chunks_exact(width)) {
                    out.iter_mut().zip(columns).for_each(|(out, &column)| *out = row[column].into());
                }
            }
        }
        Ok(())
    }
}

impl Predictor for OnnxPredictor {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn predict(&self, frame: &Frame) -> Result<Scores, PredictError> {
        let width = self.signature.width();
        let mut values = vec![0.0; frame.rows() * width];
        let chunk =
            |(at, out): (usize, &mut [f64])| self.predict_chunk(frame, at * self.chunk_rows, out.len() / width, out);
        if frame.rows() >= PARALLEL_ROWS_MIN {
            values.par_chunks_mut(self.chunk_rows * width).enumerate().try_for_each(chunk)?;
        } else {
            values.chunks_mut(self.chunk_rows * width).enumerate().try_for_each(chunk)?;
        }
        Ok(Scores { width, values })
    }
}

/// The index of the output with the scores. Regression: the first float output.
/// Classifier: the first float output with class labels, else with `prob` in its name,
/// else with as many columns as classes, else the last float output.
fn score_output(model: &Model, signature: &Signature) -> Result<usize> {
    let is_float = |value: &Value| matches!(value.kind, ElementType::F32 | ElementType::F64);
    let floats: Vec<usize> = (0..model.outputs().len()).filter(|&at| is_float(&model.outputs()[at])).collect();
    let find = |test: &dyn Fn(&Value) -> bool| floats.iter().copied().find(|&at| test(&model.outputs()[at]));
    let found = match signature.task {
        TaskKind::Regression => floats.first().copied().or(if model.outputs().is_empty() { None } else { Some(0) }),
        TaskKind::Binary | TaskKind::Multiclass => {
            let classes = if signature.task == TaskKind::Binary { 2 } else { signature.classes.len() as i64 };
            find(&|value| value.labels.is_some())
                .or_else(|| find(&|value| value.name.to_lowercase().contains("prob")))
                .or_else(|| find(&|value| value.shape.len() == 2 && value.shape[1] == classes))
                .or_else(|| floats.last().copied())
        }
    };
    found.ok_or_else(|| {
        Error::Input(format!(
            "the model has no numeric output, expected the scores of a {} task",
            signature.task.as_str()
        ))
    })
}

fn score_columns(model: &Model, output: &Value, signature: &Signature) -> Result<ScoreColumns> {
    let count = signature.classes.len();
    Ok(match signature.task {
        TaskKind::Regression => ScoreColumns::Single,
        TaskKind::Binary => ScoreColumns::Positive,
        TaskKind::Multiclass => {
            let labels = output.labels.as_ref().or(model.labels()).map(crate::Labels::to_texts);
            let Some(labels) = labels else { return Ok(ScoreColumns::Classes((0..count).collect())) };
            if labels.len() != count {
                return Err(Error::Input(format!("the model has {} classes, the signature {count}", labels.len())));
            }
            let column = |class: &String| labels.iter().position(|label| label == class);
            let found = signature.classes.iter().map(|class| {
                column(class).ok_or_else(|| Error::Input(format!("the model has no class `{class}`, only {labels:?}")))
            });
            ScoreColumns::Classes(found.collect::<Result<_>>()?)
        }
    })
}
