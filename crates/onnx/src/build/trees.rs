//! Tree ensembles, and their encoding as operators of `ai.onnx.ml`.

use super::{Classes, GraphBuilder, ML, attribute};
use crate::proto::AttributeProto;

/// A tree ensemble; the scores are the sums of the leaves that a row reaches.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trees {
    /// The trees.
    pub trees: Vec<Tree>,
    /// Initial score of each target; empty for zeros.
    pub base_values: Vec<f32>,
    /// Number of scores a row; each tree contributes to one.
    pub targets: usize,
}

/// A tree; node 0 is the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Index of the target to which the tree contributes.
    pub target: usize,
    /// The nodes; children are indices into this list.
    pub nodes: Vec<TreeNode>,
}

/// A node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TreeNode {
    /// An inner node.
    Split {
        /// Index of the input column.
        feature: usize,
        /// The comparison.
        mode: SplitMode,
        /// The number with which the value is compared.
        threshold: f32,
        /// The next node if the comparison is true.
        true_child: usize,
        /// The next node if the comparison is false.
        false_child: usize,
        /// Whether a missing value (NaN) goes to `true_child`.
        missing_tracks_true: bool,
    },
    /// A leaf with its score.
    Leaf(f32),
}

/// The comparison of a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SplitMode {
    /// value < threshold
    Less,
    /// value <= threshold
    LessOrEqual,
}

impl SplitMode {
    fn as_str(self) -> &'static str {
        match self {
            Self::Less => "BRANCH_LT",
            Self::LessOrEqual => "BRANCH_LEQ",
        }
    }
}

/// The transform of the summed scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostTransform {
    /// No transform.
    None,
    /// The logistic function, `1 / (1 + exp(-score))`.
    Logistic,
    /// The softmax function.
    Softmax,
}

impl PostTransform {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Logistic => "LOGISTIC",
            Self::Softmax => "SOFTMAX",
        }
    }
}

impl GraphBuilder {
    /// `TreeEnsembleRegressor` over `[N, features]`; the result is `[N, targets]`.
    pub fn tree_ensemble_regressor(&mut self, input: &str, trees: &Trees, post_transform: PostTransform) -> String {
        let mut attributes = trees.attributes("target");
        attributes.push(attribute::int("n_targets", trees.targets as i64));
        attributes.push(attribute::text("post_transform", post_transform.as_str()));
        self.apply("TreeEnsembleRegressor", ML, &[input], attributes)
    }

    /// `TreeEnsembleClassifier` over `[N, features]`. With two classes and one target, the
    /// sum is the score of the second class. Returns the names of the label `[N]` and of
    /// the scores `[N, classes]`.
    pub fn tree_ensemble_classifier(
        &mut self,
        input: &str,
        trees: &Trees,
        classes: &Classes,
        post_transform: PostTransform,
    ) -> (String, String) {
        let (label, scores) = (self.unique_name("label"), self.unique_name("scores"));
        let mut attributes = trees.attributes("class");
        attributes.push(classes.attribute(false));
        attributes.push(attribute::text("post_transform", post_transform.as_str()));
        self.node("TreeEnsembleClassifier", ML, &[input], &[&label, &scores], attributes);
        (label, scores)
    }
}

impl Trees {
    /// The attributes common to both operators; `stem` is `target` or `class`.
    fn attributes(&self, stem: &str) -> Vec<AttributeProto> {
        let nodes = || {
            self.trees
                .iter()
                .enumerate()
                .flat_map(|(tree, t)| t.nodes.iter().enumerate().map(move |(id, n)| (tree as i64, id as i64, n)))
        };
        let splits = |pick: fn(&TreeNode) -> i64| nodes().map(|(_, _, node)| pick(node)).collect::<Vec<_>>();
        let mut leaves = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (tree, id, node) in nodes() {
            if let TreeNode::Leaf(weight) = node {
                leaves.0.push(tree);
                leaves.1.push(id);
                leaves.2.push(self.trees[tree as usize].target as i64);
                leaves.3.push(*weight);
            }
        }
        let mut attributes = vec![
            attribute::ints("nodes_treeids", nodes().map(|(tree, ..)| tree).collect()),
            attribute::ints("nodes_nodeids", nodes().map(|(_, id, _)| id).collect()),
            attribute::ints("nodes_featureids", splits(TreeNode::feature)),
            attribute::ints("nodes_truenodeids", splits(TreeNode::true_child)),
            attribute::ints("nodes_falsenodeids", splits(TreeNode::false_child)),
            attribute::ints("nodes_missing_value_tracks_true", splits(TreeNode::missing_tracks_true)),
            attribute::floats("nodes_values", nodes().map(|(_, _, node)| node.threshold()).collect()),
            attribute::texts("nodes_modes", nodes().map(|(_, _, node)| node.mode())),
            attribute::ints(&format!("{stem}_treeids"), leaves.0),
            attribute::ints(&format!("{stem}_nodeids"), leaves.1),
            attribute::ints(&format!("{stem}_ids"), leaves.2),
            attribute::floats(&format!("{stem}_weights"), leaves.3),
        ];
        if !self.base_values.is_empty() {
            attributes.push(attribute::floats("base_values", self.base_values.clone()));
        }
        attributes
    }
}

impl TreeNode {
    fn feature(&self) -> i64 {
        if let Self::Split { feature, .. } = self { *feature as i64 } else { 0 }
    }

    fn true_child(&self) -> i64 {
        if let Self::Split { true_child, .. } = self { *true_child as i64 } else { 0 }
    }

    fn false_child(&self) -> i64 {
        if let Self::Split { false_child, .. } = self { *false_child as i64 } else { 0 }
    }

    fn missing_tracks_true(&self) -> i64 {
        i64::from(matches!(self, Self::Split { missing_tracks_true: true, .. }))
    }

    fn threshold(&self) -> f32 {
        if let Self::Split { threshold, .. } = self { *threshold } else { 0.0 }
    }

    fn mode(&self) -> &'static str {
        if let Self::Split { mode, .. } = self { mode.as_str() } else { "LEAF" }
    }
}
