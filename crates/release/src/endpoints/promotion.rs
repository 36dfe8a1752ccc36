//! Promotions and rollbacks: a version moves to an alias, with its record and its refusals, and the endpoints that
//! follow the alias answer with it.

use std::sync::Arc;

use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::clock::Instant;
use perennial_core::entity::{Endpoint, ModelAlias, Promotion, PromotionKind, Refusal};
use perennial_core::id::{DecisionId, PromotionId};
use perennial_core::ledger::{Chain, PROMOTION};
use perennial_core::lineage::{Node, NodeKind};
use perennial_core::name::EndpointName;
use perennial_core::permission::Permission;
use perennial_core::state::CanaryEvent;
use perennial_kernel::{Caller, Kernel, LedgerEvent, Recorder, wrong_state};
use perennial_projects::ProjectState;
use perennial_store::{endpoints, lineage, promotions, registered_models, releases};
use serde_json::json;

use super::{Behind, Endpoints};
use crate::decisions::release_node;
use crate::releases::PROMOTIONS_READ;

#[expect(clippy::too_many_arguments, reason = "a promotion's record, lines in full")]
pub(super) fn promotion(
    caller: &Caller,
    endpoint: &Endpoint,
    kind: PromotionKind,
    to: Option<i64>,
    decision: Option<DecisionId>,
    digest: Option<&str>,
    cause: Cause,
    at: Instant,
) -> Promotion {
    Promotion {
        id: PromotionId::generate(),
        project_id: endpoint.project_id,
        endpoint: Some(endpoint.name.clone()),
        model_id: endpoint.model_id,
        alias: endpoint.alias.clone(),
        from_number: endpoint.champion_number,
        to_number: to,
        kind,
        decision_id: decision,
        release_digest: digest.map(str::to_owned),
        cause,
        actor: caller.principal.name.clone(),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    }
}

/// Stores the promotions of a transaction, one for each endpoint whose routes it changed, as its last write; the first has the
/// refusal of the release that was rolled back.
pub(super) async fn store_promotions(
    tx: &mut perennial_store::Tx,
    changes: &[Promotion],
    refusal: Option<&Refusal>,
    cause: Option<&str>,
    at: Instant,
) -> Result<()> {
    for promotion in changes {
        promotions::insert(tx, promotion).await?;
        let node = Node { kind: NodeKind::Promotion, id: promotion.id.to_string() };
        if let Some(digest) = &promotion.release_digest {
            lineage::add(tx, promotion.project_id, &release_node(digest), &node, at.wall_ms).await?;
        }
        if let Some(endpoint) = &promotion.endpoint {
            let answering = Node { kind: NodeKind::Endpoint, id: endpoint.to_string() };
            lineage::add(tx, promotion.project_id, &node, &answering, at.wall_ms).await?;
        }
    }
    if let Some(refusal) = refusal {
        releases::refuse(tx, refusal).await?;
    }
    for promotion in changes {
        let event = LedgerEvent {
            chain: Chain::Project(promotion.project_id),
            noun: PROMOTION,
            subject: promotion.id.to_string(),
            verb: promotion.kind.as_str(),
            payload: promotion.ledger_payload(),
        };
        Recorder { actor: promotion.actor.clone(), cause: cause.map(str::to_owned), at }.record(tx, event).await?;
    }
    let Some((refusal, promotion)) = refusal.zip(changes.first()) else { return Ok(()) };
    let event = LedgerEvent {
        chain: Chain::Project(refusal.project_id),
        noun: "release",
        subject: refusal.release_digest.clone(),
        verb: "refuse",
        payload: json!({ "endpoint": refusal.endpoint, "number": refusal.number, "promotion": promotion.id }),
    };
    Recorder { actor: promotion.actor.clone(), cause: cause.map(str::to_owned), at }.record(tx, event).await
}

