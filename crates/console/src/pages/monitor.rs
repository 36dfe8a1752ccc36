//! A monitor: drift and quality over time, and each feature in the newest window.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_core::name::MonitorName;
use perennial_watch::monitor_results::{self, MonitorResult, MonitorResultKind};
use serde_json::Value;

use crate::badge::StatusBadge;
use crate::chart::{Chart, Series};
use crate::format;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;

/// Windows that are shown: the newest.
const WINDOWS_MAX: usize = 60;
/// Versions that have a line of their own; with the reference, as many as there are colours.
const VERSIONS_MAX: usize = 5;

#[derive(Template)]
#[template(path = "monitor.html")]
struct Page {
    layout: Layout,
    metric: String,
    rules: Vec<(String, String)>,
    drift: Option<Chart>,
    quality: Option<Chart>,
    rows: Vec<Row>,
    features: Vec<Feature>,
    /// Start of the newest window with drift, and the version it is about.
    newest: Option<(i64, i64)>,
}

/// What one version showed in one window.
struct Row {
    start_ms: i64,
    number: i64,
    rows: Option<i64>,
    labelled: Option<f64>,
    drift: Option<f64>,
    metric: Option<f64>,
    reference: Option<f64>,
    p99_ms: Option<f64>,
    error_rate: Option<f64>,
    revision: i64,
}

/// How far a column is from its reference.
struct Feature {
    name: String,
    psi: Option<f64>,
    ks: Option<f64>,
    missing: Option<f64>,
    badge: StatusBadge,
}

/// One monitor.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let name: MonitorName = request.param("name", "monitor")?;
    let results = monitor_results::list(&caller, project, &name, None).await?;
    let layout = Layout::new(&request, "monitors", format!("Monitor {name}")).await?;
    let submission = project.find_submission();
    let declared = submission.as_ref().and_then(|submission| submission.project.monitors.get(&name));
    let rules: Vec<(String, String)> = declared
        .into_iter()
        .flat_map(|monitor| monitor.alerts.iter())
        .map(|(name, rule)| (name.clone(), rule.text().to_owned()))
        .collect();
    let metric = layout.project.as_ref().map(|project| project.metric.clone()).unwrap_or_default();
    let mut rows = rows(&results, &metric);
    let places = places(&rows, &layout);
    let in_percent = |share: Option<f64>| share.map(|share| share * 100.0);
    let shares = places.series(&rows, |row| in_percent(row.drift));
    let most = limits(&rules, "drift.share").into_iter().map(|(name, share)| (name, share * 100.0));
    let drift = Chart::new(
        "Share of drifted features by window, in percent",
        &places.names,
        &shares,
        &most.collect::<Vec<_>>(),
    );
    let mut lines = places.series(&rows, |row| row.metric);
    let references = rows.iter().filter_map(|row| Some((row.start_ms, row.reference?))).collect::<BTreeMap<_, _>>();
    if !references.is_empty() {
        lines.push(Series {
            name: "reference".to_owned(),
            points: places.starts.iter().map(|start| references.get(start).copied()).collect(),
        });
    }
    let quality = Chart::new(format!("Quality by window: {metric}"), &places.names, &lines, &limits(&rules, &metric));
    let newest = results
        .iter()
        .filter(|result| result.facts["result"]["drift"].is_object())
        .max_by_key(|result| (result.window_start_ms, result.number));
    let features = newest.map(features).unwrap_or_default();
    let newest = newest.map(|result| (result.window_start_ms, result.number));
    rows.reverse();
    page(&Page { layout, metric, rules, drift, quality, rows, features, newest })
}

/// The numbers that rules compare a fact with, each with the name of its alert.
fn limits(rules: &[(String, String)], fact: &str) -> Vec<(String, f64)> {
    let limit = |clause: &str| match clause.split_whitespace().collect::<Vec<_>>().as_slice() {
        [name, ">" | ">=" | "<" | "<=", number] if *name == fact => number.parse().ok(),
        _ => None,
    };
    let of_rule = |(name, rule): &(String, String)| {
        let clauses = rule.split("&&").flat_map(|rule| rule.split("||"));
        clauses.filter_map(limit).map(|number| (format!("alert {name}"), number)).collect::<Vec<_>>()
    };
    rules.iter().flat_map(of_rule).collect()
}

