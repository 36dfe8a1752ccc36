//! The kernel for trees of any size: from the root down, many at a time.
//!
//! A step down is one load, one comparison and one addition, without a branch:
//! siblings are adjacent, so the next node is `left + (value > threshold)`.
//! A missing value compares false and so goes left; where it belongs right,
//! the split is turned round and asks the negated value, which each row has
//! beside it. Leaves point to themselves. As each step waits for memory, a
//! group of trees (one row) or of rows (one tree) goes down in step, so that
//! the waits overlap.

use super::float::Float;
use super::forest::{Forest, Node, Test};

/// Trees or rows that go down in step.
const GROUP: usize = 16;
/// Levels between two looks whether all have arrived.
const STRIDE: u32 = 4;

/// A node: 8 bytes with 32-bit thresholds.
#[derive(Debug, Clone, Copy, Default)]
struct Step<T> {
    /// A leaf has its payload here.
    threshold: T,
    /// The left child, counted from the tree's start, above the column's bits.
    link: u32,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    start: u32,
    depth: u32,
    /// Its place in the ensemble.
    place: u32,
}

/// The compiled ensemble.
#[derive(Debug)]
pub(super) struct Walk<T> {
    steps: Vec<Step<T>>,
    /// By falling depth, so that a group has much the same way to go.
    trees: Vec<Tree>,
    features: usize,
    column_bits: u32,
}

/// Columns of a prepared row: the values, the same negated, 1 where there is a
/// value, and a NaN that holds leaves in place.
fn columns(features: usize) -> usize {
    features * 3 + 1
}

impl<T: Float> Walk<T> {
    /// Compiles trees of any shape. `payload` says what the leaf with these
    /// votes hands out. `None` when a tree is too large for the packed form.
    pub(super) fn new(forest: &Forest<T>, mut payload: impl FnMut(u32, u32) -> T) -> Option<Self> {
        let column_bits = usize::BITS - columns(forest.features).leading_zeros();
        let child_max = 1_u32.checked_shl(32_u32.checked_sub(column_bits)?)?;
        let mut walk = Self { steps: Vec::new(), trees: Vec::new(), features: forest.features, column_bits };
        let shared = is_shared(forest);
        let mut builder = Builder { forest, payload: &mut payload, child_max, column_bits, shared };
        for (place, &root) in forest.roots.iter().enumerate() {
            let start = u32::try_from(walk.steps.len()).ok()?;
            let depth = builder.tree(root, &mut walk.steps)?;
            walk.trees.push(Tree { start, depth, place: place as u32 });
        }
        walk.trees.sort_by_key(|tree| std::cmp::Reverse(tree.depth));
        Some(walk)
    }

    /// The number of trees.
    pub(super) fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Writes what each tree hands out for each of `rows` rows of `width` values.
    pub(super) fn rows(&self, values: &[T], width: usize, prepared: &mut Vec<T>, out: &mut [T]) {
        let columns = columns(self.features);
        prepared.clear();
        for row in values.chunks_exact(width) {
            let row = &row[..self.features];
            prepared.extend_from_slice(row);
            prepared.extend(row.iter().map(|&value| -value));
            prepared.extend(row.iter().map(|&value| if value.is_nan() { T::NAN } else { T::ONE }));
            prepared.push(T::NAN);
        }
        let trees = self.trees.len();
        let (mut rows, mut outs) = (prepared.chunks_exact(columns * GROUP), out.chunks_exact_mut(trees * GROUP));
        for (rows, out) in rows.by_ref().zip(outs.by_ref()) {
            for tree in &self.trees {
                let found = self.descend([tree.start; GROUP], tree.depth, rows, columns);
                for (lane, value) in found.into_iter().enumerate() {
                    out[lane * trees + tree.place as usize] = value;
                }
            }
        }
        for (row, out) in rows.remainder().chunks_exact(columns).zip(outs.into_remainder().chunks_exact_mut(trees)) {
            self.row(row, out);
        }
    }

    fn row(&self, row: &[T], out: &mut [T]) {
        let (groups, rest) = self.trees.as_chunks::<GROUP>();
        for group in groups {
            let found = self.descend(group.map(|tree| tree.start), group[0].depth, row, 0);
            for (tree, value) in group.iter().zip(found) {
                out[tree.place as usize] = value;
            }
        }
        if let Some(first) = rest.first() {
            let mut starts = [first.start; GROUP];
            starts.iter_mut().zip(rest).for_each(|(start, tree)| *start = tree.start);
            let found = self.descend(starts, first.depth, row, 0);
            for (tree, value) in rest.iter().zip(found) {
                out[tree.place as usize] = value;
            }
        }
    }

    /// Goes down from `starts` until every lane has arrived; lane `i` reads its
    /// row at `i * stride` of `rows`.
    #[inline]
    fn descend(&self, starts: [u32; GROUP], depth: u32, rows: &[T], stride: usize) -> [T; GROUP] {
        let mask = (1_usize << self.column_bits) - 1;
        let mut at = starts;
        let mut level = 0;
        while level < depth {
            let before = at;
            for _ in 0..STRIDE {
                for lane in 0..GROUP {
                    let step = self.steps[at[lane] as usize];
                    let value = rows[lane * stride + (step.link as usize & mask)];
                    at[lane] = starts[lane] + (step.link >> self.column_bits) + u32::from(value > step.threshold);
                }
            }
            if at == before {
                break;
            }
            level += STRIDE;
        }
        at.map(|at| self.steps[at as usize].threshold)
    }
}

