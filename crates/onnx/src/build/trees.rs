//! Tree ensembles, from a neutral form to the operators of `ai.onnx.ml`.

use super::{Classes, GraphBuilder, ML, attribute};
use crate::proto::AttributeProto;

/// Trees whose leaves are summed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trees {
    /// The trees.
    pub trees: Vec<Tree>,
    /// Added to each target's sum; empty, or one a target.
    pub base_values: Vec<f32>,
    /// Scores a row has; each tree feeds one.
    pub targets: usize,
}

/// One tree; node 0 is the root.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tree {
    /// Which score it feeds, from 0.
    pub target: usize,
    /// The nodes; children by their position here.
    pub nodes: Vec<TreeNode>,
}

/// One node of a tree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum TreeNode {
    /// Two ways on.
    Split {
        /// Column of the input.
        feature: usize,
        /// The comparison that leads to `yes`.
        mode: SplitMode,
        /// What the value is compared with.
        threshold: f32,
        /// The node where the comparison holds.
        yes: usize,
        /// The node where it does not.
        no: usize,
        /// Whether a missing value (NaN) goes to `yes`.
        missing_yes: bool,
    },
    /// The end, with its score.
    Leaf(f32),
}

/// Comparisons.
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

/// What is done to the summed scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PostTransform {
    /// Nothing.
    None,
    /// `1 / (1 + exp(-score))`
    Logistic,
    /// Exponentials that sum to 1.
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
    /// A `TreeEnsembleRegressor` over `[N, features]`; the result is `[N, targets]`.
    pub fn tree_ensemble_regressor(&mut self, input: &str, trees: &Trees, post_transform: PostTransform) -> String {
        let mut attributes = trees.attributes("target");
        attributes.push(attribute::int("n_targets", trees.targets as i64));
        attributes.push(attribute::text("post_transform", post_transform.as_str()));
        self.apply("TreeEnsembleRegressor", ML, &[input], attributes)
    }

    /// A `TreeEnsembleClassifier` over `[N, features]`. Two classes with one
    /// target: the sum is the score of the second class. Returns the names of
    /// label `[N]` and scores `[N, classes]`.
    pub fn tree_ensemble_classifier(
        &mut self,
        input: &str,
        trees: &Trees,
        classes: &Classes,
        post_transform: PostTransform,
    ) -> (String, String) {
        let (label, scores) = (self.fresh("label"), self.fresh("scores"));
        let mut attributes = trees.attributes("class");
        attributes.push(classes.attribute(false));
        attributes.push(attribute::text("post_transform", post_transform.as_str()));
        self.node("TreeEnsembleClassifier", ML, &[input], &[&label, &scores], attributes);
        (label, scores)
    }
}

impl Trees {
    /// The arrays both operators share; `stem` is `target` or `class`.
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
            attribute::ints("nodes_truenodeids", splits(TreeNode::yes)),
            attribute::ints("nodes_falsenodeids", splits(TreeNode::no)),
            attribute::ints("nodes_missing_value_tracks_true", splits(TreeNode::missing_yes)),
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

    fn yes(&self) -> i64 {
        if let Self::Split { yes, .. } = self { *yes as i64 } else { 0 }
    }

    fn no(&self) -> i64 {
        if let Self::Split { no, .. } = self { *no as i64 } else { 0 }
    }

    fn missing_yes(&self) -> i64 {
        i64::from(matches!(self, Self::Split { missing_yes: true, .. }))
    }

    fn threshold(&self) -> f32 {
        if let Self::Split { threshold, .. } = self { *threshold } else { 0.0 }
    }

    fn mode(&self) -> &'static str {
        if let Self::Split { mode, .. } = self { mode.as_str() } else { "LEAF" }
    }
}
