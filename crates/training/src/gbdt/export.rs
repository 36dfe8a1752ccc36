//! Export of boosted trees to ONNX.

use forust_ml::tree::Tree;
use perennial_core::model::Signature;
use perennial_core::task::TaskKind;
use perennial_onnx::build::{self, PostTransform, SplitMode, TreeNode, Trees};

use super::Model;
use crate::export::{classes, finish_classifier, finish_regressor, graph_with_inputs};
use crate::features::Encoding;

/// The model as the bytes of an ONNX file.
pub(crate) fn export(model: &Model, signature: &Signature) -> Vec<u8> {
    let mut graph = graph_with_inputs("gbdt", signature);
    let columns: Vec<String> = model
        .features
        .iter()
        .map(|feature| match &feature.encoding {
            Encoding::Number => feature.name.clone(),
            Encoding::Category(categories) => {
                let texts = categories.texts().iter().map(AsRef::as_ref);
                let keys: Vec<&str> = texts.chain([""]).collect();
                let ranks: Vec<f32> = (0..categories.other()).map(|code| code as f32).chain([f32::NAN]).collect();
                graph.label_encoder(&feature.name, &keys, &ranks, categories.other() as f32)
            }
        })
        .collect();
    let names: Vec<&str> = columns.iter().map(String::as_str).collect();
    let matrix = graph.concat(&names);
    let loss = &model.loss;
    let outputs = loss.outputs();
    let trees = Trees {
        trees: model.trees.iter().enumerate().map(|(index, tree)| nodes(tree, index % outputs, loss.scale)).collect(),
        base_values: loss.initial_scores.iter().map(|&start| start as f32).collect(),
        targets: outputs,
    };
    let post_transform = match loss.task {
        TaskKind::Regression => {
            let value = graph.tree_ensemble_regressor(&matrix, &trees, PostTransform::None);
            return finish_regressor(graph, signature, &value);
        }
        TaskKind::Binary => PostTransform::Logistic,
        TaskKind::Multiclass => PostTransform::Softmax,
    };
    let (label, scores) = graph.tree_ensemble_classifier(&matrix, &trees, &classes(signature), post_transform);
    finish_classifier(graph, signature, &label, &scores)
}

fn nodes(tree: &Tree, target: usize, scale: f64) -> build::Tree {
    let nodes = tree.nodes.iter().map(|node| {
        if node.is_leaf {
            return TreeNode::Leaf((f64::from(node.weight_value) * scale) as f32);
        }
        TreeNode::Split {
            feature: node.split_feature,
            mode: SplitMode::Less,
            threshold: threshold(node.split_value),
            true_child: node.left_child,
            false_child: node.right_child,
            missing_tracks_true: node.missing_node == node.left_child,
        }
    });
    build::Tree { target, nodes: nodes.collect() }
}

/// The 32-bit threshold `t` for which `x < t` equals `x < value` for every 32-bit `x`:
/// the smallest one that is at least `value`.
pub(super) fn threshold(value: f64) -> f32 {
    let near = value as f32;
    if f64::from(near) < value { near.next_up() } else { near }
}
