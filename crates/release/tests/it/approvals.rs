//! Approvals: a passed release waits until people have approved it in every declared role.

use std::collections::BTreeMap;

use perennial_core::ErrorCode;
use perennial_core::entity::ReleaseOutcome;
use perennial_core::permission::Role;
use perennial_core::rule::Verdict;
use perennial_core::state::ApprovalRequestState;
use perennial_execution::pipeline_runs::PipelineKind;
use perennial_kernel::alerts;
use perennial_release::approvals::{self, Given};
use perennial_release::releases;
use perennial_testkit::{PROJECT_FILE, TestApp, TestModel, TrainedProject, by_person, by_trigger, toml_text};

use crate::support::{
    DAY_MS, alias, canary, endpoint, entries, listed, release_again, release_next, released, routes, with_approvals,
    with_gate,
};

/// The digest of the newest release.
async fn newest(trained: &TrainedProject) -> String {
    listed(trained).await.pop().unwrap().release.digest
}

/// Approves the newest release as a new person with a role.
async fn approve(trained: &TrainedProject, name: &str, own: Role, role: Option<Role>) -> perennial_core::Result<Given> {
    let caller = trained.test.caller(name, own).await.unwrap();
    let digest = newest(trained).await;
    approvals::approve(&caller, &trained.project, &digest, role, Some("fine".to_owned())).await
}

/// Executes the jobs that approvals enqueued.
async fn work(trained: &TrainedProject) {
    trained.test.app.worker().run_due().await.unwrap();
}

/// The progress of the latest release, and the state of its request.
async fn outcome(trained: &TrainedProject) -> (ReleaseOutcome, Option<ApprovalRequestState>) {
    let details = releases::get(&trained.test.system(), &trained.project, &newest(trained).await).await.unwrap();
    (details.outcome, details.request.map(|request| request.state))
}

/// What the ledger records about things of a noun, oldest first.
async fn verbs(trained: &TrainedProject, noun: &str) -> Vec<String> {
    entries(trained, noun).await.into_iter().map(|entry| entry.verb).collect()
}

async fn firing(trained: &TrainedProject) -> Vec<String> {
    let firing = alerts::list_firing(&trained.test.system(), trained.project.id, 10).await.unwrap();
    firing.into_iter().map(|alert| alert.message).collect()
}

#[tokio::test]
async fn a_release_waits_for_its_approval_and_the_message_names_the_command() {
    let trained = released(&with_approvals("\"approver\""), 0).await;
    let message = release_next(&trained, 1).await;
    let short = newest(&trained).await[..12].to_owned();
    assert_eq!(message, format!("version 1 needs approval from role approver: `perennial releases approve {short}`"));
    assert_eq!((trained.answers(), alias(&trained).await), (None, None));
}

#[tokio::test]
async fn the_last_approval_releases_the_version() {
    let trained = released(&with_approvals("\"approver\", \"admin\""), 1).await;
    let (waiting, state) = outcome(&trained).await;
    assert_eq!((waiting.verdict, waiting.released), (Some(Verdict::Pass), false));
    assert_eq!(waiting.waiting_for, ["approval:approver", "approval:admin"]);
    assert_eq!(state, Some(ApprovalRequestState::Waiting));
    assert_eq!(approve(&trained, "ann", Role::Approver, None).await.unwrap().missing, [Role::Admin]);
    work(&trained).await;
    assert_eq!((trained.answers(), outcome(&trained).await.0.waiting_for), (None, vec!["approval:admin".to_owned()]));
    assert_eq!(approve(&trained, "bob", Role::Admin, None).await.unwrap().missing, []);
    assert_eq!(outcome(&trained).await.0.waiting_for, ["release"]);
    work(&trained).await;
    let (done, state) = outcome(&trained).await;
    assert_eq!((trained.answers(), done.released, done.waiting_for), (Some(1), true, Vec::new()));
    assert_eq!(state, Some(ApprovalRequestState::Released));
    assert_eq!(listed(&trained).await[0].approved, [Role::Approver, Role::Admin]);
    let promotion = crate::support::promotions(&trained).await.pop().unwrap();
    assert_eq!(promotion.actor, "bob", "the person who gave the last approval");
    assert_eq!(entries(&trained, "decision").await.len(), 1);
}

