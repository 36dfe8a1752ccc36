//! Steps: their cache keys, and running each kind.

mod command;
mod dataset;
mod evaluate;
mod mlmodel;
mod model;
mod sql;
mod train;
mod training_set;

use std::sync::Arc;

use crate::plan::KeyParts;
use futures::future::BoxFuture;
use perennial_config::{Check, Condition, GraphNode, Input, Isolation, Network, OutputKind as Kind, Step, StepKind};
use perennial_core::calendar::rfc3339;
use perennial_core::entity::{StepOutcome, StepOutput, StepOutputKind, StepRun, WorkKind};
use perennial_core::id::StepRunId;
use perennial_core::ledger::Chain;
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::name::{DatasetName, StepName};
use perennial_core::state::{StepRunEvent, StepRunState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::dataset_versions;
use perennial_store::{lineage, step_runs};
use serde_json::json;

pub(crate) use command::cancel_job;
pub use evaluate::find as find_evidence;
pub use evaluate::{Evidence, ModelFacts};
pub use model::{ModelReference, load as load_model};

use crate::pipelines::{Context, PipelineEvent, plan_step};
use crate::split::Split;
use perennial_ingest::loads::version_node;
use perennial_ingest::snapshot::DatasetAtVersion;
use perennial_kernel::attempts::{self, Work};
use perennial_kernel::{LedgerEvent, Recorder};

/// The result of one attempt.
#[derive(Default)]
pub(crate) struct StepResult {
    pub outputs: Vec<StepOutput>,
    /// One line for people.
    pub message: String,
}

pub(crate) fn declared<'a>(context: &'a Context, step: &StepName) -> Result<&'a Step> {
    context.submission.project.steps.get(step).ok_or_else(|| Error::not_found("step", step))
}

/// The cache key's parts: everything the step's outcome depends on, by content.
pub(crate) async fn key(context: &Arc<Context>, step: &StepName) -> Result<KeyParts> {
    let kind = declared(context, step)?.kind.clone();
    let kernel = &context.caller.kernel;
    let mut parts = KeyParts::new().with("kind", kind.as_str()).with("engine", kernel.services.version);
    for thing in context.submission.graph.inputs(step) {
        parts = match thing {
            GraphNode::Dataset(name) => parts.with(format!("input:{name}"), digest_of(context, name.as_str())?),
            GraphNode::Model(model) => parts.with(format!("model:{model}"), model_output(context, model)?.digest),
            GraphNode::Output(step, output) => {
                parts.with(format!("input:{step}.{output}"), named_output(context, step, output)?.digest)
            }
        };
    }
    match &kind {
        StepKind::Sql { file } => {
            let checks = checks_text(context, &dataset_of(step)?);
            Ok(parts.with("sql", context.submission.declared_text(file)?).with("checks", checks))
        }
        StepKind::Train { trainer, params } => {
            let split = training_set::split(context).await?;
            Ok(parts
                .with("trainer", format!("{trainer} {}", kernel.services.trainer.version()))
                .with("params", json!(params).to_string())
                .with("task", training_set::task_text(context)?)
                .with("split", split_text(&split)))
        }
        StepKind::Evaluate { slices, .. } => {
            let split = training_set::split(context).await?;
            let champion = context.champion().await?;
            let release = context.submission.project.release.as_ref();
            Ok(parts
                .with("candidate", release.map_or("none", |release| release.model.as_str()))
                .with("slices", slices.join(","))
                // Evidence of earlier versions does not distinguish leaks and strong features.
                .with("leaks", "2")
                .with("task", training_set::task_text(context)?)
                .with("split", split_text(&split))
                .with(
                    "champion",
                    champion.map_or("none", |version| version.content_digest.as_deref().unwrap_or_default()),
                ))
        }
        StepKind::Run(run) => {
            for declared in &run.code {
                for (path, digest) in context.submission.declared_files(declared)? {
                    parts = parts.with(format!("code:{path}"), digest.to_string());
                }
            }
            let by_split = run.inputs.iter().any(|input| matches!(input, Input::Train(_) | Input::Test(_)));
            if by_split {
                parts = parts.with("split", split_text(&training_set::split(context).await?));
            }
            // The task defines the inputs and outputs of a model.
            if by_split || (declared(context, step)?.produces_model() && context.submission.project.task.is_some()) {
                parts = parts.with("task", training_set::task_text(context)?);
            }
            for (name, _) in run.outputs.iter().filter(|(_, output)| output.kind == Kind::Dataset) {
                parts = parts.with(format!("checks:{name}"), checks_text(context, &name.parse()?));
            }
            if run.network != Network::Full {
                parts = parts.with("network", run.network.as_str());
            }
            let environment = command::environment(context, run).await?;
            let outputs = run.outputs.iter().map(|(name, output)| json!([name, output.path, output.kind]));
            Ok(parts
                .with("command", json!(run.argv).to_string())
                .with("params", json!(run.params).to_string())
                .with("environment", environment.digest)
                .with("outputs", json!(outputs.collect::<Vec<_>>()).to_string())
                .with("isolation", if run.isolation == Isolation::None { "none" } else { "full" }))
        }
    }
}

