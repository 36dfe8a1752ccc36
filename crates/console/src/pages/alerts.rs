//! Alerts, and that somebody looked.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_app::alerts::{self, Alert, Page as Paged};
use perennial_core::Result;
use perennial_core::id::AlertId;
use perennial_core::state::AlertState;

use crate::door::page;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;
use crate::{ROWS_MAX, routes};

#[derive(Template)]
#[template(path = "alerts.html")]
struct Page {
    shell: Shell,
    alerts: Paged<Alert>,
}

impl Page {
    fn state(alert: &Alert) -> Mark {
        alert.state.into()
    }

    fn is_firing(alert: &Alert) -> bool {
        alert.state == AlertState::Firing
    }

    /// Where to look.
    fn place(&self, alert: &Alert) -> String {
        match alert.subject.split_once(':') {
            Some(("monitor" | "window", name)) => self.shell.item("monitors", name),
            Some(("dataset", name)) => self.shell.item("datasets", name),
            Some(("file", path)) => self.shell.item("datasets", path.split('/').next().unwrap_or_default()),
            _ => self.shell.to("datasets"),
        }
    }
}

/// Alerts, newest first.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let alerts = alerts::list(&visit.caller()?, visit.project()?.id, visit.after(), ROWS_MAX).await?;
    page(&Page { alerts, shell: Shell::new(&visit, "alerts", "Alerts").await? })
}

/// Notes that the visitor has seen an alert.
pub(crate) async fn acknowledge(visit: Visit) -> Result<Response> {
    let id: AlertId = visit.param("id", "alert")?;
    alerts::acknowledge(&visit.caller()?, visit.project()?.id, id).await?;
    Ok(Redirect::to(&routes::section(&visit.project()?.name, "alerts")).into_response())
}
