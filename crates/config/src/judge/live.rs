//! `[release]`, `[endpoints.*]`, `[monitors.*]`, `[triggers.*]`.

use std::collections::BTreeMap;

use perennial_core::name::{EndpointName, MonitorName, TriggerName};
use perennial_core::permission::Permission;
use perennial_core::rule::{FactSchema, choose, did_you_mean};

use super::Judge;
use crate::REQUEST_BYTES_MAX;
use crate::document::{Path, at};
use crate::file::{CanaryTable, ProjectFile, Release, Start};
use crate::project::{Act, Canary, Endpoint, Event, Monitor, Schedule, Trigger};

impl Judge<'_, '_> {
    pub(super) fn judge_release(&mut self, release: Option<&Release>) {
        let Some(release) = release else { return };
        for (index, role) in release.approve.iter().enumerate() {
            if !role.allows(Permission::Approve) {
                let message = format!("role `{}` cannot approve", role.as_str());
                self.value(
                    &at!["release", "approve", index],
                    message,
                    Some("expected `approver` or `admin`".to_owned()),
                );
            }
        }
        let at = at!["release", "model"];
        let Some(model) = self.model(release.model.as_str(), &at) else {
            return;
        };
        let judges: Vec<String> = self
            .steps
            .iter()
            .filter(|(_, step)| matches!(&step.act, Act::Evaluate { models, .. } if models.contains(&model)))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        match judges.len() {
            1 => {}
            0 if self.shape.is_touched(&at!["steps"]) => {}
            0 => {
                let suggestion = Some(format!("add a step with `evaluate = [\"{model}\"]`"));
                self.value(&at, format!("no `evaluate` step judges the model of `{model}`"), suggestion);
            }
            _ => self.value(
                &at,
                format!("the model of `{model}` is judged by {}, expected exactly one", judges.join(" and ")),
                None,
            ),
        }
    }

    /// Tells a section that needs a released model where there is none.
    fn needs_release(&mut self, file: &ProjectFile, at: Path, noun: &str) {
        if file.release.is_none() && !self.shape.is_cut(&at!["release"]) {
            let message = format!("{noun} `[release]`, which is missing");
            self.key(at, message, Some("add `[release]` with `model = \"…\"`".to_owned()));
        }
    }

    /// `None` when a rollback rule does not hold together.
    pub(super) fn read_endpoints(&mut self, file: &ProjectFile) -> Option<BTreeMap<EndpointName, Endpoint>> {
        let mut endpoints = Some(BTreeMap::new());
        let mut first_canary: Option<&EndpointName> = None;
        for (name, table) in &file.endpoints {
            let at = at!["endpoints", name];
            self.needs_release(file, at.clone(), "an endpoint follows the champion of");
            let mut canary = None;
            if let Some(declared) = &table.canary {
                let place = at.then("canary");
                if let Some(first) = first_canary {
                    let message = format!("only one endpoint may declare a canary, `{first}` does already");
                    self.key(place.clone(), message, None);
                }
                first_canary = first_canary.or(Some(name));
                canary = self.read_canary(declared, &place);
                if canary.is_none() {
                    endpoints = None;
                }
            }
            if table.max_body.bytes() > REQUEST_BYTES_MAX {
                let message = format!("a server takes requests of {REQUEST_BYTES_MAX} bytes at most");
                self.value(&at.then("max_body"), message, Some("expected at most `\"32 MiB\"`".to_owned()));
            }
            if let Some(endpoints) = &mut endpoints {
                endpoints.insert(name.clone(), Endpoint { canary, log: table.log, max_body: table.max_body });
            }
        }
        endpoints
    }

    fn read_canary(&mut self, table: &CanaryTable, at: &Path) -> Option<Canary> {
        if !(table.share > 0.0 && table.share < 1.0) {
            let message = format!("`share` is above 0 and below 1, not {}", table.share);
            self.value(&at.then("share"), message, None);
        }
        let rollback = match &table.rollback {
            Some(text) => Some(self.read_rule(text, &at.then("rollback"), Some(&FactSchema::rollback()))?),
            None => None,
        };
        Some(Canary { share: table.share, lasting: table.lasting.clone(), min_requests: table.min_requests, rollback })
    }

