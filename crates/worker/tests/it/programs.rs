use std::collections::BTreeMap;
use std::fs::Permissions;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use perennial_worker::{Isolation, Network, Processes, Program, Running, Sandbox};
use tempfile::TempDir;

use crate::PROBE;

pub(crate) fn sandbox(folder: &Path) -> Sandbox {
    Sandbox {
        readable: vec![PROBE.into()],
        writable: vec![folder.to_owned()],
        network: Network::Full,
        processes: Processes::Allowed,
        ..Sandbox::worker()
    }
}

/// Runs a program to its end: its output and whether it succeeded.
pub(crate) fn run(sandbox: Sandbox, file: &str, words: &[&str]) -> (String, bool, Isolation) {
    let argv = [file].iter().chain(words).map(|&word| word.to_owned()).collect();
    let environment = BTreeMap::from([("GIVEN".to_owned(), "1".to_owned())]);
    let program = Program { file: file.into(), argv, folder: "/".into(), environment, sandbox };
    let running = program.spawn(Path::new(PROBE), Stdio::piped(), Stdio::null()).unwrap();
    let Running { mut child, isolation, relay: _relay } = running;
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    (output.trim_end().to_owned(), child.wait().unwrap().success(), isolation)
}

#[test]
fn a_program_has_its_environment_and_nothing_else() {
    let temp = TempDir::new().unwrap();
    let (output, is_success, _) = run(sandbox(temp.path()), PROBE, &["do", "variables"]);
    assert_eq!((output.as_str(), is_success), ("GIVEN=1", true));
    let (output, _, _) = run(sandbox(temp.path()), PROBE, &["do", "list", "/proc/self/fd"]);
    assert_eq!(output, "0 1 2 3", "standard input, output and error, and the list itself");
}

#[test]
fn a_program_starts_others_in_the_same_sandbox() {
    let temp = TempDir::new().unwrap();
    let path = temp.path().join("file").display().to_string();
    let script = format!("echo x > '{path}' && cat '{path}' && cat /etc/shadow");
    let (output, is_success, _) = run(sandbox(temp.path()), "/bin/sh", &["-c", &script]);
    assert_eq!((output.as_str(), is_success), ("x", false));
}

#[test]
fn a_program_has_shared_memory_of_its_own() {
    let temp = TempDir::new().unwrap();
    let name = format!("/dev/shm/perennial-worker-test-{}", std::process::id());
    let (output, is_success, isolation) = run(sandbox(temp.path()), PROBE, &["do", "write", &name]);
    assert_eq!((output.as_str(), is_success), ("written", true));
    assert_eq!(std::fs::remove_file(&name).is_err(), isolation.files, "{isolation}");
}

#[test]
fn a_program_sees_no_socket_of_the_machine() {
    let temp = TempDir::new().unwrap();
    let (own, other) = (temp.path().join("own"), temp.path().join("other"));
    for folder in [&own, &other] {
        std::fs::create_dir(folder).unwrap();
    }
    let sockets = [own.join("socket"), other.join("socket")];
    let _listeners = sockets.clone().map(|path| UnixListener::bind(path).unwrap());
    let connect = |path: &Path| run(sandbox(&own), PROBE, &["do", "unix", path.to_str().unwrap()]);
    let (output, is_success, isolation) = connect(&sockets[0]);
    assert_eq!(is_success, isolation.files, "{output}");
    let (output, is_success, _) = connect(&sockets[1]);
    assert!(!is_success, "{output}");
    let expected = if isolation.files { "No such file" } else { "Permission denied" };
    assert!(output.contains(expected), "{output}");
}

#[test]
fn a_program_sees_its_temporary_folder_as_tmp() {
    // Nothing that it uses is below `/tmp`, as on a server.
    let temp = TempDir::new_in("/var/tmp").unwrap();
    let folder = temp.path().canonicalize().unwrap();
    let probe = folder.join("probe");
    std::fs::copy(PROBE, &probe).unwrap();
    let sandbox = Sandbox { readable: Vec::new(), temporary: Some(folder.clone()), ..sandbox(&folder) };
    let (output, is_success, isolation) = run(sandbox, probe.to_str().unwrap(), &["do", "write", "/tmp/file"]);
    assert_eq!(is_success, isolation.files, "{output}");
    assert_eq!(folder.join("file").exists(), isolation.files);
}

