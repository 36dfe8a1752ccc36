//! A folder that a client uploads becomes the project's own: by content, all at once, and only when it is valid.

use std::path::PathBuf;

use bytes::Bytes;
use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::permission::Role;
use perennial_projects::{ProjectState, uploads};
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{
    caller_on, diagnostics, empty_project, followed, manifest, put, put_as, refused, submissions, submit_as, upload,
    with_another_step,
};

const FILE: &str = "perennial.toml";

async fn missing(test: &TestApp, project: &ProjectState, digests: &[BlobDigest]) -> Vec<BlobDigest> {
    uploads::missing(&test.system(), project, digests).await.unwrap()
}

/// The folder of all uploads of the project.
fn uploads_of(test: &TestApp, project: &ProjectState) -> PathBuf {
    test.app.kernel.services.uploads.join(project.id.to_string())
}

/// Where an uploaded folder of the project is placed.
fn place(test: &TestApp, project: &ProjectState, folder: BlobDigest) -> PathBuf {
    uploads_of(test, project).join(folder.to_string())
}

#[tokio::test]
async fn a_submitted_folder_is_the_root_of_the_project_with_the_files_in_their_places() {
    let (test, project) = empty_project().await;
    assert_eq!(uploads::root(&test.app.kernel, &project), None);
    let files = [(FILE, PROJECT_FILE), ("data/a.csv", "flight_id\n1\n"), ("data/deep/er/b.csv", "x\n")];
    let folder = upload(&test, &project, &files).await;
    uploads::submit(&test.system(), &project, folder).await.unwrap();
    let root = uploads::root(&test.app.kernel, &project).unwrap();
    assert_eq!(root, place(&test, &project, folder));
    for (path, text) in files {
        assert_eq!(std::fs::read_to_string(root.join(path)).unwrap(), text, "{path}");
    }
    assert_eq!(project.submission().unwrap().text, PROJECT_FILE);
    assert_eq!(submissions(&test, &project).await, ["perennial"]);
}

#[tokio::test]
async fn only_what_is_not_there_yet_is_missing() {
    let (test, project) = empty_project().await;
    let new = BlobDigest::of(b"new");
    let folder = upload(&test, &project, &[(FILE, PROJECT_FILE), ("a.csv", "a\n")]).await;
    let of = |text: &str| BlobDigest::of(text.as_bytes());
    let asked = [of(PROJECT_FILE), new, of("a\n"), folder];
    assert_eq!(missing(&test, &project, &asked).await, [new], "uploaded and not submitted");
    uploads::submit(&test.system(), &project, folder).await.unwrap();
    assert_eq!(missing(&test, &project, &asked).await, [new], "in the current folder");
}

#[tokio::test]
async fn the_next_folder_shares_files_with_the_one_before_which_is_removed() {
    let (test, project) = empty_project().await;
    let first = upload(&test, &project, &[(FILE, PROJECT_FILE), ("a.csv", "a\n"), ("b.csv", "b\n")]).await;
    uploads::submit(&test.system(), &project, first).await.unwrap();
    let next = manifest(&[(FILE, PROJECT_FILE), ("renamed/a.csv", "a\n")]);
    let next = put(&test, &project, next.text().as_bytes()).await;
    uploads::submit(&test.system(), &project, next).await.unwrap();
    test.app.worker().run_due().await.unwrap();
    let root = place(&test, &project, next);
    assert_eq!(std::fs::read_to_string(root.join("renamed/a.csv")).unwrap(), "a\n");
    assert!(!root.join("b.csv").exists() && !place(&test, &project, first).exists());
    let gone = BlobDigest::of(b"b\n");
    assert_eq!(missing(&test, &project, &[gone, BlobDigest::of(b"a\n")]).await, [gone]);
}