#[tokio::test]
async fn the_next_server_continues_an_approved_release() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    let next = TestApp::beside(&trained.test).await.unwrap();
    next.app.worker().run_due().await.unwrap();
    let champion = next.app.endpoints.router.find("delay").map(|deployment| deployment.champion().number);
    assert_eq!((champion, outcome(&trained).await.1), (Some(1), Some(ApprovalRequestState::Released)));
}

#[tokio::test]
async fn the_last_approval_starts_a_declared_canary() {
    let file = canary("share = 0.5, for = \"3 days\", min_requests = 4");
    let trained = released(&toml_text::set(&file, "release.approve", "[\"approver\"]"), 0).await;
    for number in [1, 2] {
        release_next(&trained, number).await;
        approve(&trained, &format!("ann-{number}"), Role::Approver, None).await.unwrap();
        work(&trained).await;
    }
    assert_eq!(routes(&trained, "delay").len(), 2);
    assert_eq!(outcome(&trained).await.0.waiting_for, ["canary:delay"]);
    assert_eq!(
        trained.release(by_person()).await.lines().count(),
        1,
        "its canary runs, no approval is requested again"
    );
    assert_eq!(outcome(&trained).await.1, Some(ApprovalRequestState::Released));
}

#[tokio::test]
async fn a_release_that_waits_is_listed_for_those_who_may_approve_and_alerts() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    let [message] = &firing(&trained).await[..] else { panic!("one alert") };
    assert!(message.starts_with("version 1 needs approval from role approver: "), "{message}");
    for (name, role, is_for_caller) in [("vic", Role::Viewer, false), ("ann", Role::Approver, true)] {
        let caller = trained.test.caller(name, role).await.unwrap();
        let waiting = approvals::list_waiting(&caller).await.unwrap();
        assert_eq!(waiting.len(), 1, "{name}");
        assert_eq!(
            (waiting[0].is_for_caller, &waiting[0].missing[..]),
            (is_for_caller, &[Role::Approver][..]),
            "{name}"
        );
        let count = approvals::count_for_caller(&caller, trained.project.id).await.unwrap();
        assert_eq!(count, usize::from(is_for_caller), "{name}");
    }
    let counts = approvals::count_waiting(&trained.test.system()).await.unwrap();
    assert_eq!(counts, BTreeMap::from([(trained.project.id, 1)]));
    approve(&trained, "bob", Role::Admin, None).await.unwrap();
    assert_eq!(firing(&trained).await, Vec::<String>::new());
    assert!(approvals::list_waiting(&trained.test.system()).await.unwrap().is_empty());
    assert_eq!(approvals::count_waiting(&trained.test.system()).await.unwrap(), BTreeMap::new());
}

#[tokio::test]
async fn a_release_that_is_requested_again_keeps_its_request_and_its_approvals() {
    let trained = released(&with_approvals("\"approver\", \"admin\""), 1).await;
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    for cause in [by_person(), by_trigger()] {
        let message = trained.release(cause).await;
        assert!(message.starts_with("version 1 needs approval from role admin: "), "{message}");
    }
    approve(&trained, "bob", Role::Admin, None).await.unwrap();
    work(&trained).await;
    assert_eq!(trained.answers(), Some(1));
}

