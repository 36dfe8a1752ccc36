//! Endpoints: their routes, and the changes of them.
//!
//! ```text
//! Decision passed, approved ─▶ no champion: alias moves at once ─▶ serving
//!                           └▶ canary ── lasted, enough requests ─▶ promotion
//!                                  └──── rollback rule holds ─────▶ rollback, version refused until a person names it
//! ```

mod answer;
mod approved;
mod canary;
mod catch_up;
mod opening;
mod predictions;
mod promotion;
mod reconcile;
mod unlogged;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use perennial_config::Task;
use perennial_core::Result;
use perennial_core::cause::Cause;
use perennial_core::entity::{Decision, Endpoint, NewCanary, PromotionKind, WorkKind};
use perennial_core::id::{ModelId, ProjectId};
use perennial_core::model::{InputTime, Signature};
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::rule::Verdict;
use perennial_core::state::CanaryEvent;
use perennial_store::{dataset_versions, datasets, endpoints, model_versions, promotions};
use tokio::sync::Notify;

use crate::decisions::{CHAMPION, load_version};
use crate::releases::PROMOTIONS_READ;
use crate::releasing::Releasing;
use crate::router::{Deployment, EndpointRouter, KeyColumn, LoadedVersion, Route, Routes};
use crate::{approvals, refusals};
use perennial_ingest::Ingest;
use perennial_kernel::attempts::{self, Work};
use perennial_kernel::{Caller, Kernel, LockRank, OrderedMutex, wrong_state};
use perennial_projects::{ProjectState, Projects, Submission};

use crate::catalog;

pub use answer::{Answer, Extra, Request};
pub(crate) use catch_up::Behind;
pub use catch_up::EndpointFault;
use catch_up::Retries;
use opening::Uncounted;
pub use perennial_config::REQUEST_BYTES_MAX;
pub(crate) use promotion::champion_before;
use promotion::{promotion, store_promotions};
pub(crate) use reconcile::followed;
use unlogged::Unlogged;

/// The endpoints of this server, with their routes.
pub struct Endpoints {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) projects: Arc<Projects>,
    pub(crate) ingest: Arc<Ingest>,
    /// The deployment that answers at each endpoint now.
    pub router: EndpointRouter,
    /// One evaluation of canaries at a time in each project.
    evaluating: Mutex<HashMap<ProjectId, OrderedMutex>>,
    retries: Retries,
    unlogged: Unlogged,
    /// The endpoints with an alert about a model that computes nothing.
    failing: Mutex<HashSet<(ProjectId, EndpointName)>>,
    uncounted: Uncounted,
    /// Notified when an approved release has continued.
    pub(crate) continued: Notify,
}

impl Endpoints {
    /// No endpoint answers yet: [`Endpoints::open_all`] opens them.
    pub fn new(kernel: Arc<Kernel>, projects: Arc<Projects>, ingest: Arc<Ingest>) -> Arc<Self> {
        let (router, evaluating, retries) = (EndpointRouter::default(), Mutex::default(), Retries::default());
        let (unlogged, failing, uncounted) = (Unlogged::default(), Mutex::default(), Uncounted::default());
        let continued = Notify::new();
        Arc::new(Self {
            kernel,
            projects,
            ingest,
            router,
            evaluating,
            retries,
            unlogged,
            failing,
            uncounted,
            continued,
        })
    }

    /// The lock that one evaluation of a project's canaries holds.
    pub fn evaluating(&self, project: ProjectId) -> OrderedMutex {
        let mut evaluating = self.evaluating.lock().unwrap_or_else(PoisonError::into_inner);
        evaluating.entry(project).or_insert_with(|| OrderedMutex::new(LockRank::Canaries)).clone()
    }
}

impl Endpoints {
    /// Brings the version of a passed Decision to the endpoints of the project, unless it waits for approvals or is refused.
    /// Returns a line for each change, or for what it waits for.
    pub(crate) async fn release(
        self: &Arc<Self>,
        releasing: &Releasing<'_>,
        decision: Option<&Decision>,
    ) -> Result<Vec<String>> {
        let mut lines = if releasing.has_approver { self.follow_alias(releasing).await? } else { Vec::new() };
        let Some(decision) = decision.filter(|decision| decision.verdict == Verdict::Pass) else {
            return Ok(lines);
        };
        lines.extend(self.release_passed(releasing, decision).await?);
        Ok(lines)
    }

