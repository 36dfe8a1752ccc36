//! A server, the text of a project file, and short reads of the ledger.

use std::sync::Arc;

use bytes::Bytes;
use perennial_config::Diagnostics;
use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::ledger::Chain;
use perennial_core::permission::Role;
use perennial_core::{Error, ErrorCode, Result};
use perennial_kernel::{Caller, access};
use perennial_projects::{ProjectState, Submission, uploads};
use perennial_testkit::{PROJECT_FILE, TestApp};

/// A project file with one SQL step, which declares the file `sql/prepared.sql`.
pub(crate) fn with_sql() -> String {
    format!("{PROJECT_FILE}\n[steps.prepared]\nsql = \"sql/prepared.sql\"\n")
}

/// Another valid project file: the same with one more step.
pub(crate) fn with_another_step() -> String {
    format!("{PROJECT_FILE}\n[steps.more]\ntrain = \"linear\"\n")
}

/// Puts a file into the server's own folder, where the data engine lists it.
pub(crate) fn write_declared(test: &TestApp, path: &str, content: &[u8]) {
    let place = test.folder.path().join("root").join(path);
    std::fs::create_dir_all(place.parent().unwrap()).unwrap();
    std::fs::write(place, content).unwrap();
    test.data.offer(path, &String::from_utf8_lossy(content));
}

/// Submits a text as the caller, in the server's own folder.
pub(crate) async fn submit_as(test: &TestApp, caller: &Caller, text: &str) -> Result<(Arc<ProjectState>, Vec<String>)> {
    test.write_file(text).unwrap();
    test.app.projects.submit(caller).await
}

/// A new person with a role on the project.
pub(crate) async fn caller_on(test: &TestApp, project: &ProjectState, role: Role) -> Caller {
    let name = format!("{}-of-{}", role.as_str(), project.name);
    let token = test.token(&name, role, Some(project)).await.unwrap();
    Caller::new(test.app.kernel.clone(), access::authenticate(&test.app.kernel, &token).await.unwrap())
}

/// The error of a refused call.
pub(crate) fn refused<T>(result: Result<T>) -> Error {
    match result {
        Ok(_) => panic!("the call was not refused"),
        Err(error) => error,
    }
}

/// The errors that a refused project file has, each with its place.
pub(crate) fn diagnostics(error: &Error) -> &Diagnostics {
    assert_eq!(error.code(), ErrorCode::ProjectFile, "{}", error.chain());
    std::error::Error::source(error).and_then(|source| source.downcast_ref()).expect("the error has diagnostics")
}

/// Noun, verb and actor of each entry of a chain, oldest first.
pub(crate) async fn entries(test: &TestApp, chain: Chain) -> Vec<String> {
    let mut reader = test.app.kernel.store().read().await.unwrap();
    let mut entries = perennial_store::ledger::list(&mut reader, chain, None, 1_000).await.unwrap().items;
    entries.reverse();
    entries.into_iter().map(|entry| format!("{} {} by {}", entry.noun, entry.verb, entry.actor)).collect()
}

/// The submissions in the ledger of the project, oldest first, by actor.
pub(crate) async fn submissions(test: &TestApp, project: &ProjectState) -> Vec<String> {
    let all = entries(test, Chain::Project(project.id)).await;
    all.iter().filter_map(|entry| entry.strip_prefix("project_file submit by ")).map(str::to_owned).collect()
}

/// The digest of the submission that the project follows.
pub(crate) fn followed(project: &ProjectState) -> Option<String> {
    project.find_submission().map(|submission: Arc<Submission>| submission.digest.clone())
}

/// A server with the project `flights`, which has no project file yet.
pub(crate) async fn empty_project() -> (TestApp, Arc<ProjectState>) {
    let test = TestApp::start().await.unwrap();
    let project = test.app.projects.create(&test.system(), &"flights".parse().unwrap()).await.unwrap();
    (test, project)
}

/// Uploads one file; returns its digest.
pub(crate) async fn put(test: &TestApp, project: &ProjectState, content: &[u8]) -> BlobDigest {
    let digest = BlobDigest::of(content);
    let size = put_as(&test.system(), project, digest, content).await.unwrap();
    assert_eq!(size, content.len() as u64);
    digest
}

/// Uploads content under a digest, which need not be its own, in two pieces.
pub(crate) async fn put_as(caller: &Caller, project: &ProjectState, digest: BlobDigest, content: &[u8]) -> Result<u64> {
    let (first, second) = content.split_at(content.len() / 2);
    let pieces = [first, second].map(|piece| Ok(Bytes::copy_from_slice(piece)));
    uploads::put(caller, project, digest, futures::stream::iter(pieces)).await
}

/// The manifest of a folder with these files.
pub(crate) fn manifest(files: &[(&str, &str)]) -> Manifest {
    let listed = files.iter().map(|(path, text)| ManifestFile {
        path: path.parse().unwrap(),
        blob: Blob { digest: BlobDigest::of(text.as_bytes()), size_bytes: text.len() as u64 },
        is_executable: false,
    });
    Manifest::new(listed.collect()).unwrap()
}

/// Uploads files and the manifest of the folder they make; returns the digest of the folder.
pub(crate) async fn upload(test: &TestApp, project: &ProjectState, files: &[(&str, &str)]) -> BlobDigest {
    for (_, text) in files {
        put(test, project, text.as_bytes()).await;
    }
    put(test, project, manifest(files).text().as_bytes()).await
}
