//! The way out of a network that has only the server's address: connections that a sandboxed process makes to the server
//! are accepted outside its sandbox and forwarded.
//!
//! A socket belongs to the network in which it was created, whatever process uses it. So the listener of the sandbox can be
//! used here, and connections to the server start in the network of this process.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::system;

/// Connections of one sandbox at the same time. Further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 128;

/// Stack of a thread that copies bytes.
const STACK_BYTES: usize = 256 << 10;

/// Time until a connection is accepted after one was not.
const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// Time for a connection to the server, which is on this machine.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Forwards the connections of one sandbox to the server until it is dropped.
#[derive(Debug)]
pub struct Relay {
    listener: Arc<TcpListener>,
}

/// The number of connections that may still be opened.
#[derive(Debug)]
struct Room {
    connections: Mutex<usize>,
    changed: Condvar,
}

/// The right to one connection.
struct Place(Arc<Room>);

impl Relay {
    /// Forwards what arrives at `listener`, which is in the sandbox's network, to the server.
    pub(crate) fn start(listener: TcpListener, server: SocketAddr) -> io::Result<Self> {
        let listener = Arc::new(listener);
        let accepting = listener.clone();
        spawn(move || accept(&accepting, server))?;
        Ok(Self { listener })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // Ends the waiting `accept`. Open connections end with the processes of the sandbox.
        system::shut_down(&*self.listener);
    }
}

/// Accepts connections until the listener is shut down.
fn accept(listener: &TcpListener, server: SocketAddr) {
    let room = Arc::new(Room { connections: Mutex::new(CONNECTIONS_MAX), changed: Condvar::new() });
    loop {
        let place = room.enter();
        match listener.accept() {
            Ok((connection, _)) => {
                // Without a thread the connection is closed here.
                let _ = spawn(move || forward(connection, server, place));
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            // A connection that ended before it was accepted, or no free descriptor for it.
            Err(_) => thread::sleep(RETRY_PAUSE),
        }
    }
}

/// Forwards one connection in both directions until both have ended.
fn forward(inside: TcpStream, server: SocketAddr, _place: Place) {
    let Ok(outside) = TcpStream::connect_timeout(&server, CONNECT_TIMEOUT) else { return };
    let _ = (inside.set_nodelay(true), outside.set_nodelay(true));
    thread::scope(|scope| {
        let answers = thread::Builder::new().stack_size(STACK_BYTES);
        match answers.spawn_scoped(scope, || copy(&outside, &inside)) {
            Ok(_) => copy(&inside, &outside),
            Err(_) => drop((inside.shutdown(Shutdown::Both), outside.shutdown(Shutdown::Both))),
        }
    });
}

/// Copies one direction to its end and ends the other connection's half; an error ends both.
fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    let end = if io::copy(&mut from, &mut to).is_ok() { Shutdown::Write } else { Shutdown::Both };
    // Fails when the connection has ended.
    let _ = to.shutdown(end);
    if end == Shutdown::Both {
        let _ = from.shutdown(end);
    }
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(work).map(drop)
}

impl Room {
    /// Waits for the right to one more connection.
    fn enter(self: &Arc<Self>) -> Place {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        while *connections == 0 {
            connections = self.changed.wait(connections).unwrap_or_else(PoisonError::into_inner);
        }
        *connections -= 1;
        Place(self.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        *self.0.connections.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.changed.notify_one();
    }
}
