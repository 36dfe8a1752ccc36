//! The kernels compared with a direct evaluation of the trees.

use proptest::prelude::*;

use super::aggregate::{Aggregate, LeafEncoding};
use super::float::Float;
use super::forest::{Forest, LeafWeight, Mode, Node, RawSplit};
use super::quickscorer::QuickScorer;
use super::traversal::Traversal;

const MODES: [Mode; 6] = [Mode::AtMost, Mode::Less, Mode::AtLeast, Mode::Greater, Mode::Equal, Mode::NotEqual];
const VALUES: [f64; 12] =
    [-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 1.5, 3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX];

/// A tree as a file may define it.
#[derive(Debug, Clone)]
enum Raw {
    Leaf(f64),
    Split {
        feature: u32,
        mode: Mode,
        threshold: f64,
        missing_tracks_true: bool,
        true_child: Box<Raw>,
        false_child: Box<Raw>,
    },
}

fn raw_tree(depth: u32, size: u32) -> impl Strategy<Value = Raw> {
    let leaf = (-4_i32..4).prop_map(|weight| Raw::Leaf(f64::from(weight)));
    leaf.prop_recursive(depth, size, 2, |inner| {
        (0..3_u32, 0..6_usize, 0..VALUES.len(), any::<bool>(), inner.clone(), inner).prop_map(
            |(feature, mode, threshold, missing_tracks_true, true_child, false_child)| Raw::Split {
                feature,
                mode: MODES[mode],
                threshold: VALUES[threshold],
                missing_tracks_true,
                true_child: Box::new(true_child),
                false_child: Box::new(false_child),
            },
        )
    })
}

/// Evaluates a tree as the specification defines it.
fn evaluate<T: Float>(tree: &Raw, row: &[T]) -> f64 {
    match tree {
        Raw::Leaf(weight) => *weight,
        Raw::Split { feature, mode, threshold, missing_tracks_true, true_child, false_child } => {
            let (value, threshold) = (row[*feature as usize], T::from_f64(*threshold));
            let holds = match mode {
                Mode::AtMost => value <= threshold,
                Mode::Less => value < threshold,
                Mode::AtLeast => value >= threshold,
                Mode::Greater => value > threshold,
                Mode::Equal => value == threshold,
                _ => value != threshold,
            };
            evaluate(if holds || (*missing_tracks_true && value.is_nan()) { true_child } else { false_child }, row)
        }
    }
}

fn add<T: Float>(forest: &mut Forest<T>, tree: &Raw) -> u32 {
    let node = match tree {
        Raw::Leaf(weight) => {
            forest.leaf_weights.push(LeafWeight { target: 0, weight: T::from_f64(*weight) });
            Node::Leaf { first: forest.leaf_weights.len() as u32 - 1, count: 1 }
        }
        Raw::Split { feature, mode, threshold, missing_tracks_true, true_child, false_child } => {
            let (true_child, false_child) = (add(forest, true_child), add(forest, false_child));
            let (mode, threshold) = (*mode, T::from_f64(*threshold));
            forest.add_split(RawSplit {
                feature: *feature,
                mode,
                threshold,
                true_child,
                false_child,
                missing_tracks_true: *missing_tracks_true,
            })
        }
    };
    forest.nodes.push(node);
    forest.nodes.len() as u32 - 1
}

fn forest<T: Float>(trees: &[Raw]) -> Forest<T> {
    let mut forest = Forest { features: 3, ..Forest::default() };
    for tree in trees {
        let root = add(&mut forest, tree);
        forest.roots.push(root);
    }
    forest.simplify().unwrap()
}

