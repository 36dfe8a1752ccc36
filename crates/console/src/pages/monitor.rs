//! A monitor: drift and quality over time, and each feature in the newest window.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::response::Response;
use perennial_core::Result;
use perennial_core::name::MonitorName;
use perennial_evaluation::plot::{Axis, Guide, LineChart, Placement, Series};
use perennial_watch::monitor_results::{self, MonitorResult, MonitorResultKind};
use serde_json::Value;

use crate::badge::StatusBadge;
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
    /// SVG.
    drift: Option<String>,
    /// SVG.
    quality: Option<String>,
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

/// The distance of a column from its reference.
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
    let limit_of = |(name, share): (String, f64)| (name, share * 100.0);
    let drift_limits = limits(&rules, "drift.share").into_iter().map(limit_of).collect();
    let drift = places.chart("Share of drifted features by window, in percent".to_owned(), shares, drift_limits);
    let mut lines = places.series(&rows, |row| row.metric);
    let references = rows.iter().filter_map(|row| Some((row.start_ms, row.reference?))).collect::<BTreeMap<_, _>>();
    if !references.is_empty() {
        lines.push(places.line("reference".to_owned(), |start| references.get(&start).copied()));
    }
    let quality = places.chart(format!("Quality by window: {metric}"), lines, limits(&rules, &metric));
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
struct Positions {
    starts: Vec<i64>,
    names: Vec<String>,
}

fn places(rows: &[Row], layout: &Layout) -> Positions {
    let starts: Vec<i64> = rows.iter().map(|row| row.start_ms).collect::<BTreeSet<_>>().into_iter().collect();
    let names = starts.iter().map(|start| layout.when(start).chars().take(10).collect()).collect();
    Positions { starts, names }
}

impl Positions {
    /// A line for each version, the newest few.
    fn series(&self, rows: &[Row], value: impl Fn(&Row) -> Option<f64>) -> Vec<Series> {
        let versions: BTreeSet<i64> = rows.iter().filter(|row| value(row).is_some()).map(|row| row.number).collect();
        let shown = versions.iter().rev().take(VERSIONS_MAX).rev();
        let at = |start: i64, number: i64| {
            rows.iter().find(|row| row.start_ms == start && row.number == number).and_then(&value)
        };
        shown.map(|number| self.line(format!("version {number}"), |start| at(start, *number))).collect()
    }

    /// A line with the value of each window that has one.
    fn line(&self, label: String, value: impl Fn(i64) -> Option<f64>) -> Series {
        let point = |(place, start): (usize, &i64)| value(*start).map(|value| (place as f64, value));
        let points = self.starts.iter().enumerate().map(point).collect();
        Series { label, points, has_marks: true, is_filled: false }
    }

    /// A chart over the windows, as SVG; `limits` are names and values that lines across show. `None` when no series has
    /// a value.
    fn chart(&self, title: String, series: Vec<Series>, limits: Vec<(String, f64)>) -> Option<String> {
        let mut values: Vec<f64> =
            series.iter().flat_map(|series| series.points.iter().flatten().map(|point| point.1)).collect();
        if values.is_empty() {
            return None;
        }
        values.extend(limits.iter().map(|(_, value)| value));
        let chart = LineChart {
            title,
            placement: Placement::Inline,
            x: Axis::names(self.names.clone()),
            y: Axis::around("", values),
            guides: limits.into_iter().map(|(name, value)| Guide::level(value, name)).collect(),
            series,
        };
        Some(chart.draw())
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
