//! Inference of a signature from a model.

use perennial_core::model::classes::{self, ClassKind};
use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::port::model::SignatureHint;
use perennial_core::task::TaskKind;

use crate::error::{Error, Result};
use crate::labels::Labels;
use crate::model::Model;
use crate::tensor::ElementType;

/// Infers the signature of `model`. The features of the hint name the columns if the model has a single input for all
/// of them. A model that does not name its classes has those of the hint; other classes are in natural order.
///
/// # Errors
/// [`Error::Input`] when names of features or classes are needed but absent, or
/// their number differs from the model's.
pub fn infer_signature(model: &Model, hint: &SignatureHint) -> Result<Signature> {
    let kind = |kind: ElementType| if kind == ElementType::Text { InputKind::Text } else { InputKind::Number };
    let is_matrix = matches!(model.inputs(), [input] if input.shape.get(1).is_none_or(|&width| width != 1));
    let inputs = if let (true, [input]) = (is_matrix, model.inputs()) {
        let (width, features) = (input.shape.get(1).copied().unwrap_or(-1), &hint.features);
        if features.is_empty() || (width >= 0 && width != features.len() as i64) {
            return Err(Error::Input(format!(
                "the model takes {} unnamed columns in `{}`, but {} names are given",
                if width < 0 { "any number of".to_owned() } else { width.to_string() },
                input.name,
                features.len()
            )));
        }
        features
            .iter()
            .map(|feature| Input { name: feature.name.clone(), kind: kind(input.kind), time: None })
            .collect()
    } else {
        model
            .inputs()
            .iter()
            .map(|input| Input { name: input.name.clone(), kind: kind(input.kind), time: None })
            .collect()
    };
    signature_with(inputs, hint, model.labels())
}

/// The signature of a model with known inputs and labels.
///
/// # Errors
/// [`Error::Input`] when a multiclass model does not name its classes and the hint has none.
pub fn signature_with(inputs: Vec<Input>, hint: &SignatureHint, labels: Option<&Labels>) -> Result<Signature> {
    let classes = match (hint.task, labels) {
        (TaskKind::Multiclass, _) if !hint.classes.is_empty() => hint.classes.clone(),
        (TaskKind::Multiclass, Some(labels)) => {
            let mut classes = labels.to_texts();
            classes.sort_by(|a, b| classes::compare(a, b));
            classes
        }
        (TaskKind::Multiclass, None) => {
            return Err(Error::Input("the model does not name its classes, and no names are given".into()));
        }
        _ => Vec::new(),
    };
    let class_kind = ClassKind::of(&classes, hint.are_outcomes_numbers);
    Ok(Signature { inputs, task: hint.task, classes, class_kind })
}
