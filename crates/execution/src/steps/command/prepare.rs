//! Before the command: fills the working folder and describes the job.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use perennial_artifacts::{Blobs, LinkMode};
use perennial_config::{Input, Isolation, Network, Size};
use perennial_core::blob::{Blob, BlobDigest, Manifest, ManifestFile};
use perennial_core::id::RunnerJobId;
use perennial_core::path::RelativePath;
use perennial_core::port::data::FrameRequest;
use perennial_core::port::runner::{EnvValue, JobInput, JobIsolation, JobNetwork, JobSpec, Limits, isolation_required};
use perennial_core::{Error, Result};
use perennial_kernel::access::{self, NewToken};
use serde_json::{Value, json};

use super::super::named_output;
use super::super::training_set::{split, task};
use super::{Attempt, environment, variable};

/// A job that can be submitted.
pub(super) struct Prepared {
    pub(super) job: JobSpec,
    /// The token by which the command logs to its run.
    pub(super) token: NewToken,
}

impl Attempt<'_> {
    /// Fills the working folder with code and inputs, and describes the job.
    pub(super) async fn prepare(&self) -> Result<Prepared> {
        let kernel = &self.context.caller.kernel;
        // A file that was submitted to a server that allowed it.
        if self.run.isolation == Isolation::None && !kernel.services.may_run_unisolated {
            return Err(isolation_required(self.step));
        }
        let declared = environment::spec(self.context, self.run)?;
        let environment = environment::environment(self.context, self.run).await?;
        let environment = kernel.services.runner.prepare(&declared, &environment).await?;
        let outputs = self.output_paths()?;
        let mut files = self.code()?;
        self.create_folders(&files, &outputs).await?;
        for file in &files {
            let to = self.working_folder().join(&file.path);
            kernel.services.blobs.materialize(file.digest, &to, LinkMode::Copy).await?;
        }
        let mut env = self.variables();
        for input in &self.run.inputs {
            let provided = self.provide(input).await?;
            let name = format!("PERENNIAL_INPUT_{}", variable(&input.to_string()));
            env.insert(name, EnvValue::InFolder(provided.path));
            files.extend(provided.files);
        }
        for (name, path) in &outputs {
            env.insert(format!("PERENNIAL_OUTPUT_{}", variable(name)), EnvValue::InFolder(path.clone()));
        }
        let project = (self.context.project.id, &self.context.project.name);
        let token = access::step_token(&self.context.caller, project, self.step, self.tracked).await?;
        env.extend(self.tracking(&token.secret));
        let job = JobSpec {
            id: RunnerJobId::from(self.id.uuid()),
            argv: self.run.argv.clone(),
            folder: self.working_folder(),
            inputs: files,
            outputs: outputs.into_values().collect(),
            env,
            environment,
            isolation: match self.run.isolation {
                Isolation::None => JobIsolation::ReadAll,
                Isolation::Full => JobIsolation::Full,
            },
            network: self.network(),
            limits: self.limits(),
            log: self.folder.join("log"),
        };
        Ok(Prepared { job, token })
    }

    /// The files of the declared code.
    fn code(&self) -> Result<Vec<JobInput>> {
        let mut code = BTreeMap::new();
        for declared in &self.run.code {
            code.extend(self.context.submission.declared_files(declared)?);
        }
        let input = |(path, digest): (&String, &BlobDigest)| -> Result<JobInput> {
            Ok(JobInput { path: path.parse()?, digest: *digest, is_executable: false })
        };
        code.into_iter().map(input).collect()
    }

    fn output_paths(&self) -> Result<BTreeMap<String, RelativePath>> {
        self.run.outputs.iter().map(|(name, output)| Ok((name.clone(), output.path.parse()?))).collect()
    }

    /// Creates the working folder and the folders of code and outputs in it.
    async fn create_folders(&self, code: &[JobInput], outputs: &BTreeMap<String, RelativePath>) -> Result<()> {
        let root = self.working_folder();
        let parent = |path: &RelativePath| root.join(path).parent().map(Path::to_owned);
        let mut folders = vec![root.join("inputs"), root.join("tmp")];
        folders.extend(code.iter().map(|file| &file.path).chain(outputs.values()).filter_map(parent));
        folders.sort();
        folders.dedup();
        let create = move || {
            for folder in &folders {
                std::fs::create_dir_all(folder).map_err(|error| {
                    Error::internal(format!("cannot create the folder `{}`", folder.display()), error)
                })?;
            }
            Ok(())
        };
        self.context.caller.kernel.run_blocking_short(create).await
    }

    /// The variables of parameters, names and the system.
    fn variables(&self) -> BTreeMap<String, EnvValue> {
        let text = |value: &str| EnvValue::Text(value.to_owned());
        let mut env: BTreeMap<String, EnvValue> = [
            ("PERENNIAL_PARAMS", EnvValue::Text(json!(self.run.params).to_string())),
            ("PERENNIAL_STEP", EnvValue::Text(self.step.to_string())),
            ("PERENNIAL_PROJECT", EnvValue::Text(self.context.project.name.to_string())),
            ("HOME", EnvValue::Folder),
            ("LANG", text("C.UTF-8")),
            ("PYTHONDONTWRITEBYTECODE", text("1")),
            ("PYTHONUNBUFFERED", text("1")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        if let Ok(temporary) = "tmp".parse() {
            env.insert("TMPDIR".to_owned(), EnvValue::InFolder(temporary));
        }
        for (name, value) in &self.run.params {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            env.insert(format!("PERENNIAL_PARAM_{}", variable(name)), EnvValue::Text(value));
        }
        env
    }

    /// The variables by which MLflow's client logs to the attempt's run.
    fn tracking(&self, secret: &str) -> Vec<(String, EnvValue)> {
        let Some(address) = self.context.caller.kernel.address.get() else { return Vec::new() };
        [
            ("MLFLOW_TRACKING_URI", address.clone()),
            ("MLFLOW_TRACKING_TOKEN", secret.to_owned()),
            ("MLFLOW_RUN_ID", self.tracked.to_string()),
            ("MLFLOW_EXPERIMENT_ID", self.context.project.experiment.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), EnvValue::Text(value)))
        .into()
    }

    /// The network of the command. A server without an address, as in a test, is reached by none.
    fn network(&self) -> JobNetwork {
        match (self.run.network, self.context.caller.kernel.address.get()) {
            (Network::Full, _) => JobNetwork::Full,
            (Network::Server, Some(address)) => JobNetwork::Server(address.clone()),
            (Network::Server | Network::None, _) => JobNetwork::None,
        }
    }

    fn limits(&self) -> Limits {
        let limits = &self.run.limits;
        let time = limits.time.as_ref().map(|time| time.after(0, &jiff::tz::TimeZone::UTC).unsigned_abs());
        Limits {
            time: time.map(Duration::from_millis),
            memory_bytes: limits.memory.map(Size::bytes),
            cpus: limits.cpus,
        }
    }

    /// Puts an input into the working folder.
    async fn provide(&self, input: &Input) -> Result<Provided> {
        let (dataset, is_train) = match input {
            Input::Output { step, output } => return self.provide_output(input, step, output).await,
            Input::Dataset(dataset) => (dataset, None),
            Input::Train(dataset) => (dataset, Some(true)),
            Input::Test(dataset) => (dataset, Some(false)),
        };
        let kernel = &self.context.caller.kernel;
        let sql = match is_train {
            None => format!("SELECT * FROM \"{dataset}\""),
            Some(is_train) => self.rows_of_split(dataset.as_str(), is_train).await?,
        };
        let path: RelativePath = format!("inputs/{input}.parquet").parse()?;
        let to = self.working_folder().join(&path);
        let tables = vec![self.context.table(dataset.as_str())?.named_table()];
        kernel.data().export(FrameRequest { sql, tables, keys: Vec::new() }, to.clone()).await?;
        let Blob { digest, .. } = if kernel.services.runner.needs_stored_inputs() {
            kernel.services.blobs.put_file(&to).await?
        } else {
            Blobs::hash_file(&to).await?
        };
        let file = JobInput { path: path.clone(), digest, is_executable: false };
        Ok(Provided { path, files: vec![file] })
    }

    async fn provide_output(
        &self,
        input: &Input,
        step: &perennial_core::name::StepName,
        output: &str,
    ) -> Result<Provided> {
        let output = named_output(self.context, step, output)?;
        let manifest = Manifest::parse(output.reference.get("manifest").and_then(Value::as_str).unwrap_or_default())?;
        let path: RelativePath = format!("inputs/{input}").parse()?;
        let to: PathBuf = self.working_folder().join(&path);
        self.context.caller.kernel.services.blobs.materialize_folder(&manifest, &to, LinkMode::Copy).await?;
        let below = |file: &ManifestFile| -> Result<JobInput> {
            let path = format!("{path}/{}", file.path).parse()?;
            Ok(JobInput { path, digest: file.blob.digest, is_executable: file.is_executable })
        };
        let files = manifest.files().iter().map(below).collect::<Result<_>>()?;
        Ok(Provided { path, files })
    }

    /// The query of the labelled rows before the test window, or in it.
    async fn rows_of_split(&self, dataset: &str, is_train: bool) -> Result<String> {
        let (task, split) = (task(self.context)?, split(self.context).await?);
        let instant = |ms: i64| format!("to_timestamp_millis({ms})");
        let (time, target) = (format!("\"{}\"", task.time), format!("\"{}\"", task.target));
        let window = if is_train {
            format!("{time} < {}", instant(split.test.start_ms))
        } else {
            format!("{time} >= {} AND {time} < {}", instant(split.test.start_ms), instant(split.test.end_ms))
        };
        Ok(format!("SELECT * FROM \"{dataset}\" WHERE {target} IS NOT NULL AND {window}"))
    }
}

/// An input in the working folder.
struct Provided {
    /// A file or folder.
    path: RelativePath,
    files: Vec<JobInput>,
}
