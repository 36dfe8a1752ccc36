//! Endpoints: who answers, and how that changes.
//!
//! ```text
//! Decision passed ─▶ no champion: alias moves at once ─▶ live
//!                 └▶ canary ── lasted, enough requests ─▶ promotion
//!                        └──── rollback rule holds ─────▶ rollback, release refused to triggers
//! ```

mod answer;
mod canary;

use std::sync::Arc;

use perennial_config::Endpoint as Declared;
use perennial_core::clock::Instant;
use perennial_core::id::{DecisionId, PromotionId};
use perennial_core::name::EndpointName;
use perennial_core::permission::Permission;
use perennial_core::rule::Verdict;
use perennial_core::state::CanaryEvent;
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::decisions::Decision;
use perennial_store::endpoints::{Endpoint, NewCanary};
use perennial_store::lineage::{Node, NodeKind};
use perennial_store::promotions::{Promotion, PromotionKind};
use perennial_store::registered_models::ModelAlias;
use perennial_store::releases::Refusal;
use perennial_store::{decisions, endpoints, lineage, model_versions, promotions, registered_models, releases};
use serde_json::{Value, json};

use crate::app::{App, Caller, Entry, record, wrong_state};
use crate::decisions::{CHAMPION, Decided, load_version, release_node};
use crate::live::{Answering, Canary, Counts, Deployment};
use crate::pipelines::Context;
use crate::project::{ProjectState, Submission};

pub use answer::{Answer, Extra, Request, answer};
pub(crate) use canary::{judge as judge_canary, next_due as canary_due};

/// What a passed Decision does to the endpoints of the project; one line of what happened.
pub(crate) async fn release(context: &Context, decided: &Decided) -> Result<Option<String>> {
    let Some(decision) = &decided.decision else { return Ok(None) };
    if decision.verdict != Verdict::Pass {
        return Ok(None);
    }
    if let Some(missing) = missing_approval(context, decision).await? {
        return Ok(Some(missing));
    }
    let caller = &context.caller;
    let submission = &context.submission;
    if submission.project.endpoints.is_empty() {
        return Ok(Some(format!("version {} may be released, but no `[endpoints.*]` is declared", decision.number)));
    }
    let mut told = Vec::new();
    for (name, declared) in &submission.project.endpoints {
        if context.is_triggered() && is_refused(caller, &context.project, name, &decision.release_digest).await? {
            told.push(format!(
                "version {} was rolled back at `{name}` before: only a person may release it again",
                decision.number
            ));
            continue;
        }
        told.extend(
            release_at(caller, &context.project, submission, (name, declared), decision, &context.run.cause).await?,
        );
    }
    Ok((!told.is_empty()).then(|| told.join("; ")))
}

async fn missing_approval(context: &Context, decision: &Decision) -> Result<Option<String>> {
    let wanted = context.submission.project.release.as_ref().map(|release| release.approve.clone()).unwrap_or_default();
    let given = releases::list_approvals(
        &mut *context.caller.app.store().read().await?,
        context.project.id,
        &decision.release_digest,
    )
    .await?;
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|role| !given.iter().any(|approval| approval.role == **role))
        .map(|role| role.as_str())
        .collect();
    Ok((!missing.is_empty()).then(|| {
        let short = &decision.release_digest[..12];
        format!(
            "version {} waits for the yes of: {}; `perennial releases approve {short}` gives it",
            decision.number,
            missing.join(", ")
        )
    }))
}

async fn is_refused(caller: &Caller, project: &ProjectState, endpoint: &EndpointName, digest: &str) -> Result<bool> {
    Ok(releases::find_refusal(&mut *caller.app.store().read().await?, project.id, endpoint, digest).await?.is_some())
}

