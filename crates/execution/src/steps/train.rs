//! `train` steps: the built-in trainers.

use std::sync::Arc;

use perennial_core::entity::{MetricPoint, Param, RunBatch};
use perennial_core::frame::{Column, Frame};
use perennial_core::id::StepRunId;
use perennial_core::model::classes::{self, ClassKind};
use perennial_core::name::StepName;
use perennial_core::port::training::{Target, TrainedModel};
use perennial_core::schema::TypeClass;
use perennial_core::state::RunStatus;
use perennial_core::task::TaskKind;
use perennial_core::{Error, ErrorCode, Result};
use serde_json::{Map, Value, json};

use super::mlmodel::MlModel;
use super::training_set::{Examples, column_class, feature_names, split, task};
use super::{ModelReference, StepResult, model};
use crate::pipelines::{Context, PipelineEvent};

pub(super) async fn run(
    context: &Arc<Context>,
    step: &StepName,
    id: StepRunId,
    trainer: &str,
    params: &Map<String, Value>,
) -> Result<StepResult> {
    let kernel = context.caller.kernel.clone();
    let task = task(context)?.clone();
    let split = split(context).await?;
    let run = model::begin_run(context, step, id, "built in").await?;
    let examples = Examples::read(context, &[]).await?;
    let line = format!(
        "{} training rows before {}",
        split.train_rows,
        perennial_core::calendar::local(split.test.start_ms, &context.submission.zone)
    );
    context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
    let rows = examples.labelled_rows(|time| split.is_training(time));
    let names = feature_names(&task, examples.frame.names());
    let (kind, params, services) = (trainer.to_owned(), params.clone(), kernel.services.trainer.clone());
    // Integers of many digits are texts in the frame.
    let are_numbers = column_class(context, &task.target) != Some(TypeClass::Text);
    let trained = kernel
        .run_blocking_heavy(context.project.id, move || {
            let chosen = examples.frame.select(&names).take(&rows);
            let target = target(&examples.frame, &task.target, &rows, task.kind)?;
            drop(examples);
            let mut trained = services.train(&kind, task.kind, &chosen, &target, &params)?;
            trained.signature.class_kind = ClassKind::of(&trained.signature.classes, are_numbers);
            Ok(trained)
        })
        .await;
    match trained {
        Ok(mut trained) => {
            trained.signature.declare_times(|name| column_class(context, name));
            record_training(context, step, id, run, trained).await
        }
        Err(error) => {
            model::end_run(
                context,
                run,
                RunStatus::Failed,
                RunBatch { metrics: vec![], params: vec![], tags: vec![] },
                vec![],
            )
            .await?;
            Err(error)
        }
    }
}

async fn record_training(
    context: &Context,
    step: &StepName,
    id: StepRunId,
    run: perennial_core::id::RunId,
    trained: TrainedModel,
) -> Result<StepResult> {
    let kernel = &context.caller.kernel;
    for warning in &trained.warnings {
        context.emit(PipelineEvent::StepLog { step: step.clone(), line: format!("warning: {warning}") }).await;
    }
    let now = kernel.services.clock.wall_ms();
    let metrics = trained
        .metrics
        .iter()
        .map(|(key, step, value)| MetricPoint { key: key.clone(), value: *value, timestamp_ms: now, step: *step })
        .collect();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let params = trained.params.iter().map(|(key, value)| Param { key: key.clone(), value: text(value) }).collect();
    let signature_text = serde_json::to_string_pretty(&trained.signature)
        .map_err(|cause| Error::internal("the signature does not write", cause))?;
    let importance: Vec<Value> =
        trained.importance.iter().map(|(feature, share)| json!({ "feature": feature, "share": share })).collect();
    // The files are the model's content: they contain neither the time nor the run that made it.
    let files = vec![
        ("importance.json", json!(importance).to_string().into_bytes()),
        ("model.onnx", trained.onnx),
        ("signature.json", signature_text.into_bytes()),
    ];
    let manifest = model::store(kernel, files).await?;
    let mut artifacts = model::artifacts("model", &manifest);
    let mlmodel = MlModel::of_onnx(&trained.signature, run).text()?;
    let described = kernel.services.blobs.put_bytes(mlmodel.into_bytes()).await?;
    artifacts.push((
        "model/MLmodel".to_owned(),
        perennial_core::blob::ManifestFile { path: "MLmodel".parse()?, blob: described, is_executable: false },
    ));
    model::end_run(context, run, RunStatus::Finished, RunBatch { metrics, params, tags: vec![] }, artifacts).await?;
    let reference = ModelReference {
        manifest: manifest.text(),
        onnx: Some("model.onnx".to_owned()),
        flavor: "onnx".to_owned(),
        signature: Some(trained.signature),
        run,
        environment: format!("built in, {}", kernel.services.trainer.version()),
        warnings: trained.warnings,
    };
    let output = reference.output(id, "model")?;
    let message = format!("model {} of `{step}`, {} bytes", &output.digest[..8], manifest.size_bytes());
    Ok(StepResult { outputs: vec![output], message })
}

/// The outcomes of the rows, as the task reads them.
fn target(frame: &Frame, name: &str, rows: &[usize], kind: TaskKind) -> Result<Target> {
    let column = frame.column(name).ok_or_else(|| Error::not_found("column", name))?.take(rows);
    match (kind, column) {
        (TaskKind::Binary, Column::Number(values)) if values.iter().all(|value| *value == 0.0 || *value == 1.0) => {
            Ok(Target::Binary(values))
        }
        (TaskKind::Regression, Column::Number(values)) => Ok(Target::Numbers(values)),
        (TaskKind::Multiclass, column) => Ok(classes(&column)),
        (TaskKind::Binary, _) => Err(wrong(name, "a boolean, or 0 and 1, for a binary task")),
        (TaskKind::Regression, _) => Err(wrong(name, "a number for a regression task")),
    }
}

fn wrong(name: &str, expected: &str) -> Error {
    Error::new(ErrorCode::ProjectFile, format!("column `{name}`, which `[task] target` names, is not {expected}"))
}

fn classes(column: &Column) -> Target {
    let label = |row: usize| match column {
        Column::Number(values) => values[row].to_string(),
        Column::Text(text) => text.get(row).unwrap_or_default().to_owned(),
    };
    let labels: Vec<String> = (0..column.len()).map(label).collect();
    let mut classes: Vec<String> = labels.clone();
    classes.sort_unstable_by(|a, b| classes::compare(a, b));
    classes.dedup();
    let code = |label: &String| classes.binary_search_by(|class| classes::compare(class, label)).unwrap_or_default();
    let codes = labels.iter().map(|label| code(label) as u32).collect();
    Target::Classes { codes, classes }
}