impl Endpoints {
    /// Moves the alias that an endpoint follows, replaces the deployment of every endpoint that follows the alias, and returns
    /// when no request holds an earlier one. A version that cannot answer is refused, and nothing changes. A rollback records,
    /// in the same transaction, that the rolled-back version is refused. The recorded promotion stays valid when an
    /// endpoint could not be switched yet.
    #[expect(clippy::too_many_arguments, reason = "a promotion's record, lines in full")]
    pub(crate) async fn promote(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
        number: i64,
        decision: Option<DecisionId>,
        digest: Option<&str>,
        kind: PromotionKind,
        cause: Cause,
        refusal: Option<Refusal>,
    ) -> Result<Behind> {
        let ready = self.ready(project, endpoint, number).await?;
        let at = project.now();
        let promotion = promotion(caller, endpoint, kind, Some(number), decision, digest, cause, at);
        let alias =
            ModelAlias { model_id: endpoint.model_id, alias: endpoint.alias.clone(), number, updated_ms: at.wall_ms };
        let (stored, cause_text) = (endpoint.clone(), caller.cause_text());
        let ends_canary = endpoint.has_active_canary();
        let (shared, project) = (self.clone(), project.clone());
        // The record and the swap complete together, even when the caller is dropped in between.
        let promoted = self.kernel.work.finish("promotion", async move {
            let switched = shared
                .kernel
                .store()
                .write(move |tx| {
                    Box::pin(async move {
                        let mut current = stored;
                        if ends_canary {
                            let event = if current.canary_number == Some(number) {
                                CanaryEvent::Promote
                            } else {
                                CanaryEvent::RollBack
                            };
                            endpoints::apply_canary(tx, &current, event, at.wall_ms).await?;
                            current = endpoints::get(tx, current.project_id, &current.name).await?;
                        }
                        registered_models::set_alias(tx, &alias).await?;
                        endpoints::set_champion(tx, &current, Some(number), at.project_ms, at.wall_ms).await?;
                        let (mut switched, mut promotions) = (vec![current.name], vec![promotion]);
                        for follower in endpoints::list_following(tx, alias.model_id, &alias.alias).await? {
                            if follower.champion_number != Some(number) && !follower.is_retired() {
                                endpoints::set_champion(tx, &follower, Some(number), at.project_ms, at.wall_ms).await?;
                                promotions.push(Promotion {
                                    id: PromotionId::generate(),
                                    endpoint: Some(follower.name.clone()),
                                    from_number: follower.champion_number,
                                    ..promotions[0].clone()
                                });
                                switched.push(follower.name);
                            }
                        }
                        store_promotions(tx, &promotions, refusal.as_ref(), cause_text.as_deref(), at).await?;
                        Ok(switched)
                    })
                })
                .await?;
            Ok(shared.refresh_recorded(&project, &switched, Some(&ready)).await)
        });
        promoted.await.ok_or_else(|| wrong_state("the server stopped while the promotion was under way"))?
    }
}

impl Endpoints {
    /// Ends the active canary, or else restores the previous champion, without gates. The version that was rolled back is
    /// refused until a person releases it again.
    pub async fn rollback(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        name: &EndpointName,
        reason: Option<&str>,
    ) -> Result<String> {
        caller.require(Permission::Approve, project.id)?;
        let endpoint = endpoints::get(&mut *self.kernel.store().read().await?, project.id, name).await?;
        let note = reason.map(str::trim).filter(|reason| !reason.is_empty()).map(str::to_owned);
        let cause = Cause::Person { by: caller.principal.name.clone(), note };
        if endpoint.has_active_canary() {
            let number = endpoint.canary_number.unwrap_or_default();
            let behind = self.end_canary(caller, project, &endpoint, cause).await?;
            return Ok(format!(
                "the canary of version {number} at `{name}` is over; version {} answers alone{behind}",
                endpoint.champion_number.unwrap_or_default()
            ));
        }
        let Some(now) = endpoint.champion_number else {
            return Err(wrong_state(format!("nothing answers at `{name}` yet: there is nothing to roll back")));
        };
        let Some(before) = champion_before(&caller.kernel, &endpoint).await? else {
            return Err(wrong_state(format!(
                "version {now} is the first that answered at `{name}`: there is none before it"
            )));
        };
        let digest = release_of(caller, &endpoint, before).await?;
        let refused = release_of(caller, &endpoint, now).await?;
        let refusal = refused.map(|digest| refusal(project, &endpoint, digest, now, &cause));
        let (kind, digest) = (PromotionKind::Rollback, digest.as_deref());
        let behind = self.promote(caller, project, &endpoint, before, None, digest, kind, cause, refusal).await?;
        Ok(format!("version {before} answers at `{name}` again, version {now} was rolled back{behind}"))
    }
}

