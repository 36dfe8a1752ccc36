//! Canaries: a share of the requests, for a time, until they are promoted, rolled back or replaced.

use perennial_core::blob::BlobDigest;
use perennial_core::entity::PromotionKind;
use perennial_core::frame::{Column, Frame};
use perennial_core::port::prediction::TrafficRole::{Canary, Champion, Fallback};
use perennial_core::state::CanaryState;
use perennial_execution::pipeline_runs::PipelineKind;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, by_person, by_trigger, toml_text};

use crate::support::{
    DAY_MS, HOUR_MS, alias, ask, ask_many, canary, count, endpoint, evaluate, promotions, release_again, release_next,
    released, routes, row, with_canary,
};

#[tokio::test]
async fn the_first_version_answers_without_a_canary() {
    let trained = released(&with_canary(), 1).await;
    assert_eq!(routes(&trained, "delay"), [(Champion, 1)]);
}

#[tokio::test]
async fn a_later_version_starts_as_canary_with_its_declared_share() {
    let trained = released(&with_canary(), 1).await;
    let message = release_next(&trained, 2).await;
    assert_eq!(message, "version 2 is the canary at `delay`, 50 % for 3 days");
    assert_eq!(routes(&trained, "delay"), [(Champion, 1), (Canary, 2)]);
    let deployment = trained.test.app.endpoints.router.find("delay").unwrap();
    assert_eq!(deployment.routes.iter().map(|route| route.share).collect::<Vec<_>>(), [0.5, 0.5]);
    assert_eq!(alias(&trained).await, Some(1), "the alias does not move yet");
}

#[tokio::test]
async fn both_versions_answer_and_a_key_is_answered_by_one_of_them() {
    let trained = released(&with_canary(), 2).await;
    let first = ask_many(&trained).await;
    assert_eq!(first.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(ask_many(&trained).await, first);
    for _ in 0..5 {
        let (one, two) = (ask(&trained, row("7"), None).await.unwrap(), ask(&trained, row("7"), None).await.unwrap());
        assert_eq!((one.version, one.role), (two.version, two.role));
    }
}

#[tokio::test]
async fn a_request_may_name_the_version_that_answers() {
    let trained = released(&with_canary(), 2).await;
    for (version, role) in [(1, Champion), (2, Canary)] {
        for key in ["1", "2", "3"] {
            let answer = ask(&trained, row(key), Some(version)).await.unwrap();
            assert_eq!((answer.version, answer.role), (version, role));
        }
    }
    let error = ask(&trained, row("1"), Some(3)).await.map(|answer| answer.version).unwrap_err();
    assert_eq!(error.code(), perennial_core::ErrorCode::NotFound);
}

#[tokio::test]
async fn a_canary_is_promoted_after_its_duration_and_its_requests() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 4, 0);
    trained.test.clock.advance(3 * DAY_MS - 1);
    assert_eq!(evaluate(&trained).await, None, "it has not lasted");
    trained.test.clock.advance(1);
    let expected = "version 2 answers at `delay`: its canary has ended after 4 requests";
    assert_eq!(evaluate(&trained).await, Some((expected.to_owned(), false)));
    assert_eq!((routes(&trained, "delay"), alias(&trained).await), (vec![(Champion, 2)], Some(2)));
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!((last.kind, last.from_number, last.to_number), (PromotionKind::Promotion, Some(1), Some(2)));
    assert!(last.decision_id.is_some() && last.release_digest.is_some(), "with the decision that allowed it");
}

#[tokio::test]
async fn a_canary_with_too_few_requests_waits_for_them() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 3, 0);
    trained.test.clock.advance(4 * DAY_MS);
    assert_eq!(evaluate(&trained).await, None);
    assert_eq!(endpoint(&trained, "delay").await.canary_state, Some(CanaryState::Waiting));
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    let state = trained.test.app.endpoints.get(&caller, &trained.project, &name).await.unwrap();
    assert_eq!(state.waits_for.as_deref(), Some("3 of 4 requests answered"));
    count(&trained, 1, 0);
    assert!(evaluate(&trained).await.is_some());
    assert_eq!(trained.answers(), Some(2));
}

