//! Checks the columns that a project file names against the data of its project.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::KeyParts;
use perennial_config::{Check, Condition, FILE_NAME, GraphNode, KeyDiagnostic, StepKind, Task};
use perennial_core::entity::StepRun;
use perennial_core::name::{DatasetName, StepName};
use perennial_core::permission::Permission;
use perennial_core::port::data::FrameRequest;
use perennial_core::schema::{Schema, TypeClass};
use perennial_core::{Error, ErrorCode, Result};
use perennial_ingest::checks::plan;
use perennial_store::{projects as table, step_runs};
use serde_json::json;

use perennial_ingest::snapshot::{DatasetAtVersion, DatasetSnapshot, no_column};
use perennial_ingest::source_columns::find_source_columns;
use perennial_kernel::Caller;
use perennial_projects::Submission;

/// Where the columns of datasets without a version are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unloaded {
    /// In the files of their sources, below the server's folder: for the project file of that folder.
    Files,
    /// Nowhere: their files are not on this server.
    Unknown,
}

/// Returns an error for a project file that names columns which its data do not have: datasets, and files that are not
/// loaded yet. Without data, or when the caller may not read them, nothing is checked.
pub async fn validate_columns(caller: &Caller, submission: &Submission, unloaded: Unloaded) -> Result<()> {
    let name = &submission.project.project.name;
    let kept = table::find_by_name(&mut *caller.kernel.store().read().await?, name).await?;
    let may_read = kept.as_ref().map(|kept| caller.principal.may(Permission::Read, Some(kept.id)));
    if !may_read.unwrap_or(unloaded == Unloaded::Files) {
        return Ok(());
    }
    let mut validator = SchemaValidator {
        caller,
        submission,
        made_by: BTreeMap::new(),
        snapshot: DatasetSnapshot::default(),
        schemas: BTreeMap::new(),
        errors: Vec::new(),
    };
    if let Some(kept) = kept {
        let made_by = step_runs::list_newest_good(&mut *caller.kernel.store().read().await?, kept.id).await?;
        validator.made_by = made_by.into_iter().map(|run| (run.step.clone(), run)).collect();
        validator.snapshot = DatasetSnapshot::latest(&caller.kernel, kept.id).await?;
    }
    validator.find_schemas(unloaded).await?;
    validator.validate_names();
    validator.validate_checks().await?;
    if validator.errors.is_empty() {
        return Ok(());
    }
    let errors = perennial_config::locate(FILE_NAME, &submission.text, validator.errors);
    Err(Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` does not fit the data")).with_source(errors))
}

/// Validates a project file against the schemas of its datasets.
struct SchemaValidator<'a> {
    caller: &'a Caller,
    submission: &'a Submission,
    /// The newest successful run of each step.
    made_by: BTreeMap<StepName, StepRun>,
    snapshot: DatasetSnapshot,
    /// The columns of each dataset that will have them; others are not known.
    schemas: BTreeMap<DatasetName, Schema>,
    errors: Vec<KeyDiagnostic>,
}

impl SchemaValidator<'_> {
    /// Finds the columns of sources, then those of steps: a query's by planning it over tables whose columns are final.
    async fn find_schemas(&mut self, unloaded: Unloaded) -> Result<()> {
        let project = &self.submission.project;
        let mut steady: BTreeSet<DatasetName> = BTreeSet::new();
        for (name, declared) in &project.datasets {
            let schema = match self.snapshot.find(name.as_str()) {
                Some(found) => {
                    steady.insert(name.clone());
                    Some(found.version.schema.clone())
                }
                None if unloaded == Unloaded::Files => {
                    find_source_columns(&self.caller.kernel, declared, &project.project.timezone).await?
                }
                None => None,
            };
            self.schemas.extend(schema.map(|schema| (name.clone(), schema)));
        }
        let mut open: BTreeSet<&StepName> = self.submission.project.steps.keys().collect();
        loop {
            let needs_steady = |step: &StepName| {
                self.submission.graph.inputs(step).all(|thing| match thing {
                    GraphNode::Dataset(name) => steady.contains(name),
                    GraphNode::Model(_) | GraphNode::Output(..) => true,
                })
            };
            let Some(step) = open.iter().copied().find(|step| needs_steady(step)) else { return Ok(()) };
            open.remove(step);
            self.plan(step).await?;
            for thing in self.submission.graph.outputs(step) {
                let GraphNode::Dataset(name) = thing else { continue };
                let Some(found) = self.snapshot.find(name.as_str()) else { continue };
                let stands = &found.version.schema;
                if self.schemas.get(name) == Some(stands) || self.is_left_by_command(step) {
                    self.schemas.insert(name.clone(), stands.clone());
                    steady.insert(name.clone());
                }
            }
        }
    }

    /// Whether a step runs a command, and its newest good run was of the command, code and parameters that are
    /// declared: then it leaves what it left.
    fn is_left_by_command(&self, step: &StepName) -> bool {
        let StepKind::Run(run) = &self.submission.project.steps[step].kind else { return false };
        let Some(made) = self.made_by.get(step) else { return false };
        let Ok(parts) = serde_json::from_value::<KeyParts>(made.key_parts.clone()) else { return false };
        let has = |part: &str, content: &str| parts.get(part) == Some(content);
        let is_same_code = |declared: &String| {
            let files = self.submission.files.get(declared);
            files.is_some_and(|files| {
                files.iter().all(|(path, digest)| has(&format!("code:{path}"), &digest.to_string()))
            })
        };
        has("command", &json!(run.argv).to_string())
            && has("params", &json!(run.params).to_string())
            && run.code.iter().all(is_same_code)
    }

    /// Plans the query of a step and collects its errors.
    async fn plan(&mut self, step: &StepName) -> Result<()> {
        let StepKind::Sql { file } = &self.submission.project.steps[step].kind else { return Ok(()) };
        let (Some(sql), Ok(made)) = (self.submission.texts.get(file), step.as_str().parse()) else { return Ok(()) };
        let needs = self.submission.graph.inputs(step).filter_map(|thing| match thing {
            GraphNode::Dataset(name) => self.snapshot.find(name.as_str()).map(DatasetAtVersion::named_table),
            GraphNode::Model(_) | GraphNode::Output(..) => None,
        });
        let request = FrameRequest { sql: sql.clone(), tables: needs.collect(), keys: Vec::new() };
        match self.caller.kernel.data().plan(&request).await {
            Ok(schema) => drop(self.schemas.insert(made, schema)),
            Err(error) if error.code() == ErrorCode::Sql => {
                let message = format!("in `{file}`: {}", error.message());
                self.error(&["steps", step.as_str(), "sql"], message, error.hint().map(str::to_owned));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Validates the columns of `[task]`, slices and keys.
    fn validate_names(&mut self) {
        if let Some(task) = &self.submission.project.task
            && let Some(schema) = self.schemas.get(&task.data).cloned()
        {
            self.validate_task(task, &schema);
            for (step, declared) in &self.submission.project.steps {
                if let StepKind::Evaluate { slices, .. } = &declared.kind {
                    self.columns(&task.data, &schema, &["steps", step.as_str(), "slices"], slices);
                }
            }
        }
        for (name, declared) in &self.submission.project.datasets {
            if let Some(schema) = self.schemas.get(name).cloned() {
                self.columns(name, &schema, &["datasets", name.as_str(), "key"], &declared.key);
            }
        }
    }

    fn validate_task(&mut self, task: &Task, schema: &Schema) {
        for (role, name) in [("target", &task.target), ("time", &task.time)] {
            self.column(&task.data, schema, &["task", role], name);
        }
        for (role, names) in [("key", &task.key), ("ignore", &task.ignore), ("allow", &task.allow)] {
            self.columns(&task.data, schema, &["task", role], names);
        }
        let time = schema.field(&task.time).map(|field| &field.class);
        if let Some(class) = time.filter(|class| !matches!(class, TypeClass::Timestamp | TypeClass::Date)) {
            let message =
                format!("column `{}` of dataset `{}` is {class}, expected a timestamp or date", task.time, task.data);
            self.error(&["task", "time"], message, Some("make it one in the step that makes the dataset".to_owned()));
        }
    }

    fn columns(&mut self, dataset: &DatasetName, schema: &Schema, at: &[&str], names: &[String]) {
        for (index, name) in names.iter().enumerate() {
            let index = index.to_string();
            self.column(dataset, schema, &[at, &[index.as_str()]].concat(), name);
        }
    }

    fn column(&mut self, dataset: &DatasetName, schema: &Schema, at: &[&str], name: &str) {
        if schema.field(name).is_none() {
            let (message, hint) = no_column(dataset, schema, name);
            self.error(at, message, hint);
        }
    }

    /// Validates checks against the columns of their datasets.
    async fn validate_checks(&mut self) -> Result<()> {
        for (dataset, schema) in self.schemas.clone() {
            for check in self.submission.project.checks_of(&dataset) {
                let one = std::slice::from_ref(check);
                let Ok(plan) = plan(one, |other| self.snapshot.find(other).map(DatasetAtVersion::named_table)) else {
                    self.validate_reference(&dataset, &schema, check);
                    continue;
                };
                match self.caller.kernel.data().validate_checks(&schema, &plan).await {
                    Ok(()) => {}
                    Err(error) if error.code() == ErrorCode::Sql => {
                        let at = ["checks", dataset.as_str(), check.name.as_str()];
                        self.error(&at, error.message().to_owned(), error.hint().map(str::to_owned));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// Validates the names of the columns that a reference to a dataset without a version compares; their types are
    /// compared when rows arrive.
    fn validate_reference(&mut self, dataset: &DatasetName, schema: &Schema, check: &Check) {
        let Condition::References { column, dataset: other, target } = &check.condition else { return };
        let at = ["checks", dataset.as_str(), check.name.as_str()];
        self.column(dataset, schema, &at, column);
        if let Some(schema) = self.schemas.get(other).cloned() {
            self.column(other, &schema, &at, target);
        }
    }

    fn error(&mut self, at: &[&str], message: String, suggestion: Option<String>) {
        let path = at.iter().map(|part| (*part).to_owned()).collect();
        self.errors.push(KeyDiagnostic { path, message, suggestion });
    }
}
