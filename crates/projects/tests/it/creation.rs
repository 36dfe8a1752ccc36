//! Projects are created once, by those who manage the server.

use std::sync::Arc;

use perennial_core::ErrorCode;
use perennial_core::ledger::Chain;
use perennial_core::name::ProjectName;
use perennial_core::permission::Role;
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{caller_on, empty_project, entries, followed, refused, submissions, submit_as};

#[tokio::test]
async fn a_new_project_has_an_experiment_and_no_project_file_and_is_recorded() {
    let (test, project) = empty_project().await;
    let record = test.app.projects.record(&test.system(), &project).await.unwrap();
    assert_eq!((record.id, record.experiment_id), (project.id, project.experiment));
    assert_eq!((record.file_digest, followed(&project)), (None, None));
    assert_eq!(entries(&test, Chain::Server).await, ["project create by perennial"]);
}

#[tokio::test]
async fn creating_a_project_needs_manage_on_the_server() {
    let (test, project) = empty_project().await;
    let name: ProjectName = "trains".parse().unwrap();
    let lead = caller_on(&test, &project, Role::Admin).await;
    let approver = test.caller("ann", Role::Approver).await.unwrap();
    for caller in [&lead, &approver] {
        let error = refused(test.app.projects.create(caller, &name).await);
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{}", caller.principal.name);
    }
    assert_eq!(refused(test.app.projects.get_by_name(&name).await).code(), ErrorCode::NotFound);
    let administrator = test.caller("root", Role::Admin).await.unwrap();
    test.app.projects.create(&administrator, &name).await.unwrap();
}

#[tokio::test]
async fn a_taken_name_is_refused_and_leaves_the_project_as_it_is() {
    let (test, project) = empty_project().await;
    let error = refused(test.app.projects.create(&test.system(), &project.name).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::AlreadyExists, "project `flights` already exists"));
    assert_eq!(entries(&test, Chain::Server).await.len(), 1);
    assert_eq!(test.app.projects.get_by_name(&project.name).await.unwrap().id, project.id);
}

#[tokio::test]
async fn an_unknown_name_is_not_found_and_the_hint_creates_it() {
    let test = TestApp::start().await.unwrap();
    let error = refused(test.app.projects.get_by_name(&"nowhere".parse().unwrap()).await);
    assert_eq!((error.code(), error.message()), (ErrorCode::NotFound, "project `nowhere` does not exist"));
    assert!(error.hint().unwrap().contains("`perennial run`"));
}

#[tokio::test]
async fn one_state_is_kept_for_each_project() {
    let (test, project) = empty_project().await;
    let by_name = test.app.projects.get_by_name(&project.name).await.unwrap();
    let by_id = test.app.projects.get(project.id).await.unwrap();
    assert!(Arc::ptr_eq(&project, &by_name) && Arc::ptr_eq(&project, &by_id));
}

#[tokio::test]
async fn the_record_of_a_project_needs_read_on_it() {
    let (test, project) = empty_project().await;
    let other = test.app.projects.create(&test.system(), &"trains".parse().unwrap()).await.unwrap();
    let reader = caller_on(&test, &project, Role::Viewer).await;
    test.app.projects.record(&reader, &project).await.unwrap();
    assert_eq!(refused(test.app.projects.record(&reader, &other).await).code(), ErrorCode::PermissionDenied);
}

#[tokio::test]
async fn the_first_submission_creates_the_project() {
    let test = TestApp::start().await.unwrap();
    let administrator = test.caller("root", Role::Admin).await.unwrap();
    let (project, notices) = submit_as(&test, &administrator, PROJECT_FILE).await.unwrap();
    assert_eq!((project.name.as_str(), notices), ("flights", Vec::new()));
    let on_server = entries(&test, Chain::Server).await;
    assert!(on_server.contains(&"project create by root".to_owned()), "{on_server:?}");
    assert_eq!(submissions(&test, &project).await, ["root"]);
}
