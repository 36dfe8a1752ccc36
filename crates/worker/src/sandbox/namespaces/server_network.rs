//! A network that has only the server's address.
//!
//! The namespace has no device but loopback, which gets the server's address. A listener there waits for connections; the
//! process that started this one accepts them from outside and forwards them, see [`Relay`](crate::relay::Relay).

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener};

use crate::system;

/// The index of the loopback device, the first of every network.
const LOOPBACK: u32 = 1;

/// Bytes of the header of a message to the kernel: length, kind, flags, number, process.
const HEADER_BYTES: usize = 16;

/// The kind and size of the kernel's answer: the header, and an error number or zero.
const ANSWER: u16 = libc::NLMSG_ERROR as u16;
const ANSWER_BYTES: usize = HEADER_BYTES + 4;

/// Attributes of an address.
const ADDRESS: u16 = 1;
const LOCAL_ADDRESS: u16 = 2;

/// Starts the network of this process, which is new and empty, and listens at the server's address.
pub(super) fn listen(server: SocketAddr) -> io::Result<TcpListener> {
    start_loopback()?;
    if !server.ip().is_loopback() {
        add_address(server.ip())?;
    }
    TcpListener::bind(server)
}

/// Starts the loopback device; the kernel gives it the loopback addresses.
fn start_loopback() -> io::Result<()> {
    let is_up = libc::IFF_UP as u32;
    // Family, padding and kind of device; its index; its flags; which of them change.
    let body = [[0; 4], LOOPBACK.to_ne_bytes(), is_up.to_ne_bytes(), is_up.to_ne_bytes()].concat();
    request(libc::RTM_NEWLINK, 0, &body)
}

/// Gives the loopback device an address.
fn add_address(address: IpAddr) -> io::Result<()> {
    let (family, bytes) = match address {
        IpAddr::V4(address) => (libc::AF_INET, address.octets().to_vec()),
        IpAddr::V6(address) => (libc::AF_INET6, address.octets().to_vec()),
    };
    // Family, length of the prefix, flags and scope; the index of the device.
    let mut body = vec![family as u8, 8 * bytes.len() as u8, libc::IFA_F_NODAD as u8, libc::RT_SCOPE_UNIVERSE];
    body.extend(LOOPBACK.to_ne_bytes());
    for kind in [LOCAL_ADDRESS, ADDRESS] {
        body.extend((4 + bytes.len() as u16).to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(&bytes);
    }
    request(libc::RTM_NEWADDR, libc::NLM_F_CREATE, &body)
}

/// Makes a request of the kernel's routing socket and waits for its answer.
fn request(kind: u16, flags: libc::c_int, body: &[u8]) -> io::Result<()> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK | flags) as u16;
    let mut message = ((HEADER_BYTES + body.len()) as u32).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend(body);
    let mut socket = system::routing_socket()?;
    socket.write_all(&message)?;
    let mut answer = [0; 1024];
    let length = socket.read(&mut answer)?;
    if length < ANSWER_BYTES || u16::from_ne_bytes([answer[4], answer[5]]) != ANSWER {
        return Err(io::Error::other("the kernel's answer about the network is malformed"));
    }
    match i32::from_ne_bytes([answer[16], answer[17], answer[18], answer[19]]) {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(-error)),
    }
}
