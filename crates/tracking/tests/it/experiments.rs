//! Experiments.

use perennial_core::ErrorCode;
use perennial_core::id::ExperimentId;
use perennial_core::permission::Role;
use perennial_core::state::Lifecycle;
use perennial_kernel::Caller;
use perennial_tracking::experiments::{self, PROJECT_TAG, Search};
use perennial_tracking::{limits, runs};

use crate::support::{Tracking, experiment_id, param, params, refused, tag};

async fn create(tracking: &Tracking, name: &str) -> perennial_core::Result<experiments::Experiment> {
    experiments::create(&tracking.caller, name.to_owned(), None, Vec::new()).await
}

#[tokio::test]
async fn an_experiment_is_found_by_id_and_by_name_with_its_tags() {
    let tracking = Tracking::start().await;
    let tags = vec![tag("a", "1"), tag("b", "2")];
    let created = experiments::create(&tracking.caller, "two".to_owned(), None, tags.clone()).await.unwrap();
    let found = experiments::get(&tracking.caller, created.id).await.unwrap();
    assert_eq!((&found.experiment, &found.tags), (&created, &tags));
    assert_eq!(experiments::get_by_name(&tracking.caller, "two").await.unwrap(), found);
    assert_eq!(created.artifact_location, format!("mlflow-artifacts:/{}", created.id));
    refused(experiments::get_by_name(&tracking.caller, "three").await, ErrorCode::NotFound, "`three`");
    refused(experiments::get(&tracking.caller, experiment_id(99)).await, ErrorCode::NotFound, "99");
}

