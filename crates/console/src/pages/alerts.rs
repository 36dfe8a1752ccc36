//! Alerts, and their acknowledgement.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_core::Result;
use perennial_core::entity::AlertSubject;
use perennial_core::id::AlertId;
use perennial_core::state::AlertState;
use perennial_kernel::alerts::{self, Alert, Page as Paged};

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, paths};

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    layout: Layout,
    alerts: Paged<Alert>,
}

impl Page {
    fn state(alert: &Alert) -> StatusBadge {
        alert.state.into()
    }

    fn is_firing(alert: &Alert) -> bool {
        alert.state == AlertState::Firing
    }

    /// The page about the subject.
    fn place(&self, alert: &Alert) -> String {
        match &alert.subject {
            AlertSubject::Monitor(name) | AlertSubject::Window(name) => self.layout.item("monitors", name),
            AlertSubject::Dataset(name) | AlertSubject::File { dataset: name, .. } => {
                self.layout.item("datasets", name)
            }
            AlertSubject::Load(_) => self.layout.to("datasets"),
            AlertSubject::Endpoint(name) | AlertSubject::Segment { endpoint: name, .. } => self.layout.endpoint(name),
            AlertSubject::Job(_) | AlertSubject::Work(_) => self.layout.to("alerts"),
            AlertSubject::Release(digest) => self.layout.item("releases", digest),
        }
    }
}

/// Alerts, newest first.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let alerts = alerts::list(&request.caller()?, request.project()?.id, request.after(), ROWS_MAX).await?;
    page(&Page { alerts, layout: Layout::new(&request, "alerts", "Alerts").await? })
}

/// Notes that the visitor has seen an alert.
pub(crate) async fn acknowledge(request: PageRequest) -> Result<Response> {
    let id: AlertId = request.param("id", "alert")?;
    alerts::acknowledge(&request.caller()?, request.project()?.id, id).await?;
    Ok(Redirect::to(&paths::section(&request.project()?.name, "alerts")).into_response())
}
