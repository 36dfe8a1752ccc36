//! The server's half of one worker.

use std::collections::{BTreeMap, VecDeque};
use std::fs::DirBuilder;
use std::io::Read;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use perennial_core::ErrorCode;
use serde::{Deserialize, Serialize};

use crate::control_group::{ControlGroup, ControlGroups};
use crate::error::{Error, Result};
use crate::frame::{Failure, Frames, Kind, Message};
use crate::process_tree;
use crate::relay::Relay;
use crate::sandbox::{Isolation, Network, Requirement, Sandbox, kernel_isolates};
use crate::serve::WORKER_ARGUMENT;
use crate::spawner;

/// Interval at which deadline and memory of a running call are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(25);

/// Time that a worker which closed its socket has to exit.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// Interval at which the exit of such a worker is polled.
const EXIT_POLL: Duration = Duration::from_millis(1);

/// The end of a worker's standard error that is kept, bytes.
const OUTPUT_MAX_BYTES: usize = 8 << 10;

/// The end of it that an error names, characters.
const OUTPUT_TEXT_MAX: usize = 500;

/// What a worker is and what it may do.
#[derive(Debug, Clone)]
pub struct WorkerSpec {
    /// The binary that is called with [`WORKER_ARGUMENT`] and the role.
    pub program: PathBuf,
    /// Its role, one of those that the binary gives to [`worker_main`](crate::worker_main).
    pub role: String,
    /// What it may access and use.
    pub sandbox: Sandbox,
    /// Its whole environment.
    pub environment: BTreeMap<String, String>,
    /// Parameters of the role, given to [`Role::start`](crate::Role) inside the sandbox.
    pub parameters: serde_json::Value,
    /// Folder in which each worker gets a folder of its own, which it may write and which is removed at its end. Its
    /// environment names it as `TMPDIR`. `None`: it writes nothing.
    pub scratch: Option<PathBuf>,
    /// Where each worker with a limit of memory gets a control group of its own; `None` where there are none.
    pub control_groups: Option<ControlGroups>,
    /// Time for the start.
    pub start_deadline: Duration,
    /// Limit of the payload of one message from the worker, bytes.
    pub answer_max_bytes: u64,
}

impl WorkerSpec {
    /// A worker of this binary in the strictest sandbox, with 30 seconds for its start and 1 GiB for an answer.
    pub fn new(role: &str) -> Self {
        Self {
            program: PathBuf::from("/proc/self/exe"),
            role: role.to_owned(),
            sandbox: Sandbox::worker(),
            environment: BTreeMap::new(),
            parameters: serde_json::Value::Null,
            scratch: None,
            control_groups: None,
            start_deadline: Duration::from_secs(30),
            answer_max_bytes: 1 << 30,
        }
    }
}

/// The first message to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Start {
    pub(crate) sandbox: Sandbox,
    pub(crate) parameters: serde_json::Value,
}

/// A running worker. Dropping it kills the process.
#[derive(Debug)]
pub struct Worker {
    spec: Arc<WorkerSpec>,
    process: Arc<Process>,
    frames: Frames,
    output: Output,
    isolation: Isolation,
    /// Its way to the server, if its network has only the server's address.
    relay: Option<Relay>,
    is_usable: bool,
    /// Dropped after the process has ended.
    scratch: Option<Scratch>,
    /// Dropped after the process has ended.
    control_group: Option<ControlGroup>,
}

/// The process of a worker.
#[derive(Debug)]
struct Process {
    child: Mutex<Child>,
    pid: u32,
    is_stopped: AtomicBool,
}

/// Stops a worker from another thread, at once, whatever it does.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<Process>);

impl Stopper {
    /// Kills the worker. A call that runs fails with [`Error::Stopped`].
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Release);
        self.0.kill();
    }
}

impl Process {
    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kills the process, unless it was waited for: then another process may have its id.
    fn kill(&self) {
        let _ = self.child().kill();
    }

    fn exit(&self) -> Option<ExitStatus> {
        self.child().try_wait().ok().flatten()
    }
}

