//! Messages between server and worker, as frames on a socket.
//!
//! ```text
//! byte 0      kind
//! byte 1      number of descriptors that come with the first byte
//! bytes 2–3   zero
//! bytes 4–7   length of the control part, little-endian
//! bytes 8–15  length of the payload, little-endian
//! then        control part (JSON), payload (raw bytes)
//! ```

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use perennial_core::ErrorCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::system;

const HEADER_BYTES: usize = 16;

/// Limit of a control part, bytes.
const CONTROL_MAX_BYTES: u64 = 16 << 20;

/// Memory reserved for a payload before its bytes arrive: a length that is not followed by as many bytes costs no more.
const RESERVED_MAX_BYTES: usize = 1 << 20;

/// Limit of a message of an error, characters.
const ERROR_TEXT_MAX: usize = 4000;

/// What a call or an answer consists of.
#[derive(Debug, Default)]
pub struct Message {
    control: Vec<u8>,
    /// Raw bytes, as Arrow IPC or tensors.
    pub payload: Vec<u8>,
    /// Open files that are passed on; at most eight. The other process uses them with the access they were opened with,
    /// whatever its sandbox.
    pub descriptors: Vec<OwnedFd>,
}

impl Message {
    /// A message with a control part, which is written as JSON.
    pub fn new(control: &impl Serialize) -> perennial_core::Result<Self> {
        let control = serde_json::to_vec(control)
            .map_err(|error| perennial_core::Error::internal("a message cannot be written as JSON", error))?;
        Ok(Self { control, ..Self::default() })
    }

    /// Adds raw bytes.
    #[must_use]
    pub fn with_payload(mut self, payload: Vec<u8>) -> Self {
        self.payload = payload;
        self
    }

    /// Adds an open file.
    #[must_use]
    pub fn with_descriptor(mut self, descriptor: impl Into<OwnedFd>) -> Self {
        self.descriptors.push(descriptor.into());
        self
    }

    /// The control part, parsed.
    pub fn control<T: DeserializeOwned>(&self) -> perennial_core::Result<T> {
        serde_json::from_slice(&self.control)
            .map_err(|error| perennial_core::Error::internal("a message between server and worker is malformed", error))
    }

    /// A message with an error.
    pub(crate) fn refusal(error: &perennial_core::Error) -> Self {
        let text = |text: &str| text.chars().take(ERROR_TEXT_MAX).collect::<String>();
        let refusal = Refusal {
            code: error.code().name().to_owned(),
            message: text(&error.chain()),
            hint: error.hint().map(text),
        };
        // A struct of texts is always JSON.
        Self::new(&refusal).unwrap_or_default()
    }

    /// The error of [`refusal`](Self::refusal).
    pub(crate) fn error(&self) -> perennial_core::Error {
        let Ok(refusal) = self.control::<Refusal>() else {
            return perennial_core::Error::new(ErrorCode::Internal, "the worker's error is malformed");
        };
        let code = ErrorCode::ALL.iter().copied().find(|code| code.name() == refusal.code);
        perennial_core::Error::new(code.unwrap_or(ErrorCode::Internal), refusal.message)
            .with_optional_hint(refusal.hint)
    }
}

/// An error on the wire.
#[derive(Serialize, Deserialize)]
struct Refusal {
    code: String,
    message: String,
    hint: Option<String>,
}

/// What a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Server to worker, once: the sandbox and the parameters of the role.
    Start = 1,
    /// Worker to server, once: the isolation in force.
    Ready,
    /// Server to worker: a call.
    Call,
    /// Worker to server: the answer to a call.
    Answer,
    /// Worker to server: a request during a call.
    Request,
    /// Server to worker: the answer to a request.
    Response,
    /// Either way: an error instead of an answer.
    Refused,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let kinds = [Self::Start, Self::Ready, Self::Call, Self::Answer, Self::Request, Self::Response, Self::Refused];
        kinds.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Why a frame cannot be sent or received.
