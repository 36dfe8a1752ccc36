//! The endpoints of a project: who answers, which canary is on its way, what happened.

use askama::Template;
use axum::response::{IntoResponse, Redirect, Response};
use perennial_app::deployments::{EndpointState, LiveVersion};
use perennial_app::releases::{self, Promotion};
use perennial_core::Result;
use perennial_core::name::EndpointName;
use perennial_core::port::prediction::TrafficRole;
use perennial_core::state::CanaryState;

use crate::door::page;
use crate::mark::Mark;
use crate::shell::Shell;
use crate::visit::Visit;
use crate::{ROWS_MAX, format, routes};

#[derive(Template)]
#[template(path = "endpoints.html")]
struct Page {
    shell: Shell,
    endpoints: Vec<Row>,
}

struct Row {
    state: EndpointState,
    promotions: Vec<Promotion>,
}

impl Row {
    fn canary(&self) -> Option<Mark> {
        // One that was promoted is or was the champion.
        self.state.endpoint.canary_state.filter(|state| *state != CanaryState::Promoted).map(Mark::from)
    }

    fn is_canary_live(&self) -> bool {
        self.state.endpoint.is_canary_live()
    }

    /// What a rollback would do; `None` when there is nothing to go back to.
    fn rollback(&self) -> Option<String> {
        if self.is_canary_live() {
            return Some("Take the canary back".to_owned());
        }
        self.state.before.map(|number| format!("Roll back to version {number}"))
    }

    fn part(live: &LiveVersion) -> Mark {
        match live.part {
            TrafficRole::Champion | TrafficRole::Fallback => Mark::CHAMPION,
            TrafficRole::Canary => Mark::CANARY,
        }
    }

    fn error_rate(live: &LiveVersion) -> String {
        if live.requests == 0 { "–".to_owned() } else { format::percent(live.errors as f64 / live.requests as f64) }
    }
}

/// Every endpoint.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let promotions = releases::list_promotions(&caller, project, None, ROWS_MAX).await?.items;
    let rows = visit.app().endpoints.list(&caller, project).await?.into_iter().map(|state| {
        let own = promotions.iter().filter(|promotion| promotion.endpoint.as_ref() == Some(&state.endpoint.name));
        Row { promotions: own.cloned().collect(), state }
    });
    page(&Page { endpoints: rows.collect(), shell: Shell::new(&visit, "endpoints", "Endpoints").await? })
}

/// One call back.
pub(crate) async fn rollback(visit: Visit) -> Result<Response> {
    let name: EndpointName = visit.param("name", "endpoint")?;
    visit.app().endpoints.rollback(&visit.caller()?, visit.project()?, &name).await?;
    Ok(Redirect::to(&routes::section(&visit.project()?.name, "endpoints")).into_response())
}