/// Brings a passed Decision to one endpoint: at once without a champion or a declared canary, else as a canary.
async fn release_at(
    caller: &Caller,
    project: &Arc<ProjectState>,
    submission: &Submission,
    (name, declared): (&EndpointName, &Declared),
    decision: &Decision,
    cause: &Value,
) -> Result<Option<String>> {
    let endpoint = find_or_create(caller, project, name, declared, decision).await?;
    if endpoint.champion_number == Some(decision.number)
        || endpoint.canary_number == Some(decision.number)
            && endpoint.canary_state.is_some_and(perennial_core::state::CanaryState::is_live)
    {
        return Ok(None);
    }
    let (Some(_), Some(canary)) = (endpoint.champion_number, &declared.canary) else {
        promote(
            caller,
            project,
            &endpoint,
            decision.number,
            Some(decision.id),
            Some(&decision.release_digest),
            PromotionKind::Promotion,
            cause.clone(),
        )
        .await?;
        return Ok(Some(format!("version {} answers at `{name}`", decision.number)));
    };
    let at = caller.app.now(project);
    let new = NewCanary {
        number: decision.number,
        share: canary.share,
        decision_id: decision.id,
        release_digest: decision.release_digest.clone(),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    let replaced = endpoint
        .canary_number
        .filter(|_| endpoint.canary_state.is_some_and(perennial_core::state::CanaryState::is_live));
    let promotion = promotion(
        caller,
        &endpoint,
        PromotionKind::Canary,
        Some(decision.number),
        Some(decision.id),
        Some(&decision.release_digest),
        cause.clone(),
        at,
    );
    let (stored, cause_text) = (endpoint.clone(), caller.cause.clone());
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                endpoints::start_canary(tx, &stored, &new).await?;
                store_promotion(tx, &promotion, cause_text.as_deref(), at).await
            })
        })
        .await?;
    refresh(&caller.app, project, name, Some(submission)).await?;
    let share = canary.share * 100.0;
    let instead = replaced.map_or_else(String::new, |number| format!(" in place of the canary of version {number}"));
    Ok(Some(format!(
        "version {} is the canary at `{name}`, {share} % for {}{instead}",
        decision.number, canary.lasting
    )))
}

async fn find_or_create(
    caller: &Caller,
    project: &ProjectState,
    name: &EndpointName,
    declared: &Declared,
    decision: &Decision,
) -> Result<Endpoint> {
    if let Some(found) = endpoints::find(&mut *caller.app.store().read().await?, project.id, name).await? {
        return Ok(found);
    }
    let at_ms = caller.app.services.clock.wall_ms();
    let endpoint = Endpoint {
        config: json!({ "declared": format!("{declared:?}") }),
        ..Endpoint::unanswered(project.id, name.clone(), decision.model_id, CHAMPION, at_ms)
    };
    let inserted = endpoint.clone();
    caller.app.store().write(move |tx| Box::pin(async move { Ok(endpoints::insert(tx, &inserted).await?) })).await?;
    Ok(endpoint)
}

#[expect(clippy::too_many_arguments, reason = "a promotion's record, told in full")]
fn promotion(
    caller: &Caller,
    endpoint: &Endpoint,
    kind: PromotionKind,
    to: Option<i64>,
    decision: Option<DecisionId>,
    digest: Option<&str>,
    cause: Value,
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

async fn store_promotion(
    tx: &mut perennial_store::Tx,
    promotion: &Promotion,
    cause: Option<&str>,
    at: Instant,
) -> Result<()> {
    promotions::insert(tx, promotion).await?;
    let node = Node { kind: NodeKind::Promotion, id: promotion.id.to_string() };
    if let Some(digest) = &promotion.release_digest {
        lineage::add(tx, promotion.project_id, &release_node(digest), &node, at.wall_ms).await?;
    }
    if let Some(endpoint) = &promotion.endpoint {
        lineage::add(
            tx,
            promotion.project_id,
            &node,
            &Node { kind: NodeKind::Endpoint, id: endpoint.to_string() },
            at.wall_ms,
        )
        .await?;
    }
    let payload = json!({
        "endpoint": promotion.endpoint, "alias": promotion.alias, "from": promotion.from_number, "to": promotion.to_number,
        "kind": promotion.kind.as_str(), "release": promotion.release_digest, "decision": promotion.decision_id,
    });
    let entry = Entry {
        project: promotion.project_id,
        noun: "promotion",
        subject: promotion.id.to_string(),
        verb: promotion.kind.as_str(),
        actor: &promotion.actor,
        cause,
        at,
        payload,
    };
    record(tx, entry).await
}

/// Moves the alias an endpoint follows, swaps who answers, and returns when no old answer is under way.
#[expect(clippy::too_many_arguments, reason = "a promotion's record, told in full")]
pub(crate) async fn promote(
    caller: &Caller,
    project: &Arc<ProjectState>,
    endpoint: &Endpoint,
    number: i64,
    decision: Option<DecisionId>,
    digest: Option<&str>,
    kind: PromotionKind,
    cause: Value,
) -> Result<()> {
    let at = caller.app.now(project);
    let promotion = promotion(caller, endpoint, kind, Some(number), decision, digest, cause, at);
    let alias =
        ModelAlias { model_id: endpoint.model_id, alias: endpoint.alias.clone(), number, updated_ms: at.wall_ms };
    let (stored, cause_text) = (endpoint.clone(), caller.cause.clone());
    let ends_canary = endpoint.canary_state.is_some_and(perennial_core::state::CanaryState::is_live);
    caller
        .app
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
                store_promotion(tx, &promotion, cause_text.as_deref(), at).await
            })
        })
        .await?;
    refresh(&caller.app, project, &endpoint.name, None).await
}

