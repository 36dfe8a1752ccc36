//! Export of linear models to ONNX.

use perennial_core::model::Signature;
use perennial_core::task::TaskKind;
use perennial_onnx::build::{GraphBuilder, PostTransform};
use perennial_onnx::proto::DataType;

use super::Model;
use super::design_matrix::Term;
use crate::export::{classes, finish_classifier, finish_regressor, graph_with_inputs};
use crate::features::{Categories, Encoding};

/// The model as the bytes of an ONNX file.
pub(crate) fn export(model: &Model, signature: &Signature) -> Vec<u8> {
    let mut graph = graph_with_inputs("linear", signature);
    let matrix = input_matrix(&mut graph, model);
    let outputs = onnx_coefficients(model);
    match model.loss.task {
        TaskKind::Regression => {
            let value = graph.linear_regressor(&matrix, &outputs.coefficients, outputs.intercepts[0]);
            finish_regressor(graph, signature, &value)
        }
        TaskKind::Binary => {
            // ONNX has one row of coefficients for each class; those of class 0 are the negatives of class 1's.
            let negative = |values: &[f32]| values.iter().map(|value| -value).collect::<Vec<f32>>();
            let coefficients = [negative(&outputs.coefficients), outputs.coefficients].concat();
            let intercepts = [negative(&outputs.intercepts), outputs.intercepts].concat();
            let classes = classes(signature);
            let (label, scores) =
                graph.linear_classifier(&matrix, &coefficients, &intercepts, &classes, PostTransform::Logistic);
            finish_classifier(graph, signature, &label, &scores)
        }
        TaskKind::Multiclass => {
            let (label, scores) = graph.linear_classifier(
                &matrix,
                &outputs.coefficients,
                &outputs.intercepts,
                &classes(signature),
                PostTransform::Softmax,
            );
            finish_classifier(graph, signature, &label, &scores)
        }
    }
}

/// Adds nodes that concatenate scaled numbers, missing indicators and one-hot categories.
fn input_matrix(graph: &mut GraphBuilder, model: &Model) -> String {
    let (mut names, mut fills, mut offsets, mut scales, mut with_indicator) = (vec![], vec![], vec![], vec![], vec![]);
    let mut parts = Vec::new();
    for (feature, term) in model.features.iter().zip(model.encoder.terms()) {
        if let Term::Number { fill, offset, scale, indicator, .. } = *term {
            names.push(feature.name.as_str());
            fills.push(fill);
            offsets.push(offset);
            scales.push(scale);
            if indicator.is_some() {
                with_indicator.push(feature.name.as_str());
            }
        }
    }
    if !names.is_empty() {
        let numbers = graph.concat(&names);
        let filled = graph.imputer(&numbers, &fills);
        parts.push(graph.scaler(&filled, &offsets, &scales));
    }
    if !with_indicator.is_empty() {
        let numbers = graph.concat(&with_indicator);
        let missing = graph.apply("IsNaN", "", &[&numbers], vec![]);
        parts.push(graph.cast(&missing, DataType::Float));
    }
    for feature in &model.features {
        if let Encoding::Category(categories) = &feature.encoding {
            let one_hot = graph.one_hot(&feature.name, &texts(categories));
            parts.push(graph.flatten(&one_hot));
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    graph.concat(&parts)
}

/// The texts with a one-hot column in the file: the categories and missing, but not *other*.
fn texts(categories: &Categories) -> Vec<&str> {
    categories.texts().iter().map(AsRef::as_ref).chain([""]).collect()
}

struct OnnxCoefficients {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
}

/// The coefficients for the columns of [`input_matrix`]. A text outside the categories has
/// only zeros there, so the coefficient of *other* is added to the intercept and subtracted
/// from those of the categories.
fn onnx_coefficients(model: &Model) -> OnnxCoefficients {
    let columns = model.encoder.columns();
    let mut merged = OnnxCoefficients { coefficients: Vec::new(), intercepts: Vec::new() };
    for coefficients in model.coefficients.chunks(columns + 1) {
        let mut intercept = coefficients[columns];
        let mut indicators = Vec::new();
        let mut categories = Vec::new();
        for (feature, term) in model.features.iter().zip(model.encoder.terms()) {
            match (*term, &feature.encoding) {
                (Term::Number { column, indicator, .. }, _) => {
                    merged.coefficients.push(coefficients[column] as f32);
                    indicators.extend(indicator.map(|column| coefficients[column] as f32));
                }
                (Term::Category { first, .. }, Encoding::Category(known)) => {
                    let other = coefficients[first + known.other() as usize];
                    intercept += other;
                    let codes = (0..known.other()).chain([known.missing()]);
                    categories.extend(codes.map(|code| (coefficients[first + code as usize] - other) as f32));
                }
                (Term::Category { .. }, Encoding::Number) => {
                    debug_assert!(false, "a categorical term belongs to a text feature");
                }
            }
        }
        merged.coefficients.extend(indicators);
        merged.coefficients.extend(categories);
        merged.intercepts.push(intercept as f32);
    }
    merged
}