impl Worker {
    /// Starts a worker and waits until it is ready. Blocks.
    pub fn start(spec: Arc<WorkerSpec>) -> Result<Self> {
        let failed = |reason: String| Error::Start { role: spec.role.clone(), reason };
        if spec.sandbox.requirement == Requirement::Isolated && !kernel_isolates() {
            return Err(Error::NotIsolated { role: spec.role.clone() });
        }
        let scratch = spec.scratch.as_deref().map(Scratch::create).transpose();
        let scratch = scratch.map_err(|error| failed(format!("its scratch folder cannot be created: {error}")))?;
        let (stream, output, child) = spawn(&spec, scratch.as_ref()).map_err(|error| failed(error.to_string()))?;
        let pid = child.id();
        let process = Arc::new(Process { child: Mutex::new(child), pid, is_stopped: AtomicBool::new(false) });
        let frames = Frames::new(stream, spec.answer_max_bytes);
        let mut worker = Self {
            output: Output::follow(output),
            process,
            frames,
            isolation: Isolation::default(),
            relay: None,
            is_usable: true,
            scratch,
            // Where it cannot be created, the other limits of memory remain.
            control_group: spec
                .control_groups
                .as_ref()
                .zip(spec.sandbox.limits.memory_bytes)
                .and_then(|(groups, memory_bytes)| groups.create(memory_bytes).ok()),
            spec: spec.clone(),
        };
        let mut sandbox = spec.sandbox.clone();
        sandbox.control_group = worker.control_group.as_ref().map(|group| group.folder().to_owned());
        sandbox.writable.extend(worker.scratch().map(Path::to_path_buf));
        let start = Start { sandbox, parameters: spec.parameters.clone() };
        let start = Message::new(&start).map_err(|error| failed(error.to_string()))?;
        let ready = worker.exchange(Kind::Start, &start, spec.start_deadline, &mut refuse_requests);
        let mut ready = ready.map_err(|error| match error {
            Error::Refused(error) => failed(error.to_string()),
            other => other,
        })?;
        worker.isolation = ready.control().map_err(|error| failed(error.to_string()))?;
        if let (Network::Server(server), Some(listener)) = (spec.sandbox.network, ready.descriptors.pop()) {
            let relay = Relay::start(TcpListener::from(listener), server);
            worker.relay = Some(relay.map_err(|error| failed(error.to_string()))?);
        }
        Ok(worker)
    }

    /// Calls the worker and waits for its answer. Blocks for at most `deadline`; after it the worker is killed.
    pub fn call(&mut self, message: &Message, deadline: Duration) -> Result<Message> {
        self.call_with(message, deadline, &mut refuse_requests)
    }

    /// Calls the worker and answers what it requests meanwhile: `respond` is called for each request, on this thread. An
    /// error of `respond` is returned to the worker, whose call continues. The time of `respond` counts.
    pub fn call_with(
        &mut self,
        message: &Message,
        deadline: Duration,
        respond: &mut dyn FnMut(Message) -> perennial_core::Result<Message>,
    ) -> Result<Message> {
        self.exchange(Kind::Call, message, deadline, respond)
    }

    /// The isolation in force.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// Its scratch folder. What a worker leaves there is as foreign as its answers.
    pub fn scratch(&self) -> Option<&Path> {
        self.scratch.as_ref().map(|scratch| scratch.0.as_path())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid
    }

    /// Stops the worker from another thread.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.process.clone())
    }

    /// Whether it can be called: no call failed, and its process runs.
    pub fn is_usable(&self) -> bool {
        self.is_usable && !self.process.is_stopped.load(Ordering::Acquire) && self.process.exit().is_none()
    }

    fn exchange(
        &mut self,
        kind: Kind,
        message: &Message,
        deadline: Duration,
        respond: &mut dyn FnMut(Message) -> perennial_core::Result<Message>,
    ) -> Result<Message> {
        if !std::mem::replace(&mut self.is_usable, false) {
            return Err(self.protocol("it was called after a failed call"));
        }
        let until = Instant::now() + deadline;
        let mut tick = || self.check(until, deadline);
        let expected = if kind == Kind::Start { Kind::Ready } else { Kind::Answer };
        let answer = converse(&self.frames, (kind, message), expected, respond, &mut tick);
        match answer {
            Ok(answer) => {
                self.is_usable = true;
                answer.map_err(Error::Refused)
            }
            Err(failure) => Err(self.fail(failure)),
        }
    }

    /// Fails when a running call must end.
    fn check(&self, until: Instant, deadline: Duration) -> Result<()> {
        let role = || self.spec.role.clone();
        if self.process.is_stopped.load(Ordering::Acquire) {
            return Err(Error::Stopped { role: role() });
        }
        if Instant::now() >= until {
            return Err(Error::Deadline { role: role(), limit: deadline });
        }
        if let Some(limit_bytes) = self.spec.sandbox.limits.memory_bytes {
            if process_tree::resident_bytes(self.pid()).is_some_and(|bytes| bytes > limit_bytes) {
                return Err(Error::MemoryLimit { role: role(), limit_bytes });
            }
        }
        Ok(())
    }

    /// Ends the worker after a failed exchange; returns what happened.
    fn fail(&self, failure: Failure<Error>) -> Error {
        match failure {
            Failure::Closed => self.death(),
            Failure::Ended(error) => {
                self.process.kill();
                error
            }
            Failure::Malformed(reason) => self.protocol(&reason),
            Failure::Io(error) => self.protocol(&error.to_string()),
        }
    }

    fn protocol(&self, reason: &str) -> Error {
        self.process.kill();
        Error::Protocol { role: self.spec.role.clone(), reason: reason.to_owned() }
    }

    /// How a worker that closed its socket died.
    fn death(&self) -> Error {
        let role = self.spec.role.clone();
        let until = Instant::now() + EXIT_TIMEOUT;
        let status = loop {
            match self.process.exit() {
                None if Instant::now() < until => thread::sleep(EXIT_POLL),
                status => break status,
            }
        };
        if self.process.is_stopped.load(Ordering::Acquire) {
            return Error::Stopped { role };
        }
        let Some(status) = status else {
            return self.protocol("it closed its socket");
        };
        let output = self.output.line();
        let has_exceeded_group = self.control_group.as_ref().is_some_and(ControlGroup::exceeded_memory);
        match (status.signal(), self.spec.sandbox.limits.memory_bytes) {
            // Rust's allocator aborts; the kernel refuses memory beyond the limit.
            (Some(libc::SIGABRT), Some(limit_bytes)) if output.contains("memory allocation of") => {
                Error::MemoryLimit { role, limit_bytes }
            }
            (Some(_), Some(limit_bytes)) if has_exceeded_group => Error::MemoryLimit { role, limit_bytes },
            (Some(libc::SIGXCPU), _) => Error::ProcessorTime { role },
            (signal, _) => Error::Died { role, signal, status: status.code(), output },
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.process.kill();
        let _ = self.process.child().wait();
    }
}

