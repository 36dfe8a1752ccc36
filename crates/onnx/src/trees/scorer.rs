//! Selection of a kernel for an ensemble, and evaluation in blocks of rows.

use std::sync::Mutex;

use super::aggregate::{Aggregate, LeafEncoding};
use super::float::Float;
use super::forest::{Forest, Node};
use super::quickscorer::{BitVector, QuickScorer};
use super::traversal::Traversal;
use crate::node::BuildError;

/// Number of payloads (trees × rows) of a block. QuickScorer works row by row, so that small
/// blocks stay in the cache.
const QUICKSCORER_BLOCK: usize = 8_192;
/// The same for the traversal kernel, which works tree by tree: many rows share the access to a tree.
const TRAVERSAL_BLOCK: usize = 65_536;
/// Minimum number of rows of a block: as many as the traversal kernel evaluates in parallel.
const BLOCK_ROWS_MIN: usize = 16;

#[derive(Debug)]
enum Kernel<T> {
    QuickScorer32(QuickScorer<T, u32>),
    QuickScorer64(QuickScorer<T, u64>),
    Traversal(Traversal<T>),
}

/// A compiled ensemble.
#[derive(Debug)]
pub(super) struct Scorer<T> {
    kernel: Kernel<T>,
    leaf_encoding: LeafEncoding<T>,
    features: usize,
    steps_per_row: usize,
    /// Buffers of previous runs, for reuse.
    idle_buffers: Mutex<Vec<Buffers<T>>>,
}

#[derive(Debug, Default)]
struct Buffers<T> {
    state_32: Vec<u32>,
    state_64: Vec<u64>,
    prepared: Vec<T>,
    payloads: Vec<T>,
    /// Sums of several rows, if there is one target.
    single: Vec<T>,
    /// Aggregated scores of one row.
    sums: Vec<f64>,
    has_score: Vec<bool>,
}

impl<T: Float> Scorer<T> {
    pub(super) fn new(forest: &Forest<T>) -> Result<Self, BuildError> {
        let max_leaves = forest.roots.iter().map(|&root| forest.leaves[root as usize]).max().unwrap_or(0);
        let mut scorer = None;
        if quickscorer_is_faster(forest) {
            scorer = match max_leaves {
                0..=32 => quickscorer(forest, Kernel::QuickScorer32),
                33..=64 => quickscorer(forest, Kernel::QuickScorer64),
                _ => None,
            };
        }
        let (kernel, leaf_encoding) = if let Some(scorer) = scorer {
            scorer
        } else {
            let mut leaf_encoding = LeafEncoding::new(forest);
            let traversal = Traversal::new(forest, |first, count| leaf_encoding.payload(forest, first, count));
            (Kernel::Traversal(traversal.ok_or_else(too_large)?), leaf_encoding)
        };
        let steps_per_row = forest.roots.iter().map(|&root| forest.depth[root as usize] as usize + 1).sum();
        Ok(Self { kernel, leaf_encoding, features: forest.features, steps_per_row, idle_buffers: Mutex::default() })
    }

    /// The greatest number of steps down the trees for a row.
    pub(super) fn steps_per_row(&self) -> usize {
        self.steps_per_row
    }

    fn trees(&self) -> usize {
        match &self.kernel {
            Kernel::QuickScorer32(quickscorer) => quickscorer.trees(),
            Kernel::QuickScorer64(quickscorer) => quickscorer.trees(),
            Kernel::Traversal(traversal) => traversal.trees(),
        }
    }

