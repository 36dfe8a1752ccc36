//! Gradient boosting: each tree is fitted to the gradients of the loss at the scores of the trees before it.

use forust_ml::binning::{TiledBins, bin_matrix};
use forust_ml::constraints::ConstraintMap;
use forust_ml::data::Matrix;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::sampler::SampleMethod;
use forust_ml::splitter::MissingImputerSplitter;
use forust_ml::tree::{Tree, TreeRows, split_bins};

use super::Settings;
use crate::loss::Loss;
use crate::params::MIN_LEAF_WEIGHT_DEFAULT;
use crate::{Error, Metric, Target};

/// Approximate number of recorded values of the loss.
const METRIC_POINTS: usize = 50;
/// Leaves of the least weight into which the rows may be split, where the default is too much for them.
const LEAVES_OF_MIN_WEIGHT: f64 = 40.0;
/// The bin of missing values in forust's binned data.
const MISSING_BIN: u16 = 0;

/// The trees of a model, `outputs` of them for each iteration, with the training metrics.
pub(super) struct TrainedTrees {
    pub(super) trees: Vec<Tree>,
    pub(super) metrics: Vec<Metric>,
    /// Least weight of a leaf; of several outputs that of the rarest.
    pub(super) min_leaf_weight: f32,
}

/// Fits trees to `columns`, the values of the features in column-major order.
pub(super) fn boost(
    columns: &[f64],
    features: usize,
    target: &Target,
    loss: &Loss,
    settings: &Settings,
) -> Result<TrainedTrees, Error> {
    let rows = columns.len() / features;
    let outputs = loss.outputs();
    let data = Matrix::new(columns, rows, features);
    let binned = bin_matrix(&data, &vec![1.0; rows], settings.bins, f64::NAN, true)
        .map_err(|error| Error::Trainer(error.to_string()))?;
    let bins = Matrix::new(&binned.binned_data, rows, features);
    let tiles = TiledBins::new(&bins, &binned.cuts, true);

    let mut sampler = Sampler(settings.seed);
    let mut scores: Vec<f64> = loss.initial_scores.iter().copied().cycle().take(rows * outputs).collect();
    let (mut gradients, mut hessians) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
    let mut mean_loss = loss.gradients(target, &scores, &mut gradients, &mut hessians);
    let min_leaf_weights: Vec<f32> =
        (0..outputs).map(|output| min_leaf_weight(settings, &hessians, output, outputs)).collect();
    let splitters: Vec<MissingImputerSplitter> =
        min_leaf_weights.iter().map(|&weight| splitter(settings, weight)).collect();
    let mut trees = Vec::with_capacity(settings.trees * outputs);
    let mut metrics = vec![Metric { name: loss.metric_name(), step: 0, value: mean_loss }];
    let metric_interval = settings.trees.div_ceil(METRIC_POINTS);
    let (mut output_gradients, mut output_hessians) = (Vec::new(), Vec::new());

    for step in 1..=settings.trees {
        let (in_bag, out_of_bag) = sampler.rows(rows, settings.subsample);
        let columns = sampler.columns(features, settings.columns);
        let method = if out_of_bag.is_empty() { SampleMethod::None } else { SampleMethod::Random };
        for output in 0..outputs {
            let (gradients, hessians): (&[f32], &[f32]) = if outputs == 1 {
                (&gradients, &hessians)
            } else {
                gather_output(&gradients, output, outputs, &mut output_gradients);
                gather_output(&hessians, output, outputs, &mut output_hessians);
                (&output_gradients, &output_hessians)
            };
            let mut tree = Tree::new();
            let leaves = tree.fit_with_tiles(
                &bins,
                in_bag.clone(),
                &columns,
                &binned.cuts,
                gradients,
                hessians,
                &splitters[output],
                settings.leaves,
                settings.depth,
                true,
                &method,
                &GrowPolicy::DepthWise,
                Some(&tiles),
            );
            let splits = split_bins(&tree, &binned.cuts);
            let mut add = |row: usize, leaf: f64| scores[row * outputs + output] += leaf * loss.scale;
            let predict_leaf = |row: usize| {
                tree.predict_row_from_bins(|feature| *bins.get(row, feature), &splits, MISSING_BIN, &f64::NAN)
            };
            match &leaves {
                Some(leaves) => add_leaves(&tree, leaves, &mut add),
                None => in_bag.iter().for_each(|&row| add(row, predict_leaf(row))),
            }
            for &row in &out_of_bag {
                add(row, predict_leaf(row));
            }
            trees.push(tree);
        }
        mean_loss = loss.gradients(target, &scores, &mut gradients, &mut hessians);
        if step % metric_interval == 0 || step == settings.trees {
            metrics.push(Metric { name: loss.metric_name(), step: step as u64, value: mean_loss });
        }
    }
    if !mean_loss.is_finite() {
        return Err(Error::Trainer("the loss is no longer finite".to_owned()));
    }
    let min_leaf_weight = min_leaf_weights.into_iter().fold(f32::INFINITY, f32::min);
    Ok(TrainedTrees { trees, metrics, min_leaf_weight })
}

