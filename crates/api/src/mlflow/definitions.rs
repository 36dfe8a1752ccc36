//! The declaration of MLflow's API as this server answers it: every call with its methods, its path, the fields of its
//! request and those of its answer. Reading, errors, writing and routes come from it. MLflow's documentation has the
//! meaning of the fields.

pub(super) mod artifacts;
pub(super) mod entities;
pub(super) mod experiments;
pub(super) mod metrics;
pub(super) mod runs;
pub(super) mod server;

use super::call::Call;

/// Every call of MLflow's API that this server answers.
pub fn calls() -> impl Iterator<Item = &'static Call> {
    [experiments::CALLS, runs::CALLS, metrics::CALLS, artifacts::CALLS, artifacts::FILE_CALLS, server::CALLS]
        .into_iter()
        .flatten()
}