    /// `None` when an alert does not hold together.
    pub(super) fn read_monitors(&mut self, file: &ProjectFile) -> Option<BTreeMap<MonitorName, Monitor>> {
        let facts = self.task.as_ref().map(|task| FactSchema::alert(task.kind));
        let mut monitors = Some(BTreeMap::new());
        for (name, table) in &file.monitors {
            let at = at!["monitors", name];
            let endpoint = table.endpoint.as_str();
            if !file.endpoints.contains_key(&table.endpoint) && !self.shape.is_cut(&at!["endpoints", endpoint]) {
                let known: Vec<&str> = file.endpoints.keys().map(AsRef::as_ref).collect();
                self.value(&at.then("endpoint"), format!("unknown endpoint `{endpoint}`"), choose(endpoint, &known));
            }
            if self.task.is_none() && !self.shape.is_cut(&at!["task"]) {
                self.key(at.clone(), "a monitor watches the `[task]`, which is missing", None);
            }
            let mut alerts = BTreeMap::new();
            for (alert, text) in &table.alerts {
                let place = at.then("alerts").then(alert);
                self.judge_name("alert", alert, place.clone());
                match self.read_rule(text, &place, facts.as_ref()) {
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

    pub(super) fn read_triggers(&mut self, file: &ProjectFile) -> BTreeMap<TriggerName, Trigger> {
        let mut triggers = BTreeMap::new();
        for (name, table) in &file.triggers {
            let at = at!["triggers", name];
            if table.on.is_empty() && !self.shape.is_cut(&at.then("on")) {
                let suggestion = Some("such as `[\"schedule:0 3 * * *\"]`".to_owned());
                self.value(&at.then("on"), "the trigger waits for nothing", suggestion);
            }
            if table.run == Start::Release {
                self.needs_release(file, at.then("run"), "`run = \"release\"` releases the model of");
            }
            let on = table.on.iter().enumerate();
            let on = on.filter_map(|(index, event)| self.read_event(file, event, &at.then("on").then(index))).collect();
            triggers.insert(name.clone(), Trigger { on, run: table.run });
        }
        triggers
    }

    fn read_event(&mut self, file: &ProjectFile, text: &str, at: &Path) -> Option<Event> {
        const FORMS: &str = "such as `alert:monitor.name`, `dataset:name` or `schedule:0 3 * * *`";
        let Some((kind, rest)) = text.split_once(':') else {
            self.value(at, format!("`{text}` is no event"), Some(FORMS.to_owned()));
            return None;
        };
        match kind {
            "alert" => self.read_alert_event(file, rest, at),
            "dataset" => {
                if !self.knows_dataset(rest) {
                    self.unknown_dataset(rest, at, format!("unknown dataset `{rest}`"));
                    return None;
                }
                rest.parse().ok().map(Event::Dataset)
            }
            "schedule" => match rest.trim().parse::<Schedule>() {
                Ok(schedule) => Some(Event::Schedule(schedule)),
                Err(message) => {
                    self.value(
                        at,
                        message,
                        Some("minute, hour, day of month, month, day of week, such as `schedule:0 3 * * *`".to_owned()),
                    );
                    None
                }
            },
            "git" => {
                self.value(at, "`git:` triggers are planned, not in this version", None);
                None
            }
            other => {
                let near = did_you_mean(other, ["alert", "dataset", "schedule"]);
                self.value(at, format!("unknown kind of event `{other}`"), near.or_else(|| Some(FORMS.to_owned())));
                None
            }
        }
    }

    fn read_alert_event(&mut self, file: &ProjectFile, rest: &str, at: &Path) -> Option<Event> {
        let Some((monitor, alert)) = rest.split_once('.') else {
            self.value(at, format!("`alert:{rest}` names no alert"), Some("such as `alert:monitor.name`".to_owned()));
            return None;
        };
        let parsed: Option<MonitorName> = monitor.parse().ok();
        let Some(table) = parsed.as_ref().and_then(|name| file.monitors.get(name)) else {
            if !self.shape.is_cut(&at!["monitors", monitor]) {
                let known: Vec<&str> = file.monitors.keys().map(AsRef::as_ref).collect();
                self.value(at, format!("unknown monitor `{monitor}`"), choose(monitor, &known));
            }
            return None;
        };
        if !table.alerts.contains_key(alert) && !self.shape.is_cut(&at!["monitors", monitor, "alerts", alert]) {
            let known: Vec<&str> = table.alerts.keys().map(String::as_str).collect();
            self.value(at, format!("monitor `{monitor}` has no alert `{alert}`"), choose(alert, &known));
            return None;
        }
        Some(Event::Alert { monitor: parsed?, alert: alert.to_owned() })
    }
}
