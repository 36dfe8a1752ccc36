//! Carrying out a pipeline run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::plan::{Graph, KeyParts, Node, Outcome, Schedule};
use perennial_config::GraphNode;
use perennial_core::id::StepRunId;
use perennial_core::model::Predictor;
use perennial_core::name::StepName;
use perennial_core::permission::Permission;
use perennial_core::port::runner::Environment;
use perennial_core::state::{PipelineRunEvent, PipelineRunState, StepRunEvent, StepRunState};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::loads::Load;
use perennial_store::model_versions::ModelVersion;
use perennial_store::pipeline_runs::{PipelineKind, PipelineRun};
use perennial_store::step_runs::{StepOutcome, StepOutput, StepRun};
use perennial_store::{pipeline_runs, step_runs};
use tokio::sync::OnceCell;
use tokio::task::JoinSet;

use super::event::PipelineEvent;
use super::{ActiveRun, Followed, Options, StepPlan, asked_for, why};
use crate::Execution;
use crate::split::Split;
use crate::steps;
use perennial_ingest::collect::{self, Waiting};
use perennial_ingest::loads::Arrived;
use perennial_ingest::snapshot::{Tables, Versioned};
use perennial_kernel::{Caller, STEPS_MAX};
use perennial_projects::ProjectState;

/// How a pipeline run ended.
#[derive(Debug, Clone)]
pub struct RunOutcome {
    /// Its last state.
    pub state: PipelineRunState,
    /// One line, when there is something to say.
    pub message: Option<String>,
    /// How many loads are held that the run tells of.
    pub held: usize,
}

/// Held loads that a run tells one by one, at most.
const HELD_TOLD_MAX: usize = 5;

/// What a pipeline run would do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What would run, and why; what would not as well.
    pub steps: Vec<StepPlan>,
    /// What would be collected before.
    pub waiting: Vec<Waiting>,
}

/// What the steps of one pipeline run share.
pub struct Context {
    execution: Arc<Execution>,
    /// Who runs it.
    pub caller: Caller,
    /// The project.
    pub project: Arc<ProjectState>,
    /// The project file it follows.
    pub submission: Followed,
    /// The run.
    pub run: PipelineRun,
    /// Dataset versions as this run sees them.
    pub(crate) tables: Mutex<Tables>,
    /// Outputs of the steps so far, each with the attempt that made them.
    pub(crate) outputs: Mutex<BTreeMap<StepName, (StepRunId, Vec<StepOutput>)>>,
    /// The split, decided once.
    pub(crate) split: OnceLock<Split>,
    /// The version that answered when this run first asked: evidence is gathered beside that one, and known by it.
    champion: OnceCell<Option<ModelVersion>>,
    /// Environments by requirements file and program, each resolved once.
    pub(crate) environments: Mutex<HashMap<(Option<String>, String), Environment>>,
    newest: HashMap<String, (StepRun, Vec<StepOutput>)>,
    /// The last attempt at each step that this run made before it was cut off.
    before: HashMap<StepName, i64>,
    reused: Mutex<Vec<StepRun>>,
    options: Options,
}

impl Context {
    async fn new(
        execution: &Arc<Execution>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: Followed,
        run: &PipelineRun,
    ) -> Result<Self> {
        Ok(Self {
            execution: execution.clone(),
            caller: caller.clone(),
            project: project.clone(),
            submission,
            run: run.clone(),
            tables: Mutex::default(),
            outputs: Mutex::default(),
            split: OnceLock::new(),
            champion: OnceCell::new(),
            environments: Mutex::default(),
            newest: newest(caller, project).await?,
            before: attempts_before(caller, run).await?,
            reused: Mutex::default(),
            options: serde_json::from_value(run.options.clone()).unwrap_or_default(),
        })
    }

