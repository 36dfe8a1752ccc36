//! Models made by steps: a folder of files with a signature, and the tracked run of the attempt.

use std::sync::Arc;

use perennial_core::blob::{Manifest, ManifestFile};
use perennial_core::entity::{NewRun, RunArtifact, RunBatch, RunUpdate, StepOutput, StepOutputKind, Tag};
use perennial_core::frame::Frame;
use perennial_core::id::{ProjectId, RunId, StepRunId};
use perennial_core::model::{PredictError, Scores, Signature};
use perennial_core::name::StepName;
use perennial_core::port::model::{LoadedModel, ModelFiles};
use perennial_core::state::RunStatus;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{run_artifacts, runs, step_runs};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::runtime::Handle;

use crate::pipelines::Context;
use perennial_kernel::Kernel;
use perennial_tracking::RunSealer;

/// Where a step's model is, as its output keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReference {
    /// Files of the model folder, the manifest's text.
    pub manifest: String,
    /// Path of the ONNX file in it; `None` for a flavour that is only recorded.
    pub onnx: Option<String>,
    /// What the folder says it is: `onnx`, or the flavours of its `MLmodel`.
    pub flavor: String,
    /// Inputs, task, classes; `None` for a flavour that is only recorded.
    pub signature: Option<Signature>,
    /// The run that made it.
    pub run: RunId,
    /// Digest of the environment it was made in.
    pub environment: String,
    /// Warnings of its training, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl ModelReference {
    /// The reference that a step output stores.
    pub fn of(output: &StepOutput) -> Result<Self> {
        serde_json::from_value(output.reference.clone())
            .map_err(|cause| Error::internal(format!("cannot parse the record of model `{}`", output.name), cause))
    }

    /// The step output that stores this reference.
    pub fn output(&self, id: StepRunId, name: &str) -> Result<StepOutput> {
        let digest = Manifest::parse(&self.manifest)?.digest().to_string();
        Ok(StepOutput {
            step_run_id: id,
            name: name.to_owned(),
            kind: StepOutputKind::Model,
            digest,
            reference: json!(self),
        })
    }
}

/// Loads a model of a project.
pub async fn load(
    kernel: &Arc<Kernel>,
    project: ProjectId,
    reference: &ModelReference,
    name: &str,
) -> Result<Arc<dyn LoadedModel>> {
    let manifest = Manifest::parse(&reference.manifest)?;
    let (Some(onnx), Some(signature)) = (&reference.onnx, &reference.signature) else {
        return Err(Error::new(
            ErrorCode::Model,
            format!(
                "the model of `{name}` is of flavour `{}`, which is recorded but cannot answer here",
                reference.flavor
            ),
        )
        .with_hint(export_hint(&reference.flavor)));
    };
    kernel.load_model(project, files(kernel, &manifest, onnx).await?, signature.clone()).await
}

/// A model's files in a local folder, which stays while the result exists.
pub(crate) async fn files(kernel: &Kernel, manifest: &Manifest, onnx: &str) -> Result<ModelFiles> {
    let file = manifest.file(onnx).ok_or_else(|| Error::not_found("file of model", onnx))?;
    let folder = kernel.folders.get(manifest).await?;
    Ok(ModelFiles { digest: folder.digest(), folder: folder.path().to_owned(), onnx: file.path.clone(), lease: folder })
}

/// Predicts on a blocking thread, which waits for a model that does not compute in process.
pub(crate) fn predict_blocking(model: &dyn LoadedModel, frame: &Frame) -> Result<Scores, PredictError> {
    match model.in_process().map(|predictor| predictor.predict(frame)) {
        Some(Err(PredictError::Budget(_))) | None => Handle::current().block_on(model.predict(frame)),
        Some(computed) => computed,
    }
}

