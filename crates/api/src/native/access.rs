//! Tokens and one-time links.

use axum::Json;
use axum::extract::State;
use perennial_core::Error;
use perennial_core::id::{ProjectId, TokenId};
use perennial_core::name::ProjectName;
use perennial_core::permission::{Permission, Role};
use perennial_http::extract::{CurrentCaller, Path};
use perennial_http::{Access, HttpError};
use perennial_kernel::{Caller, access};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
    /// What its tokens give: `viewer`, `contributor`, `approver` or `admin`.
    role: Option<&'static str>,
    /// The project they give it on; absent for the whole server.
    project: Option<String>,
    tokens: Vec<Token>,
}

/// A token. Its secret was shown once and is not kept.
#[derive(Serialize, ToSchema)]
struct Token {
    id: String,
    name: String,
    kind: &'static str,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
}

/// Lists principals with their tokens
#[utoipa::path(get, path = "/api/v1/tokens", tag = "access", responses((status = 200, body = Items<Principal>)))]
async fn list(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Items<Principal>>, HttpError> {
    let all = access::list_tokens(&caller).await?.into_iter().map(|holder| Principal {
        id: holder.principal.id.to_string(),
        name: holder.principal.name,
        kind: holder.principal.kind.as_str(),
        is_disabled: holder.principal.is_disabled,
        role: holder.role.map(Role::as_str),
        project: holder.project.map(Into::into),
        tokens: holder
            .tokens
            .into_iter()
            .map(|token| Token {
                id: token.id.to_string(),
                name: token.name,
                kind: token.kind.as_str(),
                created_at: at(token.created_ms),
                expires_at: token.expires_ms.map(at),
                revoked_at: token.revoked_ms.map(at),
            })
            .collect(),
    });
    Ok(Json(Items::all(all)))
}

/// A token to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Create {
    /// Whose; a principal of that name is made when there is none.
    name: String,
    /// `viewer`, `contributor`, `approver` or `admin`.
    role: String,
    /// The project it holds on; the whole server when not said.
    project: Option<String>,
}

/// A token just made.
#[derive(Serialize, ToSchema)]
struct Created {
    id: String,
    /// What a client sends as Bearer; shown once.
    secret: String,
}

/// Makes a token
///
/// Needs the permission `manage` where the token shall hold. It gives the role there and nothing else. A name
/// that has a valid token with another role or on another project is refused; the same name, role and project give
/// a further token.
#[utoipa::path(post, path = "/api/v1/tokens", tag = "access", request_body = Create, responses((status = 200, body = Created)))]
async fn create(
    State(state): State<ApiState>,
    CurrentCaller { caller }: CurrentCaller,
    Body(body): Body<Create>,
) -> Result<Json<Created>, HttpError> {
    let role: Role = body.role.parse()?;
    let project = match &body.project {
        Some(name) => Some(readable(&state, &caller, &name.parse()?).await?),
        None => None,
    };
    let token = access::create_person_token(&caller, &body.name, role, project).await?;
    Ok(Json(Created { id: token.id.to_string(), secret: token.secret }))
}

/// The project of a name; NotFound when the caller may not read it, so that names do not leak.
async fn readable(state: &ApiState, caller: &Caller, name: &ProjectName) -> Result<ProjectId, Error> {
    let project = state.app.projects.get_by_name(name).await?;
    if caller.principal.may(Permission::Read, Some(project.id)) {
        return Ok(project.id);
    }
    Err(Error::not_found("project", name).with_hint("`perennial run` in the project's folder creates it"))
}

/// Makes a token void
///
/// Needs the permission `manage` where the token holds. Browser sessions of its principal end with it.
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
}

/// Makes a one-time link that signs a browser in as an administrator
#[utoipa::path(post, path = "/api/v1/login-links", tag = "access", responses((status = 200, body = Link)))]
async fn login_link(CurrentCaller { caller }: CurrentCaller) -> Result<Json<Link>, HttpError> {
    Ok(Json(Link { path: format!("/login/{}", access::login_link(&caller).await?) }))
}
