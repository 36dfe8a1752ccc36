//! `evaluate` steps: the candidate, simpler models and the champion evaluated on the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use perennial_core::entity::{Evidence as Row, StepOutput, StepOutputKind};
use perennial_core::frame::Frame;
use perennial_core::id::{EvidenceId, StepRunId};
use perennial_core::model::Scores;
use perennial_core::name::StepName;
use perennial_core::port::model::LoadedModel;
use perennial_core::{Error, ErrorCode, Result};
use perennial_evaluation::plot::{Plot, plots};
use perennial_evaluation::{Outcomes, Suspect, leaks, model_warnings, outcome_warnings};
use perennial_monitoring::Reference;
use perennial_store::{check_results, evidence, loads};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::model::predict_blocking;
use super::training_set::{Examples, feature_names, split, task};
use super::{ModelReference, StepResult, load_model, model_output};
use crate::pipelines::{Context, PipelineEvent};
use crate::split::Split;

/// Warm single-row calls of one round of the latency measurement.
const LATENCY_ROWS: usize = 2_000;
/// Rounds of it; the best counts.
const LATENCY_ROUNDS: usize = 3;
/// Time of all rounds, of which the last call may take longer.
const LATENCY_TIME_MAX: Duration = Duration::from_secs(60);

/// One evaluated model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// Its name in gates: `candidate`, `champion`, or its step's.
    pub name: String,
    /// The step that made it; `None` for the champion.
    pub step: Option<StepName>,
    /// Digest of its files.
    pub digest: String,
    /// Number of the champion's version.
    pub number: Option<i64>,
    /// Measures and slices, as gates see them.
    pub facts: Map<String, Value>,
}

/// The evidence about a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// The split behind it.
    pub split: Split,
    /// Dataset versions by name: (number, digest).
    pub datasets: BTreeMap<String, (i64, String)>,
    /// The evaluated models, the candidate first.
    pub models: Vec<ModelFacts>,
    /// Features that are known only when the outcome is known, each with the reason; also those that `[task] allow` names.
    pub leaks: Vec<(String, String)>,
    /// Features that alone predict the outcome almost, each with the reason; also those that `[task] allow` names.
    #[serde(default)]
    pub strong_features: Vec<(String, String)>,
    /// What makes the measures doubtful without refusing the candidate, one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The candidate's latency.
    pub serving: Value,
    /// Data checks of the dataset versions behind it, counted.
    pub checks: Value,
    /// The candidate's reference for monitors.
    pub reference: Reference,
    /// Pictures: name, title, blob digest.
    pub plots: Vec<(String, String, String)>,
}

impl Evidence {
    /// The facts that gates are evaluated over.
    pub fn facts(&self) -> Value {
        let mut facts: Map<String, Value> =
            self.models.iter().map(|model| (model.name.clone(), Value::Object(model.facts.clone()))).collect();
        facts.insert("serving".to_owned(), self.serving.clone());
        facts.insert("checks".to_owned(), self.checks.clone());
        Value::Object(facts)
    }

    /// An evaluated model by its name in gates.
    pub fn model(&self, name: &str) -> Option<&ModelFacts> {
        self.models.iter().find(|model| model.name == name)
    }
}

/// The evidence an attempt gathered.
pub async fn find(context: &Context, step_run: StepRunId) -> Result<(Row, Evidence)> {
    let row = evidence::find_by_step_run(&mut *context.caller.kernel.store().read().await?, step_run)
        .await?
        .ok_or_else(|| Error::not_found("evidence of step run", step_run))?;
    let body = serde_json::from_value(row.body.clone())
        .map_err(|cause| Error::internal(format!("cannot parse evidence `{}`", row.id), cause))?;
    Ok((row, body))
}

/// Whether the evidence behind cached outputs has not expired.
pub(super) async fn is_fresh(context: &Context, outputs: &[StepOutput]) -> Result<bool> {
    let Some(output) = outputs.first() else { return Ok(false) };
    let row = evidence::find_by_step_run(&mut *context.caller.kernel.store().read().await?, output.step_run_id).await?;
    Ok(row.is_some_and(|row| context.project.now().project_ms < row.expires_project_ms))
}

