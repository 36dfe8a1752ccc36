//! Decisions: gates evaluated over evidence, with the model version and the release they name.

use std::collections::BTreeMap;
use std::sync::Arc;

use perennial_config::StepKind;
use perennial_core::entity::{Decision, DecisionBody, GateResult, ModelVersion, RegisteredModel, Release};
use perennial_core::id::{DecisionId, ModelId};
use perennial_core::ledger::{Chain, DECISION, RELEASE};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::port::model::LoadedModel;
use perennial_core::release::ReleaseContent;
use perennial_core::rule::Verdict;
use perennial_core::state::ModelVersionState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::{dataset_versions, decisions, ledger, lineage, model_versions, registered_models, releases};
use serde_json::json;

use perennial_execution::pipelines::Context;
use perennial_execution::steps::{self, Evidence, ModelReference};
use perennial_kernel::{Kernel, LedgerEvent, Recorder};

use crate::catalog::registered;

/// The alias that endpoints follow.
pub const CHAMPION: &str = "champion";

/// The result of deciding over a candidate.
#[derive(Debug, Clone)]
pub struct Decided {
    /// The Decision's verdict; `None` when the candidate is the champion: there is nothing to release.
    pub verdict: Option<Verdict>,
    /// The candidate's number.
    pub number: i64,
    /// One line.
    pub message: String,
    /// The Decision.
    pub decision: Option<Decision>,
    /// Whether it was made just now.
    pub is_new: bool,
}

/// With fewer test rows the metrics are uncertain, and the Decision says so.
const FEW_ROWS: u64 = 100;

/// Leaks and strong features that the message of a Decision names.
const FEATURES_SHOWN: usize = 3;

/// The reference to the files of a model version.
pub fn reference_of(version: &ModelVersion) -> Result<ModelReference> {
    let manifest =
        version.manifest.clone().ok_or_else(|| Error::not_found("files of model version", version.number))?;
    serde_json::from_value(manifest)
        .map_err(|cause| Error::internal(format!("cannot parse the record of model version {}", version.number), cause))
}

/// Loads a model version for prediction.
pub async fn load_version(kernel: &Arc<Kernel>, version: &ModelVersion) -> Result<Arc<dyn LoadedModel>> {
    let name = format!("version {}", version.number);
    steps::load_model(kernel, version.project_id, &reference_of(version)?, &name).await
}

