//! Chooses a kernel for an ensemble and runs rows through it.

use std::sync::Mutex;

use super::float::Float;
use super::forest::{Forest, Node};
use super::masks::{Masks, Word};
use super::scores::{Aggregate, Votes};
use super::walk::Walk;
use crate::node::Refusal;

/// What the trees hand out is kept for this many trees × rows at once. The mask
/// kernel goes row by row, and few rows stay near the processor.
const BLOCK_MASKS: usize = 8_192;
/// The walking kernel goes tree by tree, and many rows share the way to a tree.
const BLOCK_WALK: usize = 65_536;
/// Rows at once, at least: as many as go down a tree in step.
const BLOCK_ROWS_MIN: usize = 16;

#[derive(Debug)]
enum Kernel<T> {
    Masks32(Masks<T, u32>),
    Masks64(Masks<T, u64>),
    Walk(Walk<T>),
}

/// A compiled ensemble.
#[derive(Debug)]
pub(super) struct Scorer<T> {
    kernel: Kernel<T>,
    votes: Votes<T>,
    features: usize,
    /// Buffers of earlier runs, to be used again.
    spare: Mutex<Vec<Buffers<T>>>,
}

#[derive(Debug, Default)]
struct Buffers<T> {
    narrow: Vec<u32>,
    wide: Vec<u64>,
    prepared: Vec<T>,
    payloads: Vec<T>,
    /// Sums of several rows, where there is one target.
    single: Vec<T>,
    /// Sums of one row.
    sums: Vec<f64>,
    touched: Vec<bool>,
}

impl<T: Float> Scorer<T> {
    pub(super) fn new(forest: &Forest<T>) -> Result<Self, Refusal> {
        let most = forest.roots.iter().map(|&root| forest.leaves[root as usize]).max().unwrap_or(0);
        let mut scorer = None;
        if masks_pay(forest) {
            scorer = match most {
                0..=32 => masks(forest, Kernel::Masks32),
                33..=64 => masks(forest, Kernel::Masks64),
                _ => None,
            };
        }
        let (kernel, votes) = if let Some(scorer) = scorer {
            scorer
        } else {
            let mut votes = Votes::new(forest);
            let walk = Walk::new(forest, |first, count| votes.payload(forest, first, count));
            (Kernel::Walk(walk.ok_or_else(too_large)?), votes)
        };
        Ok(Self { kernel, votes, features: forest.features, spare: Mutex::default() })
    }

    fn trees(&self) -> usize {
        match &self.kernel {
            Kernel::Masks32(masks) => masks.trees(),
            Kernel::Masks64(masks) => masks.trees(),
            Kernel::Walk(walk) => walk.trees(),
        }
    }

    /// Scores `rows` rows of `width` values and hands each row's sums to `finish`.
    pub(super) fn score(
        &self,
        values: &[T],
        (rows, width): (usize, usize),
        targets: usize,
        how: Aggregate,
        finish: &mut dyn FnMut(&mut [f64], &mut [bool]),
    ) -> Result<(), String> {
        if width < self.features {
            return Err(format!("expected at least {} features, got {width}", self.features));
        }
        if rows == 0 {
            return Ok(());
        }
        let mut buffers = self.spare.lock().ok().and_then(|mut spare| spare.pop()).unwrap_or_default();
        buffers.sums.resize(targets, 0.0);
        buffers.touched.resize(targets, false);
        let trees = self.trees();
        let payloads = if matches!(self.kernel, Kernel::Walk(_)) { BLOCK_WALK } else { BLOCK_MASKS };
        let block_rows = (payloads / trees.max(1)).max(BLOCK_ROWS_MIN) / BLOCK_ROWS_MIN * BLOCK_ROWS_MIN;
        for first in (0..rows).step_by(block_rows) {
            let last = rows.min(first + block_rows);
            let block = &values[first * width..last * width];
            self.block(block, width, last - first, trees, &mut buffers);
            let single =
                if trees == 0 { None } else { self.votes.sums(how, &buffers.payloads, trees, &mut buffers.single) };
            for row in 0..last - first {
                buffers.sums.fill(0.0);
                buffers.touched.fill(false);
                if let Some(target) = single {
                    buffers.sums[target as usize] = buffers.single[row].to_f64();
                    buffers.touched[target as usize] = true;
                } else {
                    let payloads = &buffers.payloads[row * trees..(row + 1) * trees];
                    self.votes.add(how, payloads, &mut buffers.sums, &mut buffers.touched);
                }
                finish(&mut buffers.sums, &mut buffers.touched);
            }
        }
        if let Ok(mut spare) = self.spare.lock() {
            spare.push(buffers);
        }
        Ok(())
    }

    fn block(&self, values: &[T], width: usize, rows: usize, trees: usize, buffers: &mut Buffers<T>) {
        buffers.payloads.resize(rows * trees, T::default());
        if trees == 0 {
            return;
        }
        if width == 0 {
            // Trees that ask for no feature are single leaves.
            return self.constant(rows, trees, buffers);
        }
        let rows = values.chunks_exact(width).zip(buffers.payloads.chunks_exact_mut(trees));
        match &self.kernel {
            Kernel::Masks32(masks) => rows.for_each(|(row, out)| masks.row(row, &mut buffers.narrow, out)),
            Kernel::Masks64(masks) => rows.for_each(|(row, out)| masks.row(row, &mut buffers.wide, out)),
            Kernel::Walk(walk) => walk.rows(values, width, &mut buffers.prepared, &mut buffers.payloads),
        }
    }

    fn constant(&self, rows: usize, trees: usize, buffers: &mut Buffers<T>) {
        let absent = [T::NAN];
        for row in 0..rows {
            let out = &mut buffers.payloads[row * trees..(row + 1) * trees];
            match &self.kernel {
                Kernel::Masks32(masks) => masks.row(&absent, &mut buffers.narrow, out),
                Kernel::Masks64(masks) => masks.row(&absent, &mut buffers.wide, out),
                Kernel::Walk(walk) => walk.rows(&absent, 1, &mut buffers.prepared, out),
            }
        }
    }
}

fn too_large() -> Refusal {
    Refusal::Unsupported("a tree with so many nodes over so many features".into())
}

fn masks<T: Float, W: Word>(forest: &Forest<T>, kernel: fn(Masks<T, W>) -> Kernel<T>) -> Option<(Kernel<T>, Votes<T>)> {
    let mut votes = Votes::new(forest);
    let masks = Masks::new(forest, |first, count| votes.payload(forest, first, count))?;
    Some((kernel(masks), votes))
}

/// Whether the mask kernel is worth it, by a rough count of the instructions of either.
fn masks_pay<T>(forest: &Forest<T>) -> bool {
    /// Words cleared by one instruction, bytes.
    const VECTOR_BYTES: usize = 16;
    let most = forest.roots.iter().map(|&root| forest.leaves[root as usize]).max().unwrap_or(0);
    let word_bytes = if most <= 32 { 4 } else { 8 };
    let mut splits = vec![0_usize; forest.features];
    for node in &forest.nodes {
        if let Node::Split { feature, .. } = node {
            splits[*feature as usize] += 1;
        }
    }
    let pass = forest.roots.len() * word_bytes / VECTOR_BYTES;
    let by_masks: usize = splits
        .iter()
        .filter(|&&splits| splits > 0)
        .map(|&splits| if splits < 64 { 40 + splits } else { 100 + pass })
        .sum();
    let by_walk: usize = forest.roots.iter().map(|&root| forest.depth[root as usize] as usize * 4).sum();
    by_masks <= by_walk * 2
}