#[derive(Debug)]
pub(crate) enum Failure<E> {
    /// The other process closed its end.
    Closed,
    /// The system's error.
    Io(io::Error),
    /// The bytes are not a frame.
    Malformed(String),
    /// The wait was ended by its `tick`.
    Ended(E),
}

/// A stream of frames. Where it has a timeout, a wait calls `tick` at each timeout and continues unless that fails.
#[derive(Debug)]
pub(crate) struct Frames {
    stream: UnixStream,
    payload_max_bytes: u64,
}

impl Frames {
    pub(crate) fn new(stream: UnixStream, payload_max_bytes: u64) -> Self {
        Self { stream, payload_max_bytes }
    }

    pub(crate) fn send<E>(
        &self,
        kind: Kind,
        message: &Message,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Failure<E>> {
        let mut head = [0; HEADER_BYTES].to_vec();
        head[0] = kind as u8;
        head[1] = message.descriptors.len() as u8;
        head[4..8].copy_from_slice(&(message.control.len() as u32).to_le_bytes());
        head[8..16].copy_from_slice(&(message.payload.len() as u64).to_le_bytes());
        head.extend_from_slice(&message.control);
        self.send_all(&head, &message.descriptors, tick)?;
        self.send_all(&message.payload, &[], tick)
    }

    fn send_all<E>(
        &self,
        mut bytes: &[u8],
        mut descriptors: &[OwnedFd],
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Failure<E>> {
        while !bytes.is_empty() {
            match system::send(&self.stream, bytes, descriptors) {
                Ok(sent) => {
                    bytes = &bytes[sent..];
                    descriptors = &[];
                }
                Err(error) => wait(error, tick)?,
            }
        }
        Ok(())
    }

    pub(crate) fn receive<E>(&self, tick: &mut dyn FnMut() -> Result<(), E>) -> Result<(Kind, Message), Failure<E>> {
        let mut head = [0; HEADER_BYTES];
        let mut descriptors = Vec::new();
        self.receive_exact(&mut head, &mut descriptors, tick)?;
        let kind = Kind::of(head[0]).ok_or_else(|| Failure::Malformed(format!("it has kind {}", head[0])))?;
        if descriptors.len() != usize::from(head[1]) {
            return Err(Failure::Malformed(format!("it has {} of {} descriptors", descriptors.len(), head[1])));
        }
        let control_bytes = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let payload_bytes = head[8..].iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let control = self.receive_part(control_bytes, CONTROL_MAX_BYTES, tick)?;
        let payload = self.receive_part(payload_bytes, self.payload_max_bytes, tick)?;
        Ok((kind, Message { control, payload, descriptors }))
    }

    fn receive_exact<E>(
        &self,
        bytes: &mut [u8],
        descriptors: &mut Vec<OwnedFd>,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<(), Failure<E>> {
        let mut filled = 0;
        while filled < bytes.len() {
            match system::receive(&self.stream, &mut bytes[filled..], descriptors) {
                Ok(0) => return Err(Failure::Closed),
                Ok(read) => filled += read,
                Err(error) => wait(error, tick)?,
            }
        }
        Ok(())
    }

    fn receive_part<E>(
        &self,
        length: u64,
        max_bytes: u64,
        tick: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Vec<u8>, Failure<E>> {
        if length > max_bytes {
            return Err(Failure::Malformed(format!("it has {length} bytes, more than {max_bytes}")));
        }
        let mut part = Vec::with_capacity((length as usize).min(RESERVED_MAX_BYTES));
        while (part.len() as u64) < length {
            match (&self.stream).take(length - part.len() as u64).read_to_end(&mut part) {
                Ok(0) => return Err(Failure::Closed),
                Ok(_) => {}
                Err(error) => wait(error, tick)?,
            }
        }
        Ok(part)
    }
}

/// Whether to continue after an error of a system call: after a timeout, if `tick` agrees.
fn wait<E>(error: io::Error, tick: &mut dyn FnMut() -> Result<(), E>) -> Result<(), Failure<E>> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => tick().map_err(Failure::Ended),
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Err(Failure::Closed),
        _ => Err(Failure::Io(error)),
    }
}

#[cfg(test)]
mod tests;
