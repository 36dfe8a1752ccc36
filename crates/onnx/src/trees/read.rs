//! From the attributes of the three tree operators to a [`Forest`].

use std::collections::HashMap;

use super::float::Float;
use super::forest::{Forest, Mode, Node as Place, RawSplit, Vote};
use crate::limits;
use crate::node::{Node, Refusal};
use crate::tensor::{Data, Tensor};

/// Numbers of either width, as an attribute may hold.
pub(super) enum Numbers<'a> {
    Narrow(&'a [f32]),
    Wide(Vec<f64>),
}

impl Numbers<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Narrow(values) => values.len(),
            Self::Wide(values) => values.len(),
        }
    }

    pub(super) fn get<T: Float>(&self, index: usize) -> Option<T> {
        match self {
            Self::Narrow(values) => values.get(index).map(|&value| T::from_f32(value)),
            Self::Wide(values) => values.get(index).map(|&value| T::from_f64(value)),
        }
    }
}

/// The attribute `name`, or `<name>_as_tensor` where that is given.
pub(super) fn numbers<'a>(node: &Node<'a>, name: &str) -> Result<Numbers<'a>, Refusal> {
    match node.tensor(&format!("{name}_as_tensor"))? {
        Some(tensor) => wide(&tensor),
        None => Ok(Numbers::Narrow(node.floats(name))),
    }
}

fn wide(tensor: &Tensor) -> Result<Numbers<'static>, Refusal> {
    match tensor.data() {
        Data::F64(values) => Ok(Numbers::Wide(values.clone())),
        Data::F32(values) => Ok(Numbers::Wide(values.iter().map(|&value| f64::from(value)).collect())),
        other => Err(Refusal::Unsupported(format!("thresholds of {}", other.kind()))),
    }
}

/// Reads the arrays of `TreeEnsembleClassifier` (`stem` is `class`) and
/// `TreeEnsembleRegressor` (`target`).
pub(super) fn classic<T: Float>(node: &Node<'_>, stem: &str, targets: usize) -> Result<Forest<T>, Refusal> {
    let trees = node.ints("nodes_treeids");
    let ids = node.ints("nodes_nodeids");
    let features = node.ints("nodes_featureids");
    let (yes, no) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
    let missing = node.ints("nodes_missing_value_tracks_true");
    let thresholds = numbers(node, "nodes_values")?;
    let modes = node.strings("nodes_modes");
    let count = ids.len();
    let same = [trees.len(), features.len(), yes.len(), no.len(), modes.len()].iter().all(|&length| length == count);
    if count == 0 || !same || (thresholds.len() != count && thresholds.len() != 0) {
        return Err("the arrays `nodes_*` are empty or differ in length".into());
    }
    if !missing.is_empty() && missing.len() != count {
        return Err("`nodes_missing_value_tracks_true` is not as long as the other arrays".into());
    }
    bounded(count)?;
    let places = Places::new(trees, ids)?;
    let mut forest = Forest { roots: places.roots.clone(), ..Forest::default() };
    let first_votes = votes(&mut forest, node, stem, targets, &places, count)?;
    forest.nodes.reserve_exact(count);
    for i in 0..count {
        let mode = mode(&modes[i])?;
        if mode == Mode::Leaf {
            let (first, end) = (first_votes[i], first_votes[i + 1]);
            forest.nodes.push(Place::Leaf { first, count: end - first });
            continue;
        }
        let raw = RawSplit {
            feature: feature(&mut forest, features[i])?,
            mode,
            threshold: thresholds.get(i).unwrap_or_default(),
            yes: places.find(trees[i], yes[i])?,
            no: places.find(trees[i], no[i])?,
            missing_yes: missing.get(i).is_some_and(|&tracks| tracks != 0),
        };
        let split = forest.split(raw);
        forest.nodes.push(split);
    }
    Ok(forest.simplify()?)
}

fn bounded(count: usize) -> Result<(), Refusal> {
    if count as u64 > limits::TREE_NODES_MAX {
        return Err(Refusal::Invalid(format!("{count} tree nodes, at most {} are taken", limits::TREE_NODES_MAX)));
    }
    Ok(())
}

fn feature<T>(forest: &mut Forest<T>, id: i64) -> Result<u32, Refusal> {
    let feature = u32::try_from(id)
        .ok()
        .filter(|&feature| u64::from(feature) < limits::TREE_FEATURES_MAX)
        .ok_or_else(|| Refusal::Invalid(format!("a tree asks for feature {id}")))?;
    forest.features = forest.features.max(feature as usize + 1);
    Ok(feature)
}

