//! Where the nodes of a tree lie.
//!
//! A cache line holds eight nodes of 8 bytes. A pair of siblings lies in one
//! line with the pairs below it that most rows go on to, as many as fit, so
//! that one wait for memory serves two or three levels; a group's lighter
//! branches follow behind the heavier ones, so that the last levels of a branch
//! share a page.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::super::float::Float;
use super::super::forest::{Forest, Node, Test};
use super::{Step, Tree, columns};

/// Bytes that come from memory together.
const LINE_BYTES: usize = 64;

/// A node on its way into the packed form: one of the forest's, or part of a
/// membership split, which is a binary search among the borders of its set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Whole(u32),
    Search { node: u32, from: u32, to: u32 },
}

/// A split part: what it asks, and what is left (not above the threshold, or
/// missing) and right of it.
struct Split<T> {
    column: usize,
    threshold: T,
    children: [Part; 2],
}

/// A pair of siblings on its way in.
struct Pair {
    /// Whose children they are.
    part: Part,
    /// The place of the parent, whose link is to be set.
    parent: usize,
    level: u32,
    children: [Part; 2],
    weight: u32,
}

struct Builder<'a, T, P> {
    forest: &'a Forest<T>,
    payload: P,
    column_bits: u32,
    steps: Vec<Step<T>>,
    /// Pairs by the part above them; only kept where a tree may reach a part twice.
    known: Option<HashMap<Part, Known>>,
}

/// What is known of a pair that may have several parents.
enum Known {
    Placed(usize),
    /// Places of parents that wait for it, but for the first.
    Awaited(Vec<usize>),
}

/// Lays out every tree; nodes begin at a border of cache lines. `None` when a
/// tree is too large for its children to be counted above `column_bits`.
pub(super) fn lay_out<T: Float>(
    forest: &Forest<T>,
    payload: impl FnMut(u32, u32) -> T,
    column_bits: u32,
) -> Option<(Vec<Step<T>>, Vec<Tree>)> {
    let shared = is_shared(forest);
    let mut builder = Builder { forest, payload, column_bits, steps: Vec::new(), known: None };
    let mut trees = Vec::with_capacity(forest.roots.len());
    for (place, &root) in forest.roots.iter().enumerate() {
        builder.known = shared.then(HashMap::new);
        builder.pad(line::<T>());
        let start = u32::try_from(builder.steps.len()).ok()?;
        let depth = builder.tree(root)?;
        trees.push(Tree { start, depth, place: place as u32 });
    }
    let mut aligned: Vec<Step<T>> = Vec::with_capacity(builder.steps.len() + line::<T>());
    let shift = aligned.as_ptr().align_offset(LINE_BYTES).min(line::<T>());
    aligned.resize(shift, Step::default());
    aligned.append(&mut builder.steps);
    let shift = u32::try_from(shift).ok()?;
    for tree in &mut trees {
        tree.start += shift;
    }
    u32::try_from(aligned.len()).ok()?;
    Some((aligned, trees))
}

