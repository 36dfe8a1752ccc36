//! Partial states that a kill leaves only at rare moments, created directly in the store.

use perennial_core::entity::{Load, LoadFile, LoadOrigin};
use perennial_core::id::LoadId;
use perennial_core::state::LoadState;
use perennial_store::{Options, Store, datasets, loads, projects};
use serde_json::json;

use super::load::put;
use super::project::{self, ROWS, ROWS_SHORT, path};
use crate::support::Place;

/// Stores a load of the day's file that was staged by a server that was then killed.
fn stage_and_die(place: &Place, day: u64, replaces: Option<LoadId>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let file = std::fs::read(place.path().join(path(day))).unwrap();
    runtime.block_on(async {
        let url = format!("sqlite://{}", place.path().join(".perennial/metadata.sqlite").display());
        let store = Store::open(&url, Options::default()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let found = projects::find_by_name(&mut reader, &"orders".parse().unwrap()).await.unwrap().unwrap();
        let name = "orders".parse().unwrap();
        let dataset = datasets::find_by_name(&mut reader, found.id, &name).await.unwrap().unwrap();
        drop(reader);
        let load = Load {
            id: LoadId::generate(),
            project_id: found.id,
            dataset_id: dataset.id,
            origin: LoadOrigin::File,
            origin_id: None,
            files: vec![LoadFile { path: path(day), position: None, content_digest: None }],
            content_digest: Some(blake3::hash(&file).to_hex().to_string()),
            size_bytes: Some(file.len() as u64),
            state: LoadState::Staged,
            arrived: ROWS,
            passing: ROWS,
            set_aside: 0,
            reasons: json!({}),
            staged: None,
            message: None,
            replaces,
            replaced_by: None,
            number: None,
            cause: None,
            wall_ms: 0,
            project_ms: 0,
            settled_ms: None,
        };
        store.write(move |tx| Box::pin(async move { Ok(loads::insert(tx, &load).await?) })).await.unwrap();
        store.close().await.unwrap();
    });
}

fn rows(place: &Place) -> u64 {
    place.query("SELECT count(*) FROM orders")[0][0].as_u64().unwrap()
}

#[test]
fn a_file_whose_load_was_interrupted_before_its_commit_is_loaded_by_the_next_run() {
    let place = project::place();
    put(&place.path(), 0, ROWS);
    place.good(&["run", "features"]);
    put(&place.path(), 1, ROWS);
    stage_and_die(&place, 1, None);
    place.good(&["run", "features"]);
    assert_eq!(rows(&place), 2 * ROWS);
}

#[test]
fn a_corrected_file_whose_load_was_interrupted_still_replaces_the_held_load() {
    let place = project::place();
    put(&place.path(), 0, ROWS);
    put(&place.path(), 1, ROWS_SHORT);
    place.held(&["run", "features"]);
    let loads = |state: &str| {
        let shown = place.json(&["data", "show", "orders"]);
        let mut loads = shown["loads"]["items"].as_array().unwrap().clone();
        loads.retain(|load| load["state"] == state);
        loads
    };
    let held = loads("held").remove(0)["id"].as_str().unwrap().parse().unwrap();
    put(&place.path(), 1, ROWS);
    stage_and_die(&place, 1, Some(held));
    place.good(&["run", "features"]);
    assert_eq!(rows(&place), 2 * ROWS);
    assert_eq!((loads("held").len(), loads("replaced").len(), loads("failed").len()), (0, 1, 1));
}

#[test]
fn a_held_load_is_accepted_after_later_loads() {
    let place = project::place();
    put(&place.path(), 0, ROWS);
    put(&place.path(), 1, ROWS_SHORT);
    place.held(&["run", "features"]);
    put(&place.path(), 2, ROWS);
    place.held(&["run", "features"]);
    let shown = place.json(&["data", "show", "orders"]);
    let mut loads = shown["loads"]["items"].as_array().unwrap().iter();
    let held = loads.find(|load| load["state"] == "held").unwrap()["id"].as_str().unwrap().to_owned();
    place.good(&["data", "accept", &held]);
    assert_eq!(rows(&place), 2 * ROWS + ROWS_SHORT);
    put(&place.path(), 3, ROWS);
    place.good(&["run", "features"]);
    assert_eq!(rows(&place), 3 * ROWS + ROWS_SHORT, "the dataset accepts further loads");
}
