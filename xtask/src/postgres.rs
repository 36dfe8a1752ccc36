//! A PostgreSQL of the tests' own: a fresh cluster on a free port, gone afterwards.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell::{apt, find, is_root, run};

/// A running server; it stops and its files go when this is dropped.
pub(crate) struct Postgres {
    folder: PathBuf,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    pub(crate) fn start() -> Result<Self> {
        let programs = match programs() {
            Some(found) => found,
            None => {
                apt(&["postgresql"])?;
                programs().context("PostgreSQL was installed, yet no `initdb` is found below /usr/lib/postgresql")?
            }
        };
        let folder = std::env::temp_dir().join(format!("perennial-postgres-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(&folder))?;
        }
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let server = Self { folder, programs, port };
        let data = server.folder.join("data");
        run(server
            .command("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(&data))?;
        let options =
            format!("-p {port} -h 127.0.0.1 -k {} -c fsync=off -c max_connections=200", server.folder.display());
        run(server
            .command("pg_ctl")
            .args(["-w", "-l"])
            .arg(server.folder.join("log"))
            .arg("-o")
            .arg(options)
            .arg("-D")
            .arg(&data)
            .arg("start"))?;
        Ok(server)
    }

    /// Where it answers; databases are the tests' own to make.
    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// One of its programs, run by a user that it accepts: it refuses root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.folder);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let stopped =
            run(self.command("pg_ctl").args(["-m", "immediate", "-D"]).arg(self.folder.join("data")).arg("stop"));
        if let Err(error) = stopped.and_then(|()| Ok(std::fs::remove_dir_all(&self.folder)?)) {
            eprintln!("PostgreSQL below {} did not end cleanly: {error:#}", self.folder.display());
        }
    }
}

/// The folder of `initdb`, `pg_ctl` and `postgres`.
fn programs() -> Option<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    folders.sort();
    folders.extend(find("initdb").and_then(|program| program.parent().map(Path::to_path_buf)));
    folders.into_iter().rev().find(|folder| folder.join("initdb").is_file() && folder.join("pg_ctl").is_file())
}
