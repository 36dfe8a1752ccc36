//! What the steps of one pipeline run share.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use perennial_core::cause::Cause;
use perennial_core::entity::{ModelVersion, PipelineRun, StepOutput, StepRun};
use perennial_core::id::StepRunId;
use perennial_core::name::StepName;
use perennial_core::port::model::LoadedModel;
use perennial_core::port::runner::Environment;
use perennial_core::state::PipelineRunState;
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::snapshot::{DatasetAtVersion, DatasetSnapshot};
use perennial_kernel::Caller;
use perennial_projects::{ProjectState, Submission};
use perennial_store::{pipeline_runs, step_runs};
use tokio::sync::OnceCell;

use super::event::PipelineEvent;
use crate::Execution;
use crate::plan::{Graph, Node};
use crate::split::Split;

/// What the steps of one pipeline run share.
pub struct Context {
    pub(crate) execution: Arc<Execution>,
    /// Who runs it.
    pub caller: Caller,
    /// The project.
    pub project: Arc<ProjectState>,
    /// The project file it follows.
    pub submission: Arc<Submission>,
    /// The run.
    pub run: PipelineRun,
    /// Dataset versions as this run sees them.
    pub(crate) snapshot: Mutex<DatasetSnapshot>,
    /// Outputs of the steps so far, each with the attempt that made them.
    pub(crate) outputs: Mutex<BTreeMap<StepName, (StepRunId, Vec<StepOutput>)>>,
    /// The split, decided once.
    pub(crate) split: OnceLock<Split>,
    /// The champion when this run first read it; evidence compares with that version.
    champion: OnceCell<Option<ModelVersion>>,
    /// Environments by requirements file and program, each resolved once.
    pub(crate) environments: Mutex<HashMap<(Option<String>, String), Environment>>,
    latest: HashMap<String, (StepRun, Vec<StepOutput>)>,
    /// The last attempt at each step that this run made before it was interrupted.
    before: HashMap<StepName, i64>,
    pub(super) reused: Mutex<Vec<StepRun>>,
}

impl Context {
    pub(super) async fn new(
        execution: &Arc<Execution>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: Arc<Submission>,
        run: &PipelineRun,
    ) -> Result<Self> {
        Ok(Self {
            execution: execution.clone(),
            caller: caller.clone(),
            project: project.clone(),
            submission,
            run: run.clone(),
            snapshot: Mutex::default(),
            outputs: Mutex::default(),
            split: OnceLock::new(),
            champion: OnceCell::new(),
            environments: Mutex::default(),
            latest: find_latest(caller, project).await?,
            before: attempts_before(caller, run).await?,
            reused: Mutex::default(),
        })
    }

    /// Stores an event and notifies followers. An event that cannot be stored is logged and lost; the run continues.
    pub async fn emit(&self, event: PipelineEvent) {
        let (id, at_ms) = (self.run.id, self.caller.kernel.services.clock.wall_ms());
        let Ok(body) = serde_json::to_value(&event) else { return };
        let stored = self
            .caller
            .kernel
            .store()
            .write(move |tx| Box::pin(async move { Ok(pipeline_runs::add_event(tx, id, &body, at_ms).await?) }))
            .await;
        if let Err(error) = stored {
            tracing::warn!(pipeline_run.id = %id, error = error.chain(), "an event was not stored");
        }
        self.execution.events.notify_waiters();
    }

    /// The champion when this run first read it.
    pub async fn champion(&self) -> Result<Option<&ModelVersion>> {
        Ok(self.champion.get_or_try_init(|| self.execution.catalog.champion(&self.project)).await?.as_ref())
    }

    /// Loads a registered version.
    pub(crate) async fn load(&self, version: &ModelVersion) -> Result<Arc<dyn LoadedModel>> {
        self.execution.catalog.load(version).await
    }

    /// Dataset versions as this run sees them.
    pub fn snapshot(&self) -> DatasetSnapshot {
        self.with_snapshot(Clone::clone)
    }

