//! A project over the data engine in memory, and short reads of its state.

use std::sync::{Arc, Mutex, PoisonError};

use perennial_core::id::LoadId;
use perennial_core::name::DatasetName;
use perennial_core::permission::Role;
use perennial_core::state::{AlertState, LoadState};
use perennial_ingest::collect::{CollectEvent, Collected};
use perennial_ingest::datasets::{self, DatasetVersion, Load};
use perennial_kernel::{Caller, alerts};
use perennial_projects::ProjectState;
use perennial_testkit::TestApp;
use serde_json::Value as Json;

/// The source of most tests: one load a file, rows are added.
pub(crate) const FLOWN: &str = "[datasets.flown]\nsource = { files = \"*.csv\" }\nmode = \"append\"\n";

/// A submitted project and its server.
pub(crate) struct TestProject {
    pub(crate) test: TestApp,
    pub(crate) project: Arc<ProjectState>,
}

impl TestProject {
    /// Submits a project file, given without its `[project]` table.
    pub(crate) async fn start(file: &str) -> Self {
        let test = TestApp::start().await.unwrap();
        let project = test.submit(&with_project_table(file)).await.unwrap();
        Self { test, project }
    }

    /// Submits another project file.
    pub(crate) async fn submit(&self, file: &str) {
        self.test.submit(&with_project_table(file)).await.unwrap();
    }

    /// Another server over the same data, after the first one died.
    pub(crate) async fn restart(&self) -> Self {
        let test = TestApp::beside(&self.test).await.unwrap();
        let project = test.app.projects.get(self.project.id).await.unwrap();
        Self { test, project }
    }

    pub(crate) fn offer(&self, files: &[(&str, &str)]) {
        for (path, content) in files {
            self.test.data.offer(path, content);
        }
    }

    pub(crate) async fn collect(&self) -> Collected {
        self.collect_with_events().await.0
    }

    /// Collects; also returns the events, a line each.
    pub(crate) async fn collect_with_events(&self) -> (Collected, Vec<String>) {
        let events = Mutex::new(Vec::new());
        let on_event = |event: &CollectEvent<'_>| {
            let line = match event {
                CollectEvent::LoadStarted { dataset, files } => format!("{dataset}: {files} started"),
                CollectEvent::LoadEnded { dataset, files, .. } => format!("{dataset}: {files} ended"),
                CollectEvent::Failed { dataset, error } => format!("{dataset}: {}", error.message()),
                CollectEvent::NoFiles { dataset, files } => format!("{dataset}: no files at {files}"),
            };
            events.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        };
        let submission = self.project.submission().unwrap();
        let (ingest, caller) = (&self.test.app.ingest, self.test.system());
        let collected = ingest.collect(&caller, &self.project, &submission, &on_event).await.unwrap();
        (collected, events.into_inner().unwrap())
    }

    /// Offers one file, collects it, and returns its load.
    pub(crate) async fn load(&self, path: &str, content: &str) -> Load {
        self.test.data.offer(path, content);
        let collected = self.collect().await;
        assert!(collected.failed.is_empty(), "{:?}", collected.failed);
        let mut loads = collected.committed.into_iter().chain(collected.held).map(|(_, load)| load);
        let load = loads.next().expect("the file is loaded");
        assert_eq!(loads.next().map(|load| load.files), None, "only that file is loaded");
        load
    }

    /// The rows of a dataset, by a query.
    pub(crate) async fn rows(&self, sql: &str) -> Vec<Vec<Json>> {
        datasets::query(&self.test.system(), &self.project, sql.to_owned(), 100).await.unwrap().rows
    }

    /// The first column of the rows of a query, as text.
    pub(crate) async fn values(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        rows.iter().map(|row| row[0].to_string().replace('"', "")).collect::<Vec<_>>().join(" ")
    }

    /// The versions of a dataset, latest first; none without the dataset.
    pub(crate) async fn versions(&self, dataset: &str) -> Vec<DatasetVersion> {
        let found = datasets::versions(&self.test.system(), &self.project, &name(dataset), None, 100).await;
        found.map(|page| page.items).unwrap_or_default()
    }

    /// The latest version number of a dataset, 0 without one.
    pub(crate) async fn number(&self, dataset: &str) -> i64 {
        self.versions(dataset).await.first().map_or(0, |version| version.number)
    }

    /// The loads of a dataset, first to last.
    pub(crate) async fn loads(&self, dataset: &str) -> Vec<Load> {
        let page = datasets::loads(&self.test.system(), &self.project, &name(dataset), None, 100).await.unwrap();
        page.items.into_iter().rev().collect()
    }

    /// The states of the loads of a dataset, first to last.
    pub(crate) async fn states(&self, dataset: &str) -> Vec<LoadState> {
        self.loads(dataset).await.into_iter().map(|load| load.state).collect()
    }

    pub(crate) async fn get(&self, load: LoadId) -> Load {
        datasets::load(&self.test.system(), &self.project, load).await.unwrap()
    }

    /// Alerts, first to last: name, state and message.
    pub(crate) async fn alerts(&self) -> Vec<(String, AlertState, String)> {
        let page = alerts::list(&self.test.system(), self.project.id, None, 100).await.unwrap();
        page.items.into_iter().rev().map(|alert| (alert.name, alert.state, alert.message)).collect()
    }

    /// A caller who may decide about held loads.
    pub(crate) async fn approver(&self) -> Caller {
        self.test.caller("ann", Role::Approver).await.unwrap()
    }

    pub(crate) async fn accept(&self, load: LoadId, all: bool) -> Load {
        let ingest = &self.test.app.ingest;
        ingest.accept_load(&self.test.system(), &self.project, load, all).await.unwrap().0
    }
}

pub(crate) fn name(dataset: &str) -> DatasetName {
    dataset.parse().unwrap()
}

fn with_project_table(file: &str) -> String {
    format!("[project]\nname = \"flights\"\n\n{file}")
}