    async fn release_passed(self: &Arc<Self>, releasing: &Releasing<'_>, decision: &Decision) -> Result<Vec<String>> {
        let (project, number) = (releasing.project, decision.number);
        let declared = &releasing.submission.project.endpoints;
        if declared.is_empty() {
            return Ok(vec![format!("version {number} may be released, but no `[endpoints.*]` is declared")]);
        }
        let mut stored = endpoints::list(&mut *self.kernel.store().read().await?, project.id).await?;
        stored.retain(|endpoint| declared.contains_key(&endpoint.name) && !endpoint.is_retired());
        let is_trial = |endpoint: &Endpoint| {
            endpoint.has_active_canary() && endpoint.canary_release_digest.as_ref() == Some(&decision.release_digest)
        };
        if stored.iter().any(is_trial) {
            return Ok(Vec::new());
        }
        if let Some(refused) = refusals::refusal_of(&self.kernel, project.id, decision).await? {
            match releasing.again {
                Some(reason) => refusals::lift(releasing, decision, reason).await?,
                None => return Ok(vec![format!("{refused}; `perennial release --again REASON` releases it again")]),
            }
        }
        if let Some(line) = approvals::request(releasing, decision).await? {
            return Ok(vec![line]);
        }
        self.release_approved(releasing, decision).await
    }

    /// Brings the version of a passed Decision that has its approvals to the endpoints of the project.
    ///
    /// All of them follow one alias. Where one declares a canary, only that one changes now, and the
    /// alias moves for all when its canary has lasted.
    pub(crate) async fn release_approved(
        self: &Arc<Self>,
        releasing: &Releasing<'_>,
        decision: &Decision,
    ) -> Result<Vec<String>> {
        let Releasing { caller, project, submission, cause, .. } = releasing;
        let number = decision.number;
        let mut endpoints = Vec::new();
        for (name, declared) in &submission.project.endpoints {
            endpoints.push((find_or_create(caller, submission, project, name, decision.model_id).await?, declared));
        }
        let Some((first, _)) = endpoints.first() else {
            return Ok(vec![format!("version {number} may be released, but no `[endpoints.*]` is declared")]);
        };
        if endpoints.iter().all(|(endpoint, _)| endpoint.champion_number == Some(number)) {
            return Ok(Vec::new());
        }
        let champion = endpoints.iter().find_map(|(endpoint, _)| endpoint.champion_number);
        if champion.is_some() && champion != decision.champion_number {
            return Err(wrong_state("the champion has changed since the candidate was evaluated")
                .with_hint("run it again: it is then compared with the version that answers now"));
        }
        let trial = endpoints
            .iter()
            .filter(|_| champion.is_some())
            .find_map(|(endpoint, declared)| Some((endpoint, declared.canary.as_ref()?)));
        if let Some((endpoint, canary)) = trial {
            return Ok(self.start_canary(releasing, endpoint, canary, decision).await?.into_iter().collect());
        }
        let (id, digest) = (Some(decision.id), Some(decision.release_digest.as_str()));
        let (kind, cause) = (PromotionKind::Promotion, (*cause).clone());
        let behind = self.promote(caller, project, first, number, id, digest, kind, cause, None).await?;
        let names: Vec<String> = endpoints.iter().map(|(endpoint, _)| format!("`{}`", endpoint.name)).collect();
        Ok(vec![format!("version {number} answers at {}{behind}", names.join(", "))])
    }
}