/// Decides over the candidate of this run, once for the same evidence and gates.
pub(crate) async fn decide(context: &Context) -> Result<Option<Decided>> {
    let submission = &context.submission.project;
    let (Some(release), Some(evaluation)) = (&submission.release, submission.evaluation_step()) else {
        return Ok(None);
    };
    let (by, _) = context.outputs_of(evaluation)?;
    let (row, evidence) = steps::find_evidence(context, by).await?;
    let candidate =
        evidence.model("candidate").ok_or_else(|| Error::not_found("gates model of step", &release.model))?;
    if let Some(champion) = evidence.model("champion").filter(|champion| champion.digest == candidate.digest) {
        let number = champion.number.unwrap_or_default();
        return Ok(Some(Decided {
            verdict: None,
            number,
            message: format!("the candidate is version {number}, the champion already"),
            decision: None,
            is_new: false,
        }));
    }
    let gates = evaluate_gates(context, &evidence);
    let allowed = submission.task.as_ref().map(|task| task.allow.as_slice()).unwrap_or_default();
    let leaks = not_allowed(&evidence.leaks, allowed);
    let verdict = overall(&gates, &leaks);
    let version = version_of(context, candidate.digest.clone()).await?;
    let content = content(context, &evidence, &candidate.digest)?;
    let digest = content.digest();
    let body = DecisionBody {
        gates,
        leaks,
        strong_features: not_allowed(&evidence.strong_features, allowed),
        warnings: evidence.warnings.clone(),
        evidence: row.id,
        content: content.clone(),
    };
    let mut reader = context.caller.kernel.store().read().await?;
    let known = decisions::find_by_evidence(&mut reader, context.project.id, &digest, row.id).await?;
    drop(reader);
    let message = summary(context, &version, verdict, &body, &evidence);
    if let Some(decision) = known.filter(|decision| decision.body == body) {
        return Ok(Some(Decided {
            verdict: Some(verdict),
            number: version.number,
            message,
            decision: Some(decision),
            is_new: false,
        }));
    }
    let at = context.project.now();
    let decision = Decision {
        id: DecisionId::generate(),
        project_id: context.project.id,
        pipeline_run_id: Some(context.run.id),
        evidence_id: row.id,
        release_digest: digest,
        model_id: version.model_id,
        number: version.number,
        champion_number: evidence.model("champion").and_then(|champion| champion.number),
        verdict,
        body,
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    store(context, &decision, &content, &version, &evidence).await?;
    let number = version.number;
    Ok(Some(Decided { verdict: Some(verdict), number, message, decision: Some(decision), is_new: true }))
}

/// The gates, each over the same facts. Where there is no champion yet, clauses that name it are skipped.
fn evaluate_gates(context: &Context, evidence: &Evidence) -> Vec<GateResult> {
    let facts = evidence.facts();
    let has_champion = evidence.model("champion").is_some();
    let gates = context.submission.project.gates.iter();
    gates
        .map(|(gate, expression)| {
            let evaluation = if has_champion {
                expression.evaluate(&facts)
            } else {
                expression.evaluate_without(&facts, "champion")
            };
            GateResult { gate: gate.clone(), expression: expression.text().to_owned(), evaluation }
        })
        .collect()
}

/// The features that the task does not allow, each with the reason.
fn not_allowed(features: &[(String, String)], allowed: &[String]) -> Vec<(String, String)> {
    features.iter().filter(|(feature, _)| !allowed.contains(feature)).cloned().collect()
}

fn overall(gates: &[GateResult], leaks: &[(String, String)]) -> Verdict {
    let verdicts: Vec<Verdict> = gates.iter().map(|gates| gates.evaluation.verdict).collect();
    if verdicts.contains(&Verdict::Fail) || !leaks.is_empty() {
        Verdict::Fail
    } else if verdicts.contains(&Verdict::Unknown) {
        Verdict::Unknown
    } else {
        Verdict::Pass
    }
}

/// Why a Decision did not pass, a sentence each.
pub(crate) fn gate_reasons(body: &DecisionBody) -> Vec<String> {
    let leaks = body.feature_lines().into_iter().take(body.leaks.len());
    failed_gates(&body.gates).chain(leaks).collect()
}

fn failed_gates(gates: &[GateResult]) -> impl Iterator<Item = String> {
    let failed = gates.iter().filter(|result| result.evaluation.verdict != Verdict::Pass);
    failed.map(|GateResult { gate, expression, evaluation }| match evaluation.verdict {
        Verdict::Unknown => {
            let absent: Vec<&str> = evaluation.missing.iter().chain(&evaluation.reasons).map(String::as_str).collect();
            format!("gate `{gate}` could not be evaluated: {} missing", absent.join(", "))
        }
        _ => format!("gate `{gate}` does not hold: {expression}"),
    })
}

fn summary(
    context: &Context,
    version: &ModelVersion,
    verdict: Verdict,
    body: &DecisionBody,
    evidence: &Evidence,
) -> String {
    let metric = context.submission.project.task.as_ref().map(|task| task.metric.clone()).unwrap_or_default();
    let value = |name: &str| {
        evidence.model(name).and_then(|model| model.facts.get(&metric)).and_then(serde_json::Value::as_f64)
    };
    let mut parts: Vec<String> = Vec::new();
    if let Some(candidate) = value("candidate") {
        let beside = value("champion").map_or_else(String::new, |champion| format!(", champion {champion:.4}"));
        parts.push(format!("{metric} {candidate:.4}{beside}"));
    }
    parts.extend(failed_gates(&body.gates));
    if evidence.split.test_rows < FEW_ROWS {
        parts.push(format!("evaluated on only {} rows", evidence.split.test_rows));
    }
    let mut features = body.feature_lines();
    let more = features.len().saturating_sub(FEATURES_SHOWN);
    features.truncate(FEATURES_SHOWN);
    parts.append(&mut features);
    if more > 0 {
        parts.push(format!("{more} more features are shown with the release"));
    }
    for warning in &evidence.warnings {
        parts.push(format!("warning: {warning}"));
    }
    let word = match verdict {
        Verdict::Pass => "passed",
        Verdict::Fail => "refused",
        Verdict::Unknown => "undecided, which blocks",
    };
    format!("version {} {word}: {}", version.number, parts.join("; "))
}

/// The registered version of a candidate's content, created when the content is new.
async fn version_of(context: &Context, digest: String) -> Result<ModelVersion> {
    let kernel = &context.caller.kernel;
    let at = context.project.now();
    let step = context
        .submission
        .project
        .release
        .as_ref()
        .map(|release| release.model.clone())
        .ok_or_else(|| Error::not_found("section", "[release]"))?;
    let output = steps::model_output(context, &step)?;
    if output.digest != digest {
        return Err(Error::new(
            ErrorCode::Evidence,
            format!("the evidence is about another model than the one step `{step}` made"),
        )
        .with_hint("run `perennial run` again: the `evaluate` step evaluates the present model"));
    }
    let reference = ModelReference::of(&output)?;
    let known = registered(kernel, &context.project).await?;
    if let Some(model) = &known
        && let Some(version) =
            model_versions::find_by_content(&mut *kernel.store().read().await?, model.id, &digest).await?
    {
        return Ok(version);
    }
    let new_model = RegisteredModel {
        id: known.as_ref().map_or_else(ModelId::generate, |model| model.id),
        project_id: context.project.id,
        name: context.project.name.to_string(),
        description: None,
        last_number: 0,
        created_ms: at.wall_ms,
        updated_ms: at.wall_ms,
    };
    let is_new = known.is_none();
    let (project_id, actor, cause) =
        (context.project.id, context.caller.principal.name.clone(), context.caller.cause_text());
    let mut version = ModelVersion {
        model_id: new_model.id,
        number: 0,
        project_id,
        source: format!("runs:/{}/model", reference.run),
        run_id: Some(reference.run),
        step_run_id: Some(output.step_run_id),
        content_digest: Some(digest),
        signature: Some(json!(reference.signature)),
        flavor: Some(reference.flavor.clone()),
        manifest: Some(json!(reference)),
        state: ModelVersionState::Ready,
        description: None,
        user_id: actor.clone(),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        updated_ms: at.wall_ms,
    };
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                if is_new {
                    registered_models::insert(tx, &new_model).await?;
                }
                version.number = model_versions::take_number(tx, new_model.id, at.wall_ms).await?;
                model_versions::insert(tx, &version).await?;
                let made = version_node(&version);
                if let Some(by) = version.step_run_id {
                    lineage::add(tx, project_id, &steps::step_node(by), &made, at.wall_ms).await?;
                }
                if let Some(run) = version.run_id {
                    lineage::add(tx, project_id, &Node { kind: NodeKind::Run, id: run.to_string() }, &made, at.wall_ms)
                        .await?;
                }
                let payload =
                    json!({ "model": new_model.name, "number": version.number, "digest": version.content_digest });
                let subject = format!("{}/{}", new_model.name, version.number);
                let event = LedgerEvent {
                    chain: Chain::Project(project_id),
                    noun: "model_version",
                    subject,
                    verb: "create",
                    payload,
                };
                Recorder { actor, cause, at }.record(tx, event).await?;
                Ok(version)
            })
        })
        .await
}

