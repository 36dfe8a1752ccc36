//! Starts the step, watches it, and leaves nothing of it behind.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use perennial_core::port::runner::{Exit, Outcome};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process_group, set_child_subreaper, setrlimit,
    setsid, wait,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::output::Log;
use super::{Order, isolation, tree};

/// How often memory and time are looked at: soon after the start, then rarer.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LOOKS: Duration = Duration::from_millis(25);

/// What a step left running may take to end by itself, as Python's resource tracker does.
const LINGER: Duration = Duration::from_millis(250);

/// Time between two rounds of killing, for processes that were born meanwhile.
const ROUND: Duration = Duration::from_millis(20);

/// Rounds of killing; a process that outlives them hangs in the kernel.
const ROUNDS_MAX: u32 = 500;

/// What happens while the step runs.
enum Event {
    /// A process of the tree ended.
    Ended(Pid, WaitStatus),
    /// No process is left.
    NoneLeft,
    /// The server is gone or wants the step to end.
    Cancelled,
}

/// Runs the order to its end.
pub(super) fn run(order: &Order) -> io::Result<Outcome> {
    // A session of its own keeps the terminal's signals away; fails only where it is one already.
    let _ = setsid();
    // Orphans of the step become children of this process, so that none escapes.
    set_child_subreaper(Some(getpid()))?;
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    DirBuilder::new().mode(0o700).create(&order.temporary).map_err(|error| named(&order.temporary, &error))?;
    let outcome = supervise(order);
    let _ = fs::remove_dir_all(&order.temporary);
    outcome
}

fn supervise(order: &Order) -> io::Result<Outcome> {
    let mut log = Log::open(&order.log, order.log_max_bytes).map_err(|error| named(&order.log, &error))?;
    let (output, input) = io::pipe()?;
    let started = Instant::now();
    let (main, isolation) = start(order, &input)?;
    drop(input);
    let (events, happened) = mpsc::channel();
    let follow = thread::spawn(move || log.follow(output));
    watch_children(events.clone());
    watch_server(events);
    let (exit, peak_memory_bytes) = watch(order, main, started, &happened);
    let wall_ms = started.elapsed().as_millis() as i64;
    // Every writer is dead, so the output ends.
    let _ = follow.join();
    Ok(Outcome { exit, wall_ms, peak_memory_bytes, isolation })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("`{}`: {error}", path.display()))
}

/// Starts the command from a thread that was isolated before: a child is bound by what binds the
/// thread it was born from, while this process stays free to watch and end it.
fn start(order: &Order, output: &io::PipeWriter) -> io::Result<(Pid, String)> {
    let born = thread::scope(|scope| {
        scope
            .spawn(|| {
                if let Some(cpus) = order.limits.cpus {
                    restrict_cpus(cpus)?;
                }
                let mut readable = order.readable.clone();
                readable.push(order.program.clone());
                let isolation =
                    isolation::isolate(&[&order.folder, &order.temporary], &readable).map_err(io::Error::other)?;
                // Only root has something to give up, and is allowed to.
                let _ = isolation::drop_capabilities();
                let child = Command::new(&order.program)
                    .arg0(order.argv.first().map_or("", String::as_str))
                    .args(order.argv.iter().skip(1))
                    .current_dir(&order.folder)
                    .env_clear()
                    .envs(&order.env)
                    .stdin(Stdio::null())
                    .stdout(output.try_clone()?)
                    .stderr(output.try_clone()?)
                    .process_group(0)
                    .spawn()
                    .map_err(|error| named(&order.program, &error))?;
                Ok((Pid::from_child(&child), isolation))
            })
            .join()
    });
    born.unwrap_or_else(|_| Err(io::Error::other("the starting thread died")))
}

