//! The monitors of a project.

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_watch::monitor_results::{self, MonitorResultKind};

use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

#[derive(Template)]
#[template(path = "monitors.html")]
struct Page {
    layout: Layout,
    /// The task's measure.
    metric: String,
    monitors: Vec<Row>,
}

struct Row {
    name: String,
    endpoint: String,
    window: String,
    alerts: Vec<(String, String)>,
    /// Where the newest window began, and its share of drifted features.
    newest: Option<(i64, Option<f64>)>,
    /// The measure of the newest window whose outcomes are there.
    quality: Option<f64>,
}

/// Every declared monitor.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let submission = project.find_submission();
    let layout = Layout::new(&request, "monitors", "Monitors").await?;
    let metric = layout.project.as_ref().map(|project| project.metric.clone()).unwrap_or_default();
    let mut monitors = Vec::new();
    let inputs = monitor_results::list_latest(&caller, project, MonitorResultKind::Inputs).await?;
    let quality = monitor_results::list_latest(&caller, project, MonitorResultKind::Quality).await?;
    for (name, monitor) in submission.iter().flat_map(|submission| submission.project.monitors.iter()) {
        let newest = inputs.iter().rfind(|result| &result.monitor == name);
        let newest_quality = quality.iter().rfind(|result| &result.monitor == name);
        monitors.push(Row {
            quality: newest_quality.and_then(|result| result.facts["facts"][metric.as_str()].as_f64()),
            name: name.to_string(),
            endpoint: monitor.endpoint.to_string(),
            window: monitor.window.as_str().to_owned(),
            alerts: monitor.alerts.iter().map(|(name, rule)| (name.clone(), rule.text().to_owned())).collect(),
            newest: newest.map(|result| (result.window_start_ms, result.facts["facts"]["drift"]["share"].as_f64())),
        });
    }
    page(&Page { layout, metric, monitors })
}
