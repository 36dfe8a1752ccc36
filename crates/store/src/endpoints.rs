//! Endpoints: their champions and canaries.

use perennial_core::entity::{Endpoint, NewCanary};
use perennial_core::id::{ModelId, ProjectId};
use perennial_core::name::EndpointName;
use perennial_core::state::{CanaryEvent, CanaryState};

use crate::Json;
use crate::conn::{Conn, Tx};
use crate::error::{Error, Result};
use crate::row::{Readable, Record, Row};

impl Record for Endpoint {
    const TABLE: &'static str = "endpoints";
    const KEY: &'static [&'static str] = &["project_id", "name"];

    fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            project_id: row.get("project_id")?,
            name: row.get("name")?,
            model_id: row.get("model_id")?,
            alias: row.get("alias")?,
            champion_number: row.get("champion_number")?,
            champion_since_ms: row.get("champion_since_ms")?,
            canary_number: row.get("canary_number")?,
            canary_state: row.get("canary_state")?,
            canary_started_wall_ms: row.get("canary_started_wall_ms")?,
            canary_started_ms: row.get("canary_started_ms")?,
            canary_share: row.get("canary_share")?,
            canary_decision_id: row.get("canary_decision_id")?,
            canary_release_digest: row.get("canary_release_digest")?,
            config: row.get("config")?,
            generation: row.get("generation")?,
            updated_ms: row.get("updated_ms")?,
        })
    }
}

/// Inserts an endpoint.
pub async fn insert(tx: &mut Tx, endpoint: &Endpoint) -> Result<()> {
    tx.insert(
        sql!("endpoints/insert"),
        bind![
            endpoint.project_id,
            endpoint.name,
            endpoint.model_id,
            endpoint.alias,
            endpoint.champion_number,
            endpoint.champion_since_ms,
            endpoint.canary_number,
            endpoint.canary_state,
            endpoint.canary_started_wall_ms,
            endpoint.canary_started_ms,
            endpoint.canary_share,
            endpoint.canary_decision_id,
            endpoint.canary_release_digest,
            endpoint.config,
            endpoint.generation,
            endpoint.updated_ms
        ],
        "endpoint",
        &endpoint.name,
    )
    .await
}

/// An endpoint; an error when there is none.
pub async fn get(conn: &mut Conn, project_id: ProjectId, name: &EndpointName) -> Result<Endpoint> {
    conn.required(sql!("endpoints/get"), bind![project_id, name], "endpoint", name).await
}

/// The endpoint of a name.
pub async fn find(conn: &mut Conn, project_id: ProjectId, name: &EndpointName) -> Result<Option<Endpoint>> {
    conn.optional(sql!("endpoints/find"), bind![project_id, name]).await
}

/// The endpoints of a name, in every project.
pub async fn list_by_name(conn: &mut Conn, name: &EndpointName) -> Result<Vec<Endpoint>> {
    conn.all(list_sql!("endpoints/list_by_name"), bind![name]).await
}

/// The endpoints of a project, by name.
pub async fn list(conn: &mut Conn, project_id: ProjectId) -> Result<Vec<Endpoint>> {
    conn.all(list_sql!("endpoints/list"), bind![project_id]).await
}

/// Every endpoint on the server: what a server that starts has to serve.
pub async fn list_everywhere(conn: &mut Conn) -> Result<Readable<Endpoint>> {
    conn.readable(list_sql!("endpoints/list_everywhere"), bind![]).await
}

/// The endpoints that follow an alias: with any, it is protected.
pub async fn list_following(conn: &mut Conn, model_id: ModelId, alias: &str) -> Result<Vec<Endpoint>> {
    conn.all(list_sql!("endpoints/list_following"), bind![model_id, alias]).await
}

/// Changes which project file an endpoint follows; the generation counts up.
pub async fn configure(
    tx: &mut Tx,
    project_id: ProjectId,
    name: &EndpointName,
    config: &Json,
    at_ms: i64,
) -> Result<()> {
    tx.update(sql!("endpoints/configure"), bind![project_id, name, config, at_ms], "endpoint", name).await
}

/// Makes a version champion (`None`: no version answers); returns the new generation.
pub async fn set_champion(
    tx: &mut Tx,
    endpoint: &Endpoint,
    number: Option<i64>,
    project_ms: i64,
    at_ms: i64,
) -> Result<i64> {
    let values = bind![endpoint.project_id, endpoint.name, endpoint.generation, number, project_ms, at_ms];
    tx.compare_and_swap(sql!("endpoints/set_champion"), values, "endpoint", &endpoint.name).await?;
    Ok(endpoint.generation + 1)
}

/// Starts a canary; gives the new generation. An active one has to be ended or replaced before.
pub async fn start_canary(tx: &mut Tx, endpoint: &Endpoint, canary: &NewCanary) -> Result<i64> {
    if endpoint.has_active_canary() {
        return Err(Error::already_exists("active canary of endpoint", &endpoint.name));
    }
    let values = bind![
        endpoint.project_id,
        endpoint.name,
        endpoint.generation,
        canary.number,
        canary.wall_ms,
        canary.project_ms,
        canary.share,
        canary.decision_id,
        canary.release_digest
    ];
    tx.compare_and_swap(sql!("endpoints/start_canary"), values, "endpoint", &endpoint.name).await?;
    Ok(endpoint.generation + 1)
}

/// Takes the canary through an event; gives its new state. When it stops answering, the generation counts up.
pub async fn apply_canary(tx: &mut Tx, endpoint: &Endpoint, event: CanaryEvent, at_ms: i64) -> Result<CanaryState> {
    let state = endpoint.canary_state.ok_or_else(|| Error::not_found("canary of endpoint", &endpoint.name))?;
    let next = state.transition(event)?;
    let changes = i64::from(state.is_active() != next.is_active());
    let values = bind![endpoint.project_id, endpoint.name, endpoint.generation, next, changes, at_ms];
    tx.compare_and_swap(sql!("endpoints/set_canary_state"), values, "endpoint", &endpoint.name).await?;
    Ok(next)
}
