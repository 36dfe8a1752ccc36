//! Linear, logistic and softmax regression with L2 penalty.
//!
//! Numbers: a missing value is imputed with the training median, and the column is
//! standardised to mean 0 and deviation 1. A column with missing values in training
//! also gets an indicator column. Categories are one-hot encoded, with columns for
//! *other* and missing. Newton's method minimises the summed loss plus `l2 / 2` times
//! the squared coefficients; intercepts are not penalised.

mod design_matrix;
mod export;
mod newton;
mod objective;

use perennial_core::frame::Frame;
use perennial_core::model::PredictError;
use rayon::prelude::*;

pub(crate) use export::export;

use crate::features::{self, Feature, Values};
use crate::loss::Loss;
use crate::params::ValidParams;
use crate::{Error, Metric, Target};
use design_matrix::{DesignMatrix, Encoder};
use objective::Objective;

/// Maximum number of coefficients of a model.
const COEFFICIENTS_MAX: usize = 1 << 22;

/// The parameters of the trainer.
pub(crate) struct Settings {
    l2: f64,
    iterations: u64,
    tolerance: f64,
}

impl Settings {
    pub(crate) fn new(params: &ValidParams) -> Self {
        Self { l2: params.number("l2"), iterations: params.whole("iterations"), tolerance: params.number("tolerance") }
    }
}

/// A trained model.
pub(crate) struct Model {
    features: Vec<Feature>,
    encoder: Encoder,
    loss: Loss,
    /// `outputs × (columns + 1)`; the last of each output is the intercept.
    coefficients: Vec<f64>,
    importance: Vec<f64>,
}

/// Trains a model on `values`, the result of [`features::encode`] for `features`.
pub(crate) fn train(
    features: Vec<Feature>,
    values: &[Values],
    target: &Target,
    settings: &Settings,
) -> Result<(Model, Vec<Metric>), Error> {
    let loss = Loss::new(target);
    let encoder = Encoder::fit(&features, values);
    let coefficients = loss.outputs().saturating_mul(encoder.columns() + 1);
    if coefficients > COEFFICIENTS_MAX {
        return Err(Error::TooMany {
            what: "coefficients (classes × columns after one-hot encoding)",
            actual: coefficients,
            limit: COEFFICIENTS_MAX,
        });
    }
    let design = encoder.transform(values);
    let objective = Objective { design: &design, target, loss: &loss, l2: settings.l2 };
    let (coefficients, metrics) = newton::minimise(&objective, settings)?;
    let importance = importance(&encoder, &design, &coefficients, loss.outputs());
    Ok((Model { features, encoder, loss, coefficients, importance }, metrics))
}

impl Model {
    /// Predictions, `rows × outputs`.
    pub(crate) fn predict(&self, frame: &Frame) -> Result<Vec<f64>, PredictError> {
        let design = self.encoder.transform(&features::encode(&self.features, frame)?);
        let outputs = self.loss.outputs();
        let mut scores = vec![0.0; frame.rows() * outputs];
        scores.par_chunks_mut(outputs).enumerate().for_each(|(row, scores)| {
            design.scores(row, &self.coefficients, scores);
            self.loss.activate(scores);
        });
        Ok(scores)
    }

    /// For each feature the standard deviation of its term over the training rows, averaged over the outputs.
    pub(crate) fn importance(&self) -> Vec<f64> {
        self.importance.clone()
    }
}

fn importance(encoder: &Encoder, design: &DesignMatrix, coefficients: &[f64], outputs: usize) -> Vec<f64> {
    let rows = design.rows() as f64;
    encoder
        .terms()
        .par_iter()
        .map(|term| {
            let deviations = coefficients.chunks(encoder.columns() + 1).map(|coefficients| {
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
