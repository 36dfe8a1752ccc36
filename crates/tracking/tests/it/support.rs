//! A server with one experiment, and values for tests.

use perennial_core::entity::{MetricPoint, Param, Run, RunBatch, RunData, RunInput, RunUpdate, Tag};
use perennial_core::id::{ExperimentId, ProjectId, RunId};
use perennial_core::ledger::Chain;
use perennial_core::permission::Role;
use perennial_core::state::RunStatus;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, access};
use perennial_store::{ledger, projects};
use perennial_testkit::TestApp;
use perennial_tracking::runs::Begin;
use perennial_tracking::{experiments, logging, runs};
use serde_json::Value as Json;

/// A server, and an experiment of the default project.
pub(crate) struct Tracking {
    pub(crate) test: TestApp,
    /// A caller with every permission.
    pub(crate) caller: Caller,
    pub(crate) experiment: ExperimentId,
}

impl Tracking {
    pub(crate) async fn start() -> Self {
        let test = TestApp::start().await.unwrap();
        let caller = test.system();
        let experiment = experiments::create(&caller, "flights".to_owned(), None, Vec::new()).await.unwrap().id;
        Self { test, caller, experiment }
    }

    /// The project of the experiment.
    pub(crate) fn project() -> ProjectId {
        projects::default_id()
    }

    /// Another project, with an experiment of its own.
    pub(crate) async fn other_project(&self) -> (ProjectId, ExperimentId) {
        let project = self.test.submit("[project]\nname = \"shops\"\n").await.unwrap();
        let tags = vec![tag(experiments::PROJECT_TAG, "shops")];
        let created = experiments::create(&self.caller, "sales".to_owned(), None, tags).await.unwrap();
        (project.id, created.id)
    }

    /// A person with a role on one project.
    pub(crate) async fn person(&self, name: &str, role: Role, project: ProjectId) -> Caller {
        let token = access::create_person_token(&self.caller, name, role, Some(project)).await.unwrap();
        let principal = access::authenticate(&self.test.app.kernel, &token.secret).await.unwrap();
        Caller::new(self.test.app.kernel.clone(), principal)
    }

    /// The step whose run is `run`.
    pub(crate) fn step(&self, run: RunId) -> Caller {
        let mut caller = self.caller.clone();
        caller.principal.run = Some(run);
        caller
    }

    /// Begins a run with a name.
    pub(crate) async fn begin(&self, name: &str) -> RunId {
        let begin = Begin { name: Some(name.to_owned()), user_id: "ann".to_owned(), start_ms: 1, tags: Vec::new() };
        runs::create(&self.caller, self.experiment, begin).await.unwrap().0.run_id
    }

    /// Begins a run with a name and tags.
    pub(crate) async fn begin_with(&self, name: Option<&str>, tags: Vec<Tag>) -> Result<(Run, RunData)> {
        let begin = Begin { name: name.map(str::to_owned), tags, ..Begin::default() };
        runs::create(&self.caller, self.experiment, begin).await
    }

    pub(crate) async fn log(&self, id: RunId, batch: RunBatch) -> Result<()> {
        logging::log_batch(&self.caller, id, batch).await
    }

    /// Sets the status of a run.
    pub(crate) async fn set(&self, id: RunId, status: RunStatus) -> Result<Run> {
        let update = RunUpdate { status: Some(status), end_ms: status.is_terminal().then_some(9), name: None };
        runs::update(&self.caller, id, update).await
    }

    pub(crate) async fn rename(&self, id: RunId, name: &str) -> Result<Run> {
        runs::update(&self.caller, id, RunUpdate { name: Some(name.to_owned()), ..RunUpdate::default() }).await
    }

    pub(crate) async fn data(&self, id: RunId) -> RunData {
        runs::get(&self.caller, id).await.unwrap().1
    }

    /// The verbs and payloads of the ledger entries about a run, oldest first.
    pub(crate) async fn entries(&self, id: RunId) -> Vec<(String, Json)> {
        let mut reader = self.test.app.kernel.store().read().await.unwrap();
        let chain = Chain::Project(Self::project());
        let mut found = Vec::new();
        let newest = ledger::list_of_subject(&mut reader, chain, "run", &id.to_string(), 1_000).await.unwrap();
        for entry in newest.into_iter().rev() {
            let payload = ledger::find_payload(&mut reader, chain, entry.sequence).await.unwrap().unwrap();
            found.push((entry.verb, serde_json::from_str(&payload).unwrap()));
        }
        found
    }

    pub(crate) async fn verbs(&self, id: RunId) -> Vec<String> {
        self.entries(id).await.into_iter().map(|(verb, _)| verb).collect()
    }
}

pub(crate) fn experiment_id(number: i64) -> ExperimentId {
    ExperimentId::try_from(number).unwrap()
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

pub(crate) fn param(key: &str, value: &str) -> Param {
    Param { key: key.to_owned(), value: value.to_owned() }
}

/// A point at second `step`.
pub(crate) fn point(key: &str, step: i64, value: f64) -> MetricPoint {
    MetricPoint { key: key.to_owned(), value, timestamp_ms: step * 1_000, step }
}

pub(crate) fn input(name: &str, digest: &str) -> RunInput {
    RunInput {
        name: name.to_owned(),
        digest: digest.to_owned(),
        source_type: "local".to_owned(),
        source: "/data".to_owned(),
        schema: None,
        profile: None,
        tags: Json::Null,
    }
}

pub(crate) fn params(params: Vec<Param>) -> RunBatch {
    RunBatch { params, ..RunBatch::default() }
}

pub(crate) fn tags(tags: Vec<Tag>) -> RunBatch {
    RunBatch { tags, ..RunBatch::default() }
}

pub(crate) fn metrics(metrics: Vec<MetricPoint>) -> RunBatch {
    RunBatch { metrics, ..RunBatch::default() }
}

/// Asserts that a use case refused, with this code and these words.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(result: Result<T>, code: ErrorCode, words: &str) -> Error {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{}", error.message());
    assert!(error.message().contains(words), "{}", error.message());
    error
}
