//! `[triggers.*]`.

use std::collections::BTreeMap;

use perennial_core::name::{MonitorName, TriggerName};
use perennial_core::rule::{choose, did_you_mean};

use super::Validator;
use crate::document::{Path, at};
use crate::file::{ProjectFile, Start};
use crate::project::{Event, Schedule, Trigger};

/// The forms of events, as a suggestion.
const EVENT_FORMS: &str = "for example `alert:monitor.name`, `dataset:name` or `schedule:0 3 * * *`";

impl Validator<'_, '_> {
    /// Converts the triggers, with the events that are valid.
    pub(super) fn parse_triggers(&mut self, file: &ProjectFile) -> BTreeMap<TriggerName, Trigger> {
        let mut triggers = BTreeMap::new();
        for (name, table) in &file.triggers {
            let at = at!["triggers", name];
            let on = at.join("on");
            if table.on.is_empty() && !self.parsed.is_removed(&on) {
                let suggestion = Some("for example `[\"schedule:0 3 * * *\"]`".to_owned());
                self.error_at_value(&on, "the trigger has no events", suggestion);
            }
            if table.run == Start::Release {
                self.require_release(file, &at.join("run"), "`run = \"release\"` needs");
            }
            let events = table.on.iter().enumerate();
            let events = events.filter_map(|(index, event)| self.parse_event(file, event, &on.join(index))).collect();
            triggers.insert(name.clone(), Trigger { on: events, run: table.run });
        }
        triggers
    }

    fn parse_event(&mut self, file: &ProjectFile, text: &str, at: &Path) -> Option<Event> {
        let Some((kind, rest)) = text.split_once(':') else {
            self.error_at_value(at, format!("`{text}` is not an event"), Some(EVENT_FORMS.to_owned()));
            return None;
        };
        match kind {
            "alert" => self.parse_alert_event(file, rest, at),
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
                    let suggestion =
                        "expected minute, hour, day of month, month, day of week, for example `schedule:0 3 * * *`";
                    self.error_at_value(at, message, Some(suggestion.to_owned()));
                    None
                }
            },
            "git" => {
                self.error_at_value(at, "`git:` triggers are not supported yet", None);
                None
            }
            other => {
                let near = did_you_mean(other, ["alert", "dataset", "schedule"]);
                let suggestion = near.unwrap_or_else(|| EVENT_FORMS.to_owned());
                self.error_at_value(at, format!("unknown kind of event `{other}`"), Some(suggestion));
                None
            }
        }
    }

    fn parse_alert_event(&mut self, file: &ProjectFile, rest: &str, at: &Path) -> Option<Event> {
        let Some((monitor, alert)) = rest.split_once('.') else {
            let message = format!("`alert:{rest}` names no alert of a monitor");
            self.error_at_value(at, message, Some("for example `alert:monitor.name`".to_owned()));
            return None;
        };
        let parsed: Option<MonitorName> = monitor.parse().ok();
        let Some(table) = parsed.as_ref().and_then(|name| file.monitors.get(name)) else {
            if !self.parsed.is_removed(&at!["monitors", monitor]) {
                let known: Vec<&str> = file.monitors.keys().map(AsRef::as_ref).collect();
                self.error_at_value(at, format!("unknown monitor `{monitor}`"), choose(monitor, &known));
            }
            return None;
        };
        if !table.alerts.contains_key(alert) && !self.parsed.is_removed(&at!["monitors", monitor, "alerts", alert]) {
            let known: Vec<&str> = table.alerts.keys().map(String::as_str).collect();
            self.error_at_value(at, format!("monitor `{monitor}` has no alert `{alert}`"), choose(alert, &known));
            return None;
        }
        Some(Event::Alert { monitor: parsed?, alert: alert.to_owned() })
    }
}
