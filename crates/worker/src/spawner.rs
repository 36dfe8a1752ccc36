//! Starts processes from a thread that lives as long as the server.
//!
//! The kernel kills a worker when the *thread* that started it ends; threads of a pool end at any time.

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, Sender, SyncSender};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;

type Start = (Command, SyncSender<io::Result<Child>>);

/// Starts a process whose parent is the thread that lives on.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<Sender<Start>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| Mutex::new(start()));
    let (sender, child) = mpsc::sync_channel(1);
    let ended = || io::Error::other("the thread that starts workers has ended");
    spawner.lock().unwrap_or_else(PoisonError::into_inner).send((command, sender)).map_err(|_| ended())?;
    child.recv().map_err(|_| ended())?
}

fn start() -> Sender<Start> {
    let (sender, starts) = mpsc::channel::<Start>();
    thread::spawn(move || {
        for (mut command, child) in starts {
            // Fails when the caller is gone; then the worker's socket is closed, and it ends.
            let _ = child.send(command.spawn());
        }
    });
    sender
}
