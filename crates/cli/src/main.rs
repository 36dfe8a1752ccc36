//! The perennial binary: arguments, diagnostics, and the wiring of every concrete implementation.
//!
//! The command line is a client of the HTTP API like any other. Without a configured server
//! it starts one inside its own process over the project's `.perennial/` folder.

// A reader that is gone ends no command early: `say!` and `note!` print.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod client;
mod commands;
mod demo;
mod examples;
mod follow;
mod host;
mod output;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

use crate::output::note;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_some_and(|word| word == perennial_runners::LAUNCH_ARGUMENT) {
        return ExitCode::from(perennial_runners::launch_main() as u8);
    }
    // Before anything speaks TLS: the server to its object store, a client to its server. It is the only one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments = args::Arguments::parse();
    output::start_log(&arguments);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            note!("error: the runtime does not start: {error}");
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
