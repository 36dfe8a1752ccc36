//! What training makes smaller: the score to begin with, the loss, and its derivatives.

use perennial_core::task::TaskKind;
use rayon::prelude::*;

use crate::Target;

/// Rows whose gradients one task computes.
const CHUNK_ROWS: usize = 8_192;
/// Stands for the share of a class that no training row has, in rows.
const ABSENT_CLASS_ROWS: f64 = 0.5;

/// The loss of a task, with what it was settled to by the training target.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Loss {
    /// The task.
    pub(crate) task: TaskKind,
    /// The best score of each output that knows no feature; a value that 32 bits hold.
    pub(crate) start: Vec<f64>,
    /// The target's deviation for numbers, else 1: gradients are in units of it.
    pub(crate) scale: f64,
}

impl Loss {
    pub(crate) fn new(target: &Target) -> Self {
        let single = |value: f64| f64::from(value as f32);
        match target {
            Target::Binary(values) => {
                let share = mean(values);
                Self { task: TaskKind::Binary, start: vec![single((share / (1.0 - share)).ln())], scale: 1.0 }
            }
            Target::Numbers(values) => {
                let mean = mean(values);
                let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
                Self {
                    task: TaskKind::Regression,
                    start: vec![single(mean)],
                    scale: if variance > 0.0 { variance.sqrt() } else { 1.0 },
                }
            }
            Target::Classes { codes, classes } => {
                let mut counts = vec![0.0_f64; classes.len()];
                for &code in codes {
                    counts[code as usize] += 1.0;
                }
                let rows = codes.len() as f64;
                let start = counts.iter().map(|count| single((count.max(ABSENT_CLASS_ROWS) / rows).ln())).collect();
                Self { task: TaskKind::Multiclass, start, scale: 1.0 }
            }
        }
    }

    /// Scores a row has.
    pub(crate) fn outputs(&self) -> usize {
        self.start.len()
    }

    /// The name of the loss on the training rows.
    pub(crate) fn metric(&self) -> &'static str {
        match self.task {
            TaskKind::Binary | TaskKind::Multiclass => "train_log_loss",
            TaskKind::Regression => "train_rmse",
        }
    }

    /// Turns a row's summed scores into its answer.
    pub(crate) fn answer(&self, scores: &mut [f64]) {
        match self.task {
            TaskKind::Binary => scores[0] = sigmoid(scores[0]),
            TaskKind::Multiclass => softmax(scores),
            TaskKind::Regression => {}
        }
    }

    /// Fills in first and second derivatives, `rows × outputs` each, and gives the mean loss.
    pub(crate) fn derive(&self, target: &Target, scores: &[f64], gradients: &mut [f32], curvatures: &mut [f32]) -> f64 {
        let outputs = self.outputs();
        let chunk = CHUNK_ROWS * outputs;
        let parts: Vec<f64> = scores
            .par_chunks(chunk)
            .zip(gradients.par_chunks_mut(chunk))
            .zip(curvatures.par_chunks_mut(chunk))
            .enumerate()
            .map(|(part, ((scores, gradients), curvatures))| {
                self.derive_chunk(target, part * CHUNK_ROWS, scores, gradients, curvatures)
            })
            .collect();
        let mean = parts.iter().sum::<f64>() / (scores.len() / outputs) as f64;
        if self.task == TaskKind::Regression { mean.sqrt() } else { mean }
    }

    fn derive_chunk(
        &self,
        target: &Target,
        first: usize,
        scores: &[f64],
        gradients: &mut [f32],
        curvatures: &mut [f32],
    ) -> f64 {
        let mut total = 0.0;
        match target {
            Target::Binary(values) => {
                for (i, &score) in scores.iter().enumerate() {
                    let yes = sigmoid(score);
                    let value = values[first + i];
                    gradients[i] = (yes - value) as f32;
                    curvatures[i] = (yes * (1.0 - yes)) as f32;
                    total -= if value > 0.5 { ln(yes) } else { ln(1.0 - yes) };
                }
            }
            Target::Numbers(values) => {
                for (i, &score) in scores.iter().enumerate() {
                    let error = score - values[first + i];
                    gradients[i] = (error / self.scale) as f32;
                    curvatures[i] = 1.0;
                    total += error * error;
                }
            }
            Target::Classes { codes, .. } => {
                let outputs = self.outputs();
                // The second derivative of softmax is p (1 - p) in one class alone; with all
                // classes moving at once the step is shortened by (classes - 1) / classes.
                let together = outputs as f64 / (outputs as f64 - 1.0);
                let mut shares = vec![0.0; outputs];
                for (row, scores) in scores.chunks(outputs).enumerate() {
                    shares.copy_from_slice(scores);
                    softmax(&mut shares);
                    let class = codes[first + row] as usize;
                    for (output, &share) in shares.iter().enumerate() {
                        let at = row * outputs + output;
                        gradients[at] = (share - f64::from(u8::from(output == class))) as f32;
                        curvatures[at] = (together * share * (1.0 - share)) as f32;
                    }
                    total -= ln(shares[class]);
                }
            }
        }
        total
    }
}

/// The logarithm of a probability, bounded where rounding has made it 0.
pub(crate) fn ln(probability: f64) -> f64 {
    probability.max(f64::MIN_POSITIVE).ln()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `1 / (1 + exp(-score))`.
pub(crate) fn sigmoid(score: f64) -> f64 {
    1.0 / (1.0 + (-score).exp())
}

/// Exponentials that sum to 1.
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
