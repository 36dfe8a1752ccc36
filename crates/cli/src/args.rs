//! What can be typed.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use perennial_core::permission::Role;

#[cfg(test)]
mod tests;

/// Keeps machine-learning models alive: collect, check, prepare, train, test, release, serve, watch, retrain.
#[derive(Debug, Parser)]
#[command(name = "perennial", version, max_term_width = 100, propagate_version = true)]
#[command(
    after_help = "Start here:\n  perennial demo                        plays a year of a model's life on real data\n  perennial init --example flights DIR  writes that project out, to change and run\n  perennial run                         collects, checks, trains, tests\n  perennial release                     the same, and brings a model that passes its gates to its endpoint\n  perennial up                          serves, watches and retrains\n\nExit status: 0 done; 1 refused, cancelled or failed for a reason of yours, or `run` while a load is held; 2 misuse, or a fault of ours; 130 left by Ctrl-C."
)]
pub(crate) struct Arguments {
    /// The project's folder.
    #[arg(long, short = 'C', global = true, default_value = ".", value_name = "DIR")]
    pub project: PathBuf,
    /// Answers as JSON on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// Tells more of what happens inside; twice tells still more.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Starts a project: an empty, commented one, or an example.
    #[command(after_help = "Examples:\n  perennial init\n  perennial init --example flights flights")]
    Init(Init),
    /// Judges the project file without running anything.
    #[command(after_help = "Examples:\n  perennial check\n  perennial -C flights check")]
    Check,
    /// Collects every source, brings every step up to date, ends at a Decision. Changes nothing live.
    #[command(after_help = "Examples:\n  perennial run\n  perennial run --dry-run\n  perennial run features train")]
    Run(Run),
    /// Runs, judges the gates, and brings a candidate that passes to its endpoint.
    #[command(after_help = "Examples:\n  perennial release\n  perennial release --wait")]
    Release(Release),
    /// Serves endpoints and console, watches, retrains; until it is stopped.
    #[command(
        after_help = "Examples:\n  perennial up\n  perennial up --port 8080 --database postgres://perennial@db/perennial --artifacts s3://bucket/perennial"
    )]
    Up(Up),
    /// Plays a year of a model's life on real data.
    #[command(after_help = "Examples:\n  perennial demo\n  perennial demo --keep-serving")]
    Demo(Demo),
    /// Says what a step would do now, and because of what.
    #[command(after_help = "Example:\n  perennial why train")]
    Why {
        /// The step.
        step: String,
    },
    /// Shows the log of a step's newest attempt.
    #[command(after_help = "Example:\n  perennial logs train")]
    Logs {
        /// The step.
        step: String,
    },
    /// Datasets: versions, loads, quarantine, queries.
    #[command(subcommand)]
    Data(Data),
    /// Releases: what was judged, what may answer. Alone, lists them.
    Releases {
        /// What to do with them.
        #[command(subcommand)]
        verb: Option<Releases>,
    },
    /// Puts the version before this one back, or ends a canary. One call back.
    #[command(after_help = "Example:\n  perennial rollback delay")]
    Rollback {
        /// The endpoint.
        endpoint: String,
    },
    /// Model versions with their measures.
    Models,
    /// Endpoints and who answers.
    Endpoints,
    /// What monitors found, window by window.
    Monitors,
    /// Alerts, newest first.
    Alerts,
    /// Pipeline runs, newest first.
    Runs,
    /// Stops a pipeline run; what was done stays. Ctrl-C does the same for the run that a command started.
    #[command(after_help = "Examples:\n  perennial cancel\n  perennial cancel 01a2228b325571dba214266fe0ef61fd")]
    Cancel {
        /// The run, as `perennial runs` names it; the one that is under way if not said.
        run: Option<String>,
    },
    /// The ledger's entries, newest first.
    Ledger,
    /// Walks back from a prediction, model, release or dataset version to what made it, and forward to what stands on it.
    #[command(
        after_help = "Examples:\n  perennial explain prediction 0192…-0\n  perennial explain model 3\n  perennial explain release 5f2c\n  perennial explain dataset features@4"
    )]
    Explain {
        /// What it is.
        #[arg(value_parser = ["prediction", "model", "release", "dataset"])]
        kind: String,
        /// Its id.
        id: String,
    },
    /// Proves that the ledger was not changed; with `--head`, that it continues that head.
    #[command(
        after_help = "Examples:\n  perennial verify\n  perennial verify --head 9f2d1c7ab04e6f385d20c1b7e4a96f0d3c58b7e1a2640f9dce83b51760d4a2ef"
    )]
    Verify {
        /// A head noted earlier: in a release, a backup, an export.
        #[arg(long)]
        head: Option<String>,
    },
    /// Where the project clock stands.
    Clock,
    /// Tokens for people and programs.
    #[command(subcommand)]
    Tokens(Tokens),
    /// Prints a one-time link that signs an administrator in.
    LoginLink,
    /// Copies an embedded store while it works.
    #[command(after_help = "Example:\n  perennial backup ../flights-backup")]
    Backup {
        /// The folder to write; it must not exist.
        to: PathBuf,
    },
    /// Puts a backup in place of a project's store.
    #[command(after_help = "Example:\n  perennial restore ../flights-backup")]
    Restore {
        /// The backup's folder.
        from: PathBuf,
    },
    /// Tells what is found and what is missing, with the next act.
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
    /// Where; the present folder if not said.
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Which example to write out.
    #[arg(long, value_enum)]
    pub example: Option<Example>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Example {
    /// Late flights, trained by the built-in gradient boosting.
    Flights,
    /// The same task trained in Python and tracked with MLflow's client.
    FlightsPython,
    /// Hourly weather, a regression with outcomes hours later.
    Weather,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Only these steps and what they wait for.
    pub steps: Vec<String>,
    /// Says what would run and why, and runs nothing.
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    /// Follows the canary to its end, and fails unless it is promoted.
    #[arg(long)]
    pub wait: bool,
}

