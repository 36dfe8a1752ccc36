//! `[project]` and `[task]`.

use perennial_core::calendar::timezone;
use perennial_core::metric::{metric, metrics};
use perennial_core::rule::{choose, did_you_mean};

use super::Validator;
use crate::document::{Path, at};
use crate::file::Identity;

/// Timezones suggested for a misspelt one.
const COMMON_ZONES: [&str; 12] = [
    "UTC",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Zurich",
    "Europe/Paris",
    "America/New_York",
    "America/Chicago",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Australia/Sydney",
];

impl Validator<'_, '_> {
    pub(super) fn validate_identity(&mut self, identity: &Identity) {
        self.validate_timezone(&identity.timezone, &at!["project", "timezone"]);
    }

    /// Reports a timezone that does not exist.
    pub(super) fn validate_timezone(&mut self, zone: &str, at: &Path) {
        if timezone(zone).is_err() {
            let near = did_you_mean(zone, COMMON_ZONES);
            let suggestion = near.unwrap_or_else(|| "for example `Europe/Zurich` or `UTC`".to_owned());
            let message = format!("unknown timezone `{zone}`, expected an IANA name");
            self.error_at_value(at, message, Some(suggestion));
        }
    }

    pub(super) fn validate_task(&mut self) {
        let Some(task) = self.task.clone() else {
            return;
        };
        if !self.knows_dataset(task.data.as_str()) {
            let message = format!("unknown dataset `{}`: it has no source, and no step produces it", task.data);
            self.unknown_dataset(task.data.as_str(), &at!["task", "data"], message);
        }
        if metric(task.kind, &task.metric).is_none() {
            let known: Vec<&str> = metrics(task.kind).iter().map(|metric| metric.name).collect();
            let message = format!("unknown metric `{}` for a {} task", task.metric, task.kind.as_str());
            self.error_at_value(&at!["task", "metric"], message, choose(&task.metric, &known));
        }
        if task.key.is_empty() && !self.parsed.is_removed(&at!["task", "key"]) {
            let message = "`key` is empty: outcomes join their predictions by key";
            self.error_at_value(&at!["task", "key"], message, Some("for example `key = [\"id\"]`".to_owned()));
        }
        for list in ["key", "ignore", "allow"] {
            let columns = match list {
                "key" => &task.key,
                "ignore" => &task.ignore,
                _ => &task.allow,
            };
            self.validate_columns(columns, &at!["task", list]);
        }
        if task.time == task.target {
            self.error_at_value(
                &at!["task", "time"],
                format!("column `{}` is both `target` and `time`", task.time),
                None,
            );
        }
        for (index, column) in task.key.iter().enumerate() {
            if *column == task.target {
                let message = format!("column `{column}` is both `target` and `key`");
                self.error_at_value(&at!["task", "key", index], message, None);
            }
        }
        for list in ["ignore", "allow"] {
            let columns = if list == "ignore" { &task.ignore } else { &task.allow };
            for (index, column) in columns.iter().enumerate() {
                let at = at!["task", list, index];
                let role = match column {
                    column if *column == task.target => "target",
                    column if *column == task.time => "time",
                    column if task.key.contains(column) => "key",
                    column if list == "allow" && task.ignore.contains(column) => "ignore",
                    _ => continue,
                };
                let message = format!("column `{column}` is already excluded from the features by `{role}`");
                self.error_at_value(&at, message, Some(format!("remove it from `{list}`")));
            }
        }
    }
}
