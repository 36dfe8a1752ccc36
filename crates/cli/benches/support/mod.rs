//! Code shared by the benchmarks of the binary.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to stop after SIGTERM, before it is killed with its child processes.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A binary of Perennial in `folder`, without the environment variables that choose a server.
pub(crate) fn binary(binary: &Path, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.current_dir(folder).args(args).stdin(Stdio::null());
    for name in ["PERENNIAL_SERVER", "PERENNIAL_TOKEN", "PERENNIAL_DATABASE", "PERENNIAL_ARTIFACTS", "PERENNIAL_DATA"] {
        command.env_remove(name);
    }
    command
}

/// Runs a command that must succeed; gives its standard output.
pub(crate) fn good(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!("{command:?} failed: {}\n{printed}{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(printed)
}

/// A running server, stopped when dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
}

impl Server {
    /// Starts a server and discards its output.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child })
    }

    /// Fails if the server has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("the server ended early: {status}"),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        // An error means that the process has ended.
        let signal = |name: &str, pids: &str| {
            let _ = Command::new("kill").arg(name).args(pids.split_whitespace()).stderr(Stdio::null()).status();
        };
        signal("-TERM", &pid.to_string());
        let began = Instant::now();
        while began.elapsed() < STOP_TIMEOUT {
            if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        signal("-KILL", &format!("{pid} {children}"));
        let _ = self.child.wait();
    }
}

/// An unused port.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The machine and the version, as text.
pub(crate) fn machine() -> String {
    let read = |place: &str| std::fs::read_to_string(place).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!(
        "{cores} cores ({}), Linux {}, load {} before; perennial {}",
        model.trim_start_matches(['\t', ' ', ':']),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").split(' ').next().unwrap_or_default(),
        env!("CARGO_PKG_VERSION"),
    )
}

/// The quantile of the times at `share`; sorts them.
pub(crate) fn quantile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let place = (times.len() as f64 * share) as usize;
    times.get(place.min(times.len().saturating_sub(1))).copied().unwrap_or_default()
}
