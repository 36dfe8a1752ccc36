//! What is read of releases and endpoints, and what a release says of loads that are held.

use perennial_core::ErrorCode;
use perennial_core::port::prediction::{Durability, TrafficRole};
use perennial_release::KeyColumn;
use perennial_release::endpoints::REQUEST_BYTES_MAX;
use perennial_release::{evidence, releases};
use perennial_testkit::{PROJECT_FILE, toml_text};

use crate::support::{count, evaluate, listed, release_next, released, with_canary};

#[tokio::test]
async fn a_release_states_the_loads_that_are_held_and_is_not_stopped_by_them() {
    let weather = "[datasets.weather]\nsource = { files = \"weather/*.csv\" }\nmode = \"append\"\n";
    let file = format!("{PROJECT_FILE}\n{weather}\n[checks.weather]\npositive = \"n > 0\"\n");
    let trained = released(&file, 0).await;
    trained.test.data.offer("weather/a.csv", "n\n-1\n");
    let message = release_next(&trained, 1).await;
    let (released, held) = message.split_once("; ").unwrap();
    assert_eq!((released, trained.answers()), ("version 1 answers at `delay`", Some(1)));
    assert!(held.contains("held") && held.contains("weather/a.csv"), "{held}");
}

#[tokio::test]
async fn releases_are_listed_newest_first_with_the_role_of_their_version() {
    let trained = released(&with_canary(), 2).await;
    let roles = async || {
        let all = releases::list(&trained.test.system(), &trained.project, 9).await.unwrap();
        all.iter().map(|listed| (listed.release.number, listed.role)).collect::<Vec<_>>()
    };
    trained.test.clock.advance(1);
    release_next(&trained, 3).await;
    assert_eq!(
        roles().await.into_iter().filter_map(|(number, role)| Some((number, role?))).collect::<Vec<_>>(),
        [(3, TrafficRole::Canary), (1, TrafficRole::Champion)]
    );
    assert_eq!(releases::list(&trained.test.system(), &trained.project, 1).await.unwrap().len(), 1);
    count(&trained, 4, 4);
    evaluate(&trained).await.unwrap();
    assert_eq!(
        roles().await.into_iter().filter_map(|(number, role)| Some((number, role?))).collect::<Vec<_>>(),
        [(1, TrafficRole::Champion)]
    );
}

#[tokio::test]
async fn decisions_and_promotions_are_read_page_by_page() {
    let trained = released(PROJECT_FILE, 3).await;
    let (caller, project) = (trained.test.system(), &trained.project);
    let (mut decided, mut promoted, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = releases::list_decisions(&caller, project, after.as_deref(), 2).await.unwrap();
        decided.extend(page.items.iter().map(|decision| decision.number));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    loop {
        let page = releases::list_promotions(&caller, project, after.as_deref(), 2).await.unwrap();
        promoted.extend(page.items.iter().filter_map(|promotion| promotion.to_number));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!((decided, promoted), (vec![3, 2, 1], vec![3, 2, 1]), "newest first");
}

#[tokio::test]
async fn decisions_and_evidence_of_another_project_are_not_found() {
    let trained = released(PROJECT_FILE, 1).await;
    let caller = trained.test.system();
    let decision = listed(&trained).await.remove(0).decision.unwrap();
    let found = releases::decision(&caller, &trained.project, decision.id).await.unwrap();
    assert_eq!(found, decision);
    evidence::get(&caller, &trained.project, decision.evidence_id).await.unwrap();
    trained.test.write_file(&PROJECT_FILE.replace("name = \"flights\"", "name = \"other\"")).unwrap();
    let (other, _) = trained.test.app.projects.submit(&caller).await.unwrap();
    let errors = [
        releases::decision(&caller, &other, decision.id).await.err(),
        releases::evidence(&caller, &other, decision.evidence_id).await.err(),
        evidence::get(&caller, &other, decision.evidence_id).await.err(),
        releases::get(&caller, &other, &decision.release_digest).await.err(),
        evidence::plot(&caller, &trained.project, decision.evidence_id, "absent").await.err(),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        assert_eq!(error.map(|error| error.code()), Some(ErrorCode::NotFound), "call {index}");
    }
}

#[tokio::test]
async fn an_endpoint_follows_the_declared_limit_and_durability() {
    let trained = released(PROJECT_FILE, 1).await;
    let settings = || {
        let deployment = trained.test.app.endpoints.router.find("delay").unwrap();
        (deployment.body_bytes_max, deployment.durability, deployment.key.clone())
    };
    let key = vec![KeyColumn { name: "flight_id".to_owned(), time: None }];
    assert_eq!(settings(), (REQUEST_BYTES_MAX.min(settings().0), Durability::Batched, key.clone()));
    let file = toml_text::set(PROJECT_FILE, "endpoints.delay.max_body", "\"2 kB\"");
    trained.test.submit(&toml_text::set(&file, "endpoints.delay.log", "\"recorded\"")).await.unwrap();
    assert_eq!(settings(), (2_000, Durability::Synced, key));
}
