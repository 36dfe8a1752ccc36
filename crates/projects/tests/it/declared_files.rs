//! The files that a project file declares are part of the submission, by content.

use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_testkit::TestApp;

use crate::support::{followed, refused, submit_as, with_sql, write_declared};

const SQL: &str = "sql/prepared.sql";

#[tokio::test]
async fn the_content_of_a_declared_file_is_part_of_the_digest() {
    let test = TestApp::start().await.unwrap();
    write_declared(&test, SQL, b"SELECT 1");
    let (project, _) = submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    let first = followed(&project);
    write_declared(&test, SQL, b"SELECT 2");
    submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    assert_ne!(followed(&project), first);
    write_declared(&test, SQL, b"SELECT 1");
    submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    assert_eq!(followed(&project), first, "the digest depends on content, not on time");
}

#[tokio::test]
async fn a_declared_file_is_stored_by_content_with_its_text() {
    let test = TestApp::start().await.unwrap();
    write_declared(&test, SQL, b"SELECT 1");
    let (project, _) = submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    let submission = project.submission().unwrap();
    let digest = BlobDigest::of(b"SELECT 1");
    let declared = submission.declared_files(SQL).unwrap();
    assert_eq!(declared.iter().collect::<Vec<_>>(), [(&SQL.to_owned(), &digest)]);
    assert_eq!(submission.declared_text(SQL).unwrap(), "SELECT 1");
    assert!(test.app.kernel.services.blobs.exists(digest).await.unwrap());
}

#[tokio::test]
async fn a_later_change_on_disk_does_not_change_a_submission() {
    let test = TestApp::start().await.unwrap();
    write_declared(&test, SQL, b"SELECT 1");
    let (project, _) = submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    write_declared(&test, SQL, b"SELECT 2");
    assert_eq!(project.submission().unwrap().declared_text(SQL).unwrap(), "SELECT 1");
}

#[tokio::test]
async fn a_file_that_is_not_declared_is_not_part_of_the_submission() {
    let test = TestApp::start().await.unwrap();
    write_declared(&test, SQL, b"SELECT 1");
    let (project, _) = submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    let before = followed(&project);
    write_declared(&test, "notes.txt", b"nothing of this");
    submit_as(&test, &test.system(), &with_sql()).await.unwrap();
    assert_eq!(followed(&project), before);
    let submission = project.submission().unwrap();
    for error in [refused(submission.declared_files("notes.txt")), refused(submission.declared_text("notes.txt"))] {
        assert_eq!(error.code(), ErrorCode::NotFound);
        assert_eq!(error.message(), "declared file `notes.txt` does not exist");
    }
}