#[tokio::test]
async fn what_a_canary_waits_for_is_stated() {
    let trained = released(&with_canary(), 2).await;
    let waits_for = async || {
        let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
        trained.test.app.endpoints.get(&caller, &trained.project, &name).await.unwrap().waits_for
    };
    assert_eq!(waits_for().await.as_deref(), Some("0 of 4 requests answered"));
    count(&trained, 4, 0);
    assert_eq!(waits_for().await.as_deref(), Some("the end of its 3 days"));
    trained.test.clock.advance(3 * DAY_MS);
    assert_eq!(waits_for().await, None, "the next evaluation decides");
}

#[tokio::test]
async fn a_canary_is_rolled_back_when_its_rule_holds_before_its_duration_is_over() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 2, 2);
    let expected = "version 2 was rolled back at `delay`: its rollback rule holds";
    assert_eq!(evaluate(&trained).await, Some((expected.to_owned(), true)), "a person should know");
    assert_eq!((routes(&trained, "delay"), alias(&trained).await), (vec![(Champion, 1)], Some(1)));
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!((last.kind, last.from_number, last.to_number), (PromotionKind::Rollback, Some(2), None));
    assert_eq!(endpoint(&trained, "delay").await.canary_state, Some(CanaryState::RolledBack));
}

#[tokio::test]
async fn a_canary_that_was_rolled_back_is_released_again_when_a_person_names_it() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 2, 2);
    evaluate(&trained).await.unwrap();
    for cause in [by_trigger(), by_person()] {
        let refused = trained.release(cause).await;
        assert!(refused.starts_with("version 2 was rolled back at `delay` by its rollback rule; "), "{refused}");
        assert_eq!(routes(&trained, "delay"), [(Champion, 1)]);
    }
    let message = release_again(&trained, "the client was at fault").await;
    assert!(message.starts_with("version 2 is the canary at `delay`"), "{message}");
}

#[tokio::test]
async fn a_rule_whose_facts_are_missing_keeps_the_canary_waiting() {
    let file = canary("share = 0.5, for = \"1 hour\", min_requests = 1, rollback = \"champion.error_rate > 0.5\"");
    let trained = released(&file, 2).await;
    count(&trained, 1, 0);
    trained.test.clock.advance(2 * HOUR_MS);
    assert_eq!(evaluate(&trained).await, None);
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    let state = trained.test.app.endpoints.get(&caller, &trained.project, &name).await.unwrap();
    let waits_for = state.waits_for.unwrap();
    assert!(waits_for.starts_with("its rollback rule needs champion.error_rate"), "{waits_for}");
    let deployment = trained.test.app.endpoints.router.find("delay").unwrap();
    deployment.champion().stats.record(1_000, false);
    drop(deployment);
    assert!(evaluate(&trained).await.is_some());
    assert_eq!(trained.answers(), Some(2));
}

#[tokio::test]
async fn a_canary_without_a_rule_is_never_rolled_back_by_itself() {
    let trained = released(&canary("share = 0.5, for = \"1 hour\", min_requests = 1"), 2).await;
    count(&trained, 10, 10);
    assert_eq!(evaluate(&trained).await, None);
    trained.test.clock.advance(HOUR_MS);
    assert!(evaluate(&trained).await.is_some());
    assert_eq!(trained.answers(), Some(2));
}

#[tokio::test]
async fn a_rollback_ends_the_canary_and_the_champion_stays() {
    let trained = released(&with_canary(), 2).await;
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    let message = trained.test.app.endpoints.rollback(&caller, &trained.project, &name, None).await.unwrap();
    assert_eq!(message, "the canary of version 2 at `delay` is over; version 1 answers alone");
    assert_eq!((routes(&trained, "delay"), alias(&trained).await), (vec![(Champion, 1)], Some(1)));
    assert_eq!(evaluate(&trained).await, None, "nothing is evaluated any more");
}

#[tokio::test]
async fn a_newer_candidate_takes_the_place_of_the_canary() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 4, 0);
    let message = release_next(&trained, 3).await;
    let expected = "version 3 is the canary at `delay`, 50 % for 3 days in place of the canary of version 2";
    assert_eq!(message, expected);
    assert_eq!(routes(&trained, "delay"), [(Champion, 1), (Canary, 3)]);
    trained.test.clock.advance(3 * DAY_MS);
    assert_eq!(evaluate(&trained).await, None, "it has answered nothing itself");
}

