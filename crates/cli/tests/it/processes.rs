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

/// The launchers and commands of the steps of a server: its descendants without the workers that answer its requests, whose
/// death a request reports.
pub(crate) fn of_steps(server: u32) -> Vec<u32> {
    let is_worker = |process: &u32| {
        let arguments = std::fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
        arguments.split(|byte| *byte == 0).any(|argument| argument == b"__worker")
    };
    descendants(server).into_iter().filter(|process| !is_worker(process)).collect()
}

/// Kills a process with SIGKILL; returns whether it had not ended.
pub(crate) fn kill(process: u32) -> bool {
    let id = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    id.is_some_and(|id| rustix::process::kill_process(id, rustix::process::Signal::KILL).is_ok())
}
