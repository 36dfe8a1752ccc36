//! What answers at an endpoint: a list of routes, each a model version in a role with a share of the traffic.

use std::sync::Arc;

use jiff::tz::TimeZone;
use perennial_core::model::{Input, InputTime};
use perennial_core::name::EndpointName;
use perennial_core::port::model::LoadedModel;
use perennial_core::port::prediction::{Durability, TrafficRole};
use perennial_core::traffic;
use perennial_projects::ProjectState;

use super::stats::RequestStats;

/// A model version that is loaded.
#[derive(Clone)]
pub struct LoadedVersion {
    /// Its number.
    pub number: i64,
    /// The model.
    pub model: Arc<dyn LoadedModel>,
    /// Requests, errors and latency since it has its role.
    pub stats: Arc<RequestStats>,
}

/// A version with a role and a share of the requests.
#[derive(Clone)]
pub struct Route {
    /// The version.
    pub version: LoadedVersion,
    /// Its role.
    pub role: TrafficRole,
    /// Its share of the requests, 0 to 1. A route without a share answers only requests that ask for its version.
    pub share: f64,
}

/// The routes of a deployment, the champion first.
#[derive(Clone)]
pub struct Routes {
    /// Never empty; the first is the champion's, and it answers every request that no other route does.
    routes: Vec<Route>,
    /// Samples the keys: with another salt the same share is another sample.
    salt: String,
}

impl Routes {
    /// The champion alone.
    pub fn new(champion: LoadedVersion) -> Self {
        let champion = Route { version: champion, role: TrafficRole::Champion, share: 1.0 };
        Self { routes: vec![champion], salt: String::new() }
    }

    /// The champion, and other versions with a share each; the champion has the rest.
    pub fn with_shares(champion: LoadedVersion, others: Vec<Route>, salt: String) -> Self {
        let mut all = Self { salt, ..Self::new(champion) };
        all.routes[0].share = (1.0 - others.iter().map(|route| route.share).sum::<f64>()).max(0.0);
        all.routes.extend(others);
        all
    }

    /// All routes, the champion's first.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// The champion's route.
    pub fn champion(&self) -> &Route {
        &self.routes[0]
    }

    /// The route of the version on trial.
    pub fn canary(&self) -> Option<&Route> {
        self.routes.iter().find(|route| route.role == TrafficRole::Canary)
    }

    /// The route of a version.
    pub fn find(&self, number: i64) -> Option<&Route> {
        self.routes.iter().find(|route| route.version.number == number)
    }

    /// Whether every request is answered by the champion.
    pub fn is_champion_only(&self) -> bool {
        self.routes.len() == 1
    }

    /// The salt of the shares.
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// The route that answers a whole request: chosen by the key of its first row, else by the request's id.
    pub fn choose(&self, key: &str) -> &Route {
        let others = &self.routes[1..];
        let chosen = traffic::choose(key, &self.salt, others.iter().map(|route| route.share));
        chosen.and_then(|index| others.get(index)).unwrap_or_else(|| self.champion())
    }
}

/// A column that identifies rows. A request may contain it, to join the prediction with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// What it stands for, if it is a time in the data: a request may have it in any form, the log has one.
    pub time: Option<InputTime>,
}

/// The model versions that answer at an endpoint, and how they answer.
#[derive(Clone)]
pub struct Deployment {
    /// The endpoint's project.
    pub project: Arc<ProjectState>,
    /// The endpoint.
    pub endpoint: EndpointName,
    /// The prediction log.
    pub log: String,
    /// When a prediction is synced to disk.
    pub durability: Durability,
    /// Size limit of a request, bytes.
    pub body_bytes_max: u64,
    /// Key columns that a request may contain; models never receive them.
    pub key: Vec<KeyColumn>,
    /// The timezone of times without a zone in requests: that of the project file which the endpoint follows.
    pub zone: TimeZone,
    /// Counts every change of the endpoint.
    pub generation: i64,
    /// The versions, with role and share.
    pub routes: Routes,
}

impl Deployment {
    /// The version that the alias `champion` names.
    pub fn champion(&self) -> &LoadedVersion {
        &self.routes.champion().version
    }

    /// An input column of any version here; the champion's if several have it.
    pub fn input(&self, name: &str) -> Option<&Input> {
        let mut inputs = self.routes.iter().flat_map(|route| &route.version.model.signature().inputs);
        inputs.find(|input| input.name == name)
    }

    /// The names of the inputs of all versions, the champion's first.
    pub fn inputs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for input in self.routes.iter().flat_map(|route| &route.version.model.signature().inputs) {
            if !names.contains(&input.name.as_str()) {
                names.push(&input.name);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests;
