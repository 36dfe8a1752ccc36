//! The kernels against trees read the plain way.

use proptest::prelude::*;

use super::float::Float;
use super::forest::{Forest, Mode, Node, RawSplit, Vote};
use super::masks::Masks;
use super::scores::{Aggregate, Votes};
use super::walk::Walk;

const MODES: [Mode; 6] = [Mode::AtMost, Mode::Less, Mode::AtLeast, Mode::Greater, Mode::Equal, Mode::NotEqual];
const VALUES: [f64; 12] =
    [-2.0, -1.0, -0.0, 0.0, 0.5, 1.0, 1.5, 3.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX];

/// A tree as a file may have it.
#[derive(Debug, Clone)]
enum Raw {
    Leaf(f64),
    Split { feature: u32, mode: Mode, threshold: f64, missing_yes: bool, yes: Box<Raw>, no: Box<Raw> },
}

fn raw_tree(depth: u32, size: u32) -> impl Strategy<Value = Raw> {
    let leaf = (-4_i32..4).prop_map(|weight| Raw::Leaf(f64::from(weight)));
    leaf.prop_recursive(depth, size, 2, |inner| {
        (0..3_u32, 0..6_usize, 0..VALUES.len(), any::<bool>(), inner.clone(), inner).prop_map(
            |(feature, mode, threshold, missing_yes, yes, no)| Raw::Split {
                feature,
                mode: MODES[mode],
                threshold: VALUES[threshold],
                missing_yes,
                yes: Box::new(yes),
                no: Box::new(no),
            },
        )
    })
}

/// What the tree says, straight from the specification.
fn plain<T: Float>(tree: &Raw, row: &[T]) -> f64 {
    match tree {
        Raw::Leaf(weight) => *weight,
        Raw::Split { feature, mode, threshold, missing_yes, yes, no } => {
            let (value, threshold) = (row[*feature as usize], T::from_f64(*threshold));
            let holds = match mode {
                Mode::AtMost => value <= threshold,
                Mode::Less => value < threshold,
                Mode::AtLeast => value >= threshold,
                Mode::Greater => value > threshold,
                Mode::Equal => value == threshold,
                _ => value != threshold,
            };
            plain(if holds || (*missing_yes && value.is_nan()) { yes } else { no }, row)
        }
    }
}

fn add<T: Float>(forest: &mut Forest<T>, tree: &Raw) -> u32 {
    let node = match tree {
        Raw::Leaf(weight) => {
            forest.votes.push(Vote { target: 0, weight: T::from_f64(*weight) });
            Node::Leaf { first: forest.votes.len() as u32 - 1, count: 1 }
        }
        Raw::Split { feature, mode, threshold, missing_yes, yes, no } => {
            let (yes, no) = (add(forest, yes), add(forest, no));
            let (mode, threshold) = (*mode, T::from_f64(*threshold));
            forest.split(RawSplit { feature: *feature, mode, threshold, yes, no, missing_yes: *missing_yes })
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

fn agree<T: Float>(trees: &[Raw]) {
    let forest = forest::<T>(trees);
    let weight = |first: u32, _| forest.votes[first as usize].weight;
    let narrow = Masks::<T, u32>::new(&forest, weight);
    let wide = Masks::<T, u64>::new(&forest, weight);
    let walk = Walk::new(&forest, weight).unwrap();
    let rows: Vec<T> = (0..40).flat_map(|i| [i, i * 5 + 1, i * 7 + 3]).map(|i| T::from_f64(VALUES[i % 12])).collect();
    let expected: Vec<f64> = rows.chunks_exact(3).flat_map(|row| trees.iter().map(|tree| plain(tree, row))).collect();
    let mut out = vec![T::default(); expected.len()];
    let found = |out: &[T]| out.iter().map(|value| value.to_f64()).collect::<Vec<_>>();
    walk.rows(&rows, 3, &mut Vec::new(), &mut out);
    assert_eq!(found(&out), expected, "walk");
    for (row, out) in rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len())) {
        walk.rows(row, 3, &mut Vec::new(), out);
    }
    assert_eq!(found(&out), expected, "walk, one row at a time");
    if let Some(masks) = wide {
        let mut state = Vec::new();
        let rows = rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len()));
        rows.for_each(|(row, out)| masks.row(row, &mut state, out));
        assert_eq!(found(&out), expected, "masks of 64");
    }
    if let Some(masks) = narrow {
        let mut state = Vec::new();
        let rows = rows.chunks_exact(3).zip(out.chunks_exact_mut(trees.len()));
        rows.for_each(|(row, out)| masks.row(row, &mut state, out));
        assert_eq!(found(&out), expected, "masks of 32");
    }
}