/// Binds this thread to as many processors as `cpus` needs, each step to others where it can.
fn restrict_cpus(cpus: f64) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let available: Vec<usize> = (0..CpuSet::MAX_CPU).filter(|&cpu| allowed.is_set(cpu)).collect();
    let wanted = (cpus.ceil().max(1.0) as usize).min(available.len());
    let first = std::process::id() as usize;
    let mut chosen = CpuSet::new();
    for offset in 0..wanted {
        chosen.set(available[(first + offset) % available.len()]);
    }
    Ok(sched_setaffinity(None, &chosen)?)
}

/// Tells each process of the tree that ends, until none is left.
fn watch_children(events: Sender<Event>) {
    thread::spawn(move || {
        loop {
            let event = match wait(WaitOptions::empty()) {
                Ok(Some((pid, status))) => Event::Ended(pid, status),
                Ok(None) | Err(rustix::io::Errno::INTR) => continue,
                Err(_) => Event::NoneLeft,
            };
            let is_last = matches!(event, Event::NoneLeft);
            if events.send(event).is_err() || is_last {
                return;
            }
        }
    });
}

/// Tells when standard input ends: the server holds the other end as long as it wants the step.
fn watch_server(events: Sender<Event>) {
    thread::spawn(move || {
        let mut byte = [0];
        loop {
            match io::stdin().lock().read(&mut byte) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => break,
            }
        }
        let _ = events.send(Event::Cancelled);
    });
}

/// Waits for the end of the main process or a limit, then ends what is left of the tree.
fn watch(order: &Order, main: Pid, started: Instant, happened: &Receiver<Event>) -> (Exit, Option<u64>) {
    let mut peak = 0;
    let mut look = FIRST_LOOK;
    let exit = loop {
        match happened.recv_timeout(look) {
            Ok(Event::Ended(pid, status)) if pid == main => break exit_of(status),
            Ok(Event::Ended(..)) => continue,
            Ok(Event::Cancelled) => break Exit::Cancelled,
            // The watcher tells the end of the main process before that none is left.
            Ok(Event::NoneLeft) | Err(RecvTimeoutError::Disconnected) => break Exit::Signal(0),
            Err(RecvTimeoutError::Timeout) => {}
        }
        look = (look * 2).min(LOOKS);
        let members = tree::members();
        let (now, highest) = tree::memory(&members);
        peak = peak.max(now).max(highest);
        if order.limits.memory_bytes.is_some_and(|limit| now > limit && tree::proportional_memory(&members) > limit) {
            break Exit::MemoryLimit;
        }
        if order.limits.time.is_some_and(|limit| started.elapsed() >= limit) {
            break Exit::TimeLimit;
        }
    };
    match exit {
        Exit::Code(_) | Exit::Signal(_) => end(main, Duration::ZERO, LINGER, happened),
        Exit::MemoryLimit => end(main, Duration::ZERO, Duration::ZERO, happened),
        Exit::TimeLimit | Exit::Cancelled => end(main, order.grace, Duration::ZERO, happened),
    }
    (exit, (peak > 0).then_some(peak))
}

fn exit_of(status: WaitStatus) -> Exit {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or(0)),
    }
}

/// Ends the tree: asks for it when there is `grace`, waits for it or for `linger`, then kills, as
/// often as new processes appear.
fn end(main: Pid, grace: Duration, linger: Duration, happened: &Receiver<Event>) {
    if grace > Duration::ZERO {
        tree::signal(Signal::TERM);
    }
    if none_left(happened, grace.max(linger)) {
        return;
    }
    for _ in 0..ROUNDS_MAX {
        let _ = kill_process_group(main, Signal::KILL);
        tree::signal(Signal::KILL);
        if none_left(happened, ROUND) {
            return;
        }
    }
}

/// Waits until no process is left, at most `time`.
fn none_left(happened: &Receiver<Event>, time: Duration) -> bool {
    let until = Instant::now() + time;
    loop {
        match happened.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Event::NoneLeft) => return true,
            Ok(Event::Ended(..) | Event::Cancelled) => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return false,
        }
    }
}