impl Endpoints {
    /// An endpoint that was declared after its model was released answers from the version the alias names.
    async fn follow_alias(self: &Arc<Self>, releasing: &Releasing<'_>) -> Result<Vec<String>> {
        let Releasing { caller, project, submission, .. } = releasing;
        let mut lines = Vec::new();
        let Some(champion) = catalog::champion(&self.kernel, project).await? else {
            return Ok(lines);
        };
        for name in submission.project.endpoints.keys() {
            let endpoint = find_or_create(caller, submission, project, name, champion.model_id).await?;
            if endpoint.champion_number.is_some() {
                continue;
            }
            let before = promotions::list_of_version(
                &mut *self.kernel.store().read().await?,
                champion.model_id,
                champion.number,
                PROMOTIONS_READ,
            )
            .await?;
            let by = before.into_iter().find(|promotion| promotion.to_number == Some(champion.number));
            let (decision, digest) = by.map_or((None, None), |by| (by.decision_id, by.release_digest));
            let cause = Cause::Declared { endpoint: name.clone() };
            let kind = PromotionKind::Promotion;
            let number = champion.number;
            let behind = self
                .promote(caller, project, &endpoint, number, decision, digest.as_deref(), kind, cause, None)
                .await?;
            lines.push(format!("version {number} answers at `{name}`, which is new{behind}"));
        }
        Ok(lines)
    }
}

impl Endpoints {
    /// Loads a version for an endpoint. Called before a change of the endpoint is recorded, so that a version that cannot
    /// answer is refused and nothing changes, and the later swap does not wait for the loading.
    async fn ready(
        self: &Arc<Self>,
        project: &ProjectState,
        endpoint: &Endpoint,
        number: i64,
    ) -> Result<LoadedVersion> {
        match self.answering(project.id, &endpoint.name, number) {
            Some(version) => Ok(version),
            None => load(&self.kernel, endpoint, number).await,
        }
    }
}

impl Endpoints {
    /// A version that answers at an endpoint now.
    fn answering(&self, project: ProjectId, name: &EndpointName, number: i64) -> Option<LoadedVersion> {
        self.router.find_in(project, name.as_str())?.routes.find(number).map(|route| route.version.clone())
    }
}

async fn load(kernel: &Arc<Kernel>, endpoint: &Endpoint, number: i64) -> Result<LoadedVersion> {
    let version = model_versions::get(&mut *kernel.store().read().await?, endpoint.model_id, number).await?;
    let work = Work {
        project: endpoint.project_id,
        kind: WorkKind::Model,
        subject: version.content_digest.clone().unwrap_or_else(|| format!("{}/{number}", endpoint.model_id)),
        description: format!("version {number} of the model of endpoint `{}`", endpoint.name),
    };
    let model = attempts::guard(kernel, work, Box::pin(load_version(kernel, &version))).await?;
    Ok(LoadedVersion { number, model, stats: Arc::default() })
}

impl Endpoints {
    /// Gives a passed Decision's version its share of the traffic at one endpoint.
    async fn start_canary(
        self: &Arc<Self>,
        releasing: &Releasing<'_>,
        endpoint: &Endpoint,
        canary: &perennial_config::Canary,
        decision: &Decision,
    ) -> Result<Option<String>> {
        let Releasing { caller, project, cause, .. } = releasing;
        let name = &endpoint.name;
        let is_active = endpoint.has_active_canary();
        // A release with another configuration starts a new canary, which follows its own conditions and is recorded with that release.
        if is_active && endpoint.canary_release_digest.as_ref() == Some(&decision.release_digest) {
            return Ok(None);
        }
        let ready = self.ready(project, endpoint, decision.number).await?;
        let at = project.now();
        let new = NewCanary {
            number: decision.number,
            share: canary.share,
            decision_id: decision.id,
            release_digest: decision.release_digest.clone(),
            wall_ms: at.wall_ms,
            project_ms: at.project_ms,
        };
        let replaced = endpoint.canary_number.filter(|_| is_active);
        let promotion = promotion(
            caller,
            endpoint,
            PromotionKind::Canary,
            Some(decision.number),
            Some(decision.id),
            Some(&decision.release_digest),
            (*cause).clone(),
            at,
        );
        let (stored, cause_text) = (endpoint.clone(), caller.cause_text());
        let champion = endpoint.champion_number.and_then(|number| self.answering(project.id, name, number));
        let asked = champion.map_or_else(String::new, |champion| {
            new_inputs_note(ready.model.signature(), champion.model.signature(), champion.number)
        });
        let change = self.as_one(project, name, Some(ready), move |tx| {
            Box::pin(async move {
                let mut current = stored;
                if replaced.is_some() {
                    endpoints::apply_canary(tx, &current, CanaryEvent::Replace, at.wall_ms).await?;
                    current = endpoints::get(tx, current.project_id, &current.name).await?;
                }
                endpoints::start_canary(tx, &current, &new).await?;
                store_promotions(tx, &[promotion], None, cause_text.as_deref(), at).await
            })
        });
        let behind = change.await?;
        let share = canary.share * 100.0;
        let instead =
            replaced.map_or_else(String::new, |number| format!(" in place of the canary of version {number}"));
        Ok(Some(format!(
            "version {} is the canary at `{name}`, {share} % for {}{instead}{asked}{behind}",
            decision.number, canary.duration
        )))
    }
}

