//! One file a page: its struct, its template, its handler.

mod alerts;
mod dataset;
mod datasets;
mod endpoints;
mod explain;
pub(crate) mod failure;
mod ledger;
mod login;
mod model;
mod models;
mod monitor;
mod monitors;
mod overview;
mod projects;
mod release;
mod releases;
mod run;
mod runs;

use perennial_core::permission::Permission;
use perennial_http::Access::{self, Authenticated, Project, Public};

use crate::assets;
use crate::routing::Pages;

const READ: Access = Project(Permission::Read);

/// Registers every page.
pub(crate) fn all(pages: Pages) -> Pages {
    pages
        .get("/assets/{hash}/{name}", Public, assets::file)
        .get("/login", Public, login::show)
        .post("/login", Public, login::begin)
        .get("/login/{link}", Public, login::show_link)
        .post("/login/{link}", Public, login::use_link)
        .post("/logout", Authenticated, login::end)
        .get("/", Authenticated, projects::show)
        .get("/p/{project}", READ, overview::show)
        .get("/p/{project}/datasets", READ, datasets::show)
        .get("/p/{project}/datasets/{name}", READ, dataset::show)
        .get("/p/{project}/runs", READ, runs::show)
        .get("/p/{project}/runs/{id}", READ, run::show)
        .get("/p/{project}/models", READ, models::show)
        .get("/p/{project}/models/{number}", READ, model::show)
        .get("/p/{project}/evidence/{id}/plots/{name}", READ, model::plot)
        .get("/p/{project}/releases", READ, releases::show)
        .get("/p/{project}/releases/{digest}", READ, release::show)
        .post("/p/{project}/releases/{digest}/approve", Project(Permission::Approve), release::approve)
        .post("/p/{project}/releases/{digest}/reject", Project(Permission::Approve), release::reject)
        .get("/p/{project}/endpoints", READ, endpoints::show)
        .post("/p/{project}/endpoints/{name}/rollback", Project(Permission::Approve), endpoints::rollback)
        .get("/p/{project}/monitors", READ, monitors::show)
        .get("/p/{project}/monitors/{name}", READ, monitor::show)
        .get("/p/{project}/alerts", READ, alerts::show)
        .post("/p/{project}/alerts/{id}/acknowledge", Project(Permission::Write), alerts::acknowledge)
        .get("/p/{project}/ledger", READ, ledger::show)
        .get("/p/{project}/explain/{kind}/{id}", READ, explain::show)
}
