//! Principals with their grants and tokens, and one-time links.

use axum::Json;
use axum::extract::State;
use perennial_core::Error;
use perennial_core::id::{ProjectId, TokenId};
use perennial_core::name::ProjectName;
use perennial_core::permission::{Permission, Role, Scope};
use perennial_http::extract::{CurrentCaller, Path, Query};
use perennial_http::{Access, HttpError};
use perennial_kernel::access::{HeldRole, Holder, TokenRecord};
use perennial_kernel::{Caller, access};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::wire::{Done, Items, at};
use crate::extract::Body;
use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    let manage = Access::Server(Permission::Manage);
    routes
        .operation::<__path_list, _, _>(manage, list)
        .operation::<__path_create, _, _>(Access::Authenticated, create)
        .operation::<__path_revoke, _, _>(Access::Authenticated, revoke)
        .operation::<__path_list_principals, _, _>(manage, list_principals)
        .operation::<__path_grant, _, _>(Access::Authenticated, grant)
        .operation::<__path_revoke_grant, _, _>(Access::Authenticated, revoke_grant)
        .operation::<__path_login_link, _, _>(manage, login_link)
}

/// A principal with its tokens.
#[derive(Serialize, ToSchema)]
struct Principal {
    id: String,
    name: String,
    /// `person`, `host`, `step` or `service`.
    kind: &'static str,
    is_disabled: bool,
    /// The role of its only grant: `viewer`, `contributor`, `approver` or `admin`; absent when it holds several, or none.
    role: Option<&'static str>,
    /// The project of its only grant; absent for the whole server.
    project: Option<String>,
    /// Every role that the principal holds; its permissions are their union.
    grants: Vec<HeldGrant>,
    tokens: Vec<Token>,
}

/// A role that a principal holds.
#[derive(Serialize, ToSchema)]
struct HeldGrant {
    /// `viewer`, `contributor`, `approver` or `admin`.
    role: &'static str,
    /// The project it applies in; absent for the whole server.
    project: Option<String>,
    /// `direct` when an administrator granted it, `directory` when it follows from groups of an identity provider.
    origin: &'static str,
}

impl From<HeldRole> for HeldGrant {
    fn from(held: HeldRole) -> Self {
        Self { role: held.role.as_str(), project: held.project.map(Into::into), origin: held.origin.as_str() }
    }
}

