//! Whether a step runs, and why.

use perennial_core::Result;
use perennial_core::name::StepName;
use perennial_core::state::StepRunState;
use perennial_kernel::Caller;
use perennial_projects::ProjectState;
use perennial_store::step_runs;
use serde::{Deserialize, Serialize};

use crate::plan::{KeyParts, differences};

/// Whether a step would run now, and what changed since it last ran.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepPlan {
    /// The step.
    pub step: StepName,
    /// Whether its outputs are cached.
    pub is_cached: bool,
    /// The reasons: differences to the newest successful run, or that there was none.
    pub reasons: Vec<String>,
}

/// Compares a key with the newest successful attempt of a step.
pub(crate) async fn plan_step(
    caller: &Caller,
    project: &ProjectState,
    step: &StepName,
    parts: &KeyParts,
    is_cached: bool,
) -> Result<StepPlan> {
    let newest = step_runs::list_of_step(&mut *caller.kernel.store().read().await?, project.id, step, None, 50).await?;
    let before = newest.items.iter().find(|run| matches!(run.state, StepRunState::Succeeded | StepRunState::Cached));
    let reasons = match before.map(|run| serde_json::from_value::<KeyParts>(run.key_parts.clone())) {
        _ if is_cached => vec!["nothing it depends on has changed".to_owned()],
        Some(Ok(old)) => differences(&old, parts).iter().map(ToString::to_string).collect(),
        _ => vec!["it has not run before".to_owned()],
    };
    Ok(StepPlan { step: step.clone(), is_cached, reasons })
}
