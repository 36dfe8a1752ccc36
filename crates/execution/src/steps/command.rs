//! `run` steps: any command, in a folder that holds just what was declared.

mod log_tail;
mod outputs;

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use perennial_artifacts::LinkMode;
use perennial_config::{Environment as Declared, Input, Isolation, OutputKind as Kind, Run};
use perennial_core::blob::{Manifest, ManifestFile};
use perennial_core::entity::{LoadOrigin, MetricPoint, Param, RunBatch, StepOutcome, StepOutput, StepOutputKind, Tag};
use perennial_core::id::{RunId, StepRunId};
use perennial_core::model::{Input as Feature, InputKind};
use perennial_core::name::StepName;
use perennial_core::port::data::{FrameRequest, Mode, StageInput};
use perennial_core::port::model::SignatureHint;
use perennial_core::port::runner::{Command, Environment, EnvironmentSpec, Exit, Limits};
use perennial_core::schema::TypeClass;
use perennial_core::state::RunStatus;
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::checks::plan;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::mlmodel::MlModel;
use super::training_set::{feature_names, split, task};
use super::{Made, ModelReference, model, named_output, sql};
use crate::pipelines::{Context, PipelineEvent};
use perennial_ingest::collect::checks_of;
use perennial_ingest::loads::{LoadOutcome, LoadRequest, ingest_rows};
use perennial_ingest::snapshot::{DatasetAtVersion, declare};
use perennial_kernel::access;

/// Lines of a step's log that an error repeats.
const LOG_TAIL_LINES: usize = 12;

/// The tag of a run that the machine's own programs made, and what is told of it.
const REPRODUCIBLE_TAG: &str = "perennial.reproducible";
const NOT_REPRODUCIBLE: &str = "not reproducible: made by the machine's own programs";

/// Bytes at the end of a log in which an error looks for its reason.
const LOG_TAIL_BYTES: u64 = 64 * 1024;

/// The environment a step runs in, resolved to its lock; it stays the same within a pipeline run.
pub(super) async fn environment(context: &Context, run: &Run) -> Result<Environment> {
    let program = run.argv.first().cloned().unwrap_or_default();
    let file = match &run.environment {
        Declared::System => None,
        Declared::Uv { file } => Some(file.clone()),
    };
    let key = (file, program);
    let known = || context.environments.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = known().get(&key) {
        return Ok(found.clone());
    }
    let found = context.caller.kernel.services.runner.resolve(&spec(context, run)?, &key.1).await?;
    known().insert(key, found.clone());
    Ok(found)
}

fn spec(context: &Context, run: &Run) -> Result<EnvironmentSpec> {
    Ok(match &run.environment {
        Declared::System => EnvironmentSpec::System,
        Declared::Uv { file } => {
            EnvironmentSpec::Uv { requirements: context.submission.declared_text(file)?.to_owned() }
        }
    })
}

/// Runs the command once. How it ended, what it used and its log are in `outcome`, when it failed too.
pub(super) async fn run(
    context: &Arc<Context>,
    step: &StepName,
    id: StepRunId,
    run: &Run,
    outcome: &mut StepOutcome,
) -> Result<Made> {
    let kernel = &context.caller.kernel;
    let tracked = model::begin_run(context, step, id, kernel.services.runner.name()).await?;
    let folder = kernel.services.work.join("steps").join(id.to_string());
    let _leaving = Leaving(&folder);
    let result = attempt(context, step, (id, tracked), run, &folder, outcome).await;
    let status = if result.is_ok() { RunStatus::Finished } else { RunStatus::Failed };
    let (batch, artifacts) = left_behind(context, step, run, &folder, result.as_ref().ok()).await?;
    model::end_run(context, tracked, status, batch, artifacts).await?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .map_err(|cause| Error::internal(format!("the folder of step `{step}` cannot be removed"), cause))?;
    }
    result
}

/// The folder of a step that is cut off goes with it.
struct Leaving<'a>(&'a Path);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        // What its last processes write meanwhile is removed at the next start.
        let _ = std::fs::remove_dir_all(self.0);
    }
}

