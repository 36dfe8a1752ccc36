//! The kernel for small trees: all trees of the ensemble at once, feature by feature.
//!
//! Each tree has up to 32 (or 64) leaves, numbered from left (`yes`) to right,
//! and a word with one bit a leaf. A split that fails cannot end in the leaves
//! under its `yes`, so it clears their bits; once all failed splits have done
//! that, the lowest bit left is the leaf of the row. (The idea is QuickScorer's:
//! Lucchese et al., SIGIR 2015.)
//!
//! The splits that a value fails are those with a lower threshold: with a
//! feature's splits in order of their thresholds, a prefix. What long prefixes
//! clear is calculated beforehand, every [`Steps::every`] splits, for all trees;
//! a row then takes one such snapshot a feature, which is a pass over adjacent
//! words without a branch, and clears the few splits that remain one by one.

use std::ops::{BitAnd, BitAndAssign, Not};

use super::float::Float;
use super::forest::{Forest, Node, Test};

/// Bytes that the snapshots of one ensemble may take.
const SNAPSHOT_BYTES_MAX: usize = 32 << 20;
/// Splits between two snapshots, at least.
const SNAPSHOT_EVERY_MIN: usize = 64;

/// Members of all sets times splits: how often a set is asked for a value while compiling.
const MEMBER_CHECKS_MAX: usize = 1 << 30;

/// A word with one bit a leaf.
pub(super) trait Word:
    Copy + std::fmt::Debug + BitAnd<Output = Self> + BitAndAssign + Not<Output = Self> + Send + Sync + 'static
{
    const BITS: u32;
    const ONES: Self;
    /// Ones at `from .. to`.
    fn span(from: u32, to: u32) -> Self;
    fn lowest(self) -> u32;
}

macro_rules! word {
    ($type:ty) => {
        impl Word for $type {
            const BITS: u32 = <$type>::BITS;
            const ONES: Self = <$type>::MAX;

            fn span(from: u32, to: u32) -> Self {
                let below = |bit: u32| if bit >= Self::BITS { Self::MAX } else { (1 << bit) - 1 };
                below(to) & !below(from)
            }

            fn lowest(self) -> u32 {
                self.trailing_zeros()
            }
        }
    };
}

word!(u32);
word!(u64);

/// What some failed splits clear.
#[derive(Debug)]
enum Clear<W> {
    /// One word a tree.
    All(Box<[W]>),
    /// Only the trees named.
    Some(Box<[(u32, W)]>),
}

impl<W: Word> Clear<W> {
    fn new(splits: &[(u32, W)], trees: usize) -> Self {
        if splits.len() * 4 < trees {
            return Self::Some(splits.into());
        }
        let mut words = vec![W::ONES; trees].into_boxed_slice();
        for &(tree, word) in splits {
            words[tree as usize] &= word;
        }
        Self::All(words)
    }

    fn apply(&self, state: &mut [W]) {
        match self {
            Self::All(words) => state.iter_mut().zip(words).for_each(|(state, &word)| *state &= word),
            Self::Some(splits) => clear(splits, state),
        }
    }
}

fn clear<W: Word>(splits: &[(u32, W)], state: &mut [W]) {
    for &(tree, word) in splits {
        if let Some(state) = state.get_mut(tree as usize) {
            *state &= word;
        }
    }
}

/// A feature's splits by threshold.
#[derive(Debug)]
struct Steps<T, W> {
    /// Rising.
    thresholds: Box<[T]>,
    splits: Box<[(u32, W)]>,
    every: usize,
    /// What the first `every`, `2 * every`, … splits clear; one word a tree each.
    snapshots: Box<[W]>,
}

/// A feature's splits by membership.
#[derive(Debug)]
struct Members<T, W> {
    /// Every member of any set, rising.
    values: Box<[T]>,
    /// What each of `values` fails.
    each: Box<[Clear<W>]>,
    /// What any other value fails.
    other: Clear<W>,
}

