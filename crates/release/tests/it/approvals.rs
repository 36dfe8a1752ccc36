//! Approvals: a passed release waits until people have approved it in every declared role.

use perennial_core::ErrorCode;
use perennial_core::permission::Role;
use perennial_execution::pipeline_runs::PipelineKind;
use perennial_release::releases::{self, Approval};
use perennial_testkit::{PROJECT_FILE, TestModel, TrainedProject, by_person, by_trigger, toml_text};

use crate::support::{alias, endpoint, entries, listed, release_next, released, with_approvals, with_gate};

/// The digest of the newest release.
async fn newest(trained: &TrainedProject) -> String {
    listed(trained).await.pop().unwrap().release.digest
}

/// Approves the newest release as a new person with a role.
async fn approve(
    trained: &TrainedProject,
    name: &str,
    own: Role,
    role: Option<Role>,
) -> perennial_core::Result<Approval> {
    let caller = trained.test.caller(name, own).await.unwrap();
    let digest = newest(trained).await;
    releases::approve(&caller, &trained.project, &digest, role, Some("fine".to_owned())).await
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
async fn an_approved_release_continues_with_the_decision_that_it_has() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    assert_eq!(trained.answers(), None, "an approval alone releases nothing");
    assert_eq!(trained.release(by_person()).await, "version 1 answers at `delay`");
    assert_eq!(entries(&trained, "decision").await.len(), 1);
}

#[tokio::test]
async fn a_trigger_releases_what_a_person_has_approved() {
    let trained = released(&with_approvals("\"approver\""), 1).await;
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    assert_eq!(trained.release(by_trigger()).await, "version 1 answers at `delay`");
}

#[tokio::test]
async fn every_declared_role_must_approve() {
    let trained = released(&with_approvals("\"approver\", \"admin\""), 0).await;
    let message = release_next(&trained, 1).await;
    assert!(message.starts_with("version 1 needs approval from role approver, admin: "), "{message}");
    approve(&trained, "ann", Role::Approver, None).await.unwrap();
    let message = trained.release(by_person()).await;
    assert!(message.starts_with("version 1 needs approval from role admin: "), "{message}");
    approve(&trained, "bob", Role::Admin, None).await.unwrap();
    assert_eq!(trained.release(by_person()).await, "version 1 answers at `delay`");
    assert_eq!(listed(&trained).await[0].approved, [Role::Approver, Role::Admin]);
}

#[tokio::test]
async fn a_higher_role_includes_the_lower_ones_and_each_is_given_once() {
    let trained = released(&with_approvals("\"approver\", \"admin\""), 1).await;
    let bob = trained.test.caller("bob", Role::Admin).await.unwrap();
    let digest = newest(&trained).await;
    for expected in [Role::Approver, Role::Admin] {
        let approval = releases::approve(&bob, &trained.project, &digest, None, None).await.unwrap();
        assert_eq!(approval.role, expected, "the first role without approval");
    }
    let again = releases::approve(&bob, &trained.project, &digest, Some(Role::Admin), None).await.unwrap_err();
    assert_eq!(again.code(), ErrorCode::AlreadyExists);
    assert_eq!(again.message(), "`bob` has already approved this release as admin");
}

#[tokio::test]
async fn approving_needs_the_permission_and_the_role() {
    let trained = released(&with_approvals("\"admin\""), 1).await;
    for (name, role) in [("vic", Role::Viewer), ("cam", Role::Contributor)] {
        let error = approve(&trained, name, role, None).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::PermissionDenied, "{name}");
    }
    let error = approve(&trained, "ann", Role::Approver, Some(Role::Admin)).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::PermissionDenied);
    assert_eq!(error.message(), "`ann` does not have the role admin here");
    assert!(entries(&trained, "approval").await.is_empty());
}

#[tokio::test]
async fn an_approval_in_another_role_does_not_count() {
    let trained = released(&with_approvals("\"admin\""), 1).await;
    let approval = approve(&trained, "ann", Role::Approver, None).await.unwrap();
    assert_eq!(approval.role, Role::Approver, "the role of the person");
    let message = trained.release(by_person()).await;
    assert!(message.starts_with("version 1 needs approval from role admin: "), "{message}");
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
    let approval = approve(&trained, "ann", Role::Approver, None).await.unwrap();
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
    trained.renew(1, perennial_testkit::TestModel::binary(0.0)).await;
    let message = trained.run(PipelineKind::Run, by_person()).await.1.unwrap().message.unwrap();
    assert!(message.starts_with("version 1 passed"), "{message}");
}

#[tokio::test]
async fn a_project_without_declared_roles_needs_no_approval() {
    let trained = released(PROJECT_FILE, 1).await;
    assert_eq!(trained.answers(), Some(1));
    let approval = approve(&trained, "ann", Role::Approver, None).await.unwrap();
    assert_eq!(approval.role, Role::Approver, "it may be given all the same");
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
    assert_eq!(trained.release(by_trigger()).await, "version 2 answers at `delay`");
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
