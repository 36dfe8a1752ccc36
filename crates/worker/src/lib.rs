//! Sandboxed processes for everything foreign: people's programs, SQL, files and models.
//!
//! Two things, which share the [`Sandbox`]:
//!
//! - A *program* of the machine, as the command of a step or an installer of packages: [`Program::spawn`] starts it inside
//!   a sandbox.
//! - A *worker*: the same binary in another role, `perennial __worker <role>`. The server leases one from a
//!   [`WorkerPool`] and calls it; the worker's half is [`worker_main`] with a [`Handler`] for each role.
//!
//! ```text
//! server                                              worker
//! WorkerPool::lease ── starts, if none is idle ──▶    worker_main: enters the sandbox, then Role::start
//! Lease::call ─────── Message, descriptors ──────▶    Handler::call
//!                 ◀── Message: a request ─────────      Server::request, any number of times
//!                 ─── Message: its answer ────────▶
//!                 ◀── Message, or an error ───────    returns
//! ```
//!
//! A worker belongs to one lease at a time, and one tenant for its whole life: what a compromised worker has seen of one
//! project never meets another. It is killed at the deadline of a call, over its memory limit, when its lease is
//! stopped, and when the server dies. A worker that was killed or died is replaced by the next lease. What it answers is
//! as foreign as what it was given.
//!
//! Nothing of the server is inherited: no variable, no open file, no argument but the role.

mod control_group;
mod error;
mod frame;
mod lease;
mod pool;
pub mod process_tree;
mod program;
mod relay;
mod sandbox;
mod serve;
mod spawner;
mod system;
mod worker;

pub use control_group::{ControlGroup, ControlGroups, Unavailable};
pub use error::{Error, Result};
pub use frame::Message;
pub use lease::Lease;
pub use pool::{PoolLimits, WorkerPool};
pub use program::{PROGRAM_ARGUMENT, Program, Running, program_main};
pub use relay::Relay;
pub use sandbox::{Isolation, Limits, Network, PathAccess, Processes, Requirement, Sandbox, kernel_isolates};
pub use serve::{Handler, Role, Server, WORKER_ARGUMENT, worker_main};
pub use worker::{Stopper, Worker, WorkerSpec};
