use super::*;
use crate::build::{Classes, GraphBuilder, ML, PostTransform, SplitMode, Tree, TreeNode, Trees, attribute};
use crate::proto::{DataType, TensorProto};
use crate::tensor::Data;

fn column(values: &[f32]) -> Tensor {
    Tensor::new(vec![values.len(), 1], Data::F32(values.to_vec())).unwrap()
}

fn sum_of_two() -> Model {
    let mut graph = GraphBuilder::new("sum");
    graph.input_number("a");
    graph.input_number("b");
    graph.node("Add", "", &["a", "b"], &["sum"], vec![]);
    graph.output("sum", DataType::Float, &[-1, 1]);
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

#[test]
fn inputs_and_outputs_are_described() {
    let model = sum_of_two();
    let names: Vec<_> =
        model.inputs().iter().map(|input| (input.name.as_str(), input.kind, &input.shape[..])).collect();
    assert_eq!(names, [("a", ElementType::F32, &[-1, 1][..]), ("b", ElementType::F32, &[-1, 1][..])]);
    assert_eq!(model.outputs()[0].shape, [-1, 1]);
}

#[test]
fn mismatched_inputs_are_refused() {
    let model = sum_of_two();
    let run = |inputs: &[(&str, Tensor)]| model.run(inputs).unwrap_err().to_string();
    assert_eq!(run(&[("a", column(&[1.0]))]), "input `b` is missing");
    assert_eq!(run(&[("c", column(&[1.0]))]), "the model has no input `c`");
    let wide = Tensor::new(vec![1, 2], Data::F32(vec![1.0, 2.0])).unwrap();
    assert_eq!(
        run(&[("a", column(&[1.0])), ("b", wide)]),
        "input `b` is FP32 of shape [1, 2], expected FP32 of shape [-1, 1]"
    );
    let whole = Tensor::new(vec![1, 1], Data::I64(vec![1])).unwrap();
    assert_eq!(
        run(&[("a", column(&[1.0])), ("b", whole)]),
        "input `b` is INT64 of shape [1, 1], expected FP32 of shape [-1, 1]"
    );
}

#[test]
fn a_flat_list_is_accepted_as_a_column() {
    let flat = Tensor::new(vec![2], Data::F32(vec![1.0, 2.0])).unwrap();
    let outputs = sum_of_two().run(&[("a", flat), ("b", column(&[3.0, 4.0]))]).unwrap();
    assert_eq!(outputs[0].1, column(&[4.0, 6.0]));
}

#[test]
fn unsupported_operators_are_listed() {
    let mut graph = GraphBuilder::new("net");
    graph.input("image", DataType::Float, &[-1, 3, 8, 8]);
    graph.node("Conv", "", &["image"], &["a"], vec![]);
    graph.node("Conv", "", &["a"], &["b"], vec![]);
    graph.node("Attention", "com.microsoft", &["b"], &["c"], vec![]);
    graph.node("Cast", "", &["c"], &["d"], vec![attribute::int("to", 10)]);
    graph.output("d", DataType::Float, &[-1]);
    let error = Model::from_bytes(&graph.finish(17, 3)).unwrap_err();
    let Error::Unsupported { operators } = &error else { panic!("{error}") };
    assert_eq!(operators, &["ai.onnx.Cast (to type 10)", "ai.onnx.Conv", "com.microsoft.Attention"]);
}

#[test]
fn a_graph_out_of_order_is_refused() {
    let mut graph = GraphBuilder::new("loop");
    graph.input_number("a");
    graph.node("Add", "", &["a", "c"], &["b"], vec![]);
    graph.node("Add", "", &["a", "b"], &["c"], vec![]);
    graph.output("c", DataType::Float, &[-1, 1]);
    let message = Model::from_bytes(&graph.finish(17, 3)).unwrap_err().to_string();
    assert_eq!(message, "invalid ONNX model: node `Add_0` (Add): input `c` is not produced by an earlier node");
}

#[test]
fn a_value_produced_twice_is_refused() {
    let mut graph = GraphBuilder::new("twice");
    graph.input_number("a");
    graph.node("Neg", "", &["a"], &["b"], vec![]);
    graph.node("Neg", "", &["a"], &["b"], vec![]);
    graph.output("b", DataType::Float, &[-1, 1]);
    let message = Model::from_bytes(&graph.finish(17, 3)).unwrap_err().to_string();
    assert_eq!(message, "invalid ONNX model: the value `b` is produced twice");
}

fn stump(feature: i64, true_child: i64, weight_node: i64, weight_target: i64) -> Result<Model> {
    let mut graph = GraphBuilder::new("stump");
    graph.input("x", DataType::Float, &[-1, 2]);
    let attributes = vec![
        attribute::ints("nodes_treeids", vec![0, 0, 0]),
        attribute::ints("nodes_nodeids", vec![0, 1, 2]),
        attribute::ints("nodes_featureids", vec![feature, 0, 0]),
        attribute::ints("nodes_truenodeids", vec![true_child, 0, 0]),
        attribute::ints("nodes_falsenodeids", vec![2, 0, 0]),
        attribute::floats("nodes_values", vec![0.5, 0.0, 0.0]),
        attribute::texts("nodes_modes", ["BRANCH_LEQ", "LEAF", "LEAF"]),
        attribute::ints("target_treeids", vec![0, 0]),
        attribute::ints("target_nodeids", vec![1, weight_node]),
        attribute::ints("target_ids", vec![0, weight_target]),
        attribute::floats("target_weights", vec![1.0, 2.0]),
        attribute::int("n_targets", 1),
    ];
    graph.node("TreeEnsembleRegressor", ML, &["x"], &["y"], attributes);
    graph.output("y", DataType::Float, &[-1, 1]);
    Model::from_bytes(&graph.finish(17, 3))
}

#[test]
fn trees_with_invalid_references_are_refused() {
    let message = |model: Result<Model>| model.unwrap_err().to_string();
    let at = |what: &str| format!("invalid ONNX model: node `TreeEnsembleRegressor_0` (TreeEnsembleRegressor): {what}");
    assert!(stump(1, 1, 2, 0).is_ok());
    assert_eq!(message(stump(1, 7, 2, 0)), at("tree 0 has no node 7"));
    assert_eq!(message(stump(1, -1, 2, 0)), at("tree 0 has no node -1"));
    assert_eq!(message(stump(1, 0, 2, 0)), at("a tree contains a cycle"));
    assert_eq!(message(stump(1, 1, 9, 0)), at("tree 0 has no node 9"));
    assert_eq!(message(stump(1, 1, 2, 1)), at("a leaf has target 1, expected 0 to 0"));
    assert_eq!(message(stump(-1, 1, 2, 0)), at("a split has feature -1, expected 0 to 1048575"));
    assert_eq!(message(stump(1 << 40, 1, 2, 0)), at("a split has feature 1099511627776, expected 0 to 1048575"));
}

#[test]
fn too_few_features_fail_only_the_run() {
    let model = stump(5, 1, 2, 0).unwrap();
    let row = Tensor::new(vec![1, 2], Data::F32(vec![1.0, 2.0])).unwrap();
    let message = model.run(&[("x", row)]).unwrap_err().to_string();
    assert_eq!(message, "node `TreeEnsembleRegressor_0` (TreeEnsembleRegressor): expected at least 6 features, got 2");
}

/// A model that computes a constant tensor of a shape, and with it so many nodes of an operator.
fn expanding(operator: &str, nodes: usize, shape: &[i64], element: DataType) -> Model {
    let mut graph = GraphBuilder::new("large");
    graph.input_number("x");
    let shape = TensorProto {
        dims: vec![shape.len() as i64],
        data_type: Some(DataType::Int64 as i32),
        int64_data: shape.to_vec(),
        ..TensorProto::default()
    };
    graph.node("Constant", "", &[], &["shape"], vec![attribute::tensor("value", shape)]);
    let bytes = if element == DataType::Bool { 1 } else { 4 };
    let value = TensorProto {
        dims: vec![1],
        data_type: Some(element as i32),
        raw_data: Some(vec![0; bytes].into()),
        ..TensorProto::default()
    };
    let zeros = graph.apply("ConstantOfShape", "", &["shape"], vec![attribute::tensor("value", value)]);
    for _ in 0..nodes {
        let output = graph.apply(operator, "", &[&zeros, &zeros], vec![]);
        graph.output(&output, element, &[-1, -1]);
    }
    Model::from_bytes(&graph.finish(17, 3)).unwrap()
}

#[test]
fn an_evaluation_is_limited_in_memory_and_operations() {
    let run = |model: Model| model.run(&[("x", column(&[1.0]))]).unwrap_err().to_string();
    // 32 tensors of 8 MiB fit.
    assert_eq!(
        run(expanding("Identity", 40, &[4096, 2048], DataType::Bool)),
        "node `Identity_33` (Identity): a tensor of shape [4096, 2048] takes 8388608 bytes, \
         and 0 are left to the evaluation"
    );
    assert_eq!(
        run(expanding("MatMul", 1, &[2050, 2050], DataType::Float)),
        "node `MatMul_2` (MatMul): ONNX model has 8627732502 operations, expected at most 8589934592"
    );
}

#[test]
fn elements_that_are_only_read_count_as_operations() {
    // 130 nodes of one output element each read a tensor of 2^26 elements: more than 2^33 in all.
    let mut graph = GraphBuilder::new("readers");
    graph.input_number("x");
    let shape = TensorProto {
        dims: vec![1],
        data_type: Some(DataType::Int64 as i32),
        int64_data: vec![1 << 26],
        ..TensorProto::default()
    };
    graph.initializer(TensorProto { name: Some("shape".into()), ..shape });
    let value = TensorProto {
        dims: vec![1],
        data_type: Some(DataType::Bool as i32),
        raw_data: Some(vec![0].into()),
        ..TensorProto::default()
    };
    let zeros = graph.apply("ConstantOfShape", "", &["shape"], vec![attribute::tensor("value", value)]);
    for _ in 0..130 {
        let output = graph.apply("Shape", "", &[&zeros], vec![]);
        graph.output(&output, DataType::Int64, &[1]);
    }
    let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
    let message = model.run(&[("x", column(&[1.0]))]).unwrap_err().to_string();
    assert!(message.contains("(Shape): ONNX model has 85") && message.contains(" operations"), "{message}");
}

#[test]
fn an_output_that_the_operator_does_not_have_is_empty() {
    let mut graph = GraphBuilder::new("outputs");
    graph.input_number("x");
    graph.node("Identity", "", &["x"], &["same", "surplus"], vec![]);
    let sum = graph.apply("Add", "", &["x", "surplus"], vec![]);
    graph.output(&sum, DataType::Float, &[-1, -1]);
    let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
    let outputs = model.run(&[("x", column(&[1.0, 2.0]))]).unwrap();
    assert_eq!(outputs[0].1.data().len(), 0);
}

#[test]
fn built_trees_route_missing_values_as_declared() {
    let split = |missing_tracks_true| TreeNode::Split {
        feature: 0,
        mode: SplitMode::Less,
        threshold: 1.0,
        true_child: 1,
        false_child: 2,
        missing_tracks_true,
    };
    let tree = |missing_tracks_true| Tree {
        target: 0,
        nodes: vec![split(missing_tracks_true), TreeNode::Leaf(-1.0), TreeNode::Leaf(10.0)],
    };
    for (missing_tracks_true, expected) in [(true, -1.0), (false, 10.0)] {
        let trees = Trees { trees: vec![tree(missing_tracks_true)], base_values: vec![0.5], targets: 1 };
        let mut graph = GraphBuilder::new("trees");
        graph.input_number("x");
        let output = graph.tree_ensemble_regressor("x", &trees, PostTransform::None);
        graph.output(&output, DataType::Float, &[-1, 1]);
        let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
        let outputs = model.run(&[("x", column(&[0.0, 1.0, 2.0, f32::NAN]))]).unwrap();
        assert_eq!(outputs[0].1, column(&[-0.5, 10.5, 10.5, expected + 0.5]));
    }
}

#[test]
fn the_labels_of_a_classifier_are_known() {
    let mut graph = GraphBuilder::new("linear");
    graph.input_number("x");
    let classes = Classes::Texts(vec!["no".into(), "yes".into()]);
    let (label, scores) = graph.linear_classifier("x", &[2.0], &[1.0], &classes, PostTransform::Logistic);
    graph.output(&label, DataType::String, &[-1]);
    graph.output(&scores, DataType::Float, &[-1, 2]);
    let model = Model::from_bytes(&graph.finish(17, 3)).unwrap();
    assert_eq!(model.labels().unwrap().to_texts(), ["no", "yes"]);
    let outputs = model.run(&[("x", column(&[-3.0, 3.0]))]).unwrap();
    assert_eq!(outputs[0].1.data(), &Data::Text(vec!["no".into(), "yes".into()]));
}
