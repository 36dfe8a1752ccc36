//! Programs whose network is the server.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::thread;

use perennial_worker::{Network, Processes, Sandbox};
use tempfile::TempDir;

use crate::PROBE;
use crate::programs::{run, sandbox};

/// A server that gives back what it receives, until the test ends.
pub(crate) struct EchoServer {
    pub(crate) address: SocketAddr,
}

impl EchoServer {
    /// Listens at a free port of an address.
    pub(crate) fn start(host: &str) -> Self {
        Self::try_start(SocketAddr::new(host.parse().unwrap(), 0)).unwrap()
    }

    fn try_start(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || {
                    let mut received = Vec::new();
                    io::Read::read_to_end(&mut &stream, &mut received).unwrap();
                    (&stream).write_all(&received).unwrap();
                });
            }
        });
        Ok(Self { address })
    }
}

fn sandbox_of(folder: &Path, server: SocketAddr) -> Sandbox {
    Sandbox { network: Network::Server(server), ..sandbox(folder) }
}

/// What a program prints, and whether it succeeds, whose network is the server.
fn run_with(server: SocketAddr, words: &[&str]) -> (String, bool) {
    let temp = TempDir::new().unwrap();
    let (output, is_success, _) = run(sandbox_of(temp.path(), server), PROBE, &[&["do"], words].concat());
    (output, is_success)
}

/// An address of this machine that is not a loopback address, if it has one: that which it uses towards others.
fn outer_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn a_program_exchanges_bytes_with_the_server_at_every_kind_of_address() {
    let text = "x".repeat(50_000);
    let hosts = [Some("127.0.0.1".parse().unwrap()), "::1".parse().ok(), outer_address()];
    let servers = hosts.into_iter().flatten().map(|host: IpAddr| EchoServer::try_start(SocketAddr::new(host, 0)));
    // A machine may have no IPv6.
    let servers: Vec<EchoServer> = servers.flatten().collect();
    assert!(!servers.is_empty());
    for EchoServer { address } in servers {
        assert_eq!(run_with(address, &["exchange", &address.to_string(), &text]), (text.clone(), true), "{address}");
    }
}

#[test]
fn a_program_reaches_the_server_by_its_name() {
    let EchoServer { address } = EchoServer::start("127.0.0.1");
    let name = format!("localhost:{}", address.port());
    assert_eq!(run_with(address, &["exchange", &name, "text"]), ("text".to_owned(), true));
}

#[test]
fn a_program_reaches_nothing_beside_the_server() {
    let EchoServer { address } = EchoServer::start("127.0.0.1");
    let same_port = EchoServer::try_start(SocketAddr::new("127.0.0.2".parse().unwrap(), address.port())).unwrap();
    let outer = outer_address().and_then(|host| EchoServer::try_start(SocketAddr::new(host, address.port())).ok());
    let other_port = EchoServer::start("127.0.0.1");
    let temp = TempDir::new().unwrap();
    for EchoServer { address: other } in [Some(same_port), outer, Some(other_port)].into_iter().flatten() {
        let words = ["do", "connect", &other.to_string()];
        let (output, is_success, isolation) = run(sandbox_of(temp.path(), address), PROBE, &words);
        let is_reached = !isolation.network && other.port() == address.port();
        assert_eq!(is_success, is_reached, "{other} with {isolation}: {output}");
    }
}

#[test]
fn without_a_network_namespace_a_program_reaches_the_servers_port_alone() {
    let EchoServer { address } = EchoServer::start("127.0.0.1");
    let same_port = EchoServer::try_start(SocketAddr::new("127.0.0.2".parse().unwrap(), address.port())).unwrap();
    let other_port = EchoServer::start("127.0.0.1");
    let temp = TempDir::new().unwrap();
    // A sandbox permits no further namespaces.
    let nested = |other: SocketAddr| {
        let words = ["do", "nested", &address.to_string(), "connect", &other.to_string()];
        run(Sandbox { processes: Processes::Allowed, ..sandbox(temp.path()) }, PROBE, &words).0
    };
    for reached in [address, same_port.address] {
        let output = nested(reached);
        assert!(output.ends_with(": connected") && !output.contains("own network"), "{reached}: {output}");
    }
    let output = nested(other_port.address);
    assert!(output.contains("Permission denied"), "{output}");
}

#[test]
fn a_server_that_is_gone_ends_the_connection() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (output, _) = run_with(address, &["exchange", &address.to_string(), "text"]);
    assert!(!output.contains("text"), "{output}");
}
