//! The kernel for small trees, which evaluates all trees at once, feature by feature
//! (QuickScorer: Lucchese et al., SIGIR 2015).
//!
//! A tree has up to 32 (or 64) leaves, numbered from left (`true_child`) to right, and
//! a bit vector with one bit for each leaf. If the test of a split is false, the row
//! cannot reach the leaves under its `true_child`, and their bits are cleared. After
//! all false splits are applied, the lowest remaining bit is the leaf of the row.
//!
//! The false splits of a value are those with a lower threshold, that is a prefix of
//! the feature's splits in order of their thresholds. The combined masks of long
//! prefixes are precomputed for all trees, one snapshot every
//! [`ThresholdSplits::snapshot_interval`] splits. A row then needs one snapshot for each
//! feature, which is a pass over adjacent vectors without a branch, and the few
//! remaining splits one by one.

use std::ops::{BitAnd, BitAndAssign, Not};

use super::float::Float;
use super::forest::{Forest, Node, Test};

/// Maximum memory of the snapshots of an ensemble, in bytes.
const SNAPSHOT_BYTES_MAX: usize = 32 << 20;
/// Minimum number of splits between two snapshots.
const SNAPSHOT_INTERVAL_MIN: usize = 64;

/// Maximum memory of the payloads of all leaves, in bytes.
const LEAF_BYTES_MAX: usize = 64 << 20;
/// Maximum number of members of the sets of all membership splits.
const MEMBERS_MAX: usize = 1 << 24;
/// Maximum number of set look-ups while a feature is compiled: values times membership splits.
const MEMBER_CHECKS_MAX: usize = 1 << 27;

/// A bit vector with one bit for each leaf of a tree.
pub(super) trait BitVector:
    Copy + std::fmt::Debug + BitAnd<Output = Self> + BitAndAssign + Not<Output = Self> + Send + Sync + 'static
{
    const BITS: u32;
    const ONES: Self;
    /// Ones at the bits `from .. to`.
    fn range(from: u32, to: u32) -> Self;
    fn lowest(self) -> u32;
}

macro_rules! bit_vector {
    ($type:ty) => {
        impl BitVector for $type {
            const BITS: u32 = <$type>::BITS;
            const ONES: Self = <$type>::MAX;

            fn range(from: u32, to: u32) -> Self {
                let below = |bit: u32| if bit >= Self::BITS { Self::MAX } else { (1 << bit) - 1 };
                below(to) & !below(from)
            }

            fn lowest(self) -> u32 {
                self.trailing_zeros()
            }
        }
    };
}

bit_vector!(u32);
bit_vector!(u64);

/// The bits that a group of false splits clears: zeros in one vector for each tree.
#[derive(Debug)]
enum Mask<W> {
    /// One vector for each tree.
    Dense(Box<[W]>),
    /// Vectors of some trees only.
    Sparse(Box<[(u32, W)]>),
}

impl<W: BitVector> Mask<W> {
    fn new(splits: &[(u32, W)], trees: usize) -> Self {
        if splits.len() * 4 < trees {
            return Self::Sparse(splits.into());
        }
        let mut vectors = vec![W::ONES; trees].into_boxed_slice();
        for &(tree, vector) in splits {
            vectors[tree as usize] &= vector;
        }
        Self::Dense(vectors)
    }

    /// The greatest memory of a mask of at most so many splits, in bytes.
    fn bytes_max(splits: usize, trees: usize) -> usize {
        if splits * 4 < trees { splits * size_of::<(u32, W)>() } else { trees * size_of::<W>() }
    }

    fn apply(&self, state: &mut [W]) {
        match self {
            Self::Dense(vectors) => state.iter_mut().zip(vectors).for_each(|(state, &vector)| *state &= vector),
            Self::Sparse(splits) => apply_sparse(splits, state),
        }
    }
}

/// The position of a value in a sorted list.
fn position<T: Float>(sorted: &[T], value: T) -> Option<usize> {
    sorted.binary_search_by(|member| member.partial_cmp(&value).unwrap_or(std::cmp::Ordering::Less)).ok()
}

fn apply_sparse<W: BitVector>(splits: &[(u32, W)], state: &mut [W]) {
    for &(tree, vector) in splits {
        if let Some(state) = state.get_mut(tree as usize) {
            *state &= vector;
        }
    }
}

/// The threshold splits of a feature.
#[derive(Debug)]
struct ThresholdSplits<T, W> {
    /// Ascending.
    thresholds: Box<[T]>,
    splits: Box<[(u32, W)]>,
    snapshot_interval: usize,
    /// The combined masks of the first `snapshot_interval`, `2 * snapshot_interval`, … splits; each has one vector for each tree.
    snapshots: Box<[W]>,
}

