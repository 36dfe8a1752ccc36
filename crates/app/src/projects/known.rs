//! A project file beside the data there are: columns it names that no data has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use perennial_config::{Act, FILE_NAME, Mistake, Task, Thing};
use perennial_core::name::{DatasetName, StepName};
use perennial_core::permission::Permission;
use perennial_core::port::data::FrameRequest;
use perennial_core::rule::choose;
use perennial_core::schema::{Schema, TypeClass};
use perennial_core::{Error, ErrorCode, Result};
use perennial_store::projects as table;
use perennial_validation::plan;

use crate::app::Caller;
use crate::collect::checks_of;
use crate::project::Submission;
use crate::tables::{Tables, Versioned};

/// Refuses a project file that names columns which the data of its project do not have. Without data, or for who may
/// not read them, nothing is known.
pub async fn judge(caller: &Caller, submission: &Submission) -> Result<()> {
    let name = &submission.project.project.name;
    let kept = table::find_by_name(&mut *caller.app.store().read().await?, name).await?;
    let Some(kept) = kept.filter(|kept| caller.principal.may(Permission::Read, Some(kept.id))) else { return Ok(()) };
    let project = caller.app.project(kept.id).await?;
    let mut known = Known {
        caller,
        submission,
        before: project.find_submission(),
        tables: Tables::newest(&caller.app, kept.id).await?,
        schemas: BTreeMap::new(),
        mistakes: Vec::new(),
    };
    known.learn().await?;
    known.judge_names();
    known.judge_checks().await?;
    if known.mistakes.is_empty() {
        return Ok(());
    }
    let mistakes = perennial_config::place(FILE_NAME, &submission.text, known.mistakes);
    Err(Error::new(ErrorCode::ProjectFile, format!("`{FILE_NAME}` does not fit the data")).because(mistakes))
}

/// What the data there are tell of datasets.
struct Known<'a> {
    caller: &'a Caller,
    submission: &'a Submission,
    /// The project file that the data were made by.
    before: Option<Arc<Submission>>,
    tables: Tables,
    /// The columns of each dataset that will have them; others are not known.
    schemas: BTreeMap<DatasetName, Schema>,
    mistakes: Vec<Mistake>,
}

impl Known<'_> {
    /// Finds the columns of sources, then those of steps: a query's by its plan over tables that will stay as they are.
    async fn learn(&mut self) -> Result<()> {
        for name in self.submission.project.datasets.keys() {
            if let Some(found) = self.tables.find(name.as_str()) {
                self.schemas.insert(name.clone(), found.version.schema.clone());
            }
        }
        let mut steady: BTreeSet<DatasetName> = self.schemas.keys().cloned().collect();
        let mut open: BTreeSet<&StepName> = self.submission.project.steps.keys().collect();
        loop {
            let needs_steady = |step: &StepName| {
                self.submission.graph.needs(step).all(|thing| match thing {
                    Thing::Dataset(name) => steady.contains(name),
                    Thing::Model(_) | Thing::Output(..) => true,
                })
            };
            let Some(step) = open.iter().copied().find(|step| needs_steady(step)) else { return Ok(()) };
            open.remove(step);
            let is_unchanged = self.is_unchanged(step);
            self.plan(step).await?;
            for thing in self.submission.graph.makes(step).filter(|_| is_unchanged) {
                if let Thing::Dataset(name) = thing
                    && let Some(found) = self.tables.find(name.as_str())
                {
                    self.schemas.insert(name.clone(), found.version.schema.clone());
                    steady.insert(name.clone());
                }
            }
        }
    }

    /// Whether a step is what it was when its datasets were made.
    fn is_unchanged(&self, step: &StepName) -> bool {
        let Some(before) = &self.before else { return false };
        let (now, then) = (&self.submission.project.steps[step], before.project.steps.get(step));
        let files = |submission: &Submission| match &now.act {
            Act::Sql { file } => submission.texts.get(file).cloned(),
            Act::Run(run) => {
                Some(format!("{:?}", run.code.iter().map(|code| submission.files.get(code)).collect::<Vec<_>>()))
            }
            Act::Train { .. } | Act::Evaluate { .. } => None,
        };
        then == Some(now) && files(before) == files(self.submission)
    }

    /// Plans the query of a step; its mistakes are told.
    async fn plan(&mut self, step: &StepName) -> Result<()> {
        let Act::Sql { file } = &self.submission.project.steps[step].act else { return Ok(()) };
        let (Some(sql), Ok(made)) = (self.submission.texts.get(file), step.as_str().parse()) else { return Ok(()) };
        let needs = self.submission.graph.needs(step).filter_map(|thing| match thing {
            Thing::Dataset(name) => self.tables.find(name.as_str()).map(Versioned::named),
            Thing::Model(_) | Thing::Output(..) => None,
        });
        let request = FrameRequest { sql: sql.clone(), tables: needs.collect() };
        match self.caller.app.data().plan(&request).await {
            Ok(schema) => drop(self.schemas.insert(made, schema)),
            Err(error) if error.code() == ErrorCode::Sql => {
                let message = format!("in `{file}`: {}", error.message());
                self.tell(&["steps", step.as_str(), "sql"], message, error.hint_text().map(str::to_owned));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Judges what `[task]`, slices and keys name.
    fn judge_names(&mut self) {
        if let Some(task) = &self.submission.project.task
            && let Some(schema) = self.schemas.get(&task.data).cloned()
        {
            self.judge_task(task, &schema);
            for (step, declared) in &self.submission.project.steps {
                if let Act::Evaluate { slices, .. } = &declared.act {
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

    fn judge_task(&mut self, task: &Task, schema: &Schema) {
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
            self.tell(&["task", "time"], message, Some("make it one in the step that makes the dataset".to_owned()));
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
            let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
            self.tell(at, format!("dataset `{dataset}` has no column `{name}`"), choose(name, &known));
        }
    }

    /// Judges checks over the columns of their datasets.
    async fn judge_checks(&mut self) -> Result<()> {
        for (dataset, schema) in self.schemas.clone() {
            for check in checks_of(&self.submission.project, &dataset) {
                // What refers to a dataset without rows is told when rows come.
                let one = std::slice::from_ref(&check);
                let Ok(plan) = plan(one, |other| self.tables.find(other).map(Versioned::named)) else { continue };
                match self.caller.app.data().judge_checks(&schema, &plan).await {
                    Ok(()) => {}
                    Err(error) if error.code() == ErrorCode::Sql => {
                        let at = ["checks", dataset.as_str(), check.name.as_str()];
                        self.tell(&at, error.message().to_owned(), error.hint_text().map(str::to_owned));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn tell(&mut self, at: &[&str], message: String, suggestion: Option<String>) {
        let at = at.iter().map(|part| (*part).to_owned()).collect();
        self.mistakes.push(Mistake { at, message, suggestion });
    }
}
