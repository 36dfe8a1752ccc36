//! The normal form of tree ensembles, independent of the operator they come from.

use super::float::Float;
use crate::limits;

/// The test of a split for values that are not missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Test<T> {
    /// value ≤ threshold, which is finite or minus infinity.
    AtMost(T),
    /// The value is in a set (an index into [`Forest::sets`]).
    InSet(u32),
    /// True for every value. A missing value always goes to `false_child`.
    Present,
}

/// A node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node<T> {
    Split {
        feature: u32,
        test: Test<T>,
        true_child: u32,
        false_child: u32,
        missing_tracks_true: bool,
    },
    /// A leaf with the weights `first .. first + count`.
    Leaf {
        first: u32,
        count: u32,
    },
    /// A placeholder for another node; [`Forest::simplify`] removes it.
    Redirect(u32),
}

/// The contribution of a leaf to one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LeafWeight<T> {
    pub(super) target: u32,
    pub(super) weight: T,
}

/// All trees of an ensemble. A node may have several parents, but there are no cycles.
#[derive(Debug, Default)]
pub(super) struct Forest<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) roots: Vec<u32>,
    /// The sets of membership tests: sorted, without duplicates, not empty.
    pub(super) sets: Vec<Vec<T>>,
    pub(super) leaf_weights: Vec<LeafWeight<T>>,
    /// One more than the greatest feature index.
    pub(super) features: usize,
    /// Height of the tree below each node; set by [`Forest::simplify`].
    pub(super) depth: Vec<u32>,
    /// Number of leaves below each node, shared ones counted once for each path; set by [`Forest::simplify`].
    pub(super) leaves: Vec<u32>,
}

/// The node modes, in the order of their numbers in `TreeEnsemble`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    AtMost,
    Less,
    AtLeast,
    Greater,
    Equal,
    NotEqual,
    Member,
    Leaf,
}

/// A split as the file defines it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawSplit<T> {
    pub(super) feature: u32,
    pub(super) mode: Mode,
    pub(super) threshold: T,
    pub(super) true_child: u32,
    pub(super) false_child: u32,
    pub(super) missing_tracks_true: bool,
}

impl<T: Float> Forest<T> {
    /// Converts a split to normal form.
    ///
    /// As in IEEE 754, a comparison with a missing value (NaN) is false, except "not
    /// equal"; with `missing_tracks_true` the missing value goes to `true_child` nevertheless.
    pub(super) fn add_split(&mut self, raw: RawSplit<T>) -> Node<T> {
        let RawSplit { feature, mode, threshold, true_child, false_child, missing_tracks_true } = raw;
        let negated = RawSplit {
            true_child: false_child,
            false_child: true_child,
            missing_tracks_true: !missing_tracks_true,
            ..raw
        };
        match mode {
            Mode::NotEqual if threshold.is_nan() => Node::Redirect(true_child),
            Mode::NotEqual => self.add_membership(vec![threshold], RawSplit { missing_tracks_true: false, ..negated }),
            _ if threshold.is_nan() => never_true(raw),
            Mode::AtMost => at_most(raw),
            Mode::Greater => at_most(negated),
            Mode::Less => less_than(raw),
            Mode::AtLeast => less_than(negated),
            Mode::Equal | Mode::Member => self.add_membership(vec![threshold], raw),
            Mode::Leaf => Node::Split { feature, test: Test::Present, true_child, false_child, missing_tracks_true },
        }
    }

    /// Converts a membership test; the threshold of `raw` is ignored.
    pub(super) fn add_membership(&mut self, mut set: Vec<T>, raw: RawSplit<T>) -> Node<T> {
        set.retain(|value| !value.is_nan());
        sort(&mut set);
        if set.is_empty() {
            return never_true(raw);
        }
        if set == [T::NEG_INFINITY] {
            return at_most(RawSplit { threshold: T::NEG_INFINITY, ..raw });
        }
        let RawSplit { feature, true_child, false_child, missing_tracks_true, .. } = raw;
        self.sets.push(set);
        Node::Split {
            feature,
            test: Test::InSet(self.sets.len() as u32 - 1),
            true_child,
            false_child,
            missing_tracks_true,
        }
    }