#[tokio::test]
async fn a_folder_that_is_read_stays_until_the_submission_after() {
    let (test, project) = empty_project().await;
    let mut folders = Vec::new();
    for text in [PROJECT_FILE.to_owned(), with_another_step(), format!("# third\n{PROJECT_FILE}")] {
        let reading = project.read_folder().await;
        let folder = upload(&test, &project, &[(FILE, &text)]).await;
        uploads::submit(&test.system(), &project, folder).await.unwrap();
        folders.push(folder);
        drop(reading);
    }
    let are_there = |folders: &[BlobDigest]| folders.iter().all(|folder| place(&test, &project, *folder).is_dir());
    assert!(are_there(&folders), "each was read while the next one was submitted");
    let last = upload(&test, &project, &[(FILE, &format!("# last\n{PROJECT_FILE}"))]).await;
    uploads::submit(&test.system(), &project, last).await.unwrap();
    test.app.worker().run_due().await.unwrap();
    assert!(!folders.iter().any(|folder| place(&test, &project, *folder).exists()));
}

#[tokio::test]
async fn content_with_another_digest_is_refused_and_not_stored() {
    let (test, project) = empty_project().await;
    let (promised, received) = (BlobDigest::of(b"promised"), BlobDigest::of(b"received"));
    let error = refused(put_as(&test.system(), &project, promised, b"received").await);
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    assert!(error.message().contains(&promised.to_string()) && error.message().contains(&received.to_string()));
    assert_eq!(missing(&test, &project, &[promised, received]).await, [promised, received]);
}

#[tokio::test]
async fn content_that_was_uploaded_stays_when_it_comes_again_under_another_digest() {
    let (test, project) = empty_project().await;
    let first = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, first).await.unwrap();
    let listed = manifest(&[(FILE, PROJECT_FILE)]).text();
    let error = refused(put_as(&test.system(), &project, BlobDigest::of(b"promised"), listed.as_bytes()).await);
    assert_eq!(error.code(), ErrorCode::InvalidArgument);
    let next = manifest(&[(FILE, PROJECT_FILE), ("again.toml", PROJECT_FILE)]);
    let next = put(&test, &project, next.text().as_bytes()).await;
    uploads::submit(&test.system(), &project, next).await.unwrap();
    assert!(place(&test, &project, next).join("again.toml").is_file());
}

#[tokio::test]
async fn an_upload_that_breaks_off_stores_nothing() {
    let (test, project) = empty_project().await;
    let digest = BlobDigest::of(b"whole");
    let pieces = [Ok(Bytes::from_static(b"who")), Err(std::io::Error::other("the client disconnected"))];
    let result = uploads::put(&test.system(), &project, digest, futures::stream::iter(pieces)).await;
    assert!(result.is_err());
    assert_eq!(missing(&test, &project, &[digest, BlobDigest::of(b"who")]).await.len(), 2);
}

#[tokio::test]
async fn more_digests_than_one_query_allows_are_refused() {
    let (test, project) = empty_project().await;
    let most = vec![BlobDigest::of(b"x"); uploads::DIGESTS_MAX];
    assert_eq!(missing(&test, &project, &most).await.len(), uploads::DIGESTS_MAX);
    let more = vec![BlobDigest::of(b"x"); uploads::DIGESTS_MAX + 1];
    let error = refused(uploads::missing(&test.system(), &project, &more).await);
    assert_eq!(error.code(), ErrorCode::TooLarge);
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn a_folder_that_is_not_valid_leaves_the_project_and_its_folder_as_they_were() {
    let (test, project) = empty_project().await;
    let good = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, good).await.unwrap();
    let (before, root) = (followed(&project), uploads::root(&test.app.kernel, &project));
    let misspelt = PROJECT_FILE.replace("[endpoints.delay]", "[endpoint.delay]");
    let bad = upload(&test, &project, &[(FILE, &misspelt)]).await;
    let error = refused(uploads::submit(&test.system(), &project, bad).await);
    assert_eq!(diagnostics(&error).errors[0].words, "endpoint");
    let other = set(PROJECT_FILE, "project.name", "'trains'");
    let of_other = upload(&test, &project, &[(FILE, &other)]).await;
    let error = refused(uploads::submit(&test.system(), &project, of_other).await);
    assert_eq!(error.message(), "the project file belongs to project `trains`, expected `flights`");
    let without = upload(&test, &project, &[("a.csv", "a\n")]).await;
    let error = refused(uploads::submit(&test.system(), &project, without).await);
    assert_eq!(error.message(), "the uploaded folder has no `perennial.toml`");
    assert_eq!((followed(&project), uploads::root(&test.app.kernel, &project)), (before, root));
    for folder in [bad, of_other, without] {
        assert!(!place(&test, &project, folder).exists());
    }
}

