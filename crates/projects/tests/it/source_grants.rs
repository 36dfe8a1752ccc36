//! Source grants: which object stores the sources of a project may read.

use std::sync::Arc;

use perennial_core::ErrorCode;
use perennial_core::ledger::Chain;
use perennial_core::permission::Role;
use perennial_kernel::Caller;
use perennial_projects::{ProjectState, source_grants, uploads};
use perennial_testkit::toml_text::set;
use perennial_testkit::{PROJECT_FILE, TestApp};

use crate::support::{caller_on, entries, refused, submit_as, upload};

/// The project file with a source.
fn with_source(files: &str) -> String {
    set(PROJECT_FILE, "datasets.flown.source", &format!("{{ files = \"{files}\" }}"))
}

async fn prefixes(caller: &Caller, project: &Arc<ProjectState>) -> Vec<(String, String)> {
    let grants = source_grants::list(caller, project).await.unwrap();
    grants.into_iter().map(|grant| (grant.prefix.to_string(), grant.granted_by)).collect()
}

#[tokio::test]
async fn a_source_outside_the_grants_is_refused_at_check_plan_and_submit_with_the_command() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let projects = &test.app.projects;
    let contributor = test.caller("cam", Role::Contributor).await.unwrap();
    let file = with_source("s3://bucket/in/*.csv");
    test.write_file(&file).unwrap();
    let folder = upload(&test, &project, &[("perennial.toml", &file)]).await;
    let refusals = [
        refused(projects.check(&contributor).await),
        refused(projects.check_text(&contributor, file.clone(), &[].into()).await),
        refused(projects.own(&contributor).await),
        refused(projects.submit(&contributor).await),
        refused(uploads::open(&contributor, &project, folder).await),
        refused(uploads::submit(&contributor, &project, folder).await),
    ];
    for error in refusals {
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{}", error.message());
        assert_eq!(
            error.message(),
            "project `flights` may not read `s3://bucket/in/*.csv`: no administrator has allowed this source"
        );
        assert!(error.hint().unwrap().ends_with("`perennial sources allow flights s3://bucket/in/`"));
    }
    assert_eq!(project.submission().unwrap().text, PROJECT_FILE);

    let admin = test.caller("ada", Role::Admin).await.unwrap();
    let (grant, is_new) = source_grants::allow(&admin, &project, "s3://bucket/in").await.unwrap();
    assert_eq!((grant.prefix.to_string().as_str(), is_new), ("s3://bucket/in/", true));
    assert!(!source_grants::allow(&admin, &project, "s3://bucket/in/").await.unwrap().1, "it is there");
    projects.check(&contributor).await.unwrap();
    uploads::submit(&contributor, &project, folder).await.unwrap();
    submit_as(&test, &contributor, &file).await.unwrap();
    assert_eq!(prefixes(&contributor, &project).await, [("s3://bucket/in/".to_owned(), "ada".to_owned())]);

    assert_eq!(
        refused(submit_as(&test, &contributor, &with_source("s3://bucket/other/*.csv")).await).code(),
        ErrorCode::PermissionDenied
    );
    source_grants::deny(&admin, &project, "s3://bucket/in/").await.unwrap();
    assert_eq!(refused(submit_as(&test, &contributor, &file).await).code(), ErrorCode::PermissionDenied);
    assert_eq!(refused(source_grants::deny(&admin, &project, "s3://bucket/in/").await).code(), ErrorCode::NotFound);
    let mut recorded = entries(&test, Chain::Project(project.id)).await;
    recorded.retain(|entry| entry.starts_with("source_grant"));
    assert_eq!(recorded, ["source_grant allow by ada", "source_grant deny by ada"]);
}

#[tokio::test]
async fn only_an_administrator_of_the_server_grants_sources() {
    let (test, project) = TestApp::with_project().await.unwrap();
    for caller in [test.caller("ann", Role::Approver).await.unwrap(), caller_on(&test, &project, Role::Admin).await] {
        for result in [
            source_grants::allow(&caller, &project, "s3://bucket/").await.map(drop),
            source_grants::deny(&caller, &project, "s3://bucket/").await.map(drop),
        ] {
            assert_eq!(refused(result).code(), ErrorCode::PermissionDenied);
        }
    }
    assert!(prefixes(&test.system(), &project).await.is_empty());
}

#[tokio::test]
async fn a_submission_in_the_servers_own_folder_grants_the_folders_of_its_sources() {
    let (test, project) = TestApp::with_project().await.unwrap();
    submit_as(&test, &test.system(), &with_source("s3://bucket/in/*.csv")).await.unwrap();
    let expected = [("s3://bucket/in/".to_owned(), "perennial".to_owned())];
    assert_eq!(prefixes(&test.system(), &project).await, expected);
    // An administrator who is a person says so.
    let admin = test.caller("ada", Role::Admin).await.unwrap();
    let error = refused(submit_as(&test, &admin, &with_source("s3://bucket/out/*.csv")).await);
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert_eq!(prefixes(&admin, &project).await, expected);
}

#[tokio::test]
async fn a_source_below_the_folder_of_another_source_needs_no_grant_of_its_own() {
    let (test, project) = TestApp::with_project().await.unwrap();
    let second = "\n[datasets.within]\nsource = { files = \"s3://bucket/in/more/*.csv\" }\nmode = \"append\"\n";
    let file = with_source("s3://bucket/in/*.csv") + second;
    submit_as(&test, &test.system(), &file).await.unwrap();
    assert_eq!(prefixes(&test.system(), &project).await, [("s3://bucket/in/".to_owned(), "perennial".to_owned())]);
}

#[tokio::test]
async fn the_servers_own_storage_is_no_source_for_anyone() {
    let (test, project) = TestApp::with_project().await.unwrap();
    for files in [
        "s3://lake/perennial/blobs/**/*.csv",
        "s3://lake/perennial/tables/flown/*.parquet",
        "s3://LAKE/perennial/tables/flown/*.parquet",
        "gs://lake/perennial/x.csv",
        "s3://lake/**/*.csv",
        "s3://lake/{in,perennial}/*.csv",
    ] {
        let error = refused(submit_as(&test, &test.system(), &with_source(files)).await);
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{files}: {}", error.message());
        assert!(error.message().contains("server's own storage"), "{files}: {}", error.message());
    }
    for prefix in ["s3://lake/perennial/", "s3://lake/perennial/tables/", "gs://LAKE/perennial/tables"] {
        let error = refused(source_grants::allow(&test.system(), &project, prefix).await);
        assert!(error.message().contains("server's own storage"), "{prefix}: {}", error.message());
    }
    // A prefix around it may be granted; what reaches the own storage is refused all the same.
    source_grants::allow(&test.system(), &project, "s3://lake/").await.unwrap();
    submit_as(&test, &test.system(), &with_source("s3://lake/in/*.csv")).await.unwrap();
    assert!(submit_as(&test, &test.system(), &with_source("s3://lake/per*/*.csv")).await.is_err());
}

#[tokio::test]
async fn another_spelling_of_a_url_is_refused_with_its_place() {
    let (test, _) = TestApp::with_project().await.unwrap();
    for files in [
        "s3://bucket/../lake/perennial/x.csv",
        "s3://bucket/%2e%2e/x.csv",
        "s3://key@lake/perennial/x.csv",
        "s3://lake:443/perennial/x.csv",
        "s3://l%61ke/perennial/x.csv",
    ] {
        let error = refused(submit_as(&test, &test.system(), &with_source(files)).await);
        assert_eq!(error.code(), ErrorCode::ProjectFile, "{files}");
    }
}
