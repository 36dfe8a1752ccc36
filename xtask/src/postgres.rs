//! A PostgreSQL server for the tests: a fresh cluster on a free port, gone when its owner is.

use std::io::Read;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{apt, find, is_root, run};

/// How long the server may take to accept connections.
const START_MAX: Duration = Duration::from_secs(60);

/// How often it is asked whether it accepts connections.
const START_POLL: Duration = Duration::from_millis(50);

/// Runs the server as a child and waits for the end of its input, which its owner holds open: the input ends also when
/// the owner is killed. Then it stops the server at once and removes the folder. `$1` is the folder, the rest the
/// server's command. `QUIT` is repeated, because a server that has just been started does not handle it yet.
const SUPERVISOR: &str = r#"
trap '' HUP INT TERM
folder=$1; shift
"$@" </dev/null >"$folder/log" 2>&1 &
server=$!
cat >/dev/null
while kill -QUIT "$server" 2>/dev/null; do sleep 0.05; done
rm -rf "$folder"
"#;

/// A running server; it stops and its files are removed when this is dropped, and when this process ends in any way.
pub(crate) struct Postgres {
    supervisor: Child,
    folder: PathBuf,
    port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        let programs = match programs() {
            Some(found) => found,
            None => {
                apt(&["postgresql"])?;
                programs().context("PostgreSQL was installed, but `initdb` is not below /usr/lib/postgresql")?
            }
        };
        let folder = std::env::temp_dir().join(format!("perennial-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let data = folder.join("data");
        let mut initdb = Command::new(programs.join("initdb"));
        initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"]);
        run(as_postgres(initdb.arg(&data).current_dir(&folder), &[]))?;

        let mut postgres = Command::new(programs.join("postgres"));
        postgres.args(["-p", &port.to_string(), "-h", "127.0.0.1", "-k"]).arg(&folder);
        postgres.args(["-c", "fsync=off", "-c", "max_connections=200", "-D"]).arg(&data);
        // If the supervisor itself is killed, the kernel stops the server.
        let postgres = as_postgres(&postgres, &["--pdeathsig=QUIT"]);
        let mut supervisor = Command::new("sh");
        supervisor.args(["-c", SUPERVISOR, "sh"]).arg(&folder).arg(postgres.get_program()).args(postgres.get_args());
        // Its own process group: what is sent to the group of this process does not reach it.
        supervisor.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        let supervisor = supervisor.spawn().context("cannot start `sh`")?;
        let server = Self { supervisor, folder, port };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The URL of the server; tests create their own databases.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn wait_until_ready(&self) -> Result<()> {
        let begun = Instant::now();
        // The server writes its state there, on the last line.
        let state = self.folder.join("data/postmaster.pid");
        let is_ready = || std::fs::read_to_string(&state).is_ok_and(|text| text.trim_end().ends_with("ready"));
        while !is_ready() {
            if begun.elapsed() > START_MAX {
                let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
                bail!("PostgreSQL does not accept connections after {} s:\n{log}", START_MAX.as_secs());
            }
            std::thread::sleep(START_POLL);
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        if let Err(error) = self.supervisor.wait() {
            eprintln!("PostgreSQL below {} may still run: {error}", self.folder.display());
        }
    }
}

/// The verb `postgres`: a server for tests that are run by hand. It ends with the input of this process.
pub(crate) fn hold() -> Result<()> {
    let server = Postgres::start()?;
    println!("PERENNIAL_TEST_POSTGRES={}", server.url());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// A command of the server, run by a user that it accepts (it refuses root), with options for `setpriv`.
fn as_postgres(program: &Command, options: &[&str]) -> Command {
    let user: &[&str] = if is_root() { &["--reuid=postgres", "--regid=postgres", "--clear-groups"] } else { &[] };
    let options = [user, options].concat();
    let mut command = Command::new(program.get_program());
    if !options.is_empty() && find("setpriv").is_some() {
        command = Command::new("setpriv");
        command.args(options).arg("--").arg(program.get_program());
    }
    command.args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

/// The folder of `initdb` and `postgres`.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.extend(find("initdb").and_then(|program| program.parent().map(Path::to_path_buf)));
    folders.into_iter().rev().find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
}
