//! Starts the step, enforces its limits, and ends all its processes.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use perennial_core::port::runner::{Exit, JobEnd, Outcome};
use perennial_worker::{ControlGroup, Running, process_tree};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper, setsid, wait,
};

use super::output::Log;
use super::{LaunchReport, LaunchSpec, report};

/// This binary, also when the file at its path was replaced meanwhile.
const THIS_BINARY: &str = "/proc/self/exe";

/// Intervals between checks of memory and time: the first one, doubled up to the longest one.
const CHECK_INTERVAL_MIN: Duration = Duration::from_millis(4);
const CHECK_INTERVAL_MAX: Duration = Duration::from_millis(25);

/// Time that processes left running get to exit, as Python's resource tracker does.
const LINGER: Duration = Duration::from_millis(250);

/// Time between two rounds of SIGKILL; later rounds reach processes started meanwhile.
const ROUND: Duration = Duration::from_millis(20);

/// Limit of rounds; a process that survives them hangs in the kernel.
const ROUNDS_MAX: u32 = 500;

/// An event while the step runs.
enum Event {
    /// A process of the tree ended.
    Ended(Pid, WaitStatus),
    /// No process is left.
    NoneLeft,
    /// The server cancels the step.
    Cancelled,
    /// The server died.
    ServerDied,
}

/// Runs the command to its end.
pub(super) fn run(spec: &LaunchSpec) -> io::Result<JobEnd> {
    // A new session receives no signals of the terminal; fails when this process leads a session already.
    let _ = setsid();
    // Orphans of the step become children of this process, so that it can end them.
    set_child_subreaper(Some(getpid()))?;
    DirBuilder::new().mode(0o700).create(&spec.temporary).map_err(|error| named(&spec.temporary, &error))?;
    let end = supervise(spec);
    let _ = fs::remove_dir_all(&spec.temporary);
    end
}

fn supervise(spec: &LaunchSpec) -> io::Result<JobEnd> {
    let mut log = Log::open(&spec.log, spec.log_max_bytes).map_err(|error| named(&spec.log, &error))?;
    let (output, input) = io::pipe()?;
    let started = Instant::now();
    let group = spec.control_groups.as_ref().zip(spec.limits.memory_bytes);
    // Where it cannot be created, this process compares the memory with the limit.
    let group = group.and_then(|(groups, memory_bytes)| groups.create(memory_bytes).ok());
    let Running { child, isolation, relay: _relay } = start(spec, group.as_ref(), &input)?;
    let main = Pid::from_child(&child);
    drop(input);
    // Fails when the server died, which `watch_stdin` reports.
    let _ = report(&LaunchReport::Started);
    let (sender, events) = mpsc::channel();
    let follow = thread::spawn(move || log.follow(output));
    watch_children(sender.clone());
    watch_stdin(sender);
    let (end, peak_memory_bytes) = watch(spec, main, started, &events);
    let wall_ms = started.elapsed().as_millis() as i64;
    // Every process that writes has ended, so the output ends.
    let _ = follow.join();
    let has_exceeded = group.is_some_and(|group| group.exceeded_memory());
    let exit = match end {
        End::Exit(Exit::Code(_) | Exit::Signal(_)) if has_exceeded => Exit::MemoryLimit,
        End::Exit(exit) => exit,
        End::ServerDied => return Ok(JobEnd::EndedWithServer),
    };
    Ok(JobEnd::Exited(Outcome { exit, wall_ms, peak_memory_bytes, isolation: isolation.to_string() }))
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Starts the command in its sandbox.
fn start(spec: &LaunchSpec, group: Option<&ControlGroup>, output: &io::PipeWriter) -> io::Result<Running> {
    let (output, errors) = (output.try_clone()?.into(), output.try_clone()?.into());
    let mut program = spec.program.clone();
    program.sandbox.control_group = group.map(|group| group.folder().to_owned());
    program.spawn(Path::new(THIS_BINARY), output, errors)
}

/// Sends an event for each process of the tree that ends, until none is left.
fn watch_children(sender: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => Event::Ended(pid, status),
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => Event::NoneLeft,
            };
            let is_last = matches!(event, Event::NoneLeft);
            if sender.send(event).is_err() || is_last {
                return;
            }
        }
    });
}

