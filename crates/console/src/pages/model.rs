//! A model version: its inputs and outputs, its evidence, and its Decisions.

use std::collections::BTreeSet;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use perennial_core::Result;
use perennial_core::entity::GateResult;
use perennial_core::id::EvidenceId;
use perennial_core::model::{Input, InputKind, Signature};
use perennial_release::evidence::{self, Evidence, ModelFacts};
use perennial_release::models::{self, Decision, VersionDetails};
use serde_json::Value;

use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{format, paths};

/// Content security policy of a picture that is opened by itself: no script, no request.
const PICTURE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'";
/// Slices that are shown.
const SLICES_MAX: usize = 200;

#[derive(Template)]
#[template(path = "model.html")]
struct Page {
    layout: Layout,
    name: String,
    details: VersionDetails,
    signature: Option<Signature>,
    evidence: Option<EvidenceTables>,
    decisions: Vec<Decided>,
}

/// Evidence as tables.
struct EvidenceTables {
    evidence: Evidence,
    expires_ms: i64,
    measures: Vec<Measure>,
    slices: Vec<Vec<String>>,
    slice_columns: Vec<String>,
    plots: Vec<Picture>,
}

/// One metric of every evaluated model.
struct Measure {
    name: String,
    values: Vec<String>,
}

struct Picture {
    title: String,
    href: String,
}

/// A decision with its gates.
struct Decided {
    decision: Decision,
    /// Leaks and strong features, each with its remedy.
    features: Vec<String>,
}

impl Decided {
    fn verdict(&self) -> StatusBadge {
        self.decision.verdict.into()
    }

    fn gate(gate: &GateResult) -> StatusBadge {
        gate.evaluation.verdict.into()
    }

    fn values(gate: &GateResult) -> Vec<String> {
        gate.evaluation.values.iter().map(|(name, value)| format!("{name} = {}", format::value(value))).collect()
    }

    /// Facts that were absent, and clauses that were skipped.
    fn notes(gate: &GateResult) -> Vec<String> {
        let evaluation = &gate.evaluation;
        let missing = evaluation.missing.iter().map(|path| format!("{path} is absent"));
        let skipped = evaluation
            .skipped
            .iter()
            .map(|skipped| format!("skipped because `{}` is missing: {}", skipped.absent, skipped.clause));
        missing.chain(evaluation.reasons.iter().cloned()).chain(skipped).collect()
    }
}

impl Page {
    fn kind(input: &Input) -> &'static str {
        match input.kind {
            InputKind::Number => "number",
            InputKind::Text => "text",
        }
    }
}

/// The query that names a model other than the project's own.
pub(super) fn query(name: &str) -> String {
    format!("model={}", utf8_percent_encode(name, NON_ALPHANUMERIC))
}

/// One version.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let name = request.query.get("model").cloned().unwrap_or_else(|| project.name.to_string());
    let number: i64 = request.param("number", "model version")?;
    let details = models::version(&caller, project, &name, number).await?;
    let signature = details.version.signature.clone().and_then(|signature| serde_json::from_value(signature).ok());
    let newest = match details.decisions.first() {
        Some(decision) => Some(evidence::get(&caller, project, decision.evidence_id).await?),
        None => None,
    };
    let evidence =
        newest.map(|(row, evidence)| tables(project.name.as_str(), row.id, row.expires_project_ms, evidence));
    let decisions = details.decisions.iter().map(decided).collect();
    page(&Page {
        layout: Layout::new(&request, "models", format!("{name} version {number}")).await?,
        name,
        details,
        signature,
        evidence,
        decisions,
    })
}

/// A picture of evidence.
pub(crate) async fn plot(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let id: EvidenceId = request.param("id", "evidence")?;
    let svg = evidence::plot(&caller, project, id, request.text("name")).await?;
    let policy = (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PICTURE_POLICY));
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    let kept = (header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=31536000, immutable"));
    Ok(([policy, kind, kept], svg).into_response())
}

fn decided(decision: &Decision) -> Decided {
    Decided { decision: decision.clone(), features: decision.body.feature_lines() }
}

fn tables(project: &str, id: EvidenceId, expires_ms: i64, evidence: Evidence) -> EvidenceTables {
    let names: BTreeSet<&String> = evidence
        .models
        .iter()
        .flat_map(|model| model.facts.iter())
        .filter(|(_, value)| value.is_number())
        .map(|(name, _)| name)
        .collect();
    let value = |model: &ModelFacts, name: &str| format::number(model.facts.get(name).and_then(Value::as_f64));
    let measures = names
        .into_iter()
        .map(|name| Measure {
            name: name.clone(),
            values: evidence.models.iter().map(|model| value(model, name)).collect(),
        })
        .collect();
    let (slice_columns, slices) = sliced(&evidence);
    let plots = evidence
        .plots
        .iter()
        .map(|(name, title, _)| Picture { title: title.clone(), href: paths::plot(project, id, name) })
        .collect();
    EvidenceTables { evidence, expires_ms, measures, slices, slice_columns, plots }
}

/// The candidate's slices: what they have in common are the columns.
fn sliced(evidence: &Evidence) -> (Vec<String>, Vec<Vec<String>>) {
    let slices = evidence.models.first().and_then(|model| model.facts.get("slices")).and_then(Value::as_array);
    let slices: Vec<_> = slices.into_iter().flatten().filter_map(Value::as_object).take(SLICES_MAX).collect();
    let mut columns: Vec<String> = Vec::new();
    for (name, value) in slices.iter().flat_map(|slice| slice.iter()) {
        if !columns.contains(name) && !value.is_object() && !value.is_array() {
            columns.push(name.clone());
        }
    }
    // Words first, so that a slice is named before it is measured.
    columns
        .sort_by_key(|name| (slices.iter().any(|slice| slice.get(name).is_some_and(Value::is_number)), name != "rows"));
    let rows = slices.iter().map(|slice| {
        columns.iter().map(|name| slice.get(name).map_or_else(|| "–".to_owned(), format::value)).collect()
    });
    (columns.clone(), rows.collect())
}
