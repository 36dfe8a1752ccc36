//! Promotions and rollbacks: the alias, the endpoints that follow it, their records, and crashes in between.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use perennial_core::ErrorCode;
use perennial_core::cause::Cause;
use perennial_core::entity::{NewCanary, PromotionKind};
use perennial_core::permission::Role;
use perennial_core::port::prediction::TrafficRole::Champion;
use perennial_core::state::CanaryEvent;
use perennial_execution::pipeline_runs::PipelineKind;
use perennial_execution::pipelines::{self, PipelineOptions};
use perennial_projects::ProjectState;
use perennial_release::{models, releases};
use perennial_store::endpoints;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, TrainedProject, by_person};

use crate::support::{DAY_MS, alias, endpoint, entries, listed, promotions, refused, release_next, released, routes};

/// [`PROJECT_FILE`] with a second endpoint of the same model.
fn with_two_endpoints() -> String {
    PROJECT_FILE.replace("[monitors.delay]", "[endpoints.early]\n\n[monitors.delay]")
}

/// The output of a future, unless it is pending more often than `polls` times: then it is dropped there.
async fn interrupted<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let (mut future, mut left) = (pin!(future), polls);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

async fn roll_back(trained: &TrainedProject) -> perennial_core::Result<String> {
    let (caller, name) = (trained.test.system(), "delay".parse().unwrap());
    trained.test.app.endpoints.rollback(&caller, &trained.project, &name, None).await
}

