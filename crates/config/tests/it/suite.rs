//! A project for tests: its file, the files it names, the trainers; and edits of the file.

use std::collections::BTreeMap;

use perennial_config::{Diagnostics, Files, Param, ParamKind, Project, TrainerSpec, ValidationContext};
use perennial_core::port::data::Dialect;
use perennial_core::{Error, ErrorCode};

use crate::toml_text;

/// The project of the design, with the built-in trainer.
pub(crate) const FLIGHTS: &str = include_str!("projects/flights.toml");
/// The same project, trained by a command.
pub(crate) const FLIGHTS_PYTHON: &str = include_str!("projects/flights-python.toml");

pub(crate) const TRAINERS: [TrainerSpec; 2] = [
    TrainerSpec {
        name: "gbdt",
        params: &[
            Param { name: "trees", kind: ParamKind::Whole(1, 5000) },
            Param { name: "learning_rate", kind: ParamKind::Number(0.001, 1.0) },
            Param { name: "growth", kind: ParamKind::Word(&["depth", "leaf"]) },
            Param { name: "sampled", kind: ParamKind::Bool },
        ],
    },
    TrainerSpec { name: "linear", params: &[] },
];

/// Files by path.
pub(crate) struct Folder(pub(crate) BTreeMap<&'static str, &'static str>);

impl Files for Folder {
    fn exists(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn read(&self, path: &str) -> Option<String> {
        self.0.get(path).map(|text| (*text).to_owned())
    }

    fn any(&self, glob: &str) -> bool {
        self.0.contains_key(glob)
    }
}

/// The files of the project; a query has the form `tables: a, b`.
pub(crate) fn folder() -> Folder {
    Folder(BTreeMap::from([
        ("sql/features.sql", "tables: arrivals, planes, schedule, weather"),
        ("sql/own.sql", "tables: features"),
        ("sql/looking_back.sql", "tables: predictions_delay, schedule"),
        ("sql/misspelt.sql", "tables: arivals, planes"),
        ("sql/broken.sql", "SELEC 1"),
        ("train.py", ""),
        ("requirements.txt", ""),
    ]))
}

/// The dialect of the project's files.
struct TableList;

impl Dialect for TableList {
    fn tables_in(&self, select: &str) -> Result<Vec<String>, Error> {
        let tables = select.strip_prefix("tables: ").ok_or_else(|| {
            Error::new(ErrorCode::Sql, "line 1, column 1: `SELEC` begins no query").with_hint("write one SELECT")
        })?;
        Ok(tables.split(", ").map(str::to_owned).collect())
    }

    fn validate_condition(&self, condition: &str) -> Result<(), Error> {
        if condition.ends_with(['<', '>', '=', '(']) {
            return Err(Error::new(ErrorCode::Sql, "expected: an expression, found: EOF"));
        }
        Ok(())
    }
}

/// Validates a project file together with the project's files.
pub(crate) fn validate(text: &str) -> Result<Project, Diagnostics> {
    let folder = folder();
    let context = ValidationContext { files: &folder, trainers: &TRAINERS, sql: &TableList };
    Project::validate("perennial.toml", text, &context)
}

/// An edit of a project file, by key.
pub(crate) enum Edit {
    /// Sets the value at a path.
    Set(&'static str, &'static str),
    /// Renames the last key of a path.
    Rename(&'static str, &'static str),
    /// Removes the key or section at a path.
    Remove(&'static str),
    /// Appends sections.
    Append(&'static str),
}

/// The text after the edits, in order.
pub(crate) fn edited(text: &str, edits: &[Edit]) -> String {
    edits.iter().fold(text.to_owned(), |text, edit| match edit {
        Edit::Set(path, value) => toml_text::set(&text, path, value),
        Edit::Rename(path, key) => toml_text::rename(&text, path, key),
        Edit::Remove(path) => toml_text::remove(&text, path),
        Edit::Append(sections) => format!("{text}\n{sections}"),
    })
}