#[tokio::test]
async fn the_same_candidate_leaves_its_canary_as_it_is() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 3, 0);
    let started = endpoint(&trained, "delay").await.canary_started_ms;
    trained.test.clock.advance(HOUR_MS);
    trained.release(by_person()).await;
    assert_eq!(endpoint(&trained, "delay").await.canary_started_ms, started);
    count(&trained, 1, 0);
    trained.test.clock.advance(3 * DAY_MS - HOUR_MS);
    assert!(evaluate(&trained).await.is_some(), "its requests still count");
}

#[tokio::test]
async fn a_release_of_the_canary_with_another_configuration_starts_a_canary_of_its_own() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 3, 0);
    let first = endpoint(&trained, "delay").await.canary_release_digest.unwrap();
    trained.test.submit(&canary("share = 0.2, for = \"1 hour\", min_requests = 2")).await.unwrap();
    let message = trained.release(by_person()).await;
    let expected = "version 2 is the canary at `delay`, 20 % for 1 hour in place of the canary of version 2";
    assert_eq!(message, expected);
    let second = endpoint(&trained, "delay").await.canary_release_digest.unwrap();
    assert_ne!(first, second);
    count(&trained, 2, 0);
    trained.test.clock.advance(HOUR_MS);
    evaluate(&trained).await.unwrap();
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!((last.kind, last.to_number), (PromotionKind::Promotion, Some(2)));
    assert_eq!(last.release_digest.as_ref(), Some(&second), "the promotion belongs to the release that allowed it");
    let details = async |digest: &str| {
        perennial_release::releases::get(&trained.test.system(), &trained.project, digest).await.unwrap()
    };
    assert_eq!(details(&second).await.promotions.len(), 2, "its canary and its promotion");
    assert_eq!(details(&first).await.promotions.len(), 1, "its canary");
}

#[tokio::test]
async fn a_canary_ends_when_the_project_file_declares_none_any_more() {
    let trained = released(&with_canary(), 2).await;
    trained.test.write_file(PROJECT_FILE).unwrap();
    trained.test.app.projects.submit(&trained.test.system()).await.unwrap();
    assert_eq!(routes(&trained, "delay"), [(Champion, 1), (Canary, 2)], "a submission changes nothing");
    trained.run(PipelineKind::Run, by_person()).await.1.unwrap();
    assert_eq!(routes(&trained, "delay"), [(Champion, 1), (Canary, 2)], "nor does a run");
    let message = trained.release(by_person()).await;
    let expected = "the canary of version 2 at `delay` is over: the project file declares none any more";
    assert!(message.starts_with(expected), "{message}");
    assert!(!routes(&trained, "delay").iter().any(|(role, _)| *role == Canary));
}

#[tokio::test]
async fn a_changed_duration_applies_to_the_canary_that_is_active() {
    let trained = released(&with_canary(), 2).await;
    count(&trained, 4, 0);
    trained.test.submit(&toml_text::set(&with_canary(), "endpoints.delay.canary.for", "\"1 hour\"")).await.unwrap();
    trained.test.clock.advance(HOUR_MS);
    assert!(evaluate(&trained).await.is_some());
    assert_eq!(trained.answers(), Some(2));
}

#[tokio::test]
async fn a_request_that_lacks_an_input_of_both_versions_is_refused_and_counts_for_neither() {
    let trained = released(&with_canary(), 2).await;
    for key in 0..10 {
        let mut lacking = Frame::new();
        for (name, column) in row(&key.to_string()).into_columns().filter(|(name, _)| name != "distance") {
            lacking.push(name, column);
        }
        let error = ask(&trained, lacking, None).await.map(|answer| answer.version).unwrap_err();
        assert_eq!(error.message(), "input `distance` is missing");
    }
    let deployment = trained.test.app.endpoints.router.find("delay").unwrap();
    for route in deployment.routes.iter() {
        assert_eq!((route.version.stats.requests(), route.version.stats.fallbacks()), (0, 0));
    }
}

