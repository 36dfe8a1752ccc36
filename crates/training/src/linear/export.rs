//! The linear model as ONNX.

use perennial_core::model::Signature;
use perennial_core::task::TaskKind;
use perennial_onnx::build::{GraphBuilder, PostTransform};
use perennial_onnx::proto::DataType;

use super::Model;
use super::design::Term;
use crate::export::{begin, classes, finish_classifier, finish_regressor};
use crate::features::{Categories, Reading};

/// The bytes of the ONNX file.
pub(crate) fn export(model: &Model, signature: &Signature) -> Vec<u8> {
    let mut graph = begin("linear", signature);
    let matrix = matrix(&mut graph, model);
    let outputs = folded(model);
    match model.loss.task {
        TaskKind::Regression => {
            let value = graph.linear_regressor(&matrix, &outputs.coefficients, outputs.intercepts[0]);
            finish_regressor(graph, signature, &value)
        }
        TaskKind::Binary => {
            // One row of coefficients a class; that of the first is the negative of the second's.
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

/// Numbers, indicators, categories, side by side.
fn matrix(graph: &mut GraphBuilder, model: &Model) -> String {
    let (mut names, mut fills, mut offsets, mut scales, mut indicated) = (vec![], vec![], vec![], vec![], vec![]);
    let mut parts = Vec::new();
    for (feature, term) in model.features.iter().zip(model.plan.terms()) {
        if let Term::Number { fill, offset, scale, indicator, .. } = *term {
            names.push(feature.name.as_str());
            fills.push(fill);
            offsets.push(offset);
            scales.push(scale);
            if indicator.is_some() {
                indicated.push(feature.name.as_str());
            }
        }
    }
    if !names.is_empty() {
        let numbers = graph.concat(&names);
        let filled = graph.imputer(&numbers, &fills);
        parts.push(graph.scaler(&filled, &offsets, &scales));
    }
    if !indicated.is_empty() {
        let numbers = graph.concat(&indicated);
        let missing = graph.apply("IsNaN", "", &[&numbers], vec![]);
        parts.push(graph.cast(&missing, DataType::Float));
    }
    for feature in &model.features {
        if let Reading::Category(categories) = &feature.reading {
            let one_hot = graph.one_hot(&feature.name, &texts(categories));
            parts.push(graph.flatten(&one_hot));
        }
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    graph.concat(&parts)
}

/// The texts that have a column in the file: the categories and missing, but not *other*.
fn texts(categories: &Categories) -> Vec<&str> {
    categories.texts().iter().map(AsRef::as_ref).chain([""]).collect()
}

struct Folded {
    coefficients: Vec<f32>,
    intercepts: Vec<f32>,
}

/// The coefficients for [`matrix`]. A text that is no category has all zeros there, so the
/// coefficient of *other* goes into the intercept and is taken off the other categories'.
fn folded(model: &Model) -> Folded {
    let columns = model.plan.columns();
    let mut folded = Folded { coefficients: Vec::new(), intercepts: Vec::new() };
    for coefficients in model.coefficients.chunks(columns + 1) {
        let mut intercept = coefficients[columns];
        let mut indicators = Vec::new();
        let mut categories = Vec::new();
        for (feature, term) in model.features.iter().zip(model.plan.terms()) {
            match (*term, &feature.reading) {
                (Term::Number { column, indicator, .. }, _) => {
                    folded.coefficients.push(coefficients[column] as f32);
                    indicators.extend(indicator.map(|column| coefficients[column] as f32));
                }
                (Term::Category { first, .. }, Reading::Category(known)) => {
                    let other = coefficients[first + known.other() as usize];
                    intercept += other;
                    let codes = (0..known.other()).chain([known.missing()]);
                    categories.extend(codes.map(|code| (coefficients[first + code as usize] - other) as f32));
                }
                (Term::Category { .. }, Reading::Number) => {
                    debug_assert!(false, "a category is text");
                }
            }
        }
        folded.coefficients.extend(indicators);
        folded.coefficients.extend(categories);
        folded.intercepts.push(intercept as f32);
    }
    folded
}