#[tokio::test]
async fn a_rejected_release_is_refused_until_a_person_names_it() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    let (ann, digest) = (trained.test.caller("ann", Role::Approver).await.unwrap(), newest(&trained).await);
    let empty = approvals::reject(&ann, &trained.project, &digest, " ").await.unwrap_err();
    assert_eq!(empty.code(), ErrorCode::InvalidArgument);
    approvals::reject(&ann, &trained.project, &digest, "too early").await.unwrap();
    assert_eq!(firing(&trained).await, Vec::<String>::new());
    assert_eq!(verbs(&trained, "approval_request").await, ["request", "reject"]);
    assert_eq!(approve(&trained, "bob", Role::Admin, None).await.unwrap_err().code(), ErrorCode::WrongState);
    for cause in [by_person(), by_trigger()] {
        let message = trained.release(cause).await;
        assert!(
            message.starts_with("version 1 was rejected by ann: too early; `perennial release --again"),
            "{message}"
        );
    }
    let (refused, _) = outcome(&trained).await;
    assert_eq!(refused.reasons, ["version 1 was rejected by ann: too early"]);
    let message = release_again(&trained, "the objection is answered").await;
    assert!(message.starts_with("version 1 needs approval from role approver: "), "{message}");
    approve(&trained, "cay", Role::Approver, None).await.unwrap();
    work(&trained).await;
    assert_eq!(trained.answers(), Some(1));
}

#[tokio::test]
async fn a_newer_release_replaces_the_one_that_waits() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    let older = newest(&trained).await;
    release_next(&trained, 2).await;
    assert_eq!(firing(&trained).await.len(), 1, "only the newer one waits");
    let caller = trained.test.caller("ann", Role::Approver).await.unwrap();
    let error = approvals::approve(&caller, &trained.project, &older, None, None).await.unwrap_err();
    assert!(error.message().ends_with(" waits for no approval: it is replaced"), "{}", error.message());
    trained.test.submit(PROJECT_FILE).await.unwrap();
    assert_eq!(trained.release(by_person()).await, "version 2 answers at `delay`");
    assert_eq!(firing(&trained).await, Vec::<String>::new());
    assert_eq!(approvals::list_waiting(&trained.test.system()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn an_approval_that_comes_after_the_evidence_has_expired_releases_nothing() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    trained.test.clock.advance(8 * DAY_MS);
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    work(&trained).await;
    let (failed, state) = outcome(&trained).await;
    assert_eq!((trained.answers(), state), (None, Some(ApprovalRequestState::Failed)));
    assert_eq!(failed.reasons, ["the evidence about version 1 has expired"]);
    let [message] = &firing(&trained).await[..] else { panic!("one alert") };
    assert_eq!(message, "version 1 is approved, but it was not released: the evidence about version 1 has expired");
}

#[tokio::test]
async fn a_version_that_was_rolled_back_needs_its_approvals_again() {
    let trained = released(&with_approvals("\"approver\""), 0).await;
    for number in [1, 2] {
        release_next(&trained, number).await;
        approve(&trained, &format!("ann-{number}"), Role::Approver, None).await.unwrap();
        work(&trained).await;
    }
    let (caller, name) = (trained.test.caller("bob", Role::Admin).await.unwrap(), "delay".parse().unwrap());
    trained.test.app.endpoints.rollback(&caller, &trained.project, &name, Some("slow")).await.unwrap();
    for cause in [by_person(), by_trigger()] {
        let message = trained.release(cause).await;
        assert!(message.starts_with("version 2 was rolled back at `delay` by bob: slow; "), "{message}");
    }
    let message = release_again(&trained, "it was the network").await;
    assert!(message.starts_with("version 2 needs approval from role approver: "), "{message}");
    assert_eq!(trained.answers(), Some(1), "the approvals of the first release do not count");
    approve(&trained, "cay", Role::Approver, None).await.unwrap();
    work(&trained).await;
    assert_eq!((trained.answers(), endpoint(&trained, "delay").await.champion_number), (Some(2), Some(2)));
    let allowed = entries(&trained, "release").await.into_iter().filter(|entry| entry.verb == "allow").count();
    assert_eq!(allowed, 1);
}

#[tokio::test]
async fn a_higher_role_includes_the_lower_ones_and_each_is_given_once() {
    let trained = released(&with_approvals("\"approver\", \"admin\""), 1).await;
    let bob = trained.test.caller("bob", Role::Admin).await.unwrap();
    let digest = newest(&trained).await;
    let given = approvals::approve(&bob, &trained.project, &digest, None, None).await.unwrap();
    assert_eq!(given.approval.role, Role::Approver, "the first role without approval");
    let again = approvals::approve(&bob, &trained.project, &digest, Some(Role::Approver), None).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::AlreadyExists);
    assert!(again.message().ends_with(" has its approval from role approver already"), "{}", again.message());
    let given = approvals::approve(&bob, &trained.project, &digest, None, None).await.unwrap();
    assert_eq!(given.approval.role, Role::Admin);
}

