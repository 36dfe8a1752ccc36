//! No path leads out of the source folder.

use perennial_core::port::data::{DataEngine, FilesSource, StageInput};
use perennial_data::{Engine, EngineOptions, files_below};

use crate::support::{Fixture, StageOptions, assert_error, source};

#[tokio::test]
async fn a_source_that_leaves_its_folder_is_refused() {
    let fixture = Fixture::new();
    std::fs::write(fixture.folder.path().join("secret.csv"), "a\n1\n").unwrap();
    for path in ["../secret.csv", "/etc/passwd", "in/../../secret.csv", "in\\..\\secret.csv", "", "a\0b"] {
        assert_error(
            &fixture.engine.list(&source(path)).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
        assert_error(
            &fixture.engine.fingerprint(&source("*.csv"), path).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
        assert_error(
            &fixture.stage(&StageOptions::files(&[path])).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
    }
}

#[tokio::test]
async fn a_link_to_the_outside_is_refused_and_one_to_the_inside_is_followed() {
    let fixture = Fixture::new();
    std::fs::write(fixture.folder.path().join("secret.csv"), "a\n1\n").unwrap();
    fixture.write("in/a.csv", "a\n1\n");
    std::os::unix::fs::symlink(fixture.folder.path(), fixture.source("out")).unwrap();
    std::os::unix::fs::symlink(fixture.folder.path().join("secret.csv"), fixture.source("secret.csv")).unwrap();
    std::os::unix::fs::symlink(fixture.source("in/a.csv"), fixture.source("in/link.csv")).unwrap();
    for path in ["secret.csv", "out/secret.csv"] {
        assert_error(
            &fixture.stage(&StageOptions::files(&[path])).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
        assert_error(
            &fixture.engine.list(&source(path)).await.unwrap_err(),
            "invalid-argument",
            &["leaves the source folder"],
        );
    }
    assert_eq!(fixture.engine.list(&source("in/*.csv")).await.unwrap().files.len(), 2);
}

#[tokio::test]
async fn the_servers_own_folders_are_no_source() {
    let fixture = Fixture::new();
    for path in ["in/a.csv", ".perennial/metadata.csv", ".perennial/sent/project/in/b.csv", "own/tables/c.csv"] {
        fixture.write(path, "a\n1\n");
    }
    std::os::unix::fs::symlink(fixture.source(".perennial/metadata.csv"), fixture.source("in/link.csv")).unwrap();
    let engine = Engine::open(EngineOptions {
        root: fixture.folder.path().join("tables").to_str().unwrap().to_owned(),
        staging: fixture.folder.path().join("staging-reserved"),
        source_root: fixture.source(""),
        reserved: vec![fixture.source(".perennial"), fixture.source("own")],
        memory_bytes: 64 << 20,
        threads: 1,
    })
    .unwrap();
    let own = &["the server's own data"];
    for glob in [".perennial/*.csv", "own/tables/c.csv", "own/**/*.csv", "in/*.csv", ".perennial/sent/project/in/*.csv"]
    {
        assert_error(&engine.list(&source(glob)).await.unwrap_err(), "invalid-argument", own);
    }
    for path in [".perennial/metadata.csv", "in/link.csv", "in/../own/tables/c.csv"] {
        assert!(engine.fingerprint(&source("**/*.csv"), path).await.is_err(), "{path}");
    }
    std::fs::remove_file(fixture.source("in/link.csv")).unwrap();
    let paths = async |source: &FilesSource| {
        let listed = engine.list(source).await.unwrap();
        listed.files.into_iter().map(|file| file.path).collect::<Vec<_>>()
    };
    assert_eq!(paths(&source("**/*.csv")).await, ["in/a.csv"], "a glob around them leaves them out");
    let uploaded = FilesSource { root: Some(fixture.source(".perennial/sent/project")), ..source("**/*.csv") };
    assert_eq!(paths(&uploaded).await, ["in/b.csv"], "an uploaded folder is in the data folder");
}

#[tokio::test]
async fn an_invalid_table_path_is_refused() {
    let fixture = Fixture::new();
    for table in ["../x", "/x", "a//b", "", "a/_delta_log", ".hidden", "a b"] {
        assert_error(&fixture.engine.position(table).await.unwrap_err(), "invalid-argument", &["not a table path"]);
    }
}

#[tokio::test]
async fn a_source_with_its_own_root_reads_only_there() {
    let fixture = Fixture::new();
    fixture.write("in/a.csv", "a\n1\n");
    let own = fixture.folder.path().join("own");
    std::fs::create_dir_all(own.join("in")).unwrap();
    std::fs::write(own.join("in/b.csv"), "a\n2\n3\n").unwrap();
    let files = FilesSource { root: Some(own.clone()), ..source("in/*.csv") };
    let listed = fixture.engine.list(&files).await.unwrap().files;
    assert_eq!(listed.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["in/b.csv"]);
    assert_eq!(files_below(&own, "in/*.csv").unwrap(), listed);
    let (_, staged) =
        fixture.stage(&StageOptions::new(StageInput::Files { source: files.clone(), files: listed })).await.unwrap();
    assert_eq!(staged.arrived, 2);
    let elsewhere = fixture.engine.fingerprint(&files, "in/a.csv").await.unwrap_err();
    assert_error(&elsewhere, "not-found", &["in/a.csv"]);
    std::os::unix::fs::symlink(fixture.source("in/a.csv"), own.join("in/c.csv")).unwrap();
    assert_error(&fixture.engine.list(&files).await.unwrap_err(), "invalid-argument", &["leaves the source folder"]);
    let missing = FilesSource { root: Some(own.join("nothing")), ..source("in/*.csv") };
    assert!(fixture.engine.list(&missing).await.unwrap().files.is_empty());
}
