//! The router: the deployment that answers requests at each endpoint.
//!
//! A request holds a [`DeploymentGuard`] until its answer is complete. Replacing a deployment takes effect at once for
//! new requests and then drains: it completes when no request holds the earlier deployment any more.

mod deployment;
mod in_flight;
mod stats;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

pub use deployment::{Deployment, KeyColumn, LoadedVersion, Route, Routes};
use in_flight::{Guard, Tracked};
use perennial_core::id::ProjectId;
use perennial_core::name::EndpointName;
use perennial_core::port::model::LoadedModel;
use perennial_projects::ProjectState;
pub use stats::RequestStats;

/// Time that requests of an earlier deployment have to end by themselves.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// Time that requests of an earlier deployment have to end after their predictions were interrupted.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// A deployment in use: replacing it waits until this is dropped. Never wait for a replacement while holding one.
pub type DeploymentGuard = Guard<Deployment>;

/// The deployments of this server, by endpoint.
pub struct EndpointRouter {
    slots: RwLock<Slots>,
    drain: DrainTimes,
}

/// How long a replacement waits for the requests of an earlier deployment.
#[derive(Debug, Clone, Copy)]
pub struct DrainTimes {
    /// Time that they have to end by themselves.
    pub grace: Duration,
    /// Time that they have to end after their predictions were interrupted.
    pub max: Duration,
}

impl Default for EndpointRouter {
    fn default() -> Self {
        Self::with_drain_times(DrainTimes { grace: DRAIN_GRACE, max: DRAIN_MAX })
    }
}

#[derive(Default)]
struct Slots {
    /// What answers, by the name of the endpoint, then by its project: a name is unique in a project.
    answering: BTreeMap<String, BTreeMap<ProjectId, Slot>>,
    /// The last generation of each endpoint that was swapped in or removed. It outlives the slot, so that a deployment
    /// that was read before a removal does not return.
    generations: BTreeMap<(ProjectId, EndpointName), i64>,
}

impl Slots {
    /// Records the generation of an endpoint; false when a later one was swapped in before.
    fn advance(&mut self, project: ProjectId, endpoint: &EndpointName, generation: i64) -> bool {
        let known = self.generations.entry((project, endpoint.clone())).or_insert(generation);
        *known = generation.max(*known);
        *known == generation
    }

    /// Removes the slot of a project's endpoint; the deployments that requests may still hold.
    fn remove(&mut self, project: ProjectId, endpoint: &EndpointName) -> Vec<Arc<Tracked<Deployment>>> {
        let Some(of_name) = self.answering.get_mut(endpoint.as_str()) else { return Vec::new() };
        let retired = of_name.remove(&project).map(Slot::retire).unwrap_or_default();
        if of_name.is_empty() {
            self.answering.remove(endpoint.as_str());
        }
        retired
    }
}

/// The deployments of one endpoint.
struct Slot {
    current: Arc<Tracked<Deployment>>,
    /// Earlier deployments that requests may still hold.
    retired: Vec<Arc<Tracked<Deployment>>>,
}

impl Slot {
    /// Retires all deployments; those that requests may still hold.
    fn retire(self) -> Vec<Arc<Tracked<Deployment>>> {
        let mut retired = self.retired;
        retired.push(self.current);
        retired.retain(|deployment| deployment.in_flight() > 0);
        retired
    }
}

impl EndpointRouter {
    /// A router that waits so long for the requests of an earlier deployment.
    pub fn with_drain_times(drain: DrainTimes) -> Self {
        Self { slots: RwLock::default(), drain }
    }

    /// The deployment of an endpoint whose name is unique on this server.
    pub fn find(&self, endpoint: &str) -> Option<DeploymentGuard> {
        let slots = self.slots();
        let of_name = slots.answering.get(endpoint)?;
        // Acquired under the lock: once a deployment is retired, no request begins to use it.
        of_name.values().next().filter(|_| of_name.len() == 1).map(|slot| slot.current.acquire())
    }

    /// The deployment of a project's endpoint.
    pub fn find_in(&self, project: ProjectId, endpoint: &str) -> Option<DeploymentGuard> {
        Some(self.slots().answering.get(endpoint)?.get(&project)?.current.acquire())
    }

