//! Checks that a copy of a store is consistent: the version of each dataset in the metadata is the version of its
//! table, or the one before it if an intent is open.

use std::path::Path;

use perennial_core::port::data::DataEngine;
use perennial_data::{Engine, EngineOptions};
use perennial_store::{Options, Store, dataset_versions, datasets, loads, projects};

/// Compares the metadata of a copy with its tables and staged loads; returns whether a commit was open.
pub(super) async fn check(copy: &Path) -> bool {
    let spare = tempfile::tempdir().unwrap();
    let engine = Engine::open(EngineOptions {
        root: copy.join("tables").display().to_string(),
        staging: spare.path().join("staging"),
        source_root: spare.path().to_owned(),
        reserved: Vec::new(),
        memory_bytes: 64 << 20,
        threads: 1,
    })
    .unwrap();
    let url = format!("sqlite://{}", copy.join("metadata.sqlite").display());
    let store = Store::open(&url, Options::default()).await.unwrap();
    let mut reader = store.read().await.unwrap();
    let mut is_open = false;
    for project in projects::list(&mut reader).await.unwrap() {
        for dataset in datasets::list(&mut reader, project.id).await.unwrap() {
            let settled = dataset_versions::find_latest(&mut reader, dataset.id).await.unwrap();
            let settled = settled.map_or(0, |version| version.number);
            let table = engine.position(&dataset.table_path).await.unwrap().map_or(0, |position| position.number);
            let intent = loads::find_intent(&mut reader, dataset.id).await.unwrap();
            is_open |= intent.is_some();
            let may = settled + i64::from(intent.is_some());
            assert!(
                (settled..=may).contains(&table),
                "`{}`: version {table} in the table, {settled} in the metadata, intent open: {}",
                dataset.name,
                intent.is_some()
            );
            let open = loads::list_open(&mut reader, dataset.id).await.unwrap();
            for load in open.into_iter().filter(|_| table == settled) {
                let staged = copy.join("staging").join(load.id.to_string()).join("staged.json");
                assert!(staged.is_file(), "the staged rows of load {} of `{}` are missing", load.id, dataset.name);
            }
        }
    }
    drop(reader);
    store.close().await.unwrap();
    is_open
}