#[derive(Debug)]
struct Feature<T, W> {
    column: usize,
    steps: Option<Steps<T, W>>,
    members: Option<Members<T, W>>,
    missing: Clear<W>,
}

/// The compiled ensemble.
#[derive(Debug)]
pub(super) struct Masks<T, W> {
    features: Vec<Feature<T, W>>,
    trees: usize,
    /// What each leaf hands out; [`Word::BITS`] places a tree.
    leaves: Vec<T>,
}

/// A split on the way in.
struct Split<T, W> {
    feature: u32,
    test: Test<T>,
    missing_yes: bool,
    clears: (u32, W),
}

impl<T: Float, W: Word> Masks<T, W> {
    /// Compiles trees of at most [`Word::BITS`] leaves each. `payload` says
    /// what the leaf with these votes hands out. `None` when it would take too much memory.
    pub(super) fn new(forest: &Forest<T>, mut payload: impl FnMut(u32, u32) -> T) -> Option<Self> {
        let trees = forest.roots.len();
        let mut leaves = vec![T::default(); trees.checked_mul(W::BITS as usize)?];
        let mut splits = Vec::new();
        for (tree, &root) in forest.roots.iter().enumerate() {
            let mut next = 0;
            let mut visits = vec![(root, None)];
            // A split is met twice: before its `yes`, and between `yes` and `no`, when the bits are known.
            while let Some((id, from)) = visits.pop() {
                match (forest.nodes[id as usize], from) {
                    (Node::Leaf { first, count }, _) => {
                        *leaves.get_mut(tree * W::BITS as usize + next as usize)? = payload(first, count);
                        next += 1;
                    }
                    (Node::Split { yes, .. }, None) => {
                        visits.push((id, Some(next)));
                        visits.push((yes, None));
                    }
                    (Node::Split { feature, test, no, missing_yes, .. }, Some(from)) => {
                        let clears = (tree as u32, !W::span(from, next));
                        splits.push(Split { feature, test, missing_yes, clears });
                        visits.push((no, None));
                    }
                    (Node::Jump(_), _) => return None,
                }
                if next > W::BITS {
                    return None;
                }
            }
        }
        splits.sort_by_key(|split| split.feature);
        let members: usize = forest.sets.iter().map(Vec::len).sum();
        if members.saturating_mul(splits.len()) > MEMBER_CHECKS_MAX && members > 0 {
            return None;
        }
        let word_bytes = W::BITS as usize / 8;
        let wanted = splits.len() / SNAPSHOT_EVERY_MIN * trees * word_bytes;
        let every = SNAPSHOT_EVERY_MIN * wanted.div_ceil(SNAPSHOT_BYTES_MAX).max(1);
        let features: Vec<_> = splits
            .chunk_by(|a, b| a.feature == b.feature)
            .map(|splits| feature(splits, &forest.sets, trees, every))
            .collect();
        let members: usize = features.iter().filter_map(|feature| feature.members.as_ref()).map(Members::bytes).sum();
        (members <= SNAPSHOT_BYTES_MAX).then_some(Self { features, trees, leaves })
    }

    /// The number of trees.
    pub(super) fn trees(&self) -> usize {
        self.trees
    }

    /// Writes what each tree hands out for the row `values`.
    pub(super) fn row(&self, values: &[T], state: &mut Vec<W>, out: &mut [T]) {
        state.clear();
        state.resize(self.trees, W::ONES);
        for feature in &self.features {
            feature.apply(values[feature.column], state);
        }
        let (places, _) = self.leaves.as_chunks::<64>();
        let per_place = 64 / W::BITS as usize;
        if per_place == 1 {
            for ((out, word), leaves) in out.iter_mut().zip(&*state).zip(places) {
                *out = leaves[word.lowest() as usize & 63];
            }
            return;
        }
        let (places, _) = self.leaves.as_chunks::<32>();
        for ((out, word), leaves) in out.iter_mut().zip(&*state).zip(places) {
            *out = leaves[word.lowest() as usize & 31];
        }
    }
}