/// The membership splits of a feature.
#[derive(Debug)]
struct MembershipSplits<T, W> {
    /// The members of all sets, ascending.
    values: Box<[T]>,
    /// The mask of each of `values`.
    by_value: Box<[Mask<W>]>,
    /// The mask of any other value.
    other: Mask<W>,
}

#[derive(Debug)]
struct Feature<T, W> {
    column: usize,
    threshold_splits: Option<ThresholdSplits<T, W>>,
    membership_splits: Option<MembershipSplits<T, W>>,
    missing: Mask<W>,
}

/// The compiled ensemble.
#[derive(Debug)]
pub(super) struct QuickScorer<T, W> {
    features: Vec<Feature<T, W>>,
    trees: usize,
    /// The payload of each leaf; [`BitVector::BITS`] entries for each tree.
    leaves: Vec<T>,
}

/// A split during compilation.
struct Split<T, W> {
    feature: u32,
    test: Test<T>,
    missing_tracks_true: bool,
    mask: (u32, W),
}

impl<T: Float, W: BitVector> QuickScorer<T, W> {
    /// Compiles trees of at most [`BitVector::BITS`] leaves each. `payload` returns the payload
    /// of the leaf with the given range of weights. `None` if it would need too much memory.
    pub(super) fn new(forest: &Forest<T>, mut payload: impl FnMut(u32, u32) -> T) -> Option<Self> {
        let trees = forest.roots.len();
        let leaf_count = trees.checked_mul(W::BITS as usize)?;
        if leaf_count.checked_mul(size_of::<T>())? > LEAF_BYTES_MAX {
            return None;
        }
        let mut leaves = vec![T::default(); leaf_count];
        let mut splits = Vec::new();
        for (tree, &root) in forest.roots.iter().enumerate() {
            let mut next = 0;
            let mut visits = vec![(root, None)];
            // A split is visited twice: before its `true_child`, and before its `false_child`, when its bits are known.
            while let Some((id, from)) = visits.pop() {
                match (forest.nodes[id as usize], from) {
                    (Node::Leaf { first, count }, _) => {
                        *leaves.get_mut(tree * W::BITS as usize + next as usize)? = payload(first, count);
                        next += 1;
                    }
                    (Node::Split { true_child, .. }, None) => {
                        visits.push((id, Some(next)));
                        visits.push((true_child, None));
                    }
                    (Node::Split { feature, test, false_child, missing_tracks_true, .. }, Some(from)) => {
                        let mask = (tree as u32, !W::range(from, next));
                        splits.push(Split { feature, test, missing_tracks_true, mask });
                        visits.push((false_child, None));
                    }
                    (Node::Redirect(_), _) => return None,
                }
                if next > W::BITS {
                    return None;
                }
            }
        }
        splits.sort_by_key(|split| split.feature);
        let members = splits.iter().map(|split| match split.test {
            Test::InSet(set) => forest.sets[set as usize].len(),
            Test::AtMost(_) | Test::Present => 0,
        });
        if members.sum::<usize>() > MEMBERS_MAX {
            return None;
        }
        let vector_bytes = W::BITS as usize / 8;
        let wanted = splits.len() / SNAPSHOT_INTERVAL_MIN * trees * vector_bytes;
        let snapshot_interval = SNAPSHOT_INTERVAL_MIN * wanted.div_ceil(SNAPSHOT_BYTES_MAX).max(1);
        let mut bytes_left = SNAPSHOT_BYTES_MAX;
        let features = splits
            .chunk_by(|a, b| a.feature == b.feature)
            .map(|splits| compile_feature(splits, &forest.sets, trees, snapshot_interval, &mut bytes_left))
            .collect::<Option<_>>()?;
        Some(Self { features, trees, leaves })
    }

    /// Number of trees.
    pub(super) fn trees(&self) -> usize {
        self.trees
    }

    /// Writes the payload that the row `values` reaches in each tree.
    pub(super) fn score_row(&self, values: &[T], state: &mut Vec<W>, out: &mut [T]) {
        state.clear();
        state.resize(self.trees, W::ONES);
        for feature in &self.features {
            feature.apply(values[feature.column], state);
        }
        let (leaves, _) = self.leaves.as_chunks::<64>();
        let trees_per_chunk = 64 / W::BITS as usize;
        if trees_per_chunk == 1 {
            for ((out, vector), leaves) in out.iter_mut().zip(&*state).zip(leaves) {
                *out = leaves[vector.lowest() as usize & 63];
            }
            return;
        }
        let (leaves, _) = self.leaves.as_chunks::<32>();
        for ((out, vector), leaves) in out.iter_mut().zip(&*state).zip(leaves) {
            *out = leaves[vector.lowest() as usize & 31];
        }
    }
}