    /// Tells followers; an event that cannot be stored is logged and goes missing, the run goes on.
    pub async fn tell(&self, event: PipelineEvent) {
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

    /// The version that answered when this run first asked.
    pub async fn champion(&self) -> Result<Option<&ModelVersion>> {
        Ok(self.champion.get_or_try_init(|| self.execution.catalog.champion(&self.project)).await?.as_ref())
    }

    /// Loads a registered version.
    pub(crate) async fn load(&self, version: &ModelVersion) -> Result<Arc<dyn Predictor>> {
        self.execution.catalog.load(version).await
    }

    /// Dataset versions as this run sees them.
    pub fn tables(&self) -> Tables {
        self.with_tables(Clone::clone)
    }

    /// Looks at them without a copy of all.
    pub(crate) fn with_tables<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The version of a dataset as this run sees it.
    pub(crate) fn table(&self, name: &str) -> Result<Versioned> {
        self.with_tables(|tables| tables.get(name).cloned())
    }

    /// The outputs of a step that is over, with the attempt that made them.
    pub fn outputs_of(&self, step: &StepName) -> Result<(StepRunId, Vec<StepOutput>)> {
        let outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        outputs.get(step).cloned().ok_or_else(|| Error::not_found("output of step", step))
    }

    /// Keeps what a step made, for those that wait for it.
    pub(crate) fn keep(&self, step: &StepName, by: StepRunId, outputs: Vec<StepOutput>) {
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(step.clone(), (by, outputs));
    }

    /// The number of this run's next attempt at a step.
    pub(crate) fn next_attempt(&self, step: &StepName) -> i64 {
        self.before.get(step).copied().unwrap_or_default() + 1
    }

    async fn find_cached(&self, key: &str) -> Result<Option<(StepRun, Vec<StepOutput>)>> {
        if let Some(found) = self.newest.get(key) {
            return Ok(Some(found.clone()));
        }
        let mut reader = self.caller.kernel.store().read().await?;
        let Some(run) = step_runs::find_cached(&mut reader, self.project.id, key).await? else { return Ok(None) };
        let outputs = step_runs::list_outputs(&mut reader, run.id).await?;
        Ok(Some((run, outputs)))
    }

    /// Whether an attempt before the newest of its step is the present one again. That nothing changed
    /// since the last run is no news, and not kept of each step.
    fn came_back(&self) -> bool {
        let reused = self.reused.lock().unwrap_or_else(PoisonError::into_inner);
        reused.iter().any(|run| !self.newest.contains_key(&run.cache_key))
    }

    /// Stores the reused attempts that were only noted so far, in one transaction.
    async fn store_reused(&self) -> Result<()> {
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

impl Execution {
    /// Records how a run ended, and tells its followers.
    pub(super) async fn end(
        &self,
        caller: &Caller,
        run: &PipelineRun,
        result: Result<RunOutcome>,
    ) -> Result<RunOutcome> {
        let held = result.as_ref().map_or(0, |finished| finished.held);
        let (event, state, message, hint) = match &result {
            Ok(finished) => {
                let event = match finished.state {
                    PipelineRunState::NothingToDo => PipelineRunEvent::Idle,
                    _ => PipelineRunEvent::Succeed,
                };
                let hint = "repair their files; or decide over the loads that `perennial data show DATASET` names: `perennial data release LOAD` lets one in, `perennial data discard LOAD` gives it up";
                (event, finished.state, finished.message.clone(), (held > 0).then(|| hint.to_owned()))
            }
            Err(error) => {
                let (message, hint) = (error.message().to_owned(), error.hint_text().map(str::to_owned));
                (PipelineRunEvent::Fail, PipelineRunState::Failed, Some(message), hint)
            }
        };
        let (id, at_ms) = (run.id, caller.kernel.services.clock.wall_ms());
        let told = serde_json::json!(PipelineEvent::Ended {
            state: state.as_str().to_owned(),
            message: message.clone(),
            hint,
            held
        });
        caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    pipeline_runs::add_event(tx, id, &told, at_ms).await?;
                    pipeline_runs::apply(tx, id, event, message.as_deref(), at_ms).await?;
                    Ok(())
                })
            })
            .await?;
        self.events.notify_waiters();
        result
    }
}

