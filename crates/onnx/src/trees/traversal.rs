//! The kernel for trees of any size, which walks many trees or rows down in parallel.
//!
//! A step is one load, one comparison and one addition, without a branch: siblings are
//! adjacent, so the next node is `left + (value > threshold)`. A missing value compares
//! false and goes left; where it must go right, the split is inverted and compares the
//! negated value, which each prepared row also contains. Leaves point to themselves. As
//! each step waits for memory, a group of trees (for one row) or of rows (for one tree)
//! advances in lockstep, so that the waits overlap. [`layout`] describes how nodes are
//! arranged for the cache.

mod layout;

use super::float::Float;
use super::forest::Forest;

/// Number of trees or rows that advance in lockstep.
const LANES: usize = 16;
/// Number of levels between two checks whether all lanes have reached a leaf.
const LEVELS_PER_CHECK: u32 = 4;

/// A node; 8 bytes with 32-bit thresholds.
#[derive(Debug, Clone, Copy, Default)]
struct PackedNode<T> {
    /// The threshold of a split; the payload of a leaf.
    threshold: T,
    /// The left child, relative to the start of the tree, in the bits above the column.
    link: u32,
}

#[derive(Debug, Clone, Copy)]
struct Tree {
    start: u32,
    depth: u32,
    /// Index in the ensemble.
    index: u32,
}

/// The compiled ensemble.
#[derive(Debug)]
pub(super) struct Traversal<T> {
    nodes: Vec<PackedNode<T>>,
    /// In descending order of depth, so that the trees of a group have similar depths.
    trees: Vec<Tree>,
    features: usize,
    column_bits: u32,
}

/// Number of columns of a prepared row: the values, the negated values, 1 for each
/// present value (NaN otherwise), and a NaN with which leaves compare.
fn columns(features: usize) -> usize {
    features * 3 + 1
}

impl<T: Float> Traversal<T> {
    /// Compiles trees of any shape. `payload` returns the payload of the leaf with the
    /// given range of weights. `None` if a tree is too large for the packed form.
    pub(super) fn new(forest: &Forest<T>, payload: impl FnMut(u32, u32) -> T) -> Option<Self> {
        let column_bits = usize::BITS - columns(forest.features).leading_zeros();
        let (nodes, mut trees) = layout::lay_out(forest, payload, column_bits)?;
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.depth));
        Some(Self { nodes, trees, features: forest.features, column_bits })
    }

    /// Number of trees.
    pub(super) fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Writes the payloads that each row of `width` values reaches in each tree.
    pub(super) fn score_rows(&self, values: &[T], width: usize, prepared: &mut Vec<T>, out: &mut [T]) {
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
        let grouped_rows = prepared.len() / (columns * LANES) * LANES;
        let (rows, rest) = prepared.split_at(grouped_rows * columns);
        let (outs, rest_out) = out.split_at_mut(grouped_rows * trees);
        // A tree stays in the cache while all rows traverse it.
        for tree in &self.trees {
            for (rows, out) in rows.chunks_exact(columns * LANES).zip(outs.chunks_exact_mut(trees * LANES)) {
                let values = self.descend([tree.start; LANES], tree.depth, rows, columns);
                for (lane, value) in values.into_iter().enumerate() {
                    out[lane * trees + tree.index as usize] = value;
                }
            }
        }
        for (row, out) in rest.chunks_exact(columns).zip(rest_out.chunks_exact_mut(trees)) {
            self.score_row(row, out);
        }
    }

    fn score_row(&self, row: &[T], out: &mut [T]) {
        let (groups, rest) = self.trees.as_chunks::<LANES>();
        for group in groups {
            let values = self.descend(group.map(|tree| tree.start), group[0].depth, row, 0);
            for (tree, value) in group.iter().zip(values) {
                out[tree.index as usize] = value;
            }
        }
        if let Some(first) = rest.first() {
            let mut starts = [first.start; LANES];
            starts.iter_mut().zip(rest).for_each(|(start, tree)| *start = tree.start);
            let values = self.descend(starts, first.depth, row, 0);
            for (tree, value) in rest.iter().zip(values) {
                out[tree.index as usize] = value;
            }
        }
    }

    /// Walks down from `starts` until every lane has reached a leaf; lane `i` reads its row at
    /// `i * stride` of `rows`. Returns the payloads.
    #[inline]
    fn descend(&self, starts: [u32; LANES], depth: u32, rows: &[T], stride: usize) -> [T; LANES] {
        let mask = (1_usize << self.column_bits) - 1;
        let mut at = starts;
        let mut level = 0;
        while level < depth {
            let before = at;
            for _ in 0..LEVELS_PER_CHECK {
                for lane in 0..LANES {
                    let node = self.nodes[at[lane] as usize];
                    let value = rows[lane * stride + (node.link as usize & mask)];
                    at[lane] = starts[lane] + (node.link >> self.column_bits) + u32::from(value > node.threshold);
                }
            }
            if at == before {
                break;
            }
            level += LEVELS_PER_CHECK;
        }
        at.map(|at| self.nodes[at as usize].threshold)
    }
}
