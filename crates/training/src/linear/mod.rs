//! Linear, logistic and softmax regression with L2 penalty.
//!
//! Numbers: a missing value becomes the training median, then the column is
//! brought to mean 0 and deviation 1; a column that had missing values in training
//! also gets an indicator, 1 where it is missing. Categories: one column each, *other* and
//! missing too. The summed loss plus `l2 / 2` times the squared
//! coefficients is made smallest by Newton's method; intercepts are not penalised.

mod design;
mod export;
mod newton;
mod problem;

use perennial_core::frame::Frame;
use perennial_core::model::PredictError;
use rayon::prelude::*;

pub(crate) use export::export;

use crate::features::{self, Feature, Values};
use crate::loss::Loss;
use crate::params::Judged;
use crate::{Error, Metric, Target};
use design::{Design, Plan};
use problem::Problem;

/// Coefficients of one model, at most.
const COEFFICIENTS_MAX: usize = 1 << 22;

/// The parameters, typed.
pub(crate) struct Settings {
    l2: f64,
    iterations: u64,
    tolerance: f64,
}

impl Settings {
    pub(crate) fn new(params: &Judged) -> Self {
        Self { l2: params.number("l2"), iterations: params.whole("iterations"), tolerance: params.number("tolerance") }
    }
}

/// A trained model.
pub(crate) struct Model {
    features: Vec<Feature>,
    plan: Plan,
    loss: Loss,
    /// `outputs × (columns + 1)`, the intercept last.
    coefficients: Vec<f64>,
    importance: Vec<f64>,
}

/// Trains on the values of `features`, as [`features::read`] gives them.
pub(crate) fn train(
    features: Vec<Feature>,
    values: &[Values],
    target: &Target,
    settings: &Settings,
) -> Result<(Model, Vec<Metric>), Error> {
    let loss = Loss::new(target);
    let plan = Plan::learn(&features, values);
    let coefficients = loss.outputs().saturating_mul(plan.columns() + 1);
    if coefficients > COEFFICIENTS_MAX {
        return Err(Error::TooMany {
            what: "coefficients (classes × columns after one-hot encoding)",
            actual: coefficients,
            limit: COEFFICIENTS_MAX,
        });
    }
    let design = plan.apply(values);
    let problem = Problem { design: &design, target, loss: &loss, l2: settings.l2 };
    let (coefficients, metrics) = newton::minimise(&problem, settings)?;
    let importance = importance(&plan, &design, &coefficients, loss.outputs());
    Ok((Model { features, plan, loss, coefficients, importance }, metrics))
}

impl Model {
    /// Scores, rows × outputs.
    pub(crate) fn predict(&self, frame: &Frame) -> Result<Vec<f64>, PredictError> {
        let design = self.plan.apply(&features::read(&self.features, frame)?);
        let outputs = self.loss.outputs();
        let mut scores = vec![0.0; frame.rows() * outputs];
        scores.par_chunks_mut(outputs).enumerate().for_each(|(row, scores)| {
            design.scores(row, &self.coefficients, scores);
            self.loss.answer(scores);
        });
        Ok(scores)
    }

    /// The deviation of each feature's term over the training rows, averaged over the outputs.
    pub(crate) fn importance(&self) -> Vec<f64> {
        self.importance.clone()
    }
}

fn importance(plan: &Plan, design: &Design, coefficients: &[f64], outputs: usize) -> Vec<f64> {
    let rows = design.rows() as f64;
    plan.terms()
        .par_iter()
        .map(|term| {
            let deviations = coefficients.chunks(plan.columns() + 1).map(|coefficients| {
                let (mut total, mut squares) = (0.0, 0.0);
                for row in 0..design.rows() {
                    let value = design.term(row, term, coefficients);
                    total += value;
                    squares += value * value;
                }
                (squares / rows - (total / rows).powi(2)).max(0.0).sqrt()
            });
            deviations.sum::<f64>() / outputs as f64
        })
        .collect()
}
