//! Parsing of the attributes of the tree operators.

use std::collections::HashMap;

use super::float::Float;
use super::forest::{Forest, LeafWeight, Mode, Node as ForestNode, RawSplit};
use crate::limits;
use crate::node::{BuildError, Node};
use crate::tensor::{Data, Tensor};

/// Numbers of an attribute, in either precision.
pub(super) enum Numbers<'a> {
    Single(&'a [f32]),
    Double(Vec<f64>),
}

impl Numbers<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    pub(super) fn get<T: Float>(&self, index: usize) -> Option<T> {
        match self {
            Self::Single(values) => values.get(index).map(|&value| T::from_f32(value)),
            Self::Double(values) => values.get(index).map(|&value| T::from_f64(value)),
        }
    }
}

/// The attribute `name`, or `<name>_as_tensor` if present.
pub(super) fn numbers<'a>(node: &Node<'a>, name: &str) -> Result<Numbers<'a>, BuildError> {
    match node.tensor(&format!("{name}_as_tensor"))? {
        Some(tensor) => to_doubles(&tensor),
        None => Ok(Numbers::Single(node.floats(name))),
    }
}

fn to_doubles(tensor: &Tensor) -> Result<Numbers<'static>, BuildError> {
    match tensor.data() {
        Data::F64(values) => Ok(Numbers::Double(values.clone())),
        Data::F32(values) => Ok(Numbers::Double(values.iter().map(|&value| f64::from(value)).collect())),
        other => Err(BuildError::Unsupported(format!("thresholds of {}", other.element_type()))),
    }
}

/// Parses the attributes of `TreeEnsembleClassifier` (`stem` is `class`) and
/// `TreeEnsembleRegressor` (`stem` is `target`), up to operator set 3.
pub(super) fn parse_v3<T: Float>(node: &Node<'_>, stem: &str, targets: usize) -> Result<Forest<T>, BuildError> {
    let trees = node.ints("nodes_treeids");
    let ids = node.ints("nodes_nodeids");
    let features = node.ints("nodes_featureids");
    let (true_child, false_child) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
    let missing = node.ints("nodes_missing_value_tracks_true");
    let thresholds = numbers(node, "nodes_values")?;
    let modes = node.strings("nodes_modes");
    let count = ids.len();
    let same = [trees.len(), features.len(), true_child.len(), false_child.len(), modes.len()]
        .iter()
        .all(|&length| length == count);
    if count == 0 || !same || (thresholds.len() != count && thresholds.len() != 0) {
        return Err("the arrays `nodes_*` are empty or differ in length".into());
    }
    if !missing.is_empty() && missing.len() != count {
        return Err("`nodes_missing_value_tracks_true` differs in length from the other arrays".into());
    }
    check_node_count(count)?;
    let index = NodeIndex::new(trees, ids)?;
    let mut forest = Forest { roots: index.roots.clone(), ..Forest::default() };
    let first_weights = parse_leaf_weights(&mut forest, node, stem, targets, &index, count)?;
    forest.nodes.reserve_exact(count);
    for i in 0..count {
        let mode = parse_mode(&modes[i])?;
        if mode == Mode::Leaf {
            let (first, end) = (first_weights[i], first_weights[i + 1]);
            forest.nodes.push(ForestNode::Leaf { first, count: end - first });
            continue;
        }
        let raw = RawSplit {
            feature: parse_feature(&mut forest, features[i])?,
            mode,
            threshold: thresholds.get(i).unwrap_or_default(),
            true_child: index.find(trees[i], true_child[i])?,
            false_child: index.find(trees[i], false_child[i])?,
            missing_tracks_true: missing.get(i).is_some_and(|&tracks| tracks != 0),
        };
        let split = forest.add_split(raw);
        forest.nodes.push(split);
    }
    Ok(forest.simplify()?)
}

fn check_node_count(count: usize) -> Result<(), BuildError> {
    if count as u64 > limits::TREE_NODES_MAX {
        return Err(BuildError::Invalid(format!("{count} tree nodes, expected at most {}", limits::TREE_NODES_MAX)));
    }
    Ok(())
}

fn parse_feature<T>(forest: &mut Forest<T>, id: i64) -> Result<u32, BuildError> {
    let feature =
        u32::try_from(id).ok().filter(|&feature| u64::from(feature) < limits::TREE_FEATURES_MAX).ok_or_else(|| {
            BuildError::Invalid(format!("a split has feature {id}, expected 0 to {}", limits::TREE_FEATURES_MAX - 1))
        })?;
    forest.features = forest.features.max(feature as usize + 1);
    Ok(feature)
}

