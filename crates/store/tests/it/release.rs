//! Evidence, decisions, releases, approvals, promotions.

use std::collections::BTreeMap;

use perennial_core::ErrorCode;
use perennial_core::cause::Cause;
use perennial_core::entity::{
    Approval, ApprovalRequest, Decision, DecisionBody, Evidence, ModelVersion, Project, Promotion, PromotionKind,
    Refusal, RegisteredModel, Release,
};
use perennial_core::id::{ApprovalId, ApprovalRequestId, DecisionId, EvidenceId, PromotionId};
use perennial_core::permission::Role;
use perennial_core::release::ReleaseContent;
use perennial_core::rule::Verdict;
use perennial_core::state::{ApprovalRequestEvent, ApprovalRequestState};
use perennial_store::{
    approval_requests, decisions, evidence, model_versions, principals, promotions, releases, step_runs,
};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, pipeline_run, principal, project, step_run};
use crate::registry::{make_version, model, register};

on_both! {
    what_a_release_names_cannot_be_deleted,
    a_release_of_the_same_content_is_the_same,
    a_person_approves_a_request_once_in_a_role,
    a_request_is_open_until_it_is_closed,
    a_decision_reads_back_with_its_evidence,
    promotions_are_listed_by_version,
    a_refusal_is_in_force_until_it_is_lifted,
}

fn release(version: &ModelVersion, digest: &str) -> Release {
    Release {
        project_id: version.project_id,
        digest: digest.to_owned(),
        model_id: version.model_id,
        number: version.number,
        body: json!({"model": "m"}),
        ledger_head: "0".to_owned(),
        wall_ms: NOW,
        project_ms: NOW,
    }
}

/// A version with a release and a passed decision.
pub(crate) async fn decide(db: &Db, project: &Project, version: &ModelVersion, digest: &str) -> Decision {
    let pipeline = pipeline_run(&db.store, project.id).await;
    let step = step_run(&pipeline, "evaluation", 1, "k");
    let evidence = Evidence {
        id: EvidenceId::generate(),
        project_id: project.id,
        pipeline_run_id: pipeline.id,
        step_run_id: step.id,
        release_digest: Some(digest.to_owned()),
        body: json!({"candidate": {"auc": 0.7}}),
        wall_ms: NOW,
        project_ms: NOW,
        expires_project_ms: NOW + 7,
    };
    let decision = Decision {
        id: DecisionId::generate(),
        project_id: project.id,
        pipeline_run_id: Some(pipeline.id),
        evidence_id: evidence.id,
        release_digest: digest.to_owned(),
        model_id: version.model_id,
        number: version.number,
        champion_number: None,
        verdict: Verdict::Pass,
        body: DecisionBody {
            gates: Vec::new(),
            leaks: Vec::new(),
            warnings: Vec::new(),
            strong_features: Vec::new(),
            evidence: evidence.id,
            content: ReleaseContent::default(),
        },
        wall_ms: NOW,
        project_ms: NOW,
    };
    let (release, made) = (release(version, digest), decision.clone());
    write_tx!(db.store, tx => {
        step_runs::insert(tx, &step).await?;
        evidence::insert(tx, &evidence).await?;
        releases::insert(tx, &release).await?;
        decisions::insert(tx, &decision).await?;
        Ok(())
    })
    .unwrap();
    made
}

/// A promotion to a version.
pub(crate) async fn promote(db: &Db, project: &Project, model: &RegisteredModel, to: Option<i64>) -> Promotion {
    let promotion = Promotion {
        id: PromotionId::generate(),
        project_id: project.id,
        endpoint: Some("delay".parse().unwrap()),
        model_id: model.id,
        alias: "champion".to_owned(),
        from_number: None,
        to_number: to,
        kind: PromotionKind::Promotion,
        decision_id: None,
        release_digest: None,
        cause: Cause::DeclarationGone {},
        actor: "trigger:renew".to_owned(),
        wall_ms: NOW,
        project_ms: NOW,
    };
    let made = promotion.clone();
    write_tx!(db.store, tx => { Ok(promotions::insert(tx, &promotion).await?) }).unwrap();
    made
}

async fn what_a_release_names_cannot_be_deleted(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    decide(db, &project, &version, "r1").await;
    let id = model.id;
    let refused = write_tx!(db.store, tx => { Ok(model_versions::delete(tx, id, 1).await?) }).unwrap_err();
    assert_eq!(refused.code(), ErrorCode::WrongState);
}

