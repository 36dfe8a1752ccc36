//! Trees in one normal form, whatever the file wrote them in.

use super::float::Float;
use crate::limits;

/// What a split asks of a value that is not missing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Test<T> {
    /// value <= threshold, which is finite or minus infinity.
    AtMost(T),
    /// The value is one of a set (an index into [`Forest::sets`]).
    In(u32),
    /// It is there at all. A missing value always goes to `no`.
    Present,
}

/// One node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node<T> {
    Split {
        feature: u32,
        test: Test<T>,
        yes: u32,
        no: u32,
        missing_yes: bool,
    },
    /// The votes at `first .. first + count`.
    Leaf {
        first: u32,
        count: u32,
    },
    /// Another node in its place; gone after [`Forest::simplify`].
    Jump(u32),
}

/// What a leaf adds to one target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Vote<T> {
    pub(super) target: u32,
    pub(super) weight: T,
}

/// All trees. Nodes may be shared by several parents, but there are no circles.
#[derive(Debug, Default)]
pub(super) struct Forest<T> {
    pub(super) nodes: Vec<Node<T>>,
    pub(super) roots: Vec<u32>,
    /// Sorted, without repeats, never empty.
    pub(super) sets: Vec<Vec<T>>,
    pub(super) votes: Vec<Vote<T>>,
    /// One more than the highest feature asked for.
    pub(super) features: usize,
    /// Levels below each node; filled by [`Forest::simplify`].
    pub(super) depth: Vec<u32>,
    /// Leaves below each node, shared ones counted once a path; filled by [`Forest::simplify`].
    pub(super) leaves: Vec<u32>,
}

/// Comparisons as files name them, in the order in which `TreeEnsemble` numbers them.
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

/// A split as a file has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawSplit<T> {
    pub(super) feature: u32,
    pub(super) mode: Mode,
    pub(super) threshold: T,
    pub(super) yes: u32,
    pub(super) no: u32,
    pub(super) missing_yes: bool,
}

impl<T: Float> Forest<T> {
    /// A raw split in normal form.
    ///
    /// A missing value compares false with everything, so it goes to `no`
    /// unless `missing_yes`; only "not equal" holds for it, as in IEEE 754.
    pub(super) fn split(&mut self, raw: RawSplit<T>) -> Node<T> {
        let RawSplit { feature, mode, threshold, yes, no, missing_yes } = raw;
        let turned = RawSplit { yes: no, no: yes, missing_yes: !missing_yes, ..raw };
        match mode {
            Mode::NotEqual if threshold.is_nan() => Node::Jump(yes),
            Mode::NotEqual => self.member(vec![threshold], RawSplit { missing_yes: false, ..turned }),
            _ if threshold.is_nan() => never(raw),
            Mode::AtMost => at_most(raw),
            Mode::Greater => at_most(turned),
            Mode::Less => at_most_below(raw),
            Mode::AtLeast => at_most_below(turned),
            Mode::Equal | Mode::Member => self.member(vec![threshold], raw),
            Mode::Leaf => Node::Split { feature, test: Test::Present, yes, no, missing_yes },
        }
    }

    /// A split by membership; the threshold of `raw` does not count.
    pub(super) fn member(&mut self, mut set: Vec<T>, raw: RawSplit<T>) -> Node<T> {
        set.retain(|value| !value.is_nan());
        sort(&mut set);
        if set.is_empty() {
            return never(raw);
        }
        if set == [T::NEG_INFINITY] {
            return at_most(RawSplit { threshold: T::NEG_INFINITY, ..raw });
        }
        let RawSplit { feature, yes, no, missing_yes, .. } = raw;
        self.sets.push(set);
        Node::Split { feature, test: Test::In(self.sets.len() as u32 - 1), yes, no, missing_yes }
    }

