//! The built-in trainers as an implementation of the port.

use perennial_core::frame::Frame;
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::task::TaskKind;
use perennial_core::{Error, Result};
use serde_json::{Map, Value};

use crate::{Kind, train};

/// The built-in trainers. An error keeps its code and hint: an unknown parameter is an error of the project file, and a
/// target without variation a failure of the step.
pub struct BuiltInTrainers;

impl Trainer for BuiltInTrainers {
    fn train(
        &self,
        kind: &str,
        task: TaskKind,
        features: &Frame,
        target: &Target,
        params: &Map<String, Value>,
    ) -> Result<TrainedModel> {
        let kind = Kind::find(kind).ok_or_else(|| Error::not_found("built-in trainer", kind))?;
        let trained = train(kind, features, target, task, params)?;
        let mut importance = trained.importance;
        let is_constant = importance.iter().all(|(_, share)| *share == 0.0);
        let warning = "the model is constant: no feature distinguishes the outcomes of the training rows";
        importance.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(TrainedModel {
            onnx: trained.onnx,
            signature: trained.signature,
            params: trained.params,
            metrics: trained
                .metrics
                .into_iter()
                .map(|metric| (metric.name.to_owned(), metric.step as i64, metric.value))
                .collect(),
            importance,
            warnings: if is_constant { vec![warning.to_owned()] } else { Vec::new() },
        })
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
