//! The perennial binary: arguments, commands, diagnostics.
//!
//! The command line is a client of the HTTP API. If no server is configured, a command starts one inside its
//! own process, over the `.perennial` folder of the project.

// `println!` panics when the reader of a pipe has ended; `say!` and `note!` do not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod client;
mod commands;
mod connection;
mod data_folder;
mod database;
mod demo;
mod embedded_server;
mod examples;
mod follow;
mod foreign;
mod output;

use std::process::ExitCode;

use crate::output::note;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Stack of a thread, reserved and not allocated: without optimisation, a pipeline run needs more than the usual 2 MiB.
const STACK_BYTES: usize = 8 << 20;

fn main() -> ExitCode {
    if let Some(status) = foreign::run() {
        return ExitCode::from(status as u8);
    }
    // The TLS provider of all clients in this process; it must be installed before the first TLS connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = args::Arguments::from_command_line();
    output::start_log(&arguments);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = match runtime.enable_all().thread_stack_size(STACK_BYTES).build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("error: cannot start the runtime: {error}");
            return ExitCode::from(2);
        }
    };
    let (folder, json) = (arguments.project.clone(), arguments.json);
    let ended = runtime.block_on(commands::run(arguments));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    match ended {
        Ok(code) => output::status(code),
        Err(failure) => output::status(output::failure(&failure, &folder, json)),
    }
}