/// Whether a node has two parents, or a membership split makes some.
fn is_shared<T>(forest: &Forest<T>) -> bool {
    let mut has_parent = vec![false; forest.nodes.len()];
    forest.nodes.iter().any(|node| {
        let Node::Split { test, yes, no, .. } = node else { return false };
        let again = [*yes, *no].iter().any(|&id| std::mem::replace(&mut has_parent[id as usize], true));
        again || matches!(test, Test::In(_))
    })
}

struct Builder<'a, T, P> {
    forest: &'a Forest<T>,
    payload: &'a mut P,
    child_max: u32,
    column_bits: u32,
    /// Whether a tree may reach a node twice: then pairs are remembered.
    shared: bool,
}

/// A node on its way into the packed form: one of the forest's, or part of a
/// membership split, which is a binary search among the borders of its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Whole(u32),
    Search { node: u32, from: u32, to: u32 },
}

impl<T: Float, P: FnMut(u32, u32) -> T> Builder<'_, T, P> {
    /// Adds one tree, breadth first, and returns its depth. Parts met twice keep one pair of children.
    fn tree(&mut self, root: u32, steps: &mut Vec<Step<T>>) -> Option<u32> {
        let start = steps.len();
        let shared = self.shared;
        let mut pairs = std::collections::HashMap::new();
        let mut queue = std::collections::VecDeque::from([(Part::Whole(root), start, 0)]);
        let mut depth = 0;
        steps.push(Step::default());
        while let Some((part, at, level)) = queue.pop_front() {
            depth = depth.max(level);
            let Some((column, threshold, left, right)) = self.split(part)? else {
                let Part::Whole(id) = part else { return None };
                let Node::Leaf { first, count } = self.forest.nodes[id as usize] else { return None };
                steps[at] = Step {
                    threshold: (self.payload)(first, count),
                    link: self.link(at - start, columns(self.forest.features) - 1)?,
                };
                continue;
            };
            let pair = match pairs.get(&part) {
                Some(&pair) => pair,
                None => {
                    let pair = steps.len();
                    steps.extend([Step::default(); 2]);
                    queue.push_back((left, pair, level + 1));
                    queue.push_back((right, pair + 1, level + 1));
                    if shared {
                        pairs.insert(part, pair);
                    }
                    pair
                }
            };
            steps[at] = Step { threshold, link: self.link(pair - start, column)? };
        }
        // A shared part is measured at its first parent only; the searches add their own levels.
        Some(if shared { self.depth_bound(root) } else { depth })
    }

    fn link(&self, child: usize, column: usize) -> Option<u32> {
        let child = u32::try_from(child).ok().filter(|&child| child < self.child_max)?;
        Some(child << self.column_bits | column as u32)
    }

    fn depth_bound(&self, root: u32) -> u32 {
        let longest = self.forest.sets.iter().map(Vec::len).max().unwrap_or(0);
        let search = if longest == 0 { 0 } else { (longest * 2 + 1).ilog2() + 2 };
        self.forest.depth[root as usize].saturating_mul(1 + search)
    }

    /// Column, threshold, and the parts left (not above it, or missing) and
    /// right; `Some(None)` for a leaf.
    #[expect(clippy::type_complexity, reason = "read once, right below its one caller")]
    fn split(&self, part: Part) -> Option<Option<(usize, T, Part, Part)>> {
        let features = self.forest.features;
        let zero = T::default();
        let (Part::Whole(id) | Part::Search { node: id, .. }) = part;
        let Node::Split { feature, test, yes, no, missing_yes } = self.forest.nodes[id as usize] else {
            return Some(None);
        };
        let feature = feature as usize;
        let (present, negated) = (feature + features * 2, feature + features);
        let (yes, no) = (Part::Whole(yes), Part::Whole(no));
        Some(Some(match (part, test) {
            (Part::Whole(_), Test::AtMost(threshold)) if missing_yes => (feature, threshold, yes, no),
            // -value >= -threshold, that is, above the next number below.
            (Part::Whole(_), Test::AtMost(threshold)) if threshold > T::NEG_INFINITY => {
                (negated, (-threshold).next_down(), no, yes)
            }
            // Only minus infinity is at most minus infinity.
            (Part::Whole(_), Test::AtMost(_)) => (negated, T::INFINITY.next_down(), no, yes),
            (Part::Whole(_), Test::Present) => (present, zero, no, yes),
            (Part::Whole(_), Test::In(set)) => {
                let borders = self.forest.sets[set as usize].len() as u32 * 2;
                let search = Part::Search { node: id, from: 0, to: borders };
                (present, zero, if missing_yes { yes } else { no }, search)
            }
            (Part::Search { from, to, .. }, Test::In(set)) => {
                // Border 2i lies just below member i, border 2i + 1 at it: between them is the member alone.
                let narrowed = |from: u32, to: u32| match (from == to, from % 2 == 1) {
                    (true, true) => yes,
                    (true, false) => no,
                    (false, _) => Part::Search { node: id, from, to },
                };
                let middle = from + (to - from) / 2;
                let member = self.forest.sets[set as usize][middle as usize / 2];
                let border = if middle % 2 == 1 { member } else { member.next_down() };
                (feature, border, narrowed(from, middle), narrowed(middle + 1, to))
            }
            (Part::Search { .. }, _) => return None,
        }))
    }
}
