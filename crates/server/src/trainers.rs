//! The built-in trainers.

use std::sync::LazyLock;

use perennial_config::{Param, ParamKind, TrainerSpec};
use perennial_core::frame::Frame;
use perennial_core::port::training::{Target, TrainedModel, Trainer};
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use perennial_training::{Kind, Range};
use serde_json::{Map, Value};

/// Names and parameters of the built-in trainers, which project files are validated against.
pub(crate) static TRAINERS: LazyLock<Vec<TrainerSpec>> = LazyLock::new(|| {
    Kind::ALL
        .iter()
        .map(|kind| {
            let params: Vec<Param> = perennial_training::params(*kind)
                .iter()
                .map(|spec| Param { name: spec.name, kind: kind_of(spec.range) })
                .collect();
            TrainerSpec { name: kind.as_str(), params: Vec::leak(params) }
        })
        .collect()
});

fn kind_of(range: Range) -> ParamKind {
    match range {
        Range::Whole { min, max } => ParamKind::Whole(min as i64, i64::try_from(max).unwrap_or(i64::MAX)),
        Range::Number { min, max } => ParamKind::Number(min, max),
    }
}

/// The built-in trainers, as an implementation of the port.
pub(crate) struct BuiltInTrainers;

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
        let trained = perennial_training::train(kind, features, target, task, params)
            .map_err(|cause| Error::new(ErrorCode::StepFailed, cause.to_string()))?;
        let mut importance = trained.importance;
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
        })
    }

    fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}
