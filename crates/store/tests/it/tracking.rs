//! Experiments and runs: what MLflow's clients rely on.

use perennial_core::ErrorCode;
use perennial_core::entity::{
    MetricPoint, NewExperiment, NewRun, Param, Run, RunArtifact, RunBatch, RunInput, RunUpdate, Tag,
};
use perennial_core::id::{ExperimentId, RunId};
use perennial_core::state::{Lifecycle, RunStatus};
use perennial_store::{experiments, run_artifacts, runs};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, experiment, project, run};

on_both! {
    experiments_count_up_and_keep_their_names,
    the_name_of_an_experiment_is_unique_in_its_project,
    deleting_an_experiment_deletes_its_runs_and_restoring_restores_all,
    a_run_is_made_in_an_experiment_that_is_not_deleted,
    a_deleted_run_is_read_but_not_written,
    a_param_is_written_once,
    of_two_tags_with_one_key_the_last_stays,
    run_data_comes_for_many_runs_at_once,
    a_dataset_input_is_known_by_name_and_digest,
    artifacts_are_listed_and_deleted_by_folder,
}

pub(crate) fn tag(key: &str, value: &str) -> Tag {
    Tag { key: key.to_owned(), value: value.to_owned() }
}

pub(crate) fn param(key: &str, value: &str) -> Param {
    Param { key: key.to_owned(), value: value.to_owned() }
}

pub(crate) fn point(key: &str, value: f64, timestamp_ms: i64, step: i64) -> MetricPoint {
    MetricPoint { key: key.to_owned(), value, timestamp_ms, step }
}

pub(crate) async fn create(db: &Db, run: NewRun) -> Run {
    write_tx!(db.store, tx => { Ok(runs::create(tx, &run).await?) }).unwrap()
}

pub(crate) async fn log(db: &Db, run_id: RunId, batch: RunBatch) -> perennial_core::Result<()> {
    write_tx!(db.store, tx => { Ok(runs::log_batch(tx, run_id, &batch).await.map(drop)?) })
}