/// The test window, by its instants.
fn split_text(split: &Split) -> String {
    format!("{} to {}", rfc3339(split.test.start_ms), rfc3339(split.test.end_ms))
}

/// The checks of a dataset in canonical form.
fn checks_text(context: &Context, dataset: &DatasetName) -> String {
    let checks = context.submission.project.checks_of(dataset);
    json!(checks.iter().map(check_text).collect::<Vec<_>>()).to_string()
}

/// A check in canonical form.
fn check_text(check: &Check) -> serde_json::Value {
    let condition = match &check.condition {
        Condition::Expression(that) => json!({ "that": that }),
        Condition::Unique(columns) => json!({ "unique": columns }),
        Condition::References { column, dataset, target } => json!({ "references": [column, dataset, target] }),
    };
    json!([check.name, condition, check.at_least, check.severity])
}

fn digest_of(context: &Context, dataset: &str) -> Result<String> {
    context.with_snapshot(|snapshot| Ok(snapshot.get(dataset)?.version.digest.clone()))
}

/// The model a step made.
pub fn model_output(context: &Context, step: &StepName) -> Result<StepOutput> {
    let (_, outputs) = context.outputs_of(step)?;
    outputs
        .into_iter()
        .find(|output| output.kind == StepOutputKind::Model)
        .ok_or_else(|| Error::not_found("model of step", step))
}

fn named_output(context: &Context, step: &StepName, name: &str) -> Result<StepOutput> {
    let (_, outputs) = context.outputs_of(step)?;
    outputs
        .into_iter()
        .find(|output| output.name == name)
        .ok_or_else(|| Error::not_found("output", format!("{step}.{name}")))
}

/// The dataset an SQL step makes has the step's name.
pub(crate) fn dataset_of(step: &StepName) -> Result<DatasetName> {
    step.as_str().parse()
}

/// The record of a new attempt.
pub(crate) fn new_attempt(
    context: &Context,
    step: &StepName,
    parts: &KeyParts,
    id: StepRunId,
    state: StepRunState,
) -> StepRun {
    let at = context.project.now();
    let is_over = state == StepRunState::Cached;
    StepRun {
        id,
        project_id: context.project.id,
        pipeline_run_id: context.run.id,
        step: step.clone(),
        attempt: context.next_attempt(step),
        state,
        cache_key: parts.key(),
        key_parts: json!(parts),
        reused_from: None,
        run_id: None,
        runner: None,
        exit: None,
        peak_memory_bytes: None,
        isolation: None,
        message: None,
        log_digest: None,
        started_ms: is_over.then_some(at.wall_ms),
        ended_ms: is_over.then_some(at.wall_ms),
    }
}

