//! What answers right now: for each endpoint the champion, maybe a canary, and
//! the counts its rollback rule is judged by.
//!
//! A request holds the deployment while a model answers. A swap puts the next one in its place, which
//! answers from then on, and returns only when nobody holds the old one: after it, no answer of the old
//! version is under way.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard, Weak};
use std::time::Duration;

use perennial_core::model::{InputKind, Predictor};
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::{Durability, TrafficRole};
use perennial_core::traffic;
use perennial_projects::ProjectState;

/// A model version that answers.
#[derive(Clone)]
pub struct Answering {
    /// Its number.
    pub number: i64,
    /// The model.
    pub model: Arc<dyn Predictor>,
    /// Requests, errors and latency since it took this part.
    pub counts: Arc<Counts>,
}

/// A canary: a version with a share of the traffic.
#[derive(Clone)]
pub struct Canary {
    /// The version.
    pub version: Answering,
    /// Its share of requests, 0 to 1.
    pub share: f64,
    /// Makes each canary another sample of the keys.
    pub salt: String,
}

/// Who answers at an endpoint.
#[derive(Clone)]
pub struct Deployment {
    /// The project the endpoint belongs to.
    pub project: Arc<ProjectState>,
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The log its predictions go to.
    pub log: String,
    /// How durable the log is before the answer.
    pub durability: Durability,
    /// Bytes of the largest request taken.
    pub body_bytes_max: u64,
    /// Key columns that may come with a request; never given to the model.
    pub key: Vec<String>,
    /// Counts every change of who answers.
    pub generation: i64,
    /// The version the alias `champion` names.
    pub champion: Answering,
    /// The version on trial.
    pub canary: Option<Canary>,
}

impl Deployment {
    /// Chooses the version that answers a request as a whole, by its first row's key, else its id.
    pub fn choose(&self, key: &str) -> (TrafficRole, &Answering) {
        match &self.canary {
            Some(canary) if traffic::route(key, canary.share, &canary.salt) == TrafficRole::Canary => {
                (TrafficRole::Canary, &canary.version)
            }
            _ => (TrafficRole::Champion, &self.champion),
        }
    }

    /// Whether an answer may have to wait for others before it.
    pub fn may_wait(&self) -> bool {
        self.versions().any(|(_, version)| version.model.may_wait())
    }

    /// What a column holds that is an input of a version that answers here, the champion's before the canary's.
    pub fn input(&self, name: &str) -> Option<InputKind> {
        let mut inputs = self.versions().flat_map(|(_, version)| &version.model.signature().inputs);
        inputs.find(|input| input.name == name).map(|input| input.kind)
    }

    /// The names of the inputs of the versions that answer here, the champion's before those of the canary alone.
    pub fn inputs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for input in self.versions().flat_map(|(_, version)| &version.model.signature().inputs) {
            if !names.contains(&input.name.as_str()) {
                names.push(&input.name);
            }
        }
        names
    }

    /// The version of a number, when it answers here.
    pub fn version(&self, number: i64) -> Option<(TrafficRole, &Answering)> {
        self.versions().find(|(_, version)| version.number == number)
    }

    /// The versions that answer, the champion first.
    fn versions(&self) -> impl Iterator<Item = (TrafficRole, &Answering)> {
        let canary = self.canary.as_ref().map(|canary| (TrafficRole::Canary, &canary.version));
        std::iter::once((TrafficRole::Champion, &self.champion)).chain(canary)
    }
}

/// Upper bounds of the latency buckets: microseconds, each 1.2 times the one before.
const LATENCY_BUCKETS: usize = 96;

/// Requests answered by one version in one part. Counts requests, not rows; errors are 5xx.
pub struct Counts {
    /// Requests of a canary's share that it could not take and the champion answered.
    unfit: AtomicU64,
    requests: AtomicU64,
    errors: AtomicU64,
    latency: [AtomicU64; LATENCY_BUCKETS],
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            unfit: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            latency: [const { AtomicU64::new(0) }; LATENCY_BUCKETS],
        }
    }
}

impl Counts {
    /// Counts one request.
    pub fn add(&self, latency_us: u64, is_error: bool) {
        self.add_many(latency_us, is_error, 1);
    }

