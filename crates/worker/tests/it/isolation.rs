use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;

use perennial_worker::PathAccess::{Denied, Read, Write};
use perennial_worker::{Network, Requirement, Sandbox};
use tempfile::TempDir;

use crate::server_network::EchoServer;
use crate::{PROBE, act, denied, spec, start};

#[test]
fn a_worker_reports_its_isolation() {
    let worker = start(spec());
    let isolation = worker.isolation();
    assert!(isolation.system_calls, "{isolation}");
    assert!(isolation.landlock.is_some(), "{isolation}");
    assert!(isolation.to_string().starts_with("landlock v"), "{isolation}");
}

#[test]
fn without_landlock_a_worker_starts_only_where_that_is_permitted() {
    let temp = TempDir::new().unwrap();
    let start = |requirement: &str| {
        let words =
            ["do", "without-landlock", requirement, temp.path().join("file").to_str().unwrap()].map(str::to_owned);
        let output = Command::new(PROBE).args(words).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let refused = start("isolated");
    assert!(refused.contains("no Landlock, so a `probe` worker cannot be isolated"), "{refused}");
    let started = start("possible");
    assert!(started.starts_with("none: File too large"), "a write fails, and the worker lives: {started}");
}

#[test]
fn a_worker_reads_only_what_it_is_granted() {
    let temp = TempDir::new().unwrap();
    let path = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    for name in ["granted", "other"] {
        std::fs::create_dir(path(name)).unwrap();
        std::fs::write(path(&format!("{name}/file")), name).unwrap();
    }
    std::os::unix::fs::symlink(path("other/file"), path("granted/link")).unwrap();
    let mut granted = spec();
    granted.sandbox.readable = vec![path("granted").into()];
    let mut worker = start(granted);
    assert_eq!(act(&mut worker, &["read", &path("granted/file")]).unwrap(), "granted");
    for denied_path in ["other/file", "granted/link"] {
        denied(&mut worker, &["read", &path(denied_path)]);
    }
    denied(&mut worker, &["list", temp.path().to_str().unwrap()]);
    denied(&mut worker, &["write", &path("granted/new")]);
    denied(&mut worker, &["list", "/dev/shm"]);
    denied(&mut worker, &["write", "/tmp/perennial-worker-test"]);
    denied(&mut worker, &["read", "/etc/shadow"]);
}

#[test]
fn a_worker_writes_where_it_is_granted() {
    let temp = TempDir::new().unwrap();
    let mut granted = spec();
    granted.sandbox.writable = vec![temp.path().to_owned()];
    let file = temp.path().join("file");
    assert_eq!(act(&mut start(granted), &["write", file.to_str().unwrap()]).unwrap(), "written");
    assert_eq!(std::fs::read_to_string(file).unwrap(), "written");
}

#[test]
fn a_worker_has_no_network() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("socket");
    let _socket = UnixListener::bind(&path).unwrap();
    let mut worker = start(spec());
    denied(&mut worker, &["connect", &address]);
    denied(&mut worker, &["datagram", &address]);
    denied(&mut worker, &["unix", path.to_str().unwrap()]);
    assert_eq!(act(&mut worker, &["pair"]).unwrap(), "paired");
}

#[test]
fn a_worker_with_the_server_as_network_reaches_it() {
    let server = EchoServer::start("127.0.0.1");
    let mut granted = spec();
    granted.sandbox.network = Network::Server(server.address);
    let mut worker = start(granted);
    assert_eq!(act(&mut worker, &["exchange", &server.address.to_string(), "text"]).unwrap(), "text");
    let other = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    denied(&mut worker, &["connect", &other]);
    denied(&mut worker, &["datagram", &other]);
}

#[test]
fn a_worker_with_the_network_reaches_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut granted = spec();
    granted.sandbox.network = Network::Full;
    let mut worker = start(granted);
    assert_eq!(act(&mut worker, &["connect", &address]).unwrap(), "connected");
    assert_eq!(act(&mut worker, &["datagram", &address]).unwrap(), "sent");
}

#[test]
fn a_worker_starts_threads_but_no_process() {
    let mut worker = start(spec());
    assert_eq!(act(&mut worker, &["thread"]).unwrap(), "from a thread");
    denied(&mut worker, &["start", "/bin/true"]);
}

#[test]
fn dangerous_system_calls_are_denied() {
    let mut worker = start(spec());
    let denied = ["ptrace", "bpf", "keyctl", "unshare", "mount", "userfaultfd", "perf_event_open", "process_vm_readv"];
    for name in denied {
        let error = act(&mut worker, &["call", name]).unwrap();
        assert!(error.contains("Operation not permitted"), "{name}: {error}");
    }
    let second_numbering: &[&str] = if cfg!(target_arch = "x86_64") { &["getpid of x32"] } else { &[] };
    let unknown = [&["io_uring_setup", "clone3"], second_numbering].concat();
    for name in unknown {
        let error = act(&mut worker, &["call", name]).unwrap();
        assert!(error.contains("Function not implemented"), "{name}: {error}");
    }
}

#[test]
fn a_worker_inherits_nothing_of_the_server() {
    // A careless library of the server leaves a file open for children.
    let file = std::fs::File::open("/dev/null").unwrap();
    let inherited = rustix::io::fcntl_dupfd_cloexec(&file, 50).unwrap();
    rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
    let mut given = spec();
    given.environment.insert("GIVEN".to_owned(), "1".to_owned());
    let mut worker = start(given);
    let descriptors = act(&mut worker, &["list", "/proc/self/fd"]).unwrap();
    // Standard input, output and error, the copy of the first, and the list itself.
    assert_eq!(descriptors, "0 1 2 3 4");
    assert_eq!(act(&mut worker, &["variables"]).unwrap(), "GIVEN=1");
    assert_eq!(act(&mut worker, &["arguments"]).unwrap(), "perennial __worker probe");
    assert_eq!(act(&mut worker, &["folder"]).unwrap(), "/");
}

#[test]
fn the_servers_memory_and_environment_are_hidden() {
    let mut worker = start(spec());
    let server = std::process::id();
    for file in ["environ", "maps", "fd/0"] {
        denied(&mut worker, &["read", &format!("/proc/{server}/{file}")]);
    }
}

#[test]
fn the_kernel_ends_a_worker_before_the_server_when_memory_is_short() {
    let score = act(&mut start(spec()), &["read", "/proc/self/oom_score_adj"]).unwrap();
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert!(score.trim().parse::<i64>().unwrap() > own.trim().parse().unwrap(), "{score} {own}");
}

#[test]
fn a_worker_has_no_capabilities() {
    let status = act(&mut start(spec()), &["read", "/proc/self/status"]).unwrap();
    for set in ["CapInh:", "CapPrm:", "CapEff:"] {
        let line = status.lines().find(|line| line.starts_with(set)).unwrap();
        assert!(line.ends_with("\t0000000000000000"), "{line}");
    }
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert!(status.contains("Seccomp:\t2"), "{status}");
}

#[test]
fn the_access_of_a_sandbox_is_what_it_grants() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().canonicalize().unwrap();
    let sandbox = Sandbox { writable: vec![folder.clone()], requirement: Requirement::Possible, ..Sandbox::worker() };
    for (path, expected) in [
        (folder.join("file"), Write),
        ("/dev/null".into(), Write),
        ("/usr/bin/env".into(), Read),
        ("/etc/shadow".into(), Denied),
        ("/dev/shm/x".into(), Denied),
    ] {
        assert_eq!(sandbox.access(&path), expected, "{}", path.display());
    }
}