fn assert_kernels_agree<T: Float>(trees: &[Raw]) {
    let forest = forest::<T>(trees);
    let weight = |first: u32, _| forest.leaf_weights[first as usize].weight;
    let narrow = QuickScorer::<T, u32>::new(&forest, weight);
    let wide = QuickScorer::<T, u64>::new(&forest, weight);
    let traversal = Traversal::new(&forest, weight).unwrap();
    let rows: Vec<T> = (0..40).flat_map(|i| [i, i * 5 + 1, i * 7 + 3]).map(|i| T::from_f64(VALUES[i % 12])).collect();
    let expected: Vec<f64> =
        rows.chunks_exact(3).flat_map(|row| trees.iter().map(|tree| evaluate(tree, row))).collect();
    let mut out = vec![T::default(); expected.len()];
    let found = |out: &[T]| out.iter().map(|value| value.to_f64()).collect::<Vec<_>>();
    traversal.score_rows(&rows, 3, &mut Vec::new(), &mut out);
    assert_eq!(found(&out), expected, "traversal");
    for (row, out) in rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len())) {
        traversal.score_rows(row, 3, &mut Vec::new(), out);
    }
    assert_eq!(found(&out), expected, "traversal, one row at a time");
    if let Some(quickscorer) = wide {
        let mut state = Vec::new();
        let rows = rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len()));
        rows.for_each(|(row, out)| quickscorer.score_row(row, &mut state, out));
        assert_eq!(found(&out), expected, "quickscorer of 64");
    }
    if let Some(quickscorer) = narrow {
        let mut state = Vec::new();
        let rows = rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len()));
        rows.for_each(|(row, out)| quickscorer.score_row(row, &mut state, out));
        assert_eq!(found(&out), expected, "quickscorer of 32");
    }
}

proptest! {
    #[test]
    fn kernels_agree_with_direct_evaluation(trees in prop::collection::vec(raw_tree(6, 40), 1..40)) {
        assert_kernels_agree::<f32>(&trees);
        assert_kernels_agree::<f64>(&trees);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn kernels_agree_when_snapshots_are_used(trees in prop::collection::vec(raw_tree(5, 32), 100..200)) {
        assert_kernels_agree::<f32>(&trees);
    }
}

/// `value == a || value == b || …` as exports write it: all splits have the same `true_child`.
fn chain(members: &[f32]) -> Forest<f32> {
    let mut forest = Forest { features: 1, ..Forest::default() };
    for weight in [1.0, 0.0] {
        forest.leaf_weights.push(LeafWeight { target: 0, weight });
        forest.nodes.push(Node::Leaf { first: forest.leaf_weights.len() as u32 - 1, count: 1 });
    }
    let mut false_child = 1;
    for &threshold in members {
        let split = forest.add_split(RawSplit {
            feature: 0,
            mode: Mode::Equal,
            threshold,
            true_child: 0,
            false_child,
            missing_tracks_true: false,
        });
        forest.nodes.push(split);
        false_child = forest.nodes.len() as u32 - 1;
    }
    forest.roots.push(false_child);
    forest.simplify().unwrap()
}

#[test]
fn a_chain_of_equalities_becomes_one_membership_test() {
    let members: Vec<f32> = (0..200).map(|i| (i * 3) as f32).collect();
    let forest = chain(&members);
    assert_eq!(forest.nodes.len(), 3, "one split, two leaves");
    let weight = |first: u32, _| forest.leaf_weights[first as usize].weight;
    let quickscorer = QuickScorer::<f32, u32>::new(&forest, weight).unwrap();
    let traversal = Traversal::new(&forest, weight).unwrap();
    for value in (-2..700).map(|i| i as f32 / 1.0).chain([0.5, f32::NAN, f32::INFINITY]) {
        let expected = if members.contains(&value) { 1.0 } else { 0.0 };
        let mut out = [9.0];
        quickscorer.score_row(&[value], &mut Vec::new(), &mut out);
        assert_eq!(out, [expected], "quickscorer at {value}");
        traversal.score_rows(&[value], 1, &mut Vec::new(), &mut out);
        assert_eq!(out, [expected], "traversal at {value}");
    }
}

#[test]
fn a_cycle_is_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    let raw = RawSplit {
        feature: 0,
        mode: Mode::AtMost,
        threshold: 1.0_f32,
        true_child: 1,
        false_child: 0,
        missing_tracks_true: false,
    };
    let split = forest.add_split(raw);
    forest.nodes.extend([split, split]);
    forest.roots.push(0);
    assert_eq!(forest.simplify().unwrap_err(), "a tree contains a cycle");
}

#[test]
fn a_cycle_of_redirects_is_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    let raw = RawSplit {
        feature: 0,
        mode: Mode::Less,
        threshold: f32::NEG_INFINITY,
        true_child: 1,
        false_child: 0,
        missing_tracks_true: false,
    };
    let split = forest.add_split(raw);
    forest.nodes.extend([split, split]);
    forest.roots.push(0);
    assert_eq!(forest.simplify().unwrap_err(), "a tree contains a cycle");
}

