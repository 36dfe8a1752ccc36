//! `[datasets.*]` and `[checks.*]`.

use std::collections::BTreeMap;

use perennial_core::name::DatasetName;
use perennial_core::path::RelativePath;
use perennial_core::port::data::{Format, Mode, Severity};
use perennial_core::rule::choose;

use super::Judge;
use crate::document::{Path, at};
use crate::file::{CheckEntry, CheckTable, Dataset, Source};
use crate::project::{Check, PREDICTIONS, Question};

/// Where sources may lie beside the project's folder.
const SCHEMES: [&str; 3] = ["s3", "gs", "az"];

impl Judge<'_, '_> {
    pub(super) fn judge_datasets(&mut self, datasets: &BTreeMap<DatasetName, Dataset>) {
        for (name, dataset) in datasets {
            self.judge_columns(&dataset.key, &at!["datasets", name, "key"]);
            if dataset.mode == Mode::Merge
                && dataset.key.is_empty()
                && !self.shape.is_cut(&at!["datasets", name, "key"])
            {
                let message = format!("mode `merge` needs a key, dataset `{name}` has none");
                self.value(
                    &at!["datasets", name, "mode"],
                    message,
                    Some("add `key = [\"id\"]`, or use mode `append`".to_owned()),
                );
            }
            self.judge_source(&dataset.source, &at!["datasets", name, "source"]);
        }
    }

    fn judge_source(&mut self, source: &Source, at: &Path) {
        let files = at.then("files");
        if let Some((scheme, _)) = source.files.split_once("://") {
            if !SCHEMES.contains(&scheme) {
                let message = format!(
                    "files cannot lie at `{scheme}://`, expected a folder of the project, `s3://`, `gs://` or `az://`"
                );
                self.value(&files, message, choose(scheme, &SCHEMES));
            }
        } else {
            self.judge_path(&source.files, &files);
        }
        let format = source.known_format();
        if format.is_none() && !self.shape.is_cut(&at.then("format")) {
            let message = format!("the ending of `{}` tells no format", source.files);
            self.value(&files, message, Some("add `format`: \"csv\", \"json_lines\" or \"parquet\"".to_owned()));
        }
        let is_csv = format.is_none_or(|format| format == Format::Csv);
        if !is_csv && !source.header {
            self.value(&at.then("header"), "`header` is for CSV files", Some("leave it out".to_owned()));
        } else if !is_csv && !source.columns.is_empty() {
            self.value(
                &at.then("columns"),
                "`columns` is for CSV files without a header line",
                Some("leave it out".to_owned()),
            );
        } else if source.header && !source.columns.is_empty() {
            let suggestion = Some("add `header = false`, or leave `columns` out".to_owned());
            self.value(&at.then("columns"), "`columns` is for CSV files without a header line", suggestion);
        } else if !source.header && source.columns.is_empty() {
            let suggestion = Some("add `columns = [\"id\", \"amount\"]`".to_owned());
            self.value(
                &at.then("header"),
                "CSV files without a header line need the names of their columns",
                suggestion,
            );
        }
        self.judge_columns(&source.columns, &at.then("columns"));
    }

    /// Tells a path that leaves the project's folder.
    pub(super) fn judge_path(&mut self, text: &str, at: &Path) {
        if let Err(error) = text.parse::<RelativePath>() {
            let suggestion = Some("name it relative to the project's folder, such as `data/orders.csv`".to_owned());
            self.value(at, error.message().to_owned(), suggestion);
        }
    }

    pub(super) fn read_checks(
        &mut self,
        checks: &BTreeMap<DatasetName, BTreeMap<String, CheckEntry>>,
    ) -> BTreeMap<DatasetName, BTreeMap<String, Check>> {
        let mut read = BTreeMap::new();
        for (dataset, entries) in checks {
            if !self.knows_dataset(dataset.as_str()) {
                let known: Vec<String> = self.datasets.iter().map(ToString::to_string).collect();
                let suggestion = choose(dataset.as_str(), &known.iter().map(String::as_str).collect::<Vec<_>>());
                self.key(at!["checks", dataset], format!("checks of an unknown dataset `{dataset}`"), suggestion);
            }
            if dataset.as_str().starts_with(PREDICTIONS) {
                let message = format!("dataset `{dataset}` holds predictions, which are logged as they are answered");
                self.key(at!["checks", dataset], message, Some("check the datasets they join".to_owned()));
            }
            let of_dataset: &mut BTreeMap<String, Check> = read.entry(dataset.clone()).or_default();
            for (name, entry) in entries {
                let at = at!["checks", dataset, name];
                self.judge_name("check", name, at.clone());
                let check = match entry {
                    CheckEntry::That(that) => self.that(that, &at).map(|question| Check {
                        question,
                        at_least: 1.0,
                        severity: Severity::Error,
                    }),
                    CheckEntry::Table(table) => self.read_check(table, &at),
                };
                if let Some(check) = check {
                    of_dataset.insert(name.clone(), check);
                }
            }
        }
        read
    }

