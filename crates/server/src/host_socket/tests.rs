use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use super::{SocketPath, is_admitted, listen};

/// The part of a client: the path of a socket to connect to. Set in processes that these tests start.
const CONNECT: &str = "PERENNIAL_TEST_CONNECT";
/// Connects when a test started this process for it, and waits for the answer; otherwise does nothing.
#[test]
fn connect() {
    let Some(path) = std::env::var_os(CONNECT) else { return };
    let mut stream = UnixStream::connect(path).unwrap();
    stream.read_exact(&mut [0]).unwrap();
}

/// This test binary as a client, started by a command.
fn client(command: &mut Command, path: &SocketPath) -> std::process::Child {
    command
        .env(CONNECT, path.as_path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn own_binary() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["host_socket::tests::connect", "--exact"]);
    command
}

/// This test binary as a client that is not a descendant of this process any more: its parent has ended.
fn orphan(confinement: &[&str]) -> Command {
    let all: Vec<&str> = confinement.iter().copied().chain(["setsid", "--fork"]).collect();
    let mut command = Command::new(all[0]);
    command.args(&all[1..]).arg(std::env::current_exe().unwrap()).args(["host_socket::tests::connect", "--exact"]);
    command
}

/// Whether the next client is admitted; it ends afterwards.
async fn admits_next(listener: &tokio::net::UnixListener) -> bool {
    let (stream, _) = listener.accept().await.unwrap();
    let is_admitted = is_admitted(&stream.peer_cred().unwrap());
    let mut stream = stream.into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.write_all(&[1]).unwrap();
    is_admitted
}

#[tokio::test]
async fn a_process_of_the_same_user_is_admitted_and_a_step_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let listener = listen(folder.path()).unwrap();
    let path = SocketPath::new(folder.path()).unwrap();
    assert_eq!(path.as_path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let mut own = UnixStream::connect(path.as_path()).unwrap();
    assert!(admits_next(&listener).await, "this process itself");
    own.read_exact(&mut [0]).unwrap();

    let mut child = client(&mut own_binary(), &path);
    assert!(!admits_next(&listener).await, "a process that the server started");
    child.wait().unwrap();
    let mut grandchild = client(
        Command::new("sh").args(["-c", "\"$0\" \"$@\""]).arg(own_binary().get_program()).args(own_binary().get_args()),
        &path,
    );
    assert!(!admits_next(&listener).await, "a process that a step started");
    grandchild.wait().unwrap();

    let mut starter = client(&mut orphan(&[]), &path);
    starter.wait().unwrap();
    assert!(admits_next(&listener).await, "a process of the same user elsewhere");
    let mut starter = client(&mut orphan(&["setpriv", "--no-new-privs"]), &path);
    starter.wait().unwrap();
    assert!(!admits_next(&listener).await, "a confined process elsewhere");
}

#[tokio::test]
async fn a_socket_in_a_deep_folder_can_be_used() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("a".repeat(100)).join("b".repeat(100));
    std::fs::create_dir_all(&folder).unwrap();
    for _ in 0..2 {
        let listener = listen(&folder).unwrap();
        let path = SocketPath::new(&folder).unwrap();
        let mut client = UnixStream::connect(path.as_path()).unwrap();
        assert!(admits_next(&listener).await);
        client.read_exact(&mut [0]).unwrap();
    }
}