async fn a_release_of_the_same_content_is_the_same(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    let first = release(&version, "aa11");
    let later = Release { wall_ms: NOW + 1, ..release(&version, "aa11") };
    let other = Release { wall_ms: NOW + 2, ..release(&version, "aa22") };
    for release in [&first, &later, &other] {
        let release = release.clone();
        write_tx!(db.store, tx => { Ok(releases::insert(tx, &release).await?) }).unwrap();
    }
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(releases::get(&mut reader, project.id, "aa11").await.unwrap(), first);
    assert_eq!(releases::list(&mut reader, project.id, 9).await.unwrap(), [other.clone(), first.clone()]);
    assert_eq!(releases::list_of_version(&mut reader, model.id, 1, 9).await.unwrap().len(), 2);
    assert_eq!(releases::find_by_prefix(&mut reader, project.id, "aa1", "aa1g").await.unwrap(), [first]);
    assert_eq!(releases::find_by_prefix(&mut reader, project.id, "aa", "aag").await.unwrap().len(), 2);
    assert_eq!(releases::find(&mut reader, project.id, "bb").await.unwrap(), None);
}

/// A request for the approval of a release in two roles.
fn request(decision: &Decision, project: &Project) -> ApprovalRequest {
    ApprovalRequest {
        id: ApprovalRequestId::generate(),
        project_id: project.id,
        decision_id: decision.id,
        release_digest: decision.release_digest.clone(),
        number: decision.number,
        roles: vec![Role::Approver, Role::Admin],
        cause: Cause::person("ada"),
        requested_by: "ada".to_owned(),
        state: ApprovalRequestState::Waiting,
        closed_by: None,
        reason: None,
        wall_ms: NOW,
        project_ms: NOW,
        closed_ms: None,
    }
}

async fn decided(db: &Db) -> (Project, Decision) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    let decision = decide(db, &project, &version, "r").await;
    (project, decision)
}

