//! The commands and their arguments.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use perennial_core::permission::Role;

#[cfg(test)]
mod tests;

/// Takes a machine-learning model through its whole life: collect, check, prepare, train, evaluate, release, serve,
/// monitor, retrain.
#[derive(Debug, Parser)]
#[command(name = "perennial", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "First steps:\n  perennial demo                        runs the life of a model over one year of real data\n  perennial init --example flights DIR  writes the project of the demo, to change and run\n  perennial run                         collects, checks, trains, evaluates\n  perennial release                     the same, then releases the model if it passes the gates\n  perennial up                          serves, monitors and retrains\n\nExit status: 0 success, nothing to do, or a release that waits; 1 refused, cancelled or failed because of the project or its data, also `perennial run` while a load is held, and `perennial release --wait` without a promotion; 2 wrong arguments, or an internal error; 130 after a second Ctrl-C."
)]
pub(crate) struct Arguments {
    /// The project folder.
    #[arg(long, short = 'C', global = true, default_value = ".", value_name = "DIR")]
    pub project: PathBuf,
    /// Prints the result as JSON on standard output, and progress, messages and log as JSON lines on standard error.
    #[arg(long, global = true)]
    pub json: bool,
    /// Logs more details; twice, debug messages too.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// The form of the log and of all messages on standard error.
    #[arg(long, global = true, default_value = "text", env = "PERENNIAL_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

impl Arguments {
    /// Whether standard error contains one JSON object a line.
    pub(crate) fn has_json_log(&self) -> bool {
        self.json || self.log_format == LogFormat::Json
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes a new project: an empty one with comments, or an example.
    #[command(after_help = "Examples:\n  perennial init\n  perennial init --example flights flights")]
    Init(Init),
    /// Validates the project file and runs nothing.
    #[command(after_help = "Examples:\n  perennial check\n  perennial -C flights check")]
    Check,
    /// Collects every source, updates every step, and evaluates the gates. Does not change what is served.
    #[command(after_help = "Examples:\n  perennial run\n  perennial run --dry-run\n  perennial run features train")]
    Run(Run),
    /// Runs the pipeline and releases the candidate if it passes the gates.
    #[command(
        after_help = "Examples:\n  perennial release\n  perennial release --wait\n  perennial release --again 'the cause was an outage of the client'"
    )]
    Release(Release),
    /// Serves endpoints and the console, monitors and retrains, until it is stopped.
    #[command(
        after_help = "Examples:\n  perennial up\n  perennial up --port 8080 --database postgres://perennial@db/perennial --artifacts s3://bucket/perennial"
    )]
    Up(Up),
    /// Runs the life of a model over one year of real data.
    #[command(after_help = "Examples:\n  perennial demo\n  perennial demo --keep-serving")]
    Demo(Demo),
    /// Shows whether a step would run now, and why.
    #[command(after_help = "Example:\n  perennial why train")]
    Why {
        /// The step.
        step: String,
    },
    /// Shows the log of the latest attempt of a step.
    #[command(after_help = "Example:\n  perennial logs train")]
    Logs {
        /// The step.
        step: String,
    },
    /// Datasets: versions, loads, quarantine, queries.
    #[command(subcommand)]
    Data(Data),
    /// Lists the releases that wait for approval, of every project that you may read.
    Approvals,
    /// Lists, shows, approves and rejects releases; without a subcommand, lists them.
    Releases {
        /// What to do with releases.
        #[command(subcommand)]
        verb: Option<Releases>,
    },
    /// Rolls an endpoint back to the previous model version, or ends its canary. The version that was rolled back is not
    /// released again until `perennial release --again REASON`.
    #[command(after_help = "Example:\n  perennial rollback delay --reason 'wrong for late flights'")]
    Rollback {
        /// The endpoint.
        endpoint: String,
        /// The reason, which the ledger records.
        #[arg(long)]
        reason: Option<String>,
    },
    /// Lists model versions with their metrics.
    Models,
    /// Lists endpoints with the model versions that serve them.
    Endpoints,
    /// Lists the results of monitors, one per window.
    Monitors,
    /// Lists alerts, latest first.
    Alerts,
    /// Lists held work: files, steps and models that ended the server twice, and jobs that failed.
    #[command(after_help = "Examples:\n  perennial held\n  perennial held release 01a2228b325571dba214266fe0ef61fd")]
    Held {
        /// What to do with held work.
        #[command(subcommand)]
        verb: Option<Held>,
    },
    /// Lists pipeline runs, latest first.
    Runs,
    /// Cancels a pipeline run; finished steps keep their results. Ctrl-C cancels the run of a command.
    #[command(after_help = "Examples:\n  perennial cancel\n  perennial cancel 01a2228b325571dba214266fe0ef61fd")]
    Cancel {
        /// The id of the run, from `perennial runs`; by default the only run that has not ended.
        run: Option<String>,
    },
    /// Lists the entries of the ledger, latest first.
    Ledger,
    /// Shows the origin of a prediction, model, release or dataset version, and what depends on it.
    #[command(
        after_help = "Examples:\n  perennial explain prediction 0192…-0\n  perennial explain model 3\n  perennial explain release 5f2c\n  perennial explain dataset features@4"
    )]
    Explain {
        /// The kind of object to explain.
        #[arg(value_parser = ["prediction", "model", "release", "dataset"])]
        kind: String,
        /// Its id.
        id: String,
    },
    /// Checks that the ledger was not altered; with `--head`, also that it continues that earlier head.
    #[command(
        after_help = "Examples:\n  perennial verify\n  perennial verify --head 9f2d1c7ab04e6f385d20c1b7e4a96f0d3c58b7e1a2640f9dce83b51760d4a2ef"
    )]
    Verify {
        /// The hash of an earlier last entry, from a release, a backup or an earlier `perennial verify`.
        #[arg(long)]
        head: Option<String>,
    },
    /// Shows the time of the project clock.
    Clock,
    /// Tokens of people and programs.
    #[command(subcommand)]
    Tokens(Tokens),
    /// People and programs, with the roles that they hold.
    #[command(subcommand)]
    Principals(Principals),
    /// The URL prefixes below which sources of a project may read.
    #[command(subcommand)]
    Sources(Sources),
    /// Prints a link that signs in an administrator once.
    LoginLink,
    /// Copies the data of an embedded server, even while it runs.
    #[command(after_help = "Example:\n  perennial backup ../flights-backup")]
    Backup {
        /// The folder to write; it must not exist.
        to: PathBuf,
    },
    /// Replaces the data of an embedded server with a backup.
    #[command(after_help = "Example:\n  perennial restore ../flights-backup")]
    Restore {
        /// The folder of the backup.
        from: PathBuf,
    },
    /// Checks the machine and the server: shows problems, and what to do.
    Doctor,
    /// Prints shell completions.
    #[command(
        after_help = "Example:\n  perennial completions bash > ~/.local/share/bash-completion/completions/perennial"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The folder to write to; by default the current one.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// The example to write.
    #[arg(long, value_enum)]
    pub example: Option<Example>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Example {
    /// Late flights, trained with the built-in gradient boosting.
    Flights,
    /// The same task, trained in Python and tracked with MLflow's client.
    FlightsPython,
    /// Hourly weather: a regression whose outcomes are known six hours later.
    Weather,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Only these steps and the steps that they depend on.
    pub steps: Vec<String>,
    /// Shows which steps would run and why, and runs nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    /// Waits for the approvals and for the end of the canary, and fails unless the version is promoted.
    #[arg(long)]
    pub wait: bool,
    /// Also releases a version that was rolled back or rejected, for this reason.
    #[arg(long, value_name = "REASON")]
    pub again: Option<String>,
}

