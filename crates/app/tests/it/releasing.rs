//! Pipeline runs that train, judge and release, over rows that are told to the data engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use perennial_app::ProjectState;
use perennial_app::pipeline_runs::{self, PipelineKind, PipelineRun};
use perennial_app::pipelines::{self, PipelineOptions, RunOutcome};
use perennial_core::cause::{Cause, TriggerEvent};
use perennial_core::frame::{Column, Frame, TextColumn};
use perennial_core::id::DatasetId;
use perennial_core::port::data::Mode;
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_store::dataset_versions::{DatasetVersion, OriginKind};
use perennial_store::datasets::{Dataset, DatasetKind};
use perennial_store::{dataset_versions, datasets, evidence};
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, WALL_MS};
use serde_json::json;

/// Hours in two months: April trains, May judges.
const ROWS: usize = 60 * 24;

/// A project such as [`PROJECT_FILE`], with rows to learn from.
pub(crate) struct Flown {
    pub(crate) test: TestApp,
    pub(crate) project: Arc<ProjectState>,
    dataset: DatasetId,
}

impl Flown {
    async fn start() -> Self {
        Self::of(PROJECT_FILE).await
    }

    pub(crate) async fn of(file: &str) -> Self {
        let test = TestApp::start().await.unwrap();
        let project = test.submit(file).await.unwrap();
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

    /// Makes other rows of the dataset the newest, and has the trainer make a model of them.
    pub(crate) async fn renew(&self, number: i64, model: TestModel) {
        self.test.trainer.make(model);
        self.rows(number).await;
    }

    /// Makes other rows of the dataset the newest.
    async fn rows(&self, number: i64) {
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

    /// The next version of a dataset, with these columns.
    pub(crate) async fn version(&self, dataset_id: DatasetId, number: i64, columns: &[(&str, TypeClass)]) {
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
            origin_kind: OriginKind::Load,
            origin_id: "test".to_owned(),
            wall_ms: 0,
            project_ms: 0,
        };
        let store = self.test.app.store();
        store
            .write(move |tx| Box::pin(async move { Ok(dataset_versions::insert(tx, &version).await?) }))
            .await
            .unwrap();
    }

    async fn run(&self, kind: PipelineKind, cause: Cause) -> (PipelineRun, perennial_core::Result<RunOutcome>) {
        let (caller, options) = (self.test.system(), PipelineOptions::default());
        let run = pipelines::request(&caller, &self.project, kind, cause, &options).await.unwrap();
        let ended = self.test.app.runner.run(&caller, &self.project, &run).await;
        (run, ended)
    }

    /// Releases; how it ended, in one line.
    pub(crate) async fn release(&self, cause: Cause) -> String {
        self.run(PipelineKind::Release, cause).await.1.unwrap().message.unwrap_or_default()
    }

    fn answers(&self) -> Option<i64> {
        self.test.app.endpoints.router.find("delay").map(|live| live.champion().number)
    }
}

/// The cause of a run that a person asked for.
pub(crate) fn by_person() -> Cause {
    Cause::person("ada")
}

/// The cause of a run that a trigger started.
fn by_trigger() -> Cause {
    let because = TriggerEvent::Dataset { dataset: "flown".parse().unwrap(), number: 1 };
    Cause::Trigger { trigger: "renew".parse().unwrap(), event: "dataset:flown".to_owned(), because }
}

/// A dataset without versions.
pub(crate) async fn dataset(test: &TestApp, project: &ProjectState, name: &str) -> DatasetId {
    let dataset = Dataset {
        id: DatasetId::generate(),
        project_id: project.id,
        name: name.parse().unwrap(),
        kind: DatasetKind::Table,
        mode: Mode::Append,
        key_columns: Vec::new(),
        table_path: name.to_owned(),
        last_number: 0,
        created_ms: 0,
    };
    let id = dataset.id;
    let store = test.app.store();
    store.write(move |tx| Box::pin(async move { Ok(datasets::insert(tx, &dataset).await?) })).await.unwrap();
    id
}

#[tokio::test]
async fn a_version_that_was_rolled_back_does_not_come_back_by_a_comment() {
    let flown = Flown::start().await;
    for (number, intercept) in [(1, 0.0), (2, 1.0)] {
        flown.renew(number, TestModel::binary(intercept)).await;
        assert_eq!(flown.release(by_person()).await, format!("version {number} answers at `delay`"));
    }
    flown.test.app.endpoints.rollback(&flown.test.system(), &flown.project, &"delay".parse().unwrap()).await.unwrap();
    assert_eq!(flown.answers(), Some(1));
    flown.test.submit(&format!("{PROJECT_FILE}\n# another release of the same version\n")).await.unwrap();
    let told = flown.release(by_trigger()).await;
    assert_eq!(told, "version 2 was rolled back at `delay` before: only a person may release it again");
    assert_eq!(flown.answers(), Some(1));
    assert_eq!(flown.release(by_person()).await, "version 2 answers at `delay`");
}

#[tokio::test]
async fn a_release_takes_up_what_the_project_file_says_of_endpoints() {
    let flown = Flown::start().await;
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(by_person()).await;
    let (without, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    flown.test.write_file(without).unwrap();
    flown.test.app.projects.submit(&flown.test.system()).await.unwrap();
    flown.run(PipelineKind::Run, by_person()).await.1.unwrap();
    assert_eq!(flown.answers(), Some(1), "a run leaves it as it is");
    assert!(flown.release(by_person()).await.contains("nothing answers at `delay` any more"));
    assert_eq!(flown.answers(), None);
}

#[tokio::test]
async fn evidence_is_gathered_beside_the_champion_it_is_known_by() {
    let flown = Arc::new(Flown::start().await);
    flown.renew(1, TestModel::binary(0.0)).await;
    flown.release(by_person()).await;
    flown.renew(2, TestModel::binary(1.0)).await;
    let (asked, over) = (Arc::new(AtomicUsize::new(0)), Arc::downgrade(&flown));
    flown.test.data.before_frame(move |sql| {
        // The trainer reads the rows first, then whoever judges: another version is released meanwhile.
        let is_judging = sql.starts_with("SELECT *") && asked.fetch_add(1, Ordering::AcqRel) == 1;
        let flown = over.upgrade().filter(|_| is_judging);
        Box::pin(async move {
            if let Some(flown) = flown {
                flown.test.deploy(&flown.project, "delay", &TestModel::binary(2.0)).await.unwrap();
            }
        })
    });
    let (run, ended) = flown.run(PipelineKind::Run, by_person()).await;
    ended.unwrap();
    assert_eq!(flown.answers(), Some(2), "a version was released while the candidate was judged");
    let steps = pipeline_runs::steps(&flown.test.system(), &flown.project, run.id).await.unwrap();
    let (judge, _) = steps.iter().find(|(step, _)| step.step.as_str() == "judge").unwrap();
    let mut reader = flown.test.app.store().read().await.unwrap();
    let found = evidence::find_by_step_run(&mut reader, judge.id).await.unwrap().unwrap();
    let judged = found.body["models"].as_array().unwrap().iter().find(|model| model["name"] == "champion").unwrap();
    assert_eq!((&judged["number"], &judged["digest"]), (&json!(1), &judge.key_parts["champion"]));
}

#[tokio::test]
async fn a_failed_run_tells_what_to_do() {
    let flown = Flown::start().await;
    flown.rows(1).await;
    let (run, ended) = flown.run(PipelineKind::Run, by_person()).await;
    assert_eq!(ended.unwrap_err().message(), "step `train` failed: this trainer trains nothing");
    let (caller, wait) = (flown.test.system(), Duration::ZERO);
    let (events, _) = flown.test.app.execution.events(&caller, &flown.project, run.id, 0, wait).await.unwrap();
    assert_eq!(events.last().unwrap().body["hint"], "give it a model");
}