    /// Removes unreachable nodes, merges chains of membership tests, and computes heights
    /// and leaf counts. Fails on cycles, and on trees beyond the limits; a node that is
    /// reached on several paths counts once for each.
    pub(super) fn simplify(self) -> Result<Self, String> {
        let mut simplifier = Simplifier {
            state: vec![UNVISITED; self.nodes.len()],
            merged_members_left: (self.nodes.len() + self.sets.iter().map(Vec::len).sum::<usize>()) * 4,
            result: Self { leaf_weights: self.leaf_weights, features: self.features, ..Self::default() },
            nodes: self.nodes,
            sets: self.sets,
        };
        if self.roots.len() as u64 > limits::TREES_MAX {
            return Err(format!("{} trees, expected at most {}", self.roots.len(), limits::TREES_MAX));
        }
        let mut leaves = 0;
        for &root in &self.roots {
            let root = simplifier.simplify_tree(root)?;
            leaves += u64::from(simplifier.result.leaves[root as usize]);
            if leaves > limits::TREE_NODES_MAX {
                return Err(format!("more than {} leaves", limits::TREE_NODES_MAX));
            }
            simplifier.result.roots.push(root);
        }
        Ok(simplifier.result)
    }
}

pub(super) fn sort<T: Float>(values: &mut Vec<T>) {
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    values.dedup();
}

fn at_most<T: Float>(raw: RawSplit<T>) -> Node<T> {
    let RawSplit { feature, threshold, true_child, false_child, missing_tracks_true, .. } = raw;
    if threshold < T::INFINITY {
        return Node::Split { feature, test: Test::AtMost(threshold), true_child, false_child, missing_tracks_true };
    }
    if missing_tracks_true {
        return Node::Redirect(true_child);
    }
    Node::Split { feature, test: Test::Present, true_child, false_child, missing_tracks_true }
}

/// value < threshold, as value ≤ the next smaller number.
fn less_than<T: Float>(raw: RawSplit<T>) -> Node<T> {
    if raw.threshold == T::NEG_INFINITY {
        return never_true(raw);
    }
    at_most(RawSplit { threshold: raw.threshold.next_down(), ..raw })
}

/// The test is false for every value; a missing one may still go to `true_child`.
fn never_true<T: Float>(raw: RawSplit<T>) -> Node<T> {
    let RawSplit { feature, true_child, false_child, missing_tracks_true, .. } = raw;
    if missing_tracks_true {
        Node::Split {
            feature,
            test: Test::Present,
            true_child: false_child,
            false_child: true_child,
            missing_tracks_true: false,
        }
    } else {
        Node::Redirect(false_child)
    }
}

/// State of a node that is not visited yet; other states are [`IN_PROGRESS`] and the index in the result.
const UNVISITED: u32 = u32::MAX;
const IN_PROGRESS: u32 = u32::MAX - 1;

struct Simplifier<T> {
    nodes: Vec<Node<T>>,
    sets: Vec<Vec<T>>,
    state: Vec<u32>,
    /// Limits the size of merged sets, as chains that share their ends could be merged many times.
    merged_members_left: usize,
    result: Forest<T>,
}

enum Visit<T> {
    Enter(u32),
    Leave(u32, Node<T>),
}

