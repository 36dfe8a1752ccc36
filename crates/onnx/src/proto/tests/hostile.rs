//! Models that no runtime may see, and models that only look alike.

use super::super::onnx::{FunctionProto, SparseTensorProto, TrainingInfoProto};
use super::*;
use crate::build::{GraphBuilder, ML, attribute};

/// A tensor whose data is in another file.
fn external() -> TensorProto {
    let entry = StringStringEntryProto { key: Some("location".into()), value: Some("/etc/passwd".into()) };
    TensorProto {
        dims: vec![1],
        data_type: Some(DataType::Float as i32),
        external_data: vec![entry],
        data_location: Some(1),
        ..TensorProto::default()
    }
}

fn small() -> TensorProto {
    TensorProto { dims: vec![1], data_type: Some(1), float_data: vec![1.0], ..TensorProto::default() }
}

fn empty_graph() -> GraphBuilder {
    GraphBuilder::new("g")
}

/// A model with one node of operator `Loop`, whose body `fill` builds.
fn with_body(fill: impl FnOnce(&mut GraphBuilder)) -> Vec<u8> {
    let mut body = empty_graph();
    fill(&mut body);
    let mut graph = empty_graph();
    graph.input_number("x");
    graph.node("Loop", "", &["x"], &["y"], vec![attribute::int("a", 1), attribute::graph("body", body)]);
    graph.finish(17, 3)
}

