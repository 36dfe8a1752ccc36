//! One line for each node of a lineage tree.

use std::collections::HashMap;

use perennial_core::entity::Endpoint;
use perennial_core::id::{LoadId, RunId, StepRunId};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::{ErrorCode, Result};
use perennial_store::{
    alerts, check_results, dataset_versions, decisions, loads, pipeline_runs, releases, runs, step_runs,
};

use super::{dataset_in, model_name};
use perennial_ingest::datasets;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;

/// Digits of a digest that are shown.
const SHORT: usize = 12;

/// Describes nodes of a lineage. Names and endpoints are read once, so that describing a node needs no further query for them.
pub(super) struct Describer {
    caller: Caller,
    project: perennial_core::id::ProjectId,
    names: HashMap<perennial_core::id::DatasetId, perennial_core::name::DatasetName>,
    serving: Vec<Endpoint>,
    texts: HashMap<Node, String>,
}

impl Describer {
    pub(super) async fn new(caller: &Caller, project: &ProjectState, serving: Vec<Endpoint>) -> Result<Self> {
        let names = datasets::names(caller, project).await?;
        Ok(Self { caller: caller.clone(), project: project.id, names, serving, texts: HashMap::new() })
    }

    pub(super) fn text(&self, node: &Node) -> String {
        self.texts.get(node).cloned().unwrap_or_else(|| format!("{} {}", spoken(node.kind), short(&node.id)))
    }

    /// Reads what can be said of a node. A record that is gone leaves the node's plain name.
    pub(super) async fn learn(&mut self, node: &Node) -> Result<()> {
        if self.texts.contains_key(node) {
            return Ok(());
        }
        let described = match self.describe(node).await {
            Err(error) if error.code() == ErrorCode::NotFound => None,
            described => described?,
        };
        if let Some(text) = described {
            self.texts.insert(node.clone(), text);
        }
        Ok(())
    }

    async fn describe(&self, node: &Node) -> Result<Option<String>> {
        match node.kind {
            NodeKind::DatasetVersion => self.dataset_version(&node.id).await,
            NodeKind::Load => self.load(&node.id).await,
            NodeKind::StepRun => self.step_run(&node.id).await,
            NodeKind::Run => self.run(&node.id).await,
            NodeKind::ModelVersion => self.model_version(&node.id).await,
            NodeKind::Release => self.release(&node.id).await,
            NodeKind::Decision => self.decision(&node.id).await,
            NodeKind::PipelineRun => self.pipeline_run(&node.id).await,
            NodeKind::Alert => self.alert(&node.id).await,
            NodeKind::Endpoint => Ok(self.endpoint(&node.id)),
            NodeKind::SourceFile => Ok(Some(source_file(&node.id))),
            _ => Ok(None),
        }
    }

    async fn dataset_version(&self, id: &str) -> Result<Option<String>> {
        let Some((dataset, number)) = dataset_in(id) else { return Ok(None) };
        let (Some(name), Ok(number)) = (self.names.get(&dataset), number.parse()) else { return Ok(None) };
        let version = dataset_versions::get(&mut *self.caller.kernel.store().read().await?, dataset, number).await?;
        Ok(Some(format!("dataset {name}@{number}: {} rows, digest {}", version.row_count, short(&version.digest))))
    }

    async fn load(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse::<LoadId>() else { return Ok(None) };
        let mut reader = self.caller.kernel.store().read().await?;
        let load = loads::get(&mut reader, id).await?;
        let checks = check_results::list(&mut reader, id).await?;
        let failed = checks.iter().filter(|check| check.verdict == perennial_core::rule::Verdict::Fail).count();
        let checks_note = match checks.len() {
            0 => String::new(),
            all => format!(", {} of {all} checks passed", all - failed),
        };
        Ok(Some(format!(
            "load {}: {} rows, {} set aside{checks_note}",
            short(&id.to_string()),
            load.passing,
            load.set_aside
        )))
    }

    async fn step_run(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse::<StepRunId>() else { return Ok(None) };
        let run = step_runs::get(&mut *self.caller.kernel.store().read().await?, id).await?;
        Ok(Some(format!("step {} ({}), key {}", run.step, run.state.as_str(), short(&run.cache_key))))
    }

    async fn run(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse::<RunId>() else { return Ok(None) };
        let run = runs::get(&mut *self.caller.kernel.store().read().await?, id).await?;
        Ok(Some(format!("run {} ({id})", run.name)))
    }

    async fn model_version(&self, id: &str) -> Result<Option<String>> {
        let Some((model, number)) = id.split_once('@') else { return Ok(None) };
        let Some(name) = model_name(&self.caller, model).await? else { return Ok(None) };
        let endpoints = self.serving.iter().filter(|endpoint| endpoint.model_id.to_string() == model);
        let roles = endpoints.filter_map(|endpoint| {
            let is_canary = endpoint.has_active_canary();
            match number.parse::<i64>().ok() {
                number if number.is_some() && endpoint.champion_number == number => {
                    Some(format!(", champion at `{}` now", endpoint.name))
                }
                number if number.is_some() && is_canary && endpoint.canary_number == number => {
                    Some(format!(", canary at `{}` now", endpoint.name))
                }
                _ => None,
            }
        });
        Ok(Some(format!("model {name}/{number}{}", roles.collect::<String>())))
    }

    async fn release(&self, digest: &str) -> Result<Option<String>> {
        let found = releases::find(&mut *self.caller.kernel.store().read().await?, self.project, digest).await?;
        Ok(found.map(|release| {
            format!(
                "release {} of version {}, ledger head {}",
                short(digest),
                release.number,
                short(&release.ledger_head)
            )
        }))
    }

    async fn decision(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let decision = decisions::get(&mut *self.caller.kernel.store().read().await?, id).await?;
        Ok(Some(format!(
            "decision {} about version {}: {}",
            short(&id.to_string()),
            decision.number,
            decision.verdict.as_str()
        )))
    }

    async fn pipeline_run(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let run = pipeline_runs::get(&mut *self.caller.kernel.store().read().await?, id).await?;
        Ok(Some(format!("pipeline run {id} ({}), started by {}", run.state.as_str(), run.cause.kind())))
    }

    async fn alert(&self, id: &str) -> Result<Option<String>> {
        let Ok(id) = id.parse() else { return Ok(None) };
        let alert = alerts::get(&mut *self.caller.kernel.store().read().await?, id).await?;
        Ok(Some(format!("alert: {}", alert.message)))
    }

    fn endpoint(&self, name: &str) -> Option<String> {
        let endpoint = self.serving.iter().find(|endpoint| endpoint.name.as_str() == name)?;
        let champion = endpoint
            .champion_number
            .map_or_else(|| "nothing answers".to_owned(), |number| format!("version {number} answers"));
        Some(format!("endpoint {name}: {champion}"))
    }
}

/// `<dataset>/<path>@<content digest>`
fn source_file(id: &str) -> String {
    let (path, digest) = id.rsplit_once('@').unwrap_or((id, ""));
    let path = path.split_once('/').map_or(path, |(_, path)| path);
    format!("file {path}, content {}", short(digest))
}

fn spoken(kind: NodeKind) -> String {
    kind.as_str().replace('_', " ")
}

fn short(digest: &str) -> &str {
    match digest.len() {
        0..=32 => digest,
        _ => digest.get(..SHORT).unwrap_or(digest),
    }
}