/// What collecting and the steps of a run came to.
pub struct Executed {
    /// What the steps share.
    pub context: Arc<Context>,
    /// What collecting did.
    pub collected: collect::Collected,
    /// Steps that ran.
    pub executed: usize,
}

/// The kind of cause of runs that bring data up to date for monitors.
pub const MONITOR_CAUSE: &str = "monitor";

/// Collects and brings every step up to date; `None` when the run was cancelled.
pub(super) async fn execute(active: &ActiveRun, submission: Followed) -> Result<Option<Executed>> {
    let ActiveRun { execution, caller, project, run, .. } = active;
    let cancellation = &active.guard.cancellation;
    let mut context = Context::new(execution, caller, project, submission, run).await?;
    // The scheduler has collected before it evaluates monitors.
    let is_collected = context.is_caused_by(MONITOR_CAUSE);
    let collected = if is_collected {
        collect::Collected::default()
    } else {
        // What was not decided of a load is brought to its end by whoever collects next.
        tokio::select! {
            biased;
            () = cancellation.requested() => return Ok(None),
            collected = gather(&context) => collected?,
        }
    };
    context.tables = Mutex::new(Tables::newest(&caller.kernel, project.id).await?);
    let context = Arc::new(context);
    let (graph, wanted) = graph_of(&context)?;
    let mut schedule = Schedule::new(&graph, &wanted);
    let mut executed = 0;
    let mut failures: Vec<(StepName, Error)> = Vec::new();
    let mut running: JoinSet<(StepName, Result<()>)> = JoinSet::new();
    loop {
        while let Some(name) = schedule.start(STEPS_MAX) {
            let step: StepName = name.parse()?;
            let parts = match reuse(&context, &step).await {
                Ok(Some(parts)) => parts,
                Ok(None) => {
                    schedule.finish(&name, Outcome::Done);
                    continue;
                }
                Err(error) => {
                    schedule.finish(&name, Outcome::Failed);
                    failures.push((step, error));
                    continue;
                }
            };
            context.store_reused().await?;
            let shared = context.clone();
            running.spawn(async move {
                let result = steps::run(shared, step.clone(), parts).await;
                (step, result)
            });
        }
        let done = tokio::select! {
            biased;
            () = cancellation.requested() => {
                running.shutdown().await;
                return Ok(None);
            }
            done = running.join_next() => done,
        };
        let Some(done) = done else { break };
        let (step, result) = done.map_err(|panic| Error::internal("a step ended abruptly", panic))?;
        match result {
            Ok(()) => {
                executed += 1;
                schedule.finish(step.as_str(), Outcome::Done);
            }
            Err(error) => {
                schedule.finish(step.as_str(), Outcome::Failed);
                failures.push((step, error));
            }
        }
    }
    let reused = context.reused.lock().unwrap_or_else(PoisonError::into_inner).len();
    if executed > 0 || !failures.is_empty() || context.came_back() {
        context.store_reused().await?;
    }
    if executed > 0 || reused > 0 {
        context
            .tell(PipelineEvent::Cached { steps: wanted.len() - executed - failures.len() - schedule.skipped().len() })
            .await;
    }
    skip(&context, schedule.skipped()).await?;
    if let Some((step, error)) = failures.into_iter().next() {
        return Err(error.reworded(format!("step `{step}` failed: {}", error.message())));
    }
    if cancellation.is_requested() {
        return Ok(None);
    }
    Ok(Some(Executed { context, collected, executed }))
}

/// The loads that a run tells are held: all whose files are still there, of a run that was triggered those it held.
pub fn holding<'a>(context: &Context, collected: &'a collect::Collected) -> Vec<&'a Load> {
    if context.is_triggered() {
        return collected.held.iter().map(|(_, load)| load).collect();
    }
    collected.holding.iter().collect()
}