pub(super) async fn run(
    context: &Arc<Context>,
    step: &StepName,
    id: StepRunId,
    models: &[StepName],
    slices: &[String],
) -> Result<StepResult> {
    let (kernel, project) = (&context.caller.kernel, context.project.id);
    let task = task(context)?.clone();
    let split = split(context).await?;
    let examples = Examples::read(context, slices).await?;
    let candidate = context.submission.project.release.as_ref().map(|release| release.model.clone());
    let (mut contenders, mut trained) = (Vec::new(), Vec::new());
    for model in models {
        let output = model_output(context, model)?;
        let reference = ModelReference::of(&output)?;
        let name = if Some(model) == candidate.as_ref() { "candidate".to_owned() } else { model.to_string() };
        let is_decided = is_decided(&name, candidate.as_ref());
        if is_decided {
            trained.extend(reference.warnings.iter().map(|warning| format!("`{name}`: {warning}")));
        }
        let loaded = load_model(kernel, project, &reference, model.as_str()).await?;
        let (step, digest) = (Some(model.clone()), output.digest);
        contenders.push(Contender { name, step, digest, number: None, model: loaded, is_decided });
    }
    contenders.sort_by_key(|contender| contender.name != "candidate");
    if let Some(champion) = context.champion().await? {
        let model = context.load(champion).await?;
        let digest = champion.content_digest.clone().unwrap_or_default();
        contenders.push(Contender {
            name: "champion".to_owned(),
            step: None,
            digest,
            number: Some(champion.number),
            model,
            is_decided: false,
        });
    }
    let line = format!("{} test rows, {} models", split.test_rows, contenders.len());
    context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
    let key = task.key.clone();
    let (repeated, examples) =
        kernel.run_blocking_heavy(project, move || Ok((examples.rows_of_repeated_keys(&key), examples))).await?;
    if repeated > 0 {
        let line = format!(
            "warning: {repeated} of {} rows have a key that others have, too: an example is one row, and its outcome joins by the key",
            examples.frame.rows()
        );
        context.emit(PipelineEvent::StepLog { step: step.clone(), line }).await;
    }
    let features = feature_names(&task, examples.frame.names());
    let slices = slices.to_vec();
    let measured = kernel
        .run_blocking_heavy(project, move || measure(&contenders, &examples, &features, &task.target, split, &slices))
        .await?;
    for warning in &measured.warnings {
        context.emit(PipelineEvent::StepLog { step: step.clone(), line: format!("warning: {warning}") }).await;
    }
    let mut pictures = Vec::new();
    for plot in &measured.plots {
        let blob = kernel.services.blobs.put_bytes(plot.svg.clone().into_bytes()).await?;
        pictures.push((plot.name.to_owned(), plot.title.clone(), blob.digest.to_string()));
    }
    let datasets = context
        .snapshot()
        .iter()
        .map(|table| (table.dataset.name.to_string(), (table.version.number, table.version.digest.clone())))
        .collect();
    let gathered = Evidence {
        split,
        datasets,
        models: measured.models,
        leaks: measured.leaks,
        strong_features: measured.strong_features,
        warnings: [trained, measured.warnings].concat(),
        serving: measured.serving,
        checks: checks(context).await?,
        reference: measured.reference,
        plots: pictures,
    };
    store(context, step, id, gathered).await
}

