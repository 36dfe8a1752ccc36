//! Endpoints whose predictions cannot be logged, and so are refused: a line in the log and an alert say why.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use perennial_core::entity::AlertSubject;
use perennial_core::{Error, ErrorCode};
use perennial_kernel::{Caller, alerts};
use serde_json::json;

use super::Endpoints;
use crate::router::Deployment;

/// The name of the alert about such an endpoint.
const UNLOGGED: &str = "unlogged";
/// How often an endpoint is reported, on the wall clock.
const REPORT_EVERY_MS: i64 = 60_000;

/// When each endpoint was last reported, by its log.
#[derive(Default)]
pub(super) struct Unlogged {
    /// Whether any endpoint was reported, so that a prediction that was logged costs one load.
    any: AtomicBool,
    reported_ms: Mutex<HashMap<String, i64>>,
}

impl Unlogged {
    /// Whether a failure is to be reported now.
    fn begin_report(&self, log: &str, wall_ms: i64) -> bool {
        let mut reported = self.reported_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = reported.get(log).is_none_or(|last| wall_ms - last >= REPORT_EVERY_MS);
        if is_due {
            reported.insert(log.to_owned(), wall_ms);
            self.any.store(true, Ordering::Release);
        }
        is_due
    }

    /// Whether a log that was reported works again.
    fn end_report(&self, log: &str) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let mut reported = self.reported_ms.lock().unwrap_or_else(PoisonError::into_inner);
        let was_reported = reported.remove(log).is_some();
        self.any.store(!reported.is_empty(), Ordering::Release);
        was_reported
    }
}

impl Endpoints {
    /// Reports that a prediction could not be logged, at most once a minute for each endpoint.
    pub(super) fn report_unlogged(&self, deployment: &Deployment, error: &Error) {
        let now = deployment.project.now();
        let is_lasting = matches!(error.code(), ErrorCode::Busy | ErrorCode::Storage);
        if !is_lasting || !self.unlogged.begin_report(&deployment.log, now.wall_ms) {
            return;
        }
        let (project, endpoint) = (&deployment.project, &deployment.endpoint);
        tracing::error!(project = %project.name, endpoint.name = %endpoint, error = error.chain(), "predictions cannot be logged: requests are refused");
        let message = format!("endpoint `{endpoint}` refuses requests: {}", error.message());
        let about = (AlertSubject::Endpoint(endpoint.clone()), UNLOGGED, 0);
        let alert = alerts::new(project.id, now, about, json!({ "code": error.code().name() }), message);
        let caller = Caller::system(self.kernel.clone(), "endpoint");
        self.kernel.work.spawn("alert about an endpoint", async move {
            if let Err(error) = alerts::fire(&caller, alert, None).await {
                tracing::warn!(error = error.chain(), "an alert about an endpoint could not be stored");
            }
        });
    }

    /// Resolves the alert about an endpoint whose predictions are logged again.
    pub(super) fn report_logged(&self, deployment: &Deployment) {
        if !self.unlogged.end_report(&deployment.log) {
            return;
        }
        let subject = AlertSubject::Endpoint(deployment.endpoint.clone());
        let (caller, project) = (Caller::system(self.kernel.clone(), "endpoint"), deployment.project.id);
        self.kernel.work.spawn("alert about an endpoint", async move {
            if let Err(error) = alerts::resolve_past(&caller, project, (&subject, UNLOGGED), |_| true).await {
                tracing::warn!(error = error.chain(), "an alert about an endpoint could not be resolved");
            }
        });
    }
}