/// The lineage node of a model version.
pub fn version_node(version: &ModelVersion) -> Node {
    Node { kind: NodeKind::ModelVersion, id: format!("{}@{}", version.model_id, version.number) }
}

/// Everything the release binds, by content.
fn content(context: &Context, evidence: &Evidence, model: &str) -> Result<ReleaseContent> {
    let project = &context.submission.project;
    let mut environments = BTreeMap::new();
    for (name, step) in &project.steps {
        if step.produces_model() {
            let reference = ModelReference::of(&steps::model_output(context, name)?)?;
            environments.insert(name.to_string(), reference.environment);
        }
    }
    let mut configuration: BTreeMap<String, String> =
        project.gates.iter().map(|(name, rule)| (format!("gate:{name}"), rule.text().to_owned())).collect();
    for (name, endpoint) in &project.endpoints {
        configuration.insert(format!("endpoint:{name}"), endpoint.canonical().to_string());
    }
    let read: std::collections::BTreeSet<&str> = project
        .steps
        .iter()
        .filter(|(_, step)| !matches!(step.kind, StepKind::Evaluate { .. }))
        .flat_map(|(name, _)| context.submission.graph.inputs(name))
        .filter_map(
            |thing| if let perennial_config::GraphNode::Dataset(name) = thing { Some(name.as_str()) } else { None },
        )
        .chain(project.task.as_ref().map(|task| task.data.as_str()))
        .collect();
    let datasets = evidence
        .datasets
        .iter()
        .filter(|(name, _)| read.contains(name.as_str()))
        .map(|(name, (_, digest))| (name.clone(), digest.clone()))
        .collect();
    Ok(ReleaseContent {
        model: model.to_owned(),
        datasets,
        code: context.submission.digest.clone(),
        environments,
        configuration,
    })
}

