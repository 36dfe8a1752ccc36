//! Limits of resources that the kernel enforces on a process.

use std::fs;
use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::{Processes, Sandbox};
use crate::process_tree;
use crate::system;

/// The kernel, short of memory, ends a process with this addition to its score before one of the same size without it: a
/// sandboxed process before the server. A thousandth is a thousandth of the machine's memory.
const OUT_OF_MEMORY_SCORE: &str = "500";

/// Address space beyond the limit of memory: libraries, stacks, and memory reserved but not used.
const ADDRESS_SPACE_BYTES: u64 = 8 << 30;

pub(super) fn set(sandbox: &Sandbox) -> io::Result<()> {
    // A core file would have the content of the process, which may be secret.
    set_limit(Resource::Core, 0)?;
    // Not every kernel has it.
    let _ = fs::write("/proc/self/oom_score_adj", OUT_OF_MEMORY_SCORE);
    let limits = &sandbox.limits;
    if let Some(bytes) = limits.memory_bytes {
        // The allocator has reserved memory before anything was computed, a gigabyte if it can. Data in it is counted by the
        // server, which compares the resident memory.
        set_limit(Resource::Data, bytes.saturating_add(mapped_bytes("VmData:")?))?;
        set_limit(Resource::As, bytes.saturating_add(mapped_bytes("VmSize:")?).saturating_add(ADDRESS_SPACE_BYTES))?;
    }
    if let Some(time) = limits.processor_time {
        // The first limit sends SIGXCPU, which distinguishes the limit from other ends; the second one kills.
        let seconds = time.as_secs().max(1);
        setrlimit(Resource::Cpu, Rlimit { current: Some(seconds), maximum: Some(seconds + 1) })?;
    }
    if let Some(files) = limits.open_files {
        set_limit(Resource::Nofile, files)?;
    }
    if sandbox.writable.is_empty() && sandbox.processes == Processes::None {
        // Files in memory count as memory of no process, so there are none. Without Landlock a library may open a file that it
        // cannot write: an error, which must not end the process.
        system::ignore_file_size_signal();
        set_limit(Resource::Fsize, 0)?;
    }
    if let Some(processors) = limits.processors {
        set_processors(processors)?;
    }
    Ok(())
}

/// Memory that this process has mapped already, of the kind that the kernel calls `name`, bytes.
fn mapped_bytes(name: &str) -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    process_tree::kilobytes(&status, name)
        .ok_or_else(|| io::Error::other(format!("`/proc/self/status` has no `{name}`")))
}

/// Lowers a limit; one that is lower already stays.
fn set_limit(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |maximum| maximum.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// Binds this process to `count` processors; processes that run together get different ones if possible.
fn set_processors(count: f64) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let available: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&processor| allowed.is_set(processor)).collect();
    let count = (count.ceil().max(1.0) as usize).min(available.len());
    let first = std::process::id() as usize;
    let mut chosen = CpuSet::new();
    for offset in 0..count {
        chosen.set(available[(first + offset) % available.len()]);
    }
    Ok(sched_setaffinity(None, &chosen)?)
}
