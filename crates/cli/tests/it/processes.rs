//! The processes below a server: launchers and commands of steps, workers.

/// The descendants of a process.
pub(crate) fn descendants(process: u32) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open = vec![process];
    while let Some(process) = open.pop() {
        for task in std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
            let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            let children: Vec<u32> = children.split_whitespace().filter_map(|child| child.parse().ok()).collect();
            found.extend(&children);
            open.extend(children);
        }
    }
    found
}

/// The role of a worker of a server: `data` or `model`; `None` for another process, as the launcher of a step.
pub(crate) fn worker_role(process: u32) -> Option<String> {
    let arguments = std::fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let mut words = arguments.split('\0').skip_while(|word| *word != "__worker").skip(1);
    words.next().map(str::to_owned)
}

/// The workers of a role of a server.
pub(crate) fn workers(server: u32, role: &str) -> Vec<u32> {
    descendants(server).into_iter().filter(|process| worker_role(*process).as_deref() == Some(role)).collect()
}

/// Whether a process computes: it uses more processor time than a start, a fifth of a second.
pub(crate) fn is_busy(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let ticks = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(11)?.parse::<u64>().ok());
    ticks.is_some_and(|ticks| ticks > 20)
}

/// Kills a process with SIGKILL; returns whether it had not ended.
pub(crate) fn kill(process: u32) -> bool {
    let id = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    id.is_some_and(|id| rustix::process::kill_process(id, rustix::process::Signal::KILL).is_ok())
}