async fn store(context: &Context, step: &StepName, id: StepRunId, gathered: Evidence) -> Result<StepResult> {
    let kernel = &context.caller.kernel;
    let at = context.project.now();
    let report = kernel.services.blobs.put_bytes(json!(gathered).to_string().into_bytes()).await?;
    let expires_ms = context
        .submission
        .project
        .release
        .as_ref()
        .map(|release| release.evidence_ttl.after(at.project_ms, &context.submission.zone));
    let row = Row {
        id: EvidenceId::generate(),
        project_id: context.project.id,
        pipeline_run_id: context.run.id,
        step_run_id: id,
        release_digest: None,
        body: json!(gathered),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
        expires_project_ms: expires_ms.unwrap_or(i64::MAX),
    };
    kernel.store().write(move |tx| Box::pin(async move { Ok(evidence::insert(tx, &row).await?) })).await?;
    let output = StepOutput {
        step_run_id: id,
        name: step.to_string(),
        kind: StepOutputKind::Report,
        digest: report.digest.to_string(),
        reference: json!({ "blob": report.digest }),
    };
    let metric = super::training_set::task(context)?.metric.clone();
    let shown: Vec<String> = gathered
        .models
        .iter()
        .map(|model| {
            format!(
                "{} {metric} {}",
                model.name,
                model
                    .facts
                    .get(&metric)
                    .and_then(Value::as_f64)
                    .map_or("undefined".to_owned(), |value| format!("{value:.4}"))
            )
        })
        .collect();
    Ok(StepResult { outputs: vec![output], message: shown.join(", ") })
}

struct Contender {
    name: String,
    step: Option<StepName>,
    digest: String,
    number: Option<i64>,
    model: Arc<dyn LoadedModel>,
    /// Whether warnings are about it.
    is_decided: bool,
}

/// Whether warnings are about a model: about the candidate alone where there is one, since a model beside it may be
/// constant on purpose.
fn is_decided(name: &str, candidate: Option<&StepName>) -> bool {
    candidate.is_none() || name == "candidate"
}

struct Measured {
    models: Vec<ModelFacts>,
    leaks: Vec<(String, String)>,
    strong_features: Vec<(String, String)>,
    warnings: Vec<String>,
    serving: Value,
    reference: Reference,
    plots: Vec<Plot>,
}

fn measure(
    contenders: &[Contender],
    examples: &Examples,
    features: &[String],
    target: &str,
    split: Split,
    slices: &[String],
) -> Result<Measured> {
    let first =
        contenders.first().ok_or_else(|| Error::new(ErrorCode::ProjectFile, "an `evaluate` step names no model"))?;
    let failed = |name: &str, cause: &dyn std::fmt::Display| {
        Error::new(ErrorCode::StepFailed, format!("`{name}` cannot be evaluated: {cause}"))
    };
    let rows = examples.labelled_rows(|time| split.is_test(time));
    let test = examples.frame.take(&rows);
    let outcome = test.column(target).ok_or_else(|| Error::not_found("column", target))?;
    let signature = first.model.signature();
    let outcomes =
        Outcomes::from_column(outcome, signature.task, &signature.classes).map_err(|cause| failed(target, &cause))?;
    let inputs = test.select(features);
    let sliced = examples.sliced(slices, &rows);
    let training_rows = examples.labelled_rows(|time| split.is_training(time));
    let training = examples.frame.take(&training_rows);
    let learnt = training.column(target).ok_or_else(|| Error::not_found("column", target))?;
    let learnt =
        Outcomes::from_column(learnt, signature.task, &signature.classes).map_err(|cause| failed(target, &cause))?;
    let mut warnings = Vec::new();
    let mut models = Vec::new();
    let mut scored: Vec<(&str, Scores)> = Vec::new();
    for contender in contenders {
        let scores = predict_blocking(&*contender.model, &inputs).map_err(|cause| failed(&contender.name, &cause))?;
        // Each model scores in the order of its own classes.
        let classes = &contender.model.signature().classes;
        let own = Outcomes::from_column(outcome, signature.task, classes).map_err(|cause| failed(target, &cause))?;
        let evaluated = perennial_evaluation::evaluate(&scores, &own, &sliced, slices)
            .map_err(|cause| failed(&contender.name, &cause))?;
        let auc = evaluated.metrics.values.get("auc").copied();
        let found = if contender.is_decided { model_warnings(&scores, &own, auc) } else { Vec::new() };
        warnings.extend(found.iter().map(|warning| format!("`{}`: {warning}", contender.name)));
        models.push(ModelFacts {
            name: contender.name.clone(),
            step: contender.step.clone(),
            digest: contender.digest.clone(),
            number: contender.number,
            facts: evaluated.facts(),
        });
        scored.push((&contender.name, scores));
    }
    // A column that is known only after the outcome is missing in rows without outcome.
    let whole = examples.frame.column(target).ok_or_else(|| Error::not_found("column", target))?;
    let all: Vec<usize> = (0..examples.frame.rows())
        .filter(|row| whole.is_missing(*row) || examples.times[*row].is_some_and(|time| time < split.test.end_ms))
        .collect();
    let seen = examples.frame.take(&all);
    let known = seen.column(target).ok_or_else(|| Error::not_found("column", target))?;
    let known =
        Outcomes::from_column(known, signature.task, &signature.classes).map_err(|cause| failed(target, &cause))?;
    warnings.splice(0..0, outcome_warnings(&learnt, &outcomes, &known));
    let suspects = leaks(&seen.select(features), &known).map_err(|cause| failed("leak", &cause))?;
    let (leaks, strong): (Vec<_>, Vec<_>) = suspects.into_iter().partition(Suspect::is_leak);
    let named = |suspects: Vec<Suspect>| {
        suspects.into_iter().map(|suspect| (suspect.feature.clone(), suspect.message())).collect::<Vec<_>>()
    };
    let (leaks, strong_features) = (named(leaks), named(strong));
    let reference = Reference::new(&training.select(features), &scored[0].1, &signature.classes);
    let same_classes = |index: usize| contenders[index].model.signature().classes == signature.classes;
    let shown: Vec<(&str, &Scores)> = scored
        .iter()
        .enumerate()
        .filter(|(index, _)| same_classes(*index))
        .map(|(_, (name, scores))| (*name, scores))
        .collect();
    let plots = plots(&shown, &outcomes).map_err(|cause| failed("plots", &cause))?;
    let serving = latency(&*first.model, &inputs, LATENCY_TIME_MAX);
    Ok(Measured { models, leaks, strong_features, warnings, serving, reference, plots })
}

