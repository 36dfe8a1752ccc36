//! Catching up: a change of an endpoint is recorded first and swapped in afterwards. A swap that fails leaves the
//! record as it is; the scheduler's tick compares the generations and swaps in what is behind.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use perennial_core::entity::Endpoint;
use perennial_core::id::ProjectId;
use perennial_core::name::EndpointName;
use perennial_core::{Error, Result};
use perennial_kernel::Caller;
use perennial_kernel::alerts::{self, AlertSubject};
use perennial_projects::ProjectState;
use serde_json::json;

use super::Endpoints;
use crate::router::LoadedVersion;

/// The interval between a failed swap and its retry, on the wall clock; each further failure doubles it.
const RETRY_MS_MIN: i64 = 10_000;
/// The name of the alert about an endpoint that does not answer as recorded.
const NOT_READY: &str = "not_ready";
/// The name of the alert about an endpoint whose model computes nothing.
const MODEL_FAILED: &str = "model_failed";
/// How long the opening of an endpoint after a start may take, before the scheduler tries, too.
const OPENING_MS_MAX: i64 = 10 * 60_000;
/// The maximum interval between two retries.
const RETRY_MS_MAX: i64 = 10 * 60_000;

/// Endpoints whose recorded change is not swapped in yet. As text, the end of a line about the change.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Behind(Vec<EndpointName>);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.0.iter().map(|name| format!("`{name}`")).collect();
        write!(f, "; this is recorded, and {} could not be switched yet: the server retries it", names.join(", "))
    }
}

/// The endpoints that were not opened yet after a start, and those whose last swap failed: why, and when it is retried.
#[derive(Default)]
pub(super) struct Retries {
    /// Whether there is any, so that a request costs one load while every endpoint answers as recorded.
    any: AtomicBool,
    by_endpoint: Mutex<HashMap<(ProjectId, EndpointName), Retry>>,
}

struct Retry {
    /// The instant on the wall clock.
    wall_ms: i64,
    /// The current interval.
    pause_ms: i64,
    fault: EndpointFault,
    /// Whether it is opened after a start.
    is_opening: bool,
}

/// Why an endpoint does not answer as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointFault {
    /// The cause, one line.
    pub message: String,
    /// What to do, if it is known.
    pub hint: Option<String>,
}

impl EndpointFault {
    fn new(error: &Error) -> Self {
        Self { message: error.chain(), hint: error.hint().map(str::to_owned) }
    }

    fn opening() -> Self {
        Self { message: "its model is being loaded".to_owned(), hint: None }
    }
}

impl Retries {
    fn all(&self) -> MutexGuard<'_, HashMap<(ProjectId, EndpointName), Retry>> {
        self.by_endpoint.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self, endpoint: &Endpoint, wall_ms: i64) -> bool {
        let all = self.all();
        let key = (endpoint.project_id, endpoint.name.clone());
        all.get(&key).is_none_or(|retry| retry.wall_ms <= wall_ms)
    }

    /// Keeps that an endpoint is not opened yet.
    pub(super) fn begin_opening(&self, (project, endpoint): (ProjectId, &EndpointName), wall_ms: i64) {
        let mut all = self.all();
        let fault = EndpointFault::opening();
        let opening = Retry { wall_ms: wall_ms + OPENING_MS_MAX, pause_ms: 0, fault, is_opening: true };
        all.entry((project, endpoint.clone())).or_insert(opening);
        self.any.store(true, Ordering::Release);
    }

    /// Whether an endpoint is not opened yet after a start.
    pub(super) fn is_opening(&self, project: ProjectId, endpoint: &EndpointName) -> bool {
        let all = self.all();
        all.get(&(project, endpoint.clone())).is_some_and(|retry| retry.is_opening)
    }

    /// Keeps why a swap failed; the first retry is due at once.
    fn keep(&self, (project, endpoint): (ProjectId, &EndpointName), wall_ms: i64, error: &Error) {
        let mut all = self.all();
        let fault = EndpointFault::new(error);
        match all.entry((project, endpoint.clone())) {
            Entry::Occupied(mut known) if !known.get().is_opening => known.get_mut().fault = fault,
            other => drop(other.insert_entry(Retry { wall_ms, pause_ms: 0, fault, is_opening: false })),
        }
        self.any.store(true, Ordering::Release);
    }

    /// Sets the next retry, after a retry that failed.
    fn postpone(&self, endpoint: &Endpoint, wall_ms: i64) {
        let mut all = self.all();
        if let Some(retry) = all.get_mut(&(endpoint.project_id, endpoint.name.clone())) {
            retry.pause_ms = (retry.pause_ms * 2).clamp(RETRY_MS_MIN, RETRY_MS_MAX);
            retry.wall_ms = wall_ms + retry.pause_ms;
        }
    }

    /// Returns whether the last swap had failed.
    fn succeeded(&self, project: ProjectId, endpoint: &EndpointName) -> bool {
        let mut all = self.all();
        let had_failed = all.remove(&(project, endpoint.clone())).is_some_and(|retry| !retry.is_opening);
        self.any.store(!all.is_empty(), Ordering::Release);
        had_failed
    }

    fn find(&self, project: ProjectId, endpoint: &EndpointName) -> Option<EndpointFault> {
        let all = self.all();
        all.get(&(project, endpoint.clone())).map(|retry| retry.fault.clone())
    }

    fn projects_of(&self, endpoint: &str) -> Vec<ProjectId> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let all = self.all();
        all.keys().filter(|(_, name)| name.as_str() == endpoint).map(|(project, _)| *project).collect()
    }

    fn list(&self) -> Vec<(ProjectId, EndpointName)> {
        self.all().keys().cloned().collect()
    }
}