/// Why loads are held, a line for each of the newest.
pub fn told_of(holding: &[&Load]) -> Vec<String> {
    let newest = holding.iter().rev().take(HELD_TOLD_MAX).filter_map(|load| load.message.clone());
    let more = holding.len().saturating_sub(HELD_TOLD_MAX);
    newest.chain((more > 0).then(|| format!("{more} more loads are held"))).collect()
}

async fn gather(context: &Context) -> Result<collect::Collected> {
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel::<PipelineEvent>();
    let relay = move |event: &collect::Told<'_>| {
        // Nobody listening any more means the run is over; then nothing is owed.
        let _ = sender.send(translate(event));
    };
    let collecting = context.execution.ingest.collect(&context.caller, &context.project, &context.submission, &relay);
    tokio::pin!(collecting);
    loop {
        tokio::select! {
            biased;
            Some(event) = told.recv() => context.tell(event).await,
            done = &mut collecting => {
                while let Ok(event) = told.try_recv() {
                    context.tell(event).await;
                }
                return done;
            }
        }
    }
}

fn translate(event: &collect::Told<'_>) -> PipelineEvent {
    match event {
        collect::Told::Begins(dataset, path) => {
            PipelineEvent::LoadStarted { dataset: (*dataset).clone(), path: (*path).to_owned() }
        }
        collect::Told::Empty(dataset, files) => {
            PipelineEvent::SourceEmpty { dataset: (*dataset).clone(), files: (*files).to_owned() }
        }
        collect::Told::Failed(dataset, error) => PipelineEvent::LoadFailed {
            dataset: (*dataset).clone(),
            message: collect::in_words(error),
            hint: error.hint_text().map(str::to_owned),
        },
        collect::Told::Ended(dataset, path, arrived) => {
            let (state, rows, load) = match arrived {
                Arrived::Committed(_, load, _) => ("committed", load.passing, Some(load)),
                Arrived::Held(load, _) => ("held", load.arrived, Some(load)),
                Arrived::Unchanged(versioned) => ("unchanged", versioned.version.row_count, None),
            };
            PipelineEvent::LoadEnded {
                dataset: (*dataset).clone(),
                path: (*path).to_owned(),
                state: state.to_owned(),
                rows,
                set_aside: load.map_or(0, |load| load.set_aside),
                message: load.and_then(|load| load.message.clone()),
                findings: arrived.findings(),
            }
        }
    }
}

fn graph_of(context: &Context) -> Result<(Graph, std::collections::BTreeSet<String>)> {
    let declared = &context.submission.graph;
    let nodes = declared.steps().map(|step| Node {
        name: step.to_string(),
        after: declared.dependencies(step).into_iter().map(ToString::to_string).collect(),
    });
    let graph = Graph::new(nodes.collect()).map_err(|cycle| Error::new(ErrorCode::ProjectFile, cycle.to_string()))?;
    let wanted = if context.options.steps.is_empty() {
        graph.nodes().iter().map(|node| node.name.clone()).collect()
    } else {
        graph.closure(&context.options.steps)
    };
    Ok((graph, wanted))
}