/// The version that a rollback brings back: the one that the champion was promoted in place of.
pub(crate) async fn champion_before(kernel: &Kernel, endpoint: &Endpoint) -> Result<Option<i64>> {
    let Some(now) = endpoint.champion_number else { return Ok(None) };
    let mut reader = kernel.store().read().await?;
    let known = promotions::list_of_version(&mut reader, endpoint.model_id, now, PROMOTIONS_READ).await?;
    let is_promotion = |promotion: &Promotion| {
        promotion.kind == PromotionKind::Promotion
            && promotion.to_number == Some(now)
            && promotion.from_number.is_some()
    };
    Ok(known.into_iter().find(is_promotion).and_then(|promotion| promotion.from_number))
}

/// The release that made a version champion; without a record, the newest release of the version.
async fn release_of(caller: &Caller, endpoint: &Endpoint, number: i64) -> Result<Option<String>> {
    let mut reader = caller.kernel.store().read().await?;
    let changes = promotions::list_of_version(&mut reader, endpoint.model_id, number, PROMOTIONS_READ).await?;
    let is_champion = |change: &&Promotion| change.to_number == Some(number) && change.kind != PromotionKind::Canary;
    if let Some(digest) = changes.iter().filter(is_champion).find_map(|change| change.release_digest.clone()) {
        return Ok(Some(digest));
    }
    let newest = releases::list_of_version(&mut reader, endpoint.model_id, number, 1).await?;
    Ok(newest.into_iter().next().map(|release| release.digest))
}

/// A version that is not released again until a person names it.
fn refusal(project: &ProjectState, endpoint: &Endpoint, digest: String, number: i64, cause: &Cause) -> Refusal {
    let at = project.now();
    Refusal {
        project_id: project.id,
        endpoint: endpoint.name.clone(),
        release_digest: digest,
        number,
        cause: cause.clone(),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    }
}

impl Endpoints {
    /// Ends a canary by rollback. Its version is refused, unless the canary ends because it is no longer declared.
    pub(crate) async fn end_canary(
        self: &Arc<Self>,
        caller: &Caller,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
        cause: Cause,
    ) -> Result<Behind> {
        let at = project.now();
        let digest = endpoint.canary_release_digest.clone();
        let mut promotion = promotion(
            caller,
            endpoint,
            PromotionKind::Rollback,
            None,
            endpoint.canary_decision_id,
            digest.as_deref(),
            cause.clone(),
            at,
        );
        promotion.from_number = endpoint.canary_number;
        let is_refused = !matches!(cause, Cause::DeclarationGone {});
        let refusal = digest
            .zip(endpoint.canary_number)
            .filter(|_| is_refused)
            .map(|(digest, number)| refusal(project, endpoint, digest, number, &cause));
        let (stored, cause_text) = (endpoint.clone(), caller.cause_text());
        self.as_one(project, &endpoint.name, None, move |tx| {
            Box::pin(async move {
                endpoints::apply_canary(tx, &stored, CanaryEvent::RollBack, at.wall_ms).await?;
                store_promotions(tx, &[promotion], refusal.as_ref(), cause_text.as_deref(), at).await
            })
        })
        .await
    }
}