/// Where a server keeps things and answers.
#[derive(Debug, Clone, Args)]
pub(crate) struct Up {
    /// The address to answer at.
    #[arg(long, default_value = "127.0.0.1", env = "PERENNIAL_HOST")]
    pub host: IpAddr,
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 7600, env = "PERENNIAL_PORT")]
    pub port: u16,
    /// The data folder, found again by commands in the project's folder; that of the last `up`, else `.perennial`, if not said.
    #[arg(long, env = "PERENNIAL_DATA")]
    pub data: Option<PathBuf>,
    /// The metadata database: `sqlite://PATH` or `postgres://…`.
    #[arg(long, env = "PERENNIAL_DATABASE")]
    pub database: Option<String>,
    /// Where blobs and datasets are: a folder or `s3://BUCKET/PREFIX`.
    #[arg(long, env = "PERENNIAL_ARTIFACTS")]
    pub artifacts: Option<String>,
    /// `off` asks nobody who they are; on loopback only.
    #[arg(long, default_value = "on", env = "PERENNIAL_AUTH")]
    pub auth: Switch,
    /// Further names this server is called by, for the Host check.
    #[arg(long = "allow-host", env = "PERENNIAL_ALLOW_HOST", value_delimiter = ',')]
    pub allow_host: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the demo's project goes; made anew each time.
    #[arg(default_value = "perennial-demo")]
    pub folder: PathBuf,
    /// Leaves the server up at the end.
    #[arg(long)]
    pub keep_serving: bool,
    /// Plays the story with this project file in place of the example's.
    #[arg(long, value_name = "FILE")]
    pub project_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Data {
    /// Every dataset with its newest version.
    List,
    /// Versions, loads and checks of a dataset.
    #[command(after_help = "Example:\n  perennial data show schedule")]
    Show {
        /// The dataset.
        dataset: String,
    },
    /// Rows that were set aside, with the reason.
    #[command(after_help = "Example:\n  perennial data quarantine schedule --limit 100")]
    Quarantine {
        /// The dataset.
        dataset: String,
        /// Rows at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
    /// Answers one SELECT over the datasets.
    #[command(after_help = "Example:\n  perennial data query 'SELECT origin, count(*) FROM schedule GROUP BY origin'")]
    Query {
        /// The SELECT.
        sql: String,
        /// Rows at most.
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
    /// Lets a held load in: its passing rows, or every row.
    #[command(
        after_help = "Examples:\n  perennial data release 01a2228b325571dba214266fe0ef61fd\n  perennial data release 01a2228b325571dba214266fe0ef61fd --all"
    )]
    Release {
        /// The load, as `perennial data show` names it.
        load: String,
        /// Every row, those that failed too.
        #[arg(long)]
        all: bool,
    },
    /// Gives a held load up: nothing of it enters unless its file changes.
    #[command(after_help = "Example:\n  perennial data discard 01a2228b325571dba214266fe0ef61fd")]
    Discard {
        /// The load, as `perennial data show` names it.
        load: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Releases {
    /// Every release, newest first.
    List,
    /// One release with the Decision it stands on.
    #[command(after_help = "Example:\n  perennial releases show 5f2c")]
    Show {
        /// Its digest, or the beginning of it.
        digest: String,
    },
    /// Says yes to a release.
    #[command(
        after_help = "Examples:\n  perennial releases approve 5f2c\n  perennial releases approve 5f2c --role approver"
    )]
    Approve {
        /// Its digest, or the beginning of it.
        digest: String,
        /// The role in which the yes is given; the one that is still wanted if not said.
        #[arg(long, value_parser = Role::ALL.map(Role::as_str))]
        role: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Tokens {
    /// Makes a token; it is shown once.
    #[command(
        after_help = "Examples:\n  perennial tokens create ada --role admin\n  perennial tokens create ci --role contributor --on flight-delays"
    )]
    Create {
        /// Whose it is.
        name: String,
        /// What they are: viewer, contributor, approver or admin.
        #[arg(long, default_value = "viewer", value_parser = Role::ALL.map(Role::as_str))]
        role: String,
        /// The project it holds on; the whole server if not said.
        #[arg(long, value_name = "PROJECT")]
        on: Option<String>,
    },
    /// Every token that holds, with whose it is.
    List,
    /// Makes a token void; browser sessions of whoever has it end.
    #[command(after_help = "Example:\n  perennial tokens revoke 01a2228b325571dba214266fe0ef61fd")]
    Revoke {
        /// Its id, as `perennial tokens list` shows it.
        id: String,
    },
}