fn parse_mode(text: &[u8]) -> Result<Mode, BuildError> {
    Ok(match text {
        b"BRANCH_LEQ" => Mode::AtMost,
        b"BRANCH_LT" => Mode::Less,
        b"BRANCH_GTE" => Mode::AtLeast,
        b"BRANCH_GT" => Mode::Greater,
        b"BRANCH_EQ" => Mode::Equal,
        b"BRANCH_NEQ" => Mode::NotEqual,
        b"LEAF" => Mode::Leaf,
        other => return Err(BuildError::Invalid(format!("node mode `{}`", String::from_utf8_lossy(other)))),
    })
}

/// Parses the leaf weights and sorts them by node. Returns the start of each node's range, and the end of the last.
fn parse_leaf_weights<T: Float>(
    forest: &mut Forest<T>,
    node: &Node<'_>,
    stem: &str,
    targets: usize,
    index: &NodeIndex,
    count: usize,
) -> Result<Vec<u32>, BuildError> {
    let trees = node.ints(&format!("{stem}_treeids"));
    let ids = node.ints(&format!("{stem}_nodeids"));
    let to = node.ints(&format!("{stem}_ids"));
    let weights = numbers(node, &format!("{stem}_weights"))?;
    if trees.len() != ids.len() || to.len() != ids.len() || weights.len() != ids.len() {
        return Err(BuildError::Invalid(format!("the arrays `{stem}_*` differ in length")));
    }
    check_node_count(ids.len())?;
    let mut at = Vec::with_capacity(ids.len());
    let mut first = vec![0_u32; count + 1];
    for (&tree, &id) in trees.iter().zip(ids) {
        let position = index.find(tree, id)?;
        at.push(position);
        first[position as usize + 1] += 1;
    }
    for i in 0..count {
        first[i + 1] += first[i];
    }
    let mut next = first.clone();
    forest.leaf_weights = vec![LeafWeight { target: 0, weight: T::default() }; ids.len()];
    for (i, (&position, &target)) in at.iter().zip(to).enumerate() {
        let target = u32::try_from(target)
            .ok()
            .filter(|&target| (target as usize) < targets)
            .ok_or_else(|| BuildError::Invalid(format!("a leaf has target {target}, expected 0 to {}", targets - 1)))?;
        forest.leaf_weights[next[position as usize] as usize] =
            LeafWeight { target, weight: weights.get(i).unwrap_or_default() };
        next[position as usize] += 1;
    }
    Ok(first)
}

/// Finds a node by the ids of its tree and its own.
struct NodeIndex {
    roots: Vec<u32>,
    /// Start and end of each tree, if the ids of its nodes count from 0.
    ranges: HashMap<i64, (u32, u32)>,
    /// Index of each node, otherwise.
    by_id: HashMap<(i64, i64), u32>,
    last: std::cell::Cell<(i64, (u32, u32))>,
}

impl NodeIndex {
    fn new(trees: &[i64], ids: &[i64]) -> Result<Self, BuildError> {
        let mut index = Self {
            roots: Vec::new(),
            ranges: HashMap::new(),
            by_id: HashMap::new(),
            last: std::cell::Cell::new((i64::MIN, (0, 0))),
        };
        let (mut start, mut is_consecutive) = (0, true);
        for i in 0..trees.len() {
            if i + 1 < trees.len() && trees[i + 1] == trees[i] {
                continue;
            }
            is_consecutive &= ids[start..=i].iter().enumerate().all(|(k, &id)| id == k as i64);
            if index.ranges.insert(trees[start], (start as u32, i as u32 + 1)).is_none() {
                index.roots.push(start as u32);
            } else {
                is_consecutive = false;
            }
            start = i + 1;
        }
        if !is_consecutive {
            index.ranges.clear();
            for (i, (&tree, &id)) in trees.iter().zip(ids).enumerate() {
                if index.by_id.insert((tree, id), i as u32).is_some() {
                    return Err(BuildError::Invalid(format!("tree {tree} has node {id} twice")));
                }
            }
        }
        Ok(index)
    }

    fn find(&self, tree: i64, id: i64) -> Result<u32, BuildError> {
        let missing = || BuildError::Invalid(format!("tree {tree} has no node {id}"));
        if self.ranges.is_empty() {
            return self.by_id.get(&(tree, id)).copied().ok_or_else(missing);
        }
        let (last, range) = self.last.get();
        let (start, end) = if last == tree {
            range
        } else {
            let range = *self.ranges.get(&tree).ok_or_else(missing)?;
            self.last.set((tree, range));
            range
        };
        u32::try_from(id)
            .ok()
            .and_then(|id| id.checked_add(start))
            .filter(|&position| position < end)
            .ok_or_else(missing)
    }
}

