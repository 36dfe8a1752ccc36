//! The launcher for tests, and steps with every kind of behaviour.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use perennial_core::id::RunnerJobId;
use perennial_core::port::runner::{Environment, JobIsolation, JobNetwork, JobSpec, Limits, run_to_end};
use perennial_runners::{LocalPaths, LocalRunner};

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
        [perennial_worker::PROGRAM_ARGUMENT] => return Ok(ExitCode::from(perennial_worker::program_main() as u8)),
        ["exit", code] => return Ok(ExitCode::from(code.parse::<u8>()?)),
        ["abort"] => std::process::abort(),
        ["sleep"] => thread::sleep(ENDLESS),
        ["read", path] => writeln!(out, "{}", std::fs::read_to_string(path)?)?,
        ["list", path] => writeln!(out, "{} entries", std::fs::read_dir(path)?.count())?,
        ["connect", address] => drop(std::net::TcpStream::connect(address)?),
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
        // Runs a job, as a server would, and prints its id first.
        ["serve", folder, log, jobs, argv @ ..] => serve(argv, folder.into(), log.into(), Path::new(jobs))?,
        other => Err(format!("unknown: {other:?}"))?,
    }
    Ok(ExitCode::SUCCESS)
}

#[tokio::main(flavor = "current_thread")]
async fn serve(argv: &[&str], folder: PathBuf, log: PathBuf, jobs: &Path) -> Result<(), Box<dyn Error>> {
    let this = std::env::current_exe()?;
    let (path, readable) = (Vec::new(), Vec::new());
    let job = JobSpec {
        id: RunnerJobId::generate(),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        folder,
        inputs: Vec::new(),
        outputs: Vec::new(),
        env: BTreeMap::new(),
        environment: Environment { digest: "system".to_owned(), lock: None, path, readable, reproducible: false },
        isolation: JobIsolation::Full,
        network: JobNetwork::Full,
        limits: Limits::default(),
        log,
    };
    let mut out = std::io::stdout();
    writeln!(out, "{}", job.id)?;
    out.flush()?;
    let paths = LocalPaths { launcher: &this, jobs, cache: jobs, programs: "" };
    // A step that ignores SIGTERM outlives the server.
    run_to_end(&LocalRunner::new(paths).grace(ENDLESS), job).await?;
    Ok(())
}
