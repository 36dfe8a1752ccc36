//! The router: the deployment that answers requests at each endpoint.
//!
//! A request holds a [`DeploymentGuard`] until its answer is complete. Replacing a deployment takes effect at once for
//! new requests and then drains: it completes when no request holds the earlier deployment any more.

mod deployment;
mod in_flight;
mod stats;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};

pub use deployment::{Deployment, LoadedVersion, Route, Routes};
use in_flight::{Guard, Tracked};
pub use stats::RequestStats;

/// A deployment in use: replacing it waits until this is dropped. Never wait for a replacement while holding one.
pub type DeploymentGuard = Guard<Deployment>;

/// The deployments of this server, by endpoint.
#[derive(Default)]
pub struct EndpointRouter {
    slots: RwLock<BTreeMap<String, Slot>>,
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
    /// The deployment of an endpoint.
    pub fn find(&self, endpoint: &str) -> Option<DeploymentGuard> {
        // Acquired under the lock: once a deployment is retired, no request begins to use it.
        Some(self.slots.read().unwrap_or_else(PoisonError::into_inner).get(endpoint)?.current.acquire())
    }

    /// Names of the endpoints, ordered.
    pub fn names(&self) -> Vec<String> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Removes an endpoint, then waits until no request holds a deployment of it.
    pub async fn remove(&self, endpoint: &str) {
        let retired = self.slots_mut().remove(endpoint).map(Slot::retire).unwrap_or_default();
        drain(&retired).await;
    }

    /// Replaces the deployment of an endpoint, then waits until no request holds an earlier one. A deployment of an
    /// earlier generation than the current one is dropped: it was read before the current one.
    pub async fn replace(&self, deployment: Deployment) {
        let retired = self.replace_now(deployment);
        drain(&retired).await;
    }

    /// Replaces the deployment; returns those to drain.
    fn replace_now(&self, deployment: Deployment) -> Vec<Arc<Tracked<Deployment>>> {
        let endpoint = deployment.endpoint.to_string();
        let mut slots = self.slots_mut();
        if let Some(later) = slots.get(&endpoint).filter(|slot| slot.current.generation > deployment.generation) {
            return later.retired.clone();
        }
        let retired = slots.remove(&endpoint).map(Slot::retire).unwrap_or_default();
        slots.insert(endpoint, Slot { current: Tracked::new(deployment), retired: retired.clone() });
        retired
    }

    fn slots_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Slot>> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until no request holds one of `retired`.
async fn drain(retired: &[Arc<Tracked<Deployment>>]) {
    for deployment in retired {
        deployment.drained().await;
    }
}
