//! Artifacts of runs.

use bytes::Bytes;
use futures::{TryStreamExt as _, stream};
use perennial_core::id::RunId;
use perennial_core::permission::Role;
use perennial_core::state::Lifecycle;
use perennial_core::{ErrorCode, Result};
use perennial_tracking::artifacts::{self, ArtifactLocation, Listed};
use perennial_tracking::{experiments, runs};

use crate::support::{Tracking, refused};

fn place(tracking: &Tracking, id: RunId, path: &str) -> ArtifactLocation {
    ArtifactLocation::parse(&format!("{}/{id}/artifacts{path}", tracking.experiment).parse().unwrap()).unwrap()
}

async fn put(tracking: &Tracking, id: RunId, path: &str, content: &'static [u8]) -> Result<()> {
    let incoming = stream::iter([Ok(Bytes::from_static(content))]);
    artifacts::put(&tracking.caller, place(tracking, id, path), incoming).await
}

/// The bytes of a file, or of a part of it.
async fn content(tracking: &Tracking, id: RunId, path: &str, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let artifact = artifacts::get(&tracking.caller, &place(tracking, id, path)).await.unwrap();
    let stream = artifacts::read(&tracking.caller, &artifact, range).await.unwrap();
    let parts: Vec<Bytes> = stream.try_collect().await.unwrap();
    parts.concat()
}

async fn list(tracking: &Tracking, id: RunId, path: &str) -> Vec<Listed> {
    artifacts::list(&tracking.caller, &place(tracking, id, path)).await.unwrap()
}

fn file(name: &str, size_bytes: u64) -> Listed {
    Listed { name: name.to_owned(), size_bytes: Some(size_bytes) }
}

fn folder(name: &str) -> Listed {
    Listed { name: name.to_owned(), size_bytes: None }
}

#[tokio::test]
async fn a_file_is_read_whole_and_in_parts() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    put(&tracking, id, "/model/weights.bin", b"0123456789").await.unwrap();
    assert_eq!(content(&tracking, id, "/model/weights.bin", None).await, b"0123456789");
    assert_eq!(content(&tracking, id, "/model/weights.bin", Some(2..5)).await, b"234");
}

#[tokio::test]
async fn a_file_put_again_is_replaced() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for bytes in [b"first".as_slice(), b"second"] {
        put(&tracking, id, "/notes.txt", bytes).await.unwrap();
    }
    assert_eq!(content(&tracking, id, "/notes.txt", None).await, b"second");
    assert_eq!(list(&tracking, id, "").await, [file("notes.txt", 6)]);
}

#[tokio::test]
async fn a_folder_lists_its_files_and_folders_by_name() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for path in ["/b.txt", "/a/x/deep.txt", "/a/1.txt", "/ab.txt"] {
        put(&tracking, id, path, b"12").await.unwrap();
    }
    assert_eq!(list(&tracking, id, "").await, [folder("a"), file("ab.txt", 2), file("b.txt", 2)]);
    assert_eq!(list(&tracking, id, "/a").await, [file("1.txt", 2), folder("x")]);
    assert_eq!(list(&tracking, id, "/a/1.txt").await, [file("1.txt", 2)], "a file is listed as itself");
    assert_eq!(list(&tracking, id, "/missing").await, []);
    let (run, listed) = artifacts::list_in(&tracking.caller, id, Some("a/x".parse().unwrap())).await.unwrap();
    assert_eq!((run.run_id, listed), (id, vec![file("deep.txt", 2)]));
}

#[tokio::test]
async fn a_path_is_a_file_or_a_folder_but_not_both() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    put(&tracking, id, "/a/b.txt", b"1").await.unwrap();
    refused(put(&tracking, id, "/a", b"1").await, ErrorCode::InvalidArgument, "`a` is a folder of the run");
    refused(put(&tracking, id, "/a/b.txt/c", b"1").await, ErrorCode::InvalidArgument, "`a/b.txt` is a file of the run");
    refused(put(&tracking, id, "", b"1").await, ErrorCode::InvalidArgument, "expected a file");
    let opened = artifacts::get(&tracking.caller, &place(&tracking, id, "/a")).await;
    refused(opened, ErrorCode::InvalidArgument, "`a` is a folder, expected a file");
    let missing = artifacts::get(&tracking.caller, &place(&tracking, id, "/x")).await;
    refused(missing, ErrorCode::NotFound, "`x`");
}

