//! `[datasets.*]` and `[checks.*]`.

use std::collections::BTreeMap;

use perennial_core::name::DatasetName;
use perennial_core::object_url::{ObjectScheme, ObjectUrl};
use perennial_core::path::RelativePath;
use perennial_core::port::data::{Format, Mode, Severity};
use perennial_core::rule::choose;

use super::Validator;
use crate::document::{Path, at};
use crate::file::{CheckEntry, CheckTable, Dataset, Source};
use crate::project::{Check, Condition, PREDICTIONS_PREFIX};

/// URL schemes of object stores that sources may use.
fn schemes() -> Vec<&'static str> {
    ObjectScheme::ALL.iter().map(|scheme| scheme.as_str()).collect()
}

impl Validator<'_, '_> {
    pub(super) fn validate_datasets(&mut self, datasets: &BTreeMap<DatasetName, Dataset>) {
        for (name, dataset) in datasets {
            let key = at!["datasets", name, "key"];
            self.validate_columns(&dataset.key, &key);
            if dataset.mode == Mode::Merge && dataset.key.is_empty() && !self.parsed.is_removed(&key) {
                let message = format!("mode `merge` needs a key, dataset `{name}` has none");
                let suggestion = Some("add `key = [\"id\"]`, or use mode `append`".to_owned());
                self.error_at_value(&at!["datasets", name, "mode"], message, suggestion);
            }
            self.validate_source(&dataset.source, &at!["datasets", name, "source"]);
        }
    }

    fn validate_source(&mut self, source: &Source, at: &Path) {
        let files = at.join("files");
        if let Some((scheme, _)) = source.files.split_once("://") {
            if schemes().contains(&scheme) {
                if let Err(error) = source.files.parse::<ObjectUrl>() {
                    self.error_at_value(&files, error.message().to_owned(), None);
                }
            } else {
                let message = format!(
                    "unsupported scheme `{scheme}://`, expected a path in the project's folder, `s3://`, `gs://` or `az://`"
                );
                self.error_at_value(&files, message, choose(scheme, &schemes()));
            }
        } else {
            self.validate_path(&source.files, &files);
        }
        let format = source.known_format();
        if format.is_none() && !self.parsed.is_removed(&at.join("format")) {
            let message = format!("cannot infer a format from the extension of `{}`", source.files);
            let suggestion = Some("add `format`: \"csv\", \"json_lines\" or \"parquet\"".to_owned());
            self.error_at_value(&files, message, suggestion);
        }
        if let Some(timezone) = &source.timezone {
            self.validate_timezone(timezone, &at.join("timezone"));
        }
        if source.settle.is_some() && !source.is_relative() {
            let message = "`settle` applies only to local files: an object of a store appears when it is complete";
            self.error_at_key(&at.join("settle"), message.to_owned(), Some("remove it".to_owned()));
        }
        self.validate_header(source, format.is_none_or(|format| format == Format::Csv), at);
        self.validate_columns(&source.columns, &at.join("columns"));
    }

    /// Reports `header` and `columns` where they do not apply.
    fn validate_header(&mut self, source: &Source, is_csv: bool, at: &Path) {
        let (key, message, suggestion) = match (is_csv, source.header, source.columns.is_empty()) {
            (false, false, _) => ("header", "`header` applies only to CSV files", "remove it"),
            (false, true, false) => {
                ("columns", "`columns` applies only to CSV files without a header line", "remove it")
            }
            (true, true, false) => (
                "columns",
                "`columns` applies only to CSV files without a header line",
                "add `header = false`, or remove `columns`",
            ),
            (true, false, true) => {
                ("header", "CSV files without a header line need `columns`", "add `columns = [\"id\", \"amount\"]`")
            }
            _ => return,
        };
        self.error_at_value(&at.join(key), message, Some(suggestion.to_owned()));
    }

    /// Reports a path outside the project's folder.
    pub(super) fn validate_path(&mut self, text: &str, at: &Path) {
        if let Err(error) = text.parse::<RelativePath>() {
            let suggestion = Some("use a path relative to the project's folder, such as `data/orders.csv`".to_owned());
            self.error_at_value(at, error.message().to_owned(), suggestion);
        }
    }

    /// Converts the checks without errors.
    pub(super) fn parse_checks(
        &mut self,
        checks: &BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    ) -> BTreeMap<DatasetName, Vec<Check>> {
        let mut parsed = BTreeMap::new();
        for (dataset, entries) in checks {
            if !self.knows_dataset(dataset.as_str()) {
                let suggestion = self.suggest_dataset(dataset.as_str());
                self.error_at_key(&at!["checks", dataset], format!("unknown dataset `{dataset}`"), suggestion);
            }
            if dataset.as_str().starts_with(PREDICTIONS_PREFIX) {
                let message = format!("`{dataset}` cannot have checks: predictions are logged without them");
                let suggestion = Some("check the datasets that the predictions join".to_owned());
                self.error_at_key(&at!["checks", dataset], message, suggestion);
            }
            let of_dataset: &mut Vec<Check> = parsed.entry(dataset.clone()).or_default();
            for (name, entry) in entries {
                let at = at!["checks", dataset, name];
                self.validate_name("check", name, &at);
                let (condition, at_least, severity) = match entry {
                    CheckEntry::Condition(condition) => (self.parse_expression(condition, &at), 1.0, Severity::Error),
                    CheckEntry::Table(table) => {
                        let at_least = self.parse_at_least(table, &at);
                        (self.parse_condition(table, &at), at_least, table.severity.unwrap_or(Severity::Error))
                    }
                };
                if let Some(condition) = condition {
                    of_dataset.push(Check { name: name.clone(), condition, at_least, severity });
                }
            }
        }
        parsed
    }

