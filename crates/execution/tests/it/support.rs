//! A project whose commands a runner in memory executes, and short reads of its runs.

use std::sync::Arc;
use std::time::Duration;

use perennial_core::cause::Cause;
use perennial_core::entity::{Run, RunData, StepOutput, StepRun};
use perennial_core::id::{PipelineRunId, RunnerJobId};
use perennial_core::name::StepName;
use perennial_core::state::StepRunState;
use perennial_core::{Error, Result};
use perennial_execution::pipeline_runs::{self, PipelineKind, PipelineRun};
use perennial_execution::pipelines::{self, PipelineEvent, PipelineOptions, Plan, RunOutcome};
use perennial_ingest::datasets;
use perennial_projects::ProjectState;
use perennial_store::runs;
use perennial_testkit::{TestApp, by_person};

/// How long a test waits for a condition before it fails.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A submitted project and its server.
pub(crate) struct TestProject {
    pub(crate) test: TestApp,
    pub(crate) project: Arc<ProjectState>,
}

/// A pipeline run that has ended.
pub(crate) struct Ended {
    pub(crate) id: PipelineRunId,
    pub(crate) result: Result<RunOutcome>,
}

impl Ended {
    /// The error of a run that failed.
    pub(crate) fn error(&self) -> &Error {
        self.result.as_ref().expect_err("the run fails")
    }

    /// The last state of a run that did not fail.
    pub(crate) fn state(&self) -> &'static str {
        self.result.as_ref().map_or("failed", |outcome| outcome.state.as_str())
    }
}

impl TestProject {
    /// Submits a project file, given without its `[project]` table.
    pub(crate) async fn start(file: &str) -> Self {
        let test = TestApp::start().await.unwrap();
        let project = test.submit(&with_project_table(file)).await.unwrap();
        Self { test, project }
    }

    /// A project with files beside its project file.
    pub(crate) async fn with_files(file: &str, files: &[(&str, &str)]) -> Self {
        let test = TestApp::start().await.unwrap();
        for (path, content) in files {
            write_file(&test, path, content);
        }
        let project = test.submit(&with_project_table(file)).await.unwrap();
        Self { test, project }
    }

    /// Writes a file beside the project file.
    pub(crate) fn write_file(&self, path: &str, content: &str) {
        write_file(&self.test, path, content);
    }

    /// Submits another project file.
    pub(crate) async fn submit(&self, file: &str) {
        self.test.submit(&with_project_table(file)).await.unwrap();
    }

    pub(crate) async fn request(&self, steps: &[&str]) -> PipelineRun {
        self.request_by(by_person(), steps).await
    }

    async fn request_by(&self, cause: Cause, steps: &[&str]) -> PipelineRun {
        let options =
            PipelineOptions { steps: steps.iter().map(|step| name(step)).collect(), ..PipelineOptions::default() };
        let caller = self.test.system();
        pipelines::request(&caller, &self.project, PipelineKind::Run, cause, &options).await.unwrap()
    }

    /// Runs every step.
    pub(crate) async fn run(&self) -> Ended {
        self.run_steps(&[]).await
    }

    /// Runs some steps and those that they need.
    pub(crate) async fn run_steps(&self, steps: &[&str]) -> Ended {
        self.execute(self.request(steps).await).await
    }

    /// Runs every step for a cause.
    pub(crate) async fn run_by(&self, cause: Cause) -> Ended {
        self.execute(self.request_by(cause, &[]).await).await
    }

    async fn execute(&self, run: PipelineRun) -> Ended {
        let result = self.test.app.runner.run(&self.test.system(), &self.project, &run).await;
        Ended { id: run.id, result }
    }

    /// Runs every step and returns what was recorded of each: its name and state.
    pub(crate) async fn run_states(&self) -> Vec<String> {
        let ended = self.run().await;
        self.states(ended.id).await
    }

    /// Starts a run in the background.
    pub(crate) async fn begin(&self) -> (PipelineRun, tokio::task::JoinHandle<Result<RunOutcome>>) {
        let run = self.request(&[]).await;
        let (caller, project, runner, begun) =
            (self.test.system(), self.project.clone(), self.test.app.runner.clone(), run.clone());
        let ended = async move { runner.run(&caller, &project, &begun).await };
        (run, tokio::task::spawn(ended))
    }

    /// The attempts at the steps of a run with their outputs, in the order of their beginning.
    pub(crate) async fn attempts(&self, id: PipelineRunId) -> Vec<(StepRun, Vec<StepOutput>)> {
        pipeline_runs::steps(&self.test.system(), &self.project, id).await.unwrap()
    }

    /// The newest attempt at a step of a run.
    pub(crate) async fn attempt(&self, id: PipelineRunId, step: &str) -> StepRun {
        let attempts = self.attempts(id).await;
        attempts.into_iter().rev().find(|(run, _)| run.step.as_str() == step).expect("an attempt").0
    }

