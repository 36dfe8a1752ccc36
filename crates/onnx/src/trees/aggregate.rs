//! Aggregation of the leaves that a row reaches to one score for each target.

use super::float::Float;
use super::forest::{Forest, LeafWeight, Node};

/// The aggregate function of an ensemble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

/// How a leaf is represented by one number, its payload, in the kernels.
#[derive(Debug)]
pub(super) enum LeafEncoding<T> {
    /// The payload is the leaf's only weight; all leaves have this target.
    SingleTarget(u32),
    /// The payload is the leaf's only weight; the target depends on the tree.
    ByTree(Vec<u32>),
    /// The payload is an index into `leaves`, which has the range of each leaf in `weights`.
    Table { leaves: Vec<(u32, u32)>, weights: Vec<LeafWeight<T>> },
}

impl<T: Float> LeafEncoding<T> {
    /// Chooses the simplest representation of the forest's leaves.
    pub(super) fn new(forest: &Forest<T>) -> Self {
        if let Some(targets) = targets_by_tree(forest) {
            let first = targets.first().copied().unwrap_or(0);
            if targets.iter().all(|&target| target == first) {
                return Self::SingleTarget(first);
            }
            return Self::ByTree(targets);
        }
        Self::Table { leaves: Vec::new(), weights: forest.leaf_weights.clone() }
    }

    /// The payload of the leaf with the weights `first .. first + count`.
    pub(super) fn payload(&mut self, forest: &Forest<T>, first: u32, count: u32) -> T {
        match self {
            Self::SingleTarget(_) | Self::ByTree(_) => forest.leaf_weights[first as usize].weight,
            Self::Table { leaves, .. } => {
                leaves.push((first, first + count));
                T::from_index(leaves.len() as u32 - 1)
            }
        }
    }

    /// Aggregates the payloads of a row. `scores` and `has_score` start as zeros and
    /// false; `has_score` marks the targets to which a leaf contributed.
    ///
    /// Sums are rounded to the precision of `T` after each tree, in the order of the
    /// trees, which reproduces ONNX Runtime's results to the last digit.
    pub(super) fn add(&self, aggregate: Aggregate, payloads: &[T], scores: &mut [f64], has_score: &mut [bool]) {
        let mut add_weight = |target: u32, weight: f64| {
            let (score, has_any) = (&mut scores[target as usize], &mut has_score[target as usize]);
            *score = match aggregate {
                Aggregate::Sum | Aggregate::Average => T::from_f64(*score + weight).to_f64(),
                Aggregate::Min if !*has_any || weight < *score => weight,
                Aggregate::Max if !*has_any || weight > *score => weight,
                Aggregate::Min | Aggregate::Max => *score,
            };
            *has_any = true;
        };
        match self {
            Self::SingleTarget(target) => payloads.iter().for_each(|payload| add_weight(*target, payload.to_f64())),
            Self::ByTree(targets) => {
                payloads.iter().zip(targets).for_each(|(payload, &target)| add_weight(target, payload.to_f64()));
            }
            Self::Table { leaves, weights } => {
                for payload in payloads {
                    let (first, end) = leaves[payload.index() as usize];
                    for leaf_weight in &weights[first as usize..end as usize] {
                        add_weight(leaf_weight.target, leaf_weight.weight.to_f64());
                    }
                }
            }
        }
    }

    /// The sum of each row if all leaves have the same target, with that target; `None` if
    /// there are several targets or the aggregate function is not a sum.
    pub(super) fn sums(&self, aggregate: Aggregate, payloads: &[T], trees: usize, sums: &mut Vec<T>) -> Option<u32> {
        /// Number of rows summed in parallel, as each addition depends on the previous one of its row.
        const LANES: usize = 8;
        let (Self::SingleTarget(target), Aggregate::Sum | Aggregate::Average) = (self, aggregate) else { return None };
        sums.clear();
        let mut blocks = payloads.chunks_exact(trees * LANES);
        for block in blocks.by_ref() {
            let mut lanes = [T::default(); LANES];
            let rows: [&[T]; LANES] = std::array::from_fn(|lane| &block[lane * trees..(lane + 1) * trees]);
            for tree in 0..trees {
                lanes.iter_mut().zip(rows).for_each(|(sum, row)| *sum = *sum + row[tree]);
            }
            sums.extend(lanes);
        }
        let rest = blocks.remainder().chunks_exact(trees);
        sums.extend(rest.map(|row| row.iter().fold(T::default(), |sum, &payload| sum + payload)));
        Some(*target)
    }
}

/// The target of each tree, if every leaf has exactly one weight and a tree only one target.
fn targets_by_tree<T: Float>(forest: &Forest<T>) -> Option<Vec<u32>> {
    let mut target_of = vec![None; forest.nodes.len()];
    // Children precede their parents, so a single pass suffices.
    for (id, node) in forest.nodes.iter().enumerate() {
        target_of[id] = match *node {
            Node::Leaf { first, count: 1 } => Some(forest.leaf_weights[first as usize].target),
            Node::Split { true_child, false_child, .. }
                if target_of[true_child as usize] == target_of[false_child as usize] =>
            {
                target_of[true_child as usize]
            }
            _ => return None,
        };
    }
    forest.roots.iter().map(|&root| target_of[root as usize]).collect()
}