async fn attempt(
    context: &Arc<Context>,
    step: &StepName,
    (id, tracked): (StepRunId, RunId),
    run: &Run,
    folder: &Path,
    outcome: &mut StepOutcome,
) -> Result<Made> {
    let kernel = &context.caller.kernel;
    let spec = spec(context, run)?;
    let environment = environment(context, run).await?;
    let environment = kernel.services.runner.prepare(&spec, &environment).await?;
    let here = folder.join("work");
    for place in [&here, &here.join("inputs"), &here.join("tmp")] {
        std::fs::create_dir_all(place)
            .map_err(|cause| Error::internal(format!("the folder of step `{step}` cannot be made"), cause))?;
    }
    let mut code = BTreeMap::new();
    for declared in &run.code {
        code.extend(context.submission.declared_files(declared)?);
    }
    for (path, digest) in code {
        let to = here.join(path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|cause| Error::internal("a folder for code cannot be made", cause))?;
        }
        kernel.services.blobs.materialize(*digest, &to, LinkMode::Copy).await?;
    }
    let mut env = BTreeMap::new();
    for input in &run.inputs {
        let to = provide(context, input, &here.join("inputs")).await?;
        env.insert(format!("PERENNIAL_INPUT_{}", variable(&input.to_string())), to.display().to_string());
    }
    for (name, output) in &run.outputs {
        let to = here.join(&output.path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)
                .map_err(|cause| Error::internal("a folder for outputs cannot be made", cause))?;
        }
        env.insert(format!("PERENNIAL_OUTPUT_{}", variable(name)), to.display().to_string());
    }
    env.insert("PERENNIAL_PARAMS".to_owned(), json!(run.params).to_string());
    for (name, value) in &run.params {
        env.insert(
            format!("PERENNIAL_PARAM_{}", variable(name)),
            value.as_str().map_or_else(|| value.to_string(), str::to_owned),
        );
    }
    env.insert("PERENNIAL_STEP".to_owned(), step.to_string());
    env.insert("PERENNIAL_PROJECT".to_owned(), context.project.name.to_string());
    let token = access::step_token(&context.caller, (context.project.id, &context.project.name), step, tracked).await?;
    if let Some(address) = kernel.address.get() {
        env.insert("MLFLOW_TRACKING_URI".to_owned(), address.clone());
        env.insert("MLFLOW_TRACKING_TOKEN".to_owned(), token.secret.clone());
        env.insert("MLFLOW_RUN_ID".to_owned(), tracked.to_string());
        env.insert("MLFLOW_EXPERIMENT_ID".to_owned(), context.project.experiment.to_string());
    }
    env.insert("HOME".to_owned(), here.display().to_string());
    env.insert("TMPDIR".to_owned(), here.join("tmp").display().to_string());
    env.insert("LANG".to_owned(), "C.UTF-8".to_owned());
    env.insert("PYTHONDONTWRITEBYTECODE".to_owned(), "1".to_owned());
    env.insert("PYTHONUNBUFFERED".to_owned(), "1".to_owned());
    let mut path: Vec<String> = environment.path.iter().map(|folder| folder.display().to_string()).collect();
    path.extend(["/usr/local/bin", "/usr/bin", "/bin"].map(str::to_owned));
    env.insert("PATH".to_owned(), path.join(":"));
    let command =
        Command {
            argv: run.argv.clone(),
            folder: here.clone(),
            env,
            readable: if run.isolation == Isolation::None {
                vec![PathBuf::from("/")]
            } else {
                environment.readable.clone()
            },
            limits: Limits {
                time: run.limits.time.as_ref().map(|time| {
                    std::time::Duration::from_millis(time.after(0, &jiff::tz::TimeZone::UTC).unsigned_abs())
                }),
                memory_bytes: run.limits.memory.map(perennial_config::Size::bytes),
                cpus: run.limits.cpus,
            },
            log: folder.join("log"),
        };
    let log = command.log.clone();
    let (over, ended) = oneshot::channel::<()>();
    let running = async {
        let ran = kernel.services.runner.run(command).await;
        drop(over);
        ran
    };
    let (ran, ()) = tokio::join!(running, log_tail::follow(context, step, &log, ended));
    access::revoke(&context.caller, &token).await?;
    let ran = ran?;
    *outcome = StepOutcome {
        exit: Some(json!(ran.exit)),
        peak_memory_bytes: ran.peak_memory_bytes,
        isolation: Some(isolation(run, ran.isolation)),
        message: (!environment.reproducible).then(|| NOT_REPRODUCIBLE.to_owned()),
        log_digest: Some(kernel.services.blobs.put_file(&log).await?.digest.to_string()),
    };
    if ran.exit != Exit::Code(0) {
        return Err(failed(step, run, &ran.exit, &ending(&log)));
    }
    let mut outputs = Vec::new();
    let mut told = Vec::new();
    for (name, output) in &run.outputs {
        let Some(place) = outputs::find(&here, &output.path)? else {
            return Err(Error::new(
                ErrorCode::StepFailed,
                format!("step `{step}` ended well but left nothing at `{}`, its output `{name}`", output.path),
            )
            .with_hint(format!("write to the path in $PERENNIAL_OUTPUT_{}", variable(name))));
        };
        let made = match output.kind {
            Kind::Model => take_model(context, step, id, name, &place, tracked, &environment).await?,
            Kind::Dataset => {
                outputs::plain(&place, &output.path)?;
                take_dataset(context, id, name, &place).await?
            }
            Kind::File => take_file(context, id, name, &place).await?,
        };
        told.push(format!("`{name}` {}", &made.digest[..8]));
        outputs.push(made);
    }
    if !environment.reproducible {
        told.push(NOT_REPRODUCIBLE.to_owned());
    }
    Ok(Made { outputs, message: told.join(", ") })
}