/// Answers the request of a worker whose call takes none.
fn refuse_requests(_: Message) -> perennial_core::Result<Message> {
    Err(perennial_core::Error::new(ErrorCode::InvalidArgument, "this call answers no requests"))
}

/// Sends a message, answers requests, and returns the answer or the error of the handler.
fn converse(
    frames: &Frames,
    (kind, message): (Kind, &Message),
    expected: Kind,
    respond: &mut dyn FnMut(Message) -> perennial_core::Result<Message>,
    tick: &mut dyn FnMut() -> Result<()>,
) -> Result<perennial_core::Result<Message>, Failure<Error>> {
    frames.send(kind, message, tick)?;
    loop {
        let (kind, message) = frames.receive(tick)?;
        match kind {
            Kind::Refused => return Ok(Err(message.error())),
            Kind::Request => {
                let response = respond(message);
                // A worker that makes requests all the time reaches its deadline, too.
                tick().map_err(Failure::Ended)?;
                match response {
                    Ok(response) => frames.send(Kind::Response, &response, tick)?,
                    Err(error) => frames.send(Kind::Refused, &Message::refusal(&error), tick)?,
                }
            }
            kind if kind == expected => return Ok(Ok(message)),
            other => return Err(Failure::Malformed(format!("it is a frame of kind {other:?}"))),
        }
    }
}

/// A scratch folder, removed when dropped.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn create(parent: &Path) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = parent.join(format!("{}-{number}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Best effort: its parent is cleared at the next start of the server.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn spawn(spec: &WorkerSpec, scratch: Option<&Scratch>) -> std::io::Result<(UnixStream, Option<ChildStderr>, Child)> {
    let (stream, remote) = UnixStream::pair()?;
    stream.set_read_timeout(Some(CHECK_INTERVAL))?;
    stream.set_write_timeout(Some(CHECK_INTERVAL))?;
    let mut command = Command::new(&spec.program);
    command
        .arg0("perennial")
        .args([WORKER_ARGUMENT, &spec.role])
        .env_clear()
        .envs(&spec.environment)
        .envs(scratch.map(|scratch| ("TMPDIR", scratch.0.as_os_str())))
        .current_dir("/")
        .stdin(OwnedFd::from(remote))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Signals of a terminal are for the server, which ends its workers itself.
        .process_group(0);
    let mut child = spawner::spawn(command)?;
    Ok((stream, child.stderr.take(), child))
}

/// The end of a worker's standard error.
#[derive(Debug)]
struct Output {
    kept: Arc<Mutex<VecDeque<u8>>>,
    /// Closed when the standard error has ended.
    ended: Receiver<()>,
}

impl Output {
    /// Reads a worker's standard error to its end and keeps the last part.
    fn follow(output: Option<ChildStderr>) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let (sender, ended) = mpsc::channel();
        let shared = kept.clone();
        thread::spawn(move || {
            let _open: Sender<()> = sender;
            let mut chunk = [0; 4096];
            let Some(mut output) = output else { return };
            while let Ok(read @ 1..) = output.read(&mut chunk) {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&chunk[..read]);
                let excess = kept.len().saturating_sub(OUTPUT_MAX_BYTES);
                kept.drain(..excess);
            }
        });
        Self { kept, ended }
    }

    /// What a worker that has exited wrote last, as one printable line.
    fn line(&self) -> String {
        let _ = self.ended.recv_timeout(EXIT_TIMEOUT);
        let bytes: Vec<u8> = self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let words = text.split(|character: char| character.is_whitespace() || character.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        let skipped = line.chars().count().saturating_sub(OUTPUT_TEXT_MAX);
        if skipped == 0 { line } else { format!("… {}", line.chars().skip(skipped).collect::<String>()) }
    }
}