impl<T: Float, W: Word> Feature<T, W> {
    fn apply(&self, value: T, state: &mut [W]) {
        if value.is_nan() {
            return self.missing.apply(state);
        }
        if let Some(steps) = &self.steps {
            steps.apply(value, state);
        }
        if let Some(members) = &self.members {
            match members
                .values
                .binary_search_by(|member| member.partial_cmp(&value).unwrap_or(std::cmp::Ordering::Less))
            {
                Ok(at) => members.each[at].apply(state),
                Err(_) => members.other.apply(state),
            }
        }
    }
}

impl<T: Float, W: Word> Steps<T, W> {
    fn apply(&self, value: T, state: &mut [W]) {
        let failed = self.thresholds.partition_point(|&threshold| threshold < value);
        let snapshots = failed / self.every;
        if snapshots > 0 {
            let trees = state.len();
            let words = &self.snapshots[(snapshots - 1) * trees..snapshots * trees];
            state.iter_mut().zip(words).for_each(|(state, &word)| *state &= word);
        }
        clear(&self.splits[snapshots * self.every..failed], state);
    }
}

impl<T, W: Word> Members<T, W> {
    fn bytes(&self) -> usize {
        let clears = |clear: &Clear<W>| match clear {
            Clear::All(words) => words.len() * size_of::<W>(),
            Clear::Some(splits) => splits.len() * size_of::<(u32, W)>(),
        };
        self.each.iter().map(clears).sum::<usize>() + clears(&self.other)
    }
}

fn feature<T: Float, W: Word>(splits: &[Split<T, W>], sets: &[Vec<T>], trees: usize, every: usize) -> Feature<T, W> {
    let missing: Vec<_> = splits.iter().filter(|split| !split.missing_yes).map(|split| split.clears).collect();
    let mut steps: Vec<(T, (u32, W))> = Vec::new();
    let mut members: Vec<(&[T], (u32, W))> = Vec::new();
    for split in splits {
        match split.test {
            Test::AtMost(threshold) => steps.push((threshold, split.clears)),
            Test::In(set) => members.push((&sets[set as usize], split.clears)),
            Test::Present => {}
        }
    }
    Feature {
        column: splits.first().map_or(0, |split| split.feature as usize),
        steps: (!steps.is_empty()).then(|| self::steps(steps, trees, every)),
        members: (!members.is_empty()).then(|| self::members(&members, trees)),
        missing: Clear::new(&missing, trees),
    }
}

fn steps<T: Float, W: Word>(mut steps: Vec<(T, (u32, W))>, trees: usize, every: usize) -> Steps<T, W> {
    steps.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    let mut snapshots = Vec::with_capacity(steps.len() / every * trees);
    let mut words = vec![W::ONES; trees];
    for block in steps.chunks_exact(every) {
        for &(_, (tree, word)) in block {
            words[tree as usize] &= word;
        }
        snapshots.extend_from_slice(&words);
    }
    let (thresholds, splits): (Vec<T>, Vec<(u32, W)>) = steps.into_iter().unzip();
    Steps { thresholds: thresholds.into(), splits: splits.into(), every, snapshots: snapshots.into() }
}

fn members<T: Float, W: Word>(splits: &[(&[T], (u32, W))], trees: usize) -> Members<T, W> {
    let mut values: Vec<T> = splits.iter().flat_map(|(set, _)| set.iter().copied()).collect();
    super::forest::sort(&mut values);
    let failing = |value: Option<T>| {
        let fails = |set: &[T]| value.is_none_or(|value| !set.contains(&value));
        splits.iter().filter(|(set, _)| fails(set)).map(|&(_, clears)| clears).collect::<Vec<_>>()
    };
    let each = values.iter().map(|&value| Clear::new(&failing(Some(value)), trees)).collect();
    Members { each, other: Clear::new(&failing(None), trees), values: values.into() }
}