/// One call back: ends a canary under way, else puts the champion before this one back. Needs no gate.
pub async fn rollback(caller: &Caller, project: &Arc<ProjectState>, name: &EndpointName) -> Result<String> {
    caller.require(Permission::Approve, project)?;
    let endpoint = endpoints::get(&mut *caller.app.store().read().await?, project.id, name).await?;
    let cause = json!({ "kind": "person", "by": caller.principal.name });
    if endpoint.canary_state.is_some_and(perennial_core::state::CanaryState::is_live) {
        let number = endpoint.canary_number.unwrap_or_default();
        end_canary(caller, project, &endpoint, cause).await?;
        return Ok(format!(
            "the canary of version {number} at `{name}` is over; version {} answers alone",
            endpoint.champion_number.unwrap_or_default()
        ));
    }
    let Some(now) = endpoint.champion_number else {
        return Err(wrong_state(format!("nothing answers at `{name}` yet: there is nothing to roll back")));
    };
    let page = promotions::list(&mut *caller.app.store().read().await?, project.id, None, 1_000).await?;
    let current = page.items.iter().find(|promotion| {
        promotion.endpoint.as_ref() == Some(name)
            && promotion.to_number == Some(now)
            && promotion.kind != PromotionKind::Canary
    });
    let Some(before) = current.and_then(|promotion| promotion.from_number) else {
        return Err(wrong_state(format!(
            "version {now} is the first that answered at `{name}`: there is none before it"
        )));
    };
    let digest = release_of(caller, &endpoint, before).await?;
    promote(caller, project, &endpoint, before, None, digest.as_deref(), PromotionKind::Rollback, cause.clone())
        .await?;
    if let Some(refused) = release_of(caller, &endpoint, now).await? {
        refuse(caller, project, &endpoint, &refused, now, &cause).await?;
    }
    Ok(format!("version {before} answers at `{name}` again, version {now} was rolled back"))
}

async fn release_of(caller: &Caller, endpoint: &Endpoint, number: i64) -> Result<Option<String>> {
    let all = releases::list_of_version(&mut *caller.app.store().read().await?, endpoint.model_id, number).await?;
    Ok(all.into_iter().next().map(|release| release.digest))
}

async fn refuse(
    caller: &Caller,
    project: &ProjectState,
    endpoint: &Endpoint,
    digest: &str,
    number: i64,
    cause: &Value,
) -> Result<()> {
    let at = caller.app.now(project);
    let refusal = Refusal {
        project_id: project.id,
        endpoint: endpoint.name.clone(),
        release_digest: digest.to_owned(),
        number,
        cause: cause.to_string(),
        wall_ms: at.wall_ms,
        project_ms: at.project_ms,
    };
    caller.app.store().write(move |tx| Box::pin(async move { Ok(releases::refuse(tx, &refusal).await?) })).await
}

/// Ends a canary by rollback; its release is refused to triggers.
pub(crate) async fn end_canary(
    caller: &Caller,
    project: &Arc<ProjectState>,
    endpoint: &Endpoint,
    cause: Value,
) -> Result<()> {
    let at = caller.app.now(project);
    let digest = endpoint.canary_release_digest.clone();
    let mut promotion = promotion(
        caller,
        endpoint,
        PromotionKind::Rollback,
        endpoint.champion_number,
        endpoint.canary_decision_id,
        digest.as_deref(),
        cause.clone(),
        at,
    );
    promotion.from_number = endpoint.canary_number;
    let (stored, cause_text) = (endpoint.clone(), caller.cause.clone());
    caller
        .app
        .store()
        .write(move |tx| {
            Box::pin(async move {
                endpoints::apply_canary(tx, &stored, CanaryEvent::RollBack, at.wall_ms).await?;
                store_promotion(tx, &promotion, cause_text.as_deref(), at).await
            })
        })
        .await?;
    if let (Some(digest), Some(number)) = (digest, endpoint.canary_number) {
        refuse(caller, project, endpoint, &digest, number, &cause).await?;
    }
    refresh(&caller.app, project, &endpoint.name, None).await
}

