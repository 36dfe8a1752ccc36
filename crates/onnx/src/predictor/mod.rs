//! An ONNX model as a [`Predictor`].

mod inputs;
mod signature;
#[cfg(test)]
mod tests;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use perennial_core::frame::Frame;
use perennial_core::model::{PredictError, Predictor, Scores, Signature};
use perennial_core::task::TaskKind;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::limits;
use crate::model::{Bounds, Buffers, Model, Plan, Usage, Value};
use crate::tensor::{Data, ElementType};

use inputs::InputMapping;
pub use signature::{infer_signature, signature_with};

/// Most rows evaluated at once; few enough that intermediate values stay in the processor's cache.
const CHUNK_ROWS: usize = 1_024;
/// Memory that the tensors of a chunk should take at most, bytes: wide rows come in smaller chunks.
const CHUNK_BYTES: u64 = limits::RUN_BYTES_MAX / 2;
/// Operations that a chunk should take at most, so that an interruption ends a prediction soon.
const CHUNK_OPERATIONS: u64 = 1 << 28;
/// Memory of the buffers that are kept for later calls, bytes.
const IDLE_BYTES_MAX: u64 = limits::RUN_BYTES_MAX / 4;
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
    /// Rows evaluated at once. It starts with one and doubles while the tensors and operations of a chunk stay few.
    chunk_rows: AtomicUsize,
    /// Whether `chunk_rows` has stopped growing.
    is_chunk_settled: AtomicBool,
    idle_buffers: Mutex<Vec<Buffers>>,
}

/// Selects the scores among the columns of the output.
#[derive(Debug)]
enum ScoreColumns {
    /// The only column.
    Single,
    /// Of two columns the one of the positive class; of one column its only one.
    Positive(usize),
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
        if batch > 1 {
            return Err(Error::Input(format!(
                "the model takes exactly {batch} rows at once; export it with a free first dimension"
            )));
        }
        let output = score_output(model, &signature)?;
        let scores = score_columns(model, &model.outputs()[output], &signature)?;
        let plan = model.plan().pruned_to(output);
        let (chunk_rows, is_chunk_settled) = (AtomicUsize::new(1), AtomicBool::new(batch == 1));
        Ok(Self { signature, plan, inputs, scores, chunk_rows, is_chunk_settled, idle_buffers: Mutex::default() })
    }

    /// Predicts the rows `first .. first + rows` into `out`.
    fn predict_chunk(
        &self,
        frame: &Frame,
        first: usize,
        rows: usize,
        budget: &Budget<'_>,
        out: &mut [f64],
    ) -> Result<Usage, PredictError> {
        let mut buffers =
            self.idle_buffers.lock().ok().and_then(|mut idle_buffers| idle_buffers.pop()).unwrap_or_default();
        self.inputs.fill(&self.plan, frame, first..first + rows, &mut buffers)?;
        let usage = self.plan.run(&mut buffers, budget.bounds()).map_err(|error| match error {
            Error::Budget { .. } => PredictError::Budget(error.to_string()),
            other => PredictError::Model(other.to_string()),
        })?;
        budget.charge(usage);
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
            && (idle_buffers.len() as u64 + 1) * usage.bytes <= IDLE_BYTES_MAX
        {
            idle_buffers.push(buffers);
        }
        Ok(usage)
    }

    /// Predicts a chunk that begins at row `first`, and doubles the next one if it will stay small. Returns the number
    /// of its rows.
    fn predict_growing_chunk(
        &self,
        frame: &Frame,
        first: usize,
        budget: &Budget<'_>,
        values: &mut [f64],
    ) -> Result<usize, PredictError> {
        let (chunk_rows, width) = (self.chunk_rows.load(Ordering::Relaxed), self.signature.width());
        let rows = chunk_rows.min(frame.rows() - first);
        let out = &mut values[first * width..(first + rows) * width];
        let usage = self.predict_chunk(frame, first, rows, budget, out)?;
        let is_large = usage.bytes > CHUNK_BYTES / 2 || usage.operations > CHUNK_OPERATIONS / 2;
        if rows == CHUNK_ROWS || is_large {
            self.is_chunk_settled.store(true, Ordering::Relaxed);
        } else if rows == chunk_rows {
            self.chunk_rows.store((2 * rows).min(CHUNK_ROWS), Ordering::Relaxed);
        }
        Ok(rows)
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
            ScoreColumns::Positive(_) if width != 1 && width != 2 => return wrong("1 or 2"),
            ScoreColumns::Classes(columns) if columns.len() != width => return wrong(&columns.len().to_string()),
            ScoreColumns::Single => out.iter_mut().zip(values).for_each(|(out, &value)| *out = value.into()),
            ScoreColumns::Positive(column) => {
                let (rows, column) = (values.chunks_exact(width), (*column).min(width - 1));
                out.iter_mut().zip(rows).for_each(|(out, row)| *out = row[column].into());
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
        self.predict_inline(frame, &|| false)
    }
}