#[tokio::test]
async fn a_folder_or_a_file_of_it_that_was_not_uploaded_is_not_found() {
    let (test, project) = empty_project().await;
    let error = refused(uploads::submit(&test.system(), &project, BlobDigest::of(b"nothing")).await);
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(error.message().starts_with("the manifest of the folder, `"), "{}", error.message());
    put(&test, &project, PROJECT_FILE.as_bytes()).await;
    let listed = manifest(&[(FILE, PROJECT_FILE), ("data/a.csv", "a\n")]);
    let folder = put(&test, &project, listed.text().as_bytes()).await;
    let error = refused(uploads::submit(&test.system(), &project, folder).await);
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert!(error.message().starts_with("the file `data/a.csv`, `"), "{}", error.message());
    assert!(error.hint().unwrap().contains("submit again"));
    assert_eq!(followed(&project), None);
}

#[tokio::test]
async fn a_manifest_with_paths_outside_the_folder_is_refused() {
    let (test, project) = empty_project().await;
    let digest = put(&test, &project, PROJECT_FILE.as_bytes()).await;
    let line = |path: &str| format!("{digest} {} - {path}", PROJECT_FILE.len());
    for path in ["../outside", "/etc/outside", "a/../../outside", "a\\b", "a//b"] {
        let text = format!("perennial manifest 1\n{}\n{}\n", line(path), line(FILE));
        let folder = put(&test, &project, text.as_bytes()).await;
        let error = refused(uploads::submit(&test.system(), &project, folder).await);
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{path}");
        assert!(error.message().starts_with("the folder's manifest is refused: "), "{}", error.message());
    }
    let folder = put(&test, &project, &[0xff, 0xfe]).await;
    let error = refused(uploads::submit(&test.system(), &project, folder).await);
    assert_eq!(error.message(), "the folder's manifest is refused: it is not UTF-8");
}

#[tokio::test]
async fn uploads_of_one_project_are_not_available_to_another() {
    let (test, project) = empty_project().await;
    let other = test.app.projects.create(&test.system(), &"trains".parse().unwrap()).await.unwrap();
    let digest = put(&test, &project, b"of the flights").await;
    assert_eq!(missing(&test, &other, &[digest]).await, [digest]);
    assert_eq!(missing(&test, &project, &[digest]).await, []);
}

#[tokio::test]
async fn every_call_needs_write_on_the_project() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    let viewer = caller_on(&test, &project, Role::Viewer).await;
    let denied = [
        refused(uploads::missing(&viewer, &project, &[folder]).await),
        refused(put_as(&viewer, &project, folder, b"x").await),
        refused(uploads::submit(&viewer, &project, folder).await),
        refused(uploads::open(&viewer, &project, folder).await),
    ];
    assert!(denied.iter().all(|error| error.code() == ErrorCode::PermissionDenied), "{denied:?}");
    assert_eq!(followed(&project), None);
}

#[tokio::test]
async fn an_uploaded_folder_that_changes_the_release_needs_an_approver() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    let contributor = caller_on(&test, &project, Role::Contributor).await;
    let error = refused(uploads::submit(&contributor, &project, folder).await);
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.message().contains("[release], [endpoints.delay]"), "{}", error.message());
    assert!(!place(&test, &project, folder).exists());
    let approver = caller_on(&test, &project, Role::Approver).await;
    uploads::submit(&approver, &project, folder).await.unwrap();
    assert!(followed(&project).is_some());
}

