mod hostile;

use super::*;
use crate::error::Error;

fn model_with(tensor: TensorProto) -> Vec<u8> {
    let graph = GraphProto { initializer: vec![tensor], ..GraphProto::default() };
    encode(&ModelProto { ir_version: Some(8), graph: Some(graph), ..ModelProto::default() })
}

#[test]
fn a_model_round_trips() {
    let bytes = model_with(TensorProto { dims: vec![2], float_data: vec![1.0, 2.0], ..TensorProto::default() });
    let model = decode(&bytes).unwrap();
    assert_eq!(model.graph.as_ref().unwrap().initializer[0].float_data, [1.0, 2.0]);
    assert_eq!(encode(&model), bytes);
}

#[test]
fn repeated_numbers_are_packed() {
    let with = |count| {
        let attribute = AttributeProto { ints: vec![1; count], ..AttributeProto::default() };
        let node = NodeProto { attribute: vec![attribute], ..NodeProto::default() };
        let graph = GraphProto { node: vec![node], ..GraphProto::default() };
        encode(&ModelProto { graph: Some(graph), ..ModelProto::default() }).len()
    };
    assert_eq!(with(50) - with(10), 40, "one byte for each number");
}

#[test]
fn unpacked_numbers_are_decoded() {
    // graph { node { attribute { ints: 7 ints: 8 } } }, as the syntax proto2 writes it.
    let model = decode(&[0x3a, 8, 0x0a, 6, 0x2a, 4, 0x40, 7, 0x40, 8]).unwrap();
    assert_eq!(model.graph.unwrap().node[0].attribute[0].ints, [7, 8]);
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
fn nested_graphs_count() {
    // graph { node { attribute { g: graph { node {} … } } } }
    let mut message = [0x0a, 0].repeat(30_000);
    for field in [0x32, 0x2a, 0x0a, 0x3a_u8] {
        let mut outer = vec![field];
        prost::encode_length_delimiter(message.len(), &mut outer).unwrap();
        outer.append(&mut message);
        message = outer;
    }
    assert!(matches!(decode(&message), Err(Error::Limit { what: "nodes", .. })));
}

#[test]
fn messages_nested_too_deeply_are_refused() {
    let mut message = Vec::new();
    for _ in 0..100 {
        for field in [0x32, 0x2a, 0x0a_u8] {
            let mut outer = vec![field];
            prost::encode_length_delimiter(message.len(), &mut outer).unwrap();
            outer.append(&mut message);
            message = outer;
        }
    }
    let mut model = vec![0x3a];
    prost::encode_length_delimiter(message.len(), &mut model).unwrap();
    model.append(&mut message);
    assert_eq!(decode(&model).unwrap_err().to_string(), "not an ONNX model: messages are nested too deeply");
}

#[test]
fn truncated_bytes_are_refused() {
    let bytes = model_with(TensorProto { dims: vec![2], float_data: vec![1.0, 2.0], ..TensorProto::default() });
    for end in 1..bytes.len() {
        assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
    }
}