/// A sentence about the inputs that a canary requires and the champion does not: how requests without them are
/// answered.
fn new_inputs_note(version: &Signature, champion: &Signature, number: i64) -> String {
    let new = version.inputs.iter().filter(|input| !champion.inputs.contains(input));
    let new: Vec<String> = new.map(|input| format!("`{}` ({})", input.name, input.kind)).collect();
    if new.is_empty() {
        return String::new();
    }
    format!(
        "; it asks for {}, which version {number} does not: version {number} still answers requests without it, and \
         the canary waits until it has answered enough requests with it",
        new.join(", ")
    )
}

/// The endpoint of a name that a project file declares, which it follows from now on.
async fn find_or_create(
    caller: &Caller,
    submission: &Submission,
    project: &ProjectState,
    name: &EndpointName,
    model: ModelId,
) -> Result<Endpoint> {
    let found = endpoints::find(&mut *caller.kernel.store().read().await?, project.id, name).await?;
    if let Some(found) = found {
        return reconcile::follow(&caller.kernel, submission, found).await;
    }
    let (at_ms, config) = (caller.kernel.services.clock.wall_ms(), reconcile::config(submission));
    let endpoint = Endpoint { config, ..Endpoint::unanswered(project.id, name.clone(), model, CHAMPION, at_ms) };
    let inserted = endpoint.clone();
    caller.kernel.store().write(move |tx| Box::pin(async move { Ok(endpoints::insert(tx, &inserted).await?) })).await?;
    Ok(endpoint)
}

impl Endpoints {
    /// Records a change of an endpoint's versions and swaps it in. Both complete even when the caller is dropped in
    /// between. A recorded change stands, also when it could not be swapped in yet.
    async fn as_one(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        name: &EndpointName,
        ready: Option<LoadedVersion>,
        change: impl for<'a> FnOnce(&'a mut perennial_store::Tx) -> BoxFuture<'a, Result<()>> + Send + 'static,
    ) -> Result<Behind> {
        let (shared, project, name) = (self.clone(), project.clone(), name.clone());
        let changed = self.kernel.work.finish("change of a canary", async move {
            shared.kernel.store().write(change).await?;
            Ok(shared.refresh_recorded(&project, &[name], ready.as_ref()).await)
        });
        changed.await.ok_or_else(|| wrong_state("the server stopped while the canary was changed"))?
    }
}