impl<T: Float, W: BitVector> Feature<T, W> {
    fn apply(&self, value: T, state: &mut [W]) {
        if value.is_nan() {
            return self.missing.apply(state);
        }
        if let Some(threshold_splits) = &self.threshold_splits {
            threshold_splits.apply(value, state);
        }
        if let Some(membership_splits) = &self.membership_splits {
            match position(&membership_splits.values, value) {
                Some(at) => membership_splits.by_value[at].apply(state),
                None => membership_splits.other.apply(state),
            }
        }
    }
}

impl<T: Float, W: BitVector> ThresholdSplits<T, W> {
    fn apply(&self, value: T, state: &mut [W]) {
        let failed = self.thresholds.partition_point(|&threshold| threshold < value);
        let snapshots = failed / self.snapshot_interval;
        if snapshots > 0 {
            let trees = state.len();
            let vectors = &self.snapshots[(snapshots - 1) * trees..snapshots * trees];
            state.iter_mut().zip(vectors).for_each(|(state, &vector)| *state &= vector);
        }
        apply_sparse(&self.splits[snapshots * self.snapshot_interval..failed], state);
    }
}

fn compile_feature<T: Float, W: BitVector>(
    splits: &[Split<T, W>],
    sets: &[Vec<T>],
    trees: usize,
    snapshot_interval: usize,
    membership_bytes_left: &mut usize,
) -> Option<Feature<T, W>> {
    let missing: Vec<_> = splits.iter().filter(|split| !split.missing_tracks_true).map(|split| split.mask).collect();
    let mut threshold_splits: Vec<(T, (u32, W))> = Vec::new();
    let mut membership_splits: Vec<(&[T], (u32, W))> = Vec::new();
    for split in splits {
        match split.test {
            Test::AtMost(threshold) => threshold_splits.push((threshold, split.mask)),
            Test::InSet(set) => membership_splits.push((&sets[set as usize], split.mask)),
            Test::Present => {}
        }
    }
    let membership_splits = if membership_splits.is_empty() {
        None
    } else {
        Some(compile_memberships(&membership_splits, trees, membership_bytes_left)?)
    };
    Some(Feature {
        column: splits.first().map_or(0, |split| split.feature as usize),
        threshold_splits: (!threshold_splits.is_empty())
            .then(|| compile_thresholds(threshold_splits, trees, snapshot_interval)),
        membership_splits,
        missing: Mask::new(&missing, trees),
    })
}

fn compile_thresholds<T: Float, W: BitVector>(
    mut threshold_splits: Vec<(T, (u32, W))>,
    trees: usize,
    snapshot_interval: usize,
) -> ThresholdSplits<T, W> {
    threshold_splits.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let mut snapshots = Vec::with_capacity(threshold_splits.len() / snapshot_interval * trees);
    let mut vectors = vec![W::ONES; trees];
    for block in threshold_splits.chunks_exact(snapshot_interval) {
        for &(_, (tree, vector)) in block {
            vectors[tree as usize] &= vector;
        }
        snapshots.extend_from_slice(&vectors);
    }
    let (thresholds, splits): (Vec<T>, Vec<(u32, W)>) = threshold_splits.into_iter().unzip();
    ThresholdSplits {
        thresholds: thresholds.into(),
        splits: splits.into(),
        snapshot_interval,
        snapshots: snapshots.into(),
    }
}

/// Compiles the membership splits of a feature; `None` if they need too much time or memory.
fn compile_memberships<T: Float, W: BitVector>(
    splits: &[(&[T], (u32, W))],
    trees: usize,
    bytes_left: &mut usize,
) -> Option<MembershipSplits<T, W>> {
    let mut values: Vec<T> = splits.iter().flat_map(|(set, _)| set.iter().copied()).collect();
    super::forest::sort(&mut values);
    if values.len().saturating_mul(splits.len()) > MEMBER_CHECKS_MAX {
        return None;
    }
    *bytes_left = bytes_left.checked_sub((values.len() + 1) * Mask::<W>::bytes_max(splits.len(), trees))?;
    let failing = |value: Option<T>| {
        let fails = |set: &[T]| value.is_none_or(|value| position(set, value).is_none());
        splits.iter().filter(|(set, _)| fails(set)).map(|&(_, mask)| mask).collect::<Vec<_>>()
    };
    let by_value = values.iter().map(|&value| Mask::new(&failing(Some(value)), trees)).collect();
    Some(MembershipSplits { by_value, other: Mask::new(&failing(None), trees), values: values.into() })
}