#[tokio::test]
async fn a_promotion_is_recorded_with_its_versions_decision_release_and_cause() {
    let trained = released(PROJECT_FILE, 2).await;
    let all = promotions(&trained).await;
    let versions = all.iter().map(|promotion| (promotion.from_number, promotion.to_number));
    assert_eq!(versions.collect::<Vec<_>>(), [(None, Some(1)), (Some(1), Some(2))]);
    for (promotion, listed) in all.iter().zip(listed(&trained).await) {
        assert_eq!(promotion.kind, PromotionKind::Promotion);
        assert_eq!(promotion.release_digest, Some(listed.release.digest));
        assert_eq!(promotion.decision_id, listed.decision.map(|decision| decision.id));
        assert_eq!((promotion.alias.as_str(), &promotion.cause), ("champion", &by_person()));
    }
    let recorded = entries(&trained, "promotion").await;
    let subjects = recorded.iter().map(|entry| (entry.subject.clone(), entry.verb.clone()));
    let expected = all.iter().map(|promotion| (promotion.id.to_string(), "promotion".to_owned()));
    assert_eq!(subjects.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn every_endpoint_of_the_alias_is_promoted_with_a_record_of_its_own() {
    let trained = released(&with_two_endpoints(), 0).await;
    assert_eq!(release_next(&trained, 1).await, "version 1 answers at `delay`, `early`");
    assert_eq!(release_next(&trained, 2).await, "version 2 answers at `delay`, `early`");
    assert_eq!((routes(&trained, "delay"), routes(&trained, "early")), (vec![(Champion, 2)], vec![(Champion, 2)]));
    let all = promotions(&trained).await;
    let mut names: Vec<String> = all.iter().map(|promotion| promotion.endpoint.as_ref().unwrap().to_string()).collect();
    names.sort();
    assert_eq!(names, ["delay", "delay", "early", "early"]);
}

#[tokio::test]
async fn an_endpoint_that_is_declared_later_answers_from_the_champion() {
    let trained = released(PROJECT_FILE, 1).await;
    trained.test.submit(&with_two_endpoints()).await.unwrap();
    assert_eq!(routes(&trained, "early"), [], "a submission changes nothing");
    let message = trained.release(by_person()).await;
    assert_eq!(message, "version 1 answers at `early`, which is new");
    assert_eq!(routes(&trained, "early"), [(Champion, 1)]);
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!(last.cause, Cause::Declared { endpoint: "early".parse().unwrap() });
    assert_eq!(last.release_digest, promotions(&trained).await[0].release_digest, "the release of the champion");
}

#[tokio::test]
async fn a_rollback_puts_the_champion_before_back() {
    let trained = released(PROJECT_FILE, 2).await;
    assert_eq!(roll_back(&trained).await.unwrap(), "version 1 answers at `delay` again, version 2 was rolled back");
    assert_eq!((trained.answers(), alias(&trained).await), (Some(1), Some(1)));
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!((last.kind, last.from_number, last.to_number), (PromotionKind::Rollback, Some(2), Some(1)));
    assert_eq!(last.decision_id, None, "a rollback needs no decision");
    let refusals = entries(&trained, "release").await.into_iter().filter(|entry| entry.verb == "refuse");
    let refused: Vec<String> = refusals.map(|entry| entry.subject).collect();
    assert_eq!(refused, [listed(&trained).await[1].release.digest.clone()]);
}

#[tokio::test]
async fn a_rollback_takes_every_endpoint_of_the_alias_back() {
    let trained = released(&with_two_endpoints(), 2).await;
    roll_back(&trained).await.unwrap();
    assert_eq!((routes(&trained, "delay"), routes(&trained, "early")), (vec![(Champion, 1)], vec![(Champion, 1)]));
}

#[tokio::test]
async fn rollbacks_go_back_to_the_first_version_and_no_further() {
    let trained = released(PROJECT_FILE, 3).await;
    for expected in [2, 1] {
        roll_back(&trained).await.unwrap();
        assert_eq!(trained.answers(), Some(expected));
    }
    let error = roll_back(&trained).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert_eq!(error.message(), "version 1 is the first that answered at `delay`: there is none before it");
    assert_eq!(trained.answers(), Some(1));
}

#[tokio::test]
async fn an_endpoint_without_a_champion_has_nothing_to_roll_back() {
    let trained = released(PROJECT_FILE, 1).await;
    let (file, _) = PROJECT_FILE.split_once("[endpoints.delay]").unwrap();
    trained.test.submit(file).await.unwrap();
    let error = roll_back(&trained).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert_eq!(error.message(), "nothing answers at `delay` yet: there is nothing to roll back");
}

#[tokio::test]
async fn a_rollback_needs_the_permission_to_approve() {
    let trained = released(PROJECT_FILE, 2).await;
    for (name, role, may) in
        [("vic", Role::Viewer, false), ("cam", Role::Contributor, false), ("ann", Role::Approver, true)]
    {
        let caller = trained.test.caller(name, role).await.unwrap();
        let endpoint = "delay".parse().unwrap();
        let result = trained.test.app.endpoints.rollback(&caller, &trained.project, &endpoint, None).await;
        assert_eq!(result.is_ok(), may, "{name}");
        assert_eq!(result.err().map(|error| error.code()), (!may).then_some(ErrorCode::PermissionDenied));
    }
    let last = promotions(&trained).await.pop().unwrap();
    assert_eq!((last.actor.as_str(), last.cause), ("ann", Cause::person("ann")));
}

#[tokio::test]
async fn declarations_are_applied_with_the_permission_to_approve_only() {
    let trained = released(PROJECT_FILE, 1).await;
    let submission = trained.project.submission().unwrap();
    for (name, role, may) in [("cam", Role::Contributor, false), ("ann", Role::Approver, true)] {
        let caller = trained.test.caller(name, role).await.unwrap();
        let applied = trained.test.app.endpoints.apply_declarations(&caller, &trained.project, &submission).await;
        assert_eq!(applied.is_ok(), may, "{name}");
    }
}

#[tokio::test]
async fn reading_needs_a_role_on_the_project() {
    let trained = released(PROJECT_FILE, 1).await;
    trained.test.write_file(&PROJECT_FILE.replace("name = \"flights\"", "name = \"other\"")).unwrap();
    let (other, _) = trained.test.app.projects.submit(&trained.test.system()).await.unwrap();
    let token = trained.test.token("eve", Role::Admin, Some(&other)).await.unwrap();
    let kernel = trained.test.app.kernel.clone();
    let principal = perennial_kernel::access::authenticate(&kernel, &token).await.unwrap();
    let caller = perennial_kernel::Caller::new(kernel, principal);
    let (project, name) = (&trained.project, "delay".parse().unwrap());
    let digest = listed(&trained).await.remove(0).release.digest;
    let endpoints = &trained.test.app.endpoints;
    let errors = [
        releases::list(&caller, project, 9).await.err(),
        releases::get(&caller, project, &digest).await.err(),
        releases::list_decisions(&caller, project, None, 9).await.err(),
        releases::list_promotions(&caller, project, None, 9).await.err(),
        perennial_release::approvals::approve(&caller, project, &digest, None, None).await.err(),
        models::list(&caller, project).await.err(),
        models::version(&caller, project, "flights", 1).await.err(),
        endpoints.list(&caller, project).await.err(),
        endpoints.get(&caller, project, &name).await.err(),
        endpoints.rollback(&caller, project, &name, None).await.err(),
    ];
    for (index, error) in errors.into_iter().enumerate() {
        let code = error.map(|error| error.code());
        let is_hidden = matches!(code, Some(ErrorCode::NotFound | ErrorCode::PermissionDenied));
        assert!(is_hidden, "call {index}: {code:?}");
    }
    assert_eq!(trained.answers(), Some(1));
}

#[tokio::test]
async fn two_releases_at_once_run_one_after_the_other() {
    let trained = Arc::new(released(PROJECT_FILE, 1).await);
    trained.renew(2, TestModel::binary(2.0)).await;
    let release = || {
        let trained = trained.clone();
        tokio::spawn(async move { trained.run(PipelineKind::Release, by_person()).await })
    };
    let (first, second) = tokio::join!(release(), release());
    let mut messages = [first, second].map(|ended| ended.unwrap().1.unwrap().message.unwrap());
    messages.sort();
    assert_eq!(messages, ["the candidate is version 2, the champion already", "version 2 answers at `delay`"]);
    assert_eq!(promotions(&trained).await.len(), 2);
}

#[tokio::test]
async fn a_candidate_that_was_compared_with_an_earlier_champion_is_not_released() {
    let trained = Arc::new(released(PROJECT_FILE, 1).await);
    trained.renew(2, TestModel::binary(2.0)).await;
    let (reads, over) = (Arc::new(AtomicUsize::new(0)), Arc::downgrade(&trained));
    trained.test.data.before_frame(move |sql| {
        // The trainer reads the rows first, then the evaluation: another version is deployed meanwhile.
        let is_evaluation = sql.starts_with("SELECT *") && reads.fetch_add(1, Ordering::AcqRel) == 1;
        let trained = over.upgrade().filter(|_| is_evaluation);
        Box::pin(async move {
            if let Some(trained) = trained {
                trained.test.deploy(&trained.project, "delay", &TestModel::binary(9.0)).await.unwrap();
            }
        })
    });
    let error = refused(&trained).await;
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert_eq!(error.message(), "the champion has changed since the candidate was evaluated");
    assert_eq!(trained.answers(), Some(2), "the version that was deployed meanwhile");
}

#[tokio::test]
async fn projects_have_endpoints_of_the_same_name() {
    let trained = released(PROJECT_FILE, 1).await;
    trained.test.write_file(&PROJECT_FILE.replace("name = \"flights\"", "name = \"other\"")).unwrap();
    let (other, _) = trained.test.app.projects.submit(&trained.test.system()).await.unwrap();
    trained.test.deploy(&other, "delay", &TestModel::binary(0.0)).await.unwrap();
    let router = &trained.test.app.endpoints.router;
    assert!(router.find("delay").is_none(), "the name alone is ambiguous");
    for project in [&trained.project, &other] {
        assert_eq!(router.find_in(project.id, "delay").unwrap().project.id, project.id);
    }
    let mut named = trained.test.app.endpoints.projects_of("delay").await.unwrap();
    named.sort_by_key(|project| project.name.to_string());
    let error = perennial_release::deployments::ambiguous("delay", &named);
    assert_eq!((error.code(), error.message()), (ErrorCode::WrongState, "endpoint `delay` exists in several projects"));
    assert!(
        error.hint().unwrap().starts_with("name one of them: `flights.delay`, `other.delay`"),
        "{:?}",
        error.hint()
    );
    // Each is changed alone.
    trained.renew(2, TestModel::binary(2.0)).await;
    assert_eq!(trained.release(by_person()).await, "version 2 answers at `delay`");
    let champion = |project: &ProjectState| router.find_in(project.id, "delay").unwrap().champion().number;
    assert_eq!((champion(&trained.project), champion(&other)), (2, 1));
    let file = PROJECT_FILE.replace("name = \"flights\"", "name = \"other\"");
    let (without, _) = file.split_once("[endpoints.delay]").unwrap();
    trained.test.write_file(without).unwrap();
    let caller = trained.test.system();
    let (other, _) = trained.test.app.projects.submit(&caller).await.unwrap();
    let submission = other.submission().unwrap();
    trained.test.app.endpoints.apply_declarations(&caller, &other, &submission).await.unwrap();
    assert_eq!(trained.answers(), Some(2), "the name is unique again");
}

/// Endpoints `delay`, `early` and `late` of one model.
fn with_three_endpoints() -> String {
    PROJECT_FILE.replace("[monitors.delay]", "[endpoints.early]\n\n[endpoints.late]\n\n[monitors.delay]")
}

/// Gives `early` a canary of a version that does not exist, so that it cannot be switched.
async fn start_unknown_canary(trained: &TrainedProject) {
    let stored = endpoint(trained, "early").await;
    let decision = listed(trained).await.pop().unwrap().decision.unwrap();
    let unknown = NewCanary {
        number: 99,
        share: 0.5,
        decision_id: decision.id,
        release_digest: decision.release_digest,
        wall_ms: 0,
        project_ms: 0,
    };
    let store = trained.test.app.kernel.store();
    let write = store
        .write(move |tx| Box::pin(async move { Ok(endpoints::start_canary(tx, &stored, &unknown).await.map(drop)?) }));
    write.await.unwrap();
}

#[tokio::test]
async fn a_canary_that_no_file_declares_ends_before_a_promotion_even_of_an_unknown_version() {
    let trained = released(&with_three_endpoints(), 1).await;
    start_unknown_canary(&trained).await;
    let message = release_next(&trained, 2).await;
    assert!(message.contains("the canary of version 99 at `early` is over"), "{message}");
    assert!(message.ends_with("version 2 answers at `delay`, `early`, `late`"), "{message}");
    for name in ["delay", "early", "late"] {
        assert_eq!(routes(&trained, name), [(Champion, 2)], "{name}");
    }
}

#[tokio::test]
async fn a_rollback_switches_an_endpoint_whose_canary_cannot_be_loaded_and_the_canary_is_retried() {
    let trained = released(&with_three_endpoints(), 2).await;
    start_unknown_canary(&trained).await;
    let message = roll_back(&trained).await.unwrap();
    let retried = "; this is recorded, and `early` could not be switched yet: the server retries it";
    assert!(message.ends_with(retried), "{message}");
    assert_eq!((routes(&trained, "delay"), routes(&trained, "late")), (vec![(Champion, 1)], vec![(Champion, 1)]));
    assert_eq!(routes(&trained, "early"), [(Champion, 1)], "the champion answers alone");
    let (caller, name) = (trained.test.system(), "early".parse().unwrap());
    let state = async || trained.test.app.endpoints.get(&caller, &trained.project, &name).await.unwrap();
    let fault = state().await.fault.unwrap().message;
    assert!(fault.starts_with("the canary, version "), "{fault}");
    let stored = endpoint(&trained, "early").await;
    assert_eq!(stored.champion_number, Some(1));
    let ended = stored.clone();
    let write = trained.test.app.kernel.store().write(move |tx| {
        Box::pin(async move { Ok(endpoints::apply_canary(tx, &ended, CanaryEvent::Replace, 0).await.map(drop)?) })
    });
    write.await.unwrap();
    let stored = [endpoint(&trained, "early").await];
    trained.test.app.endpoints.catch_up(&trained.project, &stored).await;
    assert_eq!((routes(&trained, "early"), state().await.fault), (vec![(Champion, 1)], None));
}

/// A release stopped at any point, then a new server that resumes the run: the alias, the endpoint and the last
/// promotion agree at every point, and the version is promoted once.
#[tokio::test]
async fn a_release_that_is_interrupted_anywhere_is_completed_by_the_next_server() {
    let mut polls = 0;
    loop {
        let trained = released(PROJECT_FILE, 1).await;
        trained.renew(2, TestModel::binary(2.0)).await;
        let (caller, options) = (trained.test.system(), PipelineOptions::default());
        let run =
            pipelines::request(&caller, &trained.project, PipelineKind::Release, by_person(), &options).await.unwrap();
        let whole =
            interrupted(Box::pin(trained.test.app.runner.run(&caller, &trained.project, &run)), polls).await.is_some();
        // What must end together ends, although its caller is gone.
        trained.test.app.kernel.work.stop(std::time::Duration::from_secs(60)).await;
        let champion = endpoint(&trained, "delay").await.champion_number;
        assert_eq!(alias(&trained).await, champion, "after {polls} polls");
        assert_eq!(promotions(&trained).await.pop().unwrap().to_number, champion, "after {polls} polls");
        assert_eq!(trained.answers(), champion, "after {polls} polls");
        if whole {
            assert_eq!(champion, Some(2));
            return;
        }
        let next = TestApp::beside(&trained.test).await.unwrap();
        next.trainer.make(TestModel::binary(2.0));
        next.app.endpoints.open_all().await.unwrap();
        let (caller, project) = (next.system(), next.app.projects.get(trained.project.id).await.unwrap());
        for left in pipelines::recover(&caller).await.unwrap() {
            next.app.runner.resume(&caller, &project, &left).await.unwrap();
        }
        let answers = next.app.endpoints.router.find("delay").map(|deployment| deployment.champion().number);
        assert_eq!((answers, alias(&trained).await), (Some(2), Some(2)), "after {polls} polls");
        let promoted = promotions(&trained).await.into_iter().filter(|promotion| promotion.to_number == Some(2));
        assert_eq!(promoted.count(), 1, "after {polls} polls");
        polls = polls * 5 / 4 + 7;
    }
}

#[tokio::test]
async fn a_restarted_server_answers_with_the_recorded_champion() {
    let trained = released(PROJECT_FILE, 2).await;
    let next = TestApp::beside(&trained.test).await.unwrap();
    assert!(next.app.endpoints.router.find("delay").is_none());
    next.app.endpoints.open_all().await.unwrap();
    assert_eq!(next.app.endpoints.router.find("delay").unwrap().champion().number, 2);
}

#[tokio::test]
async fn an_endpoint_that_is_not_declared_any_more_stops_and_its_records_stay() {
    let trained = released(&with_two_endpoints(), 1).await;
    trained.test.submit(PROJECT_FILE).await.unwrap();
    assert_eq!((routes(&trained, "early"), trained.answers()), (vec![], Some(1)));
    let retired = endpoint(&trained, "early").await;
    assert!(retired.is_retired() && retired.champion_number.is_none());
    let recorded = entries(&trained, "endpoint").await;
    assert_eq!((recorded[0].subject.as_str(), recorded[0].verb.as_str()), ("early", "retire"));
    assert_eq!(promotions(&trained).await.len(), 2);
    trained.test.submit(&with_two_endpoints()).await.unwrap();
    assert_eq!(trained.release(by_person()).await, "version 1 answers at `early`, which is new");
}

#[tokio::test]
async fn evidence_that_has_expired_is_gathered_again() {
    let file = perennial_testkit::toml_text::set(PROJECT_FILE, "release.evidence_ttl", "\"2 days\"");
    let trained = released(&file, 1).await;
    let evidence = async || listed(&trained).await.pop().unwrap().decision.unwrap().evidence_id;
    trained.renew(2, TestModel::binary(2.0)).await;
    trained.run(PipelineKind::Run, by_person()).await.1.unwrap();
    let gathered = evidence().await;
    trained.test.clock.advance(2 * DAY_MS - 1);
    trained.run(PipelineKind::Run, by_person()).await.1.unwrap();
    assert_eq!(evidence().await, gathered, "it is not older than two days");
    trained.test.clock.advance(1);
    trained.run(PipelineKind::Run, by_person()).await.1.unwrap();
    assert_ne!(evidence().await, gathered);
}

#[tokio::test]
async fn a_model_version_states_its_measure_aliases_decisions_and_releases() {
    let trained = released(PROJECT_FILE, 2).await;
    let (caller, project) = (trained.test.system(), &trained.project);
    let [model] = &models::list(&caller, project).await.unwrap()[..] else { panic!("one model") };
    assert_eq!(model.versions.iter().map(|version| version.number).collect::<Vec<_>>(), [2, 1], "newest first");
    let version = models::version(&caller, project, "flights", 2).await.unwrap();
    assert_eq!((version.aliases, version.decisions.len(), version.releases.len()), (vec!["champion".to_owned()], 1, 1));
    let measured = models::measure(&caller, project, &version.version).await.unwrap().unwrap();
    assert_eq!(measured.metric, "auc");
    for (name, number, message, hint) in [
        ("flights", 3, "model version `flights/3` does not exist", Some("the newest of `flights` is 2")),
        ("flights", 0, "model version `flights/0` does not exist", Some("the newest of `flights` is 2")),
        ("boats", 1, "registered model `boats` does not exist", None),
    ] {
        let error = models::version(&caller, project, name, number).await.map(drop).unwrap_err();
        assert_eq!((error.code(), error.hint()), (ErrorCode::NotFound, hint), "{message}");
        assert!(error.message().contains(&format!("`{}", message.split('`').nth(1).unwrap())), "{}", error.message());
    }
}

#[tokio::test]
async fn endpoints_are_listed_with_what_answers_and_what_a_rollback_brings_back() {
    let trained = released(&with_two_endpoints(), 2).await;
    let states = trained.test.app.endpoints.list(&trained.test.system(), &trained.project).await.unwrap();
    let found: Vec<_> = states.iter().map(|state| (state.endpoint.name.as_str(), state.before)).collect();
    assert_eq!(found, [("delay", Some(1)), ("early", Some(1))]);
    assert!(
        states.iter().all(|state| state.routes.len() == 1 && state.routes[0].number == 2 && state.waits_for.is_none())
    );
    let mut reader = trained.test.app.kernel.store().read().await.unwrap();
    let stored = endpoints::list(&mut reader, trained.project.id).await.unwrap();
    assert!(stored.iter().all(|endpoint| endpoint.champion_number == Some(2)));
}
