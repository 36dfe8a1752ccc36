//! A stored submission is restored by the next server, and one that cannot be parsed does not stop it.

use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::entity::ProjectFile;
use perennial_core::id::ProjectId;
use perennial_projects::{ProjectState, uploads};
use perennial_store::projects;
use perennial_testkit::toml_text::{rename, set};
use perennial_testkit::{PROJECT_FILE, TestApp};
use serde_json::json;

use crate::support::{empty_project, followed, refused, submit_as, upload, with_sql, write_declared};

/// Stores a project file as an earlier version did; returns its digest.
async fn store_file(test: &TestApp, project_id: ProjectId, body: String) -> String {
    let digest = "d".repeat(64);
    let submitted_by = "ada".to_owned();
    let file = ProjectFile { project_id, digest: digest.clone(), body, submitted_ms: 1, submitted_by, approver: None };
    let store = test.app.kernel.store();
    store.write(move |tx| Box::pin(async move { Ok(projects::submit_file(tx, &file).await?) })).await.unwrap();
    digest
}

#[tokio::test]
async fn the_next_server_follows_the_stored_submission_with_its_files() {
    let test = TestApp::start().await.unwrap();
    write_declared(&test, "sql/prepared.sql", b"SELECT 1");
    let (project, _) = submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    let before = project.submission().unwrap();
    let next = TestApp::beside(&test).await.unwrap();
    let after = next.app.projects.get(project.id).await.unwrap().submission().unwrap();
    assert_eq!((&after.digest, &after.text), (&before.digest, &before.text));
    assert_eq!(after.files, before.files);
    assert_eq!(after.declared_text("sql/prepared.sql").unwrap(), "SELECT 1");
    assert_eq!(after.zone, before.zone);
}

#[tokio::test]
async fn a_stored_file_with_an_old_key_is_still_followed() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let delayed = set(PROJECT_FILE, "task.label_delay", "'45 days'");
    let text = rename(&delayed, "task.label_delay", "within");
    store_file(&test, project.id, json!({ "text": text, "files": {}, "texts": {} }).to_string()).await;
    let next = TestApp::beside(&test).await.unwrap();
    let submission = next.app.projects.get(project.id).await.unwrap().submission().unwrap();
    assert!(submission.project.task.as_ref().unwrap().label_delay.is_some());
}

#[tokio::test]
async fn a_stored_file_that_cannot_be_parsed_is_ignored_until_the_next_submission() {
    for body in ["not JSON".to_owned(), json!({ "text": "[project", "files": {}, "texts": {} }).to_string()] {
        let (test, project) = TestApp::with_project().await.unwrap();
        let digest = store_file(&test, project.id, body).await;
        let next = TestApp::beside(&test).await.unwrap();
        let restored = next.app.projects.get(project.id).await.unwrap();
        assert_eq!(followed(&restored), None);
        assert_eq!(refused(restored.submission()).code(), ErrorCode::WrongState);
        assert!(restored.submission_of(&next.app.kernel, &digest).await.is_err());
        let (again, _) = submit_as(&next, &next.system(), PROJECT_FILE).await.unwrap();
        assert_eq!(again.submission().unwrap().text, PROJECT_FILE);
    }
}

#[tokio::test]
async fn the_uploaded_folder_is_stored_with_the_project_file() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[("perennial.toml", PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, folder).await.unwrap();
    assert_eq!(next_root(&test, &project).await, Some(folder.to_string()));
    let other = upload(&test, &project, &[("perennial.toml", PROJECT_FILE), ("a.csv", "a\n")]).await;
    uploads::submit(&test.system(), &project, other).await.unwrap();
    assert_eq!(next_root(&test, &project).await, Some(other.to_string()), "the same file with another folder");
    submit_as(&test, &test.system(), PROJECT_FILE).await.unwrap();
    assert_eq!(next_root(&test, &project).await, None);
}

#[tokio::test]
async fn what_a_kill_left_of_folders_is_removed_and_uploaded_files_stay() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[("perennial.toml", PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, folder).await.unwrap();
    let next = TestApp::beside(&test).await.unwrap();
    let of_project = next.app.kernel.services.uploads.join(project.id.to_string());
    let (current, other) = (folder.to_string(), BlobDigest::of(b"not submitted").to_string());
    for name in [&current, &other, "unfinished", "blobs"] {
        std::fs::create_dir_all(of_project.join(name)).unwrap();
        std::fs::write(of_project.join(name).join("file"), "x").unwrap();
    }
    next.app.projects.get(project.id).await.unwrap();
    let is_there = |name: &str| of_project.join(name).join("file").is_file();
    assert_eq!([&current, &other, "unfinished", "blobs"].map(is_there), [true, false, false, true]);
}

#[tokio::test]
async fn the_current_folder_as_an_earlier_version_recorded_it_is_taken_over() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let next = TestApp::beside(&test).await.unwrap();
    let of_project = next.app.kernel.services.uploads.join(project.id.to_string());
    let folder = BlobDigest::of(b"earlier").to_string();
    std::fs::create_dir_all(of_project.join(&folder)).unwrap();
    std::fs::write(of_project.join("current"), &folder).unwrap();
    let restored = next.app.projects.get(project.id).await.unwrap();
    assert_eq!(uploads::root(&next.app.kernel, &restored), Some(of_project.join(&folder)));
    assert!(of_project.join(&folder).is_dir() && !of_project.join("current").exists());
    assert_eq!(next_root(&test, &project).await, Some(folder));
}

/// The name of the project's uploaded folder as the next server finds it in the store.
async fn next_root(test: &TestApp, project: &ProjectState) -> Option<String> {
    let next = TestApp::beside(test).await.unwrap();
    let restored = next.app.projects.get(project.id).await.unwrap();
    let root = uploads::root(&next.app.kernel, &restored)?;
    Some(root.file_name().unwrap().to_str().unwrap().to_owned())
}
