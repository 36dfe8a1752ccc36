use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// The process of the server; no process has this id.
const SERVER_PID: u32 = 4_999_999;

/// A machine as a tree of plain files: the process's description, and a hierarchy with one group.
struct Machine {
    temp: TempDir,
    group: PathBuf,
}

impl Machine {
    /// A machine whose server is in the group `path`, with these controllers.
    fn new(path: &str, controllers: &str) -> Self {
        let temp = TempDir::new().unwrap();
        let (process, hierarchy) = (temp.path().join("process"), temp.path().join("hierarchy"));
        let group = hierarchy.join(path);
        fs::create_dir(&process).unwrap();
        fs::create_dir_all(&group).unwrap();
        fs::write(process.join("cgroup"), format!("4:memory:/other\n0::/{path}\n")).unwrap();
        let mounts = format!(
            "25 1 0:22 / /proc rw shared:1 - proc proc rw\n30 25 0:26 / {} rw,nosuid - cgroup2 cgroup rw\n",
            hierarchy.display()
        );
        fs::write(process.join("mountinfo"), mounts).unwrap();
        fs::write(group.join("cgroup.controllers"), controllers).unwrap();
        fs::write(group.join("cgroup.type"), "domain\n").unwrap();
        fs::write(group.join(PROCESSES), format!("{SERVER_PID}\n")).unwrap();
        Self { temp, group }
    }

    fn process(&self) -> PathBuf {
        self.temp.path().join("process")
    }

    fn open(&self) -> Result<ControlGroups, Unavailable> {
        ControlGroups::open_for(&self.process(), SERVER_PID)
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.group.join(path)).unwrap()
    }
}

#[test]
fn the_server_moves_into_a_part_of_its_group_and_enables_memory() {
    let machine = Machine::new("delegated", "cpu memory pids\n");
    let groups = machine.open().unwrap();
    assert_eq!(groups.folder(), machine.group);
    assert_eq!(machine.read("perennial-server/cgroup.procs"), SERVER_PID.to_string());
    assert_eq!(machine.read("cgroup.subtree_control"), "+memory");
}

#[test]
fn the_first_group_of_a_machine_keeps_its_processes() {
    let machine = Machine::new("", "memory\n");
    fs::remove_file(machine.group.join("cgroup.type")).unwrap();
    fs::write(machine.group.join(PROCESSES), format!("1\n2\n{SERVER_PID}\n")).unwrap();
    machine.open().unwrap();
    assert!(!machine.group.join(SERVER).exists());
}

#[test]
fn a_group_has_the_limits_and_its_processes_join_it() {
    let machine = Machine::new("delegated", "memory\n");
    let group = machine.open().unwrap().create(64 << 20).unwrap();
    let read = |file: &str| fs::read_to_string(group.folder().join(file)).unwrap();
    assert_eq!(read("memory.max"), "67108864");
    assert_eq!((read("memory.swap.max").as_str(), read("memory.oom.group").as_str()), ("0", "1"));
    join(group.folder()).unwrap();
    assert_eq!(read(PROCESSES), "0", "the writing process");
}

#[test]
fn a_group_reports_that_its_memory_was_exceeded() {
    let machine = Machine::new("delegated", "memory\n");
    let group = machine.open().unwrap().create(1).unwrap();
    assert!(!group.exceeded_memory());
    for (kills, is_exceeded) in [("0", false), ("2", true)] {
        let events = format!("low 0\nhigh 0\nmax 7\noom 1\noom_kill {kills}\noom_group_kill 0\n");
        fs::write(group.folder().join("memory.events"), events).unwrap();
        assert_eq!(group.exceeded_memory(), is_exceeded, "{kills}");
    }
}

#[test]
fn groups_of_ended_servers_are_removed() {
    let machine = Machine::new("delegated", "memory\n");
    let running = format!("perennial-{}-1-0", std::process::id());
    for name in ["perennial-4999998-7-0", "perennial-4999999-7-0", "other", &running] {
        fs::create_dir(machine.group.join(name)).unwrap();
    }
    machine.open().unwrap();
    let is_left = |name: &str| machine.group.join(name).exists();
    assert!(!is_left("perennial-4999998-7-0") && !is_left("perennial-4999999-7-0"));
    assert!(is_left("other") && is_left(&running) && is_left(SERVER));
}

#[test]
fn a_group_that_cannot_be_divided_is_left_as_it_is() {
    let cases: [(&str, &str, &str, &str); 4] = [
        ("delegated", "cpu pids\n", "4999999\n", "no controller of memory"),
        ("delegated", "memory\n", "1\n4999999\n", "has other processes"),
        ("system.slice/app.service", "memory\n", "4999999\n", "without `Delegate=memory`"),
        ("user.slice/run-1.scope", "memory\n", "4999999\n", "without `Delegate=memory`"),
    ];
    for (path, controllers, processes, expected) in cases {
        let machine = Machine::new(path, controllers);
        fs::write(machine.group.join(PROCESSES), processes).unwrap();
        let error = machine.open().unwrap_err().to_string();
        assert!(error.contains(expected), "{path}: {error}");
        assert!(!machine.group.join(SERVER).exists() && !machine.group.join(ENABLED).exists());
    }
}

#[test]
fn a_server_whose_group_cannot_be_divided_returns_to_it() {
    let machine = Machine::new("delegated", "memory\n");
    // Writing to it fails, as where the kernel refuses it.
    fs::create_dir(machine.group.join(ENABLED)).unwrap();
    let error = machine.open().unwrap_err();
    assert!(matches!(error, Unavailable::Refused { .. }), "{error}");
    assert_eq!(machine.read(PROCESSES), SERVER_PID.to_string());
}

#[test]
fn a_hierarchy_that_is_not_visible_is_not_used() {
    let check = |cgroup: &str, mounts: &str| {
        let machine = Machine::new("delegated", "memory\n");
        fs::write(machine.process().join("cgroup"), cgroup).unwrap();
        let mounts = mounts.replace("FOLDER", machine.group.parent().unwrap().to_str().unwrap());
        fs::write(machine.process().join("mountinfo"), mounts).unwrap();
        machine.open().map(drop)
    };
    let hierarchy = "30 25 0:26 / FOLDER rw - cgroup2 cgroup rw\n";
    assert!(check("0::/delegated\n", hierarchy).is_ok());
    for (cgroup, mounts) in [
        ("4:memory:/delegated\n", hierarchy),
        ("0::/delegated\n", "30 25 0:26 / FOLDER rw - cgroup cgroup rw,memory\n"),
        ("0::/../delegated\n", hierarchy),
        ("0::/delegated\n", "30 25 0:26 /other FOLDER rw - cgroup2 cgroup rw\n"),
        ("", ""),
    ] {
        assert!(matches!(check(cgroup, mounts), Err(Unavailable::NoHierarchy)), "{cgroup} {mounts}");
    }
}

#[test]
fn the_probe_of_this_machine_changes_nothing() {
    let before = fs::read_to_string("/proc/self/cgroup").unwrap();
    let probe = ControlGroups::probe(std::process::id());
    assert_eq!(fs::read_to_string("/proc/self/cgroup").unwrap(), before);
    assert!(probe.is_err() || probe.is_ok_and(|folder| folder.is_dir()));
}