async fn newest(caller: &Caller, project: &ProjectState) -> Result<HashMap<String, (StepRun, Vec<StepOutput>)>> {
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

/// Attempts that a run which goes on has made already.
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

/// Takes a step's outputs from the newest attempt of the same key, if they are all still there;
/// else gives the key's parts, by which the step has to run.
async fn reuse(context: &Arc<Context>, step: &StepName) -> Result<Option<KeyParts>> {
    let parts = steps::key(context, step).await?;
    let Some((run, outputs)) = context.find_cached(&parts.key()).await? else { return Ok(Some(parts)) };
    if !steps::restore(context, step, &outputs).await? {
        return Ok(Some(parts));
    }
    let id = StepRunId::generate();
    let mut reused = steps::new_attempt(context, step, &parts, id, StepRunState::Cached);
    reused.reused_from = Some(run.id);
    context.reused.lock().unwrap_or_else(PoisonError::into_inner).push(reused);
    context.keep(step, run.id, outputs);
    Ok(None)
}

impl Execution {
    /// What a run would do by a project file, submitted or not, with relative sources below `root` (without one: the
    /// host's own). Nothing is run or recorded.
    pub async fn plan_by(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        submission: Followed,
        root: Option<&Path>,
        steps: Vec<StepName>,
    ) -> Result<Plan> {
        caller.require(Permission::Write, project.id)?;
        let run = asked_for(project, &submission, PipelineKind::Run, serde_json::Value::Null, &Options { steps })?;
        let mut context = Context::new(self, caller, project, submission, &run).await?;
        context.tables = Mutex::new(Tables::newest(&caller.kernel, project.id).await?);
        let context = &Arc::new(context);
        let (graph, wanted) = graph_of(context)?;
        let waiting = self.ingest.waiting(project, &context.submission, root).await?;
        let mut plan: Vec<StepPlan> = Vec::new();
        for node in graph.nodes().iter().filter(|node| wanted.contains(&node.name)) {
            let step: StepName = node.name.parse()?;
            if let Some(before) = plan.iter().find(|why| !why.is_cached && node.after.contains(why.step.as_str())) {
                let reasons = vec![format!("it waits for `{}`, which would run", before.step)];
                plan.push(StepPlan { step, is_cached: false, reasons });
                continue;
            }
            let reads = |new: &&Waiting| {
                let dataset = GraphNode::Dataset(new.dataset.clone());
                context.submission.graph.inputs(&step).any(|needed| *needed == dataset)
            };
            let new = waiting.iter().filter(reads);
            let reasons: Vec<_> =
                new.map(|new| format!("it waits for dataset `{}`: {}", new.dataset, new.words())).collect();
            if !reasons.is_empty() {
                plan.push(StepPlan { step, is_cached: false, reasons });
                continue;
            }
            let parts = match steps::key(context, &step).await {
                Ok(parts) => parts,
                Err(error) => {
                    plan.push(StepPlan {
                        step,
                        is_cached: false,
                        reasons: vec![format!("it cannot: {}", error.message())],
                    });
                    continue;
                }
            };
            let cached = context.find_cached(&parts.key()).await?;
            plan.push(why(&context.caller, &context.project, &step, &parts, cached.is_some()).await?);
            if let Some((run, outputs)) = cached {
                context.keep(&step, run.id, outputs);
            }
        }
        Ok(Plan { steps: plan, waiting })
    }
}

async fn skip(context: &Arc<Context>, skipped: &[(String, String)]) -> Result<()> {
    for (name, failed) in skipped {
        let step: StepName = name.parse()?;
        let id = StepRunId::generate();
        let attempt = steps::new_attempt(context, &step, &KeyParts::new(), id, StepRunState::Pending);
        let message = format!("`{failed}` failed");
        let at_ms = context.caller.kernel.services.clock.wall_ms();
        let outcome = StepOutcome {
            exit: None,
            peak_memory_bytes: None,
            isolation: None,
            message: Some(message.clone()),
            log_digest: None,
        };
        context
            .caller
            .kernel
            .store()
            .write(move |tx| {
                Box::pin(async move {
                    step_runs::insert(tx, &attempt).await?;
                    step_runs::apply(tx, id, StepRunEvent::Skip, &outcome, at_ms).await?;
                    Ok(())
                })
            })
            .await?;
        context
            .tell(PipelineEvent::StepEnded {
                step,
                state: "skipped".to_owned(),
                ms: 0,
                message: Some(message),
                hint: None,
            })
            .await;
    }
    Ok(())
}

impl Context {
    /// Whether the run is over every step of the project file, so that its candidate is decided over.
    pub fn runs_all_steps(&self) -> bool {
        self.options.steps.is_empty()
    }

    /// Whether a trigger, not a person, started the run.
    pub fn is_triggered(&self) -> bool {
        self.is_caused_by("trigger")
    }

    fn is_caused_by(&self, kind: &str) -> bool {
        self.run.cause.get("kind").and_then(serde_json::Value::as_str) == Some(kind)
    }
}
