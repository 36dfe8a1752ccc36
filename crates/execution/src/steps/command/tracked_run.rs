//! The MLflow run of an attempt: its params and metrics, and its models as artifacts.

use perennial_core::blob::{Manifest, ManifestFile};
use perennial_core::entity::{MetricPoint, Param, RunBatch, StepOutputKind, Tag};
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value};

use super::super::{ModelReference, StepResult, model};
use super::{Attempt, environment, outputs};
use crate::pipelines::PipelineEvent;

/// The tag of a run that used the programs installed on the machine.
const REPRODUCIBLE_TAG: &str = "perennial.reproducible";

impl Attempt<'_> {
    /// What the attempt logs to its run: its params, the numbers of `metrics.json`, and the files of its models.
    pub(super) async fn run_batch(&self, made: Option<&StepResult>) -> Result<(RunBatch, Vec<(String, ManifestFile)>)> {
        let now = self.context.caller.kernel.services.clock.wall_ms();
        let metrics = match self.metrics().await {
            Ok(map) => map
                .into_iter()
                .filter_map(|(key, value)| {
                    Some(MetricPoint { key, value: value.as_f64()?, timestamp_ms: now, step: 0 })
                })
                .collect(),
            Err(error) => {
                let line = format!("metrics.json is left out: {}", error.message());
                self.context.emit(PipelineEvent::StepLog { step: self.step.clone(), line }).await;
                Vec::new()
            }
        };
        let params = self
            .run
            .params
            .iter()
            .map(|(key, value)| Param {
                key: key.clone(),
                value: value.as_str().map_or_else(|| value.to_string(), str::to_owned),
            })
            .collect();
        let mut artifacts = Vec::new();
        for output in made.iter().flat_map(|made| &made.outputs).filter(|output| output.kind == StepOutputKind::Model) {
            let reference = ModelReference::of(output)?;
            artifacts.extend(model::artifacts(&output.name, &Manifest::parse(&reference.manifest)?));
        }
        let is_bound = environment(self.context, self.run).await.is_ok_and(|environment| !environment.reproducible);
        let tags = is_bound.then(|| Tag { key: REPRODUCIBLE_TAG.to_owned(), value: "false".to_owned() });
        Ok((RunBatch { metrics, params, tags: tags.into_iter().collect() }, artifacts))
    }

    /// The object in `metrics.json`; empty when the file does not exist.
    async fn metrics(&self) -> Result<Map<String, Value>> {
        let folder = self.working_folder();
        let text = self.context.caller.kernel.run_blocking_short(move || outputs::metrics(&folder)).await?;
        let text = if text.is_empty() { "{}" } else { &text };
        serde_json::from_str(text).map_err(|cause| {
            Error::new(ErrorCode::StepFailed, format!("metrics.json is not an object of numbers: {cause}"))
        })
    }
}
