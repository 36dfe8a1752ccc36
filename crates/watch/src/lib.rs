//! What runs without a request: monitors, triggers and the scheduler that runs them.

mod freshness;
mod monitors;
mod prediction_loading;
mod scheduler;
mod triggers;
mod watch;

pub mod monitor_results;

pub use scheduler::SchedulerEvent;
pub use watch::Watch;
