//! After the command: stores its outputs.

use std::path::{Path, PathBuf};

use perennial_config::OutputKind as Kind;
use perennial_core::blob::{Manifest, ManifestFile};
use perennial_core::entity::{LoadOrigin, StepOutput, StepOutputKind};
use perennial_core::id::{RunId, StepRunId};
use perennial_core::model::{Input as Feature, InputKind};
use perennial_core::name::StepName;
use perennial_core::port::data::StageInput;
use perennial_core::port::model::SignatureHint;
use perennial_core::port::runner::Environment;
use perennial_core::schema::TypeClass;
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::loads::LoadOutcome;
use serde_json::json;

use super::super::mlmodel::MlModel;
use super::super::training_set::{column_class, feature_names, task};
use super::super::{ModelReference, StepResult, dataset, model};
use super::{Attempt, NOT_REPRODUCIBLE, outputs, variable};
use crate::pipelines::Context;

impl Attempt<'_> {
    /// Stores the outputs of a command that succeeded.
    pub(super) async fn collect(&self, environment: &Environment) -> Result<StepResult> {
        let mut made = StepResult::default();
        let mut notes = Vec::new();
        for (name, path) in self.find_outputs().await? {
            let kind = self.run.outputs.get(&name).map(|output| output.kind);
            let output = match kind {
                Some(Kind::Model) => {
                    take_model(self.context, self.step, self.id, &name, &path, self.tracked, environment).await?
                }
                Some(Kind::Dataset) => take_dataset(self.context, self.id, &name, &path).await?,
                _ => take_file(self.context, self.id, &name, &path).await?,
            };
            notes.push(format!("`{name}` {}", &output.digest[..8]));
            made.outputs.push(output);
        }
        if !environment.reproducible {
            notes.push(NOT_REPRODUCIBLE.to_owned());
        }
        made.message = notes.join(", ");
        Ok(made)
    }

    /// The files and folders at the paths of the declared outputs, by name.
    async fn find_outputs(&self) -> Result<Vec<(String, PathBuf)>> {
        let (folder, step, declared) = (self.working_folder(), self.step.clone(), self.run.outputs.clone());
        let find = move || {
            let mut found = Vec::new();
            for (name, output) in &declared {
                let Some(path) = outputs::find(&folder, &output.path)? else {
                    return Err(Error::new(
                        ErrorCode::StepFailed,
                        format!("step `{step}` ended well but left nothing at `{}`, its output `{name}`", output.path),
                    )
                    .with_hint(format!("write to the path in $PERENNIAL_OUTPUT_{}", variable(name))));
                };
                if output.kind == Kind::Dataset {
                    outputs::plain(&path, &output.path)?;
                }
                found.push((name.clone(), path));
            }
            Ok(found)
        };
        self.context.caller.kernel.run_blocking_short(find).await
    }
}

async fn take_file(context: &Context, id: StepRunId, name: &str, place: &Path) -> Result<StepOutput> {
    let manifest = if place.is_dir() {
        context.caller.kernel.services.blobs.put_folder(place).await?
    } else {
        one_file(context, place).await?
    };
    Ok(StepOutput {
        step_run_id: id,
        name: name.to_owned(),
        kind: StepOutputKind::File,
        digest: manifest.digest().to_string(),
        reference: json!({ "manifest": manifest.text() }),
    })
}

async fn one_file(context: &Context, place: &Path) -> Result<Manifest> {
    let blobs = &context.caller.kernel.services.blobs;
    let blob = blobs.put_file(place).await?;
    let path = place.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default().parse()?;
    let manifest = Manifest::new(vec![ManifestFile { path, blob, is_executable: false }])?;
    blobs.put_bytes(manifest.text().into_bytes()).await?;
    Ok(manifest)
}

async fn take_dataset(context: &Context, id: StepRunId, name: &str, place: &Path) -> Result<StepOutput> {
    let input = StageInput::Parquet(place.to_path_buf());
    match dataset::load(context, id, &name.parse()?, LoadOrigin::Step, input).await? {
        LoadOutcome::Held(load, _) => Err(Error::new(ErrorCode::LoadHeld, load.message.unwrap_or_default())),
        LoadOutcome::Committed(table, ..) | LoadOutcome::Unchanged(table) => Ok(dataset::record(context, id, *table)),
    }
}

async fn take_model(
    context: &Context,
    step: &StepName,
    id: StepRunId,
    name: &str,
    place: &Path,
    run: RunId,
    environment: &Environment,
) -> Result<StepOutput> {
    let blobs = &context.caller.kernel.services.blobs;
    let manifest = if place.is_dir() { blobs.put_folder(place).await? } else { one_file(context, place).await? };
    let onnx: Vec<&ManifestFile> = manifest.files().iter().filter(|file| is_onnx(file)).collect();
    let flavor = flavors(context, &manifest).await?;
    let mut reference = ModelReference {
        manifest: manifest.text(),
        onnx: None,
        flavor,
        signature: None,
        run,
        environment: environment.digest.clone(),
        warnings: Vec::new(),
    };
    let chosen = onnx.iter().find(|file| file.path.as_str() == "model.onnx").or(onnx.first());
    if let Some(file) = chosen {
        let kernel = &context.caller.kernel;
        let files = model::files(kernel, &manifest, file.path.as_str()).await?;
        let hint = hint(context)?;
        let mut signature = kernel
            .model_signature(context.project.id, files, hint)
            .await
            .map_err(|error| error.with_message(format!("the model of step `{step}`: {}", error.message())))?;
        signature.declare_times(|name| column_class(context, name));
        reference.onnx = Some(file.path.to_string());
        reference.signature = Some(signature);
    }
    reference.output(id, name)
}

/// Flavours named in the folder's `MLmodel`, else `onnx` or `files`.
async fn flavors(context: &Context, manifest: &Manifest) -> Result<String> {
    let Some(file) = manifest.file("MLmodel") else {
        let is_onnx = manifest.files().iter().any(is_onnx);
        return Ok(if is_onnx { "onnx" } else { "files" }.to_owned());
    };
    let bytes = context.caller.kernel.services.blobs.get_bytes(file.blob.digest, 1024 * 1024).await?;
    Ok(MlModel::parse(&String::from_utf8_lossy(&bytes))?.kind())
}

/// What `[task]` and the schema of its data say about a model.
fn hint(context: &Context) -> Result<SignatureHint> {
    let task = task(context)?;
    let schema = context.table(task.data.as_str())?.version.schema;
    let columns: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let kind = |name: &str| match schema.field(name).map(|field| &field.class) {
        Some(TypeClass::Text) => InputKind::Text,
        _ => InputKind::Number,
    };
    let features =
        feature_names(task, &columns).into_iter().map(|name| Feature { kind: kind(&name), name, time: None }).collect();
    Ok(SignatureHint {
        features,
        are_outcomes_numbers: kind(&task.target) == InputKind::Number,
        ..SignatureHint::new(task.kind)
    })
}

fn is_onnx(file: &ManifestFile) -> bool {
    Path::new(file.path.as_str()).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}