/// Makes the outputs of an earlier attempt current; `false` when one of them does not exist any more.
pub(crate) async fn restore(context: &Arc<Context>, step: &StepName, outputs: &[StepOutput]) -> Result<bool> {
    let kernel = &context.caller.kernel;
    if matches!(declared(context, step)?.kind, StepKind::Evaluate { .. })
        && !evaluate::is_fresh(context, outputs).await?
    {
        return Ok(false);
    }
    for output in outputs {
        match output.kind {
            StepOutputKind::Dataset => {
                let now = context.with_snapshot(|snapshot| snapshot.find(&output.name).cloned());
                let Some(now) = now else { return Ok(false) };
                if now.version.digest == output.digest {
                    continue;
                }
                let found = dataset_versions::find_by_digest(
                    &mut *kernel.store().read().await?,
                    now.dataset.id,
                    &output.digest,
                )
                .await?;
                let Some(version) = found else { return Ok(false) };
                context
                    .snapshot
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .insert(DatasetAtVersion { dataset: now.dataset, version });
            }
            StepOutputKind::Model | StepOutputKind::File | StepOutputKind::Report => {
                let digest = output.digest.parse()?;
                if !kernel.services.blobs.exists(digest).await? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// Runs a step, with its retries, and records each attempt.
pub(crate) fn run(context: Arc<Context>, step: StepName, parts: KeyParts) -> BoxFuture<'static, Result<()>> {
    Box::pin(async move { run_to_end(&context, &step, &parts).await })
}

async fn run_to_end(context: &Arc<Context>, step: &StepName, parts: &KeyParts) -> Result<()> {
    let kind = declared(context, step)?.kind.clone();
    let reasons = plan_step(&context.caller, &context.project, step, parts, false).await?.reasons;
    context.emit(PipelineEvent::StepStarted { step: step.clone(), kind: kind.as_str().to_owned(), why: reasons }).await;
    let retries = if let StepKind::Run(run) = &kind { run.retries } else { 0 };
    let began_ms = context.caller.kernel.services.clock.wall_ms();
    let mut number = 1;
    loop {
        let id = StepRunId::generate();
        let mut attempt = new_attempt(context, step, parts, id, StepRunState::Pending);
        attempt.attempt += number - 1;
        begin(context, attempt).await?;
        let mut outcome = StepOutcome::default();
        let result = match &kind {
            // A command runs in processes of its own, which do not end the server.
            StepKind::Run(run) => command::run(context, step, id, run, &mut outcome).await,
            kind => {
                let work = Work {
                    project: context.project.id,
                    kind: WorkKind::Step,
                    subject: format!("{step}/{}", parts.key()),
                    description: format!("step `{step}`"),
                };
                let attempt = Box::pin(run_in_process(context, step, id, kind));
                attempts::guard(&context.caller.kernel, work, attempt).await
            }
        };
        let ms = context.caller.kernel.services.clock.wall_ms() - began_ms;
        match result {
            Ok(made) => {
                let message = Some(made.message.clone()).filter(|message| !message.is_empty());
                succeed(context, step, parts, id, made, outcome).await?;
                context
                    .emit(PipelineEvent::StepEnded {
                        step: step.clone(),
                        state: "succeeded".to_owned(),
                        ms,
                        message,
                        hint: None,
                    })
                    .await;
                return Ok(());
            }
            Err(error) => {
                fail(context, step, id, outcome, &error).await?;
                if number > i64::from(retries) {
                    let hint = error.hint().map(str::to_owned);
                    context
                        .emit(PipelineEvent::StepEnded {
                            step: step.clone(),
                            state: "failed".to_owned(),
                            ms,
                            message: Some(error.message().to_owned()),
                            hint,
                        })
                        .await;
                    return Err(error);
                }
                let wait = std::time::Duration::from_secs(1 << number.min(6));
                let line =
                    format!("attempt {number} failed: {}; the next begins in {} s", error.message(), wait.as_secs());
                context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
                tokio::time::sleep(wait).await;
                number += 1;
            }
        }
    }
}

/// Makes an attempt at a step that is executed in the server's process.
async fn run_in_process(context: &Arc<Context>, step: &StepName, id: StepRunId, kind: &StepKind) -> Result<StepResult> {
    match kind {
        StepKind::Sql { file } => sql::run(context, step, id, file).await,
        StepKind::Train { trainer, params } => train::run(context, step, id, trainer, params).await,
        StepKind::Evaluate { models, slices } => evaluate::run(context, step, id, models, slices).await,
        StepKind::Run(_) => Err(Error::internal("a command runs in a process of its own", step.to_string())),
    }
}

async fn begin(context: &Context, attempt: StepRun) -> Result<()> {
    let at_ms = context.caller.kernel.services.clock.wall_ms();
    context
        .caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                step_runs::insert(tx, &attempt).await?;
                let outcome = StepOutcome {
                    exit: None,
                    peak_memory_bytes: None,
                    isolation: None,
                    message: None,
                    log_digest: None,
                };
                step_runs::apply(tx, attempt.id, StepRunEvent::Start, &outcome, at_ms).await?;
                let run = Node { kind: NodeKind::PipelineRun, id: attempt.pipeline_run_id.to_string() };
                lineage::add(tx, attempt.project_id, &run, &step_node(attempt.id), at_ms).await?;
                Ok(())
            })
        })
        .await
}

