//! Lineage: the origin of an entity, and what depends on it.

use axum::Json;
use axum::extract::State;
use perennial_core::name::ProjectName;
use perennial_core::permission::Permission;
use perennial_http::extract::{Path, ProjectCaller};
use perennial_http::{Access, HttpError};
use perennial_release::lineage::{self, Kind};
use serde::Serialize;
use utoipa::ToSchema;

use crate::routes::JsonRoutes;
use crate::state::ApiState;

pub(super) fn routes(routes: JsonRoutes) -> JsonRoutes {
    routes.operation::<__path_explain, _, _>(Access::Project(Permission::Read), explain)
}

/// The lineage of an entity: its origin, and what depends on it.
#[derive(Serialize, ToSchema)]
struct Explained {
    /// Both trees of the lineage as text.
    text: String,
    /// The entities that it was made from, back to the source files, in reading order.
    backward: Vec<Line>,
    /// The entities that depend on it, up to endpoints that serve it, in reading order.
    forward: Vec<Line>,
    /// Whether the lineage is longer than the limit of the answer.
    is_cut: bool,
}

/// An entity in a tree; its children follow, one level deeper.
#[derive(Serialize, ToSchema)]
struct Line {
    depth: usize,
    /// `dataset_version`, `step_run`, `model_version`, ….
    kind: String,
    id: String,
    text: String,
    /// Whether its children are listed at an earlier occurrence.
    is_repeated: bool,
}

impl From<lineage::Line> for Line {
    fn from(line: lineage::Line) -> Self {
        Self { depth: line.depth, kind: line.kind, id: line.id, text: line.text, is_repeated: line.is_repeated }
    }
}

/// Explains a prediction, model version, release or dataset version
///
/// `kind` is `prediction` (`<request>-<row>`), `model` (`<number>` or `<model>/<number>`), `release` (first digits of the
/// digest) or `dataset` (`<name>` or `<name>@<number>`).
#[utoipa::path(get, path = "/api/v1/projects/{project}/explain/{kind}/{*id}", tag = "lineage", params(("project" = String, Path), ("kind" = String, Path), ("id" = String, Path)), responses((status = 200, body = Explained)))]
async fn explain(
    State(state): State<ApiState>,
    ProjectCaller { caller, project }: ProjectCaller,
    Path((_, kind, id)): Path<(ProjectName, String, String)>,
) -> Result<Json<Explained>, HttpError> {
    let found = state.app.endpoints.explain(&caller, &project, kind.parse::<Kind>()?, &id).await?;
    Ok(Json(Explained {
        text: found.text(),
        backward: found.backward.into_iter().map(Into::into).collect(),
        forward: found.forward.into_iter().map(Into::into).collect(),
        is_cut: found.is_cut,
    }))
}