    /// Drops what no root reaches, joins chains of membership splits, measures
    /// the trees, and refuses circles and excessive depth.
    pub(super) fn simplify(self) -> Result<Self, String> {
        let mut simplifier = Simplifier {
            state: vec![UNSEEN; self.nodes.len()],
            joins_left: self.nodes.len() * 4,
            result: Self { votes: self.votes, features: self.features, ..Self::default() },
            nodes: self.nodes,
            sets: self.sets,
        };
        for &root in &self.roots {
            let root = simplifier.tree(root)?;
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
    let RawSplit { feature, threshold, yes, no, missing_yes, .. } = raw;
    if threshold < T::INFINITY {
        return Node::Split { feature, test: Test::AtMost(threshold), yes, no, missing_yes };
    }
    if missing_yes {
        return Node::Jump(yes);
    }
    Node::Split { feature, test: Test::Present, yes, no, missing_yes }
}

/// value < threshold: at most the next number below it.
fn at_most_below<T: Float>(raw: RawSplit<T>) -> Node<T> {
    if raw.threshold == T::NEG_INFINITY {
        return never(raw);
    }
    at_most(RawSplit { threshold: raw.threshold.next_down(), ..raw })
}

/// No value passes; a missing one may still go to `yes`.
fn never<T: Float>(raw: RawSplit<T>) -> Node<T> {
    let RawSplit { feature, yes, no, missing_yes, .. } = raw;
    if missing_yes {
        Node::Split { feature, test: Test::Present, yes: no, no: yes, missing_yes: false }
    } else {
        Node::Jump(no)
    }
}

/// Not met yet; otherwise on the way to the root, or its place in the result.
const UNSEEN: u32 = u32::MAX;
const OPEN: u32 = u32::MAX - 1;

struct Simplifier<T> {
    nodes: Vec<Node<T>>,
    sets: Vec<Vec<T>>,
    state: Vec<u32>,
    /// Joining is bounded, as chains that share their ends could be walked many times.
    joins_left: usize,
    result: Forest<T>,
}

enum Visit<T> {
    Enter(u32),
    Leave(u32, Node<T>),
}

impl<T: Float> Simplifier<T> {
    /// Takes over the tree at `root` and returns its new place. No recursion: a
    /// file may hold a tree of any depth.
    fn tree(&mut self, root: u32) -> Result<u32, String> {
        let mut visits = vec![Visit::Enter(root)];
        while let Some(visit) = visits.pop() {
            match visit {
                Visit::Enter(id) => {
                    let id = self.resolve(id)?;
                    match self.state[id as usize] {
                        UNSEEN => {}
                        OPEN => return Err("a tree holds a circle".into()),
                        _ => continue,
                    }
                    self.state[id as usize] = OPEN;
                    match self.nodes[id as usize] {
                        Node::Split { .. } => {
                            let node = self.joined(id)?;
                            visits.push(Visit::Leave(id, node));
                            if let Node::Split { yes, no, .. } = node {
                                visits.push(Visit::Enter(no));
                                visits.push(Visit::Enter(yes));
                            }
                        }
                        leaf => self.place(id, leaf, 0, 1),
                    }
                }
                Visit::Leave(id, node) => {
                    let Node::Split { feature, test, yes, no, missing_yes } = node else { continue };
                    let (yes, no) = (self.placed(yes)?, self.placed(no)?);
                    let depth = 1 + self.result.depth[yes as usize].max(self.result.depth[no as usize]);
                    if u64::from(depth) > limits::TREE_DEPTH_MAX {
                        return Err(format!("a tree has more than {} levels", limits::TREE_DEPTH_MAX));
                    }
                    let leaves = self.result.leaves[yes as usize].saturating_add(self.result.leaves[no as usize]);
                    self.place(id, Node::Split { feature, test, yes, no, missing_yes }, depth, leaves);
                }
            }
        }
        self.placed(root)
    }

    fn place(&mut self, id: u32, node: Node<T>, depth: u32, leaves: u32) {
        self.state[id as usize] = self.result.nodes.len() as u32;
        self.result.nodes.push(node);
        self.result.depth.push(depth);
        self.result.leaves.push(leaves);
    }

    fn placed(&self, id: u32) -> Result<u32, String> {
        match self.state[self.resolve(id)? as usize] {
            UNSEEN | OPEN => Err("a tree holds a circle".into()),
            place => Ok(place),
        }
    }

    /// Follows jumps to a node that stands for itself.
    fn resolve(&self, mut id: u32) -> Result<u32, String> {
        for _ in 0..=limits::TREE_DEPTH_MAX {
            match self.nodes.get(id as usize) {
                Some(Node::Jump(next)) => id = *next,
                Some(_) => return Ok(id),
                None => return Err(format!("a tree names node {id}, which is not there")),
            }
        }
        Err("a tree holds a circle".into())
    }

    /// A membership split with those below that ask the same feature and lead
    /// to the same `yes`: "a or b or c" as exports of categories write it.
    fn joined(&mut self, id: u32) -> Result<Node<T>, String> {
        let Node::Split { feature, test: Test::In(first), yes, no, missing_yes } = self.nodes[id as usize] else {
            return Ok(self.nodes[id as usize]);
        };
        let mut set = self.sets[first as usize].clone();
        let (target, mut rest, mut missing) = (self.resolve(yes)?, self.resolve(no)?, missing_yes);
        while self.joins_left > 0 {
            let Node::Split { feature: asked, test: Test::In(next), yes, no, missing_yes } = self.nodes[rest as usize]
            else {
                break;
            };
            if asked != feature || self.resolve(yes)? != target || rest == id {
                break;
            }
            self.joins_left -= 1;
            set.extend_from_slice(&self.sets[next as usize]);
            missing |= missing_yes;
            rest = self.resolve(no)?;
        }
        sort(&mut set);
        self.result.sets.push(set);
        let test = Test::In(self.result.sets.len() as u32 - 1);
        Ok(Node::Split { feature, test, yes: target, no: rest, missing_yes: missing })
    }
}
