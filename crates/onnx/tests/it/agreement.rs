//! Every row of every export, compared with ONNX Runtime.

use perennial_onnx::{Data, Model, Tensor};

use crate::exports::{self, Export};

/// Maximum difference; relative for values above 1.
const TOLERANCE: f64 = 1e-6;

/// The tolerance of an export. It is larger where ONNX Runtime itself is less exact: it sums
/// hundreds of products of a support vector machine in 32 bits, and its PROBIT loses digits near one half.
fn tolerance(name: &str) -> f64 {
    match name {
        "svr" => 1e-5,
        _ if name.contains("probit") => 1e-3,
        _ => TOLERANCE,
    }
}

fn floats(data: &Data) -> Option<Vec<f64>> {
    match data {
        Data::F32(values) => Some(values.iter().map(|&value| f64::from(value)).collect()),
        Data::F64(values) => Some(values.clone()),
        _ => None,
    }
}

/// The first difference, if any.
fn difference(ours: &Tensor, theirs: &Tensor, tolerance: f64) -> Option<String> {
    if ours.shape() != theirs.shape() {
        return Some(format!("shape {:?}, ONNX Runtime has {:?}", ours.shape(), theirs.shape()));
    }
    let count = theirs.data().len();
    if let (Some(a), Some(b)) = (floats(ours.data()), floats(theirs.data())) {
        let same =
            |a: f64, b: f64| a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * b.abs().max(1.0);
        let differ: Vec<usize> = (0..count).filter(|&at| !same(a[at], b[at])).collect();
        let at = *differ.first()?;
        return Some(format!(
            "{} of {count} differ, element {at} is {}, ONNX Runtime has {}",
            differ.len(),
            a[at],
            b[at]
        ));
    }
    let text = |tensor: &Tensor, at: usize| match tensor.data() {
        Data::I64(values) => values[at].to_string(),
        Data::Bool(values) => values[at].to_string(),
        Data::Text(values) => values[at].to_string(),
        other => panic!("unexpected {}", other.element_type()),
    };
    let differ: Vec<usize> = (0..count).filter(|&at| text(ours, at) != text(theirs, at)).collect();
    let at = *differ.first()?;
    Some(format!(
        "{} of {count} differ, element {at} is {}, ONNX Runtime has {}",
        differ.len(),
        text(ours, at),
        text(theirs, at)
    ))
}

/// Evaluates all rows at once, and if that agrees each row alone.
fn check(export: &Export) -> Vec<String> {
    let name = &export.name;
    let model = match Model::from_bytes(&export.bytes) {
        Ok(model) => model,
        Err(error) => return vec![format!("{name}: {error}")],
    };
    let run = |inputs: &[(&str, Tensor)], expected: &[(String, Tensor)], what: &str| match model.run(inputs) {
        Ok(outputs) => {
            let pairs = outputs.iter().zip(expected);
            let found = pairs.filter_map(|((output, ours), (_, theirs))| {
                difference(ours, theirs, tolerance(name))
                    .map(|difference| format!("{name} `{output}`{what}: {difference}"))
            });
            found.collect()
        }
        Err(error) => vec![format!("{name}{what}: {error}")],
    };
    let inputs: Vec<_> = export.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.clone())).collect();
    let mut found = run(&inputs, &export.outputs, "");
    let is_by_row =
        export.inputs.iter().chain(&export.outputs).all(|(_, tensor)| tensor.shape().first() == Some(&1_000));
    for row in if is_by_row && found.is_empty() { 0..1_000 } else { 0..0 } {
        let inputs: Vec<_> = export.inputs.iter().map(|(name, tensor)| (name.as_str(), take(tensor, row))).collect();
        let expected: Vec<_> = export.outputs.iter().map(|(name, tensor)| (name.clone(), take(tensor, row))).collect();
        found.extend(run(&inputs, &expected, &format!(" row {row} alone")));
    }
    found
}

fn take(tensor: &Tensor, row: usize) -> Tensor {
    let width: usize = tensor.shape()[1..].iter().product();
    let range = row * width..(row + 1) * width;
    let data = match tensor.data() {
        Data::F32(values) => Data::F32(values[range].to_vec()),
        Data::F64(values) => Data::F64(values[range].to_vec()),
        Data::I64(values) => Data::I64(values[range].to_vec()),
        Data::I32(values) => Data::I32(values[range].to_vec()),
        Data::Bool(values) => Data::Bool(values[range].to_vec()),
        Data::Text(values) => Data::Text(values[range].to_vec()),
    };
    Tensor::new([&[1], &tensor.shape()[1..]].concat(), data).unwrap()
}

/// Exports of the libraries that the evaluator must support.
const SEVEN: [&str; 7] = [
    "lightgbm",
    "lightgbm_categories",
    "xgboost",
    "random_forest",
    "hist_gradient_boosting",
    "logistic_pipeline",
    "mlp",
];

#[test]
fn the_seven_models_evaluate_as_in_onnx_runtime() {
    let differences: Vec<String> = SEVEN.iter().flat_map(|name| check(&exports::one(name))).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_export_evaluates_as_in_onnx_runtime() {
    let exports = exports::all("");
    assert!(exports.len() > 200, "only {} exports", exports.len());
    let differences: Vec<String> = exports.iter().flat_map(check).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
