//! Records with sensible values, and constructors for the records that tests need.

use perennial_core::cause::{Cause, ChangeCause};
use perennial_core::entity::{
    Dataset, DatasetKind, DatasetVersion, DatasetVersionOrigin, Experiment, Load, LoadFile, LoadIntent, LoadOrigin,
    NewExperiment, NewProject, NewRun, PipelineKind, PipelineOptions, PipelineRun, PrincipalKind, PrincipalRecord,
    Project, StepRun,
};
use perennial_core::id::{DatasetId, LoadId, PipelineRunId, PrincipalId, ProjectId, RunId, StepRunId};
use perennial_core::port::data::Mode;
use perennial_core::port::source::Position;
use perennial_core::schema::{Field, Schema, TypeClass};
use perennial_core::state::{LoadState, PipelineRunState, RunStatus, StepRunState};
use perennial_store::{Store, datasets, experiments, pipeline_runs, projects};
use serde_json::json;

use crate::db::write_tx;

/// The instant of the tests: 2013-07-01 UTC.
pub(crate) const NOW: i64 = 1_372_636_800_000;

pub(crate) async fn project(store: &Store, name: &str) -> Project {
    let new = NewProject {
        id: ProjectId::generate(),
        name: name.parse().unwrap(),
        artifact_root: "mlflow-artifacts:".to_owned(),
        created_ms: NOW,
    };
    write_tx!(store, tx => { Ok(projects::create(tx, &new).await?) }).unwrap()
}

pub(crate) async fn dataset(store: &Store, project: ProjectId, name: &str) -> Dataset {
    let dataset = Dataset {
        id: DatasetId::generate(),
        project_id: project,
        name: name.parse().unwrap(),
        kind: DatasetKind::Table,
        mode: Mode::Append,
        key_columns: vec!["flight_id".to_owned()],
        table_path: format!("{project}/{name}"),
        last_number: 0,
        created_ms: NOW,
    };
    let made = dataset.clone();
    write_tx!(store, tx => { Ok(datasets::insert(tx, &dataset).await?) }).unwrap();
    made
}

pub(crate) fn load(dataset: &Dataset, path: &str) -> Load {
    Load {
        id: LoadId::generate(),
        project_id: dataset.project_id,
        dataset_id: dataset.id,
        origin: LoadOrigin::File,
        origin_id: None,
        files: vec![LoadFile {
            path: path.to_owned(),
            position: Some(Position::new(format!("position in {path}"))),
            content_digest: Some(format!("digest of {path}")),
        }],
        content_digest: Some(format!("digest of {path}")),
        size_bytes: Some(7_041),
        state: LoadState::Staged,
        arrived: 100,
        passing: 98,
        set_aside: 2,
        reasons: json!({"far_enough": 2}),
        staged: Some(json!({"rows": [1, 2]})),
        message: None,
        replaces: None,
        replaced_by: None,
        number: None,
        cause: Some(ChangeCause::PipelineRun(PipelineRunId::generate())),
        wall_ms: NOW,
        project_ms: NOW - 1,
        settled_ms: None,
    }
}

pub(crate) fn version(load: &Load, number: i64) -> DatasetVersion {
    DatasetVersion {
        dataset_id: load.dataset_id,
        number,
        project_id: load.project_id,
        delta_version: Some(number + 10),
        manifest: None,
        row_count: 98,
        size_bytes: 4_096,
        schema: Schema { fields: vec![Field { name: "flight_id".to_owned(), class: TypeClass::Int, nullable: false }] },
        digest: format!("digest {number}"),
        row_sum: Some("00ff".to_owned()),
        origin_kind: DatasetVersionOrigin::Load,
        origin_id: load.id.to_string(),
        wall_ms: NOW,
        project_ms: NOW + number,
    }
}

pub(crate) fn intent(load: &Load, number: i64) -> LoadIntent {
    LoadIntent {
        dataset_id: load.dataset_id,
        load_id: load.id,
        project_id: load.project_id,
        number,
        version: DatasetVersion { delta_version: None, ..version(load, number) },
        holder: "server".to_owned(),
        created_ms: NOW,
    }
}

pub(crate) async fn experiment(store: &Store, name: &str) -> Experiment {
    let new = NewExperiment {
        project_id: projects::default_id(),
        name: name.to_owned(),
        artifact_location: None,
        artifact_root: "mlflow-artifacts:".to_owned(),
        created_ms: NOW,
        tags: Vec::new(),
    };
    write_tx!(store, tx => { Ok(experiments::create(tx, &new).await?) }).unwrap()
}

pub(crate) fn run(experiment: &Experiment) -> NewRun {
    NewRun {
        run_id: RunId::generate(),
        experiment_id: experiment.id,
        parent_run_id: None,
        name: "brisk-heron-1".to_owned(),
        user_id: "ada".to_owned(),
        status: RunStatus::Running,
        start_ms: NOW,
        tags: Vec::new(),
    }
}

pub(crate) fn principal(name: &str) -> PrincipalRecord {
    PrincipalRecord {
        id: PrincipalId::generate(),
        name: name.to_owned(),
        kind: PrincipalKind::Person,
        is_disabled: false,
        created_ms: NOW,
    }
}

pub(crate) async fn pipeline_run(store: &Store, project: ProjectId) -> PipelineRun {
    let run = PipelineRun {
        id: PipelineRunId::generate(),
        project_id: project,
        kind: PipelineKind::Run,
        state: PipelineRunState::Pending,
        cause: Cause::person("ada"),
        file_digest: "f00d".to_owned(),
        options: PipelineOptions::default(),
        holder: None,
        message: None,
        wall_ms: NOW,
        project_ms: NOW,
        started_ms: None,
        ended_ms: None,
    };
    let made = run.clone();
    write_tx!(store, tx => { Ok(pipeline_runs::insert(tx, &run).await?) }).unwrap();
    made
}

pub(crate) fn step_run(pipeline: &PipelineRun, step: &str, attempt: i64, cache_key: &str) -> StepRun {
    StepRun {
        id: StepRunId::generate(),
        project_id: pipeline.project_id,
        pipeline_run_id: pipeline.id,
        step: step.parse().unwrap(),
        attempt,
        state: StepRunState::Pending,
        cache_key: cache_key.to_owned(),
        key_parts: json!({"command": "python train.py"}),
        reused_from: None,
        run_id: None,
        runner: None,
        exit: None,
        peak_memory_bytes: None,
        isolation: None,
        message: None,
        log_digest: None,
        started_ms: None,
        ended_ms: None,
    }
}
