//! `[monitors.*]`.

use std::collections::BTreeMap;

use perennial_core::name::MonitorName;
use perennial_core::rule::{FactSchema, choose};

use super::Validator;
use crate::document::at;
use crate::file::ProjectFile;
use crate::project::Monitor;

impl Validator<'_, '_> {
    /// Converts the monitors; `None` when an alert is invalid.
    pub(super) fn parse_monitors(&mut self, file: &ProjectFile) -> Option<BTreeMap<MonitorName, Monitor>> {
        let facts = self.task.as_ref().map(|task| FactSchema::alert(task.kind));
        let mut monitors = Some(BTreeMap::new());
        for (name, table) in &file.monitors {
            let at = at!["monitors", name];
            let endpoint = table.endpoint.as_str();
            if !file.endpoints.contains_key(&table.endpoint) && !self.parsed.is_removed(&at!["endpoints", endpoint]) {
                let known: Vec<&str> = file.endpoints.keys().map(AsRef::as_ref).collect();
                let message = format!("unknown endpoint `{endpoint}`");
                self.error_at_value(&at.join("endpoint"), message, choose(endpoint, &known));
            }
            if self.task.is_none() && !self.parsed.is_removed(&at!["task"]) {
                self.error_at_key(&at, "a monitor needs `[task]`, which is missing", None);
            }
            let mut alerts = BTreeMap::new();
            for (alert, text) in &table.alerts {
                let at = at.join("alerts").join(alert);
                self.validate_name("alert", alert, &at);
                match self.parse_rule(text, &at, facts.as_ref()) {
                    Some(expression) => {
                        alerts.insert(alert.clone(), expression);
                    }
                    None => monitors = None,
                }
            }
            if let Some(monitors) = &mut monitors {
                let monitor = Monitor {
                    endpoint: table.endpoint.clone(),
                    window: table.window.clone(),
                    alerts,
                    min_rows: table.min_rows,
                };
                monitors.insert(name.clone(), monitor);
            }
        }
        monitors
    }
}
