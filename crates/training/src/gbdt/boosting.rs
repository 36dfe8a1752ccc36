//! The boosting: tree after tree, each grown on the gradients that the ones before it left.

use forust_ml::binning::{TiledBins, bin_matrix};
use forust_ml::constraints::ConstraintMap;
use forust_ml::data::Matrix;
use forust_ml::gradientbooster::GrowPolicy;
use forust_ml::sampler::SampleMethod;
use forust_ml::splitter::MissingImputerSplitter;
use forust_ml::tree::{Tree, TreeRows, split_bins};

use super::Settings;
use crate::loss::Loss;
use crate::{Error, Metric, Target};

/// Measurements of the loss in one training, about.
const METRICS: usize = 50;
/// The bin of missing values in forust's binned data.
const MISSING_BIN: u16 = 0;

/// What boosting gives: `outputs` trees an iteration, one after the other.
pub(super) struct Grown {
    pub(super) trees: Vec<Tree>,
    pub(super) metrics: Vec<Metric>,
}

/// Grows trees on `columns`, the features' values one after the other.
pub(super) fn boost(
    columns: &[f64],
    features: usize,
    target: &Target,
    loss: &Loss,
    settings: &Settings,
) -> Result<Grown, Error> {
    let rows = columns.len() / features;
    let outputs = loss.outputs();
    let data = Matrix::new(columns, rows, features);
    let binned = bin_matrix(&data, &vec![1.0; rows], settings.bins, f64::NAN, true)
        .map_err(|error| Error::Trainer(error.to_string()))?;
    let bins = Matrix::new(&binned.binned_data, rows, features);
    let tiles = TiledBins::new(&bins, &binned.cuts, true);
    let splitter = MissingImputerSplitter {
        l1: 0.0,
        l2: settings.l2,
        max_delta_step: 0.0,
        gamma: 0.0,
        min_leaf_weight: settings.min_leaf_weight,
        learning_rate: settings.learning_rate,
        allow_missing_splits: true,
        constraints_map: ConstraintMap::new(),
    };

    let mut choices = Choices(settings.seed);
    let mut scores: Vec<f64> = loss.start.iter().copied().cycle().take(rows * outputs).collect();
    let (mut gradients, mut curvatures) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
    let mut mean_loss = loss.derive(target, &scores, &mut gradients, &mut curvatures);
    let mut trees = Vec::with_capacity(settings.trees * outputs);
    let mut metrics = vec![Metric { name: loss.metric(), step: 0, value: mean_loss }];
    let every = settings.trees.div_ceil(METRICS);
    let (mut one_gradients, mut one_curvatures) = (Vec::new(), Vec::new());

    for step in 1..=settings.trees {
        let (chosen, left_out) = choices.rows(rows, settings.subsample);
        let columns = choices.columns(features, settings.columns);
        let method = if left_out.is_empty() { SampleMethod::None } else { SampleMethod::Random };
        for output in 0..outputs {
            let (gradients, curvatures): (&[f32], &[f32]) = if outputs == 1 {
                (&gradients, &curvatures)
            } else {
                pick(&gradients, output, outputs, &mut one_gradients);
                pick(&curvatures, output, outputs, &mut one_curvatures);
                (&one_gradients, &one_curvatures)
            };
            let mut tree = Tree::new();
            let leaves = tree.fit_with_tiles(
                &bins,
                chosen.clone(),
                &columns,
                &binned.cuts,
                gradients,
                curvatures,
                &splitter,
                settings.leaves,
                settings.depth,
                true,
                &method,
                &GrowPolicy::DepthWise,
                Some(&tiles),
            );
            let splits = split_bins(&tree, &binned.cuts);
            let mut add = |row: usize, leaf: f64| scores[row * outputs + output] += leaf * loss.scale;
            let walk = |row: usize| {
                tree.predict_row_from_bins(|feature| *bins.get(row, feature), &splits, MISSING_BIN, &f64::NAN)
            };
            match &leaves {
                Some(leaves) => add_leaves(&tree, leaves, &mut add),
                None => chosen.iter().for_each(|&row| add(row, walk(row))),
            }
            for &row in &left_out {
                add(row, walk(row));
            }
            trees.push(tree);
        }
        mean_loss = loss.derive(target, &scores, &mut gradients, &mut curvatures);
        if step % every == 0 || step == settings.trees {
            metrics.push(Metric { name: loss.metric(), step: step as u64, value: mean_loss });
        }
    }
    if !mean_loss.is_finite() {
        return Err(Error::Trainer("the loss is no longer finite".to_owned()));
    }
    Ok(Grown { trees, metrics })
}

/// Adds to each row the leaf that it was sorted into.
fn add_leaves(tree: &Tree, leaves: &TreeRows, add: &mut impl FnMut(usize, f64)) {
    for (rows, leaf) in leaves.leaves(tree) {
        for &row in rows {
            add(row, leaf);
        }
    }
}

/// Copies one output's values out of `rows × outputs`.
fn pick(values: &[f32], output: usize, outputs: usize, into: &mut Vec<f32>) {
    into.clear();
    into.extend(values.iter().skip(output).step_by(outputs));
}

/// The random choices of a training, by SplitMix64 (Steele, Lea, Flood 2014): the same for a seed, for ever.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    /// From 0 to below 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The rows a tree sees and the others; at least one is seen.
    pub(super) fn rows(&mut self, rows: usize, share: f64) -> (Vec<usize>, Vec<usize>) {
        if share >= 1.0 {
            return ((0..rows).collect(), Vec::new());
        }
        let (mut chosen, mut left_out): (Vec<usize>, Vec<usize>) = (0..rows).partition(|_| self.next() < share);
        if chosen.is_empty() {
            chosen.extend(left_out.pop());
        }
        (chosen, left_out)
    }

    /// The features a tree sees, ascending; at least one.
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