fn mode(text: &[u8]) -> Result<Mode, Refusal> {
    Ok(match text {
        b"BRANCH_LEQ" => Mode::AtMost,
        b"BRANCH_LT" => Mode::Less,
        b"BRANCH_GTE" => Mode::AtLeast,
        b"BRANCH_GT" => Mode::Greater,
        b"BRANCH_EQ" => Mode::Equal,
        b"BRANCH_NEQ" => Mode::NotEqual,
        b"LEAF" => Mode::Leaf,
        other => return Err(Refusal::Invalid(format!("node mode `{}`", String::from_utf8_lossy(other)))),
    })
}

/// Reads the votes, sorted by node; returns where each node's begin, and the end.
fn votes<T: Float>(
    forest: &mut Forest<T>,
    node: &Node<'_>,
    stem: &str,
    targets: usize,
    places: &Places,
    count: usize,
) -> Result<Vec<u32>, Refusal> {
    let trees = node.ints(&format!("{stem}_treeids"));
    let ids = node.ints(&format!("{stem}_nodeids"));
    let to = node.ints(&format!("{stem}_ids"));
    let weights = numbers(node, &format!("{stem}_weights"))?;
    if trees.len() != ids.len() || to.len() != ids.len() || weights.len() != ids.len() {
        return Err(Refusal::Invalid(format!("the arrays `{stem}_*` differ in length")));
    }
    bounded(ids.len())?;
    let mut at = Vec::with_capacity(ids.len());
    let mut first = vec![0_u32; count + 1];
    for (&tree, &id) in trees.iter().zip(ids) {
        let place = places.find(tree, id)?;
        at.push(place);
        first[place as usize + 1] += 1;
    }
    for i in 0..count {
        first[i + 1] += first[i];
    }
    let mut next = first.clone();
    forest.votes = vec![Vote { target: 0, weight: T::default() }; ids.len()];
    for (i, (&place, &target)) in at.iter().zip(to).enumerate() {
        let target = u32::try_from(target)
            .ok()
            .filter(|&target| (target as usize) < targets)
            .ok_or_else(|| Refusal::Invalid(format!("a leaf votes for {target}, of {targets}")))?;
        forest.votes[next[place as usize] as usize] = Vote { target, weight: weights.get(i).unwrap_or_default() };
        next[place as usize] += 1;
    }
    Ok(first)
}

/// Where the node with a tree's and its own number stands.
struct Places {
    roots: Vec<u32>,
    /// Where a tree's nodes are numbered from 0 one after the other: start and end by tree number.
    runs: HashMap<i64, (u32, u32)>,
    /// Otherwise.
    scattered: HashMap<(i64, i64), u32>,
    last: std::cell::Cell<(i64, (u32, u32))>,
}

impl Places {
    fn new(trees: &[i64], ids: &[i64]) -> Result<Self, Refusal> {
        let mut places = Self {
            roots: Vec::new(),
            runs: HashMap::new(),
            scattered: HashMap::new(),
            last: std::cell::Cell::new((i64::MIN, (0, 0))),
        };
        let (mut start, mut plain) = (0, true);
        for i in 0..trees.len() {
            if i + 1 < trees.len() && trees[i + 1] == trees[i] {
                continue;
            }
            plain &= ids[start..=i].iter().enumerate().all(|(k, &id)| id == k as i64);
            if places.runs.insert(trees[start], (start as u32, i as u32 + 1)).is_none() {
                places.roots.push(start as u32);
            } else {
                plain = false;
            }
            start = i + 1;
        }
        if !plain {
            places.runs.clear();
            for (i, (&tree, &id)) in trees.iter().zip(ids).enumerate() {
                if places.scattered.insert((tree, id), i as u32).is_some() {
                    return Err(Refusal::Invalid(format!("tree {tree} has node {id} twice")));
                }
            }
        }
        Ok(places)
    }

    fn find(&self, tree: i64, id: i64) -> Result<u32, Refusal> {
        let missing = || Refusal::Invalid(format!("tree {tree} has no node {id}"));
        if self.runs.is_empty() {
            return self.scattered.get(&(tree, id)).copied().ok_or_else(missing);
        }
        let (last, run) = self.last.get();
        let (start, end) = if last == tree {
            run
        } else {
            let run = *self.runs.get(&tree).ok_or_else(missing)?;
            self.last.set((tree, run));
            run
        };
        u32::try_from(id).ok().and_then(|id| id.checked_add(start)).filter(|&place| place < end).ok_or_else(missing)
    }
}

