//! Evidence, decisions, releases, approvals, promotions.

use perennial_core::ErrorCode;
use perennial_core::cause::Cause;
use perennial_core::entity::{
    Approval, Decision, DecisionBody, Evidence, ModelVersion, Project, Promotion, PromotionKind, Refusal,
    RegisteredModel, Release,
};
use perennial_core::id::{ApprovalId, DecisionId, EvidenceId, PromotionId};
use perennial_core::permission::Role;
use perennial_core::release::ReleaseContent;
use perennial_core::rule::Verdict;
use perennial_store::{decisions, evidence, model_versions, principals, promotions, releases, step_runs};
use serde_json::json;

use crate::db::{Db, on_both, write_tx};
use crate::fixtures::{NOW, pipeline_run, principal, project, step_run};
use crate::registry::{make_version, model, register};

on_both! {
    what_a_release_names_cannot_be_deleted,
    a_release_of_the_same_content_is_the_same,
    a_person_approves_once_in_a_role,
    a_decision_reads_back_with_its_evidence,
    promotions_are_listed_by_version,
    a_refused_version_is_found_with_its_newest_cause,
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

async fn a_person_approves_once_in_a_role(db: &Db) {
    let project = project(&db.store, "p").await;
    let ada = principal("ada");
    let approval = |role| Approval {
        id: ApprovalId::generate(),
        project_id: project.id,
        release_digest: "r".to_owned(),
        role,
        principal_id: ada.id,
        note: Some("looks right".to_owned()),
        wall_ms: NOW,
        project_ms: NOW,
    };
    let (one, again, other) = (approval(Role::Approver), approval(Role::Approver), approval(Role::Admin));
    let (who, kept) = (ada.clone(), [one.clone(), other.clone()]);
    write_tx!(db.store, tx => {
        principals::insert(tx, &who).await?;
        releases::approve(tx, &one).await?;
        releases::approve(tx, &other).await?;
        Ok(())
    })
    .unwrap();
    write_tx!(db.store, tx => { Ok(releases::approve(tx, &again).await?) }).unwrap_err();
    let mut reader = db.store.read().await.unwrap();
    assert_eq!(releases::list_approvals(&mut reader, project.id, "r").await.unwrap(), kept);
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

async fn a_refused_version_is_found_with_its_newest_cause(db: &Db) {
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
    let mut reader = db.store.read().await.unwrap();
    let found = releases::find_refusal(&mut reader, project.id, &refusal.endpoint, 2).await.unwrap();
    assert_eq!(found.unwrap().cause, Cause::person("grace"));
    assert_eq!(releases::find_refusal(&mut reader, project.id, &refusal.endpoint, 3).await.unwrap(), None);
}
