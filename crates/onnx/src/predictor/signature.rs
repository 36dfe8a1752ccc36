//! Inference of a signature from a model.

use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::tensor::ElementType;

/// Infers the signature of `model` for a task.
///
/// `features` names the columns in order if the model has a single input for all
/// of them; it is ignored if the model has one input for each column. `classes`
/// names the classes of a multiclass model; if empty, the model's own names are used.
///
/// # Errors
/// [`Error::Input`] when names of features or classes are needed but absent, or
/// their number differs from the model's.
pub fn infer_signature(model: &Model, task: TaskKind, features: &[String], classes: &[String]) -> Result<Signature> {
    let kind = |kind: ElementType| if kind == ElementType::Text { InputKind::Text } else { InputKind::Number };
    let is_matrix = matches!(model.inputs(), [input] if input.shape.get(1).is_none_or(|&width| width != 1));
    let inputs = if let (true, [input]) = (is_matrix, model.inputs()) {
        let width = input.shape.get(1).copied().unwrap_or(-1);
        if features.is_empty() || (width >= 0 && width != features.len() as i64) {
            return Err(Error::Input(format!(
                "the model takes {} unnamed columns in `{}`, but {} names are given",
                if width < 0 { "any number of".to_owned() } else { width.to_string() },
                input.name,
                features.len()
            )));
        }
        features.iter().map(|name| Input { name: name.clone(), kind: kind(input.kind) }).collect()
    } else {
        model.inputs().iter().map(|input| Input { name: input.name.clone(), kind: kind(input.kind) }).collect()
    };
    let classes = match (task, classes.is_empty(), model.labels()) {
        (TaskKind::Multiclass, true, Some(labels)) => labels.to_texts(),
        (TaskKind::Multiclass, true, None) => {
            return Err(Error::Input("the model does not name its classes, and no names are given".into()));
        }
        (TaskKind::Multiclass, false, _) => classes.to_vec(),
        _ => Vec::new(),
    };
    Ok(Signature { inputs, task, classes })
}
