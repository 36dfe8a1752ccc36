//! From what the trees hand out to one score a target.

use super::float::Float;
use super::forest::{Forest, Node, Vote};

/// How scores of several trees come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Average,
    Sum,
    Min,
    Max,
}

/// What the leaves of an ensemble hand out.
#[derive(Debug)]
pub(super) enum Votes<T> {
    /// One weight a leaf, all for one target.
    One(u32),
    /// One weight a leaf; the target goes by the tree.
    ByTree(Vec<u32>),
    /// An index into `leaves`, which gives start and end in `votes`.
    Table { leaves: Vec<(u32, u32)>, votes: Vec<Vote<T>> },
}

impl<T: Float> Votes<T> {
    /// Finds the simplest form that holds the forest's leaves, and a function
    /// for the kernels that says what a leaf hands out.
    pub(super) fn new(forest: &Forest<T>) -> Self {
        if let Some(targets) = targets_by_tree(forest) {
            let first = targets.first().copied().unwrap_or(0);
            if targets.iter().all(|&target| target == first) {
                return Self::One(first);
            }
            return Self::ByTree(targets);
        }
        Self::Table { leaves: Vec::new(), votes: forest.votes.clone() }
    }

    /// What the leaf with the votes `first .. first + count` hands out.
    pub(super) fn payload(&mut self, forest: &Forest<T>, first: u32, count: u32) -> T {
        match self {
            Self::One(_) | Self::ByTree(_) => forest.votes[first as usize].weight,
            Self::Table { leaves, .. } => {
                leaves.push((first, first + count));
                T::from_index(leaves.len() as u32 - 1)
            }
        }
    }

    /// Adds up what the trees handed out for a row. `scores` and `touched` begin as
    /// zeros and false; `touched` says which targets had a vote.
    ///
    /// Sums are rounded to the width of `T` after each tree, in the trees' order:
    /// as ONNX Runtime has them, to the last digit.
    pub(super) fn add(&self, how: Aggregate, payloads: &[T], scores: &mut [f64], touched: &mut [bool]) {
        let mut put = |target: u32, weight: f64| {
            let (score, seen) = (&mut scores[target as usize], &mut touched[target as usize]);
            *score = match how {
                Aggregate::Sum | Aggregate::Average => T::from_f64(*score + weight).to_f64(),
                Aggregate::Min if !*seen || weight < *score => weight,
                Aggregate::Max if !*seen || weight > *score => weight,
                Aggregate::Min | Aggregate::Max => *score,
            };
            *seen = true;
        };
        match self {
            Self::One(target) => payloads.iter().for_each(|payload| put(*target, payload.to_f64())),
            Self::ByTree(targets) => {
                payloads.iter().zip(targets).for_each(|(payload, &target)| put(target, payload.to_f64()));
            }
            Self::Table { leaves, votes } => {
                for payload in payloads {
                    let (first, end) = leaves[payload.index() as usize];
                    for vote in &votes[first as usize..end as usize] {
                        put(vote.target, vote.weight.to_f64());
                    }
                }
            }
        }
    }

    /// The sum of each row for the one target all leaves vote for; `None` where
    /// there are more, or where they are not summed.
    pub(super) fn sums(&self, how: Aggregate, payloads: &[T], trees: usize, sums: &mut Vec<T>) -> Option<u32> {
        /// Rows summed side by side: each sum waits for its last addition, the others need not.
        const LANES: usize = 8;
        let (Self::One(target), Aggregate::Sum | Aggregate::Average) = (self, how) else { return None };
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

/// The one target of each tree, when every leaf has exactly one vote.
fn targets_by_tree<T: Float>(forest: &Forest<T>) -> Option<Vec<u32>> {
    let mut target_of = vec![None; forest.nodes.len()];
    // Children stand before their parents, so one pass sees them first.
    for (id, node) in forest.nodes.iter().enumerate() {
        target_of[id] = match *node {
            Node::Leaf { first, count: 1 } => Some(forest.votes[first as usize].target),
            Node::Split { yes, no, .. } if target_of[yes as usize] == target_of[no as usize] => target_of[yes as usize],
            _ => return None,
        };
    }
    forest.roots.iter().map(|&root| target_of[root as usize]).collect()
}