proptest! {
    #[test]
    fn kernels_agree_with_trees_read_the_plain_way(trees in prop::collection::vec(raw_tree(6, 40), 1..40)) {
        agree::<f32>(&trees);
        agree::<f64>(&trees);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn kernels_agree_where_prefixes_are_kept(trees in prop::collection::vec(raw_tree(5, 32), 100..200)) {
        agree::<f32>(&trees);
    }
}

/// `value == a || value == b || …` as exports of categories write it: every split with the same `yes`.
fn chain(members: &[f32]) -> Forest<f32> {
    let mut forest = Forest { features: 1, ..Forest::default() };
    for weight in [1.0, 0.0] {
        forest.votes.push(Vote { target: 0, weight });
        forest.nodes.push(Node::Leaf { first: forest.votes.len() as u32 - 1, count: 1 });
    }
    let mut no = 1;
    for &threshold in members {
        let split = forest.split(RawSplit { feature: 0, mode: Mode::Equal, threshold, yes: 0, no, missing_yes: false });
        forest.nodes.push(split);
        no = forest.nodes.len() as u32 - 1;
    }
    forest.roots.push(no);
    forest.simplify().unwrap()
}

#[test]
fn a_chain_of_equalities_becomes_one_membership() {
    let members: Vec<f32> = (0..200).map(|i| (i * 3) as f32).collect();
    let forest = chain(&members);
    assert_eq!(forest.nodes.len(), 3, "one split, two leaves");
    let weight = |first: u32, _| forest.votes[first as usize].weight;
    let masks = Masks::<f32, u32>::new(&forest, weight).unwrap();
    let walk = Walk::new(&forest, weight).unwrap();
    for value in (-2..700).map(|i| i as f32 / 1.0).chain([0.5, f32::NAN, f32::INFINITY]) {
        let expected = if members.contains(&value) { 1.0 } else { 0.0 };
        let mut out = [9.0];
        masks.row(&[value], &mut Vec::new(), &mut out);
        assert_eq!(out, [expected], "masks at {value}");
        walk.rows(&[value], 1, &mut Vec::new(), &mut out);
        assert_eq!(out, [expected], "walk at {value}");
    }
}

#[test]
fn a_circle_is_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    let raw = RawSplit { feature: 0, mode: Mode::AtMost, threshold: 1.0_f32, yes: 1, no: 0, missing_yes: false };
    let split = forest.split(raw);
    forest.nodes.extend([split, split]);
    forest.roots.push(0);
    assert_eq!(forest.simplify().unwrap_err(), "a tree holds a circle");
}

#[test]
fn circles_of_splits_that_always_go_one_way_are_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    let raw =
        RawSplit { feature: 0, mode: Mode::Less, threshold: f32::NEG_INFINITY, yes: 1, no: 0, missing_yes: false };
    let split = forest.split(raw);
    forest.nodes.extend([split, split]);
    forest.roots.push(0);
    assert_eq!(forest.simplify().unwrap_err(), "a tree holds a circle");
}

#[test]
fn a_tree_too_deep_is_refused() {
    let mut forest = Forest { features: 1, ..Forest::default() };
    forest.votes.push(Vote { target: 0, weight: 1.0_f32 });
    forest.nodes.push(Node::Leaf { first: 0, count: 1 });
    for no in 0..6_000 {
        let threshold = no as f32;
        let raw = RawSplit { feature: 0, mode: Mode::AtMost, threshold, yes: 0, no, missing_yes: false };
        let split = forest.split(raw);
        forest.nodes.push(split);
    }
    forest.roots.push(6_000);
    assert_eq!(forest.simplify().unwrap_err(), "a tree has more than 4096 levels");
}

#[test]
fn votes_take_the_simplest_form() {
    let leaf = |forest: &mut Forest<f32>, votes: &[(u32, f32)]| {
        let first = forest.votes.len() as u32;
        forest.votes.extend(votes.iter().map(|&(target, weight)| Vote { target, weight }));
        forest.nodes.push(Node::Leaf { first, count: votes.len() as u32 });
        forest.roots.push(forest.nodes.len() as u32 - 1);
    };
    let mut one = Forest::default();
    leaf(&mut one, &[(1, 0.5)]);
    leaf(&mut one, &[(1, 0.25)]);
    assert!(matches!(Votes::new(&one.simplify().unwrap()), Votes::One(1)));
    let mut by_tree = Forest::default();
    leaf(&mut by_tree, &[(1, 0.5)]);
    leaf(&mut by_tree, &[(0, 0.25)]);
    assert!(matches!(Votes::new(&by_tree.simplify().unwrap()), Votes::ByTree(targets) if targets == [1, 0]));
    let mut table = Forest::default();
    leaf(&mut table, &[(0, 0.5), (1, 0.25)]);
    let table = table.simplify().unwrap();
    let mut votes = Votes::new(&table);
    let payload = votes.payload(&table, 0, 2);
    let (mut scores, mut touched) = ([0.0; 3], [false; 3]);
    votes.add(Aggregate::Sum, &[payload, payload], &mut scores, &mut touched);
    assert_eq!((scores, touched), ([1.0, 0.5, 0.0], [true, true, false]));
}