impl<T: Float> Simplifier<T> {
    /// Simplifies the tree at `root` and returns its new index. It does not recurse, as a
    /// file may contain a tree of any depth.
    fn simplify_tree(&mut self, root: u32) -> Result<u32, String> {
        let mut visits = vec![Visit::Enter(root)];
        while let Some(visit) = visits.pop() {
            match visit {
                Visit::Enter(id) => {
                    let id = self.resolve(id)?;
                    match self.state[id as usize] {
                        UNVISITED => {}
                        IN_PROGRESS => return Err("a tree contains a cycle".into()),
                        _ => continue,
                    }
                    self.state[id as usize] = IN_PROGRESS;
                    match self.nodes[id as usize] {
                        Node::Split { .. } => {
                            let node = self.merged_membership(id)?;
                            visits.push(Visit::Leave(id, node));
                            if let Node::Split { true_child, false_child, .. } = node {
                                visits.push(Visit::Enter(false_child));
                                visits.push(Visit::Enter(true_child));
                            }
                        }
                        leaf => self.emit(id, leaf, 0, 1),
                    }
                }
                Visit::Leave(id, node) => {
                    let Node::Split { feature, test, true_child, false_child, missing_tracks_true } = node else {
                        continue;
                    };
                    let (true_child, false_child) = (self.emitted(true_child)?, self.emitted(false_child)?);
                    let depth = 1 + self.result.depth[true_child as usize].max(self.result.depth[false_child as usize]);
                    if u64::from(depth) > limits::TREE_DEPTH_MAX {
                        return Err(format!("a tree has more than {} levels", limits::TREE_DEPTH_MAX));
                    }
                    let leaves = self.result.leaves[true_child as usize]
                        .saturating_add(self.result.leaves[false_child as usize]);
                    self.emit(
                        id,
                        Node::Split { feature, test, true_child, false_child, missing_tracks_true },
                        depth,
                        leaves,
                    );
                }
            }
        }
        self.emitted(root)
    }

    fn emit(&mut self, id: u32, node: Node<T>, depth: u32, leaves: u32) {
        self.state[id as usize] = self.result.nodes.len() as u32;
        self.result.nodes.push(node);
        self.result.depth.push(depth);
        self.result.leaves.push(leaves);
    }

    fn emitted(&mut self, id: u32) -> Result<u32, String> {
        let id = self.resolve(id)?;
        match self.state[id as usize] {
            UNVISITED | IN_PROGRESS => Err("a tree contains a cycle".into()),
            position => Ok(position),
        }
    }

    /// Follows redirects to an actual node, and shortens their path for the next time.
    fn resolve(&mut self, start: u32) -> Result<u32, String> {
        let mut end = start;
        for _ in 0..=limits::TREE_DEPTH_MAX {
            match self.nodes.get(end as usize) {
                Some(Node::Redirect(next)) => end = *next,
                Some(_) => {
                    let mut id = start;
                    while let Node::Redirect(next) = self.nodes[id as usize] {
                        self.nodes[id as usize] = Node::Redirect(end);
                        id = next;
                    }
                    return Ok(end);
                }
                None => return Err(format!("a tree refers to node {end}, which does not exist")),
            }
        }
        Err("a tree contains a cycle".into())
    }

    /// Merges a membership test with those below it that test the same feature and have the
    /// same `true_child`. Exports write "a or b or c" as such chains.
    fn merged_membership(&mut self, id: u32) -> Result<Node<T>, String> {
        let Node::Split { feature, test: Test::InSet(first), true_child, false_child, missing_tracks_true } =
            self.nodes[id as usize]
        else {
            return Ok(self.nodes[id as usize]);
        };
        let mut set = self.sets[first as usize].clone();
        let (target, mut rest, mut missing) =
            (self.resolve(true_child)?, self.resolve(false_child)?, missing_tracks_true);
        while let Node::Split {
            feature: next_feature,
            test: Test::InSet(next),
            true_child,
            false_child,
            missing_tracks_true,
        } = self.nodes[rest as usize]
        {
            if next_feature != feature || self.resolve(true_child)? != target || rest == id {
                break;
            }
            let members = &self.sets[next as usize];
            let Some(left) = self.merged_members_left.checked_sub(members.len()) else { break };
            self.merged_members_left = left;
            set.extend_from_slice(members);
            missing |= missing_tracks_true;
            rest = self.resolve(false_child)?;
        }
        sort(&mut set);
        self.result.sets.push(set);
        let test = Test::InSet(self.result.sets.len() as u32 - 1);
        Ok(Node::Split { feature, test, true_child: target, false_child: rest, missing_tracks_true: missing })
    }
}
