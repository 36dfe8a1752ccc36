//! The arrangement of the nodes of a tree in memory.
//!
//! A cache line contains eight nodes of 8 bytes. A pair of siblings shares a line with
//! those pairs below it that most rows reach, as many as fit, so that one memory access
//! serves two or three levels. The less frequent branches of a group follow the more
//! frequent ones, so that the last levels of a branch share a page.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::float::Float;
use super::super::forest::{Forest, Node, Test};
use super::{PackedNode, Tree, columns};

/// Size of a cache line.
const LINE_BYTES: usize = 64;

/// A node to be laid out: a node of the forest, or a node of the binary search among the
/// bounds of a membership set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum LayoutNode {
    Original(u32),
    Search { node: u32, from: u32, to: u32 },
}

/// A split to be written: the column it compares, and its left (not above the threshold,
/// or missing) and right child.
struct Split<T> {
    column: usize,
    threshold: T,
    children: [LayoutNode; 2],
}

/// A pair of siblings to be laid out.
struct Pair {
    /// Their parent.
    node: LayoutNode,
    /// Position of the parent, whose link is to be set.
    parent: usize,
    level: u32,
    children: [LayoutNode; 2],
    weight: u32,
}

struct Builder<'a, T, P> {
    forest: &'a Forest<T>,
    payload: P,
    column_bits: u32,
    nodes: Vec<PackedNode<T>>,
    /// Pairs by their parent node; only used if a tree may reach a node more than once.
    shared_pairs: Option<HashMap<LayoutNode, SharedPair>>,
}

/// The state of a pair that may have several parents.
enum SharedPair {
    Placed(usize),
    /// Positions of the parents after the first, which wait for the pair.
    Pending(Vec<usize>),
}

/// Lays out all trees, each aligned to cache lines. `None` if a tree is too large for its
/// node offsets to fit above `column_bits`.
pub(super) fn lay_out<T: Float>(
    forest: &Forest<T>,
    payload: impl FnMut(u32, u32) -> T,
    column_bits: u32,
) -> Option<(Vec<PackedNode<T>>, Vec<Tree>)> {
    let shared = is_shared(forest);
    let mut builder = Builder { forest, payload, column_bits, nodes: Vec::new(), shared_pairs: None };
    let mut trees = Vec::with_capacity(forest.roots.len());
    for (index, &root) in forest.roots.iter().enumerate() {
        builder.shared_pairs = shared.then(HashMap::new);
        builder.pad(nodes_per_line::<T>());
        let start = u32::try_from(builder.nodes.len()).ok()?;
        let depth = builder.add_tree(root)?;
        trees.push(Tree { start, depth, index: index as u32 });
    }
    let mut aligned: Vec<PackedNode<T>> = Vec::with_capacity(builder.nodes.len() + nodes_per_line::<T>());
    let shift = aligned.as_ptr().align_offset(LINE_BYTES).min(nodes_per_line::<T>());
    aligned.resize(shift, PackedNode::default());
    aligned.append(&mut builder.nodes);
    let shift = u32::try_from(shift).ok()?;
    for tree in &mut trees {
        tree.start += shift;
    }
    u32::try_from(aligned.len()).ok()?;
    Some((aligned, trees))
}

/// Number of nodes in a cache line.
fn nodes_per_line<T>() -> usize {
    LINE_BYTES / size_of::<PackedNode<T>>()
}

/// Whether a node has two parents, or will have through a membership test.
fn is_shared<T>(forest: &Forest<T>) -> bool {
    let mut has_parent = vec![false; forest.nodes.len()];
    forest.nodes.iter().any(|node| {
        let Node::Split { test, true_child, false_child, .. } = node else { return false };
        let has_second_parent =
            [*true_child, *false_child].iter().any(|&id| std::mem::replace(&mut has_parent[id as usize], true));
        has_second_parent || matches!(test, Test::InSet(_))
    })
}