/// Inputs and quality of one version in one window make one row.
fn rows(results: &[MonitorResult], metric: &str) -> Vec<Row> {
    let mut by_place: BTreeMap<(i64, i64), &MonitorResult> = BTreeMap::new();
    for result in results {
        let kept = by_place.entry((result.window_start_ms, result.number)).or_insert(result);
        if result.kind == MonitorResultKind::Quality {
            *kept = result;
        }
    }
    let skipped = by_place.keys().map(|(start, _)| *start).collect::<BTreeSet<_>>().len().saturating_sub(WINDOWS_MAX);
    let since =
        by_place.keys().map(|(start, _)| *start).collect::<BTreeSet<_>>().into_iter().nth(skipped).unwrap_or(i64::MIN);
    let shown = by_place.into_iter().filter(|((start, _), _)| *start >= since);
    shown.map(|((start_ms, number), result)| row(start_ms, number, result, metric)).collect()
}

fn row(start_ms: i64, number: i64, result: &MonitorResult, metric: &str) -> Row {
    let (facts, seen) = (&result.facts["facts"], &result.facts["result"]);
    Row {
        start_ms,
        number,
        rows: seen["rows"].as_i64(),
        labelled: facts["labelled"].as_f64(),
        drift: facts["drift"]["share"].as_f64(),
        metric: facts[metric].as_f64(),
        reference: facts["reference"][metric].as_f64(),
        p99_ms: facts["latency"]["p99_ms"].as_f64(),
        error_rate: facts["error_rate"].as_f64(),
        revision: result.revision,
    }
}

/// The windows along the axis.
struct Places {
    starts: Vec<i64>,
    names: Vec<String>,
}

fn places(rows: &[Row], layout: &Layout) -> Places {
    let starts: Vec<i64> = rows.iter().map(|row| row.start_ms).collect::<BTreeSet<_>>().into_iter().collect();
    let names = starts.iter().map(|start| layout.when(start).chars().take(10).collect()).collect();
    Places { starts, names }
}

impl Places {
    /// A line for each version, the newest few.
    fn series(&self, rows: &[Row], value: impl Fn(&Row) -> Option<f64>) -> Vec<Series> {
        let versions: BTreeSet<i64> = rows.iter().filter(|row| value(row).is_some()).map(|row| row.number).collect();
        let shown = versions.iter().rev().take(VERSIONS_MAX).rev();
        let at = |start: i64, number: i64| {
            rows.iter().find(|row| row.start_ms == start && row.number == number).and_then(&value)
        };
        shown
            .map(|number| Series {
                name: format!("version {number}"),
                points: self.starts.iter().map(|start| at(*start, *number)).collect(),
            })
            .collect()
    }
}

/// Features, the farthest first, then scores.
fn features(result: &MonitorResult) -> Vec<Feature> {
    let drift = &result.facts["result"]["drift"];
    let read = |kind: &str| -> Vec<Feature> { drift[kind].as_array().into_iter().flatten().map(feature).collect() };
    let mut features = read("features");
    features.sort_by(|a, b| b.psi.unwrap_or(-1.0).total_cmp(&a.psi.unwrap_or(-1.0)));
    features.extend(read("scores"));
    features
}

fn feature(drift: &Value) -> Feature {
    let badge = match drift["is_drifted"].as_bool() {
        Some(true) => StatusBadge::DRIFTED,
        Some(false) => StatusBadge::STEADY,
        None => StatusBadge::UNKNOWN,
    };
    Feature {
        name: drift["name"].as_str().unwrap_or_default().to_owned(),
        psi: drift["psi"].as_f64(),
        ks: drift["ks"].as_f64(),
        missing: drift["missing"].as_f64(),
        badge,
    }
}
