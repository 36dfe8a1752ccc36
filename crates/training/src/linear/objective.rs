//! The objective function and its derivatives.

use perennial_core::task::TaskKind;
use rayon::prelude::*;

use super::design_matrix::DesignMatrix;
use crate::Target;
use crate::loss::{Loss, ln};

/// Number of parts into which sums over rows are split. It depends on the rows only, so that results do not depend on the number of cores.
const PARTS: usize = 16;
/// Minimum number of rows of a part.
const PART_ROWS_MIN: usize = 1_024;

/// The summed loss plus the penalty, as a function of `outputs × (columns + 1)` coefficients.
pub(super) struct Objective<'a> {
    pub(super) design: &'a DesignMatrix,
    pub(super) target: &'a Target,
    pub(super) loss: &'a Loss,
    pub(super) l2: f64,
}

/// The objective at one point.
pub(super) struct Iterate {
    /// The summed loss.
    pub(super) loss: f64,
    /// The summed loss plus the penalty.
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// The predictions, `rows × outputs`.
    predictions: Vec<f64>,
}

impl Objective<'_> {
    fn outputs(&self) -> usize {
        self.loss.outputs()
    }

    /// Number of coefficients.
    pub(super) fn size(&self) -> usize {
        self.outputs() * (self.design.columns() + 1)
    }

    /// The starting point: the initial scores as intercepts, all other coefficients zero.
    pub(super) fn initial_coefficients(&self) -> Vec<f64> {
        let mut start = vec![0.0; self.size()];
        for (coefficients, &intercept) in start.chunks_mut(self.design.columns() + 1).zip(&self.loss.initial_scores) {
            coefficients[self.design.columns()] = intercept;
        }
        start
    }

    /// Computes value and gradient at `coefficients`.
    pub(super) fn evaluate(&self, coefficients: &[f64]) -> Iterate {
        let outputs = self.outputs();
        let mut predictions = vec![0.0; self.design.rows() * outputs];
        let (loss, mut gradient) = self.sum_over_rows(Some(&mut predictions), |row, prediction, sums| {
            self.design.scores(row, coefficients, prediction);
            self.loss.activate(prediction);
            let loss = self.row_loss(row, prediction);
            let mut errors = [0.0; 1];
            if outputs == 1 {
                errors[0] = prediction[0] - self.target_value(row, 0);
                self.design.add(row, &errors, sums);
            } else {
                let errors: Vec<f64> =
                    (0..outputs).map(|output| prediction[output] - self.target_value(row, output)).collect();
                self.design.add(row, &errors, sums);
            }
            loss
        });
        let mut value = loss;
        self.for_each_penalised(|at| {
            value += 0.5 * self.l2 * coefficients[at].powi(2);
            gradient[at] += self.l2 * coefficients[at];
        });
        Iterate { loss, value, gradient, predictions }
    }

    /// The Hessian at `iterate` times `direction`.
    pub(super) fn hessian_product(&self, iterate: &Iterate, direction: &[f64]) -> Vec<f64> {
        let outputs = self.outputs();
        let (_, mut product) = self.sum_over_rows(None, |row, _, sums| {
            let prediction = &iterate.predictions[row * outputs..(row + 1) * outputs];
            if let [prediction] = *prediction {
                let mut products = [0.0];
                self.design.scores(row, direction, &mut products);
                products[0] *= if self.loss.task == TaskKind::Binary { prediction * (1.0 - prediction) } else { 1.0 };
                self.design.add(row, &products, sums);
            } else {
                let mut products = vec![0.0; outputs];
                self.design.scores(row, direction, &mut products);
                let mean: f64 = products.iter().zip(prediction).map(|(m, a)| m * a).sum();
                products.iter_mut().zip(prediction).for_each(|(m, a)| *m = a * (*m - mean));
                self.design.add(row, &products, sums);
            }
            0.0
        });
        self.for_each_penalised(|at| product[at] += self.l2 * direction[at]);
        product
    }

    /// The diagonal of the Hessian at `iterate`.
    pub(super) fn hessian_diagonal(&self, iterate: &Iterate) -> Vec<f64> {
        let outputs = self.outputs();
        let width = self.design.columns() + 1;
        let (_, mut diagonal) = self.sum_over_rows(None, |row, _, sums| {
            let (numbers, active) = self.design.row(row);
            for (output, sums) in sums.chunks_mut(width).enumerate() {
                let prediction = iterate.predictions[row * outputs + output];
                let weight = if self.loss.task == TaskKind::Regression { 1.0 } else { prediction * (1.0 - prediction) };
                numbers.iter().zip(sums.iter_mut()).for_each(|(&x, sum)| *sum += weight * f64::from(x).powi(2));
                for &column in active {
                    sums[column as usize] += weight;
                }
                sums[width - 1] += weight;
            }
            0.0
        });
        self.for_each_penalised(|at| diagonal[at] += self.l2);
        diagonal
    }

    /// Calls `visit` with the index of each penalised coefficient.
    fn for_each_penalised(&self, mut visit: impl FnMut(usize)) {
        let width = self.design.columns() + 1;
        (0..self.size()).filter(|at| at % width != width - 1).for_each(&mut visit);
    }

    fn target_value(&self, row: usize, output: usize) -> f64 {
        match self.target {
            Target::Binary(values) | Target::Numbers(values) => values[row],
            Target::Classes { codes, .. } => f64::from(u8::from(codes[row] as usize == output)),
        }
    }

    fn row_loss(&self, row: usize, prediction: &[f64]) -> f64 {
        match self.target {
            Target::Binary(values) => -ln(if values[row] > 0.5 { prediction[0] } else { 1.0 - prediction[0] }),
            Target::Numbers(values) => 0.5 * (prediction[0] - values[row]).powi(2),
            Target::Classes { codes, .. } => -ln(prediction[codes[row] as usize]),
        }
    }

    /// Sums over all rows the value that `visit` returns and the vector, of the size of the coefficients,
    /// to which it adds. `visit` also receives the row's slice of `predictions` to write.
    fn sum_over_rows(
        &self,
        predictions: Option<&mut [f64]>,
        visit: impl Fn(usize, &mut [f64], &mut [f64]) -> f64 + Sync,
    ) -> (f64, Vec<f64>) {
        let (rows, outputs) = (self.design.rows(), self.outputs());
        let part_rows = rows.div_ceil(PARTS).max(PART_ROWS_MIN);
        let mut parts: Vec<(usize, &mut [f64])> = match predictions {
            Some(predictions) => predictions.chunks_mut(part_rows * outputs).enumerate().collect(),
            None => (0..rows.div_ceil(part_rows)).map(|part| (part, &mut [] as &mut [f64])).collect(),
        };
        let sums: Vec<(f64, Vec<f64>)> = parts
            .par_iter_mut()
            .map(|(part, predictions)| {
                let mut sums = vec![0.0; self.size()];
                let mut total = 0.0;
                let first = *part * part_rows;
                for row in first..rows.min(first + part_rows) {
                    let at = (row - first) * outputs;
                    let prediction = predictions.get_mut(at..at + outputs).unwrap_or_default();
                    total += visit(row, prediction, &mut sums);
                }
                (total, sums)
            })
            .collect();
        sums.into_iter().fold((0.0, vec![0.0; self.size()]), |(total, mut sums), (part_total, part)| {
            sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            (total + part_total, sums)
        })
    }
}