async fn experiments_count_up_and_keep_their_names(db: &Db) {
    let (one, two) = (experiment(&db.store, "one").await, experiment(&db.store, "two").await);
    assert_eq!((one.id.number(), two.id.number()), (1, 2));
    let taken = write_tx!(db.store, tx => { Ok(experiments::rename(tx, one.id, "two", NOW).await?) }).unwrap_err();
    assert_eq!((taken.code(), taken.message()), (ErrorCode::AlreadyExists, "experiment `two` already exists"));
    write_tx!(db.store, tx => {
        experiments::rename(tx, one.id, "three", NOW + 1).await?;
        experiments::set_tag(tx, one.id, &tag("k", "1")).await?;
        experiments::set_tag(tx, one.id, &tag("k", "2")).await?;
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let project = one.project_id;
    assert_eq!(experiments::find_by_name(&mut reader, project, "one").await.unwrap(), None);
    assert_eq!(experiments::find_by_name(&mut reader, project, "three").await.unwrap().unwrap().updated_ms, NOW + 1);
    assert_eq!(experiments::list_tags(&mut reader, one.id).await.unwrap(), [tag("k", "2")]);
    assert_eq!(experiments::list(&mut reader).await.unwrap().len(), 3);
    drop(reader);
    write_tx!(db.store, tx => { Ok(experiments::delete_tag(tx, one.id, "k").await?) }).unwrap();
    let missing = write_tx!(db.store, tx => { Ok(experiments::delete_tag(tx, one.id, "k").await?) }).unwrap_err();
    assert_eq!(missing.message(), "tag `k` does not exist");
}

async fn the_name_of_an_experiment_is_unique_in_its_project(db: &Db) {
    let one = experiment(&db.store, "shops").await;
    // A project comes with an experiment of its name.
    let shops = project(&db.store, "shops").await;
    let mut reader = db.store.read().await.unwrap();
    let second = experiments::get(&mut reader, shops.experiment_id).await.unwrap();
    assert_eq!(experiments::list_by_name(&mut reader, "shops").await.unwrap(), [one.clone(), second.clone()]);
    for known in [&one, &second] {
        let found = experiments::find_by_name(&mut reader, known.project_id, "shops").await.unwrap();
        assert_eq!(found.as_ref(), Some(known));
    }
    drop(reader);
    let new = NewExperiment {
        project_id: shops.id,
        name: "shops".to_owned(),
        artifact_location: None,
        artifact_root: "mlflow-artifacts:".to_owned(),
        created_ms: NOW,
        tags: Vec::new(),
    };
    let (again, other) = (new.clone(), NewExperiment { name: "other".to_owned(), ..new });
    let taken = write_tx!(db.store, tx => { Ok(experiments::create(tx, &again).await?) }).unwrap_err();
    assert_eq!((taken.code(), taken.message()), (ErrorCode::AlreadyExists, "experiment `shops` already exists"));
    let other = write_tx!(db.store, tx => { Ok(experiments::create(tx, &other).await?) }).unwrap();
    let taken = write_tx!(db.store, tx => { Ok(experiments::rename(tx, other.id, "shops", NOW).await?) }).unwrap_err();
    assert_eq!(taken.code(), ErrorCode::AlreadyExists);
    write_tx!(db.store, tx => { Ok(experiments::rename(tx, one.id, "other", NOW).await?) }).unwrap();
}

async fn deleting_an_experiment_deletes_its_runs_and_restoring_restores_all(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let (one, two) = (create(db, run(&experiment)).await, create(db, run(&experiment)).await);
    write_tx!(db.store, tx => { Ok(runs::set_lifecycle(tx, one.run_id, Lifecycle::Deleted, NOW).await?) }).unwrap();
    for lifecycle in [Lifecycle::Deleted, Lifecycle::Active] {
        write_tx!(db.store, tx => { Ok(experiments::set_lifecycle(tx, experiment.id, lifecycle, NOW).await?) })
            .unwrap();
        let mut reader = db.store.read().await.unwrap();
        for run in [&one, &two] {
            let run = runs::get(&mut reader, run.run_id).await.unwrap();
            assert_eq!((run.lifecycle, run.deleted_ms.is_some()), (lifecycle, lifecycle == Lifecycle::Deleted));
        }
    }
}

async fn a_run_is_made_in_an_experiment_that_is_not_deleted(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let new = NewRun { tags: vec![tag("mlflow.user", "ada")], ..run(&experiment) };
    let made = create(db, new.clone()).await;
    assert_eq!(made.project_id, experiment.project_id);
    assert_eq!(made.artifact_uri, format!("{}/{}/artifacts", experiment.artifact_location, made.run_id));
    let child = create(db, NewRun { parent_run_id: Some(made.run_id), ..run(&experiment) }).await;
    assert_eq!(child.parent_run_id, Some(made.run_id));

    let again = write_tx!(db.store, tx => { Ok(runs::create(tx, &new).await?) }).unwrap_err();
    assert_eq!(again.code(), ErrorCode::InvalidArgument);
    let nowhere = NewRun { experiment_id: ExperimentId::try_from(77).unwrap(), ..run(&experiment) };
    write_tx!(db.store, tx => { Ok(runs::create(tx, &nowhere).await?) }).unwrap_err();
    let late = run(&experiment);
    write_tx!(db.store, tx => {
        experiments::set_lifecycle(tx, experiment.id, Lifecycle::Deleted, NOW).await?;
        Ok(runs::create(tx, &late).await?)
    })
    .unwrap_err();
}

async fn a_deleted_run_is_read_but_not_written(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let update = RunUpdate { status: Some(RunStatus::Finished), end_ms: Some(NOW + 5), name: None };
    let finished = write_tx!(db.store, tx => { Ok(runs::update(tx, id, &update).await?) }).unwrap();
    assert_eq!(
        (finished.status, finished.end_ms, finished.name.as_str()),
        (RunStatus::Finished, Some(NOW + 5), "brisk-heron-1")
    );
    let again = RunUpdate { status: Some(RunStatus::Running), ..RunUpdate::default() };
    let running = write_tx!(db.store, tx => { Ok(runs::update(tx, id, &again).await?) }).unwrap();
    assert_eq!(running.status, RunStatus::Running, "a client may take a run up again");
    write_tx!(db.store, tx => { Ok(runs::seal(tx, id, NOW).await?) }).unwrap();

    for _ in 0..2 {
        write_tx!(db.store, tx => { Ok(runs::set_lifecycle(tx, id, Lifecycle::Deleted, NOW).await?) }).unwrap();
    }
    let refused = log(db, id, RunBatch { tags: vec![tag("k", "v")], ..RunBatch::default() }).await.unwrap_err();
    assert_eq!(refused.message(), format!("run `{id}` is deleted: restore it before writing to it"));
    let renamed = RunUpdate { name: Some("x".to_owned()), ..RunUpdate::default() };
    write_tx!(db.store, tx => { Ok(runs::update(tx, id, &renamed).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(runs::get(&mut reader, id).await.unwrap().sealed_ms, Some(NOW));
}

async fn a_param_is_written_once(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let made = create(db, run(&experiment)).await;
    for params in [vec![param("trees", "300")], vec![param("rate", ""), param("trees", "300")]] {
        log(db, made.run_id, RunBatch { params, ..RunBatch::default() }).await.unwrap();
    }
    let refused = log(db, made.run_id, RunBatch { params: vec![param("trees", "200")], ..RunBatch::default() })
        .await
        .unwrap_err();
    assert_eq!(refused.code(), ErrorCode::InvalidArgument);
    assert!(refused.message().contains("Changing param values is not allowed"), "{refused}");
    let mut reader = db.store.read().await.unwrap();
    let data = runs::data(&mut reader, &[made]).await.unwrap().remove(0);
    assert_eq!(data.params, [param("rate", ""), param("trees", "300")]);
}

async fn of_two_tags_with_one_key_the_last_stays(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let made = create(db, run(&experiment)).await;
    let tags = vec![tag("a", "1"), tag("b", "1"), tag("a", "2")];
    log(db, made.run_id, RunBatch { tags, ..RunBatch::default() }).await.unwrap();
    let id = made.run_id;
    write_tx!(db.store, tx => { Ok(runs::delete_tag(tx, id, "b").await?) }).unwrap();
    write_tx!(db.store, tx => { Ok(runs::delete_tag(tx, id, "b").await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(runs::data(&mut reader, &[made]).await.unwrap()[0].tags, [tag("a", "2")]);
}

async fn run_data_comes_for_many_runs_at_once(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let mut made = Vec::new();
    for number in 0..5 {
        let run = create(db, run(&experiment)).await;
        let batch = RunBatch {
            metrics: vec![point("m", f64::from(number), 0, 0)],
            params: vec![param("p", &number.to_string())],
            tags: vec![tag("t", &number.to_string())],
        };
        log(db, run.run_id, batch).await.unwrap();
        made.push(run);
    }
    made.reverse();
    let mut reader = db.store.read().await.unwrap();
    let data = runs::data(&mut reader, &made).await.unwrap();
    let values: Vec<(f64, &str, &str)> =
        data.iter().map(|data| (data.metrics[0].value, &*data.params[0].value, &*data.tags[0].value)).collect();
    assert_eq!(values, [(4.0, "4", "4"), (3.0, "3", "3"), (2.0, "2", "2"), (1.0, "1", "1"), (0.0, "0", "0")]);
    assert!(runs::data(&mut reader, &[]).await.unwrap().is_empty());
}

async fn a_dataset_input_is_known_by_name_and_digest(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let input = |digest: &str, context: &str| RunInput {
        name: "flights".to_owned(),
        digest: digest.to_owned(),
        source_type: "local".to_owned(),
        source: "{}".to_owned(),
        schema: None,
        profile: Some("{\"rows\":3}".to_owned()),
        tags: json!({"mlflow.data.context": context}),
    };
    let inputs = [input("d1", "train"), input("d2", "eval"), input("d1", "another")];
    let logged = inputs.clone();
    write_tx!(db.store, tx => { Ok(runs::log_inputs(tx, id, &logged).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(runs::list_inputs(&mut reader, id).await.unwrap(), inputs[..2]);
}

async fn artifacts_are_listed_and_deleted_by_folder(db: &Db) {
    let experiment = experiment(&db.store, "e").await;
    let id = create(db, run(&experiment)).await.run_id;
    let artifact = |path: &str, digest: &str| RunArtifact {
        path: path.to_owned(),
        blob_digest: digest.to_owned(),
        size_bytes: 3,
        updated_ms: NOW,
    };
    let paths = ["model", "model-2/x", "model/MLmodel", "model/data/a", "plots/é.png"];
    for path in paths {
        let artifact = artifact(path, "d");
        write_tx!(db.store, tx => { Ok(run_artifacts::upsert(tx, id, &artifact).await?) }).unwrap();
    }
    let again = artifact("plots/é.png", "e");
    write_tx!(db.store, tx => { Ok(run_artifacts::upsert(tx, id, &again).await?) }).unwrap();
    let mut reader = db.store.read().await.unwrap();
    let names = |files: Vec<RunArtifact>| files.into_iter().map(|file| file.path).collect::<Vec<_>>();
    assert_eq!(names(run_artifacts::list(&mut reader, id, "").await.unwrap()), paths);
    assert_eq!(names(run_artifacts::list(&mut reader, id, "model").await.unwrap()), ["model/MLmodel", "model/data/a"]);
    assert_eq!(run_artifacts::find(&mut reader, id, "plots/é.png").await.unwrap().unwrap().blob_digest, "e");
    drop(reader);
    assert_eq!(write_tx!(db.store, tx => { Ok(run_artifacts::delete(tx, id, "model").await?) }).unwrap(), 3);
    let missing = artifact("x", "d");
    write_tx!(db.store, tx => { Ok(run_artifacts::upsert(tx, RunId::generate(), &missing).await?) }).unwrap_err();
}