async fn a_person_approves_a_request_once_in_a_role(db: &Db) {
    let (project, decision) = decided(db).await;
    let ada = principal("ada");
    let (first, second) = (request(&decision, &project), request(&decision, &project));
    let approval = |request: &ApprovalRequest, role| Approval {
        id: ApprovalId::generate(),
        project_id: project.id,
        request_id: Some(request.id),
        release_digest: "r".to_owned(),
        role,
        principal_id: ada.id,
        note: Some("looks right".to_owned()),
        wall_ms: NOW,
        project_ms: NOW,
    };
    let (one, again) = (approval(&first, Role::Approver), approval(&first, Role::Approver));
    let (other, later) = (approval(&first, Role::Admin), approval(&second, Role::Approver));
    let kept = [one.clone(), other.clone(), later.clone()];
    let (who, requests) = (ada.clone(), [first.clone(), second.clone()]);
    write_tx!(db.store, tx => {
        principals::insert(tx, &who).await?;
        for request in &requests {
            approval_requests::insert(tx, request).await?;
        }
        for approval in [&one, &other, &later] {
            releases::approve(tx, approval).await?;
        }
        Ok(())
    })
    .unwrap();
    write_tx!(db.store, tx => { Ok(releases::approve(tx, &again).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(releases::list_approvals(&mut reader, project.id, "r").await.unwrap(), kept);
    assert_eq!(releases::list_approvals_of_request(&mut reader, first.id).await.unwrap(), kept[..2]);
    assert_eq!(first.missing(&kept[..1]), [Role::Admin]);
    assert_eq!(approval_requests::missing_roles(&mut reader, &first).await.unwrap(), []);
    assert_eq!(approval_requests::missing_roles(&mut reader, &second).await.unwrap(), [Role::Admin]);
    let waiting = approval_requests::list_waiting(&mut reader, 9).await.unwrap();
    assert_eq!(waiting, [(first.clone(), vec![]), (second.clone(), vec![Role::Admin])]);
    assert_eq!(approval_requests::list_waiting(&mut reader, 1).await.unwrap(), waiting[..1], "a limit of requests");
    assert_eq!(approval_requests::count_waiting(&mut reader).await.unwrap(), BTreeMap::from([(project.id, 2)]));
}

async fn a_request_is_open_until_it_is_closed(db: &Db) {
    let (project, decision) = decided(db).await;
    let (first, second) = (request(&decision, &project), request(&decision, &project));
    let requests = [first.clone(), second.clone()];
    write_tx!(db.store, tx => {
        for request in &requests {
            approval_requests::insert(tx, request).await?;
        }
        Ok(())
    })
    .unwrap();
    let mut reader = db.store.read().await.unwrap();
    let both = [&first, &second].map(|request| (request.clone(), request.roles.clone()));
    assert_eq!(approval_requests::list_waiting(&mut reader, 9).await.unwrap(), both);
    drop(reader);
    let apply = async |request: &ApprovalRequest, event, by: Option<&'static str>, reason: Option<&'static str>| {
        let id = request.id;
        write_tx!(db.store, tx => { Ok(approval_requests::apply(tx, id, event, (by, reason), NOW + 1).await?) })
    };
    apply(&first, ApprovalRequestEvent::Reject, Some("bob"), Some("too early")).await.unwrap();
    apply(&second, ApprovalRequestEvent::Approve, Some("bob"), None).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    let rejected = approval_requests::get(&mut reader, first.id).await.unwrap();
    let expected = ApprovalRequest {
        state: ApprovalRequestState::Rejected,
        closed_by: Some("bob".to_owned()),
        reason: Some("too early".to_owned()),
        closed_ms: Some(NOW + 1),
        ..first.clone()
    };
    assert_eq!(rejected, expected);
    let open = approval_requests::list_open(&mut reader, project.id).await.unwrap();
    assert_eq!(open.iter().map(|request| request.id).collect::<Vec<_>>(), [second.id]);
    assert_eq!(approval_requests::list_waiting(&mut reader, 9).await.unwrap(), []);
    let latest = approval_requests::find_latest_of_release(&mut reader, project.id, "r").await.unwrap();
    assert_eq!(latest.map(|request| request.id), Some(second.id));
    drop(reader);
    apply(&first, ApprovalRequestEvent::Approve, None, None).await.unwrap_err();
    apply(&second, ApprovalRequestEvent::Release, None, Some("version 1 answers")).await.unwrap();
    let mut reader = db.store.read().await.unwrap();
    let released = approval_requests::get(&mut reader, second.id).await.unwrap();
    assert_eq!(released.closed_by.as_deref(), Some("bob"), "the person stays");
}

async fn a_decision_reads_back_with_its_evidence(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let version = make_version(db, &model, "c").await;
    let (one, two) = (decide(db, &project, &version, "r1").await, decide(db, &project, &version, "r1").await);
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(decisions::get(&mut reader, one.id).await.unwrap(), one);
    for list in [
        decisions::list(&mut reader, project.id, None, 9).await.unwrap().items,
        decisions::list_of_release(&mut reader, project.id, "r1", 9).await.unwrap(),
        decisions::list_of_version(&mut reader, model.id, 1, 9).await.unwrap(),
    ] {
        assert_eq!(list, [two.clone(), one.clone()]);
    }
    let evidence = evidence::get(&mut reader, one.evidence_id).await.unwrap();
    assert_eq!(evidence::find_by_step_run(&mut reader, evidence.step_run_id).await.unwrap(), Some(evidence));
}

async fn promotions_are_listed_by_version(db: &Db) {
    let project = project(&db.store, "p").await;
    let model = model(&project, "m");
    register(db, &model).await.unwrap();
    let mut made = Vec::new();
    for (from, to, kind) in [
        (None, Some(1), PromotionKind::Promotion),
        (Some(1), Some(2), PromotionKind::Canary),
        (Some(2), Some(3), PromotionKind::Replacement),
        (Some(3), None, PromotionKind::Rollback),
    ] {
        let promotion = Promotion {
            id: PromotionId::generate(),
            project_id: project.id,
            endpoint: Some("delay".parse().unwrap()),
            model_id: model.id,
            alias: "champion".to_owned(),
            from_number: from,
            to_number: to,
            kind,
            decision_id: None,
            release_digest: None,
            cause: Cause::DeclarationGone {},
            actor: "trigger:renew".to_owned(),
            wall_ms: NOW,
            project_ms: NOW,
        };
        made.push(promotion.clone());
        write_tx!(db.store, tx => { Ok(promotions::insert(tx, &promotion).await?) }).unwrap();
    }
    made.reverse();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(promotions::list(&mut reader, project.id, None, 9).await.unwrap().items, made);
    assert_eq!(promotions::list_of_version(&mut reader, model.id, 2, 9).await.unwrap(), made[1..3]);
    assert_eq!(
        promotions::first_ms(&mut reader, project.id, made[0].endpoint.as_ref().unwrap()).await.unwrap(),
        Some(NOW)
    );
    assert_eq!(promotions::first_ms(&mut reader, project.id, &"other".parse().unwrap()).await.unwrap(), None);
}

async fn a_refusal_is_in_force_until_it_is_lifted(db: &Db) {
    let project = project(&db.store, "p").await;
    let refusal = Refusal {
        project_id: project.id,
        endpoint: "delay".parse().unwrap(),
        release_digest: "r".to_owned(),
        number: 2,
        cause: Cause::person("ada"),
        wall_ms: NOW,
        project_ms: NOW,
    };
    for by in ["ada", "grace"] {
        let refusal = Refusal { cause: Cause::person(by), ..refusal.clone() };
        write_tx!(db.store, tx => { Ok(releases::refuse(tx, &refusal).await?) }).unwrap();
    }
    let find = async |number| {
        let mut reader = db.store.read().await.unwrap();
        releases::find_refusal(&mut reader, project.id, number).await.unwrap()
    };
    assert_eq!(find(2).await.unwrap().cause, Cause::person("grace"));
    assert_eq!(find(3).await, None);
    let version = (project.id, 2);
    let lift = async || {
        write_tx!(db.store, tx => { Ok(releases::lift_refusals(tx, version, "ada", "mended", NOW).await?) }).unwrap()
    };
    assert_eq!((lift().await, lift().await, find(2).await), (1, 0, None));
    write_tx!(db.store, tx => { Ok(releases::refuse(tx, &refusal).await?) }).unwrap();
    assert_eq!(find(2).await.unwrap().cause, Cause::person("ada"), "rolled back again, it is in force again");
}
