//! What a caller may submit: contributors change steps, approvers change what is released and when.

use perennial_config::FILE_NAME;
use perennial_core::ErrorCode;
use perennial_core::blob::BlobDigest;
use perennial_core::id::RunId;
use perennial_core::permission::Role;
use perennial_projects::uploads;
use perennial_testkit::toml_text::{remove, set};
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{
    caller_on, empty_project, followed, refused, submissions, submit_as, upload, with_another_step, with_sql,
    write_declared,
};

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

#[tokio::test]
async fn a_submission_is_compared_with_the_stored_file_not_with_the_one_in_memory() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let contributor = caller_on(&test, &project, Role::Contributor).await;
    let next = TestApp::beside(&test).await.unwrap();
    let gated = format!("{PROJECT_FILE}\n[gates]\ngood = \"candidate.auc > 0.7\"\n");
    submit_as(&next, &next.system(), &gated).await.unwrap();
    let error = refused(submit_as(&test, &contributor, &with_another_step()).await);
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert!(error.message().ends_with("the project file changes [gates]"), "{}", error.message());
    assert_eq!(submissions(&test, &project).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_submissions_leave_the_same_file_in_memory_and_in_the_store() {
    let (test, project) = empty_project().await;
    let first = upload(&test, &project, &[(FILE_NAME, PROJECT_FILE), ("a.csv", "a\n")]).await;
    let second = upload(&test, &project, &[(FILE_NAME, &with_another_step())]).await;
    for _ in 0..5 {
        let submitting = [first, second].map(|folder| {
            let (caller, project) = (test.system(), project.clone());
            tokio::spawn(async move { uploads::submit(&caller, &project, folder).await.map(drop) })
        });
        for (folder, submitted) in [first, second].into_iter().zip(submitting) {
            if let Err(error) = submitted.await.unwrap() {
                assert_eq!(error.code(), ErrorCode::NotFound, "{folder}: {}", error.chain());
            }
        }
        let stored = test.app.projects.record(&test.system(), &project).await.unwrap().file_digest;
        assert_eq!(followed(&project), stored);
        let root = uploads::root(&test.app.kernel, &project).unwrap();
        let text = std::fs::read_to_string(root.join(FILE_NAME)).unwrap();
        assert_eq!(text, project.submission().unwrap().text);
        upload(&test, &project, &[(FILE_NAME, PROJECT_FILE), ("a.csv", "a\n")]).await;
        upload(&test, &project, &[(FILE_NAME, &with_another_step())]).await;
    }
}

#[tokio::test]
async fn the_servers_own_file_is_neither_validated_nor_stored_without_permission() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let other = test.app.projects.create(&test.system(), &"trains".parse().unwrap()).await.unwrap();
    let viewer = caller_on(&test, &project, Role::Viewer).await;
    let foreign = caller_on(&test, &other, Role::Admin).await;
    write_declared(&test, "sql/prepared.sql", b"SELECT 'secret'");
    let misspelt = with_sql().replace("[endpoints.delay]", "[endpoint.delay]");
    let unknown = set(&with_sql(), "project.name", "'ships'");
    for text in [with_sql(), misspelt, unknown, "[project".to_owned()] {
        test.write_file(&text).unwrap();
        for caller in [&viewer, &foreign] {
            let planned = refused(test.app.projects.own(caller).await);
            let submitted = refused(test.app.projects.submit(caller).await);
            for error in [planned, submitted] {
                assert_eq!(error.code(), ErrorCode::PermissionDenied, "{text}: {}", error.chain());
            }
        }
    }
    std::fs::remove_file(test.folder.path().join("root").join(FILE_NAME)).unwrap();
    assert_eq!(refused(test.app.projects.own(&foreign).await).code(), ErrorCode::PermissionDenied);
    let stored = test.app.kernel.services.blobs.exists(BlobDigest::of(b"SELECT 'secret'")).await.unwrap();
    assert!(!stored);
}