#[tokio::test]
async fn an_opened_folder_can_be_planned_and_the_project_follows_the_one_before() {
    let (test, project) = empty_project().await;
    let current = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, current).await.unwrap();
    let before = followed(&project);
    let other = upload(&test, &project, &[(FILE, &with_another_step())]).await;
    let opened = uploads::open(&test.system(), &project, other).await.unwrap();
    assert_eq!(opened.submission.text, with_another_step());
    assert!(opened.path.join(FILE).is_file());
    assert_eq!(followed(&project), before);
    let path = opened.path.clone();
    opened.close().await;
    assert!(!path.exists());
    assert_eq!(missing(&test, &project, &[BlobDigest::of(with_another_step().as_bytes())]).await, []);
    let opened = uploads::open(&test.system(), &project, current).await.unwrap();
    opened.close().await;
    assert!(place(&test, &project, current).is_dir(), "the current folder stays");
    assert_eq!(submissions(&test, &project).await.len(), 1);
}

#[tokio::test]
async fn an_opened_folder_that_is_not_valid_is_removed() {
    let (test, project) = empty_project().await;
    let bad = upload(&test, &project, &[(FILE, "[project]\n")]).await;
    assert_eq!(refused(uploads::open(&test.system(), &project, bad).await).code(), ErrorCode::ProjectFile);
    assert!(!place(&test, &project, bad).exists());
}

#[tokio::test]
async fn a_submission_does_not_wait_for_an_opened_folder_which_stays_until_it_is_closed() {
    let (test, project) = empty_project().await;
    let planned = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    let first = uploads::open(&test.system(), &project, planned).await.unwrap();
    let second = uploads::open(&test.system(), &project, planned).await.unwrap();
    let other = upload(&test, &project, &[(FILE, &with_another_step())]).await;
    uploads::submit(&test.system(), &project, other).await.unwrap();
    assert_eq!(project.submission().unwrap().text, with_another_step());
    first.close().await;
    assert!(second.path.join(FILE).is_file(), "another task reads it");
    second.close().await;
    assert!(!place(&test, &project, planned).exists());
    assert!(place(&test, &project, other).join(FILE).is_file());
}

#[tokio::test]
async fn a_folder_that_exists_is_used_again_and_not_created_again() {
    let (test, project) = empty_project().await;
    let first = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, first).await.unwrap();
    let _reading = project.read_folder().await;
    let second = upload(&test, &project, &[(FILE, &with_another_step())]).await;
    uploads::submit(&test.system(), &project, second).await.unwrap();
    let mark = place(&test, &project, first).join("mark");
    std::fs::write(&mark, "of the folder that is being read").unwrap();
    uploads::open(&test.system(), &project, first).await.unwrap().close().await;
    uploads::submit(&test.system(), &project, first).await.unwrap();
    assert!(mark.is_file());
    assert_eq!(uploads::root(&test.app.kernel, &project), Some(place(&test, &project, first)));
}

#[tokio::test]
async fn a_submission_in_the_servers_own_folder_deletes_the_uploads() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    uploads::submit(&test.system(), &project, folder).await.unwrap();
    submit_as(&test, &test.system(), &with_another_step()).await.unwrap();
    assert_eq!(uploads::root(&test.app.kernel, &project), None);
    test.app.worker().run_due().await.unwrap();
    assert!(!place(&test, &project, folder).exists());
    let files = [folder, BlobDigest::of(PROJECT_FILE.as_bytes())];
    assert_eq!(missing(&test, &project, &files).await, files);
    assert_eq!(project.submission().unwrap().text, with_another_step());
}

#[tokio::test]
async fn the_current_folder_submitted_again_changes_nothing() {
    let (test, project) = empty_project().await;
    let folder = upload(&test, &project, &[(FILE, PROJECT_FILE)]).await;
    for _ in 0..2 {
        assert_eq!(uploads::submit(&test.system(), &project, folder).await.unwrap(), Vec::<String>::new());
    }
    assert_eq!(submissions(&test, &project).await.len(), 1);
}
