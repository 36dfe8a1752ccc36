//! The limit of open files, which bounds connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::limits;

/// Raises the limit of open files of this process to its hard limit, and returns how many connections fit within half of
/// it: at most [`limits::CONNECTIONS_MAX`]. The other half is for files and for connections to other servers.
///
/// A process that this one starts inherits the limit.
pub fn raise_open_file_limit() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(error) => {
            tracing::warn!(%error, "the limit of open files could not be raised");
            current
        }
    };
    let connections = files.map_or(limits::CONNECTIONS_MAX, |files| usize::try_from(files / 2).unwrap_or(usize::MAX));
    connections.clamp(1, limits::CONNECTIONS_MAX)
}
