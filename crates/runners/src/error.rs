//! What can go wrong around a step, before or beside its own exit.

use std::io;
use std::path::{Path, PathBuf};

use perennial_core::ErrorCode;

/// The result inside this crate.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a step could not be run, or its environment not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// There is no command.
    #[error("the command is empty: expected a program and its arguments")]
    NoCommand,
    /// The program is not where it could be.
    #[error("program `{program}` was not found in {searched}")]
    NoProgram {
        /// As the command names it.
        program: String,
        /// Where it was looked for.
        searched: String,
    },
    /// The step's folder is not there.
    #[error("the step's folder `{0}` does not exist")]
    NoFolder(PathBuf),
    /// The launcher could not start the command.
    #[error("the command could not start: {0}")]
    Start(String),
    /// The launcher died and left no report.
    #[error("the step's launcher ended without a report ({0})")]
    Launcher(String),
    /// No Python interpreter was found.
    #[error("a `uv:` environment needs Python, and neither `python3` nor `python` was found on PATH")]
    NoPython,
    /// The interpreter does not answer.
    #[error("`{python}` does not work as a Python interpreter: {why}")]
    Python {
        /// The interpreter.
        python: PathBuf,
        /// What it said.
        why: String,
    },
    /// The requirements have no solution.
    #[error("the requirements cannot be resolved: {0}")]
    Resolve(String),
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
    /// The file system said no.
    #[error("`{path}` failed")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A worker died.
    #[error("a worker thread died")]
    Worker(#[source] tokio::task::JoinError),
}

impl Error {
    /// For `map_err` on file operations.
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
            Error::NoFolder(_) | Error::Launcher(_) | Error::Worker(_) => (ErrorCode::Internal, ""),
            Error::Start(_) => {
                (ErrorCode::StepFailed, "is the program built for this machine, and may it be executed?")
            }
            Error::NoPython | Error::Python { .. } => (
                ErrorCode::NotReady,
                "install Python 3 with its `venv` module, and `uv` for speed; `perennial doctor` shows what is found",
            ),
            Error::Resolve(_) => (ErrorCode::StepFailed, "correct the requirements file of the step's `env`"),
            Error::Install(_) => (ErrorCode::StepFailed, "run it again when the package index can be reached"),
            Error::Slow { .. } => (ErrorCode::Timeout, "run it again when the package index answers"),
            Error::Io { .. } => (ErrorCode::Storage, "`perennial doctor` checks disk and rights"),
        };
        let wrapped = Self::new(code, error.to_string());
        let wrapped = if hint.is_empty() { wrapped } else { wrapped.hint(hint) };
        wrapped.because(error)
    }
}
