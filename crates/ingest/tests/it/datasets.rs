//! Reads of datasets: versions, loads, checks, profiles, quarantine, queries.

use perennial_core::permission::Role;
use perennial_core::{ErrorCode, Result};
use perennial_ingest::datasets;
use serde_json::json;

use crate::support::{FLOWN, TestProject, name};

/// A dataset with three versions; the second load was held and accepted.
async fn three_versions() -> TestProject {
    let checks = "[checks.flown]\npositive = \"n > 0\"\n";
    let test = TestProject::start(&format!("{FLOWN}\n{checks}")).await;
    test.load("a.csv", "n\n1\n").await;
    let held = test.load("b.csv", "n\n-2\n3\n").await;
    test.accept(held.id, false).await;
    test.load("c.csv", "n,m\n4,x\n").await;
    test
}

#[tokio::test]
async fn versions_and_loads_are_listed_latest_first_by_page() {
    let test = three_versions().await;
    let (caller, flown) = (test.test.system(), name("flown"));
    let first = datasets::versions(&caller, &test.project, &flown, None, 2).await.unwrap();
    assert_eq!(first.items.iter().map(|version| version.number).collect::<Vec<_>>(), [3, 2]);
    let rest = datasets::versions(&caller, &test.project, &flown, Some(2), 2).await.unwrap();
    assert_eq!(rest.items.iter().map(|version| version.number).collect::<Vec<_>>(), [1]);
    let page = datasets::loads(&caller, &test.project, &flown, None, 2).await.unwrap();
    let rest = datasets::loads(&caller, &test.project, &flown, page.next.as_deref(), 2).await.unwrap();
    let paths = page.items.iter().chain(&rest.items).map(|load| load.files[0].path.as_str());
    assert_eq!(paths.collect::<Vec<_>>(), ["c.csv", "b.csv", "a.csv"]);
}

#[tokio::test]
async fn datasets_are_listed_with_their_latest_version() {
    let test = three_versions().await;
    let list = datasets::list(&test.test.system(), &test.project).await.unwrap();
    let list: Vec<_> = list.into_iter().map(|(dataset, version)| (dataset.name, version.map(|v| v.number))).collect();
    assert_eq!(list, [(name("flown"), Some(3))]);
    let (dataset, version) = datasets::get(&test.test.system(), &test.project, &name("flown")).await.unwrap();
    assert_eq!(version.map(|version| version.row_count), Some(3));
    let names = datasets::names(&test.test.system(), &test.project).await.unwrap();
    assert_eq!(names[&dataset.id], name("flown"));
}

#[tokio::test]
async fn checks_are_grouped_by_load_latest_first() {
    let test = three_versions().await;
    let checks = datasets::checks(&test.test.system(), &test.project, &name("flown"), 2).await.unwrap();
    let checks: Vec<_> = checks.iter().map(|(load, results)| (load.files[0].path.as_str(), results.len())).collect();
    assert_eq!(checks, [("c.csv", 1), ("b.csv", 1)]);
}

#[tokio::test]
async fn the_profile_is_that_of_a_load_or_of_the_latest_committed_one() {
    let test = three_versions().await;
    let (caller, flown) = (test.test.system(), name("flown"));
    let first = test.loads("flown").await.remove(0);
    let of_first = datasets::profile(&caller, &test.project, &flown, Some(first.id)).await.unwrap().unwrap();
    assert_eq!((&of_first.body[0]["name"], &of_first.body[0]["max"]), (&json!("n"), &json!(1)));
    let latest = datasets::profile(&caller, &test.project, &flown, None).await.unwrap().unwrap();
    assert_eq!(latest.body.as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn the_quarantine_has_rows_of_held_and_committed_loads() {
    let test = three_versions().await;
    let quarantine = async |load| {
        let page = datasets::quarantine(&test.test.system(), &test.project, &name("flown"), load, 10).await.unwrap();
        page.rows.into_iter().map(|row| row[2].clone()).collect::<Vec<_>>()
    };
    assert_eq!(quarantine(None).await, [json!("-2")]);
    let loads = test.loads("flown").await;
    assert_eq!(quarantine(Some(loads[1].id)).await, [json!("-2")]);
    assert!(quarantine(Some(loads[0].id)).await.is_empty());
    let held = test.load("d.csv", "n,m\n-7,y\n").await;
    assert_eq!(quarantine(None).await, [json!("-7"), json!("-2")]);
    let ingest = &test.test.app.ingest;
    ingest.reject_load(&test.test.system(), &test.project, held.id).await.unwrap();
    assert_eq!(quarantine(None).await, [json!("-2")], "rows of a rejected load do not count");
}

#[tokio::test]
async fn a_query_is_cut_at_its_limit() {
    let test = three_versions().await;
    let query = async |limit| {
        let page = datasets::query(&test.test.system(), &test.project, "SELECT n FROM flown".to_owned(), limit).await;
        page.map(|page| (page.rows.len(), page.truncated)).unwrap()
    };
    assert_eq!(query(0).await, (1, true), "at least one row");
    assert_eq!(query(2).await, (2, true));
    assert_eq!(query(usize::MAX).await, (3, false));
}

#[tokio::test]
async fn a_dataset_with_a_mistyped_name_is_suggested() {
    let test = three_versions().await;
    let error = datasets::get(&test.test.system(), &test.project, &name("flowm")).await.unwrap_err();
    assert_eq!((error.code(), error.hint()), (ErrorCode::NotFound, Some("did you mean `flown`?")));
    let error = datasets::get(&test.test.system(), &test.project, &name("weather")).await.unwrap_err();
    assert_eq!(error.hint(), Some("known here: `flown`"));
}

fn code<T>(result: Result<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.code())
}

#[tokio::test]
async fn every_read_needs_the_permission_to_read() {
    let test = three_versions().await;
    let (other, flown) = (TestProject::start(FLOWN).await, name("flown"));
    // A token for one project of its own server.
    let secret = other.test.token("vic", Role::Viewer, Some(&other.project)).await.unwrap();
    let principal = perennial_kernel::access::authenticate(&other.test.app.kernel, &secret).await.unwrap();
    let caller = perennial_kernel::Caller::new(test.test.app.kernel.clone(), principal);
    let (project, load) = (&test.project, test.loads("flown").await.remove(0).id);
    let codes = [
        code(datasets::list(&caller, project).await),
        code(datasets::get(&caller, project, &flown).await),
        code(datasets::versions(&caller, project, &flown, None, 1).await),
        code(datasets::loads(&caller, project, &flown, None, 1).await),
        code(datasets::load(&caller, project, load).await),
        code(datasets::checks(&caller, project, &flown, 1).await),
        code(datasets::profile(&caller, project, &flown, None).await),
        code(datasets::quarantine(&caller, project, &flown, None, 1).await),
        code(datasets::query(&caller, project, "SELECT n FROM flown".to_owned(), 1).await),
        code(datasets::names(&caller, project).await),
    ];
    assert!(
        codes.iter().all(|code| matches!(code, Some(ErrorCode::PermissionDenied | ErrorCode::NotFound))),
        "{codes:?}"
    );
}