/// What the record says of the isolation. A step that asked to read everything was not isolated, however the
/// runner held it.
fn isolation(run: &Run, by_runner: String) -> String {
    if run.isolation == Isolation::None { "none (declared)".to_owned() } else { by_runner }
}

/// `features.train` → `FEATURES_TRAIN`.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Puts an input into the step's folder and gives its path.
async fn provide(context: &Arc<Context>, input: &Input, folder: &Path) -> Result<PathBuf> {
    let kernel = &context.caller.kernel;
    let to = folder.join(format!("{input}.parquet"));
    let (dataset, chosen) = match input {
        Input::Output { step, output } => {
            let output = named_output(context, step, output)?;
            let to = folder.join(input.to_string());
            let manifest =
                Manifest::parse(output.reference.get("manifest").and_then(Value::as_str).unwrap_or_default())?;
            kernel.services.blobs.materialize_folder(&manifest, &to, LinkMode::Copy).await?;
            return Ok(to);
        }
        Input::Dataset(dataset) => (dataset, None),
        Input::Train(dataset) => (dataset, Some(true)),
        Input::Test(dataset) => (dataset, Some(false)),
    };
    let table = context.table(dataset.as_str())?;
    let sql = match chosen {
        None => format!("SELECT * FROM \"{dataset}\""),
        Some(train) => {
            let (task, split) = (task(context)?, split(context).await?);
            let instant = |ms: i64| format!("to_timestamp_millis({ms})");
            let (time, target) = (format!("\"{}\"", task.time), format!("\"{}\"", task.target));
            let when = if train {
                format!("{time} < {}", instant(split.test.start_ms))
            } else {
                format!("{time} >= {} AND {time} < {}", instant(split.test.start_ms), instant(split.test.end_ms))
            };
            format!("SELECT * FROM \"{dataset}\" WHERE {target} IS NOT NULL AND {when}")
        }
    };
    kernel.data().export(FrameRequest { sql, tables: vec![table.named_table()] }, to.clone()).await?;
    Ok(to)
}

/// The last part of a log; empty when it cannot be read.
fn ending(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(log)?;
        let behind = file.metadata()?.len().saturating_sub(LOG_TAIL_BYTES);
        file.seek(SeekFrom::Start(behind))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
}