    /// Counts requests that took about as long and ended alike.
    pub fn add_many(&self, latency_us: u64, is_error: bool, requests: u64) {
        self.requests.fetch_add(requests, Ordering::Relaxed);
        self.errors.fetch_add(if is_error { requests } else { 0 }, Ordering::Relaxed);
        let bucket = ((latency_us.max(1) as f64).ln() / 1.2_f64.ln()) as usize;
        self.latency[bucket.min(LATENCY_BUCKETS - 1)].fetch_add(requests, Ordering::Relaxed);
    }

    /// Counts requests of a canary's share that the champion had to answer: they lack what the canary asks for.
    pub fn add_unfit(&self, requests: u64) {
        self.unfit.fetch_add(requests, Ordering::Relaxed);
    }

    /// Requests of its share that a canary could not take: the champion, whose inputs they have, answered them.
    pub fn unfit(&self) -> u64 {
        self.unfit.load(Ordering::Relaxed)
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that ended with 5xx.
    pub fn errors(&self) -> u64 {
        self.errors.load(Ordering::Relaxed)
    }

    /// A latency quantile in milliseconds, at most 20 % above the true one; `None` without requests.
    pub fn latency_ms(&self, quantile: f64) -> Option<f64> {
        let counts: Vec<u64> = self.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        let rank = (all as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (bucket, count) in counts.iter().enumerate() {
            seen += count;
            if *count > 0 && seen >= rank {
                return Some(1.2_f64.powi(bucket as i32 + 1) / 1000.0);
            }
        }
        None
    }
}

/// Between two looks whether an old deployment is still held.
const LOOK: Duration = Duration::from_millis(1);

/// Who answers at an endpoint. A swap waits until nobody holds the deployment before it, so none is
/// held over an `await`; being bound to its thread, it cannot be.
pub struct Held {
    deployment: Arc<Deployment>,
    thread: PhantomData<*const ()>,
}

impl Deref for Held {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

/// An endpoint: who answers, and those before it that may still be held.
struct Place {
    present: Arc<Deployment>,
    before: Vec<Weak<Deployment>>,
}

impl Place {
    /// What may be held still when the place is another's.
    fn left(mut self) -> Vec<Weak<Deployment>> {
        self.before.retain(|before| before.strong_count() > 0);
        self.before.push(Arc::downgrade(&self.present));
        self.before
    }
}

/// Every endpoint that answers on this server.
#[derive(Default)]
pub struct EndpointRouter {
    endpoints: RwLock<BTreeMap<String, Place>>,
}

impl EndpointRouter {
    /// Who answers at the endpoint called `name`.
    pub fn find(&self, name: &str) -> Option<Held> {
        let deployment = self.endpoints.read().unwrap_or_else(PoisonError::into_inner).get(name)?.present.clone();
        Some(Held { deployment, thread: PhantomData })
    }

    /// Names of the endpoints, ordered.
    pub fn names(&self) -> Vec<String> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// Ends an endpoint. Blocks until every answer under way is out, like [`EndpointRouter::swap`].
    pub fn remove(&self, name: &str) {
        let left = self.changing().remove(name).map(Place::left).unwrap_or_default();
        drain(&left);
    }

    /// Puts a deployment in place of the one before it, unless that is of a later generation: then
    /// somebody read the endpoint after `deployment` was. Blocks until every answer of those before is
    /// out, and keeps nobody from the new one; call it off the runtime that answers HTTP.
    pub fn swap(&self, deployment: Deployment) {
        let name = deployment.endpoint.to_string();
        let mut endpoints = self.changing();
        if let Some(later) = endpoints.get(&name).filter(|place| place.present.generation > deployment.generation) {
            // Whoever was overtaken waits for the same answers.
            let before = later.before.clone();
            drop(endpoints);
            return drain(&before);
        }
        let before = endpoints.remove(&name).map(Place::left).unwrap_or_default();
        endpoints.insert(name, Place { present: Arc::new(deployment), before: before.clone() });
        drop(endpoints);
        drain(&before);
    }

    fn changing(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Place>> {
        self.endpoints.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until nobody holds deployments that nobody finds any more.
fn drain(left: &[Weak<Deployment>]) {
    while left.iter().any(|deployment| deployment.strong_count() > 0) {
        std::thread::sleep(LOOK);
    }
}
