//! The foundation of every slice.
//!
//! [`Kernel`] holds the services behind their ports, the supervisor of background work, the lease and the
//! clocks of projects. It knows no slice and keeps no slice's state. [`Caller`] says who calls.

mod caller;
mod kernel;
mod lock_order;
mod models;
mod project_clock;
mod project_permits;

pub mod access;
pub mod alerts;
pub mod attempts;
pub mod backup;
pub mod held;
pub mod job_worker;
pub mod jobs;
pub mod lease;
pub mod ledger;
pub mod supervisor;

pub use caller::Caller;
pub use kernel::{ARTIFACT_ROOT, Kernel, STEPS_MAX, Services};
pub use ledger::{LedgerEvent, Recorder};
pub use lock_order::{LockRank, OrderedGuard, OrderedMutex};
pub use project_clock::ProjectClock;
pub use project_permits::{ProjectPermit, ProjectPermits};

use perennial_core::{Error, ErrorCode};

/// An error for what a state does not allow.
pub fn wrong_state(message: impl Into<String>) -> Error {
    Error::new(ErrorCode::WrongState, message)
}

/// The first `at_most` names in backticks, then how many are left; `more` is appended to "N more".
pub fn first_few(names: &[&str], at_most: usize, more: &str) -> String {
    let named: Vec<String> = names.iter().take(at_most).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(at_most) {
        0 => named.join(", "),
        left => format!("{} and {left} more{more}", named.join(", ")),
    }
}