#[tokio::test]
async fn deleting_a_folder_deletes_everything_below_it_and_nothing_beside_it() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    for path in ["/a/1.txt", "/a/x/2.txt", "/ab.txt", "/a.txt"] {
        put(&tracking, id, path, b"1").await.unwrap();
    }
    artifacts::delete(&tracking.caller, place(&tracking, id, "/a")).await.unwrap();
    artifacts::delete(&tracking.caller, place(&tracking, id, "/a")).await.unwrap();
    assert_eq!(list(&tracking, id, "").await, [file("a.txt", 1), file("ab.txt", 1)]);
}

#[tokio::test]
async fn a_deleted_run_keeps_its_artifacts_and_accepts_none() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    put(&tracking, id, "/a.txt", b"1").await.unwrap();
    runs::delete(&tracking.caller, id).await.unwrap();
    refused(put(&tracking, id, "/b.txt", b"1").await, ErrorCode::WrongState, "is deleted");
    let deleted = artifacts::delete(&tracking.caller, place(&tracking, id, "/a.txt")).await;
    refused(deleted, ErrorCode::WrongState, "is deleted");
    assert_eq!(content(&tracking, id, "/a.txt", None).await, b"1");
    let run = runs::get(&tracking.caller, id).await.unwrap().0;
    assert_eq!(run.lifecycle, Lifecycle::Deleted);
}

#[tokio::test]
async fn a_path_below_another_experiment_is_not_found() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    let elsewhere = ArtifactLocation::parse(&format!("0/{id}/artifacts/a").parse().unwrap()).unwrap();
    let incoming = stream::iter([Ok(Bytes::from_static(b"1"))]);
    refused(
        artifacts::put(&tracking.caller, elsewhere.clone(), incoming).await,
        ErrorCode::NotFound,
        "artifact folder",
    );
    refused(artifacts::get(&tracking.caller, &elsewhere).await, ErrorCode::NotFound, "artifact folder");
    refused(artifacts::list(&tracking.caller, &elsewhere).await, ErrorCode::NotFound, "artifact folder");
    refused(artifacts::delete(&tracking.caller, elsewhere).await, ErrorCode::NotFound, "artifact folder");
}

#[test]
fn a_place_has_a_run_and_the_folder_of_its_artifacts() {
    let id = RunId::generate();
    let parse = |path: String| ArtifactLocation::parse(&path.parse().unwrap());
    let below = parse(format!("1/{id}/artifacts/a/b")).unwrap();
    assert_eq!((below.run, below.path), (id, Some("a/b".parse().unwrap())));
    assert_eq!(parse(format!("deep/er/{id}/artifacts")).unwrap().path, None, "an experiment with its own location");
    for path in
        ["1/a".to_owned(), "1/models/m-1/artifacts/a".to_owned(), format!("1/{id}/artefacts/a"), format!("{id}")]
    {
        assert_eq!(parse(path.clone()), None, "{path}");
    }
}

#[tokio::test]
async fn an_experiment_with_a_location_has_its_artifacts_there() {
    let tracking = Tracking::start().await;
    let location = Some("mlflow-artifacts:/team/a".to_owned());
    let created = experiments::create(&tracking.caller, "located".to_owned(), location, Vec::new()).await.unwrap();
    let (run, _) = runs::create(&tracking.caller, created.id, runs::Begin::default()).await.unwrap();
    let place = ArtifactLocation::parse(&format!("team/a/{}/artifacts/x", run.run_id).parse().unwrap()).unwrap();
    let incoming = stream::iter([Ok(Bytes::from_static(b"1"))]);
    artifacts::put(&tracking.caller, place.clone(), incoming).await.unwrap();
    assert_eq!(artifacts::get(&tracking.caller, &place).await.unwrap().size_bytes, 1);
}

#[tokio::test]
async fn the_artifacts_of_an_unreadable_run_are_not_found() {
    let tracking = Tracking::start().await;
    let (project, _) = tracking.other_project().await;
    let id = tracking.begin("one").await;
    put(&tracking, id, "/a.txt", b"1").await.unwrap();
    let stranger = tracking.person("eve", Role::Contributor, project).await;
    refused(artifacts::get(&stranger, &place(&tracking, id, "/a.txt")).await, ErrorCode::NotFound, "run");
    refused(artifacts::list(&stranger, &place(&tracking, id, "")).await, ErrorCode::NotFound, "run");
    let viewer = tracking.person("ann", Role::Viewer, Tracking::project()).await;
    assert_eq!(artifacts::list(&viewer, &place(&tracking, id, "")).await.unwrap().len(), 1);
    let deleted = artifacts::delete(&viewer, place(&tracking, id, "/a.txt")).await;
    refused(deleted, ErrorCode::PermissionDenied, "`write`");
}
