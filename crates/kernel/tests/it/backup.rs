//! What a copy of the store holds, and when each part of it is copied.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use perennial_kernel::backup;
use perennial_testkit::TestApp;

const LOG: &str = "project/delay";

/// What a copy may hold.
const PARTS: [&str; 6] = ["blobs", "metadata.sqlite", "predictions", "sent", "staging", "tables"];

/// A store with something in every part of it.
async fn filled() -> TestApp {
    let (test, _) = TestApp::with_project().await.unwrap();
    for path in [
        "tables/p/rows/_delta_log/0.json",
        "tables/p/rows/part.parquet",
        "tables/p/rows/part.parquet#7000001",
        "tables/unfinished/rows/part.parquet",
        "staging/load/rows.parquet",
        "staging/spill/1/run",
        "blobs/ab/abcd",
        "blobs/unfinished/1",
        "sent/p/current",
    ] {
        let place = test.folder.path().join(path);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::write(place, path).unwrap();
    }
    test.predict(LOG).unwrap();
    assert_eq!(test.app.kernel.services.predictions.seal(LOG).unwrap(), [1]);
    test.predict(LOG).unwrap();
    test
}

/// The parts that copies of the store have so far.
fn copied(work: &Path) -> Vec<&'static str> {
    let copies: Vec<PathBuf> = std::fs::read_dir(work).unwrap().map(|entry| entry.unwrap().path()).collect();
    PARTS.into_iter().filter(|part| copies.iter().any(|copy| copy.join(part).exists())).collect()
}

#[tokio::test]
async fn tables_are_copied_while_loads_are_paused_and_immutable_files_afterwards() {
    let test = filled().await;
    let (work, seen) = (test.app.kernel.services.work.clone(), Arc::new(Mutex::new(Vec::new())));
    let watched = seen.clone();
    test.data.on_pause(move |begins| watched.lock().unwrap().push((begins, copied(&work))));
    backup::create(&test.system()).await.unwrap();
    let standing = vec!["metadata.sqlite", "predictions", "staging", "tables"];
    assert_eq!(*seen.lock().unwrap(), [(true, vec![]), (false, standing)]);
    assert_eq!(copied(&test.app.kernel.services.work), PARTS);
}

#[tokio::test]
async fn what_is_unfinished_is_left_out_and_what_grows_is_cut_at_its_moment() {
    let test = filled().await;
    let made = backup::create(&test.system()).await.unwrap();
    let copy = test.folder.path().join(&made.folder);
    for part in [
        "tables/p/rows/part.parquet",
        "tables/unfinished/rows/part.parquet",
        "staging/load/rows.parquet",
        "blobs/ab/abcd",
    ] {
        assert_eq!(std::fs::read_to_string(copy.join(part)).unwrap(), part);
    }
    for part in ["tables/p/rows/part.parquet#7000001", "staging/spill", "blobs/unfinished", "predictions/lock"] {
        assert!(!copy.join(part).exists(), "{part}");
    }
    let open = copy.join("predictions").join(LOG).join("2.seg");
    let size = std::fs::metadata(&open).unwrap().len();
    test.predict(LOG).unwrap();
    assert_eq!(std::fs::metadata(&open).unwrap().len(), size, "what comes later is not in it");
    assert!(copy.join("predictions").join(LOG).join("1.seg").is_file());
}

#[tokio::test]
async fn a_store_whose_blobs_lie_elsewhere_is_not_backed_up_in_part() {
    let (test, _) = TestApp::with_project().await.unwrap();
    std::fs::remove_dir_all(test.folder.path().join("blobs")).unwrap();
    let error = backup::create(&test.system()).await.unwrap_err();
    assert!(error.message().contains("in one data folder"), "{error}");
    assert!(std::fs::read_dir(&test.app.kernel.services.work).unwrap().next().is_none());
}