    /// The attempts of a run, by step: name and state.
    pub(crate) async fn states(&self, id: PipelineRunId) -> Vec<String> {
        let attempts = self.attempts(id).await;
        let mut states: Vec<String> =
            attempts.iter().map(|(run, _)| format!("{} {}", run.step, run.state.as_str())).collect();
        states.sort();
        states
    }

    /// The digests of the outputs of a step, by name.
    pub(crate) async fn outputs(&self, id: PipelineRunId, step: &str) -> Vec<(String, String)> {
        let attempts = self.attempts(id).await;
        let own = attempts.into_iter().filter(|(run, _)| run.step.as_str() == step);
        own.flat_map(|(_, outputs)| outputs).map(|output| (output.name, output.digest)).collect()
    }

    pub(crate) async fn events(&self, id: PipelineRunId) -> Vec<PipelineEvent> {
        let execution = &self.test.app.execution;
        let found = execution.events(&self.test.system(), &self.project, id, 0, Duration::ZERO).await.unwrap();
        found.0.into_iter().map(|event| serde_json::from_value(event.body).unwrap()).collect()
    }

    /// The lines that a step logged as events.
    pub(crate) async fn lines(&self, id: PipelineRunId, of: &str) -> Vec<String> {
        let events = self.events(id).await;
        let line = |event| match event {
            PipelineEvent::StepLog { step, line } if step.as_str() == of => Some(line),
            _ => None,
        };
        events.into_iter().filter_map(line).collect()
    }

    /// The first column of a dataset.
    pub(crate) async fn values(&self, dataset: &str) -> Vec<i64> {
        let sql = format!("SELECT * FROM {dataset}");
        let page = datasets::query(&self.test.system(), &self.project, sql, 100).await.unwrap();
        page.rows.iter().filter_map(|row| row[0].as_i64()).collect()
    }

    /// The log of a step of a run.
    pub(crate) async fn log(&self, id: PipelineRunId, step: &str) -> String {
        let found = pipeline_runs::log(&self.test.system(), &self.project, id, &name(step)).await.unwrap();
        found.1.unwrap_or_default()
    }

    pub(crate) async fn plan(&self) -> Plan {
        self.test.app.execution.plan(&self.test.system(), &self.project, Vec::new()).await.unwrap()
    }

    /// The plan of every step: name, whether it is cached, reasons.
    pub(crate) async fn planned(&self) -> Vec<(String, bool, String)> {
        let plan = self.plan().await;
        plan.steps.into_iter().map(|step| (step.step.to_string(), step.is_cached, step.reasons.join("; "))).collect()
    }

    /// Waits until a number of attempts of a run are running, and returns them.
    pub(crate) async fn wait_for_running(&self, id: PipelineRunId, count: usize) -> Vec<StepRun> {
        let running = async {
            loop {
                let attempts = self.attempts(id).await.into_iter().map(|(run, _)| run);
                let running: Vec<StepRun> =
                    attempts.filter(|run| run.state == StepRunState::Running && run.run_id.is_some()).collect();
                if running.len() >= count {
                    return running;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, running).await.expect("the steps begin")
    }

    /// Waits until a step of a run is running, and returns its attempt.
    pub(crate) async fn wait_for_running_step(&self, id: PipelineRunId, step: &str) -> StepRun {
        let is_running = async {
            loop {
                let running = self.wait_for_running(id, 1).await;
                if let Some(attempt) = running.into_iter().find(|run| run.step.as_str() == step) {
                    return attempt;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, is_running).await.expect("the step begins")
    }

    /// Waits until the runner has the job of an attempt.
    pub(crate) async fn wait_for_job(&self, attempt: &StepRun) {
        let runner = &self.test.app.kernel.services.runner;
        let has_job = async {
            while runner.watch(RunnerJobId::from(attempt.id.uuid())).await.is_err() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, has_job).await.expect("the job is submitted");
    }

    /// The tracked run of an attempt, and what was logged to it.
    pub(crate) async fn tracked(&self, attempt: &StepRun) -> (Run, RunData) {
        let mut reader = self.test.app.kernel.store().read().await.unwrap();
        let run = runs::get(&mut reader, attempt.run_id.expect("a tracked run")).await.unwrap();
        let data = runs::data(&mut reader, std::slice::from_ref(&run)).await.unwrap().pop().unwrap_or_default();
        (run, data)
    }
}

pub(crate) fn name(step: &str) -> StepName {
    step.parse().unwrap()
}

/// Writes a file in the folder of the project, and lists it in the data engine, which finds the declared files.
fn write_file(test: &TestApp, path: &str, content: &str) {
    test.data.offer(path, content);
    let path = test.folder.path().join("root").join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(crate) fn with_project_table(file: &str) -> String {
    format!("[project]\nname = \"flights\"\n\n{file}")
}
