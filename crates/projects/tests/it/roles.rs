//! What a caller may submit: contributors change steps, approvers change what is released and when.

use perennial_core::ErrorCode;
use perennial_core::id::RunId;
use perennial_core::permission::Role;
use perennial_testkit::toml_text::{remove, set};
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{caller_on, followed, refused, submissions, submit_as, with_another_step};

#[tokio::test]
async fn a_contributor_submits_changes_outside_the_release_sections() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let contributor = caller_on(&test, &project, Role::Contributor).await;
    submit_as(&test, &contributor, &with_another_step()).await.unwrap();
    assert_eq!(project.submission().unwrap().text, with_another_step());
    assert_eq!(submissions(&test, &project).await, ["perennial", "contributor-of-flights"]);
}

#[tokio::test]
async fn a_viewer_submits_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let before = followed(&project);
    let viewer = caller_on(&test, &project, Role::Viewer).await;
    let error = refused(submit_as(&test, &viewer, &with_another_step()).await);
    assert_eq!((error.code(), followed(&project)), (ErrorCode::PermissionDenied, before));
}

#[tokio::test]
async fn a_change_of_what_is_released_needs_an_approver_and_names_the_sections() {
    let trigger = "[triggers.monthly]\non = [\"schedule:0 6 1 * *\"]\nrun = \"release\"\n";
    let changes = [
        (format!("{PROJECT_FILE}\n[gates]\ngood = \"candidate.auc > 0.7\"\n"), "[gates]"),
        (set(PROJECT_FILE, "release.evidence_ttl", "'30 days'"), "[release]"),
        (set(PROJECT_FILE, "endpoints.delay.max_body", "'2 kB'"), "[endpoints.delay]"),
        (format!("{PROJECT_FILE}\n[endpoints.other]\n"), "[endpoints.other]"),
        (remove(&remove(PROJECT_FILE, "monitors.delay"), "endpoints.delay"), "[endpoints.delay]"),
        (format!("{PROJECT_FILE}\n{trigger}"), "[triggers.monthly]"),
    ];
    let (test, project) = TestApp::with_project().await.unwrap();
    let contributor = caller_on(&test, &project, Role::Contributor).await;
    let approver = caller_on(&test, &project, Role::Approver).await;
    for (text, section) in changes {
        let before = followed(&project);
        let error = refused(submit_as(&test, &contributor, &text).await);
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{section}: {}", error.chain());
        assert!(error.message().ends_with(&format!("the project file changes {section}")), "{}", error.message());
        assert!(error.hint().unwrap().contains("the token of an approver"), "{:?}", error.hint());
        assert_eq!(followed(&project), before);
        submit_as(&test, &approver, &text).await.unwrap();
        submit_as(&test, &approver, PROJECT_FILE).await.unwrap();
    }
}

#[tokio::test]
async fn a_role_on_another_project_does_not_help() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let other = test.app.projects.create(&test.system(), &"trains".parse().unwrap()).await.unwrap();
    let (before, lead) = (followed(&project), caller_on(&test, &other, Role::Admin).await);
    let error = refused(submit_as(&test, &lead, &with_another_step()).await);
    assert_eq!((error.code(), followed(&project)), (ErrorCode::PermissionDenied, before));
}

#[tokio::test]
async fn a_steps_token_submits_nothing() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let mut step = caller_on(&test, &project, Role::Admin).await;
    step.principal.run = Some(RunId::generate());
    let error = refused(submit_as(&test, &step, &with_another_step()).await);
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.message().contains("its own run"), "{}", error.message());
}