#[tokio::test]
async fn approving_needs_the_permission_and_the_role() {
    let trained = released(&with_approvals("\"admin\""), 1).await;
    for (name, role) in [("vic", Role::Viewer), ("cam", Role::Contributor)] {
        let error = approve(&trained, name, role, None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{name}");
    }
    for (name, role) in [("ann", None), ("eve", Some(Role::Admin))] {
        let error = approve(&trained, name, Role::Approver, role).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied);
        assert!(error.message().ends_with("does not have the role admin here"), "{}", error.message());
    }
    assert_eq!(verbs(&trained, "approval_request").await, ["request"]);
    assert!(entries(&trained, "approval").await.is_empty());
}

#[tokio::test]
async fn an_approval_that_no_role_is_asked_for_is_refused() {
    let trained = released(&with_approvals("\"admin\""), 1).await;
    let error = approve(&trained, "bob", Role::Admin, Some(Role::Viewer)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert!(error.message().starts_with("no approval from role viewer is required: "), "{}", error.message());
}

#[tokio::test]
async fn a_refused_release_cannot_be_approved() {
    let file = toml_text::set(&with_gate("candidate.auc > 1.0"), "release.approve", "[\"approver\"]");
    let trained = released(&file, 1).await;
    let error = approve(&trained, "ann", Role::Approver, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert!(error.message().starts_with("the gates did not let release "), "{}", error.message());
    assert!(error.message().ends_with(" pass: its decision is fail"), "{}", error.message());
}

#[tokio::test]
async fn an_approval_belongs_to_one_release() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    let file = toml_text::set(&with_approvals("\"approver\""), "endpoints.delay.max_body", "\"2 kB\"");
    trained.test.submit(&file).await.unwrap();
    let message = trained.release(by_person()).await;
    assert!(message.starts_with("version 1 needs approval from role approver"), "{message}");
}

#[tokio::test]
async fn an_approval_is_recorded_with_its_person_and_note() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    let approval = approve(&trained, "ann", Role::Approver, None).await.unwrap().approval;
    assert_eq!(verbs(&trained, "approval_request").await, ["request", "complete"]);
    let [entry] = &entries(&trained, "approval").await[..] else { panic!("one entry") };
    assert_eq!(
        (entry.subject.as_str(), entry.verb.as_str(), entry.actor.as_str()),
        (&*approval.id.to_string(), "create", "ann")
    );
    let details = releases::get(&trained.test.system(), &trained.project, &newest(&trained).await).await.unwrap();
    let [(found, by)] = &details.approvals[..] else { panic!("one approval") };
    assert_eq!((found, by.as_str(), found.note.as_deref()), (&approval, "ann", Some("fine")));
}

#[tokio::test]
async fn a_run_needs_no_approval() {
    let trained = released(&with_approvals("\"approver\""), 0).await;
    trained.renew(1, TestModel::binary(0.0)).await;
    let message = trained.run(PipelineKind::Run, by_person()).await.1.unwrap().message.unwrap();
    assert!(message.starts_with("version 1 passed"), "{message}");
}

#[tokio::test]
async fn a_project_without_declared_roles_waits_for_no_approval() {
    let trained = released(PROJECT_FILE, 1).await;
    assert_eq!(trained.answers(), Some(1));
    let error = approve(&trained, "ann", Role::Approver, None).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::WrongState);
    assert!(error.message().ends_with(" waits for no approval"), "{}", error.message());
}

/// Submits other content as a new person with a role, and trains another model.
async fn change_as(trained: &TrainedProject, name: &str, role: Role, number: i64) {
    let caller = trained.test.caller(name, role).await.unwrap();
    trained.test.write_file(&format!("{PROJECT_FILE}\n# {number}\n")).unwrap();
    trained.test.app.projects.submit(&caller).await.unwrap();
    trained.renew(number, TestModel::binary(number as f32)).await;
}