async fn store(
    context: &Context,
    decision: &Decision,
    content: &ReleaseContent,
    version: &ModelVersion,
    evidence: &Evidence,
) -> Result<()> {
    let kernel = &context.caller.kernel;
    let chain = perennial_core::ledger::Chain::Project(context.project.id);
    let head = ledger::head(&mut *kernel.store().read().await?, chain).await?;
    let (decision, content, version, project_id) =
        (decision.clone(), content.clone(), version.clone(), context.project.id);
    let release = Release {
        project_id,
        digest: decision.release_digest.clone(),
        model_id: version.model_id,
        number: version.number,
        body: json!(content),
        ledger_head: head.hash,
        wall_ms: decision.wall_ms,
        project_ms: decision.project_ms,
    };
    let reference = perennial_core::entity::MonitorReference {
        project_id,
        release_digest: release.digest.clone(),
        body: json!({ "distributions": evidence.reference, "measures": evidence.model("candidate").map(|model| &model.facts) }),
        wall_ms: decision.wall_ms,
    };
    let pins: Vec<_> = context
        .snapshot()
        .iter()
        .filter(|table| content.datasets.contains_key(table.dataset.name.as_str()))
        .map(|table| (table.dataset.id, table.version.number))
        .collect();
    let at = perennial_core::clock::Instant { wall_ms: decision.wall_ms, project_ms: decision.project_ms };
    let (actor, cause) = (context.caller.principal.name.clone(), context.caller.cause_text());
    kernel
        .store()
        .write(move |tx| {
            Box::pin(async move {
                let is_new = releases::find(tx, project_id, &release.digest).await?.is_none();
                if is_new {
                    releases::insert(tx, &release).await?;
                    perennial_store::monitor_results::insert_reference(tx, &reference).await?;
                }
                for (dataset, number) in pins {
                    dataset_versions::pin(
                        tx,
                        dataset,
                        number,
                        perennial_core::entity::PinHolder::Release,
                        &release.digest,
                        None,
                    )
                    .await?;
                    let pinned = Node { kind: NodeKind::DatasetVersion, id: format!("{dataset}@{number}") };
                    lineage::add(tx, project_id, &pinned, &release_node(&release.digest), at.wall_ms).await?;
                }
                decisions::insert(tx, &decision).await?;
                lineage::add(tx, project_id, &version_node(&version), &release_node(&release.digest), at.wall_ms)
                    .await?;
                let evidence_node = Node { kind: NodeKind::Evidence, id: decision.evidence_id.to_string() };
                let decision_node = Node { kind: NodeKind::Decision, id: decision.id.to_string() };
                lineage::add(tx, project_id, &evidence_node, &decision_node, at.wall_ms).await?;
                lineage::add(tx, project_id, &decision_node, &release_node(&release.digest), at.wall_ms).await?;
                let (recorder, chain) = (Recorder { actor, cause, at }, Chain::Project(project_id));
                if is_new {
                    let (subject, payload) =
                        (release.digest.clone(), release.ledger_payload(&text(serde_json::to_string(&release.body))?));
                    recorder.record(tx, LedgerEvent { chain, noun: RELEASE, subject, verb: "create", payload }).await?;
                }
                let (subject, payload) =
                    (decision.id.to_string(), decision.ledger_payload(&text(serde_json::to_string(&decision.body))?));
                recorder.record(tx, LedgerEvent { chain, noun: DECISION, subject, verb: "decide", payload }).await
            })
        })
        .await
}

/// The text of a body, as it is stored.
fn text(body: serde_json::Result<String>) -> Result<String> {
    body.map_err(|cause| Error::internal("cannot serialize a decision", cause))
}

/// The lineage node of a release.
pub fn release_node(digest: &str) -> Node {
    Node { kind: NodeKind::Release, id: digest.to_owned() }
}
