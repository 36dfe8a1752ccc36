//! Uploaded folders that are replaced: deleted by a job that survives the end of the server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::state::JobState;
use perennial_projects::{ProjectState, uploads};
use perennial_store::jobs;
use perennial_testkit::{PROJECT_FILE, TestApp};

/// The project's file and one more.
fn folder(content: &str) -> (Manifest, [String; 2]) {
    let contents = [PROJECT_FILE.to_owned(), content.to_owned()];
    let file = |path: &str, content: &String| ManifestFile {
        path: path.parse().unwrap(),
        blob: Blob { digest: BlobDigest::of(content.as_bytes()), size_bytes: content.len() as u64 },
        is_executable: false,
    };
    let files = vec![file("perennial.toml", &contents[0]), file("data/a.csv", &contents[1])];
    (Manifest::new(files).unwrap(), contents)
}

async fn put(test: &TestApp, project: &ProjectState, content: &str) -> BlobDigest {
    let digest = BlobDigest::of(content.as_bytes());
    let bytes = bytes::Bytes::copy_from_slice(content.as_bytes());
    let incoming = futures::stream::iter([Ok(bytes)]);
    uploads::put(&test.system(), project, digest, incoming).await.unwrap();
    digest
}

/// Uploads a folder and submits it.
async fn submit(test: &TestApp, project: &Arc<ProjectState>, content: &str) -> BlobDigest {
    let (manifest, contents) = folder(content);
    for content in &contents {
        put(test, project, content).await;
    }
    let digest = put(test, project, &manifest.text()).await;
    uploads::submit(&test.system(), project, digest).await.unwrap();
    digest
}

/// The names in the folder of the project's uploads, sorted.
fn names(place: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

/// The folders of the project's uploads.
fn folders(test: &TestApp, project: &ProjectState) -> Vec<String> {
    let mut names = names(&place(test, project));
    names.retain(|name| name.parse::<BlobDigest>().is_ok());
    names
}

fn place(test: &TestApp, project: &ProjectState) -> PathBuf {
    test.folder.path().join("sent").join(project.id.to_string())
}

fn sorted(mut digests: Vec<BlobDigest>) -> Vec<String> {
    digests.sort_by_key(ToString::to_string);
    digests.iter().map(ToString::to_string).collect()
}

async fn project() -> (TestApp, Arc<ProjectState>) {
    let test = TestApp::start().await.unwrap();
    let project = test.app.projects.create(&test.system(), &"flights".parse().unwrap()).await.unwrap();
    (test, project)
}

async fn pending_jobs(test: &TestApp) -> usize {
    let mut reader = test.app.kernel.store().read().await.unwrap();
    jobs::list(&mut reader, None, Some(JobState::Pending), None, 100).await.unwrap().items.len()
}

#[tokio::test]
async fn a_replaced_folder_is_deleted_by_the_next_server_when_this_one_dies_after_the_submission() {
    let (test, project) = project().await;
    let old = submit(&test, &project, "old").await;
    let new = submit(&test, &project, "new").await;
    assert_eq!(folders(&test, &project), sorted(vec![old, new]), "deleting them is work of the background");
    let id = project.id;
    drop(project);
    let next = test.restart().await.unwrap();
    assert_eq!(pending_jobs(&next).await, 2, "one for each submission");
    next.app.worker().run_due().await.unwrap();
    let project = next.app.projects.get(id).await.unwrap();
    assert_eq!(folders(&next, &project), sorted(vec![new]));
    let file = place(&next, &project).join(new.to_string()).join("data/a.csv");
    assert_eq!((std::fs::read_to_string(file).unwrap().as_str(), pending_jobs(&next).await), ("new", 0));
    let (manifest, contents) = folder("old");
    let asked =
        [BlobDigest::of(contents[0].as_bytes()), BlobDigest::of(contents[1].as_bytes()), manifest.digest(), new];
    let missing = uploads::missing(&next.system(), &project, &asked).await.unwrap();
    assert_eq!(missing, [asked[1], asked[2]], "the current folder is complete, of the old one nothing is left");
}

#[tokio::test]
async fn a_folder_that_is_being_read_is_deleted_later() {
    let (test, project) = project().await;
    let old = submit(&test, &project, "old").await;
    let reading = project.read_folder().await;
    let new = submit(&test, &project, "new").await;
    test.app.worker().run_due().await.unwrap();
    assert_eq!(folders(&test, &project), sorted(vec![old, new]));
    drop(reading);
    test.app.worker().run_due().await.unwrap();
    assert_eq!(folders(&test, &project), sorted(vec![old, new]), "the job is postponed");
    test.clock.advance(10_000);
    test.app.worker().run_due().await.unwrap();
    assert_eq!(folders(&test, &project), sorted(vec![new]));
}

#[tokio::test]
async fn a_submission_that_changes_only_data_deletes_the_replaced_folder_too() {
    let (test, project) = project().await;
    let first = submit(&test, &project, "old").await;
    test.app.worker().run_due().await.unwrap();
    let second = submit(&test, &project, "new").await;
    assert_ne!(first, second);
    test.app.worker().run_due().await.unwrap();
    assert_eq!(folders(&test, &project), sorted(vec![second]));
}

#[tokio::test]
async fn the_uploads_of_a_project_are_deleted_when_the_server_s_own_folder_is_submitted() {
    let (test, project) = project().await;
    submit(&test, &project, "old").await;
    let pending = put(&test, &project, "of a folder that is not submitted yet").await;
    let reading = project.read_folder().await;
    test.submit(PROJECT_FILE).await.unwrap();
    assert_eq!(uploads::root(&test.app.kernel, &project), None, "it waits for no collection");
    drop(reading);
    let next = test.restart().await.unwrap();
    next.app.worker().run_due().await.unwrap();
    assert_eq!(names(&place(&next, &project)), ["blobs"]);
    assert_eq!(uploads::missing(&next.system(), &project, &[pending]).await.unwrap(), []);
    let jobs = pending_jobs(&next).await;
    next.submit(PROJECT_FILE).await.unwrap();
    assert_eq!(pending_jobs(&next).await, jobs, "without uploads there is nothing to delete");
}
