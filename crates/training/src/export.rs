//! The common parts of the exported ONNX files: inputs and outputs.

use perennial_core::model::{InputKind, Signature};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{Classes, GraphBuilder};
use perennial_onnx::proto::DataType;

/// Exported version of the operator set `ai.onnx`.
const OPSET: i64 = 17;
/// Exported version of the operator set `ai.onnx.ml`.
const ML_OPSET: i64 = 3;

/// Starts a graph with one input for each feature.
pub(crate) fn graph_with_inputs(name: &str, signature: &Signature) -> GraphBuilder {
    let mut graph = GraphBuilder::new(name);
    for input in &signature.inputs {
        match input.kind {
            InputKind::Number => graph.input_number(&input.name),
            InputKind::Text => graph.input_text(&input.name),
        }
    }
    graph
}

/// The classes of a classifier: 0 and 1, or the names of a multiclass task.
pub(crate) fn classes(signature: &Signature) -> Classes {
    match signature.task {
        TaskKind::Multiclass => Classes::Texts(signature.classes.clone()),
        TaskKind::Binary | TaskKind::Regression => Classes::Numbers(vec![0, 1]),
    }
}

/// Completes a classifier's graph with the outputs `label` and `probabilities`.
pub(crate) fn finish_classifier(mut graph: GraphBuilder, signature: &Signature, label: &str, scores: &str) -> Vec<u8> {
    let (kind, width) = match classes(signature) {
        Classes::Numbers(classes) => (DataType::Int64, classes.len()),
        Classes::Texts(classes) => (DataType::String, classes.len()),
    };
    let names = [output_name("label", signature), output_name("probabilities", signature)];
    graph.rename(label, &names[0]);
    graph.rename(scores, &names[1]);
    graph.output(&names[0], kind, &[-1]);
    graph.output(&names[1], DataType::Float, &[-1, width as i64]);
    graph.finish(OPSET, ML_OPSET)
}

/// Completes a regressor's graph with the output `variable`.
pub(crate) fn finish_regressor(mut graph: GraphBuilder, signature: &Signature, value: &str) -> Vec<u8> {
    let name = output_name("variable", signature);
    graph.rename(value, &name);
    graph.output(&name, DataType::Float, &[-1, 1]);
    graph.finish(OPSET, ML_OPSET)
}

/// `base`, followed by as many underscores as it takes to differ from every feature's name.
fn output_name(base: &str, signature: &Signature) -> String {
    let mut name = base.to_owned();
    while signature.inputs.iter().any(|input| input.name == name) {
        name.push('_');
    }
    name
}
