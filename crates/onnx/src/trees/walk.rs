//! The kernel for trees of any size: from the root down, many at a time.
//!
//! A step down is one load, one comparison and one addition, without a branch:
//! siblings are adjacent, so the next node is `left + (value > threshold)`.
//! A missing value compares false and so goes left; where it belongs right,
//! the split is turned round and asks the negated value, which each row has
//! beside it. Leaves point to themselves. As each step waits for memory, a
//! group of trees (one row) or of rows (one tree) goes down in step, so that
//! the waits overlap. How nodes are laid out for the cache is told in [`layout`].

mod layout;

use super::float::Float;
use super::forest::Forest;

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
    pub(super) fn new(forest: &Forest<T>, payload: impl FnMut(u32, u32) -> T) -> Option<Self> {
        let column_bits = usize::BITS - columns(forest.features).leading_zeros();
        let (steps, mut trees) = layout::lay_out(forest, payload, column_bits)?;
        trees.sort_by_key(|tree| std::cmp::Reverse(tree.depth));
        Some(Self { steps, trees, features: forest.features, column_bits })
    }

    /// The number of trees.
    pub(super) fn trees(&self) -> usize {
        self.trees.len()
    }

    /// Writes what each tree hands out for each row of `width` values.
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
        let together = prepared.len() / (columns * GROUP) * GROUP;
        let (rows, rest) = prepared.split_at(together * columns);
        let (outs, rest_out) = out.split_at_mut(together * trees);
        // A tree stays near the processor while all rows go down it.
        for tree in &self.trees {
            for (rows, out) in rows.chunks_exact(columns * GROUP).zip(outs.chunks_exact_mut(trees * GROUP)) {
                let found = self.descend([tree.start; GROUP], tree.depth, rows, columns);
                for (lane, value) in found.into_iter().enumerate() {
                    out[lane * trees + tree.place as usize] = value;
                }
            }
        }
        for (row, out) in rest.chunks_exact(columns).zip(rest_out.chunks_exact_mut(trees)) {
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
