//! Pipeline runs: collect every source, then bring every step up to date.

mod active_run;
mod active_runs;
mod cancel;
mod context;
mod dry_run;
mod event;
mod execute;
mod outcome;
mod recover;
mod request;
mod step_plan;

pub use active_run::{Activation, ActiveRun};
pub(crate) use active_runs::ActiveRuns;
pub use context::Context;
pub use dry_run::Plan;
pub use event::PipelineEvent;
pub use execute::Executed;
pub use outcome::RunOutcome;
pub use perennial_core::entity::PipelineOptions;
pub use recover::recover;
pub use request::{pending, request};
pub use step_plan::StepPlan;
pub(crate) use step_plan::plan_step;
