use super::{limits_of_groups, machine_bytes};

/// The least limit, where `files` are the files of groups.
fn least(groups: &str, files: &[(&str, &str)]) -> Option<u64> {
    let read = |path: &str| files.iter().find(|(known, _)| *known == path).map(|(_, text)| (*text).to_owned());
    limits_of_groups(groups, read).min()
}

#[test]
fn a_group_of_version_2_and_those_above_it_limit_the_memory() {
    let groups = "0::/system.slice/perennial.service\n";
    let own = ("/sys/fs/cgroup/system.slice/perennial.service/memory.max", "max\n");
    let above = ("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
    assert_eq!(least(groups, &[own]), None);
    assert_eq!(least(groups, &[own, above]), Some(2 << 30));
    assert_eq!(least("0::/\n", &[("/sys/fs/cgroup/memory.max", "1073741824\n")]), Some(1 << 30));
}

#[test]
fn a_group_of_version_1_limits_the_memory() {
    let groups = "12:pids:/a\n9:cpu,memory:/a/b\n0::/\n";
    let file = ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "1073741824\n");
    assert_eq!(least(groups, &[file]), Some(1 << 30));
    // The group of a container, seen from inside.
    assert_eq!(least(groups, &[("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912")]), Some(1 << 29));
    assert_eq!(least("", &[file]), None);
}

#[test]
fn the_memory_of_the_machine_is_read_in_bytes() {
    assert_eq!(machine_bytes("MemTotal:       24652836 kB\nMemFree: 1 kB\n"), Some(24_652_836 * 1024));
    assert_eq!(machine_bytes("MemFree: 1 kB\n"), None);
}