    /// The projects with a deployment at an endpoint of that name.
    pub fn projects_of(&self, endpoint: &str) -> Vec<Arc<ProjectState>> {
        let slots = self.slots();
        let of_name = slots.answering.get(endpoint).into_iter().flat_map(BTreeMap::values);
        of_name.map(|slot| slot.current.project.clone()).collect()
    }

    /// Every endpoint with a deployment, ordered by name.
    pub fn endpoints(&self) -> Vec<(ProjectId, EndpointName)> {
        let slots = self.slots();
        let all = slots.answering.values().flat_map(BTreeMap::values);
        all.map(|slot| (slot.current.project.id, slot.current.endpoint.clone())).collect()
    }

    /// The last generation of an endpoint that was swapped in or removed.
    pub fn generation(&self, project: ProjectId, endpoint: &EndpointName) -> Option<i64> {
        self.slots().generations.get(&(project, endpoint.clone())).copied()
    }

    /// Removes an endpoint, of which this generation answers nothing, then waits until no request holds a deployment
    /// of it. A removal of an earlier generation than the current one changes nothing.
    pub async fn remove(&self, project: ProjectId, endpoint: &EndpointName, generation: i64) {
        let retired = {
            let mut slots = self.slots_mut();
            let is_latest = slots.advance(project, endpoint, generation);
            if is_latest { slots.remove(project, endpoint) } else { Vec::new() }
        };
        self.drain((project, endpoint), &retired).await;
    }

    /// Replaces the deployment of an endpoint, then waits until no request holds an earlier one. Predictions of models
    /// that the new one does not have are interrupted after five seconds; a request that has not ended 30 seconds later
    /// is logged and no longer waited for. A deployment of an earlier generation than was swapped in or removed is
    /// dropped: it was read before.
    pub async fn replace(&self, deployment: Deployment) {
        let (project, endpoint) = (deployment.project.id, deployment.endpoint.clone());
        let retired = self.replace_now(deployment);
        self.drain((project, &endpoint), &retired).await;
    }

    /// Waits until no request holds one of the deployments.
    async fn drain(&self, (project, endpoint): (ProjectId, &EndpointName), retired: &[Arc<Tracked<Deployment>>]) {
        if tokio::time::timeout(self.drain.grace, drained(retired)).await.is_ok() {
            return;
        }
        let current = self.find_in(project, endpoint.as_str());
        let is_current = |model: &Arc<dyn LoadedModel>| {
            let mut routes = current.iter().flat_map(|current| current.routes.iter());
            routes.any(|route| Arc::ptr_eq(&route.version.model, model))
        };
        let held = retired.iter().filter(|deployment| deployment.in_flight() > 0);
        for route in held.flat_map(|deployment| deployment.routes.iter()) {
            if !is_current(&route.version.model) {
                route.version.model.interrupt();
            }
        }
        drop(current);
        if tokio::time::timeout(self.drain.max, drained(retired)).await.is_err() {
            let requests = retired.iter().map(|deployment| deployment.in_flight()).sum::<usize>();
            tracing::error!(endpoint.name = %endpoint, requests, "requests of an earlier deployment do not end");
        }
    }

    /// Replaces the deployment; returns those to drain.
    fn replace_now(&self, deployment: Deployment) -> Vec<Arc<Tracked<Deployment>>> {
        let (project, endpoint) = (deployment.project.id, deployment.endpoint.clone());
        let mut slots = self.slots_mut();
        if !slots.advance(project, &endpoint, deployment.generation) {
            let later = slots.answering.get(endpoint.as_str()).and_then(|of_name| of_name.get(&project));
            return later.map(|later| later.retired.clone()).unwrap_or_default();
        }
        let of_name = slots.answering.entry(endpoint.to_string()).or_default();
        let retired = of_name.remove(&project).map(Slot::retire).unwrap_or_default();
        of_name.insert(project, Slot { current: Tracked::new(deployment), retired: retired.clone() });
        retired
    }

    fn slots(&self) -> RwLockReadGuard<'_, Slots> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn slots_mut(&self) -> RwLockWriteGuard<'_, Slots> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until no request holds one of `retired`.
async fn drained(retired: &[Arc<Tracked<Deployment>>]) {
    for deployment in retired {
        deployment.drained().await;
    }
}