fn splitter(settings: &Settings, min_leaf_weight: f32) -> MissingImputerSplitter {
    MissingImputerSplitter {
        l1: 0.0,
        l2: settings.l2,
        max_delta_step: 0.0,
        gamma: 0.0,
        min_leaf_weight,
        learning_rate: settings.learning_rate,
        allow_missing_splits: true,
        constraints_map: ConstraintMap::new(),
    }
}

/// The least weight of a leaf for the trees of one output, from the hessians before the first tree. Where few rows or a
/// rare class give all rows together little weight, the default would allow no split, and the model would be constant.
fn min_leaf_weight(settings: &Settings, hessians: &[f32], output: usize, outputs: usize) -> f32 {
    settings.min_leaf_weight.unwrap_or_else(|| {
        let total: f64 = hessians.iter().skip(output).step_by(outputs).map(|&hessian| f64::from(hessian)).sum();
        (total / LEAVES_OF_MIN_WEIGHT).min(MIN_LEAF_WEIGHT_DEFAULT) as f32
    })
}

/// Adds the value of each leaf to the rows that were assigned to it.
fn add_leaves(tree: &Tree, leaves: &TreeRows, add: &mut impl FnMut(usize, f64)) {
    for (rows, leaf) in leaves.leaves(tree) {
        for &row in rows {
            add(row, leaf);
        }
    }
}

/// Copies the values of one output from a `rows × outputs` matrix.
fn gather_output(values: &[f32], output: usize, outputs: usize, into: &mut Vec<f32>) {
    into.clear();
    into.extend(values.iter().skip(output).step_by(outputs));
}

/// Random selection of rows and features by SplitMix64 (Steele, Lea and Flood 2014); a seed always selects the same.
pub(super) struct Sampler(pub(super) u64);

impl Sampler {
    /// The next number, from 0 (inclusive) to 1 (exclusive).
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Selects the rows of a tree, at least one, and returns them and the remaining rows.
    pub(super) fn rows(&mut self, rows: usize, share: f64) -> (Vec<usize>, Vec<usize>) {
        if share >= 1.0 {
            return ((0..rows).collect(), Vec::new());
        }
        let (mut in_bag, mut out_of_bag): (Vec<usize>, Vec<usize>) = (0..rows).partition(|_| self.next() < share);
        if in_bag.is_empty() {
            in_bag.extend(out_of_bag.pop());
        }
        (in_bag, out_of_bag)
    }

    /// Selects the features of a tree, at least one, in ascending order.
    pub(super) fn columns(&mut self, features: usize, share: f64) -> Vec<usize> {
        let mut left: Vec<usize> = (0..features).collect();
        let wanted = ((features as f64 * share).round() as usize).clamp(1, features);
        while left.len() > wanted {
            let drop = (self.next() * left.len() as f64) as usize;
            left.swap_remove(drop);
        }
        left.sort_unstable();
        left
    }
}