#[tokio::test]
async fn the_champion_answers_a_request_that_lacks_an_input_of_the_canary_alone() {
    let test = TestApp::start().await.unwrap();
    let project = test.submit(PROJECT_FILE).await.unwrap();
    test.deploy(&project, "delay", &TestModel::regression(0.0)).await.unwrap();
    let (champion, canary) = {
        let current = test.app.endpoints.router.find("delay").unwrap();
        (
            perennial_release::Deployment::clone(&current),
            test.register(&project, &TestModel::binary(0.0)).await.unwrap(),
        )
    };
    let version = perennial_release::LoadedVersion {
        number: canary.number,
        model: perennial_release::decisions::load_version(&test.app.kernel, &canary).await.unwrap(),
        stats: std::sync::Arc::default(),
    };
    let route = perennial_release::Route { version, role: Canary, share: 1.0 };
    let routes = perennial_release::Routes::with_shares(champion.champion().clone(), vec![route], "all".to_owned());
    let deployment = perennial_release::Deployment { routes, ..champion };
    test.app.endpoints.router.replace(deployment).await;
    let mut inputs = Frame::new();
    inputs.push("x", Column::Number(vec![1.0]));
    let current = test.app.endpoints.router.find("delay").unwrap();
    let request = perennial_release::endpoints::Request {
        id: perennial_core::id::RequestId::generate(),
        inputs,
        version: None,
        extra: perennial_release::endpoints::Extra::Refuse,
        began: std::time::Instant::now(),
    };
    let answer = test.app.endpoints.answer(&current, request).await.unwrap();
    assert_eq!((answer.version, answer.role), (1, Fallback));
    let stats = &current.routes.canary().unwrap().version.stats;
    assert_eq!((stats.fallbacks(), stats.requests(), current.champion().stats.requests()), (1, 0, 1));
}

#[tokio::test]
async fn a_promotion_of_a_canary_moves_every_endpoint_of_the_alias() {
    let file = with_canary().replace("[monitors.delay]", "[endpoints.early]\n\n[monitors.delay]");
    let trained = released(&file, 2).await;
    assert_eq!(routes(&trained, "early"), [(Champion, 1)], "only the endpoint with a canary tries the version");
    count(&trained, 4, 0);
    trained.test.clock.advance(3 * DAY_MS);
    evaluate(&trained).await.unwrap();
    assert_eq!((routes(&trained, "delay"), routes(&trained, "early")), (vec![(Champion, 2)], vec![(Champion, 2)]));
}

#[tokio::test]
async fn the_champion_answers_while_its_canary_cannot_be_loaded() {
    let trained = released(&with_canary(), 2).await;
    let (onnx, blobs) = (TestModel::binary(2.0).onnx, &trained.test.app.kernel.services.blobs);
    blobs.delete(BlobDigest::of(&onnx)).await.unwrap();
    let restarted = TestApp::beside(&trained.test).await.unwrap();
    let endpoints = &restarted.app.endpoints;
    endpoints.open_all().await.unwrap();
    let project = restarted.app.projects.get(trained.project.id).await.unwrap();
    let (caller, name) = (restarted.system(), "delay".parse().unwrap());
    let routes = || {
        let deployment = endpoints.router.find("delay").unwrap();
        deployment.routes.iter().map(|route| (route.role, route.version.number)).collect::<Vec<_>>()
    };
    assert_eq!((routes(), endpoints.unready()), (vec![(Champion, 1)], 0));
    let state = endpoints.get(&caller, &project, &name).await.unwrap();
    let fault = state.fault.unwrap().message;
    assert!(fault.starts_with("the canary, version 2, does not answer: "), "{fault}");
    blobs.put_bytes(onnx).await.unwrap();
    endpoints.catch_up(&project, &[state.endpoint]).await;
    assert_eq!(routes(), [(Champion, 1), (Canary, 2)]);
    assert_eq!(endpoints.get(&caller, &project, &name).await.unwrap().fault, None);
}

#[tokio::test]
async fn a_restarted_server_continues_the_canary() {
    let trained = released(&with_canary(), 2).await;
    let restarted = TestApp::beside(&trained.test).await.unwrap();
    restarted.app.endpoints.open_all().await.unwrap();
    let deployment = restarted.app.endpoints.router.find("delay").unwrap();
    let found: Vec<_> = deployment.routes.iter().map(|route| (route.role, route.version.number)).collect();
    assert_eq!(found, [(Champion, 1), (Canary, 2)]);
    let before = trained.test.app.endpoints.router.find("delay").unwrap();
    for key in 0..40 {
        let key = key.to_string();
        assert_eq!(deployment.routes.choose(&key).role, before.routes.choose(&key).role, "key {key}");
    }
}
