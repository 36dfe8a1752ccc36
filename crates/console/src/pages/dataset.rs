//! A dataset: its versions, profile, checks, loads and the rows set aside.

use askama::Template;
use axum::response::Response;
use perennial_core::name::DatasetName;
use perennial_core::port::data::{ColumnProfile, Page as Rows};
use perennial_core::{Error, Result};
use perennial_ingest::datasets::{self, CheckResult, Dataset, DatasetVersion, Load, Page as Paged};

use super::datasets::mode;
use crate::badge::StatusBadge;
use crate::layout::Layout;
use crate::request::PageRequest;
use crate::routing::page;
use crate::{ROWS_MAX, format};

/// Loads whose checks are shown.
const CHECKED_MAX: u32 = 3;
/// Rows of the quarantine that are shown.
const ASIDE_MAX: usize = 20;
/// Frequent values of a column that are shown.
const TOP_MAX: usize = 3;

#[derive(Template)]
#[template(path = "dataset.html")]
struct Page {
    layout: Layout,
    dataset: Dataset,
    newest: Option<DatasetVersion>,
    versions: Paged<DatasetVersion>,
    loads: Paged<Load>,
    checks: Vec<(Load, Vec<CheckResult>)>,
    profile: Vec<ColumnProfile>,
    aside: Option<Rows>,
    /// Why rows set aside cannot be shown.
    aside_failed: Option<String>,
}

impl Page {
    fn mode(&self) -> &'static str {
        mode(self.dataset.mode)
    }

    fn verdict(check: &CheckResult) -> StatusBadge {
        (check.verdict, check.severity).into()
    }

    fn state(load: &Load) -> StatusBadge {
        load.state.into()
    }

    fn answer(check: &CheckResult) -> String {
        check.answer["message"].as_str().map_or_else(|| format::value(&check.answer), str::to_owned)
    }

    fn file(load: &Load) -> String {
        (!load.files.is_empty())
            .then(|| load.paths().collect::<Vec<_>>().join("\n"))
            .or_else(|| load.origin_id.as_deref().map(format::short))
            .unwrap_or_else(|| load.origin.as_str().to_owned())
    }

    fn reasons(load: &Load) -> String {
        let reasons = load.reasons.as_object().into_iter().flatten();
        reasons.map(|(reason, rows)| format!("{reason} {}", format::value(rows))).collect::<Vec<_>>().join(", ")
    }

    /// Least, middle and greatest, or the most frequent values.
    fn spread(column: &ColumnProfile) -> String {
        if let Some([_, low, middle, high, _]) = column.quantiles {
            return format!(
                "25 % {}, median {}, 75 % {}",
                format::number(low),
                format::number(middle),
                format::number(high)
            );
        }
        let top = column.top.iter().take(TOP_MAX).map(|(value, count)| format!("{value} ({})", format::count(count)));
        top.collect::<Vec<_>>().join(", ")
    }

    fn range(column: &ColumnProfile) -> String {
        match (&column.min, &column.max) {
            (Some(min), Some(max)) => format!("{} to {}", format::value(min), format::value(max)),
            _ => "–".to_owned(),
        }
    }

    fn missing(column: &ColumnProfile) -> String {
        if column.rows == 0 { "–".to_owned() } else { format::percent(column.nulls as f64 / column.rows as f64) }
    }
}

/// One dataset. `?after=` is the cursor of its loads, `?before=` the cursor of its versions.
pub(crate) async fn show(request: PageRequest) -> Result<Response> {
    let (caller, project) = (request.caller()?, request.project()?);
    let name: DatasetName = request.param("name", "dataset")?;
    let (dataset, newest) = datasets::get(&caller, project, &name).await?;
    let before = request.query.get("before").and_then(|before| before.parse().ok());
    let profile = datasets::profile(&caller, project, &name, None).await?;
    let profile = profile.map(|profile| serde_json::from_value(profile.body)).transpose();
    let profile = profile
        .map_err(|cause| Error::internal(format!("cannot parse the profile of dataset `{name}`"), cause))?
        .unwrap_or_default();
    let mut checks = datasets::checks(&caller, project, &name, CHECKED_MAX).await?;
    checks.retain(|(load, results)| !results.is_empty() || load.message.is_some());
    let loads = datasets::loads(&caller, project, &name, request.after(), ROWS_MAX).await?;
    // The page is shown even when the quarantine cannot be read.
    let (aside, aside_failed) = match datasets::quarantine(&caller, project, &name, None, ASIDE_MAX).await {
        Ok(rows) => (Some(rows), None),
        Err(error) => {
            tracing::warn!(dataset.name = %name, error.chain = %error.chain(), "rows set aside cannot be shown");
            (None, Some(error.message().to_owned()))
        }
    };
    page(&Page {
        versions: datasets::versions(&caller, project, &name, before, ROWS_MAX).await?,
        checks,
        layout: Layout::new(&request, "datasets", name.to_string()).await?,
        dataset,
        newest,
        loads,
        profile,
        aside,
        aside_failed,
    })
}