/// Nodes in a line.
fn line<T>() -> usize {
    LINE_BYTES / size_of::<Step<T>>()
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

impl<T: Float, P: FnMut(u32, u32) -> T> Builder<'_, T, P> {
    /// Adds one tree and returns its depth.
    fn tree(&mut self, root: u32) -> Option<u32> {
        let start = self.steps.len();
        self.steps.push(Step::default());
        let mut waiting = Vec::new();
        self.settle(Part::Whole(root), start, start, 0, &mut waiting)?;
        if let Some(pair) = waiting.pop() {
            self.group(pair, line::<T>() / 2 - 1, start, &mut waiting)?;
        }
        let mut depth = 0;
        while let Some(pair) = waiting.pop() {
            depth = depth.max(pair.level);
            self.group(pair, line::<T>() / 2, start, &mut waiting)?;
        }
        // Where parts are shared, a longer way to one may come after it is placed.
        Some(if self.known.is_some() { u32::MAX } else { depth.max(self.forest.depth[root as usize]) })
    }

    /// Places a pair, and up to `pairs` in all of those below it, heaviest
    /// first, in one line. Pairs that found no room go to `waiting`.
    fn group(&mut self, pair: Pair, pairs: usize, start: usize, waiting: &mut Vec<Pair>) -> Option<()> {
        let weight = pair.weight;
        let mut open = vec![pair];
        let room = line::<T>() - self.steps.len() % line::<T>();
        // Room left in the line before is used when the whole branch fits.
        if room < 2 * pairs && (weight as usize).saturating_mul(2) > room + 2 {
            self.pad(line::<T>());
        }
        for _ in 0..pairs {
            let heaviest = (0..open.len()).max_by_key(|&at| open[at].weight);
            let Some(heaviest) = heaviest else { break };
            let pair = open.swap_remove(heaviest);
            let at = self.steps.len();
            self.join(pair.parent, at, start)?;
            if let Some(known) = &mut self.known
                && let Some(Known::Awaited(parents)) = known.insert(pair.part, Known::Placed(at))
            {
                parents.into_iter().try_for_each(|parent| self.join(parent, at, start))?;
            }
            self.steps.extend([Step::default(); 2]);
            for (side, part) in pair.children.into_iter().enumerate() {
                self.settle(part, at + side, start, pair.level, &mut open)?;
            }
        }
        open.sort_by_key(|pair| pair.weight);
        waiting.extend(open);
        Some(())
    }

    /// Writes the node of `part` at `at`; its children go to `open` where they are not placed yet.
    fn settle(&mut self, part: Part, at: usize, start: usize, level: u32, open: &mut Vec<Pair>) -> Option<()> {
        let (Part::Whole(id) | Part::Search { node: id, .. }) = part;
        let Some(Split { column, threshold, children }) = self.split(part) else {
            let Node::Leaf { first, count } = self.forest.nodes[id as usize] else { return None };
            let column = columns(self.forest.features) - 1;
            self.steps[at] = Step { threshold: (self.payload)(first, count), link: self.link(at - start, column)? };
            return Some(());
        };
        self.steps[at] = Step { threshold, link: column as u32 };
        match self.known.as_mut().map(|known| known.entry(part)) {
            Some(Entry::Occupied(mut entry)) => match entry.get_mut() {
                Known::Placed(pair) => {
                    let pair = *pair;
                    return self.join(at, pair, start);
                }
                Known::Awaited(parents) => {
                    parents.push(at);
                    return Some(());
                }
            },
            Some(Entry::Vacant(entry)) => {
                entry.insert(Known::Awaited(Vec::new()));
            }
            None => {}
        }
        let weight = self.forest.leaves[id as usize];
        open.push(Pair { part, parent: at, level: level + 1, children, weight });
        Some(())
    }

    /// Makes `pair` the children of the node at `parent`.
    fn join(&mut self, parent: usize, pair: usize, start: usize) -> Option<()> {
        let column = self.steps[parent].link as usize & ((1 << self.column_bits) - 1);
        self.steps[parent].link = self.link(pair - start, column)?;
        Some(())
    }

    fn link(&self, child: usize, column: usize) -> Option<u32> {
        let child = u32::try_from(child).ok().filter(|child| child.leading_zeros() >= self.column_bits)?;
        Some(child << self.column_bits | column as u32)
    }

    /// Fills up to a multiple of `unit` nodes.
    fn pad(&mut self, unit: usize) {
        self.steps.resize(self.steps.len().next_multiple_of(unit), Step::default());
    }

    /// What a part asks; `None` for a leaf.
    fn split(&self, part: Part) -> Option<Split<T>> {
        let features = self.forest.features;
        let (Part::Whole(id) | Part::Search { node: id, .. }) = part;
        let Node::Split { feature, test, yes, no, missing_yes } = self.forest.nodes[id as usize] else {
            return None;
        };
        let feature = feature as usize;
        let (negated, present) = (feature + features, feature + features * 2);
        let (yes, no) = (Part::Whole(yes), Part::Whole(no));
        let (column, threshold, children) = match (part, test) {
            (Part::Whole(_), Test::AtMost(threshold)) if missing_yes => (feature, threshold, [yes, no]),
            // -value >= -threshold, that is, above the next number below.
            (Part::Whole(_), Test::AtMost(threshold)) if threshold > T::NEG_INFINITY => {
                (negated, (-threshold).next_down(), [no, yes])
            }
            // Only minus infinity is at most minus infinity.
            (Part::Whole(_), Test::AtMost(_)) => (negated, T::INFINITY.next_down(), [no, yes]),
            (Part::Whole(_), Test::Present) => (present, T::default(), [no, yes]),
            (Part::Whole(_), Test::In(set)) => {
                let borders = self.forest.sets[set as usize].len() as u32 * 2;
                let search = Part::Search { node: id, from: 0, to: borders };
                (present, T::default(), [if missing_yes { yes } else { no }, search])
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
                (feature, border, [narrowed(from, middle), narrowed(middle + 1, to)])
            }
            (Part::Search { .. }, _) => return None,
        };
        Some(Split { column, threshold, children })
    }
}
