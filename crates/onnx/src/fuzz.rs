//! The reader of model files, as one function that the fuzz target and the property tests call.

use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::model::{Input, InputKind, Predictor};
use perennial_core::port::model::SignatureHint;
use perennial_core::task::TaskKind;

use crate::{Data, ElementType, Model, OnnxPredictor, Tensor, Value, infer_signature};

/// Rows of the evaluations.
const ROWS: usize = 3;

/// Loads a model file, evaluates the model and predicts with it.
///
/// # Panics
/// The reader or the evaluator has a fault.
pub fn onnx(bytes: &[u8]) {
    let Ok(model) = Model::from_bytes(bytes) else { return };
    let inputs: Option<Vec<(&str, Tensor)>> =
        model.inputs().iter().map(|input| Some((input.name.as_str(), tensor(input)?))).collect();
    if let Some(inputs) = inputs {
        drop(model.run(&inputs));
    }
    for task in [TaskKind::Binary, TaskKind::Multiclass, TaskKind::Regression] {
        predict(&model, task);
    }
}

/// Some values of the type and shape of an input.
fn tensor(input: &Value) -> Option<Tensor> {
    let length = |(axis, &length): (usize, &i64)| match (length, axis) {
        (0.., _) => usize::try_from(length).ok(),
        (_, 0) => Some(ROWS),
        _ => Some(2),
    };
    let shape: Vec<usize> = input.shape.iter().enumerate().map(length).collect::<Option<_>>()?;
    let count = crate::tensor::elements(&shape).ok().filter(|&count| count <= 1 << 16)?;
    let numbers = [0.0, -1.5, f64::NAN, 7.0, f64::INFINITY, 1e300, 2.0].into_iter().cycle().take(count);
    let data = match input.kind {
        ElementType::F32 => Data::F32(numbers.map(|number| number as f32).collect()),
        ElementType::F64 => Data::F64(numbers.collect()),
        ElementType::I64 => Data::I64(numbers.map(|number| number as i64).collect()),
        ElementType::I32 => Data::I32(numbers.map(|number| number as i32).collect()),
        ElementType::Bool => Data::Bool(numbers.map(|number| number > 0.0).collect()),
        ElementType::Text => Data::Text(["a", "", "7", "b"].into_iter().cycle().take(count).map(Into::into).collect()),
    };
    Tensor::new(shape, data)
}

fn predict(model: &Model, task: TaskKind) {
    let features = ["a", "b"].map(|name| Input { name: name.to_owned(), kind: InputKind::Number, time: None });
    let hint = SignatureHint { features: features.to_vec(), ..SignatureHint::new(task) };
    let Ok(signature) = infer_signature(model, &hint) else { return };
    let mut frame = Frame::new();
    for input in &signature.inputs {
        let column = match input.kind {
            InputKind::Number => Column::Number(vec![1.0, f64::NAN, -3.0]),
            InputKind::Text => Column::Text(TextColumn::encode([Some("a"), None, Some("b")])),
        };
        frame.push(input.name.clone(), column);
    }
    if let Ok(predictor) = OnnxPredictor::new(model, signature) {
        drop(predictor.predict(&frame));
    }
}

#[cfg(test)]
mod tests;