/// Reads who should answer at an endpoint and swaps it in; counts of versions that stay are kept.
pub(crate) async fn refresh(
    app: &Arc<App>,
    project: &Arc<ProjectState>,
    name: &EndpointName,
    submission: Option<&Submission>,
) -> Result<()> {
    let endpoint = endpoints::get(&mut *app.store().read().await?, project.id, name).await?;
    let Some(champion) = endpoint.champion_number else { return Ok(()) };
    let present = app.live.find(name.as_str());
    if let Some(place) = &present
        && crate::live::reading(place).project.id != project.id
    {
        return Err(Error::new(
            ErrorCode::AlreadyExists,
            format!("an endpoint `{name}` of another project answers on this server"),
        )
        .hint("give one of the two another name"));
    }
    let known = |number: i64| {
        present
            .as_ref()
            .and_then(|place| crate::live::reading(place).version(number).map(|(_, version)| version.clone()))
    };
    let mut answering = Vec::new();
    let canary_number = endpoint
        .canary_number
        .filter(|_| endpoint.canary_state.is_some_and(perennial_core::state::CanaryState::is_live));
    for number in [Some(champion), canary_number].into_iter().flatten() {
        answering.push(if let Some(version) = known(number) {
            version
        } else {
            let version = model_versions::get(&mut *app.store().read().await?, endpoint.model_id, number).await?;
            Answering { number, model: load_version(app, &version).await?, counts: Arc::default() }
        });
    }
    let latest = project.find_submission();
    let declared =
        submission.or(latest.as_deref()).and_then(|submission| submission.project.endpoints.get(name).cloned());
    let key = submission
        .or(latest.as_deref())
        .and_then(|submission| submission.project.task.as_ref().map(|task| task.key.clone()))
        .unwrap_or_default();
    let mut answering = answering.into_iter();
    let Some(mut champion) = answering.next() else { return Ok(()) };
    let canary = answering.next().map(|version| {
        let version = Answering { counts: Arc::new(Counts::default()), ..version };
        let salt = format!("{}:{}", endpoint.canary_decision_id.map(|id| id.to_string()).unwrap_or_default(), name);
        Canary { version, share: endpoint.canary_share.unwrap_or_default(), salt }
    });
    if canary.is_some() {
        // What a rollback rule compares begins with the canary.
        champion.counts = Arc::new(Counts::default());
    }
    let deployment = Deployment {
        project: project.clone(),
        endpoint: name.clone(),
        log: format!("{}/{name}", project.id),
        durability: declared
            .as_ref()
            .map_or(perennial_core::port::prediction::Durability::Logged, |declared| declared.log),
        key,
        generation: endpoint.generation,
        champion,
        canary,
    };
    let shared = app.clone();
    tokio::task::spawn_blocking(move || shared.live.swap(deployment))
        .await
        .map_err(|panic| Error::internal("a swap ended abruptly", panic))
}

/// Brings every endpoint that has a champion to life, after a start.
pub async fn open_all(app: &Arc<App>) -> Result<()> {
    let all = endpoints::list_everywhere(&mut *app.store().read().await?).await?;
    for endpoint in all.into_iter().filter(|endpoint| endpoint.champion_number.is_some()) {
        let project = app.project(endpoint.project_id).await?;
        refresh(app, &project, &endpoint.name, None).await?;
        canary::restore_counts(app, &project, &endpoint).await?;
    }
    Ok(())
}

/// The decision a canary or champion stands on.
pub async fn decision(caller: &Caller, project: &ProjectState, id: DecisionId) -> Result<Decision> {
    caller.require(Permission::Read, project)?;
    Ok(decisions::get(&mut *caller.app.store().read().await?, id).await?)
}