/// Reads the arrays of `TreeEnsemble` (operator set 5).
pub(super) fn modern<T: Float>(node: &Node<'_>, targets: usize) -> Result<Forest<T>, Refusal> {
    let need = |name: &str| node.tensor(name)?.ok_or_else(|| Refusal::Invalid(format!("`{name}` is not given")));
    let features = node.ints("nodes_featureids");
    let (yes, no) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
    let (yes_leaf, no_leaf) = (node.ints("nodes_trueleafs"), node.ints("nodes_falseleafs"));
    let missing = node.ints("nodes_missing_value_tracks_true");
    let thresholds = wide(&need("nodes_splits")?)?;
    let weights = wide(&need("leaf_weights")?)?;
    let to = node.ints("leaf_targetids");
    let modes = bytes(node, "nodes_modes")?;
    let count = features.len();
    let same = [yes.len(), no.len(), yes_leaf.len(), no_leaf.len(), modes.len(), thresholds.len()];
    if count == 0 || same.iter().any(|&length| length != count) || to.len() != weights.len() {
        return Err("the arrays `nodes_*` or `leaf_*` are empty or differ in length".into());
    }
    if !missing.is_empty() && missing.len() != count {
        return Err("`nodes_missing_value_tracks_true` is not as long as the other arrays".into());
    }
    bounded(count + to.len())?;
    let mut sets = match node.tensor("membership_values")? {
        Some(tensor) => sets::<T>(&wide(&tensor)?),
        None => Vec::new(),
    }
    .into_iter();
    let mut forest = Forest::default();
    // Leaves stand behind the splits.
    let child = |id: i64, leaf: i64| {
        let (offset, length) = if leaf == 0 { (0, count) } else { (count, to.len()) };
        usize::try_from(id)
            .ok()
            .filter(|&id| id < length)
            .map(|id| (id + offset) as u32)
            .ok_or_else(|| Refusal::Invalid(format!("a tree names node {id}, of {length}")))
    };
    for i in 0..count {
        let mode = *MODES.get(modes[i] as usize).ok_or_else(|| Refusal::Invalid(format!("node mode {}", modes[i])))?;
        let raw = RawSplit {
            feature: feature(&mut forest, features[i])?,
            mode,
            threshold: thresholds.get(i).unwrap_or_default(),
            yes: child(yes[i], yes_leaf[i])?,
            no: child(no[i], no_leaf[i])?,
            missing_yes: missing.get(i).is_some_and(|&tracks| tracks != 0),
        };
        let split = if mode == Mode::Member {
            let set = sets.next().ok_or("`membership_values` holds too few sets")?;
            if set.len() > 1 && set.contains(&T::NEG_INFINITY) {
                return Err(Refusal::Unsupported("minus infinity among the members of a set".into()));
            }
            forest.member(set, raw)
        } else {
            forest.split(raw)
        };
        forest.nodes.push(split);
    }
    for (i, &target) in to.iter().enumerate() {
        let target = u32::try_from(target)
            .ok()
            .filter(|&target| (target as usize) < targets)
            .ok_or_else(|| Refusal::Invalid(format!("a leaf votes for {target}, of {targets}")))?;
        forest.votes.push(Vote { target, weight: weights.get(i).unwrap_or_default() });
        forest.nodes.push(Place::Leaf { first: i as u32, count: 1 });
    }
    for &root in node.ints("tree_roots") {
        forest.roots.push(child(root, 0)?);
    }
    Ok(forest.simplify()?)
}

const MODES: [Mode; 7] =
    [Mode::AtMost, Mode::Less, Mode::AtLeast, Mode::Greater, Mode::Equal, Mode::NotEqual, Mode::Member];

/// Sets one after the other, each ended by NaN.
fn sets<T: Float>(values: &Numbers<'_>) -> Vec<Vec<T>> {
    let mut sets = vec![Vec::new()];
    for i in 0..values.len() {
        match values.get::<T>(i) {
            Some(value) if !value.is_nan() => sets.last_mut().into_iter().for_each(|set: &mut Vec<T>| set.push(value)),
            _ => sets.push(Vec::new()),
        }
    }
    sets
}

/// A tensor of unsigned bytes in an attribute.
fn bytes(node: &Node<'_>, name: &str) -> Result<Vec<u8>, Refusal> {
    let tensor = node.attribute(name).and_then(|attribute| attribute.t.as_ref());
    let tensor = tensor.ok_or_else(|| Refusal::Invalid(format!("`{name}` is not given")))?;
    if tensor.raw_data.is_empty() {
        Ok(tensor.int32_data.iter().map(|&value| u8::try_from(value).unwrap_or(u8::MAX)).collect())
    } else {
        Ok(tensor.raw_data.to_vec())
    }
}