impl Endpoints {
    /// Swaps in a recorded change of these endpoints. One that fails affects no other: it is logged, and
    /// [`Endpoints::catch_up`] retries it.
    pub(super) async fn refresh_recorded(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        names: &[EndpointName],
        ready: Option<&LoadedVersion>,
    ) -> Behind {
        let mut behind = Behind::default();
        for name in names {
            if self.swap_in(project, name, ready).await.is_err() {
                behind.0.push(name.clone());
            }
        }
        behind
    }

    /// Swaps in what is recorded of an endpoint. A failure is logged, kept as the endpoint's fault, and an alert until it
    /// succeeds.
    async fn swap_in(
        self: &Arc<Self>,
        project: &Arc<ProjectState>,
        name: &EndpointName,
        ready: Option<&LoadedVersion>,
    ) -> Result<()> {
        match self.refresh(project, name, ready).await {
            Ok(()) => {
                if self.retries.succeeded(project.id, name) {
                    self.resolve_alert(project.id, name, NOT_READY).await;
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(endpoint.name = %name, error = error.chain(), "an endpoint does not answer as recorded");
                self.report_fault(project.id, name, &error).await;
                Err(error)
            }
        }
    }

    /// Keeps why an endpoint does not answer as recorded, and fires an alert. An alert that cannot be stored is logged.
    pub(super) async fn report_fault(&self, project: ProjectId, name: &EndpointName, error: &Error) {
        self.retries.keep((project, name), self.kernel.services.clock.wall_ms(), error);
        let message = format!("endpoint `{name}` does not answer as recorded: {}", error.chain());
        self.fire_alert(project, (name, NOT_READY), error.hint(), message).await;
    }

    /// Fires an alert about an endpoint, unless one of that name is firing.
    async fn fire_alert(
        &self,
        project: ProjectId,
        (name, alert): (&EndpointName, &str),
        hint: Option<&str>,
        message: String,
    ) {
        let caller = Caller::system(self.kernel.clone(), "endpoints");
        let subject = AlertSubject::Endpoint(name.clone());
        let fired = async {
            if !alerts::list_past(&caller, project, (&subject, alert), |_| true).await?.is_empty() {
                return Ok(());
            }
            let at = self.kernel.clock_of(project).await?.now();
            let about = (subject.clone(), alert, at.wall_ms);
            alerts::fire(&caller, alerts::new(project, at, about, json!({ "hint": hint }), message), None).await?;
            Ok(())
        };
        let fired: Result<()> = fired.await;
        if let Err(error) = fired {
            tracing::warn!(endpoint.name = %name, error = error.chain(), "an alert about an endpoint was not stored");
        }
    }

    async fn resolve_alert(&self, project: ProjectId, name: &EndpointName, alert: &str) {
        let (caller, subject) =
            (Caller::system(self.kernel.clone(), "endpoints"), AlertSubject::Endpoint(name.clone()));
        if let Err(error) = alerts::resolve_past(&caller, project, (&subject, alert), |_| true).await {
            tracing::warn!(endpoint.name = %name, error = error.chain(), "an alert about an endpoint was not resolved");
        }
    }

    /// Why an endpoint does not answer as recorded: it is not opened yet, its last swap failed, or a model of it computes
    /// nothing.
    pub fn fault(&self, project: ProjectId, name: &EndpointName) -> Option<EndpointFault> {
        self.retries.find(project, name).or_else(|| self.model_fault(project, name))
    }

    /// The fault of a model that answers at an endpoint.
    fn model_fault(&self, project: ProjectId, name: &EndpointName) -> Option<EndpointFault> {
        let deployment = self.router.find_in(project, name.as_str())?;
        deployment.routes.iter().find_map(|route| {
            let cause = route.version.model.fault()?;
            let message = format!("version {} computes nothing: {cause}", route.version.number);
            Some(EndpointFault {
                message,
                hint: Some(format!("`perennial rollback {name}` brings the version before it back")),
            })
        })
    }

    /// Fires an alert about an endpoint whose model computes nothing, and resolves it when that has ended.
    async fn report_model_fault(&self, project: ProjectId, name: &EndpointName) {
        let key = (project, name.clone());
        let failing = || self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        match self.model_fault(project, name) {
            Some(fault) if failing().insert(key.clone()) => {
                tracing::error!(endpoint.name = %name, fault = fault.message, "the model of an endpoint computes nothing");
                let message = format!("endpoint `{name}` does not answer: {}", fault.message);
                self.fire_alert(project, (name, MODEL_FAILED), fault.hint.as_deref(), message).await;
            }
            Some(_) => {}
            None if failing().remove(&key) => self.resolve_alert(project, name, MODEL_FAILED).await,
            None => {}
        }
    }

    /// The projects whose endpoint of a name does not answer as recorded.
    pub(crate) fn faulty_projects(&self, name: &str) -> Vec<ProjectId> {
        self.retries.projects_of(name)
    }

    /// The number of endpoints that cannot answer at all: without a deployment, or by a champion that computes nothing.
    pub fn unready(&self) -> usize {
        let deployment = |(project, name): &(ProjectId, EndpointName)| self.router.find_in(*project, name.as_str());
        let silent = self.retries.list().into_iter().filter(|endpoint| deployment(endpoint).is_none());
        let computes_nothing = |endpoint: &(ProjectId, EndpointName)| {
            deployment(endpoint).is_some_and(|deployment| deployment.champion().model.fault().is_some())
        };
        silent.count() + self.router.endpoints().into_iter().filter(computes_nothing).count()
    }

    /// Swaps in the recorded changes that this server does not answer by yet. A failure affects no other
    /// endpoint, and is retried after an interval that doubles from 10 s to 10 min. Models that compute nothing are
    /// reported.
    pub async fn catch_up(self: &Arc<Self>, project: &Arc<ProjectState>, stored: &[Endpoint]) {
        let is_behind = |endpoint: &&Endpoint| {
            self.retries.find(project.id, &endpoint.name).is_some()
                || self.router.generation(project.id, &endpoint.name).is_none_or(|routed| routed < endpoint.generation)
        };
        for endpoint in stored {
            self.report_model_fault(project.id, &endpoint.name).await;
        }
        for endpoint in stored.iter().filter(is_behind) {
            let wall_ms = self.kernel.services.clock.wall_ms();
            if self.retries.is_due(endpoint, wall_ms) && self.open(project, endpoint).await.is_err() {
                self.retries.postpone(endpoint, wall_ms);
            }
        }
    }

    /// Swaps in what is recorded of an endpoint. Requests of its canary before this server answered are counted; until
    /// then the canary is not evaluated.
    pub(super) async fn open(self: &Arc<Self>, project: &Arc<ProjectState>, endpoint: &Endpoint) -> Result<()> {
        let is_first = self.router.find_in(project.id, endpoint.name.as_str()).is_none();
        if !is_first {
            return self.swap_in(project, &endpoint.name, None).await;
        }
        let _uncounted = self.uncounted.begin(project.id, &endpoint.name);
        self.swap_in(project, &endpoint.name, None).await?;
        // Alerts of the server before this one.
        for alert in [NOT_READY, MODEL_FAILED] {
            self.resolve_alert(project.id, &endpoint.name, alert).await;
        }
        let restored = self.restore_counts(project, endpoint).await;
        if let Err(error) = &restored {
            tracing::error!(endpoint.name = %endpoint.name, error = error.chain(), "requests before the start are not counted");
        }
        restored
    }
}

#[cfg(test)]
mod tests;
