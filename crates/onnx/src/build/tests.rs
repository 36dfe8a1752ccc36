use super::*;
use crate::proto::{self, DataType, NodeProto};

#[test]
fn a_built_graph_can_be_decoded() {
    let mut graph = GraphBuilder::new("g");
    graph.input_number("x");
    graph.input_text("carrier");
    let code = graph.label_encoder("carrier", &["AA", "UA"], &[0.0, 1.0], f32::NAN);
    let features = graph.concat(&["x", &code]);
    let split = TreeNode::Split {
        feature: 1,
        mode: SplitMode::LessOrEqual,
        threshold: 0.5,
        true_child: 1,
        false_child: 2,
        missing_tracks_true: true,
    };
    let tree = Tree { target: 0, nodes: vec![split, TreeNode::Leaf(-1.0), TreeNode::Leaf(1.0)] };
    let trees = Trees { trees: vec![tree], base_values: vec![], targets: 1 };
    let (label, scores) =
        graph.tree_ensemble_classifier(&features, &trees, &Classes::Numbers(vec![0, 1]), PostTransform::Logistic);
    graph.output(&label, DataType::Int64, &[-1]);
    graph.output(&scores, DataType::Float, &[-1, 2]);
    let model = proto::decode(&graph.finish(17, 3)).unwrap();
    let graph = model.graph.unwrap();
    assert_eq!(graph.input.len(), 2);
    assert_eq!(
        graph.node.iter().map(NodeProto::op_type).collect::<Vec<_>>(),
        ["LabelEncoder", "Concat", "TreeEnsembleClassifier"]
    );
    let ensemble = &graph.node[2];
    let weights = ensemble.attribute.iter().find(|attribute| attribute.name() == "class_weights").unwrap();
    assert_eq!(weights.floats, [-1.0, 1.0]);
}