/// The lineage node of an attempt.
pub fn step_node(id: StepRunId) -> Node {
    Node { kind: NodeKind::StepRun, id: id.to_string() }
}

async fn succeed(
    context: &Context,
    step: &StepName,
    parts: &KeyParts,
    id: StepRunId,
    made: StepResult,
    outcome: StepOutcome,
) -> Result<()> {
    let at = context.project.now();
    let outputs = made.outputs.clone();
    let inputs = input_nodes(context, step, parts);
    let (project_id, actor) = (context.project.id, context.caller.principal.name.clone());
    let payload = json!({ "step": step, "outputs": outputs.iter().map(|output| json!({ "name": output.name, "digest": output.digest })).collect::<Vec<_>>() });
    let cause = context.caller.cause_text();
    context
        .caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                for output in &outputs {
                    step_runs::upsert_output(tx, output).await?;
                }
                for input in &inputs {
                    lineage::add(tx, project_id, input, &step_node(id), at.wall_ms).await?;
                }
                step_runs::apply(tx, id, StepRunEvent::Succeed, &outcome, at.wall_ms).await?;
                let event = LedgerEvent {
                    chain: Chain::Project(project_id),
                    noun: "step_run",
                    subject: id.to_string(),
                    verb: "succeed",
                    payload,
                };
                Recorder { actor, cause, at }.record(tx, event).await
            })
        })
        .await?;
    context.record_outputs(step, id, made.outputs);
    Ok(())
}

/// The inputs of a step as lineage nodes: dataset versions, the attempts that made its models, code, and the
/// environment of its command. Built-in steps have the engine's version in their key instead.
fn input_nodes(context: &Context, step: &StepName, parts: &KeyParts) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for thing in context.submission.graph.inputs(step) {
        match thing {
            GraphNode::Dataset(name) => nodes.extend(
                context
                    .with_snapshot(|snapshot| snapshot.find(name.as_str()).map(|found| version_node(&found.version))),
            ),
            GraphNode::Model(from) | GraphNode::Output(from, _) => {
                nodes.extend(context.outputs_of(from).ok().map(|(by, _)| step_node(by)));
            }
        }
    }
    nodes.push(Node { kind: NodeKind::Code, id: context.submission.digest.clone() });
    nodes.extend(parts.get("environment").map(|digest| Node::new(NodeKind::Environment, digest)));
    nodes
}

async fn fail(context: &Context, step: &StepName, id: StepRunId, outcome: StepOutcome, error: &Error) -> Result<()> {
    let at = context.project.now();
    if error.code() == ErrorCode::Internal {
        tracing::error!(step_run.id = %id, error = error.chain(), "a step failed");
    }
    let outcome = StepOutcome { message: Some(error.message().to_owned()), ..outcome };
    let (project_id, actor) = (context.project.id, context.caller.principal.name.clone());
    let (cause, payload) = (context.caller.cause_text(), json!({ "step": step, "error": error.code().name() }));
    context
        .caller
        .kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                step_runs::apply(tx, id, StepRunEvent::Fail, &outcome, at.wall_ms).await?;
                let event = LedgerEvent {
                    chain: Chain::Project(project_id),
                    noun: "step_run",
                    subject: id.to_string(),
                    verb: "fail",
                    payload,
                };
                Recorder { actor, cause, at }.record(tx, event).await
            })
        })
        .await
}