#[tokio::test]
async fn a_trigger_leaves_the_content_of_a_contributor_waiting_for_an_approver() {
    let trained = released(PROJECT_FILE, 1).await;
    change_as(&trained, "cam", Role::Contributor, 2).await;
    let before = endpoint(&trained, "delay").await;
    let message = trained.release(by_trigger()).await;
    let short = newest(&trained).await[..12].to_owned();
    let expected =
        "version 2 needs approval from role approver, because no approver has submitted or released its content";
    assert_eq!(message, format!("{expected}: `perennial releases approve {short}`"));
    assert_eq!((trained.answers(), alias(&trained).await), (Some(1), Some(1)));
    assert_eq!(endpoint(&trained, "delay").await, before, "the endpoint does not follow the content");

    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    work(&trained).await;
    assert_eq!(trained.answers(), Some(2));
    assert_ne!(endpoint(&trained, "delay").await.config, before.config, "the endpoint follows the approved content");
    trained.renew(3, TestModel::binary(3.0)).await;
    assert_eq!(trained.release(by_trigger()).await, "version 3 answers at `delay`", "the content has an approver");
    let approved: Vec<_> =
        entries(&trained, "project_file").await.into_iter().map(|entry| (entry.verb, entry.actor)).collect();
    let expected = [("submit", "perennial"), ("submit", "cam"), ("approve", "ann")];
    assert_eq!(approved, expected.map(|(verb, actor)| (verb.to_owned(), actor.to_owned())));
}

#[tokio::test]
async fn a_trigger_releases_the_content_of_an_approver() {
    let trained = released(PROJECT_FILE, 1).await;
    change_as(&trained, "ann", Role::Approver, 2).await;
    assert_eq!(trained.release(by_trigger()).await, "version 2 answers at `delay`");
}

#[tokio::test]
async fn a_release_by_a_person_approves_the_content() {
    let trained = released(PROJECT_FILE, 1).await;
    change_as(&trained, "cam", Role::Contributor, 2).await;
    assert_eq!(trained.release(by_person()).await, "version 2 answers at `delay`");
    trained.renew(3, TestModel::binary(3.0)).await;
    assert_eq!(trained.release(by_trigger()).await, "version 3 answers at `delay`");
}

#[tokio::test]
async fn an_approver_who_submits_the_same_content_approves_it() {
    let trained = released(PROJECT_FILE, 1).await;
    change_as(&trained, "cam", Role::Contributor, 2).await;
    let ann = trained.test.caller("ann", Role::Approver).await.unwrap();
    trained.test.app.projects.submit(&ann).await.unwrap();
    assert_eq!(trained.release(by_trigger()).await, "version 2 answers at `delay`");
    // Content that was approved stays so, also when a contributor submits it again.
    trained.test.submit(PROJECT_FILE).await.unwrap();
    let cam = trained.test.caller("cam", Role::Contributor).await.unwrap();
    trained.test.write_file(&format!("{PROJECT_FILE}\n# 2\n")).unwrap();
    trained.test.app.projects.submit(&cam).await.unwrap();
    trained.renew(3, TestModel::binary(3.0)).await;
    assert_eq!(trained.release(by_trigger()).await, "version 3 answers at `delay`");
}

#[tokio::test]
async fn content_of_a_contributor_waits_for_every_declared_role() {
    let file = with_approvals("\"approver\", \"admin\"");
    let trained = released(&file, 0).await;
    let cam = trained.test.caller("cam", Role::Contributor).await.unwrap();
    trained.test.write_file(&format!("{file}\n# another line\n")).unwrap();
    trained.test.app.projects.submit(&cam).await.unwrap();
    trained.renew(1, TestModel::binary(1.0)).await;
    let message = trained.release(by_trigger()).await;
    assert!(message.starts_with("version 1 needs approval from role approver, admin, because "), "{message}");
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    let message = trained.release(by_trigger()).await;
    assert!(message.starts_with("version 1 needs approval from role admin: "), "{message}");
}
