//! Reading endpoints: the versions that answer at each.

pub use perennial_core::entity::Endpoint;
use std::sync::Arc;

use perennial_core::id::ProjectId;
use perennial_core::model::Signature;
use perennial_core::name::EndpointName;
use perennial_core::permission::Permission;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::{Error, Result};
use perennial_store::endpoints;

use crate::Endpoints;
use crate::endpoints::{EndpointFault, champion_before};
use crate::router::{LoadedVersion, Route};
use perennial_kernel::{Caller, Kernel, wrong_state};
use perennial_projects::ProjectState;

/// A version that is routed on this server, with its requests.
#[derive(Debug, Clone)]
pub struct RoutedVersion {
    /// Its number.
    pub number: i64,
    /// Champion or canary.
    pub role: TrafficRole,
    /// Requests that it answered since it has this role.
    pub requests: u64,
    /// Of these, ended with 5xx.
    pub errors: u64,
    /// Requests of its share that lacked one of its inputs, and that the champion answered.
    pub fallbacks: u64,
    /// Median latency, milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of the latency, milliseconds.
    pub p99_ms: Option<f64>,
    /// Its inputs and outputs.
    pub signature: Arc<Signature>,
}

/// An endpoint with its routes on this server.
#[derive(Debug, Clone)]
pub struct EndpointState {
    /// The record.
    pub endpoint: Endpoint,
    /// The champion, and the canary if there is one; empty when no version is loaded.
    pub routes: Vec<RoutedVersion>,
    /// The version that would be the champion after a rollback, when no canary is active.
    pub before: Option<i64>,
    /// What an active canary waits for, in words.
    pub waits_for: Option<String>,
    /// Why it does not answer as recorded.
    pub fault: Option<EndpointFault>,
}

impl Endpoints {
    /// Endpoints of a project, by name.
    pub async fn list(self: &Arc<Self>, caller: &Caller, project: &ProjectState) -> Result<Vec<EndpointState>> {
        caller.require(Permission::Read, project.id)?;
        let all = endpoints::list(&mut *caller.kernel.store().read().await?, project.id).await?;
        let mut states = Vec::new();
        for endpoint in all.into_iter().filter(|endpoint| !endpoint.is_retired()) {
            states.push(self.state(project, endpoint).await?);
        }
        Ok(states)
    }
}

impl Endpoints {
    /// An endpoint of a project.
    pub async fn get(
        self: &Arc<Self>,
        caller: &Caller,
        project: &ProjectState,
        name: &EndpointName,
    ) -> Result<EndpointState> {
        caller.require(Permission::Read, project.id)?;
        let endpoint = endpoints::get(&mut *caller.kernel.store().read().await?, project.id, name).await?;
        self.state(project, endpoint).await
    }
}

impl Endpoints {
    /// Every endpoint of the projects that the caller may read, with whether it answers on this server as recorded.
    pub async fn readiness(&self, caller: &Caller) -> Result<Vec<(ProjectId, EndpointName, bool)>> {
        let all = endpoints::list_everywhere(&mut *caller.kernel.store().read().await?).await?;
        let mut all = caller.kernel.readable(all);
        all.retain(|endpoint| {
            !endpoint.is_retired() && caller.principal.may(Permission::Read, Some(endpoint.project_id))
        });
        let readiness = all.into_iter().map(|Endpoint { project_id, name, .. }| {
            let is_live = self.router.find_in(project_id, name.as_str()).is_some();
            let is_ready = is_live && self.fault(project_id, &name).is_none();
            (project_id, name, is_ready)
        });
        Ok(readiness.collect())
    }
}

impl Endpoints {
    /// The projects with an endpoint of that name which answers, or should: its model is loaded or could not be loaded. Where
    /// this server knows none, those whose endpoint has a champion by the records.
    pub async fn projects_of(&self, name: &str) -> Result<Vec<Arc<ProjectState>>> {
        let mut projects = self.router.projects_of(name);
        let mut others = self.faulty_projects(name);
        if projects.is_empty() && others.is_empty() {
            others = projects_with_champion(&self.kernel, name).await?;
        }
        for id in others {
            if !projects.iter().any(|project| project.id == id) {
                projects.push(self.projects.get(id).await?);
            }
        }
        Ok(projects)
    }
}

/// The projects whose endpoint of that name has a champion, on this server or elsewhere.
async fn projects_with_champion(kernel: &Kernel, name: &str) -> Result<Vec<ProjectId>> {
    let Ok(name) = name.parse::<EndpointName>() else { return Ok(Vec::new()) };
    let found = endpoints::list_by_name(&mut *kernel.store().read().await?, &name).await?;
    let answering = found.into_iter().filter(|endpoint| endpoint.champion_number.is_some() && !endpoint.is_retired());
    Ok(answering.map(|endpoint| endpoint.project_id).collect())
}

/// The error for a short name that several projects use, with the names that are unique.
pub fn ambiguous(name: &str, projects: &[Arc<ProjectState>]) -> Error {
    let mut long: Vec<String> = projects.iter().map(|project| format!("`{}.{name}`", project.name)).collect();
    long.sort();
    wrong_state(format!("endpoint `{name}` exists in several projects"))
        .with_hint(format!("name one of them: {}; or `/projects/PROJECT/endpoints/{name}/…`", long.join(", ")))
}

/// The error for an endpoint that does not exist, or that the caller may not read.
pub fn missing(name: &str) -> Error {
    Error::not_found("endpoint", name.escape_debug()).with_hint("`perennial endpoints` lists them")
}

impl Endpoints {
    async fn state(self: &Arc<Self>, project: &ProjectState, mut endpoint: Endpoint) -> Result<EndpointState> {
        let waits_for = self.canary_waits_for(project, &endpoint).await;
        let before = champion_before(&self.kernel, &endpoint).await?;
        // The share of a canary that has ended is not shown.
        endpoint.canary_share = endpoint.canary_share.filter(|_| endpoint.has_active_canary());
        let mut routes = Vec::new();
        if let Some(deployment) = self.router.find_in(endpoint.project_id, endpoint.name.as_str()) {
            routes.extend(deployment.routes.iter().map(routed_version));
        }
        let fault = self.fault(endpoint.project_id, &endpoint.name);
        Ok(EndpointState { endpoint, routes, before, waits_for, fault })
    }
}

fn routed_version(route: &Route) -> RoutedVersion {
    let LoadedVersion { number, model, stats } = &route.version;
    RoutedVersion {
        number: *number,
        role: route.role,
        requests: stats.requests(),
        errors: stats.errors(),
        fallbacks: stats.fallbacks(),
        p50_ms: stats.latency_ms(0.5),
        p99_ms: stats.latency_ms(0.99),
        signature: model.signature().clone(),
    }
}
