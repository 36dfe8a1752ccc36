//! Endpoints: the champion and the canary that answer requests.

use serde_json::Value;

use crate::id::{DecisionId, ModelId, ProjectId};
use crate::name::EndpointName;
use crate::port::prediction::TrafficRole;
use crate::state::CanaryState;

/// An endpoint. Its champion follows the alias; it has a canary while `canary_state` is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// The project.
    pub project_id: ProjectId,
    /// Its name, unique in the project.
    pub name: EndpointName,
    /// The registered model.
    pub model_id: ModelId,
    /// The alias it follows.
    pub alias: String,
    /// Number of the champion.
    pub champion_number: Option<i64>,
    /// Project clock since when the champion answers.
    pub champion_since_ms: Option<i64>,
    /// The version of the last canary.
    pub canary_number: Option<i64>,
    /// State of that canary.
    pub canary_state: Option<CanaryState>,
    /// Wall clock when it started.
    pub canary_started_wall_ms: Option<i64>,
    /// Project clock when it started.
    pub canary_started_ms: Option<i64>,
    /// Its share of the requests, 0 to 1.
    pub canary_share: Option<f64>,
    /// The decision that allows it.
    pub canary_decision_id: Option<DecisionId>,
    /// Its release.
    pub canary_release_digest: Option<String>,
    /// The declaration it follows, JSON.
    pub config: Value,
    /// Incremented with every change of champion or canary.
    pub generation: i64,
    /// Wall clock of the last change, epoch milliseconds.
    pub updated_ms: i64,
}

impl Endpoint {
    /// A new endpoint without champion, canary and configuration.
    pub fn unanswered(project_id: ProjectId, name: EndpointName, model_id: ModelId, alias: &str, at_ms: i64) -> Self {
        Self {
            project_id,
            name,
            model_id,
            alias: alias.to_owned(),
            champion_number: None,
            champion_since_ms: None,
            canary_number: None,
            canary_state: None,
            canary_started_wall_ms: None,
            canary_started_ms: None,
            canary_share: None,
            canary_decision_id: None,
            canary_release_digest: None,
            config: Value::Object(serde_json::Map::new()),
            generation: 0,
            updated_ms: at_ms,
        }
    }
}

impl Endpoint {
    /// The configuration of an endpoint that the project file no longer declares.
    pub fn retired() -> Value {
        serde_json::json!({ "retired": true })
    }

    /// Whether the project file no longer declares it: it is inactive until it is declared again.
    pub fn is_retired(&self) -> bool {
        self.config.get("retired").is_some()
    }

    /// Whether it has an active canary.
    pub fn has_active_canary(&self) -> bool {
        self.canary_state.is_some_and(CanaryState::is_active)
    }

    /// The role of a version at this endpoint, if it has one.
    pub fn role_of(&self, number: i64) -> Option<TrafficRole> {
        let is_canary = self.has_active_canary() && self.canary_number == Some(number);
        match () {
            () if self.is_retired() => None,
            () if self.champion_number == Some(number) => Some(TrafficRole::Champion),
            () => is_canary.then_some(TrafficRole::Canary),
        }
    }
}

/// A canary to be started.
#[derive(Debug, Clone, PartialEq)]
pub struct NewCanary {
    /// The version.
    pub number: i64,
    /// Its share of the requests, 0 to 1.
    pub share: f64,
    /// The decision that allows it.
    pub decision_id: DecisionId,
    /// Its release.
    pub release_digest: String,
    /// Wall clock, epoch milliseconds.
    pub wall_ms: i64,
    /// Project clock, epoch milliseconds.
    pub project_ms: i64,
}