/// Sends an event when the server cancels the step, by any input, or dies: it keeps standard input open.
fn watch_stdin(sender: Sender<Event>) {
    thread::spawn(move || {
        let mut byte = [0];
        let event = loop {
            match io::stdin().lock().read(&mut byte) {
                Ok(1..) => break Event::Cancelled,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break Event::ServerDied,
            }
        };
        let _ = sender.send(event);
    });
}

/// Why the step ends.
enum End {
    Exit(Exit),
    ServerDied,
}

/// Waits for the end of the main process or a limit, then ends the rest of the tree.
fn watch(spec: &LaunchSpec, main: Pid, started: Instant, events: &Receiver<Event>) -> (End, Option<u64>) {
    let mut peak = 0;
    let mut interval = CHECK_INTERVAL_MIN;
    let mut next_check = Instant::now() + interval;
    let reason = loop {
        match events.recv_timeout(next_check.saturating_duration_since(Instant::now())) {
            Ok(Event::Ended(pid, status)) if pid == main => break End::Exit(exit_of(status)),
            Ok(Event::Ended(..)) => {}
            Ok(Event::Cancelled) => break End::Exit(Exit::Cancelled),
            Ok(Event::ServerDied) => break End::ServerDied,
            // `watch_children` reports the end of the main process before `NoneLeft`.
            Ok(Event::NoneLeft) | Err(RecvTimeoutError::Disconnected) => break End::Exit(Exit::Signal(0)),
            Err(RecvTimeoutError::Timeout) => {}
        }
        // A tree whose processes end all the time does not delay the checks.
        if Instant::now() < next_check {
            continue;
        }
        interval = (interval * 2).min(CHECK_INTERVAL_MAX);
        next_check = Instant::now() + interval;
        let members = process_tree::members();
        let (now, highest_peak) = process_tree::memory(&members);
        peak = peak.max(now).max(highest_peak);
        if spec
            .limits
            .memory_bytes
            .is_some_and(|limit| now > limit && process_tree::proportional_memory(&members) > limit)
        {
            break End::Exit(Exit::MemoryLimit);
        }
        if spec.limits.time.is_some_and(|limit| started.elapsed() >= limit) {
            break End::Exit(Exit::TimeLimit);
        }
    };
    match &reason {
        End::Exit(Exit::Code(_) | Exit::Signal(_)) => end(main, Duration::ZERO, LINGER, events),
        End::Exit(Exit::MemoryLimit) => end(main, Duration::ZERO, Duration::ZERO, events),
        End::Exit(Exit::TimeLimit | Exit::Cancelled) | End::ServerDied => end(main, spec.grace, Duration::ZERO, events),
    }
    (reason, (peak > 0).then_some(peak))
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Ends the tree: sends SIGTERM and waits for `grace` if that is not zero, else waits for `linger`; then sends
/// SIGKILL until no process is left.
fn end(main: Pid, grace: Duration, linger: Duration, events: &Receiver<Event>) {
    if grace > Duration::ZERO {
        process_tree::signal(Signal::TERM);
    }
    if none_left(events, grace.max(linger)) {
        return;
    }
    for _ in 0..ROUNDS_MAX {
        let _ = kill_process_group(main, Signal::KILL);
        process_tree::signal(Signal::KILL);
        if none_left(events, ROUND) {
            return;
        }
    }
}

/// Waits until no process is left, at most `time`; returns whether none is left.
fn none_left(events: &Receiver<Event>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match events.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::NoneLeft) => return true,
            Ok(Event::Ended(..) | Event::Cancelled | Event::ServerDied) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
    }
}
