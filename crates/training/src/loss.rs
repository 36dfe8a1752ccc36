//! Loss functions: initial scores, loss, and its derivatives.

use perennial_core::task::TaskKind;
use rayon::prelude::*;

use crate::Target;

/// Number of rows whose gradients one task computes.
const CHUNK_ROWS: usize = 8_192;
/// Pseudo-count of a class without training rows, which keeps its initial score finite.
const ABSENT_CLASS_ROWS: f64 = 0.5;

/// The loss of a task, with initial scores and scale estimated from the training target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    /// The task.
    pub(crate) task: TaskKind,
    /// For each output the constant score that minimises the loss, rounded to a 32-bit float.
    pub(crate) initial_scores: Vec<f64>,
    /// Unit of the gradients: the target's standard deviation for regression, 1 for other tasks.
    pub(crate) scale: f64,
}

impl Loss {
    pub(crate) fn new(target: &Target) -> Self {
        let round_to_f32 = |value: f64| f64::from(value as f32);
        match target {
            Target::Binary(values) => {
                let share = mean(values);
                Self {
                    task: TaskKind::Binary,
                    initial_scores: vec![round_to_f32((share / (1.0 - share)).ln())],
                    scale: 1.0,
                }
            }
            Target::Numbers(values) => {
                let mean = mean(values);
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
                Self {
                    task: TaskKind::Regression,
                    initial_scores: vec![round_to_f32(mean)],
                    scale: if variance > 0.0 { variance.sqrt() } else { 1.0 },
                }
            }
            Target::Classes { codes, classes } => {
                let mut counts = vec![0.0_f64; classes.len()];
                for &code in codes {
                    counts[code as usize] += 1.0;
                }
                let rows = codes.len() as f64;
                let initial_scores =
                    counts.iter().map(|count| round_to_f32((count.max(ABSENT_CLASS_ROWS) / rows).ln())).collect();
                Self { task: TaskKind::Multiclass, initial_scores, scale: 1.0 }
            }
        }
    }

    /// Number of scores a row.
    pub(crate) fn outputs(&self) -> usize {
        self.initial_scores.len()
    }

    /// Name of the training metric.
    pub(crate) fn metric_name(&self) -> &'static str {
        match self.task {
            TaskKind::Binary | TaskKind::Multiclass => "train_log_loss",
            TaskKind::Regression => "train_rmse",
        }
    }

    /// Converts a row's raw scores to predictions (sigmoid, softmax or identity).
    pub(crate) fn activate(&self, scores: &mut [f64]) {
        match self.task {
            TaskKind::Binary => scores[0] = sigmoid(scores[0]),
            TaskKind::Multiclass => softmax(scores),
            TaskKind::Regression => {}
        }
    }

    /// Computes first (`gradients`) and second (`hessians`) derivatives, each `rows × outputs`, and returns the mean loss.
    pub(crate) fn gradients(
        &self,
        target: &Target,
        scores: &[f64],
        gradients: &mut [f32],
        hessians: &mut [f32],
    ) -> f64 {
        let outputs = self.outputs();
        let chunk = CHUNK_ROWS * outputs;
        let parts: Vec<f64> = scores
            .par_chunks(chunk)
            .zip(gradients.par_chunks_mut(chunk))
            .zip(hessians.par_chunks_mut(chunk))
            .enumerate()
            .map(|(part, ((scores, gradients), hessians))| {
                self.chunk_gradients(target, part * CHUNK_ROWS, scores, gradients, hessians)
            })
            .collect();
        let mean = parts.iter().sum::<f64>() / (scores.len() / outputs) as f64;
        if self.task == TaskKind::Regression { mean.sqrt() } else { mean }
    }

    fn chunk_gradients(
        &self,
        target: &Target,
        first: usize,
        scores: &[f64],
        gradients: &mut [f32],
        hessians: &mut [f32],
    ) -> f64 {
        let mut total = 0.0;
        match target {
            Target::Binary(values) => {
                for (i, &score) in scores.iter().enumerate() {
                    let probability = sigmoid(score);
                    let value = values[first + i];
                    gradients[i] = (probability - value) as f32;
                    hessians[i] = (probability * (1.0 - probability)) as f32;
                    total -= if value > 0.5 { ln(probability) } else { ln(1.0 - probability) };
                }
            }
            Target::Numbers(values) => {
                for (i, &score) in scores.iter().enumerate() {
                    let error = score - values[first + i];
                    gradients[i] = (error / self.scale) as f32;
                    hessians[i] = 1.0;
                    total += error * error;
                }
            }
            Target::Classes { codes, .. } => {
                let outputs = self.outputs();
                // The diagonal of the softmax Hessian is p (1 − p). Updating all classes at once with it
                // overshoots; the factor K / (K − 1) for K classes corrects this (Friedman 2001).
                let hessian_scale = outputs as f64 / (outputs as f64 - 1.0);
                let mut probabilities = vec![0.0; outputs];
                for (row, scores) in scores.chunks(outputs).enumerate() {
                    probabilities.copy_from_slice(scores);
                    softmax(&mut probabilities);
                    let class = codes[first + row] as usize;
                    for (output, &probability) in probabilities.iter().enumerate() {
                        let at = row * outputs + output;
                        gradients[at] = (probability - f64::from(u8::from(output == class))) as f32;
                        hessians[at] = (hessian_scale * probability * (1.0 - probability)) as f32;
                    }
                    total -= ln(probabilities[class]);
                }
            }
        }
        total
    }
}

/// The logarithm of a probability, bounded from below where rounding has made the probability 0.
pub(crate) fn ln(probability: f64) -> f64 {
    probability.max(f64::MIN_POSITIVE).ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The logistic function, `1 / (1 + exp(-score))`.
pub(crate) fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// The softmax function, in place.
pub(crate) fn softmax(scores: &mut [f64]) {
    let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - greatest).exp();
        total += *score;
    }
    for score in scores.iter_mut() {
        *score /= total;
    }
}
