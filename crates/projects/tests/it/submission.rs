//! A submission is a snapshot by content, and the project follows the last one.

use perennial_core::ErrorCode;
use perennial_testkit::toml_text::{remove, set};
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{empty_project, followed, refused, submissions, submit_as, with_another_step};

#[tokio::test]
async fn a_project_without_a_submission_says_how_to_submit_one() {
    let (_test, project) = empty_project().await;
    let error = refused(project.submission());
    assert_eq!(
        (error.code(), error.message()),
        (ErrorCode::WrongState, "project `flights` has no project file to follow")
    );
    assert!(error.hint().unwrap().contains("`perennial up`"));
}

#[tokio::test]
async fn the_same_file_again_is_neither_stored_nor_recorded_again() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (before, revision) = (followed(&project), project.revision());
    let (_, notices) = submit_as(&test, &test.system(), PROJECT_FILE).await.unwrap();
    assert_eq!((followed(&project), project.revision(), notices), (before, revision, Vec::new()));
    assert_eq!(submissions(&test, &project).await, ["perennial"]);
}

#[tokio::test]
async fn a_changed_file_is_followed_and_earlier_ones_stay_available_by_digest() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let (first, revision) = (project.submission().unwrap(), project.revision());
    submit_as(&test, &test.system(), &with_another_step()).await.unwrap();
    let second = project.submission().unwrap();
    assert_ne!(first.digest, second.digest);
    assert_eq!(second.text, with_another_step());
    assert!(project.revision() > revision, "what was computed from the first file is void");
    let earlier = project.submission_of(&test.app.kernel, &first.digest).await.unwrap();
    assert_eq!((earlier.text.as_str(), &earlier.digest), (PROJECT_FILE, &first.digest));
    let error = refused(project.submission_of(&test.app.kernel, "0123").await);
    assert_eq!(error.code(), ErrorCode::NotFound);
    assert_eq!(submissions(&test, &project).await.len(), 2);
}

#[tokio::test]
async fn returning_to_an_earlier_file_is_a_submission_of_its_own() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let first = followed(&project);
    submit_as(&test, &test.system(), &with_another_step()).await.unwrap();
    submit_as(&test, &test.system(), PROJECT_FILE).await.unwrap();
    assert_eq!(followed(&project), first);
    assert_eq!(submissions(&test, &project).await.len(), 3);
}

#[tokio::test]
async fn removed_parts_are_not_in_the_submission_that_follows() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let without = remove(&remove(PROJECT_FILE, "monitors.delay"), "endpoints.delay");
    let without = remove(&without, "release");
    submit_as(&test, &test.system(), &without).await.unwrap();
    let submission = project.submission().unwrap();
    assert!(submission.project.endpoints.is_empty() && submission.project.monitors.is_empty());
    assert!(submission.project.release.is_none());
    assert_eq!(submissions(&test, &project).await.len(), 2, "the removal is one entry of the ledger");
}

#[tokio::test]
async fn a_comment_is_part_of_the_content() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let before = followed(&project);
    submit_as(&test, &test.system(), &format!("# a comment\n{PROJECT_FILE}")).await.unwrap();
    assert_ne!(followed(&project), before);
}

#[tokio::test]
async fn a_change_that_affects_only_future_loads_is_announced() {
    let (test, _) = TestApp::with_project().await.unwrap();
    let keyed = set(PROJECT_FILE, "datasets.flown.key", "['flight_id']");
    let merged = set(&keyed, "datasets.flown.mode", "'merge'");
    let (_, notices) = submit_as(&test, &test.system(), &merged).await.unwrap();
    assert_eq!(
        notices,
        ["`flown`: its key and its mode changed; this affects only future loads, rows already loaded stay"]
    );
    let (_, notices) = submit_as(&test, &test.system(), &format!("{merged}\n# again\n")).await.unwrap();
    assert_eq!(notices, Vec::<String>::new());
}

#[tokio::test]
async fn the_server_finds_its_own_project_without_submitting_it() {
    let test = TestApp::start().await.unwrap();
    test.write_file(PROJECT_FILE).unwrap();
    let (project, submission) = test.app.projects.own(&test.system()).await.unwrap();
    assert_eq!(submission.project.project.name, project.name);
    assert_eq!(followed(&project), None);
    let (again, _) = test.app.projects.own(&test.system()).await.unwrap();
    assert_eq!(again.id, project.id, "it is created once");
    assert_eq!(submissions(&test, &project).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_touch_makes_earlier_results_void_without_a_submission() {
    let (_test, project) = TestApp::with_project().await.unwrap();
    let (digest, revision) = (followed(&project), project.revision());
    project.touch();
    assert_eq!((followed(&project), project.revision()), (digest, revision + 1));
}
