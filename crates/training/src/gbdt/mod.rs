//! Gradient-boosted trees.
//!
//! This module implements the boosting; `forust-ml` fits the single trees: it bins
//! the features, sums gradients into histograms and finds the splits. A category is
//! encoded as its rank by frequency, *other* as the rank after the last. Missing
//! values stay missing, and each split learns on which side they go.

mod boosting;
mod export;
#[cfg(test)]
mod tests;

use forust_ml::tree::Tree;
use perennial_core::frame::Frame;
use perennial_core::model::PredictError;
use rayon::prelude::*;

pub(crate) use export::export;

use crate::features::{self, Encoding, Feature, Values};
use crate::loss::Loss;
use crate::params::ValidParams;
use crate::{Error, Metric, Target};
use boosting::TrainedTrees;

/// Maximum number of histogram bins of all features and leaves of a level: 2 GB of memory.
const HISTOGRAM_BINS_MAX: usize = 1 << 28;

/// The parameters of the trainer.
pub(crate) struct Settings {
    trees: usize,
    learning_rate: f32,
    depth: usize,
    leaves: usize,
    /// Least weight of a leaf; `None` to derive it from the rows.
    min_leaf_weight: Option<f32>,
    l2: f32,
    subsample: f64,
    columns: f64,
    bins: u16,
    seed: u64,
}

impl Settings {
    pub(crate) fn new(params: &ValidParams) -> Self {
        Self {
            trees: params.whole("trees") as usize,
            learning_rate: params.number("learning_rate") as f32,
            depth: params.whole("depth") as usize,
            leaves: params.whole("leaves") as usize,
            min_leaf_weight: params.given("min_leaf_weight").map(|weight| weight as f32),
            l2: params.number("l2") as f32,
            subsample: params.number("subsample"),
            columns: params.number("columns"),
            bins: params.whole("bins") as u16,
            seed: params.whole("seed"),
        }
    }
}

/// A trained model.
pub(crate) struct Model {
    features: Vec<Feature>,
    loss: Loss,
    trees: Vec<Tree>,
}

/// Trains a model on `values`, the result of [`features::encode`] for `features`. Returns it with its metrics and the
/// least weight of a leaf.
pub(crate) fn train(
    features: Vec<Feature>,
    values: &[Values],
    target: &Target,
    settings: &Settings,
) -> Result<(Model, Vec<Metric>, f32), Error> {
    // The depth limits the number of leaves of a level.
    let leaves = settings.leaves.min(1 << settings.depth);
    let bins = features.len().saturating_mul(usize::from(settings.bins)).saturating_mul(leaves);
    if bins > HISTOGRAM_BINS_MAX {
        return Err(Error::TooMany {
            what: "histogram bins (features × bins × leaves)",
            actual: bins,
            limit: HISTOGRAM_BINS_MAX,
        });
    }
    let loss = Loss::new(target);
    let columns: Vec<f64> =
        features.iter().zip(values).flat_map(|(feature, values)| comparable_values(feature, values)).collect();
    let TrainedTrees { trees, metrics, min_leaf_weight } =
        boosting::boost(&columns, features.len(), target, &loss, settings)?;
    Ok((Model { features, loss, trees }, metrics, min_leaf_weight))
}

/// A feature's values in the order by which trees split them.
fn comparable_values(feature: &Feature, values: &Values) -> Vec<f64> {
    match (&feature.encoding, values) {
        (Encoding::Category(categories), Values::Codes(codes)) => {
            codes.iter().map(|&code| if code == categories.missing() { f64::NAN } else { f64::from(code) }).collect()
        }
        (_, Values::Codes(codes)) => codes.iter().map(|&code| f64::from(code)).collect(),
        (_, Values::Numbers(numbers)) => numbers.iter().map(|&number| f64::from(number)).collect(),
    }
}

impl Model {
    /// Predictions, `rows × outputs`.
    pub(crate) fn predict(&self, frame: &Frame) -> Result<Vec<f64>, PredictError> {
        let values = features::encode(&self.features, frame)?;
        let columns: Vec<Vec<f64>> =
            self.features.iter().zip(&values).map(|(feature, values)| comparable_values(feature, values)).collect();
        let outputs = self.loss.outputs();
        let mut scores = vec![0.0; frame.rows() * outputs];
        scores.par_chunks_mut(outputs).enumerate().for_each(|(row, scores)| {
            let row: Vec<f64> = columns.iter().map(|column| column[row]).collect();
            scores.copy_from_slice(&self.loss.initial_scores);
            for (index, tree) in self.trees.iter().enumerate() {
                let leaf = tree.predict_row_from_row_slice(&row, &f64::NAN);
                scores[index % outputs] += leaf * self.loss.scale;
            }
            self.loss.activate(scores);
        });
        Ok(scores)
    }

    /// For each feature the sum of the gains of its splits.
    pub(crate) fn importance(&self) -> Vec<f64> {
        let mut gains = vec![0.0; self.features.len()];
        for node in self.trees.iter().flat_map(|tree| &tree.nodes).filter(|node| !node.is_leaf) {
            gains[node.split_feature] += f64::from(node.split_gain.max(0.0));
        }
        gains
    }
}