    /// Evaluates `rows` rows of `width` values and calls `emit` with the aggregated scores of each.
    pub(super) fn score(
        &self,
        values: &[T],
        (rows, width): (usize, usize),
        targets: usize,
        aggregate: Aggregate,
        emit: &mut dyn FnMut(&mut [f64], &mut [bool]),
    ) -> Result<(), String> {
        if width < self.features {
            return Err(format!("expected at least {} features, got {width}", self.features));
        }
        if rows == 0 {
            return Ok(());
        }
        let mut buffers =
            self.idle_buffers.lock().ok().and_then(|mut idle_buffers| idle_buffers.pop()).unwrap_or_default();
        buffers.sums.resize(targets, 0.0);
        buffers.has_score.resize(targets, false);
        let trees = self.trees();
        let block_payloads =
            if matches!(self.kernel, Kernel::Traversal(_)) { TRAVERSAL_BLOCK } else { QUICKSCORER_BLOCK };
        let block_rows = (block_payloads / trees.max(1)).max(BLOCK_ROWS_MIN) / BLOCK_ROWS_MIN * BLOCK_ROWS_MIN;
        for first in (0..rows).step_by(block_rows) {
            let last = rows.min(first + block_rows);
            let block = &values[first * width..last * width];
            self.score_block(block, width, last - first, trees, &mut buffers);
            let single = if trees == 0 {
                None
            } else {
                self.leaf_encoding.sums(aggregate, &buffers.payloads, trees, &mut buffers.single)
            };
            for row in 0..last - first {
                buffers.sums.fill(0.0);
                buffers.has_score.fill(false);
                if let Some(target) = single {
                    buffers.sums[target as usize] = buffers.single[row].to_f64();
                    buffers.has_score[target as usize] = true;
                } else {
                    let payloads = &buffers.payloads[row * trees..(row + 1) * trees];
                    self.leaf_encoding.add(aggregate, payloads, &mut buffers.sums, &mut buffers.has_score);
                }
                emit(&mut buffers.sums, &mut buffers.has_score);
            }
        }
        if let Ok(mut idle_buffers) = self.idle_buffers.lock() {
            idle_buffers.push(buffers);
        }
        Ok(())
    }

    fn score_block(&self, values: &[T], width: usize, rows: usize, trees: usize, buffers: &mut Buffers<T>) {
        buffers.payloads.resize(rows * trees, T::default());
        if trees == 0 {
            return;
        }
        if width == 0 {
            // Without features every tree is a single leaf.
            return self.score_without_features(rows, trees, buffers);
        }
        let rows = values.chunks_exact(width).zip(buffers.payloads.chunks_exact_mut(trees));
        match &self.kernel {
            Kernel::QuickScorer32(quickscorer) => {
                rows.for_each(|(row, out)| quickscorer.score_row(row, &mut buffers.state_32, out));
            }
            Kernel::QuickScorer64(quickscorer) => {
                rows.for_each(|(row, out)| quickscorer.score_row(row, &mut buffers.state_64, out));
            }
            Kernel::Traversal(traversal) => {
                traversal.score_rows(values, width, &mut buffers.prepared, &mut buffers.payloads);
            }
        }
    }

    fn score_without_features(&self, rows: usize, trees: usize, buffers: &mut Buffers<T>) {
        let absent = [T::NAN];
        for row in 0..rows {
            let out = &mut buffers.payloads[row * trees..(row + 1) * trees];
            match &self.kernel {
                Kernel::QuickScorer32(quickscorer) => quickscorer.score_row(&absent, &mut buffers.state_32, out),
                Kernel::QuickScorer64(quickscorer) => quickscorer.score_row(&absent, &mut buffers.state_64, out),
                Kernel::Traversal(traversal) => traversal.score_rows(&absent, 1, &mut buffers.prepared, out),
            }
        }
    }
}

fn too_large() -> BuildError {
    BuildError::Unsupported("a tree with so many nodes and features".into())
}

fn quickscorer<T: Float, W: BitVector>(
    forest: &Forest<T>,
    kernel: fn(QuickScorer<T, W>) -> Kernel<T>,
) -> Option<(Kernel<T>, LeafEncoding<T>)> {
    let mut leaf_encoding = LeafEncoding::new(forest);
    let quickscorer = QuickScorer::new(forest, |first, count| leaf_encoding.payload(forest, first, count))?;
    Some((kernel(quickscorer), leaf_encoding))
}

/// Whether QuickScorer is the faster kernel, by a rough count of instructions.
fn quickscorer_is_faster<T>(forest: &Forest<T>) -> bool {
    /// Number of bytes that one vector instruction processes.
    const VECTOR_BYTES: usize = 16;
    let max_leaves = forest.roots.iter().map(|&root| forest.leaves[root as usize]).max().unwrap_or(0);
    let word_bytes = if max_leaves <= 32 { 4 } else { 8 };
    let mut splits = vec![0_usize; forest.features];
    for node in &forest.nodes {
        if let Node::Split { feature, .. } = node {
            splits[*feature as usize] += 1;
        }
    }
    let pass = forest.roots.len() * word_bytes / VECTOR_BYTES;
    let quickscorer_cost: usize = splits
        .iter()
        .filter(|&&splits| splits > 0)
        .map(|&splits| if splits < 64 { 40 + splits } else { 100 + pass })
        .sum();
    let traversal_cost: usize = forest.roots.iter().map(|&root| forest.depth[root as usize] as usize * 4).sum();
    quickscorer_cost <= traversal_cost * 2
}