#[test]
fn a_tree_beyond_the_depth_limit_is_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    forest.leaf_weights.push(LeafWeight { target: 0, weight: 1.0_f32 });
    forest.nodes.push(Node::Leaf { first: 0, count: 1 });
    for false_child in 0..6_000 {
        let threshold = false_child as f32;
        let raw = RawSplit {
            feature: 0,
            mode: Mode::AtMost,
            threshold,
            true_child: 0,
            false_child,
            missing_tracks_true: false,
        };
        let split = forest.add_split(raw);
        forest.nodes.push(split);
    }
    forest.roots.push(6_000);
    assert_eq!(forest.simplify().unwrap_err(), "a tree has more than 4096 levels");
}

/// A set of so many numbers, the first of them `first`.
fn set(first: u32, members: u32) -> Vec<f32> {
    (first..first + members).map(|member| member as f32).collect()
}

fn membership(feature: u32, true_child: u32, false_child: u32) -> RawSplit<f32> {
    RawSplit { feature, mode: Mode::Member, threshold: 0.0, true_child, false_child, missing_tracks_true: false }
}

fn two_leaves() -> Forest<f32> {
    let mut forest = Forest { features: 1, ..Forest::default() };
    for weight in [1.0, 0.0] {
        forest.leaf_weights.push(LeafWeight { target: 0, weight });
        forest.nodes.push(Node::Leaf { first: forest.leaf_weights.len() as u32 - 1, count: 1 });
    }
    forest
}

#[test]
fn a_large_set_that_many_chains_share_is_not_copied_for_each() {
    let mut forest = two_leaves();
    let shared = forest.add_membership(set(0, 100_000), membership(0, 0, 1));
    forest.nodes.push(shared);
    for root in 3..20_003 {
        let split = forest.add_membership(set(200_000 + root, 1), membership(0, 0, 2));
        forest.nodes.push(split);
        forest.roots.push(root);
    }
    let members: usize = forest.simplify().unwrap().sets.iter().map(Vec::len).sum();
    assert!(members < 1_500_000, "{members} members");
}

#[test]
fn a_tree_with_too_many_paths_is_refused() {
    let mut forest = two_leaves();
    for id in 1..40 {
        let raw = RawSplit { mode: Mode::AtMost, threshold: id as f32, ..membership(0, id, id) };
        let split = forest.add_split(raw);
        forest.nodes.push(split);
    }
    forest.roots.push(40);
    assert_eq!(forest.simplify().unwrap_err(), "more than 67108864 leaves");
}

#[test]
fn a_large_set_is_not_compiled_to_masks() {
    let mut forest = two_leaves();
    let split = forest.add_membership(set(0, 9_000_000), membership(0, 0, 1));
    forest.nodes.push(split);
    forest.roots.push(2);
    let forest = forest.simplify().unwrap();
    let weight = |first: u32, _| forest.leaf_weights[first as usize].weight;
    assert!(QuickScorer::<f32, u32>::new(&forest, weight).is_none());
}

#[test]
fn leaves_are_encoded_in_the_simplest_form() {
    let leaf = |forest: &mut Forest<f32>, leaf_weights: &[(u32, f32)]| {
        let first = forest.leaf_weights.len() as u32;
        forest.leaf_weights.extend(leaf_weights.iter().map(|&(target, weight)| LeafWeight { target, weight }));
        forest.nodes.push(Node::Leaf { first, count: leaf_weights.len() as u32 });
        forest.roots.push(forest.nodes.len() as u32 - 1);
    };
    let mut one = Forest::default();
    leaf(&mut one, &[(1, 0.5)]);
    leaf(&mut one, &[(1, 0.25)]);
    assert!(matches!(LeafEncoding::new(&one.simplify().unwrap()), LeafEncoding::SingleTarget(1)));
    let mut by_tree = Forest::default();
    leaf(&mut by_tree, &[(1, 0.5)]);
    leaf(&mut by_tree, &[(0, 0.25)]);
    assert!(
        matches!(LeafEncoding::new(&by_tree.simplify().unwrap()), LeafEncoding::ByTree(targets) if targets == [1, 0])
    );
    let mut table = Forest::default();
    leaf(&mut table, &[(0, 0.5), (1, 0.25)]);
    let table = table.simplify().unwrap();
    let mut leaf_weights = LeafEncoding::new(&table);
    let payload = leaf_weights.payload(&table, 0, 2);
    let (mut scores, mut has_score) = ([0.0; 3], [false; 3]);
    leaf_weights.add(Aggregate::Sum, &[payload, payload], &mut scores, &mut has_score);
    assert_eq!((scores, has_score), ([1.0, 0.5, 0.0], [true, true, false]));
}