fn refusal(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

fn external_at(path: &str) -> String {
    format!("invalid ONNX model: `{path}` stores its data in another file, expected a model in one file")
}

#[test]
fn data_in_another_file_is_refused_at_every_depth() {
    let top = model_with(external());
    assert_eq!(refusal(&top), external_at("graph.initializer[0].external_data[0]"));
    let body = with_body(|body| {
        body.initializer(small());
        body.initializer(external());
    });
    assert_eq!(refusal(&body), external_at("graph.node[0].attribute[1].g.initializer[1].external_data[0]"));
    let constant = with_body(|body| {
        body.node("Constant", "", &[], &["c"], vec![attribute::tensor("value", external())]);
    });
    let path = "graph.node[0].attribute[1].g.node[0].attribute[0].t.external_data[0]";
    assert_eq!(refusal(&constant), external_at(path));
    let deeper = with_body(|body| {
        let mut inner = empty_graph();
        inner.initializer(external());
        body.node("If", "", &["x"], &["z"], vec![attribute::graph("then_branch", inner)]);
    });
    assert!(refusal(&deeper).contains("`graph.node[0].attribute[1].g.node[0].attribute[0].g.initializer[0]"));
    let training = TrainingInfoProto {
        algorithm: Some(GraphProto { initializer: vec![external()], ..GraphProto::default() }),
        ..TrainingInfoProto::default()
    };
    let model = ModelProto {
        graph: Some(GraphProto::default()),
        training_info: vec![TrainingInfoProto::default(), training],
        ..ModelProto::default()
    };
    assert_eq!(refusal(&encode(&model)), external_at("training_info[1].algorithm.initializer[0].external_data[0]"));
    let sparse = SparseTensorProto { values: Some(external()), ..SparseTensorProto::default() };
    let graph = GraphProto { sparse_initializer: vec![sparse], ..GraphProto::default() };
    let model = encode(&ModelProto { graph: Some(graph), ..ModelProto::default() });
    assert_eq!(refusal(&model), external_at("graph.sparse_initializer[0].values.external_data[0]"));
}

#[test]
fn a_location_alone_is_refused_also_when_a_reader_would_cut_its_bits() {
    let location = |value: u64| {
        let mut tensor = encode_location(value);
        for field in [0x2a, 0x3a_u8] {
            tensor = nested(field, tensor);
        }
        tensor
    };
    assert_eq!(refusal(&location(1)), external_at("graph.initializer[0].data_location"));
    assert_eq!(refusal(&location((1 << 32) + 1)), external_at("graph.initializer[0].data_location"));
}

/// The field `data_location` of a tensor.
fn encode_location(value: u64) -> Vec<u8> {
    let mut bytes = vec![14 << 3];
    prost::encoding::encode_varint(value, &mut bytes);
    bytes
}

/// A message as the field of another; `key` is the field's number and wire type.
fn nested(key: u8, content: Vec<u8>) -> Vec<u8> {
    let mut bytes = vec![key];
    prost::encode_length_delimiter(content.len(), &mut bytes).unwrap();
    bytes.extend(content);
    bytes
}

#[test]
fn unknown_fields_are_refused_with_their_place() {
    // Field 30 of a node; a varint.
    let node = vec![0xf0, 0x01, 1];
    let model = nested(0x3a, nested(0x0a, node));
    assert_eq!(refusal(&model), "invalid ONNX model: `graph.node[0]` has the unknown field 30");
    assert_eq!(refusal(&[0xf0, 0x01, 1]), "invalid ONNX model: the model has the unknown field 30");
}

#[test]
fn local_functions_are_refused_with_the_remedy() {
    let function = FunctionProto { name: Some("f".into()), ..FunctionProto::default() };
    let model = ModelProto { graph: Some(GraphProto::default()), functions: vec![function], ..ModelProto::default() };
    let message = refusal(&encode(&model));
    assert!(message.starts_with("invalid ONNX model: `functions[0]` is a local function"), "{message}");
    assert!(message.contains("onnx.inliner.inline_local_functions"), "{message}");
}

#[test]
fn operators_of_other_domains_are_refused_at_every_depth() {
    let model = with_body(|body| body.node("PyOp", "ai.onnx.contrib", &["x"], &["z"], vec![]));
    assert_eq!(
        refusal(&model),
        "invalid ONNX model: `graph.node[0].attribute[1].g.node[0].domain` is `ai.onnx.contrib`, \
         expected an operator of `ai.onnx`, `ai.onnx.ml` or `com.microsoft`"
    );
    let model = with_body(|body| body.node("EPContext", "com.microsoft", &["x"], &["z"], vec![]));
    assert!(refusal(&model).ends_with("is `EPContext`, which takes its content from another file"));
    let model = with_body(|body| {
        body.node("Normalizer", ML, &["x"], &["z"], vec![]);
        body.node("FusedMatMul", "com.microsoft", &["x"], &["w"], vec![]);
    });
    assert!(decode(&model).is_ok());
}

#[test]
fn a_tensor_has_the_elements_that_it_declares() {
    let tensor = TensorProto { dims: vec![1 << 20], raw_data: Some(vec![0; 64].into()), ..small() };
    let tensor = TensorProto { float_data: vec![], ..tensor };
    let model = with_body(|body| body.initializer(tensor));
    assert_eq!(
        refusal(&model),
        "invalid ONNX model: `graph.node[0].attribute[1].g.initializer[0]` \
         declares 1048576 elements, but has 64 bytes of data"
    );
    let sparse = SparseTensorProto { values: Some(small()), dims: vec![1 << 40], ..SparseTensorProto::default() };
    let graph = GraphProto { sparse_initializer: vec![sparse], ..GraphProto::default() };
    let model = encode(&ModelProto { graph: Some(graph), ..ModelProto::default() });
    assert!(matches!(decode(&model), Err(Error::Limit { what: "elements of a tensor", .. })));
}

#[test]
fn dense_shapes_of_all_sparse_tensors_are_limited_together() {
    let sparse = || SparseTensorProto { values: Some(small()), dims: vec![1 << 26], ..SparseTensorProto::default() };
    let graph = GraphProto { sparse_initializer: (0..17).map(|_| sparse()).collect(), ..GraphProto::default() };
    let model = encode(&ModelProto { graph: Some(graph), ..ModelProto::default() });
    assert!(matches!(decode(&model), Err(Error::Limit { what: "elements of all tensors", .. })));
}

#[test]
fn texts_that_take_more_memory_than_their_file_lets_expect_are_refused() {
    let texts = std::iter::repeat_n("", 3 << 20);
    let mut graph = empty_graph();
    graph.node("LabelEncoder", ML, &["x"], &["y"], vec![attribute::texts("keys_strings", texts)]);
    let error = decode(&graph.finish(17, 3)).unwrap_err();
    assert!(matches!(error, Error::Limit { what: "bytes of memory when it is decoded", .. }), "{error}");
}

#[test]
fn a_text_of_an_attribute_is_limited_at_every_depth() {
    let text = "x".repeat((1 << 20) + 1);
    let model = with_body(|body| body.node("A", "", &[], &["z"], vec![attribute::text("a", &text)]));
    assert!(
        refusal(&model)
            .ends_with("`graph.node[0].attribute[1].g.node[0].attribute[0].s` has a text of more than 1 MiB")
    );
}
