//! Process trees, read from `/proc`.

use std::collections::HashMap;
use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process of a tree.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    pid: Pid,
    /// Resident memory now, bytes.
    resident_bytes: u64,
    /// Peak resident memory, bytes.
    peak_bytes: u64,
}

/// Every descendant of this process, without zombies.
pub fn members() -> Vec<Member> {
    members_below(std::process::id() as i32)
}

/// Every descendant of the process `root`, without zombies.
fn members_below(root: i32) -> Vec<Member> {
    let mut parents = None;
    let mut found = Vec::new();
    let mut pending = vec![root];
    while let Some(parent) = pending.pop() {
        // Kernels built without lists of children need a scan of all processes.
        let children = match children_of(parent) {
            Some(children) => children,
            None => parents.get_or_insert_with(all_by_parent).remove(&parent).unwrap_or_default(),
        };
        found.extend(children.iter().copied().filter_map(member));
        pending.extend(children);
    }
    found
}

/// The children of every thread of `pid`; `None` when the kernel does not list children. A process that has
/// ended has none.
fn children_of(pid: i32) -> Option<Vec<i32>> {
    let mut children = Vec::new();
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Some(children);
    };
    for thread in threads.flatten() {
        match fs::read_to_string(thread.path().join("children")) {
            Ok(list) => children.extend(list.split_whitespace().filter_map(|pid| pid.parse::<i32>().ok())),
            Err(_) if thread.path().exists() => return None,
            Err(_) => {}
        }
    }
    Some(children)
}

/// Every process of the machine by its parent.
fn all_by_parent() -> HashMap<i32, Vec<i32>> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        if let Some(parent) = parent_of(pid) {
            children.entry(parent).or_default().push(pid);
        }
    }
    children
}

/// Resident memory of the tree with shared pages counted in each process, and the highest peak of one process,
/// bytes.
pub fn memory(members: &[Member]) -> (u64, u64) {
    let now = members.iter().map(|member| member.resident_bytes).sum();
    let peak = members.iter().map(|member| member.peak_bytes).max().unwrap_or(0);
    (now, peak)
}

/// Memory of the tree with each shared page counted once, bytes; slower than [`memory`].
pub fn proportional_memory(members: &[Member]) -> u64 {
    members.iter().map(|member| proportional(member.pid).unwrap_or(member.resident_bytes)).sum()
}

/// Resident memory of the process `pid` now, bytes; `None` when it has ended.
pub(crate) fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kilobytes(&status, "VmRSS:")
}

/// Sends `signal` to every descendant of this process.
pub fn signal(signal: Signal) {
    send(&members(), signal);
}

/// Sends SIGKILL to every descendant of the process `root`.
pub fn kill_below(root: Pid) {
    send(&members_below(root.as_raw_nonzero().get()), Signal::KILL);
}

fn send(members: &[Member], signal: Signal) {
    for member in members {
        // Fails when the process has ended.
        let _ = kill_process(member.pid, signal);
    }
}

/// The parent's id: the fourth word of `stat`, behind the name in parentheses, which may hold anything.
fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn member(pid: i32) -> Option<Member> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Member {
        pid: Pid::from_raw(pid)?,
        resident_bytes: kilobytes(&status, "VmRSS:")?,
        peak_bytes: kilobytes(&status, "VmHWM:")?,
    })
}

fn proportional(pid: Pid) -> Option<u64> {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", pid.as_raw_nonzero())).ok()?;
    kilobytes(&rollup, "Pss:")
}

/// The value of a line `<name>  <number> kB`, bytes.
pub(crate) fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|number| number * 1024)
}