#[tokio::test]
async fn a_name_is_given_once_even_to_deleted_experiments() {
    let tracking = Tracking::start().await;
    assert_eq!(create(&tracking, "flights").await.unwrap_err().code(), ErrorCode::AlreadyExists);
    experiments::delete(&tracking.caller, tracking.experiment).await.unwrap();
    assert_eq!(create(&tracking, "flights").await.unwrap_err().code(), ErrorCode::AlreadyExists);
    let other = create(&tracking, "other").await.unwrap();
    let renamed = experiments::rename(&tracking.caller, other.id, "flights".to_owned()).await;
    assert_eq!(renamed.unwrap_err().code(), ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn names_locations_and_tags_are_validated() {
    let tracking = Tracking::start().await;
    let too_long = "n".repeat(limits::EXPERIMENT_NAME_CHARS_MAX + 1);
    refused(create(&tracking, "").await, ErrorCode::InvalidArgument, "expected a name");
    refused(create(&tracking, &too_long).await, ErrorCode::InvalidArgument, "'name' exceeds the maximum length of 500");
    for (location, words) in [
        ("runs:/1/model".to_owned(), "`runs:`"),
        ("s3://bucket/a#b".to_owned(), "a fragment"),
        ("s3://bucket/../x".to_owned(), "`..`"),
        ("a\nb".to_owned(), "control character"),
        ("x".repeat(limits::LOCATION_CHARS_MAX + 1), "'artifact_location' exceeds"),
    ] {
        let result = experiments::create(&tracking.caller, "two".to_owned(), Some(location), Vec::new()).await;
        refused(result, ErrorCode::InvalidArgument, words);
    }
    let long = "v".repeat(limits::EXPERIMENT_TAG_CHARS_MAX + 1);
    let tagged = experiments::set_tag(&tracking.caller, tracking.experiment, tag("k", &long)).await;
    refused(tagged, ErrorCode::InvalidArgument, "'value' exceeds the maximum length of 20000");
    let tagged = experiments::set_tag(&tracking.caller, tracking.experiment, tag("a!", "1")).await;
    refused(tagged, ErrorCode::InvalidArgument, "expected letters");
}

#[tokio::test]
async fn deleting_an_experiment_deletes_its_runs_and_restoring_restores_them() {
    let tracking = Tracking::start().await;
    let id = tracking.begin("one").await;
    experiments::delete(&tracking.caller, tracking.experiment).await.unwrap();
    assert_eq!(runs::get(&tracking.caller, id).await.unwrap().0.lifecycle, Lifecycle::Deleted);
    refused(tracking.log(id, params(vec![param("p", "1")])).await, ErrorCode::InvalidArgument, "deleted");
    experiments::restore(&tracking.caller, tracking.experiment).await.unwrap();
    tracking.log(id, params(vec![param("p", "1")])).await.unwrap();
}

#[tokio::test]
async fn an_experiment_is_deleted_once_and_restored_once() {
    let tracking = Tracking::start().await;
    let (caller, id) = (&tracking.caller, tracking.experiment);
    refused(experiments::restore(caller, id).await, ErrorCode::NotFound, "deleted experiment");
    experiments::delete(caller, id).await.unwrap();
    refused(experiments::delete(caller, id).await, ErrorCode::NotFound, "active experiment");
}

#[tokio::test]
async fn a_deleted_experiment_is_read_but_not_written() {
    let tracking = Tracking::start().await;
    let (caller, id) = (&tracking.caller, tracking.experiment);
    experiments::set_tag(caller, id, tag("k", "1")).await.unwrap();
    experiments::delete(caller, id).await.unwrap();
    let is_deleted = |result: perennial_core::Result<()>| refused(result, ErrorCode::WrongState, "is deleted");
    is_deleted(experiments::rename(caller, id, "two".to_owned()).await);
    is_deleted(experiments::set_tag(caller, id, tag("k", "2")).await);
    is_deleted(experiments::delete_tag(caller, id, "k".to_owned()).await);
    assert_eq!(experiments::get(caller, id).await.unwrap().tags, [tag("k", "1")]);
}

#[tokio::test]
async fn a_tag_of_an_experiment_is_replaced_and_deleted() {
    let tracking = Tracking::start().await;
    let (caller, id) = (&tracking.caller, tracking.experiment);
    for value in ["1", "2"] {
        experiments::set_tag(caller, id, tag("k", value)).await.unwrap();
    }
    assert_eq!(experiments::get(caller, id).await.unwrap().tags, [tag("k", "2")]);
    experiments::delete_tag(caller, id, "k".to_owned()).await.unwrap();
    refused(experiments::delete_tag(caller, id, "k".to_owned()).await, ErrorCode::NotFound, "`k`");
}

#[tokio::test]
async fn the_project_of_a_new_experiment_is_named_by_a_tag_or_the_only_writable_one() {
    let tracking = Tracking::start().await;
    let (project, sales) = tracking.other_project().await;
    let found = experiments::get(&tracking.caller, sales).await.unwrap();
    assert_eq!(found.experiment.project_id, project, "named by the tag");
    let own = tracking.person("ann", Role::Contributor, project).await;
    let created = experiments::create(&own, "hers".to_owned(), None, Vec::new()).await.unwrap();
    assert_eq!(created.project_id, project, "the only writable project");
    let viewer = tracking.person("eve", Role::Viewer, project).await;
    let result = experiments::create(&viewer, "his".to_owned(), None, Vec::new()).await;
    refused(result, ErrorCode::PermissionDenied, "`eve` may write no project");
    let hidden = experiments::create(&own, "x".to_owned(), None, vec![tag(PROJECT_TAG, "default")]).await;
    refused(hidden, ErrorCode::NotFound, "project");
}

#[tokio::test]
async fn an_experiment_is_found_by_name_in_the_callers_own_project_first() {
    let tracking = Tracking::start().await;
    let (shops, _) = tracking.other_project().await;
    let of_default = create(&tracking, "sales").await.unwrap();
    let ann = tracking.person("ann", Role::Contributor, shops).await;
    let find = async |caller: &Caller, name: &str| experiments::get_by_name(caller, name).await;
    assert_eq!(find(&tracking.caller, "sales").await.unwrap().experiment, of_default, "`default` is the own project");
    assert_eq!(find(&ann, "sales").await.unwrap().experiment.project_id, shops, "the only project she may write");
    assert_eq!(find(&tracking.caller, "shops").await.unwrap().experiment.project_id, shops, "the only one");
    // A viewer of both has no project of its own.
    let mut viewer = tracking.test.caller("eve", Role::Viewer).await.unwrap();
    refused(find(&viewer, "sales").await, ErrorCode::InvalidArgument, "several projects have an experiment");
    viewer.principal.grants = viewer.principal.grants.limited_to(shops);
    assert_eq!(find(&viewer, "sales").await.unwrap().experiment.project_id, shops, "by a token of the project");
}

#[tokio::test]
async fn a_name_is_taken_in_its_own_project_only() {
    let tracking = Tracking::start().await;
    let (shops, _) = tracking.other_project().await;
    let ann = tracking.person("ann", Role::Contributor, shops).await;
    refused(experiments::get_by_name(&ann, "flights").await, ErrorCode::NotFound, "`flights`");
    let created = experiments::create(&ann, "flights".to_owned(), None, Vec::new()).await.unwrap();
    assert_eq!(created.project_id, shops);
    assert_eq!(experiments::get_by_name(&ann, "flights").await.unwrap().experiment, created);
    let again = experiments::create(&ann, "flights".to_owned(), None, Vec::new()).await;
    refused(again, ErrorCode::AlreadyExists, "experiment `flights` already exists");
    let other = experiments::create(&ann, "other".to_owned(), None, Vec::new()).await.unwrap();
    refused(experiments::rename(&ann, other.id, "sales".to_owned()).await, ErrorCode::AlreadyExists, "`sales`");
    experiments::rename(&ann, other.id, "Default".to_owned()).await.unwrap();
}

fn names(page: &[experiments::Tagged]) -> Vec<&str> {
    page.iter().map(|tagged| tagged.experiment.name.as_str()).collect()
}

#[tokio::test]
async fn a_search_filters_by_name_and_tag_and_orders() {
    let tracking = Tracking::start().await;
    for name in ["alpha", "beta", "gamma"] {
        let id = create(&tracking, name).await.unwrap().id;
        experiments::set_tag(&tracking.caller, id, tag("letter", &name[..1])).await.unwrap();
    }
    for (filter, order, expected) in [
        ("name LIKE '%a' AND name != 'gamma'", "name ASC", vec!["alpha", "beta"]),
        ("tags.letter = 'g'", "name ASC", vec!["gamma"]),
        ("tags.letter != 'g'", "name DESC", vec!["beta", "alpha"]),
        ("name ILIKE 'B%'", "", vec!["beta"]),
        ("last_update_time > 0 AND name LIKE '%m%'", "experiment_id ASC", vec!["gamma"]),
    ] {
        let order = if order.is_empty() { Vec::new() } else { vec![order.to_owned()] };
        let search = Search { filter: filter.to_owned(), order, limit: 10, ..Search::default() };
        let found = experiments::search(&tracking.caller, search).await.unwrap();
        assert_eq!((names(&found.items), found.next), (expected, None), "{filter}");
    }
}

#[tokio::test]
async fn pages_of_a_search_follow_each_other_newest_first() {
    let tracking = Tracking::start().await;
    for name in ["b", "c", "d", "e"] {
        tracking.test.clock.advance(1);
        create(&tracking, name).await.unwrap();
    }
    let page = async |after: Option<String>| {
        let search = Search { filter: "name != 'Default'".to_owned(), after, limit: 2, ..Search::default() };
        experiments::search(&tracking.caller, search).await
    };
    let first = page(None).await.unwrap();
    let second = page(first.next.clone()).await.unwrap();
    let third = page(second.next.clone()).await.unwrap();
    let found = [names(&first.items), names(&second.items), names(&third.items)].concat();
    assert_eq!((found, third.next), (vec!["e", "d", "c", "b", "flights"], None));
    refused(page(Some("x".to_owned())).await, ErrorCode::InvalidArgument, "page token of this search");
}

#[tokio::test]
async fn lists_contain_readable_experiments_of_the_lifecycle() {
    let tracking = Tracking::start().await;
    let (project, sales) = tracking.other_project().await;
    experiments::delete(&tracking.caller, tracking.experiment).await.unwrap();
    let viewer = tracking.person("eve", Role::Viewer, project).await;
    let ids = async |caller, lifecycle| -> Vec<ExperimentId> {
        experiments::list(caller, lifecycle).await.unwrap().iter().map(|tagged| tagged.experiment.id).collect()
    };
    assert_eq!(ids(&tracking.caller, Some(Lifecycle::Deleted)).await, [tracking.experiment]);
    assert!(!ids(&tracking.caller, Some(Lifecycle::Active)).await.contains(&tracking.experiment));
    assert!(ids(&tracking.caller, None).await.contains(&tracking.experiment));
    let readable = ids(&viewer, None).await;
    assert!(readable.contains(&sales) && !readable.contains(&tracking.experiment), "{readable:?}");
}
