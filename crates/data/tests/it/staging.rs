//! The staging area is complete or invalid.

use perennial_core::id::LoadId;
use perennial_core::port::data::DataEngine;
use serde_json::json;

use crate::support::{Fixture, StageOptions, TABLE, assert_error, commit_of};

#[tokio::test]
async fn staging_changes_no_table() {
    let fixture = Fixture::new();
    let (load, staged) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n")).await.unwrap();
    assert_eq!((staged.arrived, staged.passing), (1, 1));
    assert!(fixture.base().await.is_none());
    fixture.commit(load).await.unwrap();
    assert_eq!(fixture.rows("SELECT n FROM rows").await, [[json!(1)]]);
}

#[tokio::test]
async fn a_staged_load_survives_a_restart() {
    let fixture = Fixture::new();
    let (load, staged) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n")).await.unwrap();
    let again = fixture.reopen();
    assert_eq!(again.staged(load).await.unwrap(), Some(staged));
    again.commit(commit_of(load, 0)).await.unwrap();
    assert_eq!(fixture.rows("SELECT n FROM rows").await, [[json!(1)]]);
}

#[tokio::test]
async fn sweeping_removes_every_staged_load_except_the_kept_ones() {
    let fixture = Fixture::new();
    let (kept, staged) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n")).await.unwrap();
    let (left, _) = fixture.stage(&StageOptions::lines("{\"n\": 2}\n")).await.unwrap();
    let staging = fixture.folder.path().join("staging");
    // As after a crash while a third load was staged again.
    let (again, _) = fixture.stage(&StageOptions::lines("{\"n\": 3}\n")).await.unwrap();
    std::fs::rename(staging.join(again.to_string()), staging.join(format!("{again}.before"))).unwrap();
    fixture.engine.sweep(&[kept]).await.unwrap();
    assert_eq!(fixture.engine.staged(kept).await.unwrap(), Some(staged));
    assert_eq!(fixture.engine.staged(left).await.unwrap(), None);
    let mut names: Vec<String> =
        std::fs::read_dir(&staging).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, [kept.to_string(), "spill".to_owned()]);
}

#[tokio::test]
async fn spilled_data_of_a_killed_engine_is_removed() {
    let fixture = Fixture::new();
    let spilled = fixture.folder.path().join("staging/spill/left-behind");
    std::fs::write(&spilled, "rows").unwrap();
    fixture.reopen();
    assert!(!spilled.exists());
}

#[tokio::test]
async fn an_incomplete_staging_area_is_not_staged() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n")).await.unwrap();
    let area = fixture.folder.path().join("staging").join(load.to_string());
    let rows = std::fs::read(area.join("rows.parquet")).unwrap();
    std::fs::write(area.join("rows.parquet"), &rows[..rows.len() - 1]).unwrap();
    assert_eq!(fixture.engine.staged(load).await.unwrap(), None);
    assert_error(&fixture.commit(load).await.unwrap_err(), "wrong-state", &["not completely staged"]);
    std::fs::write(area.join("rows.parquet"), &rows).unwrap();
    std::fs::remove_file(area.join("staged.json")).unwrap();
    assert_error(&fixture.engine.quarantine(load, TABLE).await.unwrap_err(), "wrong-state", &["not completely staged"]);
}

#[tokio::test]
async fn staging_again_replaces_and_a_failed_staging_leaves_nothing() {
    let fixture = Fixture::new();
    let mut options = StageOptions::lines("{\"n\": 1}\n");
    let load = LoadId::generate();
    options.load = Some(load);
    fixture.stage(&options).await.unwrap();
    let mut other = StageOptions::lines("{\"n\": 2}\n{\"n\": 3}\n");
    other.load = Some(load);
    assert_eq!(fixture.stage(&other).await.unwrap().1.arrived, 2);
    let mut broken = StageOptions::lines("{\"n\"\n");
    broken.load = Some(load);
    fixture.stage(&broken).await.unwrap_err();
    assert_eq!(fixture.engine.staged(load).await.unwrap(), None);
    assert!(!fixture.folder.path().join("staging").join(load.to_string()).exists());
}

#[tokio::test]
async fn a_discarded_load_is_removed() {
    let fixture = Fixture::new();
    let (load, _) = fixture.stage(&StageOptions::lines("{\"n\": 1}\n")).await.unwrap();
    fixture.engine.discard(load).await.unwrap();
    fixture.engine.discard(load).await.unwrap();
    assert_eq!(fixture.engine.staged(load).await.unwrap(), None);
}
