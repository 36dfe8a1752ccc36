//! The memory that this process may use.

use std::path::Path;

#[cfg(test)]
mod tests;

/// Bytes that this process may use: those of the machine, or of the control group that limits it, such as a container.
/// `None` where the kernel does not say.
pub(crate) fn limit_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).ok();
    let groups = read("/proc/self/cgroup").unwrap_or_default();
    limits_of_groups(&groups, read).chain(machine_bytes(&read("/proc/meminfo")?)).min()
}

/// Bytes of the machine, from `/proc/meminfo`.
fn machine_bytes(text: &str) -> Option<u64> {
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB"))?;
    Some(kilobytes.trim().parse::<u64>().ok()? * 1024)
}

/// The limits of the control groups of `/proc/self/cgroup` and of those above them, in both versions. Inside a container
/// the own group is the root of what is mounted.
fn limits_of_groups(groups: &str, read: impl Fn(&str) -> Option<String>) -> impl Iterator<Item = u64> {
    let mut limits = Vec::new();
    for line in groups.lines() {
        // `<number>:<controllers>:<path>`; version 2 has no controllers.
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let (root, file) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => continue,
        };
        let mut path = path.trim_end_matches('/');
        loop {
            // `max` stands for no limit.
            limits.extend(read(&format!("{root}{path}/{file}")).and_then(|text| text.trim().parse::<u64>().ok()));
            let Some((above, _)) = path.rsplit_once('/') else { break };
            path = above;
        }
    }
    limits.into_iter()
}
