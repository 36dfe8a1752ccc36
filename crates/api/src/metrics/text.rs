//! The text itself.

use std::fmt::Write;
use std::sync::atomic::Ordering;

use super::{BOUNDS_US, Counters, STATUSES};
use crate::door::Door;

/// Everything that is told.
pub(super) fn of(door: &Door) -> String {
    let mut out = String::with_capacity(16 * 1024);
    requests(&mut out, door);
    predictions(&mut out, door);
    gauge(
        &mut out,
        "perennial_requests_in_flight",
        "Requests under way.",
        door.0.in_flight.load(Ordering::Relaxed) as f64,
    );
    gauge(
        &mut out,
        "perennial_tasks_in_flight",
        "Pipeline runs and other background work under way.",
        door.0.app.work.len() as f64,
    );
    gauge(
        &mut out,
        "perennial_store_writes_waiting",
        "Writes that wait for the metadata store.",
        door.0.app.store().waiting() as f64,
    );
    if let Some(bytes) = resident_bytes() {
        gauge(&mut out, "process_resident_memory_bytes", "Resident memory.", bytes as f64);
    }
    out
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    // Writing to a String cannot fail, here and below.
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn gauge(out: &mut String, name: &str, help: &str, value: f64) {
    head(out, name, help, "gauge");
    let _ = writeln!(out, "{name} {value}");
}

fn requests(out: &mut String, door: &Door) {
    let metrics = &door.0.metrics;
    let named = metrics
        .routes
        .iter()
        .map(|(route, counters)| (format!("method=\"{}\",route=\"{}\"", route.method, route.path), counters));
    let all: Vec<(String, &Counters)> =
        named.chain([("method=\"ANY\",route=\"unknown\"".to_owned(), &metrics.unmatched)]).collect();
    head(out, "perennial_http_requests_total", "Requests answered, by route and status.", "counter");
    for (labels, counters) in &all {
        for (status, count) in STATUSES.iter().zip(&counters.by_status) {
            let count = count.load(Ordering::Relaxed);
            if count > 0 {
                let status = if *status == 0 { "other".to_owned() } else { status.to_string() };
                let _ = writeln!(out, "perennial_http_requests_total{{{labels},status=\"{status}\"}} {count}");
            }
        }
    }
    head(out, "perennial_http_request_seconds", "Time from request to answer, by route.", "histogram");
    for (labels, counters) in &all {
        let counts: Vec<u64> = counters.by_latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        if total == 0 {
            continue;
        }
        let mut seen = 0;
        for (bound, count) in BOUNDS_US.iter().zip(&counts) {
            seen += count;
            let _ = writeln!(
                out,
                "perennial_http_request_seconds_bucket{{{labels},le=\"{}\"}} {seen}",
                *bound as f64 / 1e6
            );
        }
        let _ = writeln!(out, "perennial_http_request_seconds_bucket{{{labels},le=\"+Inf\"}} {total}");
        let _ = writeln!(
            out,
            "perennial_http_request_seconds_sum{{{labels}}} {}",
            counters.sum_us.load(Ordering::Relaxed) as f64 / 1e6
        );
        let _ = writeln!(out, "perennial_http_request_seconds_count{{{labels}}} {total}");
    }
}

fn predictions(out: &mut String, door: &Door) {
    let mut lines = [Vec::new(), Vec::new(), Vec::new()];
    for name in door.0.app.endpoints.router.names() {
        let Some(deployment) = door.0.app.endpoints.router.find(&name) else { continue };
        let canary = deployment.canary.as_ref().map(|canary| ("canary", &canary.version));
        for (part, version) in [("champion", &deployment.champion)].into_iter().chain(canary) {
            let labels = format!("endpoint=\"{name}\",version=\"{}\",part=\"{part}\"", version.number);
            lines[0].push(format!("perennial_prediction_requests_total{{{labels}}} {}", version.counts.requests()));
            lines[1].push(format!("perennial_prediction_errors_total{{{labels}}} {}", version.counts.errors()));
            for quantile in [0.5, 0.99] {
                if let Some(ms) = version.counts.latency_ms(quantile) {
                    lines[2]
                        .push(format!("perennial_prediction_seconds{{{labels},quantile=\"{quantile}\"}} {}", ms / 1e3));
                }
            }
        }
    }
    let heads = [
        ("perennial_prediction_requests_total", "Requests a version answered since it took its part.", "counter"),
        ("perennial_prediction_errors_total", "Of these, ended with 5xx.", "counter"),
        ("perennial_prediction_seconds", "Latency of a version's answers.", "gauge"),
    ];
    for ((name, help, kind), lines) in heads.into_iter().zip(lines) {
        head(out, name, help, kind);
        for line in lines {
            let _ = writeln!(out, "{line}");
        }
    }
}

/// Resident memory of this process, where the system tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kib * 1024)
}