#[test]
fn links_on_the_way_to_a_granted_path_are_kept() {
    let temp = TempDir::new().unwrap();
    let folder = temp.path().canonicalize().unwrap();
    std::fs::create_dir_all(folder.join("releases/2")).unwrap();
    std::fs::write(folder.join("releases/2/file"), "second").unwrap();
    std::os::unix::fs::symlink("releases", folder.join("all")).unwrap();
    std::os::unix::fs::symlink(folder.join("all/2"), folder.join("current")).unwrap();
    let mut granted = sandbox(&folder.join("none"));
    granted.readable.push(folder.join("current"));
    let path = folder.join("current/file").display().to_string();
    let (output, is_success, _) = run(granted, PROBE, &["do", "read", &path]);
    assert_eq!((output.as_str(), is_success), ("second", true));
}

#[test]
fn a_program_uses_the_machine_as_before() {
    let temp = TempDir::new().unwrap();
    let script = "ls /usr/bin >/dev/null && echo x >/dev/null && head -c 1 /dev/urandom >/dev/null \
                  && cat /proc/self/stat >/dev/null && echo x | cat /dev/stdin && getent hosts localhost >/dev/null \
                  && mktemp -p /dev/shm >/dev/null && nproc >/dev/null";
    let (output, is_success, _) = run(sandbox(temp.path()), "/bin/sh", &["-c", script]);
    assert_eq!((output.as_str(), is_success), ("x", true));
}

#[test]
fn a_program_without_network_reaches_nothing() {
    let temp = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (output, is_success, _) = run(sandbox(temp.path()), PROBE, &["do", "connect", &address]);
    assert!(is_success, "{output}");
    let without = Sandbox { network: Network::None, ..sandbox(temp.path()) };
    let (output, is_success, _) = run(without, PROBE, &["do", "connect", &address]);
    assert!(!is_success && output.contains("Permission denied"), "{output}");
}

#[test]
fn a_program_that_does_not_exist_is_named() {
    let temp = TempDir::new().unwrap();
    let program = Program {
        file: "/nowhere/program".into(),
        argv: Vec::new(),
        folder: "/".into(),
        environment: BTreeMap::new(),
        sandbox: sandbox(temp.path()),
    };
    let error = program.spawn(Path::new(PROBE), Stdio::null(), Stdio::null()).unwrap_err().to_string();
    assert!(error.contains("`/nowhere/program`"), "{error}");
}

#[test]
fn a_program_that_root_starts_gets_a_user_of_its_own() {
    // As a server, whose files are its own.
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let temp = TempDir::new().unwrap();
    let (own, other) = (temp.path().join("own"), temp.path().join("other"));
    for folder in [&own, &other] {
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("file"), "text").unwrap();
        std::fs::set_permissions(folder.join("file"), Permissions::from_mode(0o600)).unwrap();
    }
    let user = 1_234_567_890;
    let mut granted = Sandbox { user: Some(user), ..sandbox(&own) };
    granted.readable.push(other.clone());
    let script =
        format!("id -u && cat '{0}/file' && echo new > '{0}/new' && cat '{1}/file'", own.display(), other.display());
    let (output, is_success, isolation) = run(granted, "/bin/sh", &["-c", &script]);
    let owner = |name: &str| own.join(name).metadata().unwrap().uid();
    if isolation.user {
        assert_eq!((output.as_str(), is_success), ("1234567890\ntext", false), "the user may not read what root owns");
        assert_eq!((owner("file"), owner("new")), (user, user));
    } else {
        assert!(is_success, "{output}");
        assert_ne!(owner("file"), user);
    }
}