/// Where a server stores its data and which address it listens on.
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1", env = "PERENNIAL_HOST")]
    pub host: IpAddr,
    /// The port; 0 chooses a free one.
    #[arg(long, default_value_t = 7600, env = "PERENNIAL_PORT")]
    pub port: u16,
    /// The data folder, which later commands in the project folder use, too; by default that of the last `up`,
    /// else `.perennial`.
    #[arg(long, env = "PERENNIAL_DATA")]
    pub data: Option<PathBuf>,
    /// The metadata database: `sqlite://PATH` or `postgres://…`. A URL with a password is refused here, because other
    /// users of the machine can read the arguments of a process.
    #[arg(long, env = "PERENNIAL_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// A file that contains the URL of the metadata database.
    #[arg(long, env = "PERENNIAL_DATABASE_FILE", value_name = "FILE", conflicts_with = "database")]
    pub database_file: Option<PathBuf>,
    /// Where blobs and datasets are stored: a folder or `s3://BUCKET/PREFIX`.
    #[arg(long, env = "PERENNIAL_ARTIFACTS")]
    pub artifacts: Option<String>,
    /// `off` accepts requests without credentials; only on a loopback address.
    #[arg(long, default_value = "on", env = "PERENNIAL_AUTH")]
    pub auth: Switch,
    /// Additional host names that requests may use.
    #[arg(long = "allow-host", env = "PERENNIAL_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Runs steps that declare `isolation = "none"`, and on a kernel without Landlock steps, queries, loads and models of
    /// ONNX Runtime: they can read everything that the server can read, also its data and credentials.
    #[arg(long, env = "PERENNIAL_ALLOW_UNISOLATED_STEPS")]
    pub allow_unisolated_steps: bool,
    /// Builds packages that requirements name as source packages, by `--no-binary NAME` or the address of their archive. A
    /// build runs the package's code, without network, in a sandbox.
    #[arg(long, env = "PERENNIAL_ALLOW_SOURCE_PACKAGES")]
    pub allow_source_packages: bool,
    /// Runs queries and loads files in the server's own process, where exhausted memory ends the server.
    #[arg(long, env = "PERENNIAL_DATA_IN_PROCESS")]
    pub data_in_process: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// The folder of the demo's project; the demo replaces its content each time.
    #[arg(default_value = "perennial-demo")]
    pub folder: PathBuf,
    /// Keeps the server running at the end.
    #[arg(long)]
    pub keep_serving: bool,
    /// Uses this project file instead of the example's.
    #[arg(long, value_name = "FILE")]
    pub project_file: Option<PathBuf>,
}

