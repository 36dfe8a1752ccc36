//! An ONNX model as the platform's [`Predictor`].

mod feed;
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
use crate::tensor::{Data, Kind};

use feed::Feed;
pub use signature::infer_signature;

/// Rows that go through the model at once; what an operator makes of them stays near the processor.
const CHUNK_ROWS: usize = 1_024;
/// From here on a batch is spread over the threads of the `rayon` pool.
const PARALLEL_ROWS_MIN: usize = 8 * CHUNK_ROWS;
/// Sets of buffers kept for later calls.
const SPARE_BUFFERS_MAX: usize = 64;

/// A model and the signature it is called by.
#[derive(Debug)]
pub struct OnnxPredictor {
    signature: Signature,
    plan: Plan,
    feed: Feed,
    scores: Columns,
    chunk_rows: usize,
    spare: Mutex<Vec<Buffers>>,
}

/// Which columns of the output are the scores.
#[derive(Debug)]
enum Columns {
    /// The only one.
    Only,
    /// Of two, the probability of yes; of one, that one.
    Yes,
    /// For each class of the signature the column of the model.
    Classes(Vec<usize>),
}

impl OnnxPredictor {
    /// Joins a model and a signature.
    ///
    /// # Errors
    /// [`Error::Input`] where the model asks for what the signature does not
    /// have, or answers what the signature does not promise.
    pub fn new(model: &Model, signature: Signature) -> Result<Self> {
        let feed = Feed::new(model, &signature)?;
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
        let output = output(model, &signature)?;
        let scores = columns(model, &model.outputs()[output], &signature)?;
        let plan = model.plan().keeping(output);
        Ok(Self { signature, plan, feed, scores, chunk_rows, spare: Mutex::default() })
    }

    /// Scores the rows `first .. first + rows` into `out`.
    fn chunk(&self, frame: &Frame, first: usize, rows: usize, out: &mut [f64]) -> Result<(), PredictError> {
        let mut buffers = self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        self.feed.fill(&self.plan, frame, first..first + rows, &mut buffers)?;
        self.plan.run(&mut buffers).map_err(|error| PredictError::Model(error.to_string()))?;
        let tensor = self.plan.output(0, &buffers);
        let width = tensor.data().len().checked_div(rows).unwrap_or(0);
        if width * rows != tensor.data().len() {
            return Err(PredictError::Model(format!("the model answered shape {:?} for {rows} rows", tensor.shape())));
        }
        match tensor.data() {
            Data::F32(values) => self.pick(values, width, out)?,
            Data::F64(values) => self.pick(values, width, out)?,
            Data::I64(values) => {
                self.pick(&values.iter().map(|&value| value as f64).collect::<Vec<_>>(), width, out)?;
            }
            other => return Err(PredictError::Model(format!("the model answered {}, expected numbers", other.kind()))),
        }
        if let Ok(mut spare) = self.spare.lock()
            && spare.len() < SPARE_BUFFERS_MAX
        {
            spare.push(buffers);
        }
        Ok(())
    }

    fn pick<T: Copy + Into<f64>>(&self, values: &[T], width: usize, out: &mut [f64]) -> Result<(), PredictError> {
        let wrong = |expected: &str| {
            Err(PredictError::Model(format!("the model answered {width} numbers a row, expected {expected}")))
        };
        match &self.scores {
            Columns::Only if width != 1 => return wrong("1"),
            Columns::Yes if width != 1 && width != 2 => return wrong("1 or 2"),
            Columns::Classes(columns) if columns.len() != width => return wrong(&columns.len().to_string()),
            Columns::Only | Columns::Yes => {
                let rows = values.chunks_exact(width);
                out.iter_mut().zip(rows).for_each(|(out, row)| *out = row[width - 1].into());
            }
            Columns::Classes(columns) => {
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
        let chunk = |(at, out): (usize, &mut [f64])| self.chunk(frame, at * self.chunk_rows, out.len() / width, out);
        if frame.rows() >= PARALLEL_ROWS_MIN {
            values.par_chunks_mut(self.chunk_rows * width).enumerate().try_for_each(chunk)?;
        } else {
            values.chunks_mut(self.chunk_rows * width).enumerate().try_for_each(chunk)?;
        }
        Ok(Scores { width, values })
    }
}

/// The output that holds the scores: for a regression the first number, for a
/// classifier what is mapped to classes, or called a probability, or as wide as
/// there are classes, or the last that is not whole.
fn output(model: &Model, signature: &Signature) -> Result<usize> {
    let is_float = |value: &Value| matches!(value.kind, Kind::F32 | Kind::F64);
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
            "the model has no output of numbers, expected the scores of a {} task",
            signature.task.as_str()
        ))
    })
}

fn columns(model: &Model, output: &Value, signature: &Signature) -> Result<Columns> {
    let count = signature.classes.len();
    Ok(match signature.task {
        TaskKind::Regression => Columns::Only,
        TaskKind::Binary => Columns::Yes,
        TaskKind::Multiclass => {
            let labels = output.labels.as_ref().or(model.labels()).map(crate::Labels::to_texts);
            let Some(labels) = labels else { return Ok(Columns::Classes((0..count).collect())) };
            if labels.len() != count {
                return Err(Error::Input(format!("the model has {} classes, the signature {count}", labels.len())));
            }
            let column = |class: &String| labels.iter().position(|label| label == class);
            let found = signature.classes.iter().map(|class| {
                column(class).ok_or_else(|| Error::Input(format!("the model has no class `{class}`, but {labels:?}")))
            });
            Columns::Classes(found.collect::<Result<_>>()?)
        }
    })
}
