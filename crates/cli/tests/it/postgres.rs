//! Databases on the PostgreSQL server of the tests.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::text;

/// A new, empty database; dropped with the value.
pub(crate) struct Database {
    server: String,
    name: String,
    pub(crate) url: String,
}

impl Database {
    pub(crate) fn create() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let server = std::env::var("PERENNIAL_TEST_POSTGRES")
            .expect("PERENNIAL_TEST_POSTGRES is not set: `cargo xtask test` starts a PostgreSQL server and sets it");
        let name = format!("perennial_cli_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (base, _) = server.rsplit_once('/').unwrap();
        let database = Self { url: format!("{base}/{name}"), server, name };
        database.execute("CREATE DATABASE");
        database
    }

    /// Runs the statements of a file in the database.
    pub(crate) fn load(&self, file: &Path) {
        psql(&self.url, &["--quiet", "--output=/dev/null", "--file", file.to_str().unwrap()]);
    }

    fn execute(&self, statement: &str) {
        psql(&self.server, &["--quiet", "--command", &format!("{statement} {}", self.name)]);
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.execute("DROP DATABASE");
    }
}

fn psql(url: &str, args: &[&str]) {
    let output = Command::new("psql").args(["--set", "ON_ERROR_STOP=1"]).args(args).arg(url).output().unwrap();
    assert!(output.status.success(), "psql {args:?}: {}", text(&output.stderr));
}
