//! `[release]` and `[endpoints.*]`.

use std::collections::BTreeMap;

use perennial_core::name::EndpointName;
use perennial_core::permission::Permission;
use perennial_core::rule::FactSchema;

use super::Validator;
use crate::REQUEST_BYTES_MAX;
use crate::document::{Path, at};
use crate::file::{CanaryTable, ProjectFile, Release};
use crate::project::{Canary, Endpoint, StepKind};

impl Validator<'_, '_> {
    pub(super) fn validate_release(&mut self, release: Option<&Release>) {
        let Some(release) = release else { return };
        for (index, role) in release.approve.iter().enumerate() {
            if !role.allows(Permission::Approve) {
                let message = format!("role `{}` cannot approve", role.as_str());
                let suggestion = Some("expected `approver` or `admin`".to_owned());
                self.error_at_value(&at!["release", "approve", index], message, suggestion);
            }
        }
        let at = at!["release", "model"];
        let Some(model) = self.resolve_model(release.model.as_str(), &at) else {
            return;
        };
        let evaluations: Vec<String> = self
            .steps
            .iter()
            .filter(|(_, step)| matches!(&step.kind, StepKind::Evaluate { models, .. } if models.contains(&model)))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        match evaluations.len() {
            1 => {}
            0 if self.parsed.is_affected(&at!["steps"]) => {}
            0 => {
                let suggestion = Some(format!("add a step with `evaluate = [\"{model}\"]`"));
                self.error_at_value(&at, format!("no `evaluate` step evaluates model `{model}`"), suggestion);
            }
            _ => {
                let steps = evaluations.join(" and ");
                let message = format!("model `{model}` is evaluated by steps {steps}, expected exactly one");
                self.error_at_value(&at, message, None);
            }
        }
    }

    /// Reports a section that needs a released model when the file has no `[release]`. `needs` is the subject and verb
    /// of the message: `gates need`.
    pub(super) fn require_release(&mut self, file: &ProjectFile, at: &Path, needs: &str) {
        if file.release.is_none() && !self.parsed.is_removed(&at!["release"]) {
            let suggestion = Some("add `[release]` with `model = \"…\"`".to_owned());
            self.error_at_key(at, format!("{needs} `[release]`, which is missing"), suggestion);
        }
    }

    /// Converts the endpoints; `None` when a rollback rule is invalid.
    pub(super) fn parse_endpoints(&mut self, file: &ProjectFile) -> Option<BTreeMap<EndpointName, Endpoint>> {
        let mut endpoints = Some(BTreeMap::new());
        let mut first_canary: Option<&EndpointName> = None;
        for (name, table) in &file.endpoints {
            let at = at!["endpoints", name];
            self.require_release(file, &at, "an endpoint needs");
            let mut canary = None;
            if let Some(declared) = &table.canary {
                let at = at.join("canary");
                if let Some(first) = first_canary {
                    let message = format!("only one endpoint may declare a canary, and `{first}` already does");
                    self.error_at_key(&at, message, None);
                }
                first_canary = first_canary.or(Some(name));
                canary = self.parse_canary(declared, &at);
                if canary.is_none() {
                    endpoints = None;
                }
            }
            if table.max_body.bytes() > REQUEST_BYTES_MAX {
                let message = format!("`max_body` is above the server's limit of {REQUEST_BYTES_MAX} bytes");
                let suggestion = Some("use at most `\"32 MiB\"`".to_owned());
                self.error_at_value(&at.join("max_body"), message, suggestion);
            }
            if let Some(endpoints) = &mut endpoints {
                endpoints.insert(name.clone(), Endpoint { canary, log: table.log, max_body: table.max_body });
            }
        }
        endpoints
    }

    fn parse_canary(&mut self, table: &CanaryTable, at: &Path) -> Option<Canary> {
        if !(table.share > 0.0 && table.share < 1.0) {
            let message = format!("`share` is {}, expected a number above 0 and below 1", table.share);
            self.error_at_value(&at.join("share"), message, None);
        }
        let rollback = match &table.rollback {
            Some(text) => Some(self.parse_rule(text, &at.join("rollback"), Some(&FactSchema::rollback()))?),
            None => None,
        };
        let duration = table.duration.clone();
        Some(Canary { share: table.share, duration, min_requests: table.min_requests, rollback })
    }
}
