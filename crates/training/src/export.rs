//! What the ONNX files of all trainers have in common: names of inputs and outputs.

use perennial_core::model::{InputKind, Signature};
use perennial_core::task::TaskKind;
use perennial_onnx::build::{Classes, GraphBuilder};
use perennial_onnx::proto::DataType;

/// The version of `ai.onnx`.
const OPSET: i64 = 17;
/// The version of `ai.onnx.ml`.
const ML_OPSET: i64 = 3;

/// A graph with one input a feature.
pub(crate) fn begin(name: &str, signature: &Signature) -> GraphBuilder {
    let mut graph = GraphBuilder::new(name);
    for input in &signature.inputs {
        match input.kind {
            InputKind::Number => graph.input_number(&input.name),
            InputKind::Text => graph.input_text(&input.name),
        }
    }
    graph
}

/// The classes a classifier answers with: 0 and 1, or the texts of a multiclass task.
pub(crate) fn classes(signature: &Signature) -> Classes {
    match signature.task {
        TaskKind::Multiclass => Classes::Texts(signature.classes.clone()),
        TaskKind::Binary | TaskKind::Regression => Classes::Numbers(vec![0, 1]),
    }
}

/// Ends a classifier's graph with the outputs `label` and `probabilities`.
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

/// Ends a regressor's graph with the output `variable`.
pub(crate) fn finish_regressor(mut graph: GraphBuilder, signature: &Signature, value: &str) -> Vec<u8> {
    let name = output_name("variable", signature);
    graph.rename(value, &name);
    graph.output(&name, DataType::Float, &[-1, 1]);
    graph.finish(OPSET, ML_OPSET)
}

/// `wanted`, with underscores behind it as long as a feature is called that.
fn output_name(wanted: &str, signature: &Signature) -> String {
    let mut name = wanted.to_owned();
    while signature.inputs.iter().any(|input| input.name == name) {
        name.push('_');
    }
    name
}
