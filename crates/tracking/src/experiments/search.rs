//! Search over experiments.

use std::cmp::Ordering;

use perennial_core::Result;
use perennial_core::filter::{
    ExperimentClause, ExperimentKey, ExperimentNumber, ExperimentOrder, parse_experiment_filter, parse_experiment_order,
};
use perennial_core::state::Lifecycle;
use perennial_store::Page;

use super::{Experiment, Tagged, list};
use crate::check::refused;
use perennial_kernel::Caller;

/// What is searched for, in MLflow's words.
#[derive(Debug, Clone, Default)]
pub struct Search {
    /// The filter.
    pub filter: String,
    /// Deleted or not; `None` takes both.
    pub lifecycle: Option<Lifecycle>,
    /// The order, key by key; newest first by default.
    pub order: Vec<String>,
    /// Where the page before ended.
    pub after: Option<String>,
    /// Experiments at most.
    pub limit: u32,
}

/// Experiments that match and the caller may read, one page of them.
pub async fn search(caller: &Caller, search: Search) -> Result<Page<Tagged>> {
    let clauses = parse_experiment_filter(&search.filter)?;
    let order = search.order.iter().map(|key| parse_experiment_order(key)).collect::<Result<Vec<_>>>()?;
    let start = match &search.after {
        None => 0,
        Some(token) => token
            .parse::<usize>()
            .map_err(|_| refused(format!("`{}` is not a page token of this search", token.escape_debug())))?,
    };
    let mut found = list(caller, search.lifecycle).await?;
    found.retain(|tagged| clauses.iter().all(|clause| holds(clause, tagged)));
    if !order.is_empty() {
        found.sort_by(|a, b| compare(&order, &a.experiment, &b.experiment));
    }
    let end = start.saturating_add(search.limit as usize);
    let next = (found.len() > end).then(|| end.to_string());
    Ok(Page { items: found.into_iter().skip(start).take(search.limit as usize).collect(), next })
}

fn number(experiment: &Experiment, number: ExperimentNumber) -> i64 {
    match number {
        ExperimentNumber::Created => experiment.created_ms,
        ExperimentNumber::Updated => experiment.updated_ms,
    }
}

fn holds(clause: &ExperimentClause, tagged: &Tagged) -> bool {
    let experiment = &tagged.experiment;
    match clause {
        ExperimentClause::Name(test) => test.passes(Some(&experiment.name)),
        ExperimentClause::Id(test) => test.passes(Some(&experiment.id.to_string())),
        ExperimentClause::Number(which, comparison, value) => {
            comparison.holds(number(experiment, *which) as f64, *value)
        }
        ExperimentClause::Tag(key, test) => {
            test.passes(tagged.tags.iter().find(|tag| tag.key == *key).map(|tag| tag.value.as_str()))
        }
    }
}

fn compare(order: &[ExperimentOrder], a: &Experiment, b: &Experiment) -> Ordering {
    let by_key = order.iter().map(|order| {
        let ordering = match order.key {
            ExperimentKey::Name => a.name.cmp(&b.name),
            ExperimentKey::Id => a.id.cmp(&b.id),
            ExperimentKey::Number(which) => number(a, which).cmp(&number(b, which)),
        };
        if order.is_descending { ordering.reverse() } else { ordering }
    });
    by_key.fold(Ordering::Equal, Ordering::then).then(b.id.cmp(&a.id))
}