impl<T: Float, P: FnMut(u32, u32) -> T> Builder<'_, T, P> {
    /// Adds one tree and returns its depth.
    fn add_tree(&mut self, root: u32) -> Option<u32> {
        let start = self.nodes.len();
        self.nodes.push(PackedNode::default());
        let mut pending = Vec::new();
        self.write_node(LayoutNode::Original(root), start, start, 0, &mut pending)?;
        if let Some(pair) = pending.pop() {
            self.fill_line(pair, nodes_per_line::<T>() / 2 - 1, start, &mut pending)?;
        }
        let mut depth = 0;
        while let Some(pair) = pending.pop() {
            depth = depth.max(pair.level);
            self.fill_line(pair, nodes_per_line::<T>() / 2, start, &mut pending)?;
        }
        // A shared node may be reached by a longer path after it is laid out, so the depth is not known.
        Some(if self.shared_pairs.is_some() { u32::MAX } else { depth.max(self.forest.depth[root as usize]) })
    }

    /// Lays out a pair and, most frequent first, pairs below it, up to `pairs` in one cache
    /// line. The remaining pairs are added to `pending`.
    fn fill_line(&mut self, pair: Pair, pairs: usize, start: usize, pending: &mut Vec<Pair>) -> Option<()> {
        let weight = pair.weight;
        let mut open = vec![pair];
        let room = nodes_per_line::<T>() - self.nodes.len() % nodes_per_line::<T>();
        // The rest of the previous line is used if the whole branch fits.
        if room < 2 * pairs && (weight as usize).saturating_mul(2) > room + 2 {
            self.pad(nodes_per_line::<T>());
        }
        for _ in 0..pairs {
            let heaviest = (0..open.len()).max_by_key(|&at| open[at].weight);
            let Some(heaviest) = heaviest else { break };
            let pair = open.swap_remove(heaviest);
            let at = self.nodes.len();
            self.link_children(pair.parent, at, start)?;
            if let Some(shared_pairs) = &mut self.shared_pairs
                && let Some(SharedPair::Pending(parents)) = shared_pairs.insert(pair.node, SharedPair::Placed(at))
            {
                parents.into_iter().try_for_each(|parent| self.link_children(parent, at, start))?;
            }
            self.nodes.extend([PackedNode::default(); 2]);
            for (side, node) in pair.children.into_iter().enumerate() {
                self.write_node(node, at + side, start, pair.level, &mut open)?;
            }
        }
        open.sort_by_key(|pair| pair.weight);
        pending.extend(open);
        Some(())
    }

    /// Writes `node` at `at`; its children are added to `open` unless they are laid out already.
    fn write_node(
        &mut self,
        node: LayoutNode,
        at: usize,
        start: usize,
        level: u32,
        open: &mut Vec<Pair>,
    ) -> Option<()> {
        let (LayoutNode::Original(id) | LayoutNode::Search { node: id, .. }) = node;
        let Some(Split { column, threshold, children }) = self.split_of(node) else {
            let Node::Leaf { first, count } = self.forest.nodes[id as usize] else { return None };
            let column = columns(self.forest.features) - 1;
            self.nodes[at] =
                PackedNode { threshold: (self.payload)(first, count), link: self.link(at - start, column)? };
            return Some(());
        };
        self.nodes[at] = PackedNode { threshold, link: column as u32 };
        match self.shared_pairs.as_mut().map(|shared_pairs| shared_pairs.entry(node)) {
            Some(Entry::Occupied(mut entry)) => match entry.get_mut() {
                SharedPair::Placed(pair) => {
                    let pair = *pair;
                    return self.link_children(at, pair, start);
                }
                SharedPair::Pending(parents) => {
                    parents.push(at);
                    return Some(());
                }
            },
            Some(Entry::Vacant(entry)) => {
                entry.insert(SharedPair::Pending(Vec::new()));
            }
            None => {}
        }
        let weight = self.forest.leaves[id as usize];
        open.push(Pair { node, parent: at, level: level + 1, children, weight });
        Some(())
    }

    /// Sets the children of the node at `parent` to `pair`.
    fn link_children(&mut self, parent: usize, pair: usize, start: usize) -> Option<()> {
        let column = self.nodes[parent].link as usize & ((1 << self.column_bits) - 1);
        self.nodes[parent].link = self.link(pair - start, column)?;
        Some(())
    }

    fn link(&self, child: usize, column: usize) -> Option<u32> {
        let child = u32::try_from(child).ok().filter(|child| child.leading_zeros() >= self.column_bits)?;
        Some(child << self.column_bits | column as u32)
    }

    /// Pads to a multiple of `unit` nodes.
    fn pad(&mut self, unit: usize) {
        self.nodes.resize(self.nodes.len().next_multiple_of(unit), PackedNode::default());
    }

    /// The split of a node; `None` for a leaf.
    fn split_of(&self, node: LayoutNode) -> Option<Split<T>> {
        let features = self.forest.features;
        let (LayoutNode::Original(id) | LayoutNode::Search { node: id, .. }) = node;
        let Node::Split { feature, test, true_child, false_child, missing_tracks_true } =
            self.forest.nodes[id as usize]
        else {
            return None;
        };
        let feature = feature as usize;
        let (negated, present) = (feature + features, feature + features * 2);
        let (true_child, false_child) = (LayoutNode::Original(true_child), LayoutNode::Original(false_child));
        let (column, threshold, children) = match (node, test) {
            (LayoutNode::Original(_), Test::AtMost(threshold)) if missing_tracks_true => {
                (feature, threshold, [true_child, false_child])
            }
            // value ≤ threshold is the inverse of -value > the number below -threshold.
            (LayoutNode::Original(_), Test::AtMost(threshold)) if threshold > T::NEG_INFINITY => {
                (negated, (-threshold).next_down(), [false_child, true_child])
            }
            // Only minus infinity is at most minus infinity.
            (LayoutNode::Original(_), Test::AtMost(_)) => (negated, T::INFINITY.next_down(), [false_child, true_child]),
            (LayoutNode::Original(_), Test::Present) => (present, T::default(), [false_child, true_child]),
            (LayoutNode::Original(_), Test::InSet(set)) => {
                let bound = self.forest.sets[set as usize].len() as u32 * 2;
                let search = LayoutNode::Search { node: id, from: 0, to: bound };
                (present, T::default(), [if missing_tracks_true { true_child } else { false_child }, search])
            }
            (LayoutNode::Search { from, to, .. }, Test::InSet(set)) => {
                // Bound 2i is just below member i, bound 2i + 1 is member i: only the member is between them.
                let narrowed = |from: u32, to: u32| match (from == to, from % 2 == 1) {
                    (true, true) => true_child,
                    (true, false) => false_child,
                    (false, _) => LayoutNode::Search { node: id, from, to },
                };
                let middle = from + (to - from) / 2;
                let member = self.forest.sets[set as usize][middle as usize / 2];
                let bound = if middle % 2 == 1 { member } else { member.next_down() };
                (feature, bound, [narrowed(from, middle), narrowed(middle + 1, to)])
            }
            (LayoutNode::Search { .. }, _) => return None,
        };
        Some(Split { column, threshold, children })
    }
}
