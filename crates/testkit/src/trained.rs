//! A project with rows to train on.

#![expect(clippy::expect_used, reason = "a failure here is a failure of the test")]

use std::sync::Arc;

use perennial_core::cause::{Cause, TriggerEvent};
use perennial_core::entity::{Dataset, DatasetKind, DatasetVersion, DatasetVersionOrigin, PipelineKind, PipelineRun};
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::DatasetId;
use perennial_core::port::data::Mode;
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_execution::pipelines::{self, PipelineOptions, RunOutcome};
use perennial_projects::ProjectState;
use perennial_store::{dataset_versions, datasets};

use crate::{PROJECT_FILE, TestApp, TestModel, WALL_MS};

/// Hours in two months: April trains, May tests.
const ROWS: usize = 60 * 24;

/// A project such as [`PROJECT_FILE`], with rows to train on.
pub struct TrainedProject {
    /// The application.
    pub test: TestApp,
    /// The project.
    pub project: Arc<ProjectState>,
    /// The dataset `flown`.
    pub dataset: DatasetId,
}

impl TrainedProject {
    /// A project such as [`PROJECT_FILE`](crate::PROJECT_FILE).
    pub async fn start() -> Self {
        Self::of(PROJECT_FILE).await
    }

    /// A project by a project file.
    pub async fn of(file: &str) -> Self {
        let test = TestApp::start().await.expect("the test application works");
        let project = test.submit(file).await.expect("the test application works");
        let rows = || (0..ROWS).map(|row| row as f64);
        let late: Vec<f64> = rows().map(|row| f64::from(row % 3.0 == 0.0)).collect();
        let carriers = (0..ROWS).map(|row| Some(["AA", "UA", "B6"][row % 7 % 3]));
        let mut times = Frame::new();
        times.push("hour", Column::Number(rows().map(|row| WALL_MS as f64 / 1000.0 - (row + 1.0) * 3_600.0).collect()));
        let mut all = times.clone();
        times.push("labelled", Column::Number(vec![1.0; ROWS]));
        all.push("flight_id", Column::Number(rows().collect()));
        all.push("late", Column::Number(late));
        all.push("dep_hour", Column::Number(rows().map(|row| row % 11.0).collect()));
        all.push("distance", Column::Number(rows().map(|row| row * 37.0 % 1_000.0).collect()));
        all.push("carrier", Column::Text(TextColumn::encode(carriers)));
        let split = "SELECT \"hour\", CASE WHEN \"late\" IS NULL THEN 0 ELSE 1 END AS labelled FROM \"flown\"";
        test.data.answer_frame(split, times);
        test.data.answer_frame("SELECT * FROM \"flown\"", all);
        let dataset = dataset(&test, &project, "flown").await;
        Self { test, project, dataset }
    }

    /// Adds a version of the dataset, and sets the model that the trainer returns for it.
    pub async fn renew(&self, number: i64, model: TestModel) {
        self.test.trainer.make(model);
        self.rows(number).await;
    }

    /// Adds a version of the dataset.
    pub async fn rows(&self, number: i64) {
        let columns = [
            ("flight_id", TypeClass::Int),
            ("hour", TypeClass::Timestamp),
            ("late", TypeClass::Bool),
            ("dep_hour", TypeClass::Int),
            ("distance", TypeClass::Float),
            ("carrier", TypeClass::Text),
        ];
        self.version(self.dataset, number, &columns).await;
    }

    /// Adds a version of a dataset, with these columns.
    pub async fn version(&self, dataset_id: DatasetId, number: i64, columns: &[(&str, TypeClass)]) {
        let field = |(name, class): &(&str, TypeClass)| Field {
            name: (*name).to_owned(),
            class: class.clone(),
            nullable: true,
        };
        let version = DatasetVersion {
            dataset_id,
            number,
            project_id: self.project.id,
            delta_version: Some(number),
            manifest: None,
            row_count: ROWS as u64,
            size_bytes: 1,
            schema: Schema { fields: columns.iter().map(field).collect() },
            digest: format!("rows {number}"),
            row_sum: None,
            origin_kind: DatasetVersionOrigin::Load,
            origin_id: "test".to_owned(),
            wall_ms: 0,
            project_ms: 0,
        };
        let store = self.test.app.kernel.store();
        store
            .write(move |tx| Box::pin(async move { Ok(dataset_versions::insert(tx, &version).await?) }))
            .await
            .expect("the test application works");
    }

    /// Requests a pipeline run and runs it to its end.
    pub async fn run(&self, kind: PipelineKind, cause: Cause) -> (PipelineRun, perennial_core::Result<RunOutcome>) {
        let (caller, options) = (self.test.system(), PipelineOptions::default());
        let run = pipelines::request(&caller, &self.project, kind, cause, &options)
            .await
            .expect("the test application works");
        let ended = self.test.app.runner.run(&caller, &self.project, &run).await;
        (run, ended)
    }

    /// Releases. Returns how the run ended, in one line.
    pub async fn release(&self, cause: Cause) -> String {
        self.run(PipelineKind::Release, cause).await.1.expect("the test application works").message.unwrap_or_default()
    }

    /// The champion at `delay`.
    pub fn answers(&self) -> Option<i64> {
        self.test.app.endpoints.router.find("delay").map(|deployment| deployment.champion().number)
    }
}

/// A dataset without versions.
pub async fn dataset(test: &TestApp, project: &ProjectState, name: &str) -> DatasetId {
    let dataset = Dataset {
        id: DatasetId::generate(),
        project_id: project.id,
        name: name.parse().expect("the test application works"),
        kind: DatasetKind::Table,
        mode: Mode::Append,
        key_columns: Vec::new(),
        table_path: name.to_owned(),
        last_number: 0,
        created_ms: 0,
    };
    let id = dataset.id;
    let store = test.app.kernel.store();
    store
        .write(move |tx| Box::pin(async move { Ok(datasets::insert(tx, &dataset).await?) }))
        .await
        .expect("the test application works");
    id
}

/// The cause of a run that a person requested.
pub fn by_person() -> Cause {
    Cause::person("ada")
}

/// The cause of a run that a trigger started.
pub fn by_trigger() -> Cause {
    let because = TriggerEvent::Dataset { dataset: "flown".parse().expect("a name"), number: 1 };
    Cause::Trigger { trigger: "renew".parse().expect("a name"), event: "dataset:flown".to_owned(), because }
}