    /// Reads them without copying all.
    pub(crate) fn with_snapshot<T>(&self, read: impl FnOnce(&DatasetSnapshot) -> T) -> T {
        read(&self.snapshot.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version of a dataset as this run sees it.
    pub(crate) fn table(&self, name: &str) -> Result<DatasetAtVersion> {
        self.with_snapshot(|snapshot| snapshot.get(name).cloned())
    }

    /// The outputs of a step that is over, with the attempt that made them.
    pub fn outputs_of(&self, step: &StepName) -> Result<(StepRunId, Vec<StepOutput>)> {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.get(step).cloned().ok_or_else(|| Error::not_found("output of step", step))
    }

    /// Records the outputs of a step, for the steps that depend on it.
    pub(crate) fn record_outputs(&self, step: &StepName, by: StepRunId, outputs: Vec<StepOutput>) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(step.clone(), (by, outputs));
    }

    /// The number of this run's next attempt at a step.
    pub(crate) fn next_attempt(&self, step: &StepName) -> i64 {
        self.before.get(step).copied().unwrap_or_default() + 1
    }

    pub(super) async fn find_cached(&self, key: &str) -> Result<Option<(StepRun, Vec<StepOutput>)>> {
        if let Some(found) = self.latest.get(key) {
            return Ok(Some(found.clone()));
        }
        let mut reader = self.caller.kernel.store().read().await?;
        let Some(run) = step_runs::find_cached(&mut reader, self.project.id, key).await? else { return Ok(None) };
        let outputs = step_runs::list_outputs(&mut reader, run.id).await?;
        Ok(Some((run, outputs)))
    }

    /// Whether a step reused an attempt earlier than its latest. That a step is unchanged since the last run is
    /// not recorded.
    pub(super) fn returned_to_earlier(&self) -> bool {
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reused.iter().any(|run| !self.latest.contains_key(&run.cache_key))
    }

    /// Stores the reused attempts in one transaction.
    pub(super) async fn store_reused(&self) -> Result<()> {
        let reused = std::mem::take(&mut *self.reused.lock().unwrap_or_else(PoisonError::into_inner));
        if reused.is_empty() {
            return Ok(());
        }
        self.caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    for run in &reused {
                        step_runs::insert(tx, run).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

impl Context {
    /// Whether the run is over every step of the project file, so that its candidate is decided over.
    pub fn runs_all_steps(&self) -> bool {
        self.run.options.steps.is_empty()
    }

    /// The graph of the steps, and the names of those that this run is over.
    pub(super) fn graph(&self) -> Result<(Graph, BTreeSet<String>)> {
        let declared = &self.submission.graph;
        let nodes = declared.steps().map(|step| Node {
            name: step.to_string(),
            after: declared.dependencies(step).into_iter().map(ToString::to_string).collect(),
        });
        let graph =
            Graph::new(nodes.collect()).map_err(|cycle| Error::new(ErrorCode::ProjectFile, cycle.to_string()))?;
        let wanted = if self.run.options.steps.is_empty() {
            graph.nodes().iter().map(|node| node.name.clone()).collect()
        } else {
            graph.closure(&self.run.options.steps)
        };
        Ok((graph, wanted))
    }

    /// Whether a trigger, not a person, started the run.
    pub fn is_triggered(&self) -> bool {
        matches!(self.run.cause, Cause::Trigger { .. })
    }
}

/// The latest successful attempts of all steps with their outputs, by cache key.
async fn find_latest(caller: &Caller, project: &ProjectState) -> Result<HashMap<String, (StepRun, Vec<StepOutput>)>> {
    let mut reader = caller.kernel.store().read().await?;
    let runs = step_runs::list_newest_good(&mut reader, project.id).await?;
    let mut outputs: HashMap<StepRunId, Vec<StepOutput>> = HashMap::new();
    for output in step_runs::list_newest_outputs(&mut reader, project.id).await? {
        outputs.entry(output.step_run_id).or_default().push(output);
    }
    Ok(runs
        .into_iter()
        .map(|run| {
            let made = outputs.remove(&run.id).unwrap_or_default();
            (run.cache_key.clone(), (run, made))
        })
        .collect())
}

/// Attempts that a resumed run has already made.
async fn attempts_before(caller: &Caller, run: &PipelineRun) -> Result<HashMap<StepName, i64>> {
    let mut before = HashMap::new();
    if run.state == PipelineRunState::Interrupted {
        for made in step_runs::list(&mut *caller.kernel.store().read().await?, run.id).await? {
            let last = before.entry(made.step).or_default();
            *last = made.attempt.max(*last);
        }
    }
    Ok(before)
}