    fn read_check(&mut self, table: &CheckTable, at: &Path) -> Option<Check> {
        let at_least = table.at_least.unwrap_or(1.0);
        if !(at_least > 0.0 && at_least <= 1.0) {
            self.value(
                &at.then("at_least"),
                format!("`at_least` is a share above 0 and up to 1, not {at_least}"),
                None,
            );
        }
        let question = self.read_question(table, at)?;
        Some(Check { question, at_least, severity: table.severity.unwrap_or(Severity::Error) })
    }

    fn read_question(&mut self, table: &CheckTable, at: &Path) -> Option<Question> {
        for (key, said) in [("unique", table.unique), ("not_null", table.not_null)] {
            if said == Some(false) {
                self.value(&at.then(key), format!("`{key} = false` asks nothing"), Some("leave it out".to_owned()));
                return None;
            }
        }
        let asked = [
            ("that", table.that.is_some()),
            ("unique", table.unique.is_some()),
            ("references", table.references.is_some()),
            ("not_null", table.not_null.is_some()),
        ];
        let asked: Vec<&str> = asked.into_iter().filter(|(_, is_asked)| *is_asked).map(|(key, _)| key).collect();
        let [question] = asked.as_slice() else {
            if !self.shape.is_touched(at) {
                let message = if asked.is_empty() {
                    "the check asks nothing, expected `that`, `unique`, `references` or `not_null`".to_owned()
                } else {
                    format!("the check asks several questions: `{}`", asked.join("`, `"))
                };
                self.key(at.clone(), message, Some("one check, one question".to_owned()));
            }
            return None;
        };
        let columns: Vec<String> = table.column.iter().chain(table.columns.iter().flatten()).cloned().collect();
        if *question == "that" {
            if !columns.is_empty() {
                let key = if table.column.is_some() { "column" } else { "columns" };
                self.key(
                    at.then(key),
                    format!("`{key}` does not go with `that`, which names its columns itself"),
                    None,
                );
                return None;
            }
            return self.that(table.that.as_deref().unwrap_or_default(), &at.then("that"));
        }
        if columns.is_empty() {
            let message = format!("`{question}` needs the column it is about");
            self.key(at.then(question), message, Some("add `column = \"…\"`".to_owned()));
            return None;
        }
        match (*question, table.references.as_deref()) {
            ("unique", _) => Some(Question::Unique(columns)),
            ("not_null", _) => Some(Question::NotNull(columns)),
            (_, Some(references)) => self.references(&columns, references, at),
            _ => None,
        }
    }

    fn that(&mut self, that: &str, at: &Path) -> Option<Question> {
        if that.trim().is_empty() {
            self.value(at, "the condition is empty", Some("such as `\"amount >= 0\"`".to_owned()));
            return None;
        }
        Some(Question::That(that.to_owned()))
    }

    fn references(&mut self, columns: &[String], references: &str, at: &Path) -> Option<Question> {
        let place: Path = at.then("references");
        let [column] = columns else {
            self.value(&place, "`references` is about one column", None);
            return None;
        };
        let Some((dataset, target)) = references.split_once('.').filter(|(_, target)| !target.is_empty()) else {
            self.value(
                &place,
                format!("`{references}` is no `dataset.column`"),
                Some("such as `\"planes.tailnum\"`".to_owned()),
            );
            return None;
        };
        if !self.knows_dataset(dataset) {
            self.unknown_dataset(dataset, &place, format!("unknown dataset `{dataset}`"));
            return None;
        }
        let dataset = dataset.parse().ok()?;
        Some(Question::References { column: column.clone(), dataset, target: target.to_owned() })
    }
}