    fn parse_at_least(&mut self, table: &CheckTable, at: &Path) -> f64 {
        let at_least = table.at_least.unwrap_or(1.0);
        if !(at_least > 0.0 && at_least <= 1.0) {
            let message = format!("`at_least` is {at_least}, expected a share above 0 and at most 1");
            self.error_at_value(&at.join("at_least"), message, None);
        }
        at_least
    }

    fn parse_condition(&mut self, table: &CheckTable, at: &Path) -> Option<Condition> {
        for (key, value) in [("unique", table.unique), ("not_null", table.not_null)] {
            if value == Some(false) {
                let message = format!("`{key} = false` has no effect");
                self.error_at_value(&at.join(key), message, Some("remove it".to_owned()));
                return None;
            }
        }
        let kind = self.only_kind(table, at)?;
        let columns: Vec<String> = table.column.iter().chain(table.columns.iter().flatten()).cloned().collect();
        if kind == "that" {
            if !columns.is_empty() {
                let key = if table.column.is_some() { "column" } else { "columns" };
                let message = format!("`{key}` cannot be combined with `that`, which names its columns itself");
                self.error_at_key(&at.join(key), message, None);
                return None;
            }
            return self.parse_expression(table.that.as_deref().unwrap_or_default(), &at.join("that"));
        }
        if columns.is_empty() {
            let message = format!("`{kind}` needs `column`");
            self.error_at_key(&at.join(kind), message, Some("add `column = \"…\"`".to_owned()));
            return None;
        }
        match (kind, table.references.as_deref()) {
            ("unique", _) => Some(Condition::Unique(columns)),
            ("not_null", _) => Some(Condition::Expression(not_null(&columns))),
            (_, Some(references)) => self.parse_reference(&columns, references, at),
            _ => None,
        }
    }

    /// The one key that declares the check's kind; reports none and several.
    fn only_kind(&mut self, table: &CheckTable, at: &Path) -> Option<&'static str> {
        let declared = [
            ("that", table.that.is_some()),
            ("unique", table.unique.is_some()),
            ("references", table.references.is_some()),
            ("not_null", table.not_null.is_some()),
        ];
        let kinds: Vec<&str> =
            declared.into_iter().filter(|(_, is_declared)| *is_declared).map(|(key, _)| key).collect();
        if let [kind] = kinds.as_slice() {
            return Some(kind);
        }
        if !self.parsed.is_affected(at) {
            let (message, suggestion) = if kinds.is_empty() {
                ("the check needs one of `that`, `unique`, `references` or `not_null`".to_owned(), None)
            } else {
                let message = format!("the check combines `{}`, expected only one of them", kinds.join("` and `"));
                (message, Some("declare one check for each".to_owned()))
            };
            self.error_at_key(at, message, suggestion);
        }
        None
    }

    fn parse_expression(&mut self, condition: &str, at: &Path) -> Option<Condition> {
        if condition.trim().is_empty() {
            self.error_at_value(at, "the condition is empty", Some("for example `\"amount >= 0\"`".to_owned()));
            return None;
        }
        Some(Condition::Expression(condition.to_owned()))
    }

    fn parse_reference(&mut self, columns: &[String], references: &str, at: &Path) -> Option<Condition> {
        let at = at.join("references");
        let [column] = columns else {
            self.error_at_value(&at, "`references` accepts only one column", None);
            return None;
        };
        let Some((dataset, target)) = references.split_once('.').filter(|(_, target)| !target.is_empty()) else {
            let message = format!("`{references}` is not a column of a dataset, expected `dataset.column`");
            self.error_at_value(&at, message, Some("for example `\"planes.tailnum\"`".to_owned()));
            return None;
        };
        if !self.knows_dataset(dataset) {
            self.unknown_dataset(dataset, &at, format!("unknown dataset `{dataset}`"));
            return None;
        }
        let dataset = dataset.parse().ok()?;
        Some(Condition::References { column: column.clone(), dataset, target: target.to_owned() })
    }
}

/// The condition that none of the columns is null.
fn not_null(columns: &[String]) -> String {
    let clauses = columns.iter().map(|column| format!("\"{}\" IS NOT NULL", column.replace('"', "\"\"")));
    clauses.collect::<Vec<_>>().join(" AND ")
}
