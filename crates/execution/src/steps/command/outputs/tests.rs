use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use perennial_core::{ErrorCode, Result};

use super::{METRICS_BYTES_MAX, find, metrics, plain};

/// The folder of a step, beside a secret that is not its own.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("work")).unwrap();
    fs::write(folder.path().join("secret"), "{\"secret\": 1}").unwrap();
    folder
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T>, why: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::StepFailed);
    assert!(error.message().contains(why), "{}", error.message());
}

#[test]
fn a_file_or_folder_that_the_step_left_is_found() {
    let folder = folder();
    let here = folder.path().join("work");
    fs::create_dir_all(here.join("out/model")).unwrap();
    fs::write(here.join("out/file"), "x").unwrap();
    assert_eq!(find(&here, "out/file").unwrap(), Some(here.join("out/file")));
    assert_eq!(find(&here, "out/model").unwrap(), Some(here.join("out/model")));
    assert_eq!(find(&here, "out/other").unwrap(), None);
    refused(find(&here, "out/file/below"), "is neither");
}

#[test]
fn a_link_anywhere_in_the_path_is_refused() {
    let folder = folder();
    let here = folder.path().join("work");
    let links: [(&str, &Path); 3] =
        [("model", &folder.path().join("secret")), ("out", folder.path()), ("nowhere", Path::new("gone"))];
    for (name, target) in links {
        symlink(target, here.join(name)).unwrap();
    }
    for path in ["model", "out", "out/secret", "nowhere"] {
        refused(find(&here, path), "is a link");
    }
    // One that stays in the folder, too: it may be turned around.
    symlink(here.join("inside"), here.join("own")).unwrap();
    refused(find(&here, "own"), "is a link");
}

#[test]
fn a_dataset_is_a_file_or_a_folder_of_nothing_but_files() {
    let folder = folder();
    let here = folder.path().join("work");
    fs::create_dir(here.join("table")).unwrap();
    fs::write(here.join("table/a.parquet"), "x").unwrap();
    plain(&here.join("table"), "table").unwrap();
    plain(&here.join("table/a.parquet"), "table/a.parquet").unwrap();
    symlink(folder.path().join("secret"), here.join("table/b.parquet")).unwrap();
    refused(plain(&here.join("table"), "table"), "table/b.parquet");
}

#[test]
fn metrics_are_read_up_to_a_limit_and_never_through_a_link() {
    let folder = folder();
    let here = folder.path().join("work");
    assert_eq!(metrics(&here).unwrap(), "");
    fs::write(here.join("metrics.json"), "{\"auc\": 0.7}").unwrap();
    assert_eq!(metrics(&here).unwrap(), "{\"auc\": 0.7}");
    fs::write(here.join("metrics.json"), " ".repeat(METRICS_BYTES_MAX as usize + 1)).unwrap();
    refused(metrics(&here), "more than");
    fs::remove_file(here.join("metrics.json")).unwrap();
    symlink(folder.path().join("secret"), here.join("metrics.json")).unwrap();
    refused(metrics(&here), "is a link");
}
