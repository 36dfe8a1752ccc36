//! The function that is made smallest, and its derivatives.

use perennial_core::task::TaskKind;
use rayon::prelude::*;

use super::design::Design;
use crate::Target;
use crate::loss::{Loss, ln};

/// Parts that sums over rows are split into: settled by the rows alone, so that they do not depend on the cores.
const PARTS: usize = 16;
/// Rows of a part, at least.
const PART_ROWS_MIN: usize = 1_024;

/// The summed loss plus the penalty, over `outputs × (columns + 1)` coefficients.
pub(super) struct Problem<'a> {
    pub(super) design: &'a Design,
    pub(super) target: &'a Target,
    pub(super) loss: &'a Loss,
    pub(super) l2: f64,
}

/// The function at one place.
pub(super) struct Place {
    /// The summed loss.
    pub(super) loss: f64,
    /// The summed loss and the penalty.
    pub(super) value: f64,
    pub(super) gradient: Vec<f64>,
    /// Each row's answer, `rows × outputs`.
    answers: Vec<f64>,
}

impl Problem<'_> {
    fn outputs(&self) -> usize {
        self.loss.outputs()
    }

    /// How many coefficients there are.
    pub(super) fn size(&self) -> usize {
        self.outputs() * (self.design.columns() + 1)
    }

    /// Where the search begins: intercepts alone.
    pub(super) fn start(&self) -> Vec<f64> {
        let mut start = vec![0.0; self.size()];
        for (coefficients, &intercept) in start.chunks_mut(self.design.columns() + 1).zip(&self.loss.start) {
            coefficients[self.design.columns()] = intercept;
        }
        start
    }

    /// Value and gradient at `coefficients`.
    pub(super) fn at(&self, coefficients: &[f64]) -> Place {
        let outputs = self.outputs();
        let mut answers = vec![0.0; self.design.rows() * outputs];
        let (loss, mut gradient) = self.sum_over_rows(Some(&mut answers), |row, answer, sums| {
            self.design.scores(row, coefficients, answer);
            self.loss.answer(answer);
            let loss = self.row_loss(row, answer);
            let mut errors = [0.0; 1];
            if outputs == 1 {
                errors[0] = answer[0] - self.truth(row, 0);
                self.design.add(row, &errors, sums);
            } else {
                let errors: Vec<f64> = (0..outputs).map(|output| answer[output] - self.truth(row, output)).collect();
                self.design.add(row, &errors, sums);
            }
            loss
        });
        let mut value = loss;
        self.for_penalised(|at| {
            value += 0.5 * self.l2 * coefficients[at].powi(2);
            gradient[at] += self.l2 * coefficients[at];
        });
        Place { loss, value, gradient, answers }
    }

    /// The matrix of second derivatives at `place` times `direction`.
    pub(super) fn curve(&self, place: &Place, direction: &[f64]) -> Vec<f64> {
        let outputs = self.outputs();
        let (_, mut product) = self.sum_over_rows(None, |row, _, sums| {
            let answer = &place.answers[row * outputs..(row + 1) * outputs];
            if let [answer] = *answer {
                let mut moved = [0.0];
                self.design.scores(row, direction, &mut moved);
                moved[0] *= if self.loss.task == TaskKind::Binary { answer * (1.0 - answer) } else { 1.0 };
                self.design.add(row, &moved, sums);
            } else {
                let mut moved = vec![0.0; outputs];
                self.design.scores(row, direction, &mut moved);
                let mean: f64 = moved.iter().zip(answer).map(|(m, a)| m * a).sum();
                moved.iter_mut().zip(answer).for_each(|(m, a)| *m = a * (*m - mean));
                self.design.add(row, &moved, sums);
            }
            0.0
        });
        self.for_penalised(|at| product[at] += self.l2 * direction[at]);
        product
    }

    /// The diagonal of that matrix.
    pub(super) fn diagonal(&self, place: &Place) -> Vec<f64> {
        let outputs = self.outputs();
        let width = self.design.columns() + 1;
        let (_, mut diagonal) = self.sum_over_rows(None, |row, _, sums| {
            let (numbers, ones) = self.design.row(row);
            for (output, sums) in sums.chunks_mut(width).enumerate() {
                let answer = place.answers[row * outputs + output];
                let weight = if self.loss.task == TaskKind::Regression { 1.0 } else { answer * (1.0 - answer) };
                numbers.iter().zip(sums.iter_mut()).for_each(|(&x, sum)| *sum += weight * f64::from(x).powi(2));
                for &column in ones {
                    sums[column as usize] += weight;
                }
                sums[width - 1] += weight;
            }
            0.0
        });
        self.for_penalised(|at| diagonal[at] += self.l2);
        diagonal
    }

    fn for_penalised(&self, mut act: impl FnMut(usize)) {
        let width = self.design.columns() + 1;
        (0..self.size()).filter(|at| at % width != width - 1).for_each(&mut act);
    }

    fn truth(&self, row: usize, output: usize) -> f64 {
        match self.target {
            Target::Binary(values) | Target::Numbers(values) => values[row],
            Target::Classes { codes, .. } => f64::from(u8::from(codes[row] as usize == output)),
        }
    }

    fn row_loss(&self, row: usize, answer: &[f64]) -> f64 {
        match self.target {
            Target::Binary(values) => -ln(if values[row] > 0.5 { answer[0] } else { 1.0 - answer[0] }),
            Target::Numbers(values) => 0.5 * (answer[0] - values[row]).powi(2),
            Target::Classes { codes, .. } => -ln(answer[codes[row] as usize]),
        }
    }

    /// Sums over all rows what `act` returns and what it adds to a vector of the coefficients' size;
    /// `act` also gets the row's part of `rows × outputs` values to write.
    fn sum_over_rows(
        &self,
        answers: Option<&mut [f64]>,
        act: impl Fn(usize, &mut [f64], &mut [f64]) -> f64 + Sync,
    ) -> (f64, Vec<f64>) {
        let (rows, outputs) = (self.design.rows(), self.outputs());
        let part_rows = rows.div_ceil(PARTS).max(PART_ROWS_MIN);
        let mut parts: Vec<(usize, &mut [f64])> = match answers {
            Some(answers) => answers.chunks_mut(part_rows * outputs).enumerate().collect(),
            None => (0..rows.div_ceil(part_rows)).map(|part| (part, &mut [] as &mut [f64])).collect(),
        };
        let sums: Vec<(f64, Vec<f64>)> = parts
            .par_iter_mut()
            .map(|(part, answers)| {
                let mut sums = vec![0.0; self.size()];
                let mut total = 0.0;
                let first = *part * part_rows;
                for row in first..rows.min(first + part_rows) {
                    let at = (row - first) * outputs;
                    let answer = answers.get_mut(at..at + outputs).unwrap_or_default();
                    total += act(row, answer, &mut sums);
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
