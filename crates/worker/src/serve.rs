//! The worker's half: enters the sandbox and answers calls.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use perennial_core::{Error, ErrorCode, Result};

use crate::frame::{Failure, Frames, Kind, Message};
use crate::sandbox::{die_with_parent, hide_memory};
use crate::system;
use crate::worker::Start;

/// The first argument that starts the binary as a worker: `perennial __worker <role>`.
pub const WORKER_ARGUMENT: &str = "__worker";

/// Limit of the payload of one message from the server, bytes.
const PAYLOAD_MAX_BYTES: u64 = 1 << 40;

/// A role that workers of this binary have.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// Its name: `sql`.
    pub name: &'static str,
    /// Creates its handler inside the sandbox, from the parameters of the [`WorkerSpec`](crate::WorkerSpec).
    pub start: fn(serde_json::Value) -> Result<Box<dyn Handler>>,
}

/// Answers the calls of a worker, one at a time. It keeps its state from call to call.
pub trait Handler {
    /// Answers a call. An error is returned to the server as [`Error::Refused`](crate::Error::Refused), and the worker
    /// takes the next call. A panic ends the worker.
    fn call(&mut self, message: Message, server: &Arc<Server>) -> Result<Message>;
}

/// The server, as a handler reaches it during a call. Any thread of the worker may use it.
#[derive(Debug)]
pub struct Server {
    frames: Frames,
    /// Whether a call runs. A request holds the lock until it is answered.
    is_calling: Mutex<bool>,
}

impl Server {
    /// Requests something of the server and waits for its answer. Fails outside a call.
    pub fn request(&self, message: &Message) -> Result<Message> {
        let is_calling = self.is_calling.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_calling {
            return Err(Error::new(ErrorCode::Internal, "a worker made a request outside a call"));
        }
        let gone = |_| Error::new(ErrorCode::NotReady, "the server is gone");
        self.frames.send(Kind::Request, message, &mut never).map_err(gone)?;
        match self.frames.receive(&mut never).map_err(gone)? {
            (Kind::Response, answer) => Ok(answer),
            (_, refusal) => Err(refusal.error()),
        }
    }

    fn set_calling(&self, is_calling: bool) {
        *self.is_calling.lock().unwrap_or_else(PoisonError::into_inner) = is_calling;
    }
}

/// The streams of a worker have no timeouts.
fn never() -> Result<(), Infallible> {
    Ok(())
}

/// Runs a worker of one of the `roles` until the server closes its end; returns the process's exit status.
///
/// Call it first in `main` when the first argument is [`WORKER_ARGUMENT`], before any thread is started or any file is
/// opened.
pub fn worker_main(roles: &[Role]) -> i32 {
    system::close_inherited();
    die_with_parent();
    let name = std::env::args().nth(2).unwrap_or_default();
    match run(roles, &name) {
        Ok(()) | Err(Failure::Closed) => 0,
        Err(failure) => {
            eprintln!("the worker `{name}` ends: {failure:?}");
            1
        }
    }
}

fn run(roles: &[Role], name: &str) -> Result<(), Failure<Infallible>> {
    let stream = io::stdin().as_fd().try_clone_to_owned().map_err(Failure::Io)?;
    let frames = Frames::new(UnixStream::from(stream), PAYLOAD_MAX_BYTES);
    let (Kind::Start, start) = frames.receive(&mut never)? else {
        return Err(Failure::Malformed("the first frame is not a start".to_owned()));
    };
    let mut handler = match enter(roles, name, &start) {
        Ok((ready, handler)) => {
            frames.send(Kind::Ready, &ready, &mut never)?;
            handler
        }
        Err(error) => return frames.send(Kind::Refused, &Message::refusal(&error), &mut never),
    };
    let server = Arc::new(Server { frames, is_calling: Mutex::new(false) });
    loop {
        let (Kind::Call, call) = server.frames.receive(&mut never)? else {
            return Err(Failure::Malformed("the frame is not a call".to_owned()));
        };
        server.set_calling(true);
        let answer = handler.call(call, &server);
        // Waits for a request of another thread, so that its answer is not taken for the next call.
        server.set_calling(false);
        match answer {
            Ok(answer) => server.frames.send(Kind::Answer, &answer, &mut never)?,
            Err(error) => server.frames.send(Kind::Refused, &Message::refusal(&error), &mut never)?,
        }
    }
}

/// Enters the sandbox and starts the role.
fn enter(roles: &[Role], name: &str, start: &Message) -> Result<(Message, Box<dyn Handler>)> {
    let role = roles.iter().find(|role| role.name == name);
    let role = role.ok_or_else(|| Error::not_found("role", name))?;
    let start: Start = start.control()?;
    let entered = start
        .sandbox
        .enter()
        .map_err(|error| Error::new(ErrorCode::NotReady, format!("its sandbox cannot be set up: {error}")))?;
    // The change of credentials has reset it.
    die_with_parent();
    hide_memory();
    let handler = (role.start)(start.parameters)?;
    let mut ready = Message::new(&entered.isolation)?;
    ready.descriptors.extend(entered.listener.map(OwnedFd::from));
    Ok((ready, handler))
}
