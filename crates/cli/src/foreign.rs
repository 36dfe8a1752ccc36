//! The processes of this binary that run foreign code: launchers of steps, programs in a sandbox, workers.

use perennial_data::WORKER_ROLE;
use perennial_runners::{LAUNCH_ARGUMENT, launch_main};
use perennial_serving::MODEL_ROLE;
use perennial_worker::{PROGRAM_ARGUMENT, Role, WORKER_ARGUMENT, program_main, worker_main};

/// The roles of workers.
const ROLES: &[Role] = &[MODEL_ROLE, WORKER_ROLE];

/// Runs such a process, if the first argument says so; returns its exit status. Nothing may run or be open before.
pub(crate) fn run() -> Option<i32> {
    let first = std::env::args_os().nth(1)?;
    match first.to_str()? {
        LAUNCH_ARGUMENT => Some(launch_main()),
        PROGRAM_ARGUMENT => Some(program_main()),
        WORKER_ARGUMENT => Some(worker_main(ROLES)),
        _ => None,
    }
}
