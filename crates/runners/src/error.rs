//! Errors before a step starts or beside its own exit.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;
use perennial_core::id::RunnerJobId;

/// The result inside this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of running a step or creating its environment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The command is empty.
    #[error("the command is empty: expected a program and its arguments")]
    NoCommand,
    /// The program was not found.
    #[error("program `{program}` was not found in {searched}")]
    NoProgram {
        /// The program's name in the command.
        program: String,
        /// The folders that were searched.
        searched: String,
    },
    /// The kernel cannot isolate a step.
    #[error("the kernel has no Landlock, so steps cannot be isolated from the files of the server")]
    NotIsolated,
    /// The server's URL has no address.
    #[error("`{0}` is not the address of a server: expected `http://ADDRESS:PORT`")]
    NoAddress(String),
    /// The step's folder does not exist.
    #[error("the step's folder `{0}` does not exist")]
    NoFolder(PathBuf),
    /// There is no job of this id.
    #[error("job `{0}` does not exist")]
    NoJob(RunnerJobId),
    /// The job has not ended.
    #[error("job `{0}` is still running")]
    Running(RunnerJobId),
    /// The launcher ended without a report.
    #[error("the step's launcher ended without a report ({0})")]
    Launcher(String),
    /// No Python interpreter was found.
    #[error("a `uv:` environment needs Python, and neither `python3` nor `python` was found on PATH")]
    NoPython,
    /// The interpreter does not work.
    #[error("`{python}` does not work as a Python interpreter: {reason}")]
    Python {
        /// The interpreter.
        python: PathBuf,
        /// The interpreter's error.
        reason: String,
    },
    /// The requirements have no solution.
    #[error("the requirements cannot be resolved: {0}")]
    Resolve(String),
    /// A source package cannot be built.
    #[error("source package `{name}` cannot be built: {reason}")]
    Build {
        /// The package's name.
        name: String,
        /// The error of the build.
        reason: String,
    },
    /// The locked packages cannot be installed.
    #[error("the locked packages cannot be installed: {0}")]
    Install(String),
    /// A tool took too long.
    #[error("`{tool}` took longer than {seconds} s")]
    Slow {
        /// The tool.
        tool: String,
        /// The limit.
        seconds: u64,
    },
    /// A file operation failed.
    #[error("cannot access `{path}`")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A worker thread panicked.
    #[error("a worker thread panicked")]
    Worker(#[source] tokio::task::JoinError),
}

impl Error {
    /// Wraps an error of a file operation on `path`; for `map_err`.
    pub(crate) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), source }
    }
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let (code, hint) = match &error {
            Error::NoCommand => (ErrorCode::InvalidArgument, "write `run = \"program argument …\"`"),
            Error::NoProgram { .. } => (
                ErrorCode::StepFailed,
                "install the program, correct `run`, or name the environment that has it with `env`",
            ),
            Error::NotIsolated => (
                ErrorCode::NotReady,
                "use a kernel with Landlock (Linux 5.13 or later), or start the server with \
                 `perennial up --allow-unisolated-steps` if the people who write steps may read all that it can",
            ),
            Error::NoAddress(_) | Error::NoFolder(_) | Error::Launcher(_) | Error::Worker(_) => {
                (ErrorCode::Internal, "")
            }
            Error::NoJob(_) => (ErrorCode::NotFound, ""),
            Error::Running(_) => (ErrorCode::WrongState, "cancel it first"),
            Error::NoPython | Error::Python { .. } => (
                ErrorCode::NotReady,
                "install Python 3 with its `venv` module, and `uv` for speed; `perennial doctor` shows the programs found",
            ),
            Error::Resolve(_) => (ErrorCode::StepFailed, "correct the requirements file of the step's `env`"),
            Error::Build { .. } => (
                ErrorCode::StepFailed,
                "build its wheel elsewhere (`pip wheel PACKAGE`) and publish it in an index: here a build has no network, and \
                 only the packages that the source package declares",
            ),
            Error::Install(_) => (ErrorCode::StepFailed, "run it again when the package index can be reached"),
            Error::Slow { .. } => (ErrorCode::Timeout, "run it again when the package index answers"),
            Error::Io { .. } => (ErrorCode::Storage, "`perennial doctor` checks the disk and its permissions"),
        };
        let wrapped = Self::new(code, error.to_string());
        let wrapped = if hint.is_empty() { wrapped } else { wrapped.with_hint(hint) };
        wrapped.with_source(error)
    }
}