/// A token. Its secret was shown once and is not stored.
#[derive(Serialize, ToSchema)]
struct Token {
    id: String,
    name: String,
    kind: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

/// Lists principals with their grants and tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = Items<Principal>)))]
async fn list(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Items<Principal>>, HttpError> {
    Ok(Json(Items::all(access::list_principals(&caller).await?.into_iter().map(principal))))
}

fn principal(holder: Holder) -> Principal {
    let only = match &holder.roles[..] {
        [only] => Some(only.clone()),
        _ => None,
    };
    Principal {
        id: holder.principal.id.to_string(),
        name: holder.principal.name,
        kind: holder.principal.kind.as_str(),
        is_disabled: holder.principal.is_disabled,
        role: only.as_ref().map(|held| held.role.as_str()),
        project: only.and_then(|held| held.project).map(Into::into),
        grants: holder.roles.into_iter().map(Into::into).collect(),
        tokens: holder.tokens.into_iter().map(token).collect(),
    }
}

fn token(token: TokenRecord) -> Token {
    Token {
        id: token.id.to_string(),
        name: token.name,
        kind: token.kind.as_str(),
        created_at: at(token.created_ms),
        expires_at: token.expires_ms.map(at),
        revoked_at: token.revoked_ms.map(at),
    }
}

/// A principal with its grants.
#[derive(Serialize, ToSchema)]
struct PrincipalGrants {
    id: String,
    name: String,
    /// `person`, `host`, `step` or `service`.
    kind: &'static str,
    is_disabled: bool,
    /// Every role that the principal holds; its permissions are their union.
    grants: Vec<HeldGrant>,
}

/// Lists principals with their grants
#[utoipa::path(get, path = "/api/v1/principals", tag = "access", responses((status = 200, body = Items<PrincipalGrants>)))]
async fn list_principals(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Items<PrincipalGrants>>, HttpError> {
    let all = access::list_principals(&caller).await?.into_iter().map(|holder| PrincipalGrants {
        id: holder.principal.id.to_string(),
        name: holder.principal.name,
        kind: holder.principal.kind.as_str(),
        is_disabled: holder.principal.is_disabled,
        grants: holder.roles.into_iter().map(Into::into).collect(),
    });
    Ok(Json(Items::all(all)))
}

/// A role on a project or on the server.
#[derive(Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct GrantOf {
    /// `viewer`, `contributor`, `approver` or `admin`.
    role: String,
    /// The project; the whole server when absent.
    project: Option<String>,
}

impl GrantOf {
    async fn resolve(&self, state: &ApiState, caller: &Caller) -> Result<(Role, Scope), HttpError> {
        Ok((self.role.parse()?, scope_of(state, caller, self.project.as_deref()).await?))
    }

    /// The grant in words.
    fn place(&self) -> String {
        self.project.as_ref().map_or_else(|| "the server".to_owned(), |project| format!("project `{project}`"))
    }
}

/// Grants a role to a principal
///
/// Needs the permission `manage` in the scope. The principal keeps its other grants; its permissions are the union.
#[utoipa::path(post, path = "/api/v1/principals/{name}/grants", tag = "access", params(("name" = String, Path)), request_body = GrantOf, responses((status = 200, body = Done)))]
async fn grant(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Path(name): Path<String>,
    Body(body): Body<GrantOf>,
) -> Result<Json<Done>, HttpError> {
    let (role, scope) = body.resolve(&state, &caller).await?;
    let is_new = access::grant(&caller, &name, role, scope).await?;
    let verb = if is_new { "is" } else { "was already" };
    Ok(Json(Done { message: format!("`{name}` {verb} {} on {}", body.role, body.place()) }))
}

/// Revokes a role of a principal
///
/// Needs the permission `manage` in the scope. The last administrator of the server keeps that role.
#[utoipa::path(delete, path = "/api/v1/principals/{name}/grants", tag = "access", params(("name" = String, Path), GrantOf), responses((status = 200, body = Done)))]
async fn revoke_grant(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Path(name): Path<String>,
    Query(grant): Query<GrantOf>,
) -> Result<Json<Done>, HttpError> {
    let (role, scope) = grant.resolve(&state, &caller).await?;
    access::revoke_grant(&caller, &name, role, scope).await?;
    Ok(Json(Done { message: format!("`{name}` is no longer {} on {}", grant.role, grant.place()) }))
}

/// A token to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// The name of the principal, which is created if it does not exist.
    name: String,
    /// `viewer`, `contributor`, `approver` or `admin`. When absent, the token gives every grant that the principal holds;
    /// a new principal becomes a viewer.
    role: Option<String>,
    /// The project that the token is limited to; the whole server when absent.
    project: Option<String>,
}

/// A new token.
#[derive(Serialize, ToSchema)]
struct Created {
    id: String,
    /// The secret that clients send in the header `Authorization: Bearer`; shown once.
    secret: String,
}

/// Creates a token
///
/// Needs the permission `manage` in the scope of every grant of the token. With a role, the token has exactly that role: the
/// request is refused when the principal holds other roles in the scope, unless it holds a single grant and none of its tokens
/// is valid.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = Create, responses((status = 200, body = Created)))]
async fn create(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Body(body): Body<Create>,
) -> Result<Json<Created>, HttpError> {
    let role: Option<Role> = body.role.as_deref().map(str::parse).transpose()?;
    let project = scope_of(&state, &caller, body.project.as_deref()).await?.project();
    let token = match role {
        Some(role) => access::create_person_token(&caller, &body.name, role, project).await?,
        None => access::create_held_token(&caller, &body.name, project).await?,
    };
    Ok(Json(Created { id: token.id.to_string(), secret: token.secret }))
}

/// The scope of a project's name, or the server.
async fn scope_of(state: &ApiState, caller: &Caller, project: Option<&str>) -> Result<Scope, HttpError> {
    Ok(match project {
        Some(name) => Scope::Project(readable(state, caller, &name.parse()?).await?),
        None => Scope::Server,
    })
}

/// The project of a name. Returns NotFound when the caller lacks read access, so that names do not leak.
async fn readable(state: &ApiState, caller: &Caller, name: &ProjectName) -> Result<ProjectId, Error> {
    let project = state.app.projects.get_by_name(name).await?;
    if caller.principal.may(Permission::Read, Some(project.id)) {
        return Ok(project.id);
    }
    Err(Error::not_found("project", name).with_hint("`perennial run` in the project's folder creates it"))
}

/// Revokes a token
///
/// Needs the permission `manage` on its project or, without one, on the server. Browser sessions of its principal end with it.
#[utoipa::path(delete, path = "/api/v1/tokens/{id}", tag = "access", params(("id" = String, Path)), responses((status = 200, body = Done)))]
async fn revoke(CurrentCaller { caller }: CurrentCaller, Path(id): Path<TokenId>) -> Result<Json<Done>, HttpError> {
    access::revoke_token(&caller, id).await?;
    Ok(Json(Done { message: format!("token `{id}` is void") }))
}

/// A one-time link.
#[derive(Serialize, ToSchema)]
struct Link {
    /// The path to open in a browser, once.
    path: String,
    /// The URL of the server for browsers, without a path; absent when it is not known.
    address: Option<String>,
}

/// Creates a one-time link that signs a browser in as an administrator
#[utoipa::path(post, path = "/api/v1/login-links", tag = "access", responses((status = 200, body = Link)))]
async fn login_link(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Link>, HttpError> {
    let address = caller.kernel.public_address.get().cloned();
    Ok(Json(Link { path: format!("/login/{}", access::login_link(&caller).await?), address }))
}
