use super::*;
use crate::error::Error;

fn model_with(tensor: TensorProto) -> Vec<u8> {
    let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
    encode(&ModelProto { ir_version: 8, graph: Some(graph), ..ModelProto::default() })
}

#[test]
fn a_model_round_trips() {
    let bytes = model_with(TensorProto { dims: vec![2], float_data: vec![1.0, 2.0], ..TensorProto::default() });
    let model = decode(&bytes).unwrap();
    assert_eq!(model.graph.as_ref().unwrap().initializer[0].float_data, [1.0, 2.0]);
    assert_eq!(encode(&model), bytes);
}

#[test]
fn data_in_another_file_is_refused() {
    let bytes = model_with(TensorProto { name: "w".into(), data_location: 1, ..TensorProto::default() });
    let message = decode(&bytes).unwrap_err().to_string();
    assert_eq!(message, "invalid ONNX model: tensor `w` stores its data in another file, expected a model in one file");
}

#[test]
fn a_shape_that_overflows_is_refused() {
    let bytes = model_with(TensorProto { dims: vec![i64::MAX, i64::MAX], ..TensorProto::default() });
    assert!(matches!(decode(&bytes), Err(Error::Limit { what: "elements of a tensor", .. })));
    let bytes = model_with(TensorProto { dims: vec![-1], ..TensorProto::default() });
    assert!(matches!(decode(&bytes), Err(Error::Invalid(_))));
}

#[test]
fn many_empty_nodes_are_refused_before_memory_is_allocated() {
    let mut graph = Vec::new();
    for _ in 0..30_000 {
        graph.extend([0x0a, 0]);
    }
    let mut bytes = vec![0x3a];
    prost::encode_length_delimiter(graph.len(), &mut bytes).unwrap();
    bytes.extend(graph);
    assert!(matches!(decode(&bytes), Err(Error::Limit { what: "nodes", .. })));
}

#[test]
fn truncated_bytes_are_refused() {
    let bytes = model_with(TensorProto { dims: vec![2], float_data: vec![1.0, 2.0], ..TensorProto::default() });
    for end in 1..bytes.len() {
        assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
    }
}
