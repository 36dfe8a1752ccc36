//! The staging area: whole or void.

use perennial_core::id::LoadId;
use perennial_core::port::data::DataEngine;
use serde_json::json;

use crate::support::{How, Place, TABLE, commit_of, says};

#[tokio::test]
async fn staging_changes_no_table_until_it_is_committed() {
    let place = Place::new();
    let (load, staged) = place.stage(&How::lines("{\"n\": 1}\n")).await.unwrap();
    assert_eq!((staged.arrived, staged.passing), (1, 1));
    assert!(place.base().await.is_none());
    place.commit(load).await.unwrap();
    assert_eq!(place.rows("SELECT n FROM rows").await, [[json!(1)]]);
}

#[tokio::test]
async fn a_staged_load_survives_a_restart() {
    let place = Place::new();
    let (load, staged) = place.stage(&How::lines("{\"n\": 1}\n")).await.unwrap();
    let again = place.again();
    assert_eq!(again.staged(load).await.unwrap(), Some(staged));
    again.commit(commit_of(load, 0)).await.unwrap();
    assert_eq!(place.rows("SELECT n FROM rows").await, [[json!(1)]]);
}

#[tokio::test]
async fn sweeping_forgets_every_staged_load_but_those_that_are_kept() {
    let place = Place::new();
    let (kept, staged) = place.stage(&How::lines("{\"n\": 1}\n")).await.unwrap();
    let (left, _) = place.stage(&How::lines("{\"n\": 2}\n")).await.unwrap();
    let staging = place.folder.path().join("staging");
    // Cut off while a third was staged again.
    let (again, _) = place.stage(&How::lines("{\"n\": 3}\n")).await.unwrap();
    std::fs::rename(staging.join(again.to_string()), staging.join(format!("{again}.before"))).unwrap();
    place.engine.sweep(&[kept]).await.unwrap();
    assert_eq!(place.engine.staged(kept).await.unwrap(), Some(staged));
    assert_eq!(place.engine.staged(left).await.unwrap(), None);
    let mut names: Vec<String> =
        std::fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [kept.to_string(), "spill".to_owned()]);
}

#[tokio::test]
async fn what_queries_of_a_dead_engine_had_spilled_is_cleared() {
    let place = Place::new();
    let spilled = place.folder.path().join("staging/spill/left-behind");
    std::fs::write(&spilled, "rows").unwrap();
    place.again();
    assert!(!spilled.exists());
}

#[tokio::test]
async fn a_half_written_area_is_void() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines("{\"n\": 1}\n")).await.unwrap();
    let area = place.folder.path().join("staging").join(load.to_string());
    let rows = std::fs::read(area.join("rows.parquet")).unwrap();
    std::fs::write(area.join("rows.parquet"), &rows[..rows.len() - 1]).unwrap();
    assert_eq!(place.engine.staged(load).await.unwrap(), None);
    says(&place.commit(load).await.unwrap_err(), "wrong-state", &["not staged, or only in part"]);
    std::fs::write(area.join("rows.parquet"), &rows).unwrap();
    std::fs::remove_file(area.join("staged.json")).unwrap();
    says(&place.engine.quarantine(load, TABLE).await.unwrap_err(), "wrong-state", &["not staged"]);
}

#[tokio::test]
async fn staging_again_replaces_and_a_failed_stage_leaves_nothing() {
    let place = Place::new();
    let mut how = How::lines("{\"n\": 1}\n");
    let load = LoadId::generate();
    how.load = Some(load);
    place.stage(&how).await.unwrap();
    let mut other = How::lines("{\"n\": 2}\n{\"n\": 3}\n");
    other.load = Some(load);
    assert_eq!(place.stage(&other).await.unwrap().1.arrived, 2);
    let mut broken = How::lines("{\"n\"\n");
    broken.load = Some(load);
    place.stage(&broken).await.unwrap_err();
    assert_eq!(place.engine.staged(load).await.unwrap(), None);
    assert!(!place.folder.path().join("staging").join(load.to_string()).exists());
}

#[tokio::test]
async fn a_discarded_load_is_forgotten() {
    let place = Place::new();
    let (load, _) = place.stage(&How::lines("{\"n\": 1}\n")).await.unwrap();
    place.engine.discard(load).await.unwrap();
    place.engine.discard(load).await.unwrap();
    assert_eq!(place.engine.staged(load).await.unwrap(), None);
}
