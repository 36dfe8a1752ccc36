//! The launcher for tests, and steps with every kind of behaviour.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use perennial_core::port::runner::{Limits, Runner};
use perennial_runners::LocalRunner;

/// Longer than any test: a test kills the process before.
const ENDLESS: Duration = Duration::from_mins(10);

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut out = std::io::stdout();
    match words.as_slice() {
        [perennial_runners::LAUNCH_ARGUMENT] => {
            return Ok(ExitCode::from(perennial_runners::launch_main() as u8));
        }
        ["exit", code] => return Ok(ExitCode::from(code.parse::<u8>()?)),
        ["abort"] => std::process::abort(),
        ["sleep"] => thread::sleep(ENDLESS),
        ["read", path] => writeln!(out, "{}", std::fs::read_to_string(path)?)?,
        ["list", path] => writeln!(out, "{} entries", std::fs::read_dir(path)?.count())?,
        ["write", path] => std::fs::write(path, "written")?,
        ["env"] => std::env::vars().try_for_each(|(name, value)| writeln!(out, "{name}={value}"))?,
        ["folder"] => writeln!(out, "{}", std::env::current_dir()?.display())?,
        ["cpus"] => writeln!(out, "{}", thread::available_parallelism()?)?,
        ["temporary"] => {
            let folder = std::env::var("TMPDIR")?;
            std::fs::write(format!("{folder}/file"), "x")?;
            writeln!(out, "{folder}")?;
        }
        // Alternates between standard output and error.
        ["lines", count] => {
            for number in 0..count.parse::<u32>()? {
                writeln!(out, "out {number}")?;
                eprintln!("err {number}");
            }
        }
        ["partial"] => {
            write!(out, "no newline at the end")?;
            out.flush()?;
        }
        ["flood", bytes] => {
            let line = [b'x'; 99];
            for _ in 0..bytes.parse::<usize>()? / 100 {
                out.write_all(&line)?;
                out.write_all(b"\n")?;
            }
        }
        ["eat", bytes] => {
            let chunk = vec![1; 1 << 20];
            let mut allocated: Vec<u8> = Vec::new();
            let total: usize = bytes.parse()?;
            while allocated.len() < total {
                allocated.extend_from_slice(&chunk);
                thread::yield_now();
            }
            writeln!(out, "allocated {}", allocated.len())?;
            out.flush()?;
        }
        // Leaves a child running, for `session` in a session of its own, and prints its process id.
        ["leave", how, then] => {
            let this = std::env::current_exe()?;
            let mut child = match *how {
                "child" => Command::new(&this).arg("sleep").spawn()?,
                _ => Command::new("setsid").arg(&this).arg("sleep").spawn()?,
            };
            writeln!(out, "{}", child.id())?;
            out.flush()?;
            if *then == "wait" {
                child.wait()?;
            }
        }
        // Runs a step that leaves a child running, as a server would, until it is killed.
        ["serve", folder, log] => serve(folder.into(), log.into())?,
        other => Err(format!("unknown: {other:?}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[tokio::main(flavor = "current_thread")]
async fn serve(folder: PathBuf, log: PathBuf) -> Result<(), Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let words = [this.to_string_lossy().as_ref(), "leave", "session", "wait"].map(str::to_owned);
    let command = perennial_core::port::runner::Command {
        argv: words.into(),
        folder: folder.clone(),
        env: BTreeMap::new(),
        readable: Vec::new(),
        limits: Limits::default(),
        log,
    };
    LocalRunner::new(&this, &folder, "").run(command).await?;
    Ok(())
}