fn failed(step: &StepName, run: &Run, exit: &Exit, log: &str) -> Error {
    let how = match exit {
        Exit::Code(code) => format!("exited with status {code}"),
        Exit::Signal(signal) => format!("was killed by signal {signal}"),
        Exit::TimeLimit => "ran into its time limit and was stopped".to_owned(),
        Exit::MemoryLimit => "ran into its memory limit and was stopped".to_owned(),
        Exit::Cancelled => "was cancelled".to_owned(),
    };
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n");
    let error = Error::new(ErrorCode::StepFailed, format!("`{}` of step `{step}` {how}", run.argv.join(" ")));
    let next = match exit {
        Exit::TimeLimit => "raise `limits.time` of the step, or give it less to do".to_owned(),
        Exit::MemoryLimit => "raise `limits.memory` of the step, or give it less to do".to_owned(),
        _ if log.contains("Permission denied") || log.contains("PermissionError") => {
            "a step reads only what it declares in `inputs` and `code`, and writes only in its own folder; declare what it needs".to_owned()
        }
        _ => format!("the whole log: `perennial logs {step}`"),
    };
    if tail.is_empty() { error.with_hint(next) } else { error.with_hint(format!("its last lines:\n{tail}\n{next}")) }
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
    let name = name.parse()?;
    let dataset = declare(&context.caller.kernel, &context.project, &name, Mode::Replace, &[]).await?;
    let checks = checks_of(&context.submission.project, &name);
    let plan = context
        .with_snapshot(|snapshot| plan(&checks, |dataset| snapshot.find(dataset).map(DatasetAtVersion::named_table)))
        .map_err(|missing| Error::new(ErrorCode::NotFound, missing.to_string()))?;
    let request = LoadRequest {
        dataset,
        origin: LoadOrigin::Step,
        origin_id: Some(id.to_string()),
        files: None,
        input: StageInput::Parquet(place.to_path_buf()),
        evolve: true,
        replaces: None,
        supersedes: None,
        checks,
        plan,
    };
    match ingest_rows(&context.caller, &context.project, request).await? {
        LoadOutcome::Held(load, _) => Err(Error::new(ErrorCode::LoadHeld, load.message.unwrap_or_default())),
        LoadOutcome::Committed(table, ..) | LoadOutcome::Unchanged(table) => sql::made(context, id, *table)
            .outputs
            .pop()
            .ok_or_else(|| Error::new(ErrorCode::Internal, "a dataset was made and not recorded")),
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
    };
    let chosen = onnx.iter().find(|file| file.path.as_str() == "model.onnx").or(onnx.first());
    if let Some(file) = chosen {
        let kernel = &context.caller.kernel;
        let files = model::files(kernel, &manifest, file.path.as_str()).await?;
        let hint = SignatureHint { task: task(context)?.kind, features: features(context)?, classes: Vec::new() };
        let signature = kernel
            .services
            .models
            .signature(files, hint)
            .await
            .map_err(|error| error.with_message(format!("the model of step `{step}`: {}", error.message())))?;
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

/// Feature columns of `[task].data` with their kinds.
fn features(context: &Context) -> Result<Vec<Feature>> {
    let task = task(context)?;
    let schema = context.table(task.data.as_str())?.version.schema;
    let columns: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
    let kind = |name: &str| match schema.field(name).map(|field| &field.class) {
        Some(TypeClass::Text) => InputKind::Text,
        _ => InputKind::Number,
    };
    Ok(feature_names(task, &columns).into_iter().map(|name| Feature { kind: kind(&name), name }).collect())
}

/// What the attempt logged beside its outputs: its params, and the numbers of `metrics.json`.
async fn left_behind(
    context: &Context,
    step: &StepName,
    run: &Run,
    folder: &Path,
    made: Option<&Made>,
) -> Result<(RunBatch, Vec<(String, ManifestFile)>)> {
    let now = context.caller.kernel.services.clock.wall_ms();
    let numbers = outputs::metrics(&folder.join("work")).and_then(|text| {
        let text = if text.is_empty() { "{}" } else { &text };
        serde_json::from_str::<serde_json::Map<String, Value>>(text).map_err(|cause| {
            Error::new(ErrorCode::StepFailed, format!("metrics.json is no object of numbers: {cause}"))
        })
    });
    let metrics = match numbers {
        Ok(map) => map
            .into_iter()
            .filter_map(|(key, value)| Some(MetricPoint { key, value: value.as_f64()?, timestamp_ms: now, step: 0 }))
            .collect(),
        Err(error) => {
            let line = format!("metrics.json is left out: {}", error.message());
            context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
            Vec::new()
        }
    };
    let params = run
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
    let is_bound = environment(context, run).await.is_ok_and(|environment| !environment.reproducible);
    let tags = is_bound.then(|| Tag { key: REPRODUCIBLE_TAG.to_owned(), value: "false".to_owned() });
    Ok((RunBatch { metrics, params, tags: tags.into_iter().collect() }, artifacts))
}

fn is_onnx(file: &ManifestFile) -> bool {
    Path::new(file.path.as_str()).extension().is_some_and(|ending| ending.eq_ignore_ascii_case("onnx"))
}
