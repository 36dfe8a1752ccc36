//! A signature from what a model says of itself.

use perennial_core::model::{Input, InputKind, Signature};
use perennial_core::task::TaskKind;

use crate::error::{Error, Result};
use crate::model::Model;
use crate::tensor::Kind;

/// The signature of `model` for a task. `features` names the columns, in order,
/// where the model takes them all in one input; where it has one input a column,
/// their own names count and `features` may be empty. `classes` may be empty
/// where the model names its own.
pub fn infer_signature(model: &Model, task: TaskKind, features: &[String], classes: &[String]) -> Result<Signature> {
    let kind = |kind: Kind| if kind == Kind::Text { InputKind::Text } else { InputKind::Number };
    let is_matrix = matches!(model.inputs(), [input] if input.shape.get(1).is_none_or(|&width| width != 1));
    let inputs = if let (true, [input]) = (is_matrix, model.inputs()) {
        let width = input.shape.get(1).copied().unwrap_or(-1);
        if features.is_empty() || (width >= 0 && width != features.len() as i64) {
            return Err(Error::Input(format!(
                "the model takes {} columns without names in `{}`, and {} names are given",
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
            return Err(Error::Input("the model does not name its classes, and none are given".into()));
        }
        (TaskKind::Multiclass, false, _) => classes.to_vec(),
        _ => Vec::new(),
    };
    Ok(Signature { inputs, task, classes })
}