/// Parses the attributes of `TreeEnsemble` (operator set 5).
pub(super) fn parse_v5<T: Float>(node: &Node<'_>, targets: usize) -> Result<Forest<T>, BuildError> {
    let required = |name: &str| node.tensor(name)?.ok_or_else(|| BuildError::Invalid(format!("`{name}` is missing")));
    let features = node.ints("nodes_featureids");
    let (true_child, false_child) = (node.ints("nodes_truenodeids"), node.ints("nodes_falsenodeids"));
    let (true_leaf, false_leaf) = (node.ints("nodes_trueleafs"), node.ints("nodes_falseleafs"));
    let missing = node.ints("nodes_missing_value_tracks_true");
    let thresholds = to_doubles(&required("nodes_splits")?)?;
    let weights = to_doubles(&required("leaf_weights")?)?;
    let to = node.ints("leaf_targetids");
    let modes = parse_bytes(node, "nodes_modes")?;
    let count = features.len();
    let same = [true_child.len(), false_child.len(), true_leaf.len(), false_leaf.len(), modes.len(), thresholds.len()];
    if count == 0 || same.iter().any(|&length| length != count) || to.len() != weights.len() {
        return Err("the arrays `nodes_*` or `leaf_*` are empty or differ in length".into());
    }
    if !missing.is_empty() && missing.len() != count {
        return Err("`nodes_missing_value_tracks_true` differs in length from the other arrays".into());
    }
    check_node_count(count + to.len())?;
    let mut sets = match node.tensor("membership_values")? {
        Some(tensor) => parse_sets::<T>(&to_doubles(&tensor)?),
        None => Vec::new(),
    }
    .into_iter();
    let mut forest = Forest::default();
    // Leaves follow the splits.
    let child = |id: i64, leaf: i64| {
        let (offset, length) = if leaf == 0 { (0, count) } else { (count, to.len()) };
        usize::try_from(id)
            .ok()
            .filter(|&id| id < length)
            .map(|id| (id + offset) as u32)
            .ok_or_else(|| BuildError::Invalid(format!("a tree refers to node {id}, expected less than {length}")))
    };
    for i in 0..count {
        let mode =
            *MODES.get(modes[i] as usize).ok_or_else(|| BuildError::Invalid(format!("node mode {}", modes[i])))?;
        let raw = RawSplit {
            feature: parse_feature(&mut forest, features[i])?,
            mode,
            threshold: thresholds.get(i).unwrap_or_default(),
            true_child: child(true_child[i], true_leaf[i])?,
            false_child: child(false_child[i], false_leaf[i])?,
            missing_tracks_true: missing.get(i).is_some_and(|&tracks| tracks != 0),
        };
        let split = if mode == Mode::Member {
            let set = sets.next().ok_or("`membership_values` has too few sets")?;
            if set.len() > 1 && set.contains(&T::NEG_INFINITY) {
                return Err(BuildError::Unsupported("minus infinity in a set".into()));
            }
            forest.add_membership(set, raw)
        } else {
            forest.add_split(raw)
        };
        forest.nodes.push(split);
    }
    for (i, &target) in to.iter().enumerate() {
        let target = u32::try_from(target)
            .ok()
            .filter(|&target| (target as usize) < targets)
            .ok_or_else(|| BuildError::Invalid(format!("a leaf has target {target}, expected 0 to {}", targets - 1)))?;
        forest.leaf_weights.push(LeafWeight { target, weight: weights.get(i).unwrap_or_default() });
        forest.nodes.push(ForestNode::Leaf { first: i as u32, count: 1 });
    }
    for &root in node.ints("tree_roots") {
        forest.roots.push(child(root, 0)?);
    }
    Ok(forest.simplify()?)
}

const MODES: [Mode; 7] =
    [Mode::AtMost, Mode::Less, Mode::AtLeast, Mode::Greater, Mode::Equal, Mode::NotEqual, Mode::Member];

/// Splits a list of sets, each of which ends with NaN.
fn parse_sets<T: Float>(values: &Numbers<'_>) -> Vec<Vec<T>> {
    let mut sets = vec![Vec::new()];
    for i in 0..values.len() {
        match values.get::<T>(i) {
            Some(value) if !value.is_nan() => sets.last_mut().into_iter().for_each(|set: &mut Vec<T>| set.push(value)),
            _ => sets.push(Vec::new()),
        }
    }
    sets
}

/// The elements of an attribute that is a tensor of unsigned bytes.
fn parse_bytes(node: &Node<'_>, name: &str) -> Result<Vec<u8>, BuildError> {
    let tensor = node.attribute(name).and_then(|attribute| attribute.t.as_deref());
    let tensor = tensor.ok_or_else(|| BuildError::Invalid(format!("`{name}` is missing")))?;
    if tensor.raw_data().is_empty() {
        Ok(tensor.int32_data.iter().map(|&value| u8::try_from(value).unwrap_or(u8::MAX)).collect())
    } else {
        Ok(tensor.raw_data().to_vec())
    }
}
