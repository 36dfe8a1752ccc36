//! The monitors of a project.

use askama::Template;
use axum::response::Response;
use perennial_app::monitor_results;
use perennial_core::Result;

use crate::door::page;
use crate::format;
use crate::shell::Shell;
use crate::visit::Visit;

#[derive(Template)]
#[template(path = "monitors.html")]
struct Page {
    shell: Shell,
    monitors: Vec<Row>,
}

struct Row {
    name: String,
    endpoint: String,
    window: String,
    alerts: Vec<(String, String)>,
    /// Where the newest window began, and its share of drifted features.
    newest: Option<(i64, Option<f64>)>,
}

/// Every declared monitor.
pub(crate) async fn show(visit: Visit) -> Result<Response> {
    let (caller, project) = (visit.caller()?, visit.project()?);
    let submission = project.find_submission();
    let mut monitors = Vec::new();
    for (name, monitor) in submission.iter().flat_map(|submission| submission.project.monitors.iter()) {
        let results = monitor_results::list(&caller, project, name, None).await?;
        let newest = results.iter().max_by_key(|result| result.window_start_ms);
        monitors.push(Row {
            name: name.to_string(),
            endpoint: monitor.endpoint.to_string(),
            window: monitor.window.as_str().to_owned(),
            alerts: monitor.alerts.iter().map(|(name, rule)| (name.clone(), rule.text().to_owned())).collect(),
            newest: newest.map(|result| (result.window_start_ms, result.facts["facts"]["drift"]["share"].as_f64())),
        });
    }
    page(&Page { monitors, shell: Shell::new(&visit, "monitors", "Monitors").await? })
}