impl OnnxPredictor {
    /// Scores each row, as [`Predictor::predict`] does, until it is interrupted.
    ///
    /// # Errors
    /// As [`Predictor::predict`]; [`PredictError::Model`] after an interruption.
    pub fn predict_inline(
        &self,
        frame: &Frame,
        is_interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Scores, PredictError> {
        let (fixed, of_row) = (limits::INLINE_OPERATIONS_MAX, limits::INLINE_ROW_OPERATIONS_MAX);
        self.predict_within(frame, &Budget::new(frame.rows(), fixed, of_row, is_interrupted))
    }

    /// Scores each row, as [`Predictor::predict`] does, on a thread that may compute for seconds, until it is
    /// interrupted.
    ///
    /// # Errors
    /// As [`Predictor::predict`]; [`PredictError::Model`] beyond the [`limits`] of a prediction, and after an
    /// interruption.
    pub fn predict_heavy(
        &self,
        frame: &Frame,
        is_interrupted: &(dyn Fn() -> bool + Sync),
    ) -> Result<Scores, PredictError> {
        let (fixed, of_row) = (limits::OPERATIONS_MAX, limits::ROW_OPERATIONS_MAX);
        let budget = Budget::new(frame.rows(), fixed, of_row, is_interrupted);
        self.predict_within(frame, &budget).map_err(|error| match error {
            PredictError::Budget(message) => PredictError::Model(message),
            other => other,
        })
    }

    fn predict_within(&self, frame: &Frame, budget: &Budget<'_>) -> Result<Scores, PredictError> {
        let width = self.signature.width();
        let mut values = vec![0.0; frame.rows() * width];
        let mut first = 0;
        while first < frame.rows() && !self.is_chunk_settled.load(Ordering::Relaxed) {
            first += self.predict_growing_chunk(frame, first, budget, &mut values)?;
        }
        let chunk_rows = self.chunk_rows.load(Ordering::Relaxed);
        let chunk = |(at, out): (usize, &mut [f64])| {
            self.predict_chunk(frame, first + at * chunk_rows, out.len() / width, budget, out).map(drop)
        };
        let rest = &mut values[first * width..];
        if frame.rows() >= PARALLEL_ROWS_MIN {
            rest.par_chunks_mut(chunk_rows * width).enumerate().try_for_each(chunk)?;
        } else {
            rest.chunks_mut(chunk_rows * width).enumerate().try_for_each(chunk)?;
        }
        Ok(Scores { width, values })
    }
}

/// The operations that one prediction may take, unless it is interrupted.
struct Budget<'a> {
    operations_max: u64,
    operations: AtomicU64,
    is_interrupted: &'a (dyn Fn() -> bool + Sync),
}

impl<'a> Budget<'a> {
    fn new(rows: usize, fixed: u64, of_row: u64, is_interrupted: &'a (dyn Fn() -> bool + Sync)) -> Self {
        Self { operations_max: fixed + rows as u64 * of_row, operations: AtomicU64::new(0), is_interrupted }
    }

    fn charge(&self, usage: Usage) {
        self.operations.fetch_add(usage.operations, Ordering::Relaxed);
    }

    /// The bounds of the next chunk: the operations that are left.
    fn bounds(&self) -> Bounds<'a> {
        let operations_max = self.operations_max.saturating_sub(self.operations.load(Ordering::Relaxed));
        Bounds { operations_max, is_interrupted: self.is_interrupted }
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
    let columns = || {
        let labels = output.labels.as_ref().or(model.labels());
        labels.map(|labels| labels.columns(signature)).transpose()
    };
    Ok(match signature.task {
        TaskKind::Regression => ScoreColumns::Single,
        // A model that does not name its classes has them in the order of the outcomes.
        TaskKind::Binary => ScoreColumns::Positive(columns()?.map_or(1, |columns| columns[0])),
        TaskKind::Multiclass => {
            ScoreColumns::Classes(columns()?.unwrap_or_else(|| (0..signature.classes.len()).collect()))
        }
    })
}