impl Endpoints {
    /// Reads who should answer at an endpoint and swaps it in, the version that was made `ready` before among them;
    /// counts of versions that stay are kept.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        name: &EndpointName,
        ready: Option<&LoadedVersion>,
    ) -> Result<()> {
        let endpoint = endpoints::get(&mut *self.kernel.store().read().await?, project.id, name).await?;
        let Some(champion) = endpoint.champion_number else {
            self.router.remove(project.id, name, endpoint.generation).await;
            return Ok(());
        };
        let ready = |number: i64| {
            let ready = ready.filter(|ready| ready.number == number)?;
            Some(LoadedVersion { stats: Arc::default(), ..ready.clone() })
        };
        // Statistics belong to a version in its role.
        let stays = |number: i64, role: TrafficRole| {
            let deployment = self.router.find_in(project.id, name.as_str())?;
            let Route { version, role: before, .. } = deployment.routes.find(number)?;
            let stats = if *before == role { version.stats.clone() } else { Arc::default() };
            Some(LoadedVersion { stats, ..version.clone() })
        };
        let version = async |number: i64, role: TrafficRole| match stays(number, role).or_else(|| ready(number)) {
            Some(version) => Ok(version),
            None => load(&self.kernel, &endpoint, number).await,
        };
        let champion = version(champion, TrafficRole::Champion).await?;
        let Some(number) = endpoint.canary_number.filter(|_| endpoint.has_active_canary()) else {
            return self.deploy(project, &endpoint, champion, None).await;
        };
        if self.router.find_in(project.id, name.as_str()).is_none() {
            // The champion answers while the canary is loaded.
            self.deploy(project, &endpoint, champion.clone(), None).await?;
        }
        match version(number, TrafficRole::Canary).await {
            Ok(canary) => self.deploy(project, &endpoint, champion, Some(canary)).await,
            Err(error) => {
                // The champion answers alone until the canary can.
                self.deploy(project, &endpoint, champion, None).await?;
                Err(error.with_message(format!("the canary, version {number}, does not answer: {}", error.chain())))
            }
        }
    }

    /// Swaps in the versions of an endpoint, by the project file that it follows.
    async fn deploy(
        &self,
        project: &Arc<ProjectState>,
        endpoint: &Endpoint,
        mut champion: LoadedVersion,
        canary: Option<LoadedVersion>,
    ) -> Result<()> {
        let name = &endpoint.name;
        let followed = followed(&self.kernel, project, endpoint).await;
        let said = followed.as_ref().map(|submission| &submission.project);
        let declared = said.and_then(|said| said.endpoints.get(name));
        let key = match said.and_then(|said| said.task.as_ref()) {
            Some(task) => key_columns(&self.kernel, project.id, task).await?,
            None => Vec::new(),
        };
        let salt = format!("{}:{}", endpoint.canary_decision_id.map(|id| id.to_string()).unwrap_or_default(), name);
        let current = self.router.find_in(project.id, name.as_str());
        let is_same_canary =
            current.is_some_and(|current| current.routes.canary().is_some() && current.routes.salt() == salt);
        let routes = match canary {
            None => Routes::new(champion),
            Some(mut version) => {
                if !is_same_canary {
                    // A rollback rule compares requests since the canary began.
                    version.stats = Arc::default();
                    champion.stats = Arc::default();
                }
                let share = endpoint.canary_share.unwrap_or_default();
                Routes::with_shares(champion, vec![Route { version, role: TrafficRole::Canary, share }], salt)
            }
        };
        let deployment = Deployment {
            project: project.clone(),
            endpoint: name.clone(),
            log: perennial_ingest::predictions::log_of(project.id, name),
            durability: declared.map_or(perennial_core::port::prediction::Durability::Batched, |declared| declared.log),
            body_bytes_max: declared.map_or(REQUEST_BYTES_MAX, |declared| declared.max_body.bytes()),
            key,
            zone: followed.as_ref().map_or(TimeZone::UTC, |submission| submission.zone.clone()),
            generation: endpoint.generation,
            routes,
        };
        self.router.replace(deployment).await;
        Ok(())
    }
}

/// The key columns of a task, by the latest version of its data.
async fn key_columns(kernel: &Kernel, project: ProjectId, task: &Task) -> Result<Vec<KeyColumn>> {
    let mut reader = kernel.store().read().await?;
    let schema = match datasets::find_by_name(&mut reader, project, &task.data).await? {
        Some(dataset) => dataset_versions::find_latest(&mut reader, dataset.id).await?.map(|version| version.schema),
        None => None,
    };
    let time = |name: &String| InputTime::of(&schema.as_ref()?.field(name)?.class);
    Ok(task.key.iter().map(|name| KeyColumn { name: name.clone(), time: time(name) }).collect())
}

#[cfg(test)]
mod tests;