/// Verbs with a new name: the noun, the old verb, and the command to use.
const RENAMED_VERBS: [(&str, &str, &str); 2] =
    [("data", "release", "perennial data accept LOAD"), ("data", "discard", "perennial data reject LOAD")];

impl Arguments {
    /// Parses the command line; prints a message and exits when it is invalid.
    pub(crate) fn from_command_line() -> Self {
        let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
        Self::try_parse().unwrap_or_else(|error| name_new_verb(error, &words).exit())
    }
}

/// The error, or one that states the new name when the verb of `words` has been renamed.
fn name_new_verb(error: clap::Error, words: &[String]) -> clap::Error {
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    match RENAMED_VERBS.iter().find(|(noun, old, _)| verb == old && words.iter().any(|word| word == noun)) {
        Some((noun, old, usage)) => {
            let message = format!("`{noun} {old}` has a new name: use `{usage}`");
            Arguments::command().error(ErrorKind::InvalidSubcommand, message)
        }
        None => error,
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Lists the datasets with their latest versions.
    List,
    /// Shows the versions, loads and checks of a dataset.
    #[command(after_help = "Example:\n  perennial data show schedule")]
    Show {
        /// The dataset.
        dataset: String,
    },
    /// Shows the rows in quarantine, with the reason.
    #[command(after_help = "Example:\n  perennial data quarantine schedule --limit 100")]
    Quarantine {
        /// The dataset.
        dataset: String,
        /// The greatest number of rows to show.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Runs one SELECT over the datasets.
    #[command(after_help = "Example:\n  perennial data query 'SELECT origin, count(*) FROM schedule GROUP BY origin'")]
    Query {
        /// The SELECT.
        sql: String,
        /// The greatest number of rows to show.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Accepts a held load: adds its passing rows, or all of its rows, to the dataset.
    #[command(
        after_help = "Examples:\n  perennial data accept 01a2228b325571dba214266fe0ef61fd\n  perennial data accept 01a2228b325571dba214266fe0ef61fd --all"
    )]
    Accept {
        /// The id of the load, from `perennial data show`.
        load: String,
        /// Adds all rows, also those that failed a check.
        #[arg(long)]
        all: bool,
    },
    /// Rejects a held load: none of its rows is added unless its file changes.
    #[command(after_help = "Example:\n  perennial data reject 01a2228b325571dba214266fe0ef61fd")]
    Reject {
        /// The id of the load, from `perennial data show`.
        load: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Releases {
    /// Lists the releases, latest first.
    List,
    /// Shows a release with its Decision.
    #[command(after_help = "Example:\n  perennial releases show 5f2c")]
    Show {
        /// The digest of the release, or its first digits.
        digest: String,
    },
    /// Approves a release that waits for approval; the last approval releases the version.
    #[command(
        after_help = "Examples:\n  perennial releases approve 5f2c\n  perennial releases approve 5f2c --role approver"
    )]
    Approve {
        /// The digest of the release, or its first digits.
        digest: String,
        /// The role that approves; by default the one whose approval is missing.
        #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
        role: Option<String>,
        /// A comment, which the ledger records.
        #[arg(long)]
        note: Option<String>,
    },
    /// Rejects a release that waits for approval.
    #[command(after_help = "Example:\n  perennial releases reject 5f2c --reason 'the test month is not typical'")]
    Reject {
        /// The digest of the release, or its first digits.
        digest: String,
        /// The reason, which the ledger records.
        #[arg(long)]
        reason: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Held {
    /// Lists held work, oldest first.
    List,
    /// Releases held work: it is tried again.
    #[command(after_help = "Example:\n  perennial held release 01a2228b325571dba214266fe0ef61fd")]
    Release {
        /// The id of the work, from `perennial held`.
        id: String,
    },
    /// Cancels a held job.
    #[command(after_help = "Example:\n  perennial held cancel 01a2228b325571dba214266fe0ef61fd")]
    Cancel {
        /// The id of the job, from `perennial held`.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Creates a token and shows it once.
    #[command(
        after_help = "Examples:\n  perennial tokens create ada --role admin\n  perennial tokens create ci --role contributor --on flight-delays"
    )]
    Create {
        /// The name of the person or program that uses the token.
        name: String,
        /// The role: viewer, contributor, approver or admin. By default every role that the name holds; a new name
        /// becomes a viewer.
        #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
        role: Option<String>,
        /// The project that the token is limited to; by default the whole server.
        #[arg(long, value_name = "PROJECT")]
        on: Option<String>,
    },
    /// Lists the valid tokens with their owners.
    List,
    /// Revokes a token, and ends the browser sessions of its owner.
    #[command(after_help = "Example:\n  perennial tokens revoke 01a2228b325571dba214266fe0ef61fd")]
    Revoke {
        /// The id of the token, from `perennial tokens list`.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Principals {
    /// Lists people and programs with their roles.
    List,
    /// Grants a further role; the roles held before stay.
    #[command(
        after_help = "Examples:\n  perennial principals grant ada --role approver --on flight-delays\n  perennial principals grant ada --role admin"
    )]
    Grant(RoleOf),
    /// Revokes a role; other roles, and the tokens, stay.
    #[command(after_help = "Example:\n  perennial principals revoke ada --role approver --on flight-delays")]
    Revoke(RoleOf),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Sources {
    /// Allows sources of a project to read below a URL prefix, with the credentials of the server.
    #[command(after_help = "Example:\n  perennial sources allow flight-delays s3://bucket/flights/")]
    Allow(PrefixOf),
    /// Withdraws a URL prefix; loaded rows stay.
    #[command(after_help = "Example:\n  perennial sources deny flight-delays s3://bucket/flights/")]
    Deny(PrefixOf),
    /// Lists the URL prefixes that a project may read.
    #[command(after_help = "Example:\n  perennial sources list flight-delays")]
    List {
        /// The project.
        #[arg(id = "of_project", value_name = "PROJECT")]
        project: String,
    },
}

/// A URL prefix of a project.
#[derive(Debug, Args)]
pub(crate) struct PrefixOf {
    /// The project.
    #[arg(id = "of_project", value_name = "PROJECT")]
    pub project: String,
    /// The prefix: `s3://`, `gs://` or `az://`, a bucket, and optionally folders.
    pub prefix: String,
}

/// A role of a person or program.
#[derive(Debug, Args)]
pub(crate) struct RoleOf {
    /// The name of the person or program.
    pub name: String,
    /// The role: viewer, contributor, approver or admin.
    #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
    pub role: String,
    /// The project that the role applies in; by default the whole server.
    #[arg(long, value_name = "PROJECT")]
    pub on: Option<String>,
}
