//! The endpoints of a project: the champion, the canary, the requests of each, and the history.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_core::Result;
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::state::CanaryState;
use perennial_release::approvals::required_reason;
use perennial_release::deployments::{EndpointState, RoutedVersion};
use perennial_release::releases::{self, Promotion};

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::pages::release::words;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, format, paths};

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Page {
    layout: Layout,
    endpoints: Vec<Row>,
}

struct Row {
    state: EndpointState,
    promotions: Vec<Promotion>,
}

impl Row {
    fn canary(&self) -> Option<StatusBadge> {
        // One that was promoted is or was the champion.
        self.state.endpoint.canary_state.filter(|state| *state != CanaryState::Promoted).map(StatusBadge::from)
    }

    fn has_active_canary(&self) -> bool {
        self.state.endpoint.has_active_canary()
    }

    /// What a rollback would do; `None` when there is nothing to go back to.
    fn rollback(&self) -> Option<String> {
        if self.has_active_canary() {
            return Some("Roll back the canary".to_owned());
        }
        self.state.before.map(|number| format!("Roll back to version {number}"))
    }

    fn role(version: &RoutedVersion) -> StatusBadge {
        match version.role {
            TrafficRole::Champion | TrafficRole::Fallback => StatusBadge::CHAMPION,
            TrafficRole::Canary => StatusBadge::CANARY,
        }
    }

    fn error_rate(version: &RoutedVersion) -> String {
        if version.requests == 0 {
            return "–".to_owned();
        }
        format::percent(version.errors as f64 / version.requests as f64)
    }
}

/// Every endpoint.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let promotions = releases::list_promotions(&caller, project, None, ROWS_MAX).await?.items;
    let rows = request.app().endpoints.list(&caller, project).await?.into_iter().map(|state| {
        let own = promotions.iter().filter(|promotion| promotion.endpoint.as_ref() == Some(&state.endpoint.name));
        Row { promotions: own.cloned().collect(), state }
    });
    page(&Page { endpoints: rows.collect(), layout: Layout::new(&request, "endpoints", "Endpoints").await? })
}

/// Rolls an endpoint back. The form asks for a reason.
pub(crate) async fn rollback(request: PageRequest) -> Result<Response> {
    let name: EndpointName = request.param("name", "endpoint")?;
    let reason = words(&request, "reason").unwrap_or_default();
    let reason = Some(required_reason(&reason, "rollback")?);
    request.app().endpoints.rollback(&request.caller()?, request.project()?, &name, reason).await?;
    Ok(Redirect::to(&paths::section(&request.project()?.name, "endpoints")).into_response())
}
