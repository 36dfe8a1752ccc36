//! How a call of a worker fails.

use std::time::Duration;

use perennial_core::ErrorCode;

/// Signals by which a person or the kernel ends a process. Faults of the process itself raise others.
const SIGNALS_FROM_OUTSIDE: [i32; 5] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGKILL, libc::SIGTERM];

/// The result of a call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a call of a worker fails. After every error but [`Refused`](Self::Refused) and [`Busy`](Self::Busy) the worker is
/// gone, and the next lease starts another one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The worker cannot start, or its sandbox cannot be set up.
    #[error("a `{role}` worker cannot start: {reason}")]
    Start {
        /// The worker's role.
        role: String,
        /// What failed.
        reason: String,
    },
    /// The kernel cannot isolate the worker, which its sandbox requires.
    #[error("the kernel has no Landlock, so a `{role}` worker cannot be isolated from the files of the server")]
    NotIsolated {
        /// The worker's role.
        role: String,
    },
    /// Every worker is leased, and none became free in time.
    #[error("all {workers} `{role}` workers are busy")]
    Busy {
        /// The workers' role.
        role: String,
        /// How many there are.
        workers: usize,
    },
    /// The call took longer than its deadline; the worker was killed.
    #[error("the `{role}` worker took longer than {} and was stopped", seconds(.limit))]
    Deadline {
        /// The worker's role.
        role: String,
        /// The time that the call had.
        limit: Duration,
    },
    /// The worker needed more memory than it may have.
    #[error("the `{role}` worker needed more than its {} MiB of memory and was stopped", .limit_bytes >> 20)]
    MemoryLimit {
        /// The worker's role.
        role: String,
        /// Its limit, bytes.
        limit_bytes: u64,
    },
    /// The worker used all the processor time that it may use.
    #[error("the `{role}` worker used all its processor time and was stopped")]
    ProcessorTime {
        /// The worker's role.
        role: String,
    },
    /// The worker died during the call: after a fault in native code, or because it [was killed](Self::was_killed).
    #[error("the `{role}` worker died {}", died(*.signal, *.status, .output))]
    Died {
        /// The worker's role.
        role: String,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
        /// Its exit status, if it exited.
        status: Option<i32>,
        /// The end of its standard error, printable and short.
        output: String,
    },
    /// The call was stopped by a [`Stopper`](crate::Stopper).
    #[error("the `{role}` worker was stopped")]
    Stopped {
        /// The worker's role.
        role: String,
    },
    /// The worker broke the protocol; it was killed.
    #[error("the `{role}` worker answered with something that is not an answer: {reason}")]
    Protocol {
        /// The worker's role.
        role: String,
        /// What is wrong.
        reason: String,
    },
    /// The worker's handler refused the call; the worker lives on.
    #[error(transparent)]
    Refused(perennial_core::Error),
}

impl Error {
    /// Whether the worker died by a signal from outside, as when a person or the kernel, short of memory, kills it: the
    /// same call may succeed.
    pub fn was_killed(&self) -> bool {
        matches!(self, Self::Died { signal: Some(signal), .. } if SIGNALS_FROM_OUTSIDE.contains(signal))
    }
}

fn seconds(time: &Duration) -> String {
    format!("{} s", time.as_millis() as f64 / 1000.0)
}

fn died(signal: Option<i32>, status: Option<i32>, output: &str) -> String {
    let how = match (signal, status) {
        (Some(signal), _) => format!("by signal {signal}"),
        (None, Some(status)) => format!("with exit status {status}"),
        (None, None) => "without an exit status".to_owned(),
    };
    if output.is_empty() { how } else { format!("{how}: {output}") }
}

impl From<Error> for perennial_core::Error {
    fn from(error: Error) -> Self {
        let was_killed = error.was_killed();
        let code = match error {
            Error::Refused(error) => return error,
            Error::Start { .. } | Error::NotIsolated { .. } => ErrorCode::NotReady,
            Error::Busy { .. } => ErrorCode::Busy,
            Error::Deadline { .. } | Error::ProcessorTime { .. } => ErrorCode::Timeout,
            Error::MemoryLimit { .. } => ErrorCode::TooLarge,
            Error::Stopped { .. } => ErrorCode::NotReady,
            Error::Died { .. } if was_killed => ErrorCode::NotReady,
            Error::Died { .. } | Error::Protocol { .. } => ErrorCode::Internal,
        };
        let hint = match error {
            Error::NotIsolated { .. } => Some(
                "use a kernel with Landlock (Linux 5.13 or later), or start the server with \
                 `perennial up --allow-unisolated-steps` if the people who write steps, queries and models may read all that \
                 it can",
            ),
            _ => was_killed.then_some("try again"),
        };
        Self::new(code, error.to_string()).with_optional_hint(hint)
    }
}