/// Warm test rows, one at a time, in process: the best of three rounds. When the time is over, what was measured counts: a
/// round that is not complete where there is no other.
fn latency(model: &dyn LoadedModel, inputs: &Frame, time_max: Duration) -> Value {
    let count = inputs.rows().min(LATENCY_ROWS);
    if count == 0 {
        return json!({});
    }
    let rows: Vec<Frame> = (0..count).map(|row| inputs.take(&[row])).collect();
    let (mut best, measuring): (Option<(f64, f64)>, _) = (None, Instant::now());
    for _ in 0..LATENCY_ROUNDS {
        let mut times = Vec::with_capacity(count);
        for row in &rows {
            let began = Instant::now();
            let answered = predict_blocking(model, row);
            std::hint::black_box(&answered);
            times.push(began.elapsed().as_secs_f64() * 1000.0);
            if measuring.elapsed() >= time_max {
                break;
            }
        }
        let is_complete = times.len() == count;
        if is_complete || best.is_none() {
            times.sort_by(f64::total_cmp);
            let round = (times[times.len() / 2], times[(times.len() * 99 / 100).min(times.len() - 1)]);
            best = Some(best.map_or(round, |best| if round.1 < best.1 { round } else { best }));
        }
        if measuring.elapsed() >= time_max {
            break;
        }
    }
    best.map_or_else(|| json!({}), |(p50, p99)| json!({ "p50_ms": p50, "p99_ms": p99 }))
}

/// Counts of the check results of the loads that made the candidate's dataset versions.
async fn checks(context: &Context) -> Result<Value> {
    let mut reader = context.caller.kernel.store().read().await?;
    let (mut passed, mut warned, mut failed) = (0.0, 0.0, 0.0);
    for table in context.snapshot().iter() {
        let Some(load) = loads::find_by_number(&mut reader, table.dataset.id, table.version.number).await? else {
            continue;
        };
        for result in check_results::list(&mut reader, load.id).await? {
            match (result.verdict, result.severity) {
                (perennial_core::rule::Verdict::Pass, _) => passed += 1.0,
                (_, perennial_core::port::data::Severity::Warn) => warned += 1.0,
                _ => failed += 1.0,
            }
        }
    }
    Ok(json!({ "passed": passed, "warned": warned, "failed": failed }))
}

#[cfg(test)]
mod tests;
