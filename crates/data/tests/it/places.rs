//! No path leads out of the source folder.

use perennial_core::port::data::{DataEngine, FilesSource, StageInput};
use perennial_data::files_below;

use crate::support::{How, Place, says, source};

#[tokio::test]
async fn a_source_that_leaves_its_folder_is_refused() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("secret.csv"), "a\n1\n").unwrap();
    for path in ["../secret.csv", "/etc/passwd", "in/../../secret.csv", "in\\..\\secret.csv", "", "a\0b"] {
        says(&place.engine.list(&source(path)).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
        says(
            &place.engine.fingerprint(&source("*.csv"), path).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
        says(&place.stage(&How::files(&[path])).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
    }
}

#[tokio::test]
async fn a_link_that_leads_out_is_refused_and_one_that_stays_inside_is_followed() {
    let place = Place::new();
    std::fs::write(place.folder.path().join("secret.csv"), "a\n1\n").unwrap();
    place.write("in/a.csv", "a\n1\n");
    std::os::unix::fs::symlink(place.folder.path(), place.source("out")).unwrap();
    std::os::unix::fs::symlink(place.folder.path().join("secret.csv"), place.source("secret.csv")).unwrap();
    std::os::unix::fs::symlink(place.source("in/a.csv"), place.source("in/link.csv")).unwrap();
    for path in ["secret.csv", "out/secret.csv"] {
        says(&place.stage(&How::files(&[path])).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
        says(&place.engine.list(&source(path)).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
    }
    assert_eq!(place.engine.list(&source("in/*.csv")).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_table_s_place_is_judged() {
    let place = Place::new();
    for table in ["../x", "/x", "a//b", "", "a/_delta_log", ".hidden", "a b"] {
        says(&place.engine.position(table).await.unwrap_err(), "invalid-argument", &["no place for a table"]);
    }
}

#[tokio::test]
async fn a_source_with_a_root_of_its_own_reads_there_and_nowhere_else() {
    let place = Place::new();
    place.write("in/a.csv", "a\n1\n");
    let own = place.folder.path().join("own");
    std::fs::create_dir_all(own.join("in")).unwrap();
    std::fs::write(own.join("in/b.csv"), "a\n2\n3\n").unwrap();
    let files = FilesSource { root: Some(own.clone()), ..source("in/*.csv") };
    let listed = place.engine.list(&files).await.unwrap();
    assert_eq!(listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["in/b.csv"]);
    assert_eq!(files_below(&own, "in/*.csv").unwrap(), listed);
    let (_, staged) = place.stage(&How::new(StageInput::Files { source: files.clone(), files: listed })).await.unwrap();
    assert_eq!(staged.arrived, 2);
    let elsewhere = place.engine.fingerprint(&files, "in/a.csv").await.unwrap_err();
    says(&elsewhere, "not-found", &["in/a.csv"]);
    std::os::unix::fs::symlink(place.source("in/a.csv"), own.join("in/c.csv")).unwrap();
    says(&place.engine.list(&files).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
    let missing = FilesSource { root: Some(own.join("nothing")), ..source("in/*.csv") };
    assert!(place.engine.list(&missing).await.unwrap().is_empty());
}