/// The command that exports a flavour to ONNX.
pub(crate) fn export_hint(flavor: &str) -> String {
    let command = match flavor.split(',').next().unwrap_or_default() {
        "sklearn" => "skl2onnx.to_onnx(model, X[:1], options={'zipmap': False})",
        "lightgbm" => "onnxmltools.convert_lightgbm(model, initial_types=..., zipmap=False)",
        "xgboost" => "onnxmltools.convert_xgboost(model, initial_types=...)",
        "pytorch" => "torch.onnx.export(model, args, 'model/model.onnx')",
        "tensorflow" | "keras" => "python -m tf2onnx.convert --saved-model DIR --output model/model.onnx",
        _ => "an ONNX exporter of the framework",
    };
    format!("export it in the step: `{command}`, and write the result to `model.onnx` in the model folder")
}

/// Stores a model's files as blobs and returns their manifest.
pub(crate) async fn store(kernel: &Kernel, files: Vec<(&str, Vec<u8>)>) -> Result<Manifest> {
    let mut kept = Vec::with_capacity(files.len());
    for (path, bytes) in files {
        let blob = kernel.services.blobs.put_bytes(bytes).await?;
        kept.push(ManifestFile { path: path.parse()?, blob, is_executable: false });
    }
    let manifest = Manifest::new(kept)?;
    kernel.services.blobs.put_bytes(manifest.text().into_bytes()).await?;
    Ok(manifest)
}

/// Begins the MLflow run of a step's attempt.
pub(crate) async fn begin_run(
    context: &Context,
    step: &StepName,
    id: StepRunId,
    runner: &'static str,
) -> Result<RunId> {
    let run = NewRun {
        run_id: RunId::generate(),
        experiment_id: context.project.experiment,
        parent_run_id: None,
        name: step.to_string(),
        user_id: context.caller.principal.name.clone(),
        status: RunStatus::Running,
        start_ms: context.caller.kernel.services.clock.wall_ms(),
        tags: [
            ("mlflow.runName", step.to_string()),
            ("mlflow.source.type", "PROJECT".to_owned()),
            ("mlflow.source.name", format!("step:{step}")),
            ("perennial.pipeline_run", context.run.id.to_string()),
            ("perennial.step_run", id.to_string()),
        ]
        .into_iter()
        .map(|(key, value)| Tag { key: key.to_owned(), value })
        .collect(),
    };
    let run_id = run.run_id;
    context
        .caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                runs::create(tx, &run).await?;
                step_runs::set_run(tx, id, run_id, runner).await?;
                Ok(())
            })
        })
        .await?;
    Ok(run_id)
}

/// Ends the run of an attempt: what was logged, the model's files as artifacts, its status.
pub(crate) async fn end_run(
    context: &Context,
    run: RunId,
    status: RunStatus,
    mut batch: RunBatch,
    artifacts: Vec<(String, ManifestFile)>,
) -> Result<()> {
    let now = context.caller.kernel.services.clock.wall_ms();
    let sealer = RunSealer::new(&context.caller, context.project.id).await?;
    sealer.prepare(&context.caller, run).await?;
    context
        .caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                // A param the command logged itself stays as it wrote it: Python says `True` where we say `true`.
                let tracked = runs::get(tx, run).await?;
                let logged = runs::data(tx, std::slice::from_ref(&tracked)).await?.pop().unwrap_or_default();
                batch.params.retain(|param| !logged.params.iter().any(|known| known.key == param.key));
                runs::log_batch(tx, run, &batch).await?;
                for (path, file) in &artifacts {
                    let artifact = RunArtifact {
                        path: path.clone(),
                        blob_digest: file.blob.digest.to_string(),
                        size_bytes: file.blob.size_bytes,
                        updated_ms: now,
                    };
                    run_artifacts::upsert(tx, run, &artifact).await?;
                }
                let update = RunUpdate { status: Some(status), end_ms: Some(now), name: None };
                let ended = runs::update(tx, run, &update).await?;
                sealer.end(tx, &ended).await
            })
        })
        .await
}

/// The files of a model as artifacts below `folder`.
pub(crate) fn artifacts(folder: &str, manifest: &Manifest) -> Vec<(String, ManifestFile)> {
    manifest.files().iter().map(|file| (format!("{folder}/{}", file.path), file.clone())).collect()
}
